"""Proves what estimators promise of games that start at random and end, by enumerating all trajectories.

What the trajectories hold where an agent has left is NaN, or a number that would count if it were looked at.
"""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import oracle
from tests.trajectory_sets import CRITICS
from tests.trajectory_sets import DICE_ESTIMATORS
from tests.trajectory_sets import DISCOUNT
from tests.trajectory_sets import SAMPLED_ESTIMATORS
from tests.trajectory_sets import tape_derivatives
from tests.trajectory_sets import TrajectorySets
from tf_metamapg import adaptation
from tf_metamapg import links
from tf_metamapg.agents.opponent_models import MaximumLikelihood
from tf_metamapg.contracts import AgentState
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.numerics import random

ENDINGS = ("together", "apart")
# Number of agents, horizon, size of the sets, critic.
CASES = (
    (2, 3, 1, "none"), (2, 3, 1, "time"), (2, 2, 2, "leave_one_out"), (2, 2, 2, "linear"), (2, 2, 2, "network"),
    (3, 2, 1, "time"), (3, 2, 1, "network"),
)


class EndingTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(*ENDINGS)
    def test_games_end_at_every_step(self, ending):
        """Some of the probability is on trajectories that end early, and of the agents that leave apart one is left."""
        setting = TrajectorySets(2, 3, ending=ending)
        lengths = setting.oracle.present.sum(axis=1)
        probs = setting.oracle.probs(setting.logits)
        for agent, length in itertools.product(range(2), (1, 2, 3)):
            self.assertGreater(probs[lengths[:, agent] == length].sum(), 0.1)
        differ = probs[lengths[:, 0] != lengths[:, 1]].sum()
        self.assertEqual(differ > 0.1, ending == "apart")
        self.assertGreater(len(np.unique(setting.oracle.states[:, 0])), 1)

    @parameterized.product(estimator_class=DICE_ESTIMATORS, ending=ENDINGS, case=CASES)
    def test_first_and_second_derivatives_are_those_of_the_value(self, estimator_class, ending, case):
        n_agents, horizon, size, critic = case
        setting = TrajectorySets(n_agents, horizon, size, ending)
        self.assertAllClose(setting.probs.sum(), 1.0, rtol=1e-12, atol=0.0)
        estimator = setting.estimator(estimator_class, critic)
        gradients, hessians = tape_derivatives(
            lambda leaves: setting.expected_objectives(estimator, leaves), setting.leaves()
        )
        expected_gradients, expected_hessians = oracle.derivatives(setting.oracle.values, setting.logits)
        for value, agent in itertools.product(range(n_agents), repeat=2):
            self.assertAllClose(gradients[value][agent], expected_gradients[value, agent], rtol=0.0, atol=1e-12)
            for other in range(n_agents):
                expected = expected_hessians[value, agent, :, other]
                self.assertGreater(np.abs(expected).max(), 1e-3)
                self.assertAllClose(hessians[value][agent][other], expected, rtol=0.0, atol=1e-9)

    @parameterized.product(estimator_class=DICE_ESTIMATORS, critic=["leave_one_out", "linear"])
    def test_derivatives_with_critics_of_sets_where_one_of_three_agents_leaves_first(self, estimator_class, critic):
        """Those of one agent's value, in the parameters of all."""
        setting = TrajectorySets(3, 2, 2, "apart")
        # Sets in one order stand for those in all.
        setting.members, orders = setting.oracle.multisets(2)
        setting.probs = orders * setting.oracle.set_probs(setting.logits, setting.members)
        estimator = setting.estimator(estimator_class, critic)
        (gradients,), (hessians,) = tape_derivatives(
            lambda leaves: setting.expected_objectives(estimator, leaves)[1:2], setting.leaves()
        )
        expected_gradients, expected_hessians = oracle.derivatives(setting.oracle.values, setting.logits)
        for agent in range(3):
            self.assertAllClose(gradients[agent], expected_gradients[1, agent], rtol=0.0, atol=1e-12)
            for other in range(3):
                self.assertAllClose(hessians[agent][other], expected_hessians[1, agent, :, other], rtol=0.0, atol=1e-9)

    @parameterized.product(ending=ENDINGS, case=(*CASES, (3, 2, 2, "leave_one_out"), (3, 2, 2, "linear")))
    def test_first_derivatives_of_score_functions_are_policy_gradients(self, ending, case):
        n_agents, horizon, size, critic = case
        setting = TrajectorySets(n_agents, horizon, size, ending)
        estimator = setting.estimator(ScoreFunctionEstimator, critic)
        leaves = setting.leaves()
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(leaves)
            objectives = setting.expected_objectives(estimator, leaves)
        expected = oracle.complex_step(setting.oracle.values, setting.logits)
        for agent in range(n_agents):
            for other, gradient in enumerate(tape.gradient(objectives[agent], leaves)):
                if other == agent:
                    self.assertAllClose(gradient, expected[agent, agent], rtol=0.0, atol=1e-12)
                else:
                    self.assertIsNone(gradient)

    @parameterized.product(ending=ENDINGS, n_agents=[2, 3])
    def test_values_have_the_exact_mean(self, ending, n_agents):
        setting = TrajectorySets(n_agents, 2, ending=ending)
        for estimator_class in SAMPLED_ESTIMATORS:
            estimator = setting.estimator(estimator_class, "leave_one_out")
            sample = setting.sample(estimator, setting.members[np.newaxis])
            joint_params = setting.joint_params(setting.leaves(), [1, len(setting.members)])
            values = np.stack(estimator.values(joint_params, None, sample), axis=-1)[0]
            self.assertAllClose(setting.probs @ values, setting.oracle.values(setting.logits), rtol=1e-12, atol=0.0)

    @parameterized.product(ending=ENDINGS, estimator_class=SAMPLED_ESTIMATORS)
    def test_means_are_over_the_steps_that_count(self, ending, estimator_class):
        """Σ r · mask / Σ mask over all trajectories and steps, of rewards and of what the game measures."""
        setting = TrajectorySets(3, 2, ending=ending)
        members = np.random.default_rng(0).choice(len(setting.probs), size=[2, 3, 5], p=setting.probs)
        estimator = setting.estimator(estimator_class)
        sample, joint_params = setting.sample(estimator, members), setting.joint_params(setting.leaves(), [2, 3])
        mean_rewards = estimator.mean_rewards(joint_params, None, sample)
        metrics = estimator.metrics(joint_params, None, sample)
        self.assertBetween(np.mean(setting.oracle.present[members]), 0.6, 0.9)
        self.assertEqual(list(metrics), [] if ending == "together" else ["first_action"])
        for s, n, agent in np.ndindex(2, 3, 3):
            present = setting.oracle.present[members[s, n], :, agent]
            mean = np.mean(setting.oracle.rewards[members[s, n], :, agent][present])
            self.assertAllClose(mean_rewards[agent][s, n], mean, rtol=1e-12, atol=0.0)
            rate = np.mean(setting.oracle.actions[members[s, n], :, agent][present] == 0)
            for name in metrics:
                self.assertAllClose(metrics[name][agent][s, n], rate, rtol=1e-12, atol=0.0)

    @parameterized.product(ending=ENDINGS, n_agents=[2, 3])
    def test_expected_entropies(self, ending, n_agents):
        """With expected inner updates all derivatives, with sampled ones those at the observations that were made."""
        setting = TrajectorySets(n_agents, 2, ending=ending)
        all_derivatives = oracle.derivatives(setting.oracle.entropies, setting.logits)
        held = oracle.complex_step(
            lambda logits: setting.oracle.entropies(logits, setting.probs), setting.logits
        )
        for estimator_class in SAMPLED_ESTIMATORS:
            estimator = setting.estimator(estimator_class)
            sample = setting.sample(estimator, setting.members[np.newaxis])

            def entropies(leaves, estimator=estimator, sample=sample):
                joint_params = setting.joint_params(leaves, [1, len(setting.members)])
                return [tf.reduce_sum(setting.probs * own) for own in estimator.entropies(joint_params, None, sample)]

            self.assertAllClose(entropies(setting.leaves()), setting.oracle.entropies(setting.logits), rtol=1e-12)
            gradients, hessians = tape_derivatives(entropies, setting.leaves())
            for value, agent in itertools.product(range(n_agents), repeat=2):
                if estimator.inner_update == "sampled":
                    if agent == value:
                        self.assertAllClose(gradients[value][agent], held[value, agent], rtol=0.0, atol=1e-12)
                    else:
                        self.assertIsNone(gradients[value][agent])
                    continue
                self.assertAllClose(gradients[value][agent], all_derivatives[0][value, agent], rtol=0.0, atol=1e-12)
                for other in range(n_agents):
                    expected = all_derivatives[1][value, agent, :, other]
                    self.assertAllClose(hessians[value][agent][other], expected, rtol=0.0, atol=1e-9)

    @parameterized.product(
        ending=ENDINGS, critic=["leave_one_out", "linear", "network"], estimator_class=SAMPLED_ESTIMATORS
    )
    def test_what_stands_in_a_padded_step_does_not_matter(self, ending, critic, estimator_class):
        """Objectives and their derivatives, values, means, baselines, losses of critics and likelihoods: to the bit."""
        setting = TrajectorySets(2, 2, ending=ending)
        members = np.random.default_rng(1).choice(len(setting.probs), size=[2, 2, 6], p=setting.probs)
        estimator = setting.estimator(estimator_class, critic)
        joint_params = setting.joint_params(setting.leaves(), [2, 2])
        critic_params = adaptation.for_each_task(estimator.critic.initial_params([0, 1]), 2)
        keys, later = random.root_keys([0, 1]), tf.ones([2, 2], tf.float64)
        trajectory = setting.trajectory(members)
        results, model = [], MaximumLikelihood(max_iterations=2)
        for filled in (trajectory, refilled(trajectory, 1e300)):
            with tf.GradientTape(persistent=True) as tape:
                tape.watch([joint_params, critic_params])
                sample = estimator.make_sample(filled, joint_params, critic_params)
                objectives = estimator.objectives(joint_params, None, sample)
                through_samples = estimator.current_policy_objective(joint_params, sample, 0, later)
                losses = [
                    estimator.critic.loss(own, joint_params, sample.trajectory, agent)
                    for agent, own in enumerate(critic_params)
                ]
            link = links.Link(tuple(map(AgentState, joint_params)), sample, keys)
            results.append(tf.nest.flatten([
                sample, objectives, losses, tape.gradient(objectives, joint_params),
                tape.gradient(losses, critic_params), tape.gradient(through_samples, joint_params),
                estimator.values(joint_params, None, sample),
                estimator.mean_rewards(joint_params, None, sample), estimator.metrics(joint_params, None, sample),
                estimator.entropies(joint_params, None, sample),
                model.estimate(estimator, link, 0, model.init(estimator, 0, joint_params[0][0].shape[:2])),
            ]))
        for leaf, other in zip(*results, strict=True):
            self.assertTrue(leaf is None or np.all(np.isfinite(leaf)))
            self.assertAllEqual(other, leaf) if leaf is not None else self.assertIsNone(other)

    @parameterized.product(ending=ENDINGS, estimator_class=SAMPLED_ESTIMATORS, gae_lambda=[0.0, 0.7])
    def test_nothing_is_expected_after_the_end(self, ending, estimator_class, gae_lambda):
        """Generalised advantages of every step that counts, by plain loops."""
        if "gae_lambda" not in estimator_class.__init__.__code__.co_varnames:
            self.skipTest("No λ.")
        setting = TrajectorySets(2, 3, ending=ending)
        estimator = estimator_class(
            setting.game, setting.policies, n_trajectories=1, horizon=3, critic=CRITICS["time"], gae_lambda=gae_lambda
        )
        sample = setting.sample(estimator, setting.members[np.newaxis])
        for agent in range(2):
            expected = []
            for rewards, present in zip(setting.oracle.rewards[:, :, agent], setting.oracle.present[:, :, agent]):
                baselines = [*np.where(present, [3.0, -2.0, 0.7], 0.0), 0.0]
                advantages = [0.0] * 4
                for t in reversed(range(3)):
                    error = rewards[t] + DISCOUNT * baselines[t + 1] - baselines[t]
                    advantages[t] = error + DISCOUNT * gae_lambda * advantages[t + 1]
                expected.append(DISCOUNT ** np.arange(4) * advantages)
                if estimator_class is LoadedDiceEstimator:
                    expected[-1] = -np.diff(expected[-1])
            step_weights = sample.step_weights[agent][0, :, 0].numpy()
            self.assertAllClose(step_weights, np.array(expected)[:, :3], rtol=0.0, atol=1e-12)
            absent = ~setting.oracle.present[:, :, agent]
            self.assertAllEqual(step_weights[absent], np.zeros(np.sum(absent)))


def refilled(trajectory, filling):
    """The trajectory, with something else in the steps that do not count."""

    def fill(leaf, mask):
        value = tf.constant(filling if leaf.dtype.is_floating else 0, leaf.dtype)
        return tf.where(tf.reshape(mask, [*mask.shape, *[1] * (len(leaf.shape) - 4)]), leaf, value)

    def fill_all(by_agent):
        return tuple(map(fill, by_agent, trajectory.mask))

    return trajectory._replace(
        observations=fill_all(trajectory.observations), actions=fill_all(trajectory.actions),
        rewards=fill_all(trajectory.rewards),
        metrics={name: fill_all(trajectory.metrics[name]) for name in trajectory.metrics} if trajectory.metrics else (),
    )


if __name__ == "__main__":
    tf.test.main()
