"""Axes of tensors: how long they are, and those that stand for the same at the front, with more or fewer behind."""

import tensorflow as tf


def sizes(values: tf.Tensor) -> list[int | tf.Tensor]:
    """The size of each axis: a number where it is known as the graph is built, and a tensor where it is not.

    What is exported knows neither how many trajectories nor how many time steps it will be given.
    """
    return [tf.shape(values)[axis] if size is None else size for axis, size in enumerate(values.shape)]


def with_axes_behind(values: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Values with axes of size one behind, as many as they have fewer than another tensor, to broadcast against it."""
    return tf.reshape(values, [*sizes(values), *[1] * (len(like.shape) - len(values.shape))])
