"""The distributions that policies return, as TensorFlow Probability distributions."""

from typing import TypeAlias

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

Distribution: TypeAlias = tfp.distributions.Distribution


def diagonal_normal(mean: tf.Tensor, stddev: tf.Tensor, n_event_axes: int = 1) -> Distribution:
    """A normal distribution of arrays whose numbers are independent; its event shape is that of the last axes."""
    return tfp.distributions.Independent(tfp.distributions.Normal(mean, stddev), n_event_axes)


class Categorical(tfp.distributions.Categorical):
    """A categorical distribution that also has a quantile function.

    `quantile(uniforms)` turns uniform numbers into samples. Rollouts use it so that all their random
    numbers can be drawn beforehand, outside of the compiled loop over time.
    """

    def cumulative_probs(self) -> tf.Tensor:
        """P(action ≤ a) for all actions but the last: tensor [..., A − 1]."""
        probs = self.probs_parameter()
        # A product, as XLA takes long to sum cumulatively along a short axis.
        until = np.triu(np.ones([probs.shape[-1]] * 2))[:, :-1]
        return tf.tensordot(probs, tf.constant(until, probs.dtype), axes=1)

    def _quantile(self, value):
        exceeded = tf.cast(value[..., tf.newaxis] >= self.cumulative_probs(), self.dtype)
        return tf.reduce_sum(exceeded, axis=-1)
