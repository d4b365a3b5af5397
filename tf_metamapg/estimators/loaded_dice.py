"""Loaded DiCE surrogates (Farquhar et al. 2019): DiCE with baselines for derivatives of every order."""

from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg.contracts import Structure
from tf_metamapg.estimators.expected import ExpectedUpdateEstimator
from tf_metamapg.estimators.magic_box import magic_box
from tf_metamapg.numerics import returns


def loaded_dice_surrogates(joint_log_probs: tf.Tensor, step_weights: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
    """Surrogates all of whose derivatives are those of the agents' values.

    mean_k Σ_t γ^t A_t (□(Σ_{t' ≤ t} l_t') − □(Σ_{t' < t} l_t')), Farquhar et al. 2019 with τ = 1, summed by
    parts so that each □ stands once. It rests on V(θ) = V(θ₀) + E_θ[Σ_t γ^t A_θ₀(o_t, a_t)], which holds for
    every θ. With no baseline it is the original DiCE objective, less a constant.

    Args:
        joint_log_probs: tensor [S, N, K, T], l_t = Σ_i log π^i(a_t|o_t), the sum over all agents.
        step_weights: tuple over agents of tensors [S, N, K, T], γ^t A_t − γ^(t+1) A_(t+1), held constant.

    Returns:
        tuple over agents of tensors [S, N] of zeros; differentiable any number of times in `joint_log_probs`.
    """
    boxes = magic_box(returns.cumulative_sums(joint_log_probs)) - 1.0
    return tuple(
        tf.reduce_mean(tf.reduce_sum(boxes * tf.stop_gradient(own_weights), axis=-1), axis=-1)
        for own_weights in step_weights
    )


class LoadedDiceEstimator(ExpectedUpdateEstimator):
    """Loaded DiCE: *expected* inner updates, from samples, with less variance than DiCE's."""

    def step_weights(self, rewards: tf.Tensor, baselines: tf.Tensor) -> Structure:
        """See `SampledEstimator.step_weights`."""
        advantages = self.discounted(self.advantages(rewards, baselines))
        return advantages - tf.pad(advantages[..., 1:], [[0, 0], [0, 0], [0, 0], [0, 1]])

    def surrogates(
        self, log_probs: tuple[tf.Tensor, ...], step_weights: tuple[Structure, ...]
    ) -> tuple[tf.Tensor, ...]:
        """See `SampledEstimator.surrogates`."""
        return loaded_dice_surrogates(tf.add_n(log_probs), step_weights)
