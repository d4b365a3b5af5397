"""Keras layers that broadcast over leading axes of their parameters, as `functional.bound` needs it.

Keras' own do not: they take a variable to have the shape that it was built with. Here a bias is a row, and what
is computed with is a variable's value, whatever axes that has.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_metamapg.numerics import products
from tf_metamapg.numerics import scan


class Dense(keras.layers.Layer):
    """y = activation(x W + b)."""

    def __init__(
        self, units: int, activation: str | None, kernel_initializer: keras.initializers.Initializer, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self._activation = keras.activations.get(activation)
        self._kernel_initializer = kernel_initializer

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the variables; see `keras.layers.Layer.build`."""
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer=self._kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(1, self.units), initializer="zeros", name="bias")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[..., B, features] → [..., B, units], with the leading axes of inputs and parameters."""
        return self._activation(products.matmul(inputs, self.kernel.value) + self.bias.value)


class Bias(keras.layers.Layer):
    """y = b, whatever x is."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the variable; see `keras.layers.Layer.build`."""
        del input_shape
        self.bias = self.add_weight(shape=(1, self.units), initializer="zeros", name="bias")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[..., B, features] → [..., B, units], with the leading axes of inputs and parameters."""
        return tf.zeros_like(inputs[..., :1]) + self.bias.value


class RecurrentCell(keras.layers.Layer):
    """What the cells have in common: the weights of some gates, each of inputs, of the hidden state and a bias.

    The recurrent state is a tuple of tensors [..., B, units], the hidden state first.

    Attributes:
        kind: what the cell is called.
        n_gates: how many gates there are.
        state_names: what the parts of the recurrent state are called.
        units: the size of each of them.
    """

    kind: str
    n_gates: int
    state_names: tuple[str, ...]

    def __init__(
        self, units: int, kernel_initializer: keras.initializers.Initializer,
        recurrent_initializer: keras.initializers.Initializer, **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self._kernel_initializer = kernel_initializer
        self._recurrent_initializer = recurrent_initializer

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the variables; see `keras.layers.Layer.build`."""
        size = self.n_gates * self.units
        self.kernel = self.add_weight(
            shape=(input_shape[-1], size), initializer=self._kernel_initializer, name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, size), initializer=self._recurrent_initializer, name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(1, size), initializer=self._initial_bias, name="bias")

    def _initial_bias(self, shape, dtype):
        return keras.ops.zeros(shape, dtype)

    def initial_state(self, shape: Sequence[int]) -> tuple[tf.Tensor, ...]:
        """Zeros: a tuple of tensors [*shape, units]."""
        return (tf.zeros([*shape, self.units], self.compute_dtype),) * len(self.state_names)

    def call(self, inputs: tf.Tensor, state: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """One step: inputs [..., B, features] and state → the next state."""
        return self._step(self._values(), state, inputs)

    def over_time(self, inputs: tf.Tensor, state: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """All steps: inputs [T, ..., B, features] and state before the first → states [T, ..., B, units]."""
        return scan.scan(self._step, self._values(), state, inputs)

    def _values(self):
        return self.kernel.value, self.recurrent_kernel.value, self.bias.value

    @staticmethod
    def _step(values, state, inputs):
        """One step, as a function of the parameters' values (kernel, recurrent kernel, bias)."""
        raise NotImplementedError


class LSTMCell(RecurrentCell):
    """A long short-term memory (Hochreiter & Schmidhuber 1997), with a forget gate that starts open."""

    kind = "lstm"
    n_gates = 4
    state_names = ("hidden", "cell")

    def _initial_bias(self, shape, dtype):
        by_gate = keras.ops.repeat(keras.ops.convert_to_tensor([0.0, 1.0, 0.0, 0.0], dtype), self.units)
        return keras.ops.reshape(by_gate, shape)

    @staticmethod
    def _step(values, state, inputs):
        kernel, recurrent_kernel, bias = values
        hidden, cell = state
        gates = tf.split(products.matmul(inputs, kernel) + products.matmul(hidden, recurrent_kernel) + bias, 4, axis=-1)
        enter, forget, candidate, leave = gates
        cell = tf.sigmoid(forget) * cell + tf.sigmoid(enter) * tf.tanh(candidate)
        return tf.sigmoid(leave) * tf.tanh(cell), cell


class GRUCell(RecurrentCell):
    """A gated recurrent unit (Cho et al. 2014), whose reset gate acts on what comes of the hidden state."""

    kind = "gru"
    n_gates = 3
    state_names = ("hidden",)

    @staticmethod
    def _step(values, state, inputs):
        kernel, recurrent_kernel, bias = values
        (hidden,) = state
        keep, reset, candidate = tf.split(products.matmul(inputs, kernel) + bias, 3, axis=-1)
        recurrent = tf.split(products.matmul(hidden, recurrent_kernel), 3, axis=-1)
        keep = tf.sigmoid(keep + recurrent[0])
        candidate = tf.tanh(candidate + tf.sigmoid(reset + recurrent[1]) * recurrent[2])
        return (keep * hidden + (1.0 - keep) * candidate,)
