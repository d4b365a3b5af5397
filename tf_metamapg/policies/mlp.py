"""Multilayer perceptrons over the observations of a finite game."""

import keras

from tf_metamapg import checks
from tf_metamapg import random
from tf_metamapg.policies.categorical import CategoricalPolicy
from tf_metamapg.policies.categorical import check_game
from tf_metamapg.policies.layers import Dense


class MLP(keras.Model):
    """Dense layers with an activation in between, on one-hot observations."""

    def __init__(self, n_observations, n_outputs, hidden_units, activation, seed, **kwargs):
        super().__init__(**kwargs)
        self._n_observations = n_observations
        sizes = (*hidden_units, n_outputs)
        activations = [activation] * len(hidden_units) + [None]
        self._dense = [
            Dense(
                size, activation,
                keras.initializers.GlorotUniform(random.integer_seed(seed, index)), dtype=self.dtype_policy,
            )
            for index, (size, activation) in enumerate(zip(sizes, activations))
        ]

    def build(self, input_shape):
        del input_shape
        size = self._n_observations
        for layer in self._dense:
            layer.build((None, size))
            size = layer.units

    def call(self, observations):
        """int32 tensor [B] → [..., B, n_outputs], with the leading axes of the parameters."""
        hidden = keras.ops.one_hot(observations, self._n_observations, dtype=self.compute_dtype)
        for layer in self._dense:
            hidden = layer(hidden)
        return hidden


def mlp_policy(game, agent_index, hidden_units=(64,), activation="tanh"):
    """The policy of one agent of a game with finitely many observations, as a multilayer perceptron.

    Args:
        game: a game with `n_observations` and `n_actions`.
        agent_index: which agent of the game.
        hidden_units: how many units each hidden layer has.
        activation: of the hidden layers, as Keras names it.

    Returns:
        `CategoricalPolicy`.

    Raises:
        InvalidInputError: if one of these does not hold.
    """
    check_game("mlp_policy", game, agent_index)
    checks.check(isinstance(hidden_units, (list, tuple)), "mlp_policy.hidden_units", hidden_units, "a list of sizes")
    for index, size in enumerate(hidden_units):
        checks.check_integer(f"mlp_policy.hidden_units[{index}]", size, minimum=1)
    try:
        keras.activations.get(activation)
    except (ValueError, TypeError):
        checks.check(False, "mlp_policy.activation", activation, "the name of a Keras activation")
    n_actions = game.n_actions[agent_index]

    def build_model(seed):
        seed = random.integer_seed(seed, agent_index)
        model = MLP(game.n_observations, n_actions, hidden_units, activation, seed, dtype=game.dtype)
        model.build((None,))
        return model

    return CategoricalPolicy(build_model, game.n_observations, n_actions)
