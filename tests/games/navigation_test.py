"""Proves navigation against one in scalar Python."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import checks
from tf_metamapg.testing.modes import MODES


def walk(goal, pushes, radius, step_size, action_cost):
    """For each step (place, rewards, distance, efforts, whether it goes on) of pushes [T, n, 2]."""
    x, y = 0.0, 0.0
    for joint_push in pushes:
        limited = [[min(max(coordinate, -1.0), 1.0) for coordinate in push] for push in joint_push]
        x += step_size * sum(push[0] for push in limited) / len(limited)
        y += step_size * sum(push[1] for push in limited) / len(limited)
        efforts = [push[0] ** 2 + push[1] ** 2 for push in limited]
        squared = (x - goal[0]) ** 2 + (y - goal[1]) ** 2
        rewards = [-squared - action_cost * effort for effort in efforts]
        yield (x, y), rewards, squared**0.5, efforts, squared >= radius**2


class NavigationGameTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(mode=list(MODES), n_agents=[1, 2, 3])
    def test_against_scalar_python(self, mode, n_agents):
        rules = {"radius": 0.3, "step_size": 0.2, "action_cost": 0.05}
        game = mapg.NavigationGame(n_agents, dtype="float64", **rules)
        rng, shape = np.random.default_rng(n_agents), (2, 3, 4)
        goals = rng.uniform(-0.5, 0.5, size=[2, 3, 2])
        pushes = rng.normal(size=[15, n_agents, *shape, 2])
        step = MODES[mode](lambda state, *joint_action: game.step(goals, state, joint_action, tf.zeros([0, *shape])))
        metrics = MODES[mode](lambda state, *joint_action: game.metrics(goals, state, joint_action))
        state, ends = game.reset(goals, tf.zeros([0, *shape], tf.float64)), 0
        last = np.moveaxis(pushes, [0, 1], [3, 4])  # [S, N, K, T, n, 2]
        expected = {index: walk(goals[index[:2]], last[index], **rules) for index in np.ndindex(*shape)}
        for time in range(len(pushes)):
            joint_action = list(map(tf.constant, pushes[time]))
            measured = metrics(state, *joint_action)
            state, rewards, continues = step(state, *joint_action)
            for index, steps in expected.items():
                place, gains, distance, efforts, goes_on = next(steps)
                self.assertAllClose(state[index], place, rtol=1e-12, atol=1e-14)
                for agent in range(n_agents):
                    self.assertAllClose(rewards[agent][index], gains[agent], rtol=1e-12, atol=0.0)
                    self.assertAllClose(measured["distance"][agent][index], distance, rtol=1e-12, atol=0.0)
                    self.assertAllClose(measured["effort"][agent][index], efforts[agent], rtol=1e-12, atol=0.0)
                    self.assertEqual(continues[agent][index], goes_on)
                    self.assertAllEqual(game.observe(goals, state, agent), state)
                ends += not goes_on
        self.assertBetween(ends, 1, 15 * 24 - 1)

    def test_straight_to_the_goal(self):
        """If both push all they can, four steps of 0.1 come nearer than 0.1 to a goal at 0.45."""
        game = mapg.NavigationGame(2, goal=(0.45, 0.0), action_cost=0.5, dtype="float64")
        tasks = mapg.DefaultTasks(game).sample(mapg.random.root_keys([0]), 1)
        uniforms = tf.zeros([0, 1, 1, 1])
        for second, n_steps in ((1.0, 4), (0.0, 8), (-1.0, None)):
            joint_action = tuple(tf.constant([[[[push, 0.0]]]], tf.float64) for push in (1.0, second))
            state, lengths = game.reset(tasks, uniforms), None
            for time in range(1, 10):
                state, rewards, (goes_on, _) = game.step(tasks, state, joint_action, uniforms)
                # Whoever spares the effort is better off by what it costs.
                self.assertAllClose(rewards[1] - rewards[0], [[[0.5 * (1.0 - second**2)]]], rtol=0.0, atol=1e-12)
                if lengths is None and not goes_on[0, 0, 0]:
                    lengths = time
            self.assertEqual(lengths, n_steps)

    def test_means_are_over_the_steps_that_there_were(self):
        """From samples: with pushes of large deviation some episodes end early."""
        game = mapg.NavigationGame(goal=(0.2, 0.0), radius=0.15)
        policies = [mapg.mlp_policy(game, agent, hidden_units=[3]) for agent in range(2)]
        estimator = mapg.LoadedDiceEstimator(game, policies, n_trajectories=32, horizon=20)
        keys = mapg.random.root_keys([0])
        joint_params = mapg.for_each_task(tuple(policy.initial_params([0]) for policy in policies), n_tasks=2)
        tasks = mapg.PayoffNoise(game, width=0.1).sample(keys, 2)
        sample = estimator.sample(joint_params, tasks, keys)
        mask = sample.trajectory.mask[0].numpy()
        self.assertBetween(mask.mean(), 0.1, 0.9)
        distances = sample.trajectory.metrics["distance"][1].numpy()
        self.assertAllClose(
            estimator.metrics(joint_params, tasks, sample)["distance"][1],
            (distances * mask).sum(axis=(2, 3)) / mask.sum(axis=(2, 3)), rtol=1e-5, atol=0.0,
        )
        # It ends with the first step that comes near enough, and only there.
        last = mask & ~np.pad(mask[..., 1:], [[0, 0]] * 3 + [[0, 1]])
        is_near = distances < 0.15
        self.assertAllEqual(is_near & mask, is_near & last)
        self.assertTrue(np.all(is_near[last] | mask[..., -1:].repeat(20, axis=-1)[last]))

    def test_there_are_so_many_agents(self):
        game = mapg.NavigationGame(2)
        with self.assertRaisesRegex(checks.InvalidInputError, r"^agent_index = 2: must be in 0..1$"):
            game.observe((), game.reset((), tf.zeros([0, 1, 1, 1])), 2)


if __name__ == "__main__":
    tf.test.main()
