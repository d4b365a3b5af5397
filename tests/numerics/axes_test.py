"""Proves that sizes are known whenever they can be, and that values get as many axes behind as they lack."""

import numpy as np
import tensorflow as tf

from tf_metamapg.numerics import axes


class AxesTest(tf.test.TestCase):

    def test_sizes(self):
        self.assertEqual(axes.sizes(tf.zeros([2, 0, 3])), [2, 0, 3])

        @tf.function(input_signature=[tf.TensorSpec([None, 2, None])])
        def of_any_size(values):
            first, second, third = axes.sizes(values)
            self.assertEqual(second, 2)
            return first, third

        self.assertAllEqual(of_any_size(tf.zeros([4, 2, 5])), [4, 5])

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

    def test_two_axes_of_any_size(self):
        @tf.function(input_signature=[tf.TensorSpec([None, None]), tf.TensorSpec([None, None, 2])])
        def behind(values, like):
            return axes.with_axes_behind(values, like)

        self.assertAllEqual(behind(tf.ones([3, 4]), tf.zeros([3, 4, 2])), tf.ones([3, 4, 1]))


if __name__ == "__main__":
    tf.test.main()
