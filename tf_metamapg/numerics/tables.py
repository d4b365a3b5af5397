"""Looking up small tables."""

import math

import numpy as np
import tensorflow as tf

from tf_metamapg.numerics import axes
from tf_metamapg.numerics import products

# Up to so many entries, comparing with each of them is faster than a gather.
_MOST_COMPARISONS = 16
# XLA would compute what a table is made of again for each entry that is looked up, but for a product between them. Of
# more entries the product takes longer.
_MOST_RECOMPUTED = 256


def select(table: tf.Tensor | np.ndarray, index: tf.Tensor) -> tf.Tensor:
    """The entries of a table, inside of a compiled loop; not differentiable.

    XLA turns comparisons with each of a few entries into vector instructions, a gather it does not.

    Args:
        table: tensor [S, N, M] or array [M].
        index: int32 tensor [S, N, ...], in [0, M).

    Returns:
        tensor of the shape of `index`.
    """
    table = tf.stop_gradient(tf.convert_to_tensor(table))
    n_batch_axes, n_entries = len(table.shape) - 1, table.shape[-1]
    if n_entries > _MOST_COMPARISONS:
        return tf.gather(table, index, batch_dims=n_batch_axes)
    per_entry = [*table.shape[:-1], *[1] * (len(index.shape) - n_batch_axes)]
    first, *others = (tf.reshape(entry, per_entry) for entry in tf.unstack(table, axis=-1))
    entries = tf.broadcast_to(first, axes.sizes(index))
    for number, entry in enumerate(others, start=1):
        entries = tf.where(index == number, entry, entries)
    return entries


@tf.custom_gradient
def look_up(table: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """The entries of a table.

    It is linear, and `add_up` is its transpose: each is the derivative of the other. Those of TensorFlow's own
    operations look for negative indices, which takes longer than all the rest.

    Args:
        table: tensor [S, N, M].
        index: int32 tensor [S, N, ...], in [0, M).

    Returns:
        tensor of the shape of `index`, differentiable any number of times in `table`.
    """
    n_entries = table.shape[-1]
    if n_entries <= _MOST_RECOMPUTED:
        table = products.matmul(table, tf.eye(n_entries, dtype=table.dtype))
    entries = tf.gather(tf.reshape(table, [-1]), _flat(index, n_entries))
    return entries, lambda upstream: (add_up(upstream, index, n_entries), None)


def add_up(values: tf.Tensor, index: tf.Tensor, n_entries: int) -> tf.Tensor:
    """The transpose of `look_up`: the sums of all values with the same index.

    Args:
        values: tensor [S, N, ...].
        index: int32 tensor of the same shape, in [0, M).
        n_entries: M.

    Returns:
        tensor [S, N, M], differentiable any number of times in `values`.
    """
    batch_shape = index.shape[:2]

    @tf.custom_gradient
    def sums(values):
        flat_index = tf.reshape(_flat(index, n_entries), [-1])
        n_sums = math.prod(batch_shape) * n_entries
        total = tf.math.unsorted_segment_sum(tf.reshape(values, [-1]), flat_index, n_sums)
        return tf.reshape(total, [*batch_shape, n_entries]), lambda upstream: look_up(upstream, index)

    return sums(values)


def _flat(index, n_entries):
    """Indices into all tables one after the other: [S, N, ...] → [S, N, ...]."""
    n_tables = math.prod(index.shape[:2])
    starts = tf.range(0, n_tables * n_entries, n_entries)
    return index + tf.reshape(starts, [*index.shape[:2], *[1] * (len(index.shape) - 2)])
