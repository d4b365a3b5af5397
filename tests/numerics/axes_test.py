"""Proves that values get as many axes behind as they lack."""

import numpy as np
import tensorflow as tf

from tf_metamapg.numerics import axes


class AxesTest(tf.test.TestCase):

    def test_with_axes_behind(self):
        values = tf.constant(np.arange(6).reshape([2, 3]))
        self.assertAllEqual(axes.with_axes_behind(values, tf.zeros([2, 3, 7, 8])), values[:, :, tf.newaxis, tf.newaxis])
        self.assertAllEqual(axes.with_axes_behind(values, tf.zeros([2, 3])), values)

    def test_a_batch_of_any_size(self):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, 2], tf.float32)])
        def in_batch(values, like):
            return axes.with_axes_behind(values, like)

        for size in (1, 3):
            self.assertAllEqual(in_batch(tf.range(size), tf.zeros([size, 2])), tf.range(size)[:, tf.newaxis])


if __name__ == "__main__":
    tf.test.main()
