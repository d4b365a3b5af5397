"""Loaded DiCE surrogates (Farquhar et al. 2019): DiCE with baselines for derivatives of every order."""

import tensorflow as tf

from tf_metamapg import returns
from tf_metamapg.estimators.dice import magic_box
from tf_metamapg.estimators.sampled import ExpectedReadingEstimator


def loaded_dice_surrogate(joint_log_probs, advantages, discount):
    """A surrogate all of whose derivatives are those of the value.

    mean_k Σ_t γ^t (□(Σ_{t' ≤ t} l_t') − □(Σ_{t' < t} l_t')) A_t, Farquhar et al. 2019 with λ = τ = 1. It rests
    on V(θ) = V(θ₀) + E_θ[Σ_t γ^t A_θ₀(o_t, a_t)], which holds for every θ. With no baseline it is the
    original DiCE objective, less a constant.

    Args:
        joint_log_probs: tensor [S, N, K, T], l_t = Σ_i log π^i(a_t|o_t), the sum over all agents.
        advantages: tensor [S, N, K, T] of one agent, held constant.
        discount: γ.

    Returns:
        tensor [S, N] of zeros; differentiable any number of times in `joint_log_probs`.
    """
    weights = returns.discounts(discount, advantages.shape[-1], advantages.dtype)
    until_now = returns.cumulative_sums(joint_log_probs)
    differences = magic_box(until_now) - magic_box(until_now - joint_log_probs)
    weighted = differences * tf.stop_gradient(advantages) * weights
    return tf.reduce_mean(tf.reduce_sum(weighted, axis=-1), axis=-1)


class LoadedDiceEstimator(ExpectedReadingEstimator):
    """Loaded DiCE inner updates: the *expected* reading, from samples, with less variance than DiCE's."""

    def surrogates(self, log_probs, rewards):
        joint_log_probs = tf.add_n(log_probs)
        return tuple(
            loaded_dice_surrogate(joint_log_probs, self.advantages(own_rewards), self.game.discount)
            for own_rewards in rewards
        )
