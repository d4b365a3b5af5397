"""Long short-term memories: policies that remember what they have seen in a trajectory."""

import functools

import keras
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.numerics import random
from tf_metamapg.policies import features
from tf_metamapg.policies import functional
from tf_metamapg.policies import network
from tf_metamapg.policies.layers import Dense
from tf_metamapg.policies.layers import LSTMCell


class LSTM(keras.Model):
    """An LSTM with a dense layer behind."""

    state_names = ("hidden", "cell")

    @staticmethod
    def n_params(n_features, n_outputs, units):
        """How many parameters there are."""
        return (n_features + units + 1) * 4 * units + (units + 1) * n_outputs

    def __init__(self, encode, n_features, n_outputs, units, seed, **kwargs):
        super().__init__(**kwargs)
        self._encode = encode
        self._n_features = n_features
        glorot, orthogonal = keras.initializers.GlorotUniform, keras.initializers.Orthogonal
        self._cell = LSTMCell(
            units, glorot(random.integer_seed(seed, 0)), orthogonal(seed=random.integer_seed(seed, 1)),
            dtype=self.dtype_policy, name="lstm",
        )
        self._dense = Dense(
            n_outputs, None, glorot(random.integer_seed(seed, 2)), dtype=self.dtype_policy, name="dense"
        )

    def build(self, input_shape):
        del input_shape
        self._cell.build((None, self._n_features))
        self._dense.build((None, self._cell.units))

    def call(self, observations, memory):
        """The same as `step`."""
        return self.step(observations, memory)

    def initial_state(self, shape):
        """Zeros: (hidden, cell), tensors [*shape, units]."""
        return (tf.zeros([*shape, self._cell.units], self.compute_dtype),) * 2

    def step(self, observations, memory):
        """Observations [..., B, ...] and memory → (outputs [..., B, n_outputs], the next memory)."""
        hidden, cell = self._cell(self._encode(observations), tuple(memory))
        return self._dense(hidden), (hidden, cell)

    def unroll(self, observations):
        """Observations [..., K, T, ...] of whole trajectories → outputs [..., K, T, n_outputs]."""
        inputs = self._encode(observations)
        *leading, n_trajectories, horizon, _ = inputs.shape
        axes = list(range(len(leading)))
        inputs = tf.transpose(inputs, [len(axes) + 1, *axes, len(axes), len(axes) + 2])
        hidden, _ = self._cell.over_time(inputs, self.initial_state([*leading, n_trajectories]))
        hidden = tf.transpose(hidden, [axis + 1 for axis in axes] + [len(axes) + 1, 0, len(axes) + 2])
        outputs = self._dense(tf.reshape(hidden, [*leading, n_trajectories * horizon, self._cell.units]))
        return tf.reshape(outputs, [*leading, n_trajectories, horizon, outputs.shape[-1]])


@descriptions.maker
def lstm_policy(game, agent_index, units=64):
    """The policy of one agent with finitely many actions, as a long short-term memory.

    Args:
        game: a game with `observation_specs` and `n_actions`.
        agent_index: which agent of the game.
        units: how many numbers it remembers in either part of its memory.

    Returns:
        `NetworkPolicy`.

    Raises:
        InvalidInputError: if one of these does not hold.
    """
    return _lstm_policy("lstm_policy", network.categorical_head, game, agent_index, units)


@descriptions.maker
def gaussian_lstm_policy(game, agent_index, units=64):
    """The policy of one agent whose actions are vectors, as a long short-term memory. See `lstm_policy`."""
    return _lstm_policy("gaussian_lstm_policy", network.gaussian_head, game, agent_index, units)


def _lstm_policy(kind, make_head, game, agent_index, units):
    network.check_agent(kind, game, agent_index)
    checks.check_integer(f"{kind}.units", units, minimum=1)
    head = make_head(kind, game, agent_index)
    encode, n_features = functools.partial(features.encode, game), features.size(game, agent_index)
    functional.check_size(f"{kind}.units", units, LSTM.n_params(n_features, head.n_outputs, units), game.dtype)

    def build_model(seed):
        seed = random.integer_seed(seed, agent_index)
        model = LSTM(encode, n_features, head.n_outputs, units, seed, dtype=game.dtype)
        model.build(None)
        return model

    spec = features.agent_spec(game, agent_index)
    return network.NetworkPolicy(build_model, spec, head, game.observation_specs[agent_index])
