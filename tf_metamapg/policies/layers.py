"""Keras layers that broadcast over leading axes of their parameters, as `functional.bound` needs it.

Keras' own do not: they take a variable to have the shape that it was built with. Here a bias is a row, and what
is computed with is a variable's value, whatever axes that has.
"""

import keras
import tensorflow as tf

from tf_metamapg.numerics import products
from tf_metamapg.numerics import scan


class Dense(keras.layers.Layer):
    """y = activation(x W + b)."""

    def __init__(self, units, activation, kernel_initializer, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self._activation = keras.activations.get(activation)
        self._kernel_initializer = kernel_initializer

    def build(self, input_shape):
        """Makes the variables; see `keras.layers.Layer.build`."""
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer=self._kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(1, self.units), initializer="zeros", name="bias")

    def call(self, inputs):
        """[..., B, features] → [..., B, units], with the leading axes of inputs and parameters."""
        return self._activation(products.matmul(inputs, self.kernel.value) + self.bias.value)


class LSTMCell(keras.layers.Layer):
    """A long short-term memory (Hochreiter & Schmidhuber 1997), with a forget gate that starts open.

    Its recurrent state is a pair (hidden, cell) of tensors [..., B, units].
    """

    def __init__(self, units, kernel_initializer, recurrent_initializer, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self._kernel_initializer = kernel_initializer
        self._recurrent_initializer = recurrent_initializer

    def build(self, input_shape):
        """Makes the variables; see `keras.layers.Layer.build`."""
        n_gates = 4 * self.units
        self.kernel = self.add_weight(
            shape=(input_shape[-1], n_gates), initializer=self._kernel_initializer, name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, n_gates), initializer=self._recurrent_initializer, name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(1, n_gates), initializer=self._open_forget_gate, name="bias")

    def _open_forget_gate(self, shape, dtype):
        of_gate = keras.ops.repeat(keras.ops.convert_to_tensor([0.0, 1.0, 0.0, 0.0], dtype), self.units)
        return keras.ops.reshape(of_gate, shape)

    def call(self, inputs, state):
        """One step: inputs [..., B, features] and state → the next state."""
        return self._step(self._values(), state, inputs)

    def over_time(self, inputs, state):
        """All steps: inputs [T, ..., B, features] and state before the first → states [T, ..., B, units]."""
        return scan.scan(self._step, self._values(), state, inputs)

    def _values(self):
        return self.kernel.value, self.recurrent_kernel.value, self.bias.value

    @staticmethod
    def _step(values, state, inputs):
        kernel, recurrent_kernel, bias = values
        hidden, cell = state
        gates = tf.split(products.matmul(inputs, kernel) + products.matmul(hidden, recurrent_kernel) + bias, 4, axis=-1)
        enter, forget, candidate, leave = gates
        cell = tf.sigmoid(forget) * cell + tf.sigmoid(enter) * tf.tanh(candidate)
        return tf.sigmoid(leave) * tf.tanh(cell), cell
