"""The package's simulators pass the tests for simulators."""

import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import testing


class InGraphSimulatorTest(testing.SimulatorTests, tf.test.TestCase):

    def make_simulator(self, tiny, policies, n_trajectories, horizon):
        return mapg.InGraphSimulator(tiny.game, policies, n_trajectories, horizon)


if __name__ == "__main__":
    tf.test.main()
