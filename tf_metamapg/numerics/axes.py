"""Axes of tensors that stand for the same at the front, and have more or fewer behind."""

import tensorflow as tf


def with_axes_behind(values: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Values with axes of size one behind, as many as they have fewer than another tensor, to broadcast against it."""
    # One size, as that of a batch in an exported policy, may be unknown.
    sizes = [-1 if size is None else size for size in values.shape]
    return tf.reshape(values, [*sizes, *[1] * (len(like.shape) - len(sizes))])
