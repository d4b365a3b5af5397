"""Proves that what is drawn of policies are their action probabilities, means over tasks."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import contracts
from tf_metamapg.runs import strategies

GAME = mapg.IteratedMatrixGame(mapg.payoffs.rock_paper_scissors(), discount=0.9)
SEEDS, N_TASKS = [0, 1], 3


def params(policy, first_seed):
    """Other ones for each task."""
    drawn = [policy.initial_params([seed + first_seed + 10 * task for seed in SEEDS]) for task in range(N_TASKS)]
    return tuple(tf.stack(leaves, axis=1) for leaves in zip(*drawn))


class StrategiesTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters((mapg.tabular_policy, False), (mapg.mlp_policy, False), (mapg.lstm_policy, True))
    def test_probabilities(self, make_policy, is_recurrent):
        policy = make_policy(GAME, 1)
        both = params(policy, 0), params(policy, 5)
        found = strategies.strategy(policy, *both)
        self.assertEqual(found.is_recurrent, is_recurrent)
        observations = tf.broadcast_to(tf.range(10)[:, tf.newaxis], [len(SEEDS), N_TASKS, 10, 1])
        for probs, own in zip(found[:2], both):
            expected = policy.distribution(own, observations).probs_parameter()[:, :, :, 0]
            self.assertAllClose(probs, np.mean(expected, axis=1), rtol=0, atol=1e-6)
            self.assertAllClose(probs.sum(axis=-1), np.ones([2, 10]), rtol=0, atol=1e-6)

    @parameterized.parameters(
        (contracts.Box((5, 5, 3)), contracts.Discrete(2), "what it sees is an array of shape (5, 5, 3)"),
        (contracts.Discrete(65), contracts.Discrete(2), "it sees one of 65 things, and a picture has room for 64"),
        (contracts.Discrete(64), contracts.Box((2,)), "what it does is an array of shape (2,)"),
        (contracts.Discrete(64), contracts.Discrete(9), "it has 9 actions, and there is room for 8"),
        (contracts.Discrete(64), contracts.Discrete(8), None),
    )
    def test_obstacles(self, observation, action, expected):
        class Policy:
            spec = contracts.AgentSpec(observation, action, "float32")

        self.assertEqual(strategies.obstacle(Policy()), expected)


if __name__ == "__main__":
    tf.test.main()
