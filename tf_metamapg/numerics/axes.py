"""Axes of tensors that stand for the same at the front, and have more or fewer behind."""

import tensorflow as tf


def with_axes_behind(values: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Values with axes of size one behind, as many as they have fewer than another tensor, to broadcast against it."""
    return tf.reshape(values, [*values.shape, *[1] * (len(like.shape) - len(values.shape))])
