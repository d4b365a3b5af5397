"""Tests of numerics/moments.py against NumPy."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg.numerics import moments


class MomentsTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(axes=[[-1], [0], [1, 2], 1], keepdims=[False, True])
    def test_values(self, axes, keepdims):
        x = np.random.default_rng(0).normal(size=[2, 3, 4])
        over = tuple(axes) if isinstance(axes, list) else axes
        mean, variance = moments.moments(tf.constant(x), axes, keepdims=keepdims)
        self.assertAllClose(mean, x.mean(axis=over, keepdims=keepdims), rtol=1e-13, atol=1e-13)
        self.assertAllClose(variance, x.var(axis=over, keepdims=keepdims), rtol=1e-13, atol=1e-13)

    def test_second_derivatives(self):
        """Of a variance they are 2 (I − 1/n) / n; TensorFlow's own lack the second term."""
        x = tf.constant([1.0, 2.0, 4.0], tf.float64)

        def hessian():
            with tf.GradientTape() as outer_tape:
                outer_tape.watch(x)
                with tf.GradientTape() as inner_tape:
                    inner_tape.watch(x)
                    _, variance = tf.nn.moments(x, [0])
                gradient = inner_tape.gradient(variance, x)
            return outer_tape.jacobian(gradient, x)

        own = tf.nn.moments
        with moments.differentiable():
            with moments.differentiable():
                pass
            self.assertAllClose(hessian(), 2.0 / 3.0 * (np.eye(3) - 1.0 / 3.0), rtol=1e-14, atol=1e-14)
        self.assertIs(tf.nn.moments, own)
        self.assertAllClose(hessian(), 2.0 / 3.0 * np.eye(3), rtol=1e-14, atol=1e-14)


if __name__ == "__main__":
    tf.test.main()
