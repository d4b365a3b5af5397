"""Proves solutions of linear equations and their derivatives, of few unknowns and of many."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg.numerics import linear
from tf_metamapg.testing.modes import MODES


class SolveTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(n_unknowns=[3, 70], mode=["eager", "graph"])
    def test_three_derivatives(self, n_unknowns, mode):
        """Of f(t) = cᵀ A(t)⁻¹ b(t) along random lines, against those of a power series in NumPy."""
        rng = np.random.default_rng(0)
        shape = (2, 3, n_unknowns)
        matrix = np.eye(n_unknowns) - 0.9 * rng.dirichlet(np.ones(n_unknowns), size=shape)
        d_matrix = 0.1 * rng.normal(size=matrix.shape) / n_unknowns
        rhs, d_rhs, weights = (rng.normal(size=[*shape, 1]) for _ in range(3))
        # (A + t A') (x₀ + t x₁ + t² x₂ + …) = b + t b', order by order.
        series = [np.linalg.solve(matrix, rhs)]
        series.append(np.linalg.solve(matrix, d_rhs - d_matrix @ series[0]))
        series += [np.linalg.solve(matrix, -d_matrix @ series[1])]
        series += [np.linalg.solve(matrix, -d_matrix @ series[2])]
        expected = [factor * np.sum(weights * one) for factor, one in zip((1.0, 1.0, 2.0, 6.0), series)]

        def derivatives(time):
            with tf.GradientTape() as third:
                third.watch(time)
                with tf.GradientTape() as second:
                    second.watch(time)
                    with tf.GradientTape() as first:
                        first.watch(time)
                        value = tf.reduce_sum(weights * linear.solve(matrix + time * d_matrix, rhs + time * d_rhs))
                    one = first.gradient(value, time)
                two = second.gradient(one, time)
            return value, one, two, third.gradient(two, time)

        actual = MODES[mode](derivatives)(tf.constant(0.0, tf.float64))
        self.assertAllGreater(np.abs(expected), 1e-4)
        self.assertAllClose(actual, expected, rtol=1e-9, atol=0.0)

    def test_gradients_of_both(self):
        """Also where rows are exchanged, as the first entry is zero; many unknowns against few."""
        rng = np.random.default_rng(1)
        matrix = rng.normal(size=[2, 70, 70])
        matrix[:, 0, 0] = 0.0
        matrix, rhs = tf.constant(matrix), tf.constant(rng.normal(size=[2, 70, 1]))
        results = []
        for solve in (linear.solve, tf.linalg.solve):
            with tf.GradientTape() as tape:
                tape.watch((matrix, rhs))
                value = tf.reduce_sum(tf.sin(solve(matrix, rhs)))
            results.append(tape.gradient(value, (matrix, rhs)))
        for one, other in zip(*results):
            self.assertAllClose(one, other, rtol=1e-8, atol=1e-8)
            self.assertAllGreater(np.abs(other).max(), 0.1)


if __name__ == "__main__":
    tf.test.main()
