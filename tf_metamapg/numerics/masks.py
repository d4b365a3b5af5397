"""Steps that do not count: those of an agent that has left its episode."""

from collections.abc import Sequence

import tensorflow as tf


def masked(values: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """Values where a mask holds and zero elsewhere, whatever stands there, NaN included.

    Args:
        values: tensor [...] or [..., *behind].
        mask: bool tensor [...]; None where all steps count, which builds no operation.

    Returns:
        tensor like `values`; no derivative passes to what does not count.
    """
    if mask is None:
        return values
    return tf.where(expanded(mask, values), values, tf.zeros_like(values))


def expanded(mask: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """A mask with axes of size one behind, as many as it has fewer than some values."""
    return tf.reshape(mask, [*mask.shape, *[1] * (len(values.shape) - len(mask.shape))])


def mean(values: tf.Tensor, mask: tf.Tensor | None, axis: int | Sequence[int]) -> tf.Tensor:
    """The mean over the steps that count, which are at least one, over some axes."""
    if mask is None:
        return tf.reduce_mean(values, axis=axis)
    totals = tf.reduce_sum(masked(values, mask), axis=axis)
    counts = tf.reduce_sum(tf.cast(mask, values.dtype), axis=axis)
    return totals / expanded(counts, totals)
