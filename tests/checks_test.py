"""Proves that checks accept what is allowed and otherwise name parameter, value and what is allowed."""

import fractions
import math

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg import checks


class ChecksTest(tf.test.TestCase, parameterized.TestCase):

    def assert_rejects(self, message, function, *args, **kwargs):
        with self.assertRaises(checks.InvalidInputError) as caught:
            function(*args, **kwargs)
        self.assertEqual(str(caught.exception), message)

    def test_invalid_input_is_a_value_error(self):
        self.assertTrue(issubclass(checks.InvalidInputError, ValueError))

    def test_check(self):
        self.assertIsNone(checks.check(True, "Game.name", "chess", "a game"))
        self.assert_rejects("Game.name = 'chess': must be a game", checks.check, False, "Game.name", "chess", "a game")

    @parameterized.parameters(2, 3, 10**30, np.int64(2), np.uint8(200))
    def test_integers_are_accepted(self, value):
        self.assertIsNone(checks.check_integer("horizon", value, minimum=2))

    @parameterized.parameters(
        (1, "1"), (-3, "-3"), (2.0, "2.0"), (True, "True"), ("2", "'2'"), (None, "None"), ([2], "[2]"),
        (math.nan, "nan"), (math.inf, "inf"), (np.float64(2), "np.float64(2.0)"), (np.True_, "np.True_"),
    )
    def test_other_than_integers_are_rejected(self, value, shown):
        self.assert_rejects(
            f"horizon = {shown}: must be an integer ≥ 2", checks.check_integer, "horizon", value, minimum=2
        )

    def test_bool_is_not_an_integer_even_where_its_value_would_do(self):
        self.assertIsNone(checks.check_integer("horizon", 1, minimum=1))
        self.assert_rejects(
            "horizon = True: must be an integer ≥ 1", checks.check_integer, "horizon", True, minimum=1
        )
        self.assert_rejects(
            "horizon = False: must be an integer ≥ 0", checks.check_integer, "horizon", False, minimum=0
        )

    @parameterized.parameters(-1e300, 0, -7, 0.5, np.float32(0.25), np.int32(-2), fractions.Fraction(1, 3))
    def test_numbers_are_accepted(self, value):
        self.assertIsNone(checks.check_number("width", value))

    @parameterized.parameters(
        (math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf"), (np.float32("nan"), "np.float32(nan)"),
        (True, "True"), ("0.1", "'0.1'"), (None, "None"), (1j, "1j"), ([0.1], "[0.1]"),
    )
    def test_other_than_numbers_are_rejected(self, value, shown):
        self.assert_rejects(f"width = {shown}: must be a finite number", checks.check_number, "width", value)
        self.assert_rejects(
            f"width = {shown}: must be a finite number ≥ 0.5", checks.check_number, "width", value, minimum=0.5
        )

    def test_minimum_of_numbers(self):
        self.assertIsNone(checks.check_number("width", 0.5, minimum=0.5))
        below = math.nextafter(0.5, 0.0)
        self.assert_rejects(
            f"width = {below}: must be a finite number ≥ 0.5", checks.check_number, "width", below, minimum=0.5
        )

    @parameterized.parameters(([1, 2],), ((None, "x"),))
    def test_one_entry_per_agent_is_accepted(self, value):
        self.assertIsNone(checks.check_length("learners", value, 2))

    @parameterized.parameters(
        ([1], "[1]"), ((1, 2, 3), "(1, 2, 3)"), ("ab", "'ab'"), (2, "2"), (None, "None"), ({1: 0, 2: 0}, "{1: 0, 2: 0}")
    )
    def test_another_number_of_entries_is_rejected(self, value, shown):
        self.assert_rejects(
            f"learners = {shown}: must be a list of 2, one for each agent of the game",
            checks.check_length, "learners", value, 2,
        )

    def test_long_values_are_shortened(self):
        # repr of 78 letters is 80 characters, the most that is shown.
        self.assert_rejects(f"x = '{'a' * 78}': must be y", checks.check, False, "x", "a" * 78, "y")
        self.assert_rejects(f"x = '{'a' * 76}...: must be y", checks.check, False, "x", "a" * 79, "y")
        self.assert_rejects(f"x = '{'a' * 76}...: must be y", checks.check, False, "x", "a" * 100000, "y")

    def test_values_of_several_lines_become_one(self):
        self.assert_rejects(
            "x = array([[1, 2], [3, 4]]): must be y", checks.check, False, "x", np.array([[1, 2], [3, 4]]), "y"
        )


if __name__ == "__main__":
    tf.test.main()
