"""Policies that are any Keras model of the user's."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import axes
from tf_metamapg.numerics import random
from tf_metamapg.policies import functional
from tf_metamapg.policies import heads
from tf_metamapg.policies import trials
from tf_metamapg.policies.batched import Batched
from tf_metamapg.policies.batched import vectorizes
from tf_metamapg.policies.categorical import CategoricalPolicy
from tf_metamapg.policies.network import NetworkPolicy


class FeedForward(keras.Model):
    """A model without a recurrent state, with the methods that policies ask for; see `mlp.MLP`."""

    state_names = ()

    def __init__(self, model: keras.layers.Layer, vectorizes: bool, n_axes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self._batched = Batched(model, vectorizes)
        self._n_axes = n_axes  # of an observation
        self.built = True

    def call(self, observations: tf.Tensor) -> tf.Tensor:
        """Observations [..., B, *observation], or [B, *observation] → outputs [..., B, n_outputs]."""
        values = self._batched.values()
        leading = self._batched.axes(values)
        if len(observations.shape) == 1 + self._n_axes and leading:
            observations = tf.broadcast_to(observations, [*leading, *axes.sizes(observations)])
        return self._batched(values, observations)

    def initial_state(self, shape: Sequence[int]) -> Structure:
        """Nothing."""
        del shape
        return ()

    def step(self, observations: tf.Tensor, state: Structure) -> tuple[tf.Tensor, Structure]:
        """Observations [..., B, *observation] and nothing → (outputs [..., B, n_outputs], nothing)."""
        return self.call(observations), state

    def unroll(self, observations: tf.Tensor) -> tf.Tensor:
        """Observations [..., K, T, *observation] → outputs [..., K, T, n_outputs]."""
        n_front = len(observations.shape) - self._n_axes
        *leading, n_trajectories, horizon = axes.sizes(observations)[:n_front]
        rows = tf.reshape(observations, [*leading, n_trajectories * horizon, *observations.shape[n_front:]])
        outputs = self.call(rows)
        return tf.reshape(outputs, [*leading, n_trajectories, horizon, outputs.shape[-1]])


@descriptions.maker
def keras_policy(
    game: contracts.AnyGame, agent_index: int, make_model: Callable[[int], keras.Model]
) -> CategoricalPolicy | NetworkPolicy:
    """The policy of one agent as any Keras model.

    Args:
        game: any game that is played step by step.
        agent_index: which agent of the game.
        make_model: function of an integer seed that returns a new, built Keras model of the game's dtype, the same one
            for the same seed. It maps what the agent sees, [B, *observation], int32 or floating, to outputs
            [B, n_outputs]: logits of the actions; of actions that are arrays of m numbers the 2 m numbers that
            `heads.GaussianHead` takes. All its variables must be learned: no batch normalization, no
            dropout; and no gradient stopped, as second derivatives would be wrong.

    Returns:
        `CategoricalPolicy` where observations and actions are finitely many, and `NetworkPolicy` elsewhere.

    Raises:
        InvalidInputError: if one of these does not hold.
    """
    parameter = "keras_policy.make_model"
    spec = functional.agent_spec("keras_policy", game, agent_index)
    n_outputs, one = heads.for_actions(spec.action).n_outputs, spec.observation.tensor_spec(spec.dtype)
    observations = tf.zeros([trials.BATCH_SIZE, *one.shape], one.dtype)

    def new_model(seed):
        return trials.made(parameter, make_model, "a Keras model", random.integer_seed(seed, agent_index))

    model = new_model(0)
    checks.check(model.built, f"{parameter}(...)", model, "built, as by an Input in front or by its build")
    outputs = trials.results(f"{parameter}(...)", model, (observations,), spec.dtype, new_model(0))
    trials.check_vectors(f"{parameter}(...)", model, "outputs are", [outputs], [n_outputs], spec.dtype)
    can_be_vectorized = vectorizes(model, (observations,))

    def build_model(seed):
        return FeedForward(new_model(seed), can_be_vectorized, len(one.shape), dtype=spec.dtype)

    return (CategoricalPolicy if functional.is_finite(spec) else NetworkPolicy)(build_model, spec)
