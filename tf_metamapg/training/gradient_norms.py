"""Norms of meta-gradients, for each seed."""

from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg.contracts import Structure


class NonFiniteGradientError(ArithmeticError):
    """A meta-gradient was NaN or infinite; nothing has been updated with it."""

    def __init__(self, meta_update: int, seeds: Sequence[int]) -> None:
        super().__init__(
            f"the meta-gradient of meta-update {meta_update} is NaN or infinite for "
            f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
        )


def scaled(gradients: Structure, scales: tf.Tensor) -> Structure:
    """[S, ...] leaves, each seed's times its scale in [S]."""
    return tf.nest.map_structure(lambda leaf: leaf * tf.reshape(scales, [-1] + [1] * (len(leaf.shape) - 1)), gradients)


def norms(gradients: Structure) -> tf.Tensor:
    """[S, ...] leaves → [S], finite wherever all leaves are: a square is too large for float32 from 1e19 on."""
    leaves = tf.nest.flatten(gradients)
    squares = [tf.reduce_sum(tf.cast(leaf, "float64") ** 2, axis=list(range(1, len(leaf.shape)))) for leaf in leaves]
    return tf.cast(tf.sqrt(tf.add_n(squares)), leaves[0].dtype)
