"""Score-function surrogates (REINFORCE, Williams 1992), and the estimator of *sampled* inner updates (Eq. 3).

Here the inner update is a function φ = φ(τ_θ, θ) of the K trajectories that were sampled.
The others' updates then depend on θ^i only through the trajectories, so agent i shapes them through
the current-policy term of Theorem 1, and the explicit opponent-shaping term is zero. For any finite K
the gradient is unbiased, with a higher variance than that of `dice.py`.
"""

from typing import Literal

import tensorflow as tf

from tf_metamapg.contracts import Structure
from tf_metamapg.estimators.sampled import SampledEstimator
from tf_metamapg.numerics import returns


def score_function_surrogate(own_log_probs: tf.Tensor, advantages: tf.Tensor) -> tf.Tensor:
    """A surrogate whose first derivative is the policy gradient of one agent.

    mean_k Σ_t log π(a_t|o_t) γ^t A_t, Williams 1992 with returns to go. Its second derivative is not
    the second derivative of the value.

    Args:
        own_log_probs: tensor [S, N, K, T] of the agent's log-probabilities.
        advantages: tensor [S, N, K, T], γ^t A_t, held constant.

    Returns:
        tensor [S, N], without a meaningful value; once differentiable in `own_log_probs`.
    """
    weighted = own_log_probs * tf.stop_gradient(advantages)
    return tf.reduce_mean(tf.reduce_sum(weighted, axis=-1), axis=-1)


class ScoreFunctionEstimator(SampledEstimator):
    """Score functions: *sampled* inner updates. See the module's text before choosing it."""

    inner_update: Literal["sampled"] = "sampled"
    # An agent's own policy gradient is all that its surrogate is differentiated for.
    accepts_critics_that_see_other_actions = True

    def step_weights(self, rewards: tf.Tensor, baselines: tf.Tensor) -> Structure:
        """See `SampledEstimator.step_weights`."""
        return self.discounted(self.advantages(rewards, baselines))

    def surrogates(
        self, log_probs: tuple[tf.Tensor, ...], step_weights: tuple[Structure, ...]
    ) -> tuple[tf.Tensor, ...]:
        """See `SampledEstimator.surrogates`."""
        return tuple(map(score_function_surrogate, log_probs, step_weights))

    def entropy_surrogate(self, log_probs: tuple[tf.Tensor, ...], entropies: tf.Tensor) -> tf.Tensor:
        """mean_k Σ_t γᵗ H_t at the observations that were made: [S, N]."""
        del log_probs
        return tf.reduce_mean(tf.reduce_sum(entropies, axis=-1), axis=-1)

    def current_policy_surrogate(self, own_log_probs: tf.Tensor, later_values: tf.Tensor) -> tf.Tensor:
        """Σ_k Σ_t log π(a_t|o_t) · (later value − baseline): the first term of Eq. 7.

        A sum over all K trajectories, since each of them has a part in the update. The baseline is
        the mean later value of the seed's other tasks, in which other trajectories are sampled.

        Args:
            own_log_probs: tensor [S, N, K, T] of the agent's log-probabilities at one link.
            later_values: tensor [S, N], what the agent gets at the later links.

        Returns:
            tensor [S, N]; once differentiable in `own_log_probs`.
        """
        advantages = later_values - returns.leave_one_out_mean(later_values, axis=1)
        return tf.reduce_sum(own_log_probs, axis=[-2, -1]) * tf.stop_gradient(advantages)
