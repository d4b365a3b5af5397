"""The package's simulators pass the tests for simulators."""

import functools

import tensorflow as tf

from tests.simulators.host_envs import Tables
import tf_metamapg as mapg
from tf_metamapg import testing


class InGraphSimulatorTest(testing.SimulatorTests, tf.test.TestCase):

    def make_simulator(self, tiny, policies, n_trajectories, horizon):
        return mapg.InGraphSimulator(tiny.game, policies, n_trajectories, horizon)


class HostSimulatorTest(testing.SimulatorTests, tf.test.TestCase):

    def make_simulator(self, tiny, policies, n_trajectories, horizon):
        spec = tiny.game.spec
        ends = 0.0 * tiny.payoffs[0] if tiny.ends is None else tiny.ends
        make_env = functools.partial(Tables, tiny.payoffs, tiny.transitions, tiny.start, ends)
        game = mapg.ParallelEnvGame(make_env, spec.discount, spec.dtype, spec.name)
        return mapg.HostSimulator(game, policies, n_trajectories, horizon)


if __name__ == "__main__":
    tf.test.main()
