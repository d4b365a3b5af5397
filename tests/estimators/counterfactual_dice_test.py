"""Baselines that know the others' actions bias nothing where they have their place, and Loaded DiCE is not it."""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import oracle
from tests.trajectory_sets import DISCOUNT
from tests.trajectory_sets import discounted
from tests.trajectory_sets import loaded_dice_weights
from tests.trajectory_sets import tape_derivatives
from tests.trajectory_sets import TrajectorySets
from tf_metamapg.critics.base import BaselineCritic
from tf_metamapg.estimators.counterfactual_dice import counterfactual_dice_surrogates
from tf_metamapg.estimators.counterfactual_dice import CounterfactualDiceEstimator
from tf_metamapg.estimators.dice import dice_surrogates
from tf_metamapg.estimators.loaded_dice import loaded_dice_surrogates
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator


class Careless(LoadedDiceEstimator):
    """Loaded DiCE that takes any critic."""

    accepts_critics_that_see_other_actions = True


class Expected(BaselineCritic):
    """What is expected to follow a state, or a state and what the others do there, by enumeration."""

    def __init__(self, setting, sees_other_actions):
        super().__init__(setting.game.spec, setting.policies)
        self.sees_other_actions = sees_other_actions
        self._setting = setting

    def values(self, params, joint_params, trajectory, agent_index):
        every = self._setting.oracle
        probs, rewards = every.probs(self._setting.logits), every.rewards[..., agent_index]
        to_go = np.cumsum((rewards * DISCOUNT ** np.arange(rewards.shape[1]))[:, ::-1], axis=1)[:, ::-1]
        known = self._known(every.states, every.actions, agent_index)
        table = {}
        for path, time in np.ndindex(known.shape):
            total = table.setdefault((time, known[path, time]), np.zeros(2))
            total += probs[path] * np.array([to_go[path, time] / DISCOUNT**time, 1.0])
        members = self._setting.members
        values = np.array([
            [[table[time, known[path, time]] for time in range(known.shape[1])] for path in one] for one in members
        ])
        return tf.constant((values[..., 0] / values[..., 1])[np.newaxis])

    def _known(self, states, actions, agent_index):
        """[paths, T], as one number."""
        others = np.delete(actions, agent_index, axis=-1) @ 2 ** np.arange(actions.shape[-1] - 1)
        return states + 3 * others * self.sees_other_actions


class CounterfactualDiceTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(
        ending=["endless", "together", "apart"],
        case=[
            (2, 3, 1, "counterfactual"), (2, 2, 2, "counterfactual"), (3, 2, 1, "counterfactual"),
            (2, 2, 2, "leave_one_out"), (2, 3, 1, "time"),
        ],
    )
    def test_first_and_second_derivatives_are_those_of_the_value(self, ending, case):
        n_agents, horizon, size, critic = case
        setting = TrajectorySets(n_agents, horizon, size, ending)
        self.assertAllClose(setting.probs.sum(), 1.0, rtol=1e-12, atol=0.0)
        self.assert_unbiased(setting, setting.estimator(CounterfactualDiceEstimator, critic))

    def assert_unbiased(self, setting, estimator):
        n_agents = len(setting.policies)
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

    @parameterized.parameters(2, 3)
    def test_third_derivatives_are_those_of_the_value(self, n_agents):
        """Along a direction in all parameters; the oracle's is analytic, see `dice_test`."""
        setting = TrajectorySets(n_agents, 2)
        direction = np.random.default_rng(1).normal(size=setting.logits.shape)
        estimator = setting.estimator(CounterfactualDiceEstimator, "counterfactual")
        points = 0.3 * np.exp(2j * np.pi * np.arange(64) / 64)
        values = np.array([setting.oracle.values(setting.logits + x * direction) for x in points])
        expected = 6.0 * np.mean(values * points[:, np.newaxis] ** -3, axis=0).real
        for agent in range(n_agents):
            x = tf.constant(0.0, tf.float64)
            with tf.GradientTape() as third_tape:
                third_tape.watch(x)
                with tf.GradientTape() as second_tape:
                    second_tape.watch(x)
                    with tf.GradientTape() as first_tape:
                        first_tape.watch(x)
                        leaves = [leaf + x * own for leaf, own in zip(setting.leaves(), direction)]
                        objective = setting.expected_objectives(estimator, leaves)[agent]
                    first = first_tape.gradient(objective, x)
                second = second_tape.gradient(first, x)
            self.assertAllClose(third_tape.gradient(second, x), expected[agent], rtol=1e-9, atol=0.0)

    @parameterized.parameters(2, 3)
    def test_elsewhere_it_biases_the_others_derivatives(self, n_agents):
        """In Loaded DiCE, by far; not those of an agent's own value in its own parameters."""
        setting = TrajectorySets(n_agents, 2)
        expected = oracle.complex_step(setting.oracle.values, setting.logits)
        for kind in (Careless, ScoreFunctionEstimator):
            estimator = setting.estimator(kind, "counterfactual")
            leaves = setting.leaves()
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(leaves)
                objectives = setting.expected_objectives(estimator, leaves)
            for value, agent in itertools.product(range(n_agents), repeat=2):
                gradient = tape.gradient(objectives[value], leaves[agent])
                if agent == value:
                    self.assertAllClose(gradient, expected[value, agent], rtol=0.0, atol=1e-12)
                elif kind is Careless:
                    self.assertGreater(np.max(np.abs(gradient - expected[value, agent])), 1e-3)
                else:
                    self.assertIsNone(gradient)

    def test_with_one_baseline_for_both_parts_it_is_loaded_dice_and_without_dice(self):
        """In all first and second derivatives, of any numbers."""
        rng = np.random.default_rng(0)
        log_probs = [tf.constant(values) for values in rng.normal(size=[2, 1, 1, 3, 4])]
        rewards, baselines = rng.normal(size=[2, 3, 4])
        to_go = np.stack([sum(DISCOUNT ** (s - t) * rewards[:, s] for s in range(t, 4)) for t in range(4)], axis=-1)
        weights = [tf.constant(discounted(values)[None, None]) for values in (rewards, baselines)]
        loaded_weights = tf.constant(loaded_dice_weights(to_go - baselines)[None, None])
        nothing = tf.zeros_like(weights[0])
        for ours, theirs in (
            (
                lambda logs: counterfactual_dice_surrogates(logs, [(*weights, weights[1])] * 2)[0],
                lambda logs: loaded_dice_surrogates(tf.add_n(logs), [loaded_weights])[0],
            ),
            (
                lambda logs: counterfactual_dice_surrogates(logs, [(weights[0], nothing, nothing)] * 2)[0],
                lambda logs: dice_surrogates(tf.add_n(logs), [(weights[0], nothing)])[0],
            ),
        ):
            results = []
            for function in (ours, theirs):
                x = [tf.reshape(leaf, [-1]) for leaf in log_probs]
                results.append(tape_derivatives(
                    lambda leaves, function=function: [
                        function([tf.reshape(leaf, [1, 1, 3, 4]) for leaf in leaves])[0, 0]
                    ], x,
                ))
            tf.nest.map_structure(lambda one, other: self.assertAllClose(one, other, rtol=0.0, atol=1e-13), *results)

    def test_weights_are_constants_and_the_value_is_the_mean_return(self):
        rng = np.random.default_rng(0)
        log_probs = tuple(map(tf.constant, rng.normal(size=[2, 2, 3, 4, 5])))
        weights = [tuple(map(tf.constant, rng.normal(size=[3, 2, 3, 4, 5]))) for _ in range(2)]
        with tf.GradientTape() as tape:
            tape.watch(weights)
            surrogates = counterfactual_dice_surrogates(log_probs, weights)
        for surrogate, (rewards, *_) in zip(surrogates, weights):
            self.assertAllClose(surrogate, np.mean(np.sum(rewards, axis=-1), axis=-1), rtol=1e-12, atol=1e-12)
        for gradient in tf.nest.flatten(tape.gradient(surrogates, weights)):
            self.assertIsNone(gradient)

    def test_what_is_expected_given_the_others_lowers_the_variance(self):
        """Of an agent's own derivatives: below that with what is expected of the state, whatever the others do."""
        setting = TrajectorySets(horizon=2, size=1)
        n_observations, totals = setting.logits.shape[1], []
        for sees, kind in ((False, LoadedDiceEstimator), (True, CounterfactualDiceEstimator)):
            critic = Expected(setting, sees)
            estimator = kind(setting.game, setting.policies, 1, 2, critic=lambda *_, critic=critic: critic)
            self.assert_unbiased(setting, estimator)
            variances = [setting.variances(setting.set_gradients(estimator, agent)[0]) for agent in range(2)]
            totals.append(sum(
                own[agent * n_observations : (agent + 1) * n_observations].sum() for agent, own in enumerate(variances)
            ))
        self.assertLess(totals[1], 0.95 * totals[0])


if __name__ == "__main__":
    tf.test.main()
