"""Policies whose distribution of actions is what a network makes of the observations, recurrent or not."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import masks
from tf_metamapg.policies import functional
from tf_metamapg.policies import heads
from tf_metamapg.policies import signatures
from tf_metamapg.policies.distributions import Distribution


class NetworkPolicy(functional.KerasPolicy):
    """A Keras model whose outputs are the parameters of a distribution of actions.

    Attributes:
        n_uniforms: how many uniform numbers an action takes.
    """

    def __init__(self, build_model: Callable[..., keras.Model], spec: contracts.AgentSpec) -> None:
        """
        Args:
            build_model: function of an integer seed that returns a built Keras model with the methods of
                `mlp.MLP` or `recurrent.Recurrent`, with as many outputs as `heads.for_actions` wants.
            spec: `contracts.AgentSpec` of the agent that it is made for.
        """
        super().__init__(build_model, spec)
        self._head = heads.for_actions(spec.action)
        self.n_uniforms = self._head.n_uniforms

    def signatures(self, model: keras.Model) -> dict[str, tuple[Callable[..., Any], list[tf.TensorSpec]]]:
        """What an exported policy can be asked; see `export.py`."""
        state_specs = [
            tf.TensorSpec([None, *leaf.shape[1:]], leaf.dtype, name=name)
            for name, leaf in zip(model.state_names, model.initial_state([1]))
        ]
        named = signatures.step_signatures(model.step, self._head, self.spec, state_specs)
        if state_specs:
            named["initial_state"] = (
                lambda batch_size: dict(zip(model.state_names, model.initial_state([batch_size]))),
                [tf.TensorSpec([], tf.int32, name="batch_size")],
            )
        return named

    def initial_state(self, shape: Sequence[int]) -> Structure:
        """The recurrent state before the first step, tuple of tensors [*shape, ...]; empty if there is none."""
        return self._model.initial_state(shape)

    def distribution(self, params: Params, observations: tf.Tensor) -> Distribution:
        """The distribution of actions, at every step of trajectories.

        Args:
            params: Params with leaves [S, N, ...].
            observations: tensor [S, N, K, T, ...], from the first step on.

        Returns:
            TensorFlow Probability distribution with batch shape [S, N, K, T].
        """
        return self._head.distribution(self._outputs(params, observations))

    def sampler(self, params: Params) -> Callable[[tf.Tensor, Structure, tf.Tensor], tuple[tf.Tensor, Structure]]:
        """A function (observations [S, N, K, ...], state, uniforms [n_uniforms, S, N, K]) → (actions, state)."""

        def sample(observations, recurrent_state, uniforms):
            with functional.bound(self._model, params):
                outputs, recurrent_state = self._model.step(observations, recurrent_state)
            return self._head.quantile(outputs, uniforms), recurrent_state

        return sample

    def log_probs(self, params: Params, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """log π(a_t|o_0..o_t) of given trajectories, of a density where actions are arrays of numbers.

        Args:
            params: Params with leaves [S, N, ...].
            observations: tensor [S, N, K, T, ...], from the first step on.
            actions: tensor [S, N, K, T, ...].

        Returns:
            tensor [S, N, K, T], differentiable any number of times in `params`.
        """
        return self._head.log_probs(self._outputs(params, observations), actions)

    def log_likelihood(
        self, observations: tf.Tensor, actions: tf.Tensor, mask: tf.Tensor | None = None
    ) -> Callable[[Params], tf.Tensor]:
        """A function of params [S, N, ...] to the mean of log π over the steps that count, [S, N]."""
        return lambda params: masks.mean(self.log_probs(params, observations, actions), mask, axis=[2, 3])

    def _outputs(self, params, observations):
        with functional.bound(self._model, params):
            return self._model.unroll(observations)
