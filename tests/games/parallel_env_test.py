"""Proves that games of the package are environments of PettingZoo, by its own tests, and stay the same games."""

import contextlib
import copy
import io
import pickle
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
        doubled = 2.0 * game.default_tasks
        for task, factor in ((None, 1.0), (doubled, 2.0), (doubled.tolist(), 2.0)):
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


    def test_copies_go_on_from_where_they_were_made(self):
        env = mapg.to_parallel_env(games()["vectors"])
        env.reset(seed=7)
        joint_actions = [{"agent_0": np.float32([0.1 * t]), "agent_1": np.float32([t, -t])} for t in range(4)]
        for joint_action in joint_actions[:2]:
            env.step(joint_action)
        copies = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
        expected = [env.step(joint_action) for joint_action in joint_actions[2:]]
        for other in copies:
            played = [other.step(joint_action) for joint_action in joint_actions[2:]]
            tf.nest.map_structure(np.testing.assert_array_equal, played, expected)


class InputTest(tf.test.TestCase, parameterized.TestCase):

    def test_it_begins_with_a_reset(self):
        env = mapg.to_parallel_env(games()["dilemma"])
        for method, call in (("step", lambda: env.step({})), ("render", env.render)):
            with self.assertRaisesRegex(mapg.InvalidInputError, f"^GameEnv.{method} = .*: must be called after reset$"):
                call()

    def test_tasks_are_finite(self):
        for task in ([1.0, np.nan], np.array([np.inf, -2.0])):
            with self.assertRaisesRegex(mapg.InvalidInputError, "^to_parallel_env.task = .*: must be finite$"):
                mapg.to_parallel_env(games()["coins"], task)

    @parameterized.parameters(-1, 1.5, "seed", True)
    def test_seeds(self, seed):
        env = mapg.to_parallel_env(games()["dilemma"])
        allowed = rf"^GameEnv.reset\(seed\) = {seed!r}: must be an integer ≥ 0$"
        with self.assertRaisesRegex(mapg.InvalidInputError, allowed):
            env.reset(seed=seed)

    @parameterized.parameters(
        *(("dilemma", 0, one, "an integer in 0..1") for one in (2, -1, 0.0, np.nan, "C", None, [0], [0, 1], True)),
        *(("vectors", np.zeros(1), one, "finite numbers of shape (2,)") for one in (
            0.0, [0.0], [0.0] * 3, [[0.0, 0.0]], [0.0, np.nan], [np.inf, 0.0], "there", None, [[0.0], [0.0, 0.0]], {},
        )),
    )
    def test_actions_are_in_their_spaces(self, name, first, action, allowed):
        env = mapg.to_parallel_env(games()[name])
        env.reset(seed=0)
        seen = env.render()
        with self.assertRaises(mapg.InvalidInputError) as caught:
            env.step({"agent_0": first, "agent_1": action})
        self.assertRegex(str(caught.exception), r"^GameEnv.step\(actions\)\['agent_1'\] = [^\n]*: must be ")
        self.assertEndsWith(str(caught.exception), f": must be {allowed}")
        self.assertEqual(env.render(), seen)

    @parameterized.parameters(({"agent_0": 0},), ([0, 0],), (None,), ({},))
    def test_all_who_are_there_act(self, actions):
        env = mapg.to_parallel_env(games()["dilemma"])
        env.reset(seed=0)
        allowed = r"^GameEnv.step\(actions\) = .*: must be a dict of what agent_0, agent_1 do$"
        with self.assertRaisesRegex(mapg.InvalidInputError, allowed):
            env.step(actions)

    def test_actions_of_many_kinds(self):
        env, played = mapg.to_parallel_env(games()["vectors"]), []
        for actions in ([[1], (0, 2)], [np.float64([1.0]), np.int64([0, 2])], [tf.ones([1]), tf.constant([0.0, 2.0])]):
            env.reset(seed=0)
            played.append(env.step(dict(zip(env.agents, actions))))
        for other in played[1:]:
            tf.nest.map_structure(np.testing.assert_array_equal, other, played[0])


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
