"""How often each state and joint action of a finite game is expected: what all its exact values are made of."""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf


def joint_probs(strategies: Iterable[tf.Tensor], views: np.ndarray) -> tf.Tensor:
    """The probabilities of joint actions in every state.

    Args:
        strategies: for each agent a tensor [S, N, n_observations, A_i] of action probabilities.
        views: int array [n_agents, M], what each agent sees in every state.

    Returns:
        float64 tensor [S, N, M, J], joint actions in row-major order, differentiable any number of times.
    """
    joint = tf.ones([1, 1, 1, 1], tf.float64)
    for probs, view in zip(map(as_float64, strategies), views):
        own = tf.gather(probs, view, axis=-2)
        joint = joint[..., tf.newaxis] * own[..., tf.newaxis, :]
        joint = tf.reshape(joint, [*tf.unstack(tf.shape(own)[:3]), -1])
    return joint


def visits(transitions: tf.Tensor, discount: float, start: tf.Tensor) -> tf.Tensor:
    """The discounted number of visits to each state, d = (I − γPᵀ)⁻¹ d₀.

    Args:
        transitions: P(s'|s), float64 tensor [S, N, M, M].
        discount: γ.
        start: d₀, the probabilities of the first state, float64 tensor that broadcasts to [S, N, M, 1].

    Returns:
        float64 tensor [S, N, M, 1], differentiable any number of times in `transitions`.
    """
    identity = tf.eye(transitions.shape[-1], dtype=transitions.dtype)
    return tf.linalg.solve(
        identity - discount * tf.linalg.matrix_transpose(transitions), start * tf.ones_like(transitions[..., :1])
    )


def as_float64(probs: tf.Tensor) -> tf.Tensor:
    """Probabilities that sum to one as exactly as float64 can; those that were computed in float32 do within 10⁻⁷."""
    if probs.dtype == tf.float64:
        return probs
    probs = tf.cast(probs, tf.float64)
    return probs / tf.reduce_sum(probs, axis=-1, keepdims=True)
