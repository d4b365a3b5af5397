"""Recurrent policies, which remember what they have seen in a trajectory."""

from collections.abc import Callable
from collections.abc import Sequence
import functools
from typing import Any

import keras
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import axes
from tf_metamapg.numerics import random
from tf_metamapg.policies import encoders
from tf_metamapg.policies import functional
from tf_metamapg.policies import heads
from tf_metamapg.policies.layers import Dense
from tf_metamapg.policies.layers import GRUCell
from tf_metamapg.policies.layers import LSTMCell
from tf_metamapg.policies.layers import RecurrentCell
from tf_metamapg.policies.network import NetworkPolicy


class Recurrent(keras.Model):
    """A recurrent cell, such as those of `layers.py`, with a dense layer behind.

    Attributes:
        state_names: what the parts of the recurrent state are called.
    """

    @staticmethod
    def n_params(cell_class: type[RecurrentCell], n_features: int, n_outputs: int, units: int) -> int:
        """How many parameters there are."""
        return (n_features + units + 1) * cell_class.n_gates * units + (units + 1) * n_outputs

    def __init__(
        self, cell: keras.layers.Layer, encode: Callable[[tf.Tensor], tf.Tensor], n_features: int, n_outputs: int,
        seed: int, **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._cell = cell
        self._encode = encode
        self._n_features = n_features
        self._dense = Dense(
            n_outputs, None, keras.initializers.GlorotUniform(random.integer_seed(seed, 2)), dtype=self.dtype_policy,
            name="dense",
        )
        self.state_names = cell.state_names

    def build(self, input_shape: Any) -> None:
        """Makes the variables; see `keras.layers.Layer.build`."""
        del input_shape
        self._cell.build((None, self._n_features))
        self._dense.build((None, self._cell.units))

    def call(self, observations: tf.Tensor, state: Structure) -> tuple[tf.Tensor, Structure]:
        """The same as `step`."""
        return self.step(observations, state)

    def initial_state(self, shape: Sequence[int]) -> Structure:
        """Zeros: tuple of tensors [*shape, units]."""
        return self._cell.initial_state(shape)

    def step(self, observations: tf.Tensor, state: Structure) -> tuple[tf.Tensor, Structure]:
        """Observations [..., B, ...] and state → (outputs [..., B, n_outputs], the next state)."""
        state = self._cell(self._encode(observations), tuple(state))
        return self._dense(state[0]), state

    def unroll(self, observations: tf.Tensor) -> tf.Tensor:
        """Observations [..., K, T, ...] of whole trajectories → outputs [..., K, T, n_outputs]."""
        return self.outputs(self.states(observations))

    def states(self, observations: tf.Tensor, carried: Structure = ()) -> Structure:
        """Observations [..., K, T, ...] → states [T, ..., K, size] after each step.

        With something carried, tensors [..., K, size], the first step starts so far from where the cell does.
        """
        inputs = time_first(self._encode(observations))
        start = self.initial_state(axes.sizes(inputs)[1:-1])
        return self._cell.over_time(inputs, tuple(map(tf.add, start, carried)) if carried else start)

    def outputs(self, states: Structure) -> tf.Tensor:
        """States [T, ..., K, size] → outputs [..., K, T, n_outputs]."""
        hidden = time_last(states[0])
        *leading, n_trajectories, horizon, units = axes.sizes(hidden)
        outputs = self._dense(tf.reshape(hidden, [*leading, n_trajectories * horizon, units]))
        return tf.reshape(outputs, [*leading, n_trajectories, horizon, outputs.shape[-1]])


def time_first(steps: tf.Tensor) -> tf.Tensor:
    """[..., K, T, features] → [T, ..., K, features]."""
    last = len(steps.shape) - 1
    return tf.transpose(steps, [last - 1, *range(last - 1), last])


def time_last(steps: tf.Tensor) -> tf.Tensor:
    """[T, ..., K, features] → [..., K, T, features]."""
    last = len(steps.shape) - 1
    return tf.transpose(steps, [*range(1, last), 0, last])


def new_cell(cell_class: type[RecurrentCell], units: int, seed: int, dtype: str) -> RecurrentCell:
    """A cell of `layers.py` whose weights are drawn from a seed."""
    glorot, orthogonal = keras.initializers.GlorotUniform, keras.initializers.Orthogonal
    return cell_class(
        units, glorot(random.integer_seed(seed, 0)), orthogonal(seed=random.integer_seed(seed, 1)), dtype=dtype,
        name=cell_class.kind,
    )


@descriptions.maker
def lstm_policy(game: contracts.AnyGame, agent_index: int, units: int = 64) -> NetworkPolicy:
    """The policy of one agent as a long short-term memory of what it has seen.

    Whole numbers are one-hot, and images are flattened.

    Args:
        game: any game that is played step by step.
        agent_index: which agent of the game.
        units: the size of either part of the recurrent state.

    Returns:
        `NetworkPolicy`; of actions that are arrays of numbers the distribution is a diagonal normal one.

    Raises:
        InvalidInputError: if one of these does not hold.
    """
    return _recurrent_policy(LSTMCell, game, agent_index, units)


@descriptions.maker
def gru_policy(game: contracts.AnyGame, agent_index: int, units: int = 64) -> NetworkPolicy:
    """The policy of one agent as a gated recurrent unit of what it has seen.

    It has three quarters of the weights of an LSTM of as many units, and half of the recurrent state. Whole numbers are
    one-hot, and images are flattened.

    Args:
        game: any game that is played step by step.
        agent_index: which agent of the game.
        units: the size of the recurrent state.

    Returns:
        `NetworkPolicy`; of actions that are arrays of numbers the distribution is a diagonal normal one.

    Raises:
        InvalidInputError: if one of these does not hold.
    """
    return _recurrent_policy(GRUCell, game, agent_index, units)


def _recurrent_policy(cell_class, game, agent_index, units):
    kind = f"{cell_class.kind}_policy"
    spec = functional.agent_spec(kind, game, agent_index)
    checks.check_integer(f"{kind}.units", units, minimum=1)
    n_features, n_outputs = encoders.size(spec.observation), heads.for_actions(spec.action).n_outputs
    n_params = Recurrent.n_params(cell_class, n_features, n_outputs, units)
    functional.check_size(f"{kind}.units", units, n_params, spec.dtype)
    encode = functools.partial(encoders.encode, spec.observation, spec.dtype)

    def build_model(seed):
        seed = random.integer_seed(seed, agent_index)
        cell = new_cell(cell_class, units, seed, spec.dtype)
        model = Recurrent(cell, encode, n_features, n_outputs, seed, dtype=spec.dtype)
        model.build(None)
        return model

    return NetworkPolicy(build_model, spec)
