"""Discounted returns, sums over time, and baselines."""

import tensorflow as tf


def discounts(discount, horizon, dtype):
    """γ^t for t = 0..T−1: tensor [T]."""
    return tf.pow(tf.constant(discount, dtype), tf.range(horizon, dtype=dtype))


def discounted_returns(rewards, discount):
    """G = Σ_t γ^t r_t: [..., T] → [...]."""
    return tf.linalg.matvec(rewards, discounts(discount, rewards.shape[-1], rewards.dtype))


def returns_to_go(rewards, discount):
    """R_t = Σ_{t' ≥ t} γ^(t'−t) r_t': [..., T] → [..., T].

    As a product with a triangular matrix, which is faster than a scan at usual horizons.
    """
    steps = tf.range(rewards.shape[-1], dtype=rewards.dtype)
    lags = steps[:, tf.newaxis] - steps[tf.newaxis, :]
    weights = tf.where(lags >= 0.0, tf.pow(tf.constant(discount, rewards.dtype), tf.abs(lags)), 0.0)
    return tf.linalg.matmul(rewards, weights)


def cumulative_sums(values):
    """Σ_{t' ≤ t} x_t': [..., T] → [..., T]; differentiable any number of times in `values`."""
    horizon = values.shape[-1]
    return tf.linalg.matmul(values, tf.linalg.band_part(tf.ones([horizon, horizon], values.dtype), 0, -1))


def leave_one_out_mean(values, axis):
    """The mean of the others along an axis; zero where there are no others.

    It is independent of the entry that it stands for whenever the entries are independent.
    """
    n_others = tf.cast(tf.maximum(tf.shape(values)[axis] - 1, 1), values.dtype)
    others = tf.reduce_sum(values, axis=axis, keepdims=True) - values
    return tf.where(tf.shape(values)[axis] > 1, others / n_others, tf.zeros_like(values))


def no_baseline(returns):
    """A baseline of zero: [S, N, K, T] → [S, N, K, T]."""
    return tf.zeros_like(returns)


def leave_one_out_baseline(returns):
    """The mean return to go of the other K − 1 trajectories at the same time step.

    It does not depend on the trajectory that it is subtracted from, and so leaves expectations as
    they are.

    Args:
        returns: tensor [S, N, K, T].

    Returns:
        tensor [S, N, K, T].
    """
    return leave_one_out_mean(returns, axis=-2)
