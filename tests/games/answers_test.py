"""Proves that environments of PettingZoo that do not keep what they must are refused in one line that says what."""

import functools
import importlib

from absl.testing import parameterized
from gymnasium import spaces
import numpy as np
import tensorflow as tf

from tests.simulators.host_envs import Plain
import tf_metamapg as mapg

NOTHING = {"only": False}


def told_by(make_env, attributes):
    """An environment some of whose attributes and methods are others."""
    env = make_env()
    vars(env).update({"agents": ["only"], **attributes})
    return env


def saying(first, later, reward=0.0):
    """Methods of an environment that says what is seen at first and later."""
    return {
        "reset": lambda seed: ({"only": first}, {}),
        "step": lambda actions: ({"only": later}, {"only": reward}, NOTHING, NOTHING, {}),
    }


class AnswersTest(tf.test.TestCase, parameterized.TestCase):

    def refused(self, allowed):
        return self.assertRaisesRegex(
            mapg.InvalidInputError, f"^ParallelEnvGame.make_env = [^\n]*: must be a function that makes {allowed}$"
        )

    def play(self, attributes, make_env=Plain):
        """What is seen by two environments after a step."""
        game = mapg.ParallelEnvGame(functools.partial(told_by, make_env, attributes))
        environments = game.make_environments(1)
        environments.reset(np.array([0, 1]))
        return environments.step([np.zeros([2], np.int32)])

    def test_what_cannot_be_made(self):
        with self.refused("an environment; here TypeError: .* unexpected .* 'height'"):
            mapg.ParallelEnvGame(functools.partial(Plain, height=3))
        with self.refused("an environment; here ModuleNotFoundError: No module named 'nowhere'"):
            mapg.ParallelEnvGame(lambda: importlib.import_module("nowhere"))

    @parameterized.parameters(
        (3, "3"), (["only", "only"], r"\['only', 'only'\]"), ([["only"]], r"\[\['only'\]\]"), ({"only"}, "{'only'}")
    )
    def test_names_of_agents(self, names, shown):
        with self.refused(f"one that says at once who plays, .* a list of different names; here {shown}"):
            self.play({"possible_agents": names})

    def test_no_spaces(self):
        with self.refused("one that has an observation_space and an .* for each agent; here TypeError: 'NoneType' .*"):
            self.play({"_spaces": None})

    @parameterized.named_parameters(
        ("no_seed", {"reset": lambda: ({}, {})}, r"one that begins .* reset\(seed=...\), .* TypeError: .* 'seed'"),
        ("no_agents", {"reset": lambda seed: 1 / 0}, r"one that begins .* here ZeroDivisionError: division by zero"),
        ("no_infos", {"reset": lambda seed: {}}, r"one whose reset\(seed=...\) returns observations, infos; here {}"),
        ("none_seen", {"reset": lambda seed: ({}, {})}, "one with observations of 'only' as long as .* there; here {}"),
        ("seen_as_list", {"reset": lambda seed: ([0], {})}, r"one with observations of 'only' as .*; here \[0\]"),
        ("four_of_five", {"step": lambda _: ({},) * 4}, r"one whose step\(actions\) returns .*; here \({}, {}, .*\)"),
        ("nothing", {"step": lambda _: None}, "one whose .* rewards, terminations, truncations, infos; here None"),
        ("nothing_got", {"step": lambda _: ({},) * 5}, "one with rewards of 'only' as long as that is there; here {}"),
        ("no_flags", {"step": lambda _: ({}, {"only": 1}, {}, {}, {})}, "one with terminations of 'only' .* here {}"),
        ("nothing_seen", {"step": lambda _: ({}, {"only": 1}, NOTHING, NOTHING, {})}, "one with observations of .*"),
    )
    def test_what_methods_return(self, methods, allowed):
        with self.refused(allowed):
            self.play(methods)

    @parameterized.parameters(
        (spaces.Discrete(2), (2, -1, 0.5, np.nan, None, 10**30), r"that are in their space, Discrete\(2\); here .*"),
        (spaces.Discrete(2, start=1), (0, 3), r"that are in their space, Discrete\(2, start=1\); here .*"),
        (spaces.Discrete(2), ("none", {}, [1]), "of 'only' that are one number; here .*"),
        (spaces.MultiDiscrete([2, 3]), ([1, 3], [-1, 0], [0.5, 0]), r"in their space, MultiDiscrete\(.*; here \[.*\]"),
        (spaces.Box(0, 1, (2,)), ([0.5], 0.5, [[0.5, 0.5]], "none", None), r"of .* numbers of shape \(2,\); here .*"),
        (spaces.Box(0, 1, (2,)), ([0, np.nan], [np.inf, 0]), "that are finite, also as float32; here (nan|inf)"),
        (spaces.Box(-1, 1, (1,), np.float64), ([1e39],), r"that are finite, also as float32; here 1e\+39"),
    )
    def test_what_is_seen_is_as_its_space_says(self, space, outside, allowed):
        space.seed(0)
        inside, make_env = space.sample(), functools.partial(Plain, seen=space)
        self.play(saying(inside, inside), make_env)
        for value in outside:
            for methods in (saying(value, inside), saying(inside, value)):
                with self.refused(f"one with observations [^\n]*{allowed}"):
                    self.play(methods, make_env)

    @parameterized.parameters(
        (np.nan, "that are finite, also as float32; here nan"),
        (-np.inf, "that are finite, also as float32; here -inf"),
        (1e300, r"that are finite, also as float32; here 1e\+300"),
        ("much", "of 'only' that are one number; here 'much'"),
        (np.ones(1), r"of 'only' that are one number; here array\(\[1.\]\)"),
    )
    def test_rewards_are_numbers(self, reward, allowed):
        with self.refused(f"one with rewards {allowed}"):
            self.play(saying(0, 0, reward))

    def test_numbers_beyond_the_bounds_and_the_dtype_of_a_box(self):
        """As policies know no bounds, they see what there is to be seen."""
        seen = np.array([300, -1])
        make_env = functools.partial(Plain, seen=spaces.Box(0, 255, (2,), np.uint8))
        (after,), _, _ = self.play(saying(seen, seen), make_env)
        self.assertAllEqual(after, [[300.0, -1.0]] * 2)

    def test_one_environment_for_all(self):
        env = Plain()
        with self.refused("a new environment each time; here it makes the same one again"):
            self.play({}, lambda: env)

    def test_a_name_that_is_too_long_is_shortened(self):
        env = functools.partial(told_by, Plain, {"metadata": {"name": "long\n" * 100}})
        name = mapg.ParallelEnvGame(env).spec.name
        self.assertRegex(name, r"^long long .* \.\.\. .* long$")
        self.assertLen(name, 100)


if __name__ == "__main__":
    tf.test.main()
