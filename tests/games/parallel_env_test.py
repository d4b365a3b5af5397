"""Proves that games of the package are environments of PettingZoo, by its own tests, and stay the same games."""

import contextlib
import copy
import io
import sys
from unittest import mock
import warnings

from absl.testing import parameterized
import numpy as np
import pettingzoo
from pettingzoo.test import parallel_api_test
from pettingzoo.test import parallel_seed_test
import tensorflow as tf

from tests import tiny_game
import tf_metamapg as mapg


def games():
    """Matrices, tables with an end, agents that leave apart, vectors and images."""
    return {
        "dilemma": mapg.IteratedMatrixGame(mapg.prisoners_dilemma()),
        "one_step": mapg.MatrixGame(mapg.public_goods(3)),
        "together": tiny_game.TinyGame(2, 1, 0.9, "together").game,
        "apart": tiny_game.TinyGame(3, 1, 0.9, "apart").game,
        "vectors": mapg.LinearQuadraticGame(
            0.5 * np.eye(2), [np.ones([2, 1]), np.eye(2)], np.stack([np.eye(2)] * 2), np.ones(2), noise=0.1
        ),
        "coins": mapg.CoinGame(mapg.lola_rules()),
    }


class ApiTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(*games())
    def test_pettingzoos_own_tests(self, name):
        game = games()[name]
        env = mapg.to_parallel_env(game, horizon=25)
        self.assertIsInstance(env, pettingzoo.ParallelEnv)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("error")
            parallel_api_test(env, num_cycles=100)
            parallel_seed_test(lambda: mapg.to_parallel_env(game, horizon=25), num_cycles=50)

    @parameterized.parameters(*games())
    def test_what_is_seen_is_in_its_space(self, name):
        env = mapg.to_parallel_env(games()[name], horizon=7)
        seen, infos = env.reset(seed=3)
        self.assertEqual(infos, {agent: {} for agent in env.possible_agents})
        n_steps = 0
        while env.agents:
            for agent in env.agents:
                self.assertTrue(env.observation_space(agent).contains(seen[agent]), seen[agent])
                env.action_space(agent).seed(n_steps)
            seen, rewards, terminated, truncated, _ = env.step(
                {agent: env.action_space(agent).sample() for agent in env.agents}
            )
            n_steps += 1
            for agent in rewards:
                self.assertIsInstance(rewards[agent], float)
                self.assertFalse(terminated[agent] and truncated[agent])
                self.assertEqual(truncated[agent], n_steps == 7 and not terminated[agent])
                self.assertTrue(env.observation_space(agent).contains(seen[agent]), seen[agent])
        self.assertLessEqual(n_steps, 7)


class SameGameTest(tf.test.TestCase):

    def test_rewards_of_the_dilemma_and_of_another_task(self):
        game = mapg.IteratedMatrixGame(mapg.prisoners_dilemma())
        for task, factor in ((None, 1.0), (2.0 * game.default_tasks, 2.0)):
            env = mapg.to_parallel_env(game, task, horizon=2)
            seen, _ = env.reset()
            self.assertEqual(seen, {"agent_0": 0, "agent_1": 0})
            seen, rewards, _, truncated, _ = env.step({"agent_0": 0, "agent_1": 1})
            self.assertEqual(seen, {"agent_0": 2, "agent_1": 3})
            self.assertEqual(rewards, {"agent_0": -3.0 * factor, "agent_1": 0.0})
            self.assertFalse(any(truncated.values()))
            *_, truncated, _ = env.step({"agent_0": 0, "agent_1": 1})
            self.assertEqual((truncated, env.agents), ({"agent_0": True, "agent_1": True}, []))

    def test_metrics_are_in_infos(self):
        env = mapg.to_parallel_env(tiny_game.TinyGame(2, 1, 0.9, "apart").game)
        env.reset(seed=0)
        *_, infos = env.step({"agent_0": 0, "agent_1": 1})
        self.assertEqual(infos, {"agent_0": {"first_action": 1.0}, "agent_1": {"first_action": 0.0}})

    def test_without_a_seed_episodes_go_on_at_random(self):
        env = mapg.to_parallel_env(tiny_game.TinyGame(2, 1, 0.9, "together").game)
        starts = []
        for seed in (7, None, None, None, None, 7, None, None, None, None):
            starts.append(env.reset(seed=seed)[0]["agent_0"])
        self.assertEqual(starts[:5], starts[5:])
        self.assertLen(set(starts), 2)
        # A copy has random numbers of its own from its next seed on.
        other = copy.copy(env)
        other.reset(seed=7)
        self.assertEqual([other.reset()[0]["agent_0"] for _ in range(4)], starts[1:5])


class RenderTest(tf.test.TestCase):

    def test_a_person_can_read_it(self):
        game = mapg.IteratedMatrixGame(mapg.prisoners_dilemma(), name="dilemma")
        env = mapg.to_parallel_env(game, horizon=2, render_mode="ansi")
        env.reset()
        self.assertEqual(env.render(), "dilemma: step 0 of 2\nagent_0: sees 0\nagent_1: sees 0")
        env.step({"agent_0": 0, "agent_1": 1})
        self.assertEqual(
            env.render(),
            "dilemma: step 1 of 2\nagent_0: saw 0, did 0, got -3.0, sees 2\nagent_1: saw 0, did 1, got 0.0, sees 3",
        )
        env.step({"agent_0": 0, "agent_1": 1})
        self.assertEndsWith(env.render(), "agent_1: saw 3, did 1, got 0.0, has left")

    def test_it_is_printed(self):
        env = mapg.to_parallel_env(games()["coins"], render_mode="human")
        env.reset(seed=0)
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            self.assertIsNone(env.render())
        self.assertLen(stdout.getvalue().splitlines(), 3)


class ExtrasTest(tf.test.TestCase, parameterized.TestCase):
    """What is missing is named in one line, with what brings it."""

    @parameterized.parameters(
        (lambda: mapg.to_parallel_env(games()["dilemma"]), "pettingzoo", "pettingzoo"),
        (lambda: mapg.ParallelEnvGame(lambda: None), "pettingzoo", "pettingzoo"),
        (lambda: mapg.pettingzoo_env("gymnasium_robotics.mamujoco_v1.parallel_env"), "gymnasium_robotics", "mujoco"),
    )
    def test_what_is_not_installed(self, make, package, extra):
        with mock.patch.dict(sys.modules, {package: None}), self.assertRaises(mapg.InvalidInputError) as caught:
            make()
        expected = f"{package}: must be installed, as by pip install 'tf_metamapg[{extra}]'"
        self.assertEqual(str(caught.exception), expected)

    def test_names(self):
        make_env = mapg.pettingzoo_env("tests.simulators.host_envs.Leaving", {"trap": True})
        self.assertEqual(str(make_env()), "leaving")
        for name in ("tests.simulators.host_envs.Arriving", "tests.simulators", "", "tests..x", ".tests", "tests."):
            with self.subTest(name), self.assertRaisesRegex(
                mapg.InvalidInputError, f"^pettingzoo_env.function = '{name}': must be the full name of a function that"
            ):
                mapg.pettingzoo_env(name)
        with self.assertRaisesRegex(mapg.InvalidInputError, "^no_such_package_at_all: must be installed$"):
            mapg.pettingzoo_env("no_such_package_at_all.parallel_env")


if __name__ == "__main__":
    tf.test.main()
