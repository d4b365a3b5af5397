"""What the outputs of a network mean: the parameters of a distribution of actions."""

from collections.abc import Sequence
import math

import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.numerics import random
from tf_metamapg.policies.distributions import Categorical
from tf_metamapg.policies.distributions import diagonal_normal
from tf_metamapg.policies.distributions import Distribution


class CategoricalHead:
    """Outputs are logits; actions are int32 numbers in [0, A).

    Attributes:
        n_outputs: A.
        n_uniforms: how many uniform numbers an action takes.
    """

    n_uniforms = 1

    def __init__(self, n_actions: int) -> None:
        self.n_outputs = n_actions

    def distribution(self, outputs: tf.Tensor) -> Categorical:
        """Outputs [..., A] → `Categorical` with batch shape [...]."""
        return Categorical(logits=outputs)

    def quantile(self, outputs: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
        """Outputs [..., A] and uniform numbers [1, ...] → actions [...]."""
        return self.distribution(outputs).quantile(uniforms[0])

    def log_probs(self, outputs: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """log π(a|o) of actions [...]: tensor [...], differentiable any number of times in the outputs [..., A]."""
        taken = tf.one_hot(actions, self.n_outputs, dtype=outputs.dtype)
        return tf.reduce_sum(taken * tf.nn.log_softmax(outputs), axis=-1)

    def named(self, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """What an exported policy says of the distribution: dict of tensors [..., A]."""
        return {"logits": outputs, "probabilities": tf.nn.softmax(outputs)}


class GaussianHead:
    """Outputs are the mean of every number, and what softplus makes its standard deviation; actions are arrays.

    Attributes:
        n_outputs: 2 m for actions of m numbers.
        n_uniforms: how many uniform numbers an action takes: m.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self._shape = tuple(shape)
        self.n_uniforms = math.prod(shape)
        self.n_outputs = 2 * self.n_uniforms

    def distribution(self, outputs: tf.Tensor) -> Distribution:
        """Outputs [..., 2 m] → a diagonal normal distribution with batch shape [...] and the actions' event shape."""
        mean, stddev = self._mean_and_stddev(outputs)
        return diagonal_normal(mean, stddev, len(self._shape))

    def quantile(self, outputs: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
        """Outputs [..., 2 m] and uniform numbers [m, ...] → actions [..., *action]."""
        mean, stddev = self._mean_and_stddev(outputs)
        normals = random.normal_quantile(tf.stack(tf.unstack(uniforms), axis=-1))
        return mean + stddev * self._as_actions(normals)

    def log_probs(self, outputs: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """The log-density of actions [..., *action]: [...], differentiable any number of times in the outputs."""
        return self.distribution(outputs).log_prob(actions)

    def named(self, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """What an exported policy says of the distribution: dict of tensors [..., *action]."""
        return dict(zip(("mean", "stddev"), self._mean_and_stddev(outputs)))

    def _mean_and_stddev(self, outputs):
        mean, spread = tf.split(outputs, 2, axis=-1)
        return self._as_actions(mean), self._as_actions(tf.nn.softplus(spread))

    def _as_actions(self, vectors):
        """[..., m] → [..., *action]."""
        if len(self._shape) == 1:
            return vectors
        return tf.reshape(vectors, [*tf.unstack(tf.shape(vectors)[:-1]), *self._shape])


def for_actions(space: contracts.Space) -> CategoricalHead | GaussianHead:
    """The head for actions of a space, `contracts.Discrete` or `contracts.Box`."""
    return CategoricalHead(space.n) if isinstance(space, contracts.Discrete) else GaussianHead(space.shape)
