"""Games that are played outside of the graph: only the parts are compiled, and the numbers are the same."""

from absl.testing import parameterized
import numpy as np
import pytest
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg.training import learning
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer

pytestmark = pytest.mark.slow


class OutsideSimulator(mapg.InGraphSimulator):
    """Plays in Python, where nothing is a symbol."""

    in_graph = False

    def sample(self, joint_params, tasks, keys):
        assert tf.executing_eagerly()
        for leaf in tf.nest.flatten((joint_params, tasks, keys)):
            leaf.numpy()
        return super().sample(joint_params, tasks, keys)


def trainer(simulator, jit_compile, agents, critic, n_blocks):
    game = mapg.IteratedMatrixGame(mapg.prisoners_dilemma(), dtype="float64")
    policies = [mapg.tabular_policy(game, agent) for agent in range(2)]
    problem = Problem(
        game=game, policies=policies, agents=agents, task_distribution=mapg.PayoffNoise(game),
        estimator=mapg.LoadedDiceEstimator(game, policies, 4, 5, critic=critic, simulator=simulator),
    )
    settings = TrainerSettings(chain_length=2, n_tasks=2, jit_compile=jit_compile, n_blocks=n_blocks)
    return MetaTrainer(problem, settings, [0, 3])


class OutsideGraphTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(
        (False, (mapg.MetaMAPG(0.5), mapg.PolicyGradient(0.5, mapg.Adam(epsilon=0.1))), mapg.LeaveOneOutBaseline, 1),
        # Each task of each seed is a block of its own.
        (True, (mapg.MetaMAPG(mapg.LearnedRates(0.5)), mapg.LOLATaylor(0.5, 0.3)), mapg.ValueNetwork, 4),
        # Who plays while looking ahead is not compiled.
        (True, (mapg.LOLADiCE(0.5, 0.3, 2), mapg.PolicyGradient(0.5)), mapg.NoBaseline, 2),
        (False, (mapg.MetaMAPG(0.5), mapg.LOLADiCE(0.5, 0.3)), mapg.LeaveOneOutBaseline, 2),
    )
    def test_meta_updates_and_evaluation_are_the_same(self, jit_compile, agents, critic, n_blocks):
        results = []
        for simulator in (mapg.InGraphSimulator, OutsideSimulator):
            one = trainer(simulator, jit_compile, agents, critic, n_blocks)
            one.trace()
            metrics = [one.step() for _ in range(2)]
            evaluation = learning.evaluate(one, mapg.random.META_TEST, 3, 2).mean_reward
            results.append([metrics, evaluation, one.meta_param_values()])
        tf.nest.map_structure(lambda one, two: np.testing.assert_allclose(one, two, rtol=1e-9), *results)


if __name__ == "__main__":
    tf.test.main()
