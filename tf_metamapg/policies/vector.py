"""Parameter vectors, the policies of differentiable games: an agent plays the vector of its parameters."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Params
from tf_metamapg.numerics import random
from tf_metamapg.policies import functional


class Vector(keras.Model):
    """A vector of parameters; what it is called with does not matter."""

    def __init__(self, size: int, initializer: keras.initializers.Initializer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._size = size
        self._initializer = initializer

    def build(self, input_shape: Any) -> None:
        """Makes the variables; see `keras.layers.Layer.build`."""
        del input_shape
        self.vector = self.add_weight(shape=(self._size,), initializer=self._initializer, name="vector")

    def call(self, inputs: Any) -> tf.Tensor:
        """anything → [..., P], with the leading axes of the vector."""
        del inputs
        return self.vector.value


class VectorPolicy(functional.KerasPolicy):
    """The vector of one agent in a differentiable game."""

    def signatures(self, model: keras.Model) -> dict[str, tuple[Callable[..., Any], list[tf.TensorSpec]]]:
        """What an exported policy can be asked; see `export.py`."""
        return {"serving_default": (lambda: {"vector": tf.identity(model(()))}, [])}

    def strategy(self, params: Params) -> tf.Tensor:
        """The vector itself: [S, N, P], differentiable in `params`."""
        with functional.bound(self._model, params):
            return self._model(())


@descriptions.maker
def vector_policy(
    game: contracts.AnyGame, agent_index: int, initial_mean: float = 0.0, initial_stddev: float = 1.0
) -> VectorPolicy:
    """The vector of one agent of a differentiable game.

    Args:
        game: a `DifferentiableGame`.
        agent_index: which agent of the game.
        initial_mean: μ.
        initial_stddev: σ ≥ 0; the initial vector is drawn from N(μ, σ²).

    Returns:
        `VectorPolicy`.

    Raises:
        InvalidInputError: if one of these does not hold.
    """
    spec = functional.agent_spec("vector_policy", game, agent_index)
    checks.check(
        isinstance(spec.action, contracts.Box) and len(spec.action.shape) == 1, "vector_policy.game", game,
        "a game whose actions are vectors, such as a DifferentiableGame",
    )
    (size,) = spec.action.tensor_spec(spec.dtype).shape
    functional.check_size("vector_policy.game", game.spec.name, size, spec.dtype)
    checks.check_number("vector_policy.initial_mean", initial_mean)
    checks.check_number("vector_policy.initial_stddev", initial_stddev, minimum=0.0)

    def build_model(seed):
        initializer = keras.initializers.RandomNormal(
            initial_mean, initial_stddev, seed=random.integer_seed(seed, agent_index)
        )
        model = Vector(size, initializer, dtype=spec.dtype)
        model.build(())
        return model

    return VectorPolicy(build_model, spec)
