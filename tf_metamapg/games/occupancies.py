"""How often each state and joint action of a finite game is expected: what all its exact values are made of."""

from collections.abc import Callable
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from tf_metamapg.numerics import linear


def expected_visits(
    strategies: Iterable[tf.Tensor], views: np.ndarray, state_transitions: Callable[[tf.Tensor], tf.Tensor],
    discount: float, start: np.ndarray, ends: np.ndarray | None = None,
) -> tf.Tensor:
    """The discounted number of visits to each state, (I − γPᵀ)⁻¹ d₀, times the probabilities of joint actions there.

    Args:
        strategies: for each agent a tensor [S, N, n_observations, A_i] of action probabilities.
        views: int array [n_agents, M], what each agent sees in every state.
        state_transitions: function of the probabilities of joint actions [S, N, M, J], in row-major order, that returns
            P(s'|s) [S, N, M, M], if the game goes on.
        discount: γ.
        start: d₀, array [M] of probabilities of the first state.
        ends: array [M, J], the probability that the game ends after each joint action; None if it never does.

    Returns:
        float64 tensor [S, N, M, J], differentiable any number of times in `strategies`; NaN for a seed and task whose
        strategies are not finite.
    """
    joint_probs = _joint_probs(strategies, views)
    # The solver raises an error for NaN. So that whoever calls can say which seed went wrong, such
    # probabilities are kept from it, and values and gradients are NaN for that seed and task alone.
    is_finite = tf.math.is_finite(joint_probs)
    nan_or_one = tf.where(tf.reduce_all(is_finite, axis=[-2, -1], keepdims=True), 1.0, float("nan"))
    joint_probs = tf.where(is_finite, joint_probs, tf.zeros_like(joint_probs))
    transitions = state_transitions(joint_probs if ends is None else joint_probs * tf.constant(1.0 - ends))
    visits = linear.solve(
        tf.eye(len(start), dtype=tf.float64) - discount * tf.linalg.matrix_transpose(transitions),
        tf.constant(start)[:, tf.newaxis] * tf.ones_like(joint_probs[..., :1]),
    )
    return visits * joint_probs * tf.cast(nan_or_one, joint_probs.dtype)


def as_float64(probs: tf.Tensor) -> tf.Tensor:
    """Probabilities that sum to one as exactly as float64 can; those that were computed in float32 do within 10⁻⁷."""
    if probs.dtype == tf.float64:
        return probs
    probs = tf.cast(probs, tf.float64)
    return probs / tf.reduce_sum(probs, axis=-1, keepdims=True)


def _joint_probs(strategies, views):
    """The probabilities of joint actions in every state, in row-major order: [S, N, M, J]."""
    joint_probs = tf.ones([1, 1, 1, 1], tf.float64)
    for probs, view in zip(map(as_float64, strategies), views):
        own_probs = tf.gather(probs, view, axis=-2)
        joint_probs = joint_probs[..., tf.newaxis] * own_probs[..., tf.newaxis, :]
        joint_probs = tf.reshape(joint_probs, [*tf.unstack(tf.shape(own_probs)[:3]), -1])
    return joint_probs
