"""Tests that every member of a kind must pass, those of this package and those of others.

Each is a mix-in for a `tf.test.TestCase`; say what is to be tested, and run it:

    class ReinforceTest(testing.EstimatorTests, tf.test.TestCase):

        def make_estimator(self, game, policies, n_trajectories, horizon):
            return Reinforce(game, policies, n_trajectories, horizon)
"""

from tf_metamapg.testing.agents import AgentTests
from tf_metamapg.testing.critics import CriticTests
from tf_metamapg.testing.estimators import EstimatorTests
from tf_metamapg.testing.games import GameTests
from tf_metamapg.testing.policies import PolicyTests
from tf_metamapg.testing.simulators import SimulatorTests

__all__ = ["AgentTests", "CriticTests", "EstimatorTests", "GameTests", "PolicyTests", "SimulatorTests"]
