"""Long short-term memories: recurrent policies, which remember what they have seen in a trajectory."""

import functools

import keras
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.numerics import random
from tf_metamapg.policies import encoders
from tf_metamapg.policies import functional
from tf_metamapg.policies import heads
from tf_metamapg.policies.layers import Dense
from tf_metamapg.policies.layers import LSTMCell
from tf_metamapg.policies.network import NetworkPolicy


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
        """Makes the variables; see `keras.layers.Layer.build`."""
        del input_shape
        self._cell.build((None, self._n_features))
        self._dense.build((None, self._cell.units))

    def call(self, observations, state):
        """The same as `step`."""
        return self.step(observations, state)

    def initial_state(self, shape):
        """Zeros: (hidden, cell), tensors [*shape, units]."""
        return (tf.zeros([*shape, self._cell.units], self.compute_dtype),) * 2

    def step(self, observations, state):
        """Observations [..., B, ...] and state → (outputs [..., B, n_outputs], the next state)."""
        hidden, cell = self._cell(self._encode(observations), tuple(state))
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
    """The policy of one agent as a long short-term memory of what it has seen.

    Args:
        game: any game that is played step by step.
        agent_index: which agent of the game.
        units: the size of either part of the recurrent state.

    Returns:
        `NetworkPolicy`; of actions that are arrays of numbers the distribution is a diagonal normal one.

    Raises:
        InvalidInputError: if one of these does not hold.
    """
    kind = "lstm_policy"
    spec = functional.agent_spec(kind, game, agent_index)
    checks.check_integer(f"{kind}.units", units, minimum=1)
    n_features, n_outputs = encoders.size(spec.observation), heads.for_actions(spec.action).n_outputs
    functional.check_size(f"{kind}.units", units, LSTM.n_params(n_features, n_outputs, units), spec.dtype)
    encode = functools.partial(encoders.encode, spec.observation, spec.dtype)

    def build_model(seed):
        seed = random.integer_seed(seed, agent_index)
        model = LSTM(encode, n_features, n_outputs, units, seed, dtype=spec.dtype)
        model.build(None)
        return model

    return NetworkPolicy(build_model, spec)
