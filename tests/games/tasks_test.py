"""Proves that tasks are what they are said to be.

Payoff noise is U(−width, width), independent between seeds, phases, tasks and payoffs.
"""

import math

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.games import matrix
from tf_metamapg.games import payoffs
from tf_metamapg.games import tasks
from tf_metamapg.numerics import random


def _game(dtype="float64"):
    return matrix.IteratedMatrixGame(payoffs.prisoners_dilemma(), dtype=dtype)


def _noise(width, keys, n_tasks):
    """What was added to the payoffs: array [S, N, 2, 2, 2]."""
    return tasks.PayoffNoise(_game(), width).sample(keys, n_tasks).numpy() - payoffs.prisoners_dilemma()


class Weather:
    """A game of which nobody knows anything but its tasks."""

    def __init__(self, default_tasks, dtype="float64"):
        self.spec = contracts.GameSpec(
            name="weather", discount=0.9, dtype=dtype, observations=[contracts.Discrete(1)],
            actions=[contracts.Discrete(2)],
        )
        self.default_tasks = default_tasks


# Tasks of several parts, of which some are no floating numbers.
PARTS = {"wind": np.array([[0.1, 0.2, 0.3]]), "rain": (3, np.float32(0.5)), "dry": np.array([True, False])}


class DefaultTasksTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters("float32", "float64")
    def test_tasks_of_several_parts(self, dtype):
        game = Weather(PARTS, dtype)
        sampled = tasks.DefaultTasks(game).sample(random.root_keys(range(2)), 3)
        tf.nest.assert_same_structure(sampled, PARTS)
        for leaf, own, own_dtype in zip(
            tf.nest.flatten(sampled), tf.nest.flatten(PARTS), (tf.bool, tf.int64, dtype, dtype)
        ):
            own = np.asarray(own, tf.as_dtype(own_dtype).as_numpy_dtype)
            self.assertEqual(leaf.dtype, own_dtype)
            self.assertAllEqual(leaf, np.broadcast_to(own, [2, 3, *own.shape]))
        # They are those that the game is asked with.
        checked = arguments.tasks("tasks", sampled, game, [2, 3])
        tf.nest.map_structure(self.assertAllEqual, checked, sampled)

    def test_tasks_that_cannot_differ(self):
        self.assertEqual(tasks.DefaultTasks(Weather(())).sample(random.root_keys(range(2)), 3), ())

    def test_payoffs(self):
        sampled = tasks.DefaultTasks(_game("float32")).sample(random.root_keys(range(4)), 5)
        self.assertEqual(sampled.dtype, tf.float32)
        self.assertAllEqual(sampled, np.broadcast_to(payoffs.prisoners_dilemma(), [4, 5, 2, 2, 2]))

    @parameterized.parameters(
        ({"wind": PARTS["wind"]}, "like"), ((), "like"), (PARTS["wind"], "like"),
        ({**PARTS, "rain": (3, 0.5, 1)}, "like"), (PARTS, "bool [2, 3, 2]"),
    )
    def test_other_tasks_are_refused(self, value, allowed):
        with self.assertRaises(checks.InvalidInputError) as caught:
            arguments.tasks("tasks", value, Weather(PARTS), [2, 3])
        message = str(caught.exception)
        self.assertRegex(message, rf"^tasks = [^\n]+: must be {allowed.replace('[', chr(92) + '[')}[^\n]*$")
        if allowed == "like":
            self.assertEndsWith(message, ", with axes [S, N] in front")

    def test_numbers_of_seeds_and_tasks(self):
        sampled = tasks.DefaultTasks(Weather(PARTS)).sample(random.root_keys(range(2)), 3)
        with self.assertRaises(checks.InvalidInputError) as caught:
            arguments.tasks("tasks", sampled, Weather(PARTS), [2, 4])
        self.assertEqual(
            str(caught.exception),
            "tasks = bool [2, 3, 2]: must be bool [2, 4, 2], as many seeds and tasks as of parameters",
        )


class PayoffNoiseTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters("float32", "float64")
    def test_shape_and_dtype(self, dtype):
        table = np.arange(24.0).reshape(2, 3, 4)
        game = matrix.IteratedMatrixGame(table, dtype=dtype)
        sampled = tasks.PayoffNoise(game, width=0.4).sample(random.root_keys(range(3)), n_tasks=5)
        self.assertEqual(sampled.shape, [3, 5, 2, 3, 4])
        self.assertEqual(sampled.dtype, dtype)
        self.assertAllEqual(np.round(sampled), np.broadcast_to(table, [3, 5, 2, 3, 4]))

    @parameterized.parameters(0.1, 3, 25.0)
    def test_noise_is_uniform(self, width):
        noise = _noise(width, random.root_keys(range(4)), n_tasks=1000).ravel()
        n_draws = len(noise)
        self.assertEqual(n_draws, 4 * 1000 * 8)
        # Subtracting the payoffs rounds, by at most an ulp of 28.
        self.assertAllInRange(noise, -width - 1e-14, width + 1e-14)
        # Mean and mean square of U(−w, w) are 0 and w²/3; those of n draws are within z standard
        # deviations, √(w²/3n) and √(4w⁴/45n), with confidence 99.9 %: z = Φ⁻¹(1 − 0.001 / 4) = 3.48.
        self.assertLess(abs(noise.mean()), 3.48 * width / math.sqrt(3 * n_draws))
        self.assertLess(abs(np.mean(noise**2) - width**2 / 3), 3.48 * width**2 * math.sqrt(4 / 45 / n_draws))
        # Dvoretzky-Kiefer-Wolfowitz inequality, confidence 99.9 %.
        distance = np.abs((np.sort(noise) / width + 1) / 2 - (np.arange(n_draws) + 0.5) / n_draws).max()
        self.assertLess(distance, math.sqrt(math.log(2 / 0.001) / (2 * n_draws)))

    def test_every_payoff_has_noise_of_its_own(self):
        noise = _noise(1.0, random.root_keys(range(2)), n_tasks=5000)
        # 28 correlations between the 8 payoffs, 10⁴ draws each, with confidence 99.9 % for all:
        # z = Φ⁻¹(1 − 0.001 / 56) = 4.13.
        correlations = np.corrcoef(noise.reshape(-1, 8), rowvar=False)[np.triu_indices(8, k=1)]
        self.assertLen(correlations, 28)
        self.assertAllInRange(np.abs(correlations), 0.0, 4.13 / math.sqrt(10000))
        self.assertLen(np.unique(noise[:, :100]), 2 * 100 * 8)

    def test_seeds_are_independent_of_each_other(self):
        task_distribution = tasks.PayoffNoise(_game())
        together = task_distribution.sample(random.root_keys(range(5)), n_tasks=3)
        for seed in range(5):
            self.assertAllEqual(together[seed], task_distribution.sample(random.root_keys([seed]), n_tasks=3)[0])
        self.assertLen(np.unique(together), 5 * 3 * 8)

    def test_phases_are_disjoint(self):
        root = random.root_keys(range(2))
        phases = [random.META_TRAIN, random.META_VALIDATION, random.META_TEST]
        noise = np.stack([_noise(1.0, random.fold_in(root, phase), n_tasks=50) for phase in phases])
        self.assertLen(np.unique(noise), 3 * 2 * 50 * 8)

    def test_the_same_keys_give_the_same_tasks(self):
        task_distribution = tasks.PayoffNoise(_game())
        keys = random.root_keys(range(2))
        self.assertAllEqual(task_distribution.sample(keys, 3), task_distribution.sample(keys, 3))

    def test_default_width(self):
        noise = tasks.PayoffNoise(_game()).sample(random.root_keys([0]), 500) - payoffs.prisoners_dilemma()
        # 4000 draws reach 99 % of the width but for a probability of 0.99^4000 ≈ 10⁻¹⁷ on either side.
        self.assertAllInRange(noise, -0.1 - 1e-15, 0.1 + 1e-15)
        self.assertGreater(np.max(noise), 0.098)
        self.assertLess(np.min(noise), -0.098)

    @parameterized.parameters("float32", "float64")
    def test_width_zero_gives_the_payoffs(self, dtype):
        sampled = tasks.PayoffNoise(_game(dtype), width=0.0).sample(random.root_keys(range(2)), 3)
        self.assertAllEqual(sampled, np.broadcast_to(payoffs.prisoners_dilemma(), [2, 3, 2, 2, 2]))

    def test_a_task_of_one_part_may_stand_in_a_structure(self):
        for default_tasks in ({"payoffs": np.ones([2, 3])}, (np.ones([2, 3]),), [1.0]):
            sampled = tasks.PayoffNoise(Weather(default_tasks), 0.2).sample(random.root_keys(range(2)), 3)
            tf.nest.assert_same_structure(sampled, default_tasks)
            (leaf,) = tf.nest.flatten(sampled)
            (own,) = tf.nest.flatten(default_tasks)
            self.assertEqual(leaf.shape, [2, 3, *np.shape(own)])
            self.assertAllInRange(leaf, 0.8, 1.2)
            self.assertLen(np.unique(leaf), leaf.shape.num_elements())

    def test_tasks_that_cannot_differ_stay_as_they_are(self):
        self.assertEqual(tasks.PayoffNoise(Weather(())).sample(random.root_keys(range(2)), 3), ())

    @parameterized.parameters((PARTS,), ((1.0, 2.0),), (3,), (np.array([True]),))
    def test_other_tasks_are_no_payoffs(self, default_tasks):
        with self.assertRaises(checks.InvalidInputError) as caught:
            tasks.PayoffNoise(Weather(default_tasks))
        self.assertRegex(
            str(caught.exception),
            r"^PayoffNoise.game = [^\n]+: must be a game whose default_tasks are one array of payoffs$",
        )


if __name__ == "__main__":
    tf.test.main()
