"""Proves the intervals of the mean: against a table of Student's t, and by how often they cover the mean."""

import warnings

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg.runs import statistics

# From a printed table of Student's t: confidence (two-sided), degrees of freedom, quantile.
STUDENT_T = (
    (0.95, 1, 12.706),
    (0.95, 2, 4.303),
    (0.95, 4, 2.776),
    (0.95, 9, 2.262),
    (0.95, 19, 2.093),
    (0.95, 120, 1.980),
    (0.90, 4, 2.132),
    (0.90, 19, 1.729),
    (0.99, 4, 4.604),
    (0.99, 19, 2.861),
)


class StatisticsTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(*STUDENT_T)
    def test_half_width_has_the_tabulated_quantile(self, confidence, degrees_of_freedom, quantile):
        values = np.random.default_rng(0).normal(2.0, 3.0, size=degrees_of_freedom + 1)
        mean, half_width = statistics.mean_and_interval(values, confidence)
        n = len(values)
        standard_error = np.sqrt(np.sum((values - values.mean()) ** 2) / (n - 1) / n)
        self.assertAllClose(mean, values.sum() / n, rtol=1e-14)
        # The table has three decimals.
        self.assertAllClose(half_width / standard_error, quantile, rtol=0, atol=0.0005)

    def test_default_confidence(self):
        values = np.array([1.0, 2.0, 4.0])
        self.assertAllEqual(statistics.mean_and_interval(values), statistics.mean_and_interval(values, 0.95))

    @parameterized.parameters((3, 0.95), (20, 0.95), (5, 0.8))
    def test_coverage(self, n_seeds, confidence):
        n_experiments, mean = 20000, -1.5
        values = np.random.default_rng(n_seeds).normal(mean, 0.7, size=[n_seeds, n_experiments])
        estimate, half_width = statistics.mean_and_interval(values, confidence)
        coverage = np.mean(np.abs(estimate - mean) <= half_width)
        # 99.9% of such simulations end within 3.29 standard deviations of the binomial distribution.
        self.assertLess(abs(coverage - confidence), 3.29 * np.sqrt(confidence * (1 - confidence) / n_experiments))

    def test_axes_after_the_first_are_kept_apart(self):
        values = np.random.default_rng(1).normal(size=[4, 3, 2])
        mean, half_width = statistics.mean_and_interval(values)
        self.assertEqual((mean.shape, half_width.shape), ((3, 2), (3, 2)))
        for index in np.ndindex(3, 2):
            alone = statistics.mean_and_interval(values[(slice(None), *index)])
            self.assertAllClose((mean[index], half_width[index]), alone, rtol=1e-14)

    def test_single_seed_has_a_mean_and_no_interval(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            mean, half_width = statistics.mean_and_interval(np.array([[1.5, -2.0]]))
        self.assertAllEqual(mean, [1.5, -2.0])
        self.assertAllEqual(np.isnan(half_width), [True, True])

    def test_seeds_that_are_not_defined_do_not_count(self):
        values = np.random.default_rng(2).normal(size=[6, 5])
        values[[0, 3], 1] = values[:5, 2] = values[:, 3] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            mean, half_width = statistics.mean_and_interval(values)
            self.assertAllEqual(statistics.mean(values, 0), mean)
        for column, n_seeds in enumerate((6, 4, 1, 0, 6)):
            own = values[~np.isnan(values[:, column]), column]
            self.assertLen(own, n_seeds)
            expected = statistics.mean_and_interval(own) if n_seeds else (np.nan, np.nan)
            self.assertAllEqual((mean[column], half_width[column]), expected)
        self.assertAllEqual(mean[[0, 4]], values[:, [0, 4]].mean(axis=0))
        self.assertEqual(statistics.mean(values.astype(np.float32), -1).dtype, np.float32)

    def test_equal_values_have_an_interval_of_zero(self):
        self.assertAllEqual(statistics.mean_and_interval(np.full([5, 2], 0.25))[1], [0.0, 0.0])

    def test_float32_is_averaged_in_float64(self):
        values = np.array([1e8, 1.0, 1.0], np.float32)
        self.assertEqual(statistics.mean_and_interval(values)[0], (1e8 + 2.0) / 3.0)


if __name__ == "__main__":
    tf.test.main()
