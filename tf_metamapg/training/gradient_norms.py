"""Norms of gradients, for each seed."""

from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import axes


class NonFiniteGradientError(ArithmeticError):
    """A gradient was NaN or infinite, or so large that its square is; nothing has been updated with it."""

    def __init__(self, what: str, meta_update: int, seeds: Sequence[int]) -> None:
        super().__init__(
            f"the {what} of meta-update {meta_update} or its square is NaN or infinite for "
            f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
        )


def norms(gradients: Structure) -> tf.Tensor:
    """[S, ...] leaves → [S], finite wherever all leaves are: a square is too large for float32 from 1e19 on."""
    leaves = tf.nest.flatten(gradients)
    squares = [tf.reduce_sum(tf.cast(leaf, "float64") ** 2, axis=list(range(1, len(leaf.shape)))) for leaf in leaves]
    return tf.cast(tf.sqrt(tf.add_n(squares)), leaves[0].dtype)


def shortened(gradients: Structure, max_norm: float) -> Structure:
    """[S, ...] leaves, each seed's times what makes its norm `max_norm` where it is more."""
    norm = norms(gradients)
    scale = tf.where(norm > max_norm, max_norm / norm, 1.0)
    return tf.nest.map_structure(lambda leaf: leaf * axes.with_axes_behind(scale, leaf), gradients)


def have_finite_squares(gradients: Structure) -> tf.Tensor:
    """[S, ...] leaves → bool [S], whether Adam, which keeps squares, can take all of a seed's."""
    return tf.reduce_all(
        [
            tf.reduce_all(tf.math.is_finite(tf.square(leaf)), axis=list(range(1, len(leaf.shape))))
            for leaf in tf.nest.flatten(gradients)
        ],
        axis=0,
    )
