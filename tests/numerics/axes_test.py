"""Proves that values get as many axes behind as they lack."""

import numpy as np
import tensorflow as tf

from tf_metamapg.numerics import axes


class AxesTest(tf.test.TestCase):

    def test_with_axes_behind(self):
        values = tf.constant(np.arange(6).reshape([2, 3]))
        self.assertAllEqual(axes.with_axes_behind(values, tf.zeros([2, 3, 7, 8])), values[:, :, tf.newaxis, tf.newaxis])
        self.assertAllEqual(axes.with_axes_behind(values, tf.zeros([2, 3])), values)


if __name__ == "__main__":
    tf.test.main()
