"""Discounted returns, advantages and sums over time."""

import numpy as np
import tensorflow as tf

from tf_metamapg.numerics import axes
from tf_metamapg.numerics import masks


def discounts(discount: float, horizon: int | tf.Tensor, dtype: str | tf.DType) -> tf.Tensor:
    """γ^t for t = 0..T−1: tensor [T]. Of powers in float32 the error would grow with t."""
    return tf.cast(tf.pow(tf.constant(discount, tf.float64), tf.range(horizon, dtype=tf.float64)), dtype)


def discounted(values: tf.Tensor, discount: float) -> tf.Tensor:
    """γ^t x_t: [..., T] → [..., T]."""
    return values * discounts(discount, axes.sizes(values)[-1], values.dtype)


def discounted_returns(rewards: tf.Tensor, discount: float) -> tf.Tensor:
    """G = Σ_t γ^t r_t: [..., T] → [...]."""
    return tf.tensordot(rewards, discounts(discount, axes.sizes(rewards)[-1], rewards.dtype), axes=1)


def returns_to_go(rewards: tf.Tensor, discount: float) -> tf.Tensor:
    """R_t = Σ_{t' ≥ t} γ^(t'−t) r_t': [..., T] → [..., T]."""
    return discounted_cumsum(rewards, discount, reverse=True)


def generalised_advantages(rewards: tf.Tensor, baselines: tf.Tensor, discount: float, decay: float) -> tf.Tensor:
    """Σ_{t' ≥ t} (γλ)^(t'−t) δ_t' with δ_t = r_t + γ b_(t+1) − b_t (Schulman et al. 2016): [..., T] → [..., T].

    For λ = 1 it is the return to go less b_t; a smaller λ trusts the baseline instead of rewards that are far away,
    which has less variance, and a bias where the baseline is wrong. Nothing is expected after the last step.

    Args:
        rewards: tensor [..., T].
        baselines: b, tensor [..., T].
        discount: γ.
        decay: λ, in [0, 1].
    """
    if decay == 1.0:
        return returns_to_go(rewards, discount) - baselines  # the same sum, in fewer steps
    following = tf.concat([baselines[..., 1:], tf.zeros_like(baselines[..., :1])], axis=-1)
    return returns_to_go(rewards + discount * following - baselines, discount * decay)


def cumulative_sums(values: tf.Tensor) -> tf.Tensor:
    """Σ_{t' ≤ t} x_t': [..., T] → [..., T]; differentiable any number of times in `values`."""
    return discounted_cumsum(values, 1.0, reverse=False)


def discounted_cumsum(values: tf.Tensor, decay: float, reverse: bool) -> tf.Tensor:
    """Σ_t' decay^|t−t'| x_t' over all t' ≤ t, or over all t' ≥ t: [..., T] → [..., T].

    Within blocks of time steps, and then between blocks: two products with triangular matrices, which are
    faster than a scan, and whose cost per step does not grow with T as that of one large product does.
    """
    *leading, horizon = axes.sizes(values)
    dtype = values.dtype
    block = _block_size(horizon)
    n_blocks = -(-horizon // block)
    padding = [[0, 0]] * (len(values.shape) - 1) + [[0, n_blocks * block - horizon]]
    blocks = tf.reshape(tf.pad(values, padding), [-1, block])
    within = blocks @ tf.cast(_decay_matrix(block, decay, reverse, first_lag=0), dtype)
    # What a block hands on is its sum at the end that it has in common with the next one.
    handed_on, distances = within[:, -1], np.arange(1, block + 1)
    if reverse:
        handed_on, distances = within[:, 0], distances[::-1]
    between = tf.cast(_decay_matrix(n_blocks, decay**block, reverse, first_lag=1), dtype)
    received = tf.reshape(tf.reshape(handed_on, [-1, n_blocks]) @ between, [-1, 1])
    sums = within + received * tf.constant(decay**distances, dtype)
    return tf.reshape(sums, [*leading, n_blocks * block])[..., :horizon]


def _block_size(horizon):
    """How many time steps are summed by one small product: without padding, which is slow, where that is possible."""
    if tf.is_tensor(horizon):
        return 16
    return max((size for size in range(8, 33) if horizon % size == 0), default=16)


def _decay_matrix(size, decay, reverse, first_lag):
    """Float64 array [t', t]: decay^(lag − first_lag) where the lag of t' is at least first_lag, and zero elsewhere."""
    library, steps = (tf, tf.range(size, dtype=tf.float64)) if tf.is_tensor(size) else (np, np.arange(size))
    lags = steps[:, np.newaxis] - steps
    lags = lags if reverse else -lags
    return library.where(lags >= first_lag, float(decay) ** library.maximum(lags - first_lag, 0), 0.0)


def leave_one_out_mean(values: tf.Tensor, axis: int, mask: tf.Tensor | None = None) -> tf.Tensor:
    """The mean of the others along an axis; zero where there are no others.

    It is independent of the entry that it stands for whenever the entries are independent.

    Args:
        values: tensor.
        axis: of it.
        mask: bool tensor of the same shape, which others count; None for all.
    """
    if mask is None:
        n_others = tf.cast(tf.maximum(tf.shape(values)[axis] - 1, 1), values.dtype)
        others = tf.reduce_sum(values, axis=axis, keepdims=True) - values
        return tf.where(tf.shape(values)[axis] > 1, others / n_others, tf.zeros_like(values))
    counts, values = tf.cast(mask, values.dtype), masks.masked(values, mask)
    n_others = tf.reduce_sum(counts, axis=axis, keepdims=True) - counts
    others = tf.reduce_sum(values, axis=axis, keepdims=True) - values
    return tf.where(n_others > 0.0, others / tf.maximum(n_others, 1.0), tf.zeros_like(values))
