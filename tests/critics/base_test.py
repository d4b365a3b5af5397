"""Proves what critics change and what they leave: the variance of derivatives, and no expectation of them."""

import functools
import itertools
import math

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests.critics.fitting import fitted
from tf_metamapg import adaptation
from tf_metamapg import links
from tf_metamapg import theorem
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import Trajectory
from tf_metamapg.critics.baselines import LeaveOneOutBaseline
from tf_metamapg.critics.baselines import LinearFeatureBaseline
from tf_metamapg.critics.baselines import NoBaseline
from tf_metamapg.critics.value_network import ValueNetwork
from tf_metamapg.estimators.dice import DiceEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.matrix import MatrixGame
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import tabular_policy


class VarianceTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(estimator_class=[DiceEstimator, LoadedDiceEstimator])
    def test_every_critic_lowers_the_variance(self, estimator_class):
        """Of the policy gradient, from 200 batches of K = 16; no difference of means exceeds 99.9% of chance."""
        game = IteratedMatrixGame(payoffs.prisoners_dilemma(), discount=0.9, dtype="float64")
        policies = [tabular_policy(game, agent) for agent in range(2)]
        n_tasks, keys = 200, random.root_keys([0])
        joint_params = adaptation.for_each_task(tuple(policy.initial_params([0]) for policy in policies), n_tasks)
        tasks = PayoffNoise(game, width=0.0).sample(keys, n_tasks)

        def estimator(critic):
            return estimator_class(game, policies, n_trajectories=16, horizon=20, critic=critic)

        # The network learns from other trajectories than those that it is tried with.
        earlier = estimator(NoBaseline).sample(joint_params, tasks, random.fold_in(keys, 1)).trajectory
        network = functools.partial(ValueNetwork, units=16, learning_rate=0.02)
        learned = fitted(network(game.spec, policies), [0], earlier, n_updates=150)

        gradients = []
        for critic in (NoBaseline, LeaveOneOutBaseline, LinearFeatureBaseline, network):
            one = estimator(critic)
            critic_params = adaptation.for_each_task(learned, n_tasks) if critic is network else ()
            link = links.sample_link(
                one, tuple(map(AgentState, joint_params)), tasks, keys, critic_params
            )
            objectives = links.Objectives(one, tasks, link)
            gradients.append(objectives.gradients(0, with_respect_to=0)[0].numpy()[0, :, :, 0])
        variances = [gradient.var(axis=0).sum() for gradient in gradients]
        for variance in variances[1:]:
            self.assertLess(variance, 0.1 * variances[0])
        # Fifteen means of 200 differences, all within z standard errors: z = Φ⁻¹(1 − 0.001 / 30) = 3.99.
        for gradient in gradients[1:]:
            difference = gradient - gradients[0]
            error = difference.std(axis=0, ddof=1) / np.sqrt(n_tasks)
            self.assertAllInRange(np.abs(difference.mean(axis=0)) / error, 0.0, 3.99)


