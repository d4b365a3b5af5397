"""Keras layers that broadcast over leading axes of their parameters, as `functional.functional_call` needs it.

Keras' own do not: they take a variable to have the shape that it was built with. Here a bias is a row, and what
is computed with is a variable's value, whatever axes that has.
"""

import keras


class Dense(keras.layers.Layer):
    """y = activation(x W + b)."""

    def __init__(self, units, activation, kernel_initializer, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self._activation = keras.activations.get(activation)
        self._kernel_initializer = kernel_initializer

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer=self._kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(1, self.units), initializer="zeros", name="bias")

    def call(self, inputs):
        """[..., B, features] → [..., B, units], with the leading axes of inputs and parameters."""
        return self._activation(keras.ops.matmul(inputs, self.kernel.value) + self.bias.value)
