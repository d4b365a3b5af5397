"""The distributions that policies return, as TensorFlow Probability distributions."""

import tensorflow as tf
import tensorflow_probability as tfp


class Categorical(tfp.distributions.Categorical):
    """A categorical distribution that also has a quantile function.

    `quantile(uniforms)` turns uniform numbers into samples. Rollouts use it so that all their random
    numbers can be drawn beforehand, outside of the compiled loop over time.
    """

    def _quantile(self, value):
        cumulative = tf.cumsum(self.probs_parameter(), axis=-1)[..., :-1]
        exceeded = tf.cast(value[..., tf.newaxis] >= cumulative, self.dtype)
        return tf.reduce_sum(exceeded, axis=-1)
