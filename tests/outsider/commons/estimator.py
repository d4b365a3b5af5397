"""The first estimator there was."""

import gin
import tensorflow as tf

import tf_metamapg as mapg


@gin.configurable
class Reinforce(mapg.ScoreFunctionEstimator):
    """Weighs all log-probabilities of a trajectory with its whole return (Williams 1992), less the first baseline."""

    def step_weights(self, rewards, baselines):
        whole = tf.reduce_sum(self.discounted(rewards), axis=-1, keepdims=True) - baselines[..., :1]
        return tf.broadcast_to(whole, rewards.shape)