class OneShotDilemmaTest(tf.test.TestCase, parameterized.TestCase):
    """What a critic changes of a meta-gradient: the prisoner's dilemma played once, θ = 0, inner steps of 1."""

    payoffs = payoffs.prisoners_dilemma()
    joint_actions = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])

    def trajectory(self, sets):
        """Sets of joint actions by their numbers, [S, K], as a Trajectory with fields [S, 1, K, 1]."""
        actions = self.joint_actions[sets][:, np.newaxis, :, np.newaxis]
        own_actions = [tf.constant(actions[..., agent], tf.int32) for agent in range(2)]
        rewards = [tf.constant(table[actions[..., 0], actions[..., 1]]) for table in self.payoffs]
        return Trajectory(tuple(map(tf.zeros_like, own_actions)), tuple(own_actions), tuple(rewards))

    def expected_meta_gradient(self, estimator_class, critic, size):
        """Agent 0's, by the estimator's own code on every set of K joint actions and every one after the update."""
        game = MatrixGame(self.payoffs, dtype="float64")
        policies = [tabular_policy(game, agent) for agent in range(2)]
        estimator = estimator_class(game, policies, n_trajectories=size, horizon=1, critic=critic)
        sets = np.array(list(itertools.combinations_with_replacement(range(4), size)))
        n_orders = np.array([
            math.factorial(size) / np.prod([math.factorial(list(one).count(action)) for action in range(4)])
            for one in sets
        ])
        n_chains, last = 4 * len(sets), np.tile(np.arange(4), len(sets))
        sets, n_orders = np.repeat(sets, 4, axis=0), np.repeat(n_orders, 4)
        keys = tf.zeros([n_chains, 2], tf.int64)  # nothing more is drawn
        tasks = tf.broadcast_to(tf.constant(self.payoffs), [n_chains, 1, 2, 2, 2])
        initial_states = tuple(AgentState((tf.zeros([n_chains, 1, 1, 1], tf.float64),)) for _ in range(2))

        def link(states, sets):
            params = tuple(state.params for state in states)
            return links.Link(states, estimator.make_sample(self.trajectory(sets), params), keys)

        first = link(initial_states, sets)
        agents = (PolicyGradient(1.0), PolicyGradient(1.0))
        updated = adaptation.inner_update(links.Objectives(estimator, tasks, first), agents, ((), ()))
        second = link(updated, last[:, np.newaxis])
        cooperation = [_sigmoid(state.params[0].numpy()[:, 0, 0, 0]) for state in updated]
        probs = n_orders / 4**size
        for agent, prob in enumerate(cooperation):
            probs = probs * np.where(self.joint_actions[last, agent] == 0, prob, 1.0 - prob)
        self.assertAllClose(np.sum(probs), 1.0, rtol=1e-12, atol=0.0)
        chain = adaptation.Chain(estimator, agents, ((), ()), tasks, (first, second), adaptation.identity)
        terms = theorem.meta_gradients(chain, 0, (0.0, 1.0))
        return probs @ terms.total.initial[0].numpy()[:, 0, 0]

    def sampled_meta_gradient(self, leave_one_out, size=4):
        """d/dθ⁰ of E[V⁰(φ)] by complex steps, where φ is a function of K sampled joint actions."""
        step = 1e-30
        theta, total = np.array([1j * step, 0.0]), 0.0
        prob = _sigmoid(theta)
        for one in itertools.product(self.joint_actions, repeat=size):
            actions, rewards = np.array(one), self.payoffs[:, np.array(one)[:, 0], np.array(one)[:, 1]].T
            baselines = (rewards.sum(axis=0) - rewards) / (size - 1) if leave_one_out else 0.0
            phi = theta + np.mean(((actions == 0) - prob) * (rewards - baselines), axis=0)
            (own, other), (payoff, _) = ([(p, 1.0 - p) for p in _sigmoid(phi)], self.payoffs)
            total += np.prod(np.where(actions == 0, prob, 1.0 - prob)) * (np.array(own) @ payoff @ np.array(other))
        return total.imag / step

    def test_of_sampled_inner_updates_it_is_part(self):
        """φ is computed with the critic, so that the meta-value of every critic is another function."""
        for leave_one_out, critic, expected in (
            (False, NoBaseline, -0.23595), (True, LeaveOneOutBaseline, -0.24089)
        ):
            gradient = self.expected_meta_gradient(ScoreFunctionEstimator, critic, 4)
            self.assertAllClose(gradient, self.sampled_meta_gradient(leave_one_out), rtol=1e-12, atol=0.0)
            self.assertAllClose(gradient, expected, rtol=0.0, atol=5e-6)
        gradient = self.expected_meta_gradient(ScoreFunctionEstimator, LinearFeatureBaseline, 4)
        self.assertAllClose(gradient, -0.24303, rtol=0.0, atol=5e-6)

    @parameterized.parameters(DiceEstimator, LoadedDiceEstimator)
    def test_of_expected_inner_updates_it_changes_the_bias(self, estimator_class):
        """It falls as 1/K with every critic, to the same meta-gradient."""
        step = 1e-30
        theta = np.array([1j * step, 0.0])
        # To cooperate costs −1, whatever the other does.
        phi = theta - _sigmoid(theta) * (1.0 - _sigmoid(theta))
        (own, other), payoff = ([np.array([p, 1.0 - p]) for p in _sigmoid(phi)], self.payoffs[0])
        limit = (own @ payoff @ other).imag / step
        self.assertAllClose(limit, -0.24613, rtol=0.0, atol=5e-6)
        for critic, expected_gradient in (
            (NoBaseline, -0.24058), (LeaveOneOutBaseline, -0.24089),
            (LinearFeatureBaseline, -0.24303),
        ):
            gradients = [self.expected_meta_gradient(estimator_class, critic, size) for size in (4, 8, 16)]
            self.assertAllClose(gradients[0], expected_gradient, rtol=0.0, atol=5e-6)
            biases = np.array(gradients) - limit
            self.assertAllInRange(biases[:-1] / biases[1:], 1.7, 3.1)


def _sigmoid(logits):
    return 1.0 / (1.0 + np.exp(-logits))


if __name__ == "__main__":
    tf.test.main()
