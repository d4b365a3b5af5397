"""Steps that do not count: those of an agent that has left its episode."""

from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg.contracts import Structure
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


def advanced(goes_on: tf.Tensor, following: Structure, before: Structure) -> Structure:
    """What follows where something goes on, and elsewhere what was before it.

    Args:
        goes_on: bool tensor [...].
        following, before: leaves [..., *behind].

    Returns:
        leaves [..., *behind].
    """
    return tf.nest.map_structure(
        lambda new, old: tf.where(axes.with_axes_behind(goes_on, new), new, old), following, before
    )


def mean(values: tf.Tensor, mask: tf.Tensor | None, axis: int | Sequence[int]) -> tf.Tensor:
    """The mean over the steps that count, which are at least one, over some axes."""
    if mask is None:
        return tf.reduce_mean(values, axis=axis)
    totals = tf.reduce_sum(masked(values, mask), axis=axis)
    counts = tf.reduce_sum(tf.cast(mask, values.dtype), axis=axis)
    return totals / axes.with_axes_behind(counts, totals)


def mean_where_defined(values: tf.Tensor, mask: tf.Tensor | None, axis: int | Sequence[int]) -> tf.Tensor:
    """The mean over the steps that count and where a value is not NaN; NaN if there are none.

    Where all are defined it is `mean`, bit for bit.
    """
    is_defined = tf.logical_not(tf.math.is_nan(values))
    counts = tf.ones_like(is_defined) if mask is None else mask
    n_counting, n_defined = (
        tf.reduce_sum(tf.cast(which, values.dtype), axis=axis) for which in (counts, tf.logical_and(counts, is_defined))
    )
    return mean(masked(values, is_defined), mask, axis) * ratio(n_counting, n_defined)


def ratio(totals: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """Totals over counts of the same shape; NaN, with derivatives of zero, where nothing is counted."""
    is_some = counts > 0
    return tf.where(is_some, totals / tf.where(is_some, counts, tf.ones_like(counts)), float("nan"))
