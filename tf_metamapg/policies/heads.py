"""What the outputs of a network mean: the parameters of a distribution of actions."""

import tensorflow as tf

from tf_metamapg.numerics import random
from tf_metamapg.policies.distributions import Categorical
from tf_metamapg.policies.distributions import diagonal_normal


class CategoricalHead:
    """Outputs are logits; actions are int32 numbers in [0, A).

    Attributes:
        n_outputs: A.
        n_uniforms: how many uniform numbers an action takes.
    """

    n_uniforms = 1

    def __init__(self, n_actions):
        self.n_outputs = n_actions

    def distribution(self, outputs):
        """Outputs [..., A] → `Categorical` with batch shape [...]."""
        return Categorical(logits=outputs)

    def quantile(self, outputs, uniforms):
        """Outputs [..., A] and a list of one tensor [...] of uniform numbers → actions [...]."""
        (uniforms,) = uniforms
        return self.distribution(outputs).quantile(uniforms)

    def log_probs(self, outputs, actions):
        """log π(a|o) of actions [...]: tensor [...], differentiable any number of times in the outputs [..., A]."""
        taken = tf.one_hot(actions, self.n_outputs, dtype=outputs.dtype)
        return tf.reduce_sum(taken * tf.nn.log_softmax(outputs), axis=-1)

    def named(self, outputs):
        """What an exported policy says of the distribution: dict of tensors [..., A]."""
        return {"logits": outputs, "probabilities": tf.nn.softmax(outputs)}


class GaussianHead:
    """Outputs are the mean of every coordinate, and what softplus makes its standard deviation; actions are vectors.

    Attributes:
        n_outputs: 2 m.
        n_uniforms: how many uniform numbers an action takes: m.
    """

    def __init__(self, n_coordinates):
        self.n_outputs = 2 * n_coordinates
        self.n_uniforms = n_coordinates

    def distribution(self, outputs):
        """Outputs [..., 2 m] → a diagonal normal distribution with batch shape [...] and event shape [m]."""
        return diagonal_normal(*_mean_and_stddev(outputs))

    def quantile(self, outputs, uniforms):
        """Outputs [..., 2 m] and a list of m tensors [...] of uniform numbers → actions [..., m]."""
        mean, stddev = _mean_and_stddev(outputs)
        return mean + stddev * random.normal_quantile(tf.stack(uniforms, axis=-1))

    def log_probs(self, outputs, actions):
        """The log-density of actions [..., m]: tensor [...], differentiable any number of times in the outputs."""
        return self.distribution(outputs).log_prob(actions)

    def named(self, outputs):
        """What an exported policy says of the distribution: dict of tensors [..., m]."""
        return dict(zip(("mean", "stddev"), _mean_and_stddev(outputs)))


def _mean_and_stddev(outputs):
    mean, spread = tf.split(outputs, 2, axis=-1)
    return mean, tf.nn.softplus(spread)
