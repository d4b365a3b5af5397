"""Matrix products with batch axes that broadcast; all such products of the package are made here.

On CPUs, in eager mode and in graphs that XLA does not compile, TensorFlow 2.21 writes outside of its memory where it
broadcasts batch axes itself: one operand's are [S, 1] with S ≥ 2, such as several seeds with one task each. Here they
are equal before they are multiplied.
"""

import tensorflow as tf


def matmul(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """A B for matrices with leading axes that broadcast.

    Args:
        first: A, tensor [..., M, K].
        second: B, tensor [..., K, N].

    Returns:
        tensor [..., M, N], differentiable any number of times in both.
    """
    first_axes, second_axes = first.shape[:-2], second.shape[:-2]
    if first_axes != second_axes:
        if not second_axes:
            return tf.tensordot(first, second, axes=1)  # one matrix for all rows
        axes = tf.broadcast_static_shape(first_axes, second_axes)
        first = tf.broadcast_to(first, [*axes, *first.shape[-2:]])
        second = tf.broadcast_to(second, [*axes, *second.shape[-2:]])
    return tf.matmul(first, second)
