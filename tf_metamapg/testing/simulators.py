"""What every simulator must keep."""

import numpy as np
import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.games.tasks import DefaultTasks
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.testing.tiny_games import TinyGame

N_TRAJECTORIES, HORIZON = 4000, 2


class SimulatorTests:
    """Tests of a simulator that can play `tiny_games.TinyGame`; mix them into a `tf.test.TestCase`."""

    def make_simulator(self, tiny, policies, n_trajectories, horizon):
        """The simulator under test, for the game of a `TinyGame`."""
        raise NotImplementedError

    def _sample(self, key=0, n_seeds=1, n_tasks=1, n_trajectories=N_TRAJECTORIES):
        tiny = TinyGame(2, ends=True)
        simulator = self.make_simulator(tiny, tiny.policies, n_trajectories, HORIZON)
        joint_params = tuple(
            (tf.broadcast_to(leaf, [n_seeds, n_tasks, *leaf.shape[2:]]),) for (leaf,) in tiny.joint_params
        )
        keys = random.fold_in(random.root_keys(range(n_seeds)), key)
        return tiny, simulator.sample(joint_params, DefaultTasks(tiny.game).sample(keys, n_tasks), keys)

    def test_it_is_a_simulator(self):
        tiny = TinyGame(2, ends=True)
        policies = [tabular_policy(tiny.game, agent) for agent in range(2)]
        simulator = self.make_simulator(tiny, policies, 3, HORIZON)
        self.assertIsInstance(simulator, contracts.Simulator)
        self.assertEqual((simulator.n_trajectories, simulator.horizon), (3, HORIZON))
        self.assertEqual(simulator.spec, tiny.game.spec)

    def test_shapes(self):
        for n_seeds, n_tasks in ((1, 1), (2, 1), (1, 2), (2, 3)):
            tiny, trajectory = self._sample(0, n_seeds, n_tasks, 3)
            self.assertLen(trajectory.mask, 2)
            for leaf in tf.nest.flatten(trajectory):
                self.assertEqual(leaf.shape[:4], [n_seeds, n_tasks, 3, HORIZON])

    def test_the_same_keys_are_the_same_trajectories(self):
        (_, first), (_, again), (_, other) = self._sample(0), self._sample(0), self._sample(1)
        tf.nest.map_structure(np.testing.assert_array_equal, first, again)
        self.assertTrue(np.any(first.actions[0] != other.actions[0]))

    def test_trajectories_are_as_frequent_as_they_are_probable(self):
        """Within five standard errors, each of those that are possible; of fixed keys."""
        tiny, trajectory = self._sample()

        def names(fields):
            """One integer for each trajectory: where padded steps are zero, these fields say which one it is."""
            codes = 0
            for field in fields:
                for step in np.moveaxis(np.asarray(field), -1, 0):
                    codes = 2 * codes + step.astype(np.int64).ravel()
            return codes

        def fields(one):
            return (*one.mask[:1], *one.observations[:1], *one.actions)

        expected = names(fields(tiny.trajectory))
        frequencies = np.array([(names(fields(trajectory)) == code).mean() for code in expected])
        probs = tiny.probs(tiny.joint_params).numpy()
        self.assertNear(frequencies.sum(), 1.0, 1e-9)
        allowed = 5.0 * np.sqrt(probs * (1.0 - probs) / N_TRAJECTORIES) + 1.0 / N_TRAJECTORIES
        # Ended at the last step or not, a trajectory looks the same.
        self.assertTrue(np.all(np.abs(frequencies - probs) <= allowed))

    def test_rewards_are_those_of_the_game(self):
        tiny, trajectory = self._sample()
        for agent, rewards in enumerate(trajectory.rewards):
            returns = np.dot(rewards, tiny.game.spec.discount ** np.arange(HORIZON))
            expected = float(tiny.values(tiny.joint_params)[agent])
            self.assertNear(returns.mean(), expected, 5.0 * returns.std() / N_TRAJECTORIES**0.5)
