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

    @parameterized.parameters(2, 3, 2**31 - 1, np.int64(2), np.uint8(200))
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

    @parameterized.parameters((2**31, "2147483648"), (np.int64(2**40), "np.int64(1099511627776)"))
    def test_sizes_are_int32(self, value, shown):
        self.assert_rejects(
            f"horizon = {shown}: must be an integer ≤ 2147483647", checks.check_integer, "horizon", value, minimum=2
        )

    def test_maximum_of_integers(self):
        self.assertIsNone(checks.check_integer("seed", 2**63 - 1, minimum=0, maximum=2**63 - 1))
        self.assert_rejects(
            "n = 1001: must be an integer ≤ 1000", checks.check_integer, "n", 1001, minimum=0, maximum=1000
        )

    def test_bool_is_not_an_integer_even_where_its_value_would_do(self):
        self.assertIsNone(checks.check_integer("horizon", 1, minimum=1))
        self.assert_rejects(
            "horizon = True: must be an integer ≥ 1", checks.check_integer, "horizon", True, minimum=1
        )
        self.assert_rejects(
            "horizon = False: must be an integer ≥ 0", checks.check_integer, "horizon", False, minimum=0
        )

    @parameterized.parameters(
        -3.4028234e38, 1e-300, 10**38, 0, -7, 0.5, np.float32(0.25), np.int32(-2), fractions.Fraction(1, 3)
    )
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

    @parameterized.parameters(1e39, -1e300, 10**39, np.float64(3.5e38), fractions.Fraction(10**39))
    def test_numbers_are_finite_as_float32(self, value):
        self.assert_rejects(
            f"width = {value!r}: must be a finite number, also as float32", checks.check_number, "width", value
        )

    @parameterized.parameters(10**400, fractions.Fraction(10**400), np.longdouble("1e400"))
    def test_numbers_are_finite_as_float64(self, value):
        with self.assertRaisesRegex(checks.InvalidInputError, "^width = .*: must be a finite number$"):
            checks.check_number("width", value)

    def test_positive_numbers_are_positive_as_float32(self):
        self.assertIsNone(checks.check_positive("rate", 1e-45))
        self.assert_rejects("rate = 0.0: must be > 0", checks.check_positive, "rate", 0.0)
        self.assert_rejects("rate = 1e-46: must be > 0, also as float32", checks.check_positive, "rate", 1e-46)

    @parameterized.parameters("", "γ, 囚人", "$x", "a" * 100)
    def test_names_are_accepted(self, value):
        self.assertIsNone(checks.check_name("name", value))

    @parameterized.parameters("a\nb", "\x1b[1m", "\udcff", "\0", "a" * 101)
    def test_names_that_cannot_be_printed_are_rejected(self, value):
        allowed = "must be a text of one line, of at most 100 characters"
        with self.assertRaisesRegex(checks.InvalidInputError, f"^name = .*: {allowed}$"):
            checks.check_name("name", value)

    def test_memory(self):
        self.assertIsNone(checks.check_memory("units", 64, 10**6))
        with self.assertRaisesRegex(
            checks.InvalidInputError, r"^units = 64: must be smaller, as it takes 1e\+09 GB, and the memory is .* GB$"
        ):
            checks.check_memory("units", 64, 10**18)

    def test_minimum_of_numbers(self):
        self.assertIsNone(checks.check_number("width", 0.5, minimum=0.5))
        below = math.nextafter(0.5, 0.0)
        self.assert_rejects(
            f"width = {below}: must be a finite number ≥ 0.5", checks.check_number, "width", below, minimum=0.5
        )

    @parameterized.parameters(([1, 2],), ((None, "x"),))
    def test_one_entry_per_agent_is_accepted(self, value):
        self.assertIsNone(checks.check_length("agents", value, 2))

    @parameterized.parameters(
        ([1], "[1]"), ((1, 2, 3), "(1, 2, 3)"), ("ab", "'ab'"), (2, "2"), (None, "None"), ({1: 0, 2: 0}, "{1: 0, 2: 0}")
    )
    def test_another_number_of_entries_is_rejected(self, value, shown):
        self.assert_rejects(
            f"agents = {shown}: must be a list of 2, one for each agent of the game",
            checks.check_length, "agents", value, 2,
        )

    def test_long_values_are_shortened(self):
        # repr of 78 letters is 80 characters, the most that is shown.
        self.assert_rejects(f"x = '{'a' * 78}': must be y", checks.check, False, "x", "a" * 78, "y")
        self.assert_rejects(f"x = '{'a' * 76}...: must be y", checks.check, False, "x", "a" * 79, "y")
        self.assert_rejects(f"x = '{'a' * 76}...: must be y", checks.check, False, "x", "a" * 100000, "y")

    def test_values_that_cannot_be_shown(self):
        # Python does not write integers of so many digits.
        self.assert_rejects("x = list that cannot be shown: must be y", checks.check, False, "x", [10**5000], "y")
        self.assert_rejects(
            "x = int that cannot be shown: must be an integer ≤ 2147483647", checks.check_integer, "x", 10**5000, 0
        )

    def test_one_line(self):
        self.assertEqual(checks.one_line(" a\n  b\u2028c "), "a b c")
        self.assertEqual(checks.one_line("a" * 390), "a" * 390)
        self.assertEqual(checks.one_line("a" * 200 + "b" * 200), "a" * 195 + " ... " + "b" * 190)
        self.assertEqual(checks.one_line("a" * 10 + "b" * 9, length=18), "a" * 9 + " ... " + "b" * 4)

    def test_values_of_several_lines_become_one(self):
        self.assert_rejects(
            "x = array([[1, 2], [3, 4]]): must be y", checks.check, False, "x", np.array([[1, 2], [3, 4]]), "y"
        )

    def test_tensors_are_told_by_dtype_and_shape(self):
        for value in (tf.ones([2, 3]), tf.Variable(tf.ones([2, 3]))):
            self.assert_rejects("x = float32 [2, 3]: must be y", checks.check, False, "x", value, "y")


if __name__ == "__main__":
    tf.test.main()
