"""Proves that what environments of a game of one's own say is refused in one line where it is not as the spec says."""

import re

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tf_metamapg as mapg

B = 4


class Own:
    """A game of two agents, of whom one sees vectors and one numbers, and what it says is as one wants."""

    default_tasks = ()

    def __init__(self, ends=False, environments=None, **told):
        self.spec = mapg.GameSpec(
            name="own", discount=0.9, dtype="float32", observations=(mapg.Box((3,)), mapg.Discrete(5)),
            actions=(mapg.Discrete(2),) * 2, ends=ends,
        )
        self._environments, self._told = environments, told

    def make_environments(self, n_workers):
        return self._environments or OwnEnvironments(**self._told)


class OwnEnvironments:

    def __init__(self, start=None, seen=None, rewards=None, present=None, step=None):
        right = np.zeros([B, 3]), np.full([B], 4)
        self._start = right if start is None else start
        seen = right if seen is None else seen
        rewards = np.ones([2, B]) if rewards is None else rewards
        present = np.ones([2, B], bool) if present is None else present
        self._step = (seen, rewards, present) if step is None else step

    def reset(self, seeds):
        return self._start

    def step(self, joint_action):
        return self._step


def play(game):
    policies = [mapg.mlp_policy(game, agent) for agent in range(2)]
    params = mapg.for_each_task(tuple(policy.initial_params([0]) for policy in policies), 1)
    return mapg.HostSimulator(game, policies, B, 3).sample(params, (), mapg.random.root_keys([0]))


VECTORS, NUMBERS = np.zeros([B, 3]), np.zeros([B], int)


class CheckedTest(tf.test.TestCase, parameterized.TestCase):

    def test_what_is_right_is_played(self):
        trajectory = play(Own())
        self.assertAllEqual(trajectory.observations[1], np.full([1, 1, B, 3], 4))
        self.assertAllEqual(trajectory.rewards[0], np.ones([1, 1, B, 3]))
        # One has left from the start on, and all after a step.
        present = np.array([[False] * B, [True] * B])
        self.assertAllEqual(play(Own(ends=True, present=present)).mask[0][0, 0, 0], [True, False, False])
        self.assertAllEqual(play(Own(ends=True, present=present)).mask[1][0, 0, 0], [True, True, True])
        self.assertAllEqual(play(Own(ends=True, present=present & False)).mask[1][0, 0, 0], [True, False, False])

    @parameterized.parameters(
        ({"environments": 3}, " = 3: must be the environments of a game; see contracts.Environments"),
        ({"start": 3}, ".reset(...) = 3: must be a tuple of 2, an array for each agent"),
        ({"start": (VECTORS,)}, ".reset(...) = (float64 [4, 3],): must be a tuple of 2, an array for each agent"),
        ({"start": (VECTORS[:1], NUMBERS)}, ".reset(...)[0] = float64 [1, 3]: must be an array [4, 3] of numbers"),
        ({"start": ("there", NUMBERS)}, ".reset(...)[0] = 'there': must be an array [4, 3] of numbers"),
        ({"start": (VECTORS, NUMBERS - 1)}, ".reset(...)[1] = -1: must be in 0..4, see GameSpec.observations"),
        ({"seen": (VECTORS, NUMBERS + 5)}, ".step(...)[0][1] = 5: must be in 0..4, see GameSpec.observations"),
        ({"seen": (VECTORS, 0.5 + NUMBERS)}, ".step(...)[0][1] = float64 [4]: must be an array [4] of whole numbers"),
        ({"seen": (VECTORS * np.nan, NUMBERS)}, ".step(...)[0][0] = nan: must be finite, also as float32"),
        ({"seen": (VECTORS + 1e300, NUMBERS)}, ".step(...)[0][0] = 1e+300: must be finite, also as float32"),
        ({"step": 3}, ".step(...) = 3: must be what agents see, rewards and whether agents go on"),
        ({"rewards": np.ones([B])}, ".step(...)[1] = float64 [4]: must be an array [2, 4] of numbers"),
        ({"rewards": np.full([2, B], np.inf)}, ".step(...)[1] = inf: must be finite, also as float32"),
        ({"present": np.ones([2, B], int)}, ".step(...)[2] = int64 [2, 4]: must be an array [2, 4] of bools"),
        ({"present": np.zeros([2, B], bool)}, ".step(...)[2] = False: must be True for all, as the game's spec .*"),
    )
    def test_what_is_wrong_is_refused(self, told, expected):
        said = re.escape(f"Own.make_environments(...){expected}").replace(r"\.\*", ".*")
        with self.assertRaisesRegex(mapg.InvalidInputError, f"^{said}$"):
            play(Own(**told))

    def test_nobody_comes_back(self):
        environments = OwnEnvironments()
        answers = [(*environments.step(())[:2], np.full([2, B], here)) for here in (True, False, True)]
        answers[1][2][0, 0] = True
        environments.step = lambda joint_action: answers.pop(0)
        allowed = r"^Own.make_environments\(...\).step\(...\)\[2\] = True: must be False for an agent that has left$"
        with self.assertRaisesRegex(mapg.InvalidInputError, allowed):
            play(Own(ends=True, environments=environments))

    def test_what_who_has_left_sees_does_not_count(self):
        seen = np.array([[np.nan] * 3] * B), NUMBERS
        play(Own(ends=True, seen=seen, present=np.array([[False] * B, [True] * B])))


if __name__ == "__main__":
    tf.test.main()
