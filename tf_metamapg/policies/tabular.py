"""Tabular policies: one parameter per observation and action."""

from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike
import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Params
from tf_metamapg.numerics import products
from tf_metamapg.numerics import random
from tf_metamapg.policies import encoders
from tf_metamapg.policies import functional
from tf_metamapg.policies import heads
from tf_metamapg.policies.categorical import CategoricalPolicy


class Tabular(keras.Model):
    """A table of logits, looked up by observation.

    The last action's logit is fixed at zero, as probabilities only depend on differences. So a policy
    with two actions has one parameter per observation, the logit of action 0: five numbers in the
    iterated prisoner's dilemma.
    """

    def __init__(
        self, n_observations: int, n_actions: int, initializer: keras.initializers.Initializer, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._n_observations = n_observations
        self._n_actions = n_actions
        self._initializer = initializer

    def build(self, input_shape: Any) -> None:
        """Makes the variables; see `keras.layers.Layer.build`."""
        del input_shape
        self.table = self.add_weight(
            shape=(self._n_observations, self._n_actions - 1), initializer=self._initializer, name="table"
        )

    def call(self, observations: tf.Tensor) -> tf.Tensor:
        """int32 tensor [B] → logits [..., B, n_actions], with the leading axes of the table."""
        one_hot = keras.ops.one_hot(observations, self._n_observations, dtype=self.compute_dtype)
        return products.matmul(one_hot, self.logits())

    def logits(self) -> tf.Tensor:
        """Those of all observations: [..., n_observations, n_actions]."""
        free_logits = self.table.value
        last_logits = keras.ops.zeros((*keras.ops.shape(free_logits)[:-1], 1), free_logits.dtype)
        return keras.ops.concatenate([free_logits, last_logits], axis=-1)


class TabularPolicy(CategoricalPolicy):
    """A table of logits."""

    def logits(self, params: Params) -> tf.Tensor:
        """See `CategoricalPolicy.logits`: nothing is looked up in the table."""
        with functional.bound(self._model, params):
            return self._model.logits()

    def params_of(self, action_probs: ArrayLike) -> tuple[np.ndarray]:
        """The parameters of the policies that have given action probabilities.

        Args:
            action_probs: array [..., n_observations, A] of numbers in [0, 1] that sum to 1 over the last axis, within
                10⁻⁶. Logits are finite, so an action of probability 0 gets the smallest one that the dtype has.

        Returns:
            Params with one leaf [..., n_observations, A − 1], an array.

        Raises:
            InvalidInputError: if `action_probs` is something else.
        """
        shape = (self.n_observations, self.n_actions)
        probs = arguments.table("action_probs", action_probs)
        checks.check(
            probs.shape[-2:] == shape, "action_probs", f"array of shape {probs.shape}",
            f"of shape (..., {shape[0]}, {shape[1]})",
        )
        checks.check(
            np.all(probs >= 0.0) and np.allclose(probs.sum(axis=-1), 1.0, rtol=0.0, atol=1e-6), "action_probs",
            probs.tolist(), "probabilities that sum to 1 over the last axis",
        )
        dtype = self.reference_params[0].dtype.name
        log_probs = np.log(np.maximum(probs, np.finfo(dtype).tiny))
        return ((log_probs[..., :-1] - log_probs[..., -1:]).astype(dtype),)


@descriptions.maker
def tabular_policy(game: contracts.AnyGame, agent_index: int, initial_stddev: float = 1.0) -> TabularPolicy:
    """The policy of one agent of a game with finitely many observations, as a table of logits.

    Args:
        game: a game in which the agent has finitely many observations and actions.
        agent_index: which agent of the game.
        initial_stddev: initial logits are drawn from N(0, initial_stddev²).

    Returns:
        `TabularPolicy`.

    Raises:
        InvalidInputError: if one of these does not hold.
    """
    spec = functional.agent_spec("tabular_policy", game, agent_index)
    checks.check(
        functional.is_finite(spec), "tabular_policy.game", game, "a game with finitely many observations and actions"
    )
    checks.check_number("tabular_policy.initial_stddev", initial_stddev, minimum=0.0)

    n_observations, n_actions = encoders.size(spec.observation), heads.for_actions(spec.action).n_outputs

    def build_model(seed):
        initializer = keras.initializers.RandomNormal(
            stddev=initial_stddev, seed=random.integer_seed(seed, agent_index)
        )
        model = Tabular(n_observations, n_actions, initializer, dtype=spec.dtype)
        model.build((None,))
        return model

    return TabularPolicy(build_model, spec)
