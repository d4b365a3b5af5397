"""DiCE surrogates, and the estimator of the *expected* reading of Eq. 3 from samples.

In this reading the inner update is the deterministic function φ(θ) of Eq. 3 as written, and its
derivative must account for θ changing the distribution of the trajectories. DiCE (Foerster et al.
2018) does so to any order, provided that the log-probabilities of *all* agents are among its
dependencies: with an agent's own alone, opponent-shaping would silently be zero. The current-policy
term is zero. For K trajectories the bias is O(1/K), from plugging an estimated φ in.
"""

import tensorflow as tf

from tf_metamapg import returns
from tf_metamapg.estimators.sampled import SampledEstimator


def magic_box(log_probs):
    """□(x) = exp(x − ⊥(x)), Foerster et al. 2018: its value is one, its derivative that of x."""
    return tf.exp(log_probs - tf.stop_gradient(log_probs))


def dice_surrogate(joint_log_probs, advantages, discount):
    """A surrogate all of whose derivatives are those of the value.

    mean_k Σ_t γ^t (□(Σ_{t' ≤ t} l_t') − □(Σ_{t' < t} l_t')) A_t, the form of Loaded DiCE (Farquhar et
    al. 2019, with λ = τ = 1). It rests on V(θ) = V(θ₀) + E_θ[Σ_t γ^t A_θ₀(o_t, a_t)], which holds for
    every θ. Without a baseline it is the original DiCE objective, less a constant.

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


class DiceEstimator(SampledEstimator):
    """DiCE inner updates: the *expected* reading, from samples."""

    def surrogates(self, log_probs, advantages):
        joint_log_probs = tf.add_n(log_probs)
        return tuple(
            dice_surrogate(joint_log_probs, own_advantages, self.game.discount) for own_advantages in advantages
        )

    def current_policy_surrogate(self, own_log_probs, later_values):
        """Zero: the surrogates already account for what θ does to the distribution of trajectories."""
        del own_log_probs
        return tf.zeros_like(later_values)
