"""Raw parameters, for differentiable games: an agent's vector is all there is to its behaviour."""

import keras
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.numerics import random
from tf_metamapg.policies import features
from tf_metamapg.policies import functional


class Raw(keras.Model):
    """A vector of parameters; what it is called with does not matter."""

    def __init__(self, size, initializer, **kwargs):
        super().__init__(**kwargs)
        self._size = size
        self._initializer = initializer

    def build(self, input_shape):
        del input_shape
        self.vector = self.add_weight(shape=(self._size,), initializer=self._initializer, name="vector")

    def call(self, inputs):
        """anything → [..., P], with the leading axes of the vector."""
        del inputs
        return self.vector.value


class VectorPolicy(functional.KerasPolicy):
    """The vector of one agent in a differentiable game."""

    def signatures(self, model):
        """What an exported policy can be asked; see `export.py`."""
        return {"serving_default": (lambda: {"vector": tf.identity(model(()))}, [])}

    def strategy(self, params):
        """The vector itself: [S, N, P], differentiable in `params`."""
        with functional.bound(self._model, params):
            return self._model(())


@descriptions.maker
def vector_policy(game, agent_index, initial_mean=0.0, initial_stddev=1.0):
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
    checks.check(hasattr(game, "n_params"), "vector_policy.game", type(game).__name__, "a DifferentiableGame")
    checks.check_agent_index("vector_policy.agent_index", agent_index, game.n_agents)
    functional.check_size("vector_policy.game", game.name, game.n_params[agent_index], game.dtype)
    checks.check_number("vector_policy.initial_mean", initial_mean)
    checks.check_number("vector_policy.initial_stddev", initial_stddev, minimum=0.0)

    def build_model(seed):
        initializer = keras.initializers.RandomNormal(
            initial_mean, initial_stddev, seed=random.integer_seed(seed, agent_index)
        )
        model = Raw(game.n_params[agent_index], initializer, dtype=game.dtype)
        model.build(())
        return model

    return VectorPolicy(build_model, features.agent_spec(game, agent_index))
