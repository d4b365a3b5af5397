"""Steps that do not count: those of an agent that has left its episode."""

from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg.numerics import axes


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
    return tf.where(axes.with_axes_behind(mask, values), values, tf.zeros_like(values))


def mean(values: tf.Tensor, mask: tf.Tensor | None, axis: int | Sequence[int]) -> tf.Tensor:
    """The mean over the steps that count, which are at least one, over some axes."""
    if mask is None:
        return tf.reduce_mean(values, axis=axis)
    totals = tf.reduce_sum(masked(values, mask), axis=axis)
    counts = tf.reduce_sum(tf.cast(mask, values.dtype), axis=axis)
    return totals / axes.with_axes_behind(counts, totals)
