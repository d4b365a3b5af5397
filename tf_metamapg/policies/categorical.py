"""Categorical policies over finitely many observations."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import masks
from tf_metamapg.numerics import tables
from tf_metamapg.policies import encoders
from tf_metamapg.policies import functional
from tf_metamapg.policies import heads
from tf_metamapg.policies import signatures
from tf_metamapg.policies.distributions import Categorical


class CategoricalPolicy(functional.KerasPolicy):
    """A policy without a recurrent state that sees one of finitely many observations.

    Since there are few observations, their action probabilities are computed once and looked up for
    each step, whatever the model is.

    Attributes:
        n_observations: how many observations there are.
        n_actions: A.
        n_uniforms: how many uniform numbers an action takes.
    """

    n_uniforms = 1

    def __init__(self, build_model: Callable[..., keras.Model], spec: contracts.AgentSpec) -> None:
        """
        Args:
            build_model: function of an integer seed that returns a built Keras model, fit for
                `functional.bound`. It maps int32 observations [B] to logits [B, n_actions].
            spec: `contracts.AgentSpec` with finitely many observations and actions.
        """
        super().__init__(build_model, spec)
        self.n_observations = encoders.size(spec.observation)
        self.n_actions = heads.for_actions(spec.action).n_outputs

    def signatures(self, model: keras.Model) -> dict[str, tuple[Callable[..., Any], list[tf.TensorSpec]]]:
        """What an exported policy can be asked; see `export.py`.

        Args:
            model: a model that `model()` has returned.

        Returns:
            dict from names to (function, its input signature).
        """
        return signatures.step_signatures(
            lambda observations, state: (model(observations), state), heads.CategoricalHead(self.n_actions), self.spec,
        )

    def logits(self, params: Params) -> tf.Tensor:
        """The logits for all observations.

        Args:
            params: Params with leaves [S, N, ...].

        Returns:
            tensor [S, N, n_observations, A], differentiable any number of times in `params`.
        """
        with functional.bound(self._model, params):
            return self._model(tf.range(self.n_observations))

    def strategy(self, params: Params) -> tf.Tensor:
        """π(a|o) for all observations: float64 tensor [S, N, n_observations, A], differentiable in `params`."""
        return tf.nn.softmax(tf.cast(self.logits(params), tf.float64))

    def distribution(self, params: Params, observations: tf.Tensor) -> Categorical:
        """The distribution of actions.

        Args:
            params: Params with leaves [S, N, ...].
            observations: int32 tensor [S, N, ...].

        Returns:
            `Categorical` with the batch shape of `observations`.
        """
        return Categorical(logits=tf.gather(self.logits(params), observations, batch_dims=2))

    def initial_state(self, shape: Sequence[int]) -> Structure:
        """Nothing."""
        del shape
        return ()

    def sampler(self, params: Params) -> Callable[[tf.Tensor, Structure, tf.Tensor], tuple[tf.Tensor, Structure]]:
        """A function (observations [S, N, K], (), uniforms [1, S, N, K]) → (actions, ()).

        What is the same at every step is computed once, here.
        """
        cumulative = tf.unstack(Categorical(logits=self.logits(params)).cumulative_probs(), axis=-1)

        def sample(observations, recurrent_state, uniforms):
            exceeded = (uniforms[0] >= tables.select(bound, observations) for bound in cumulative)
            actions = sum((tf.cast(is_exceeded, tf.int32) for is_exceeded in exceeded), tf.zeros_like(observations))
            return actions, recurrent_state

        return sample

    def log_likelihood(
        self, observations: tf.Tensor, actions: tf.Tensor, mask: tf.Tensor | None = None
    ) -> Callable[[Params], tf.Tensor]:
        """A function of params [S, N, ...] to the mean of log π(a|o) over given actions, [S, N].

        What is the same for all parameters is computed once, here.

        Args:
            observations: int32 tensor [S, N, K, T].
            actions: int32 tensor [S, N, K, T].
            mask: bool tensor [S, N, K, T], which of them count; None for all.
        """
        one_hot = tf.one_hot(
            observations * self.n_actions + actions, self.n_observations * self.n_actions,
            dtype=self.reference_params[0].dtype,
        )
        frequencies = masks.mean(one_hot, mask, axis=[2, 3])

        def mean_log_prob(params):
            table = tf.nn.log_softmax(self.logits(params))
            return tf.reduce_sum(tf.reshape(table, frequencies.shape) * frequencies, axis=-1)

        return mean_log_prob

    def log_probs(self, params: Params, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """log π(a|o) of given observations and actions.

        Args:
            params: Params with leaves [S, N, ...].
            observations: int32 tensor [S, N, K, T].
            actions: int32 tensor [S, N, K, T].

        Returns:
            tensor [S, N, K, T], differentiable any number of times in `params`.
        """
        table = tf.nn.log_softmax(self.logits(params))
        table = tf.reshape(table, [*observations.shape[:2], -1])
        return tables.look_up(table, observations * self.n_actions + actions)
