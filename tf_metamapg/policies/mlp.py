"""Multilayer perceptrons: policies without a memory."""

import functools
import itertools

import keras
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.numerics import random
from tf_metamapg.policies import features
from tf_metamapg.policies import functional
from tf_metamapg.policies import network
from tf_metamapg.policies.categorical import CategoricalPolicy
from tf_metamapg.policies.categorical import check_game
from tf_metamapg.policies.layers import Dense


class MLP(keras.Model):
    """Dense layers with an activation in between."""

    state_names = ()

    @staticmethod
    def n_params(n_features, n_outputs, hidden_units):
        """How many parameters there are."""
        return sum((size + 1) * units for size, units in itertools.pairwise((n_features, *hidden_units, n_outputs)))

    def __init__(self, encode, n_features, n_outputs, hidden_units, activation, seed, **kwargs):
        super().__init__(**kwargs)
        self._encode = encode
        self._n_features = n_features
        sizes = (*hidden_units, n_outputs)
        activations = [activation] * len(hidden_units) + [None]
        self._dense = [
            Dense(
                size, activation, keras.initializers.GlorotUniform(random.integer_seed(seed, index)),
                dtype=self.dtype_policy, name=f"dense_{index}",
            )
            for index, (size, activation) in enumerate(zip(sizes, activations))
        ]

    def build(self, input_shape):
        del input_shape
        size = self._n_features
        for layer in self._dense:
            layer.build((None, size))
            size = layer.units

    def call(self, observations):
        """Observations [..., B, ...] → outputs [..., B, n_outputs], with the leading axes of the parameters."""
        return self._outputs(self._encode(observations))

    def initial_state(self, shape):
        """Nothing."""
        del shape
        return ()

    def step(self, observations, memory):
        """Observations [..., B, ...] and nothing → (outputs [..., B, n_outputs], nothing)."""
        return self.call(observations), memory

    def unroll(self, observations):
        """Observations [..., K, T, ...] → outputs [..., K, T, n_outputs]."""
        inputs = self._encode(observations)
        *leading, n_trajectories, horizon, n_features = inputs.shape
        outputs = self._outputs(tf.reshape(inputs, [*leading, n_trajectories * horizon, n_features]))
        return tf.reshape(outputs, [*leading, n_trajectories, horizon, outputs.shape[-1]])

    def _outputs(self, hidden):
        for layer in self._dense:
            hidden = layer(hidden)
        return hidden


@descriptions.maker
def mlp_policy(game, agent_index, hidden_units=(64,), activation="tanh"):
    """The policy of one agent of a game with finitely many observations, as a multilayer perceptron.

    Args:
        game: a game with `n_observations` and `n_actions`.
        agent_index: which agent of the game.
        hidden_units: how many units each hidden layer has.
        activation: of the hidden layers, as Keras names it; one that keeps the shape, and is finite at 0.

    Returns:
        `CategoricalPolicy`.

    Raises:
        InvalidInputError: if one of these does not hold.
    """
    kind = "mlp_policy"
    check_game(kind, game, agent_index)
    network.check_agent(kind, game, agent_index)
    n_actions = game.n_actions[agent_index]
    build_model = _model_builder(kind, game, agent_index, n_actions, hidden_units, activation)
    return CategoricalPolicy(build_model, features.agent_spec(game, agent_index))


@descriptions.maker
def gaussian_mlp_policy(game, agent_index, hidden_units=(64,), activation="tanh"):
    """The policy of one agent whose actions are vectors, as a multilayer perceptron.

    Args:
        game: a game with `observation_specs` and `action_specs`, of which the agent's action is a vector.
        agent_index, hidden_units, activation: see `mlp_policy`.

    Returns:
        `NetworkPolicy`.

    Raises:
        InvalidInputError: if one of these does not hold.
    """
    kind = "gaussian_mlp_policy"
    network.check_agent(kind, game, agent_index)
    head = network.gaussian_head(kind, game, agent_index)
    build_model = _model_builder(kind, game, agent_index, head.n_outputs, hidden_units, activation)
    spec = features.agent_spec(game, agent_index)
    return network.NetworkPolicy(build_model, spec, head, game.observation_specs[agent_index])


def _model_builder(kind, game, agent_index, n_outputs, hidden_units, activation):
    encode, n_features = functools.partial(features.encode, game), features.size(game, agent_index)
    parameter = f"{kind}.hidden_units"
    checks.check(isinstance(hidden_units, (list, tuple)), parameter, hidden_units, "a list of sizes")
    for index, size in enumerate(hidden_units):
        checks.check_integer(f"{parameter}[{index}]", size, minimum=1)
    functional.check_size(parameter, hidden_units, MLP.n_params(n_features, n_outputs, hidden_units), game.dtype)
    _check_activation(f"{kind}.activation", activation)

    def build_model(seed):
        seed = random.integer_seed(seed, agent_index)
        model = MLP(encode, n_features, n_outputs, hidden_units, activation, seed, dtype=game.dtype)
        model.build(None)
        return model

    return build_model


def _check_activation(parameter, activation):
    try:
        function = keras.activations.get(activation)
    except (ValueError, TypeError):
        checks.check(False, parameter, activation, "the name of a Keras activation")
    inputs = tf.zeros([1, 2])
    try:
        outputs = tf.convert_to_tensor(function(inputs), inputs.dtype)
        is_usable = outputs.shape == inputs.shape and bool(tf.reduce_all(tf.math.is_finite(outputs)))
    except Exception:  # A function may do anything to what it is not made for.
        is_usable = False
    checks.check(
        is_usable, parameter, activation, "an activation without arguments that keeps the shape and is finite at 0"
    )
