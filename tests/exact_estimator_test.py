"""Proves that exact objectives and their derivatives are those of the value, by power series."""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import oracle
from tests.trajectory_sets import tape_derivatives
from tf_metamapg import random
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.policies.tabular import tabular_policy


def _endless_values(payoffs, logits, discount=0.8):
    """V of two agents with two actions, the sum over time until γ^t is nothing; for complex logits, too."""
    joint_actions = list(itertools.product(range(2), repeat=2))
    cooperate = 1 / (1 + np.exp(-logits))

    def probability(joint_action, first_sees, second_sees):
        first, second = cooperate[0, first_sees], cooperate[1, second_sees]
        return (second if joint_action[1] == 0 else 1 - second) * (first if joint_action[0] == 0 else 1 - first)

    distribution = np.array([probability(after, 0, 0) for after in joint_actions])
    # The second agent sees CD and DC swapped.
    transitions = np.array(
        [[probability(after, 1 + 2 * a + b, 1 + 2 * b + a) for after in joint_actions] for a, b in joint_actions]
    )
    values, weight = 0.0, 1.0
    while weight > 1e-18:
        values = values + weight * (payoffs.reshape(2, 4) @ distribution)
        distribution, weight = distribution @ transitions, weight * discount
    return values


class ExactTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(0)
        self.tables, self.logits = rng.normal(size=[2, 3, 2, 2, 2]), rng.normal(size=[2, 3, 2, 5])
        game = IteratedMatrixGame(self.tables[0, 0], 0.8, dtype="float64")
        self.estimator = ExactEstimator(game, [tabular_policy(game, agent) for agent in range(2)])
        self.joint_params = tuple((tf.constant(self.logits[:, :, agent, :, np.newaxis]),) for agent in range(2))

    def test_objectives_and_values_are_the_values_of_the_game(self):
        tasks = tf.constant(self.tables)
        objectives = self.estimator.objectives(self.joint_params, tasks, ())
        values = self.estimator.values(self.joint_params, tasks, ())
        average_rewards = self.estimator.average_rewards(self.joint_params, tasks, ())
        for s, n in np.ndindex(2, 3):
            expected = _endless_values(self.tables[s, n], self.logits[s, n])
            for agent in range(2):
                self.assertAllClose(objectives[agent][s, n], expected[agent], rtol=1e-12, atol=0.0)
                self.assertAllClose(values[agent][s, n], expected[agent], rtol=1e-12, atol=0.0)
                self.assertAllClose(average_rewards[agent][s, n], (1 - 0.8) * expected[agent], rtol=1e-12, atol=0.0)

    def test_first_and_second_derivatives(self):
        table, logits = self.tables[1, 2], self.logits[1, 2]

        def objectives(leaves):
            joint_params = tuple((leaf[tf.newaxis, tf.newaxis, :, tf.newaxis],) for leaf in leaves)
            tasks = tf.constant(table[np.newaxis, np.newaxis])
            return [value[0, 0] for value in self.estimator.objectives(joint_params, tasks, ())]

        gradients, hessians = tape_derivatives(objectives, [tf.constant(own) for own in logits])
        expected_gradients, expected_hessians = oracle.derivatives(lambda moved: _endless_values(table, moved), logits)
        for value, agent, other in itertools.product(range(2), repeat=3):
            self.assertAllClose(gradients[value][agent], expected_gradients[value, agent], rtol=0.0, atol=1e-12)
            expected = expected_hessians[value, agent, :, other]
            self.assertGreater(np.abs(expected).max(), 0.01)
            self.assertAllClose(hessians[value][agent][other], expected, rtol=0.0, atol=1e-9)

    def test_average_rewards_of_the_prisoners_dilemma(self):
        table = np.array([[[-1.0, -3.0], [0.0, -2.0]], [[-1.0, 0.0], [-3.0, -2.0]]])
        game = IteratedMatrixGame(table, dtype="float64")
        estimator = ExactEstimator(game, [tabular_policy(game, agent) for agent in range(2)])
        for logits, expected in (
            ([0, 0, 0, 0, 0], -1.5), ([-999] * 5, -2), ([999, 999, -999, 999, -999], -1)  # tit for tat
        ):
            params = (tf.constant(logits, tf.float64)[tf.newaxis, tf.newaxis, :, tf.newaxis],)
            for average_reward in estimator.average_rewards((params, params), tf.constant(table[None, None]), ()):
                self.assertAllClose(average_reward, [[expected]], rtol=1e-12, atol=0.0)

    def test_nothing_is_sampled(self):
        keys = random.root_keys(range(2))
        self.assertEqual(self.estimator.sample(self.joint_params, tf.constant(self.tables), keys), ())
        self.assertEqual(self.estimator.n_steps, 0)

    def test_current_policy_objective_is_zero(self):
        later_values = tf.constant(np.random.default_rng(1).normal(size=[2, 3]))
        objective = self.estimator.current_policy_objective(self.joint_params, (), 0, later_values)
        self.assertEqual(objective.dtype, tf.float64)
        self.assertAllEqual(objective, np.zeros([2, 3]))


if __name__ == "__main__":
    tf.test.main()
