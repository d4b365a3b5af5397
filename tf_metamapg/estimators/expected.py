"""What the estimators of expected inner updates from samples have in common."""

from typing import Literal

import tensorflow as tf

from tf_metamapg.estimators.magic_box import magic_box
from tf_metamapg.estimators.sampled import SampledEstimator
from tf_metamapg.numerics import returns


class ExpectedUpdateEstimator(SampledEstimator):
    """An estimator whose surrogates already account for what θ does to the distribution of trajectories."""

    inner_update: Literal["expected"] = "expected"

    def current_policy_surrogate(self, own_log_probs: tf.Tensor, later_values: tf.Tensor) -> tf.Tensor:
        """Zeros [S, N]: what is sampled is not what the inner update is a function of."""
        del own_log_probs
        return tf.zeros_like(later_values)

    def entropy_surrogate(self, log_probs: tuple[tf.Tensor, ...], entropies: tf.Tensor) -> tf.Tensor:
        """mean_k Σ_t □(Σ_{t' < t} l_t') γᵗ H_t, all of whose derivatives are those of the expected entropy: [S, N]."""
        joint_log_probs = tf.add_n(log_probs)
        before = returns.cumulative_sums(joint_log_probs) - joint_log_probs
        return tf.reduce_mean(tf.reduce_sum(magic_box(before) * entropies, axis=-1), axis=-1)
