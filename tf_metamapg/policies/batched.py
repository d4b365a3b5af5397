"""Keras layers of any kind as functions of parameters that have axes in front, such as those of seeds and tasks.

A layer that broadcasts over such axes, as those of `layers.py` do, needs none of this. Any other is vectorized, which
makes of each of its operations one for all seeds and tasks. What TensorFlow cannot vectorize, as Keras' convolutions,
stands in the graph once for each of them.
"""

import contextlib
import logging
import math

import keras
import tensorflow as tf

from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import axes
from tf_metamapg.numerics import moments
from tf_metamapg.policies import functional


class Batched:
    """A layer as a function of its parameters [..., *shape] and of inputs.

    Attributes:
        layer: the layer.
        vectorizes: whether it is vectorized in graphs.
    """

    def __init__(self, layer: keras.layers.Layer, vectorizes: bool) -> None:
        """
        Args:
            layer: a built Keras layer or model with trainable variables.
            vectorizes: see `vectorizes`.
        """
        self.layer = layer
        self.vectorizes = vectorizes

    def values(self) -> Params:
        """The values of its variables: their own, or those that `functional.bound` gives them."""
        return tuple(variable.value for variable in self.layer.trainable_variables)

    def axes(self, values: Params) -> tuple[int, ...]:
        """The axes that values have in front of the shapes of variables."""
        n_axes = len(values[0].shape) - len(self.layer.trainable_variables[0].shape)
        return tuple(values[0].shape[:n_axes])

    def __call__(self, values: Params, *inputs: Structure) -> Structure:
        """Calls the layer.

        Args:
            values: Params with leaves [..., *shape].
            inputs: tensors [..., B, *features].

        Returns:
            what the layer returns, with leaves [..., B, *outputs]; differentiable in all arguments as often as it is.
        """
        leading = self.axes(values)
        if not leading:
            return self._call_once((values, inputs))
        size = math.prod(leading)
        flat = tf.nest.map_structure(
            lambda leaf: tf.reshape(leaf, [size, *axes.sizes(leaf)[len(leading) :]]), (values, inputs)
        )
        # In eager mode, where a function is traced anew whenever it is vectorized, that would not save time.
        if self.vectorizes and not tf.executing_eagerly():
            results = _vectorized(self._call_once, flat)
        else:
            results = _unrolled(self._call_once, flat)
        return tf.nest.map_structure(lambda leaf: tf.reshape(leaf, [*leading, *axes.sizes(leaf)[1:]]), results)

    def _call_once(self, values_and_inputs):
        values, inputs = values_and_inputs
        with functional.bound(self.layer, values), moments.differentiable():
            return self.layer(*inputs)


def vectorizes(layer: keras.layers.Layer, inputs: tuple[Structure, ...]) -> bool:
    """Whether TensorFlow can vectorize a layer, which is tried.

    Args:
        layer: a built Keras layer or model.
        inputs: tensors [B, *features] that it can be called with.
    """
    batched = Batched(layer, vectorizes=True)
    values = batched.values()
    twice = tf.nest.map_structure(lambda leaf: tf.stack([leaf, leaf]), (values, inputs))
    with _quiet():
        try:
            _vectorized(batched._call_once, twice)
        except Exception:  # What is raised depends on the operation that is not known.
            return False
    return True


def _vectorized(function, structure):
    # A loop, which TensorFlow would fall back to, cannot be differentiated as often under XLA.
    return tf.vectorized_map(function, structure, fallback_to_while_loop=False)


def _unrolled(function, structure):
    columns = [tf.unstack(leaf) for leaf in tf.nest.flatten(structure)]
    results = [function(tf.nest.pack_sequence_as(structure, row)) for row in zip(*columns)]
    return tf.nest.map_structure(lambda *leaves: tf.stack(leaves), *results)


@contextlib.contextmanager
def _quiet():
    """A context in which TensorFlow does not log at length what it cannot vectorize."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
