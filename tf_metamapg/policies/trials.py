"""Tries what a user's function makes, so that what is no part of a policy is refused in one line before it is used."""

from collections.abc import Callable
from collections.abc import Sequence
import re

import keras
import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import moments
from tf_metamapg.policies import functional

# How many rows of inputs layers are tried with.
BATCH_SIZE = 2


def made(parameter: str, make: Callable[[int], keras.layers.Layer], allowed: str, seed: int) -> keras.layers.Layer:
    """What a function makes from a seed, which must be a layer of Keras."""
    is_function = callable(make) and not isinstance(make, keras.layers.Layer)
    checks.check(is_function, parameter, make, f"a function that makes {allowed} from a seed")
    layer = make(seed)
    checks.check(isinstance(layer, keras.layers.Layer), f"{parameter}(...)", layer, allowed)
    return layer


def results(
    parameter: str, layer: keras.layers.Layer, inputs: tuple[Structure, ...], dtype: str, again: keras.layers.Layer
) -> Structure:
    """What a layer makes of inputs.

    Args:
        parameter: the name of the layer.
        layer: the layer, built.
        inputs: what it is called with.
        dtype: what all its variables must be of.
        again: another layer that was made from the same seed.

    Raises:
        InvalidInputError: if it cannot be called, has variables that are not learned, differs from the other, does not
            read its variables when it is called, or stops gradients.
    """

    def check(condition, allowed):
        checks.check(condition, parameter, layer, allowed)

    variables = layer.trainable_variables
    for variable in variables:
        check(variable.dtype == dtype, f"of {dtype} as the game is, not {variable.dtype} in {variable.path}")
    with keras.StatelessScope() as scope:
        try:
            returned = layer(*inputs, training=True)
        except Exception as error:  # A layer of a user's may raise anything.
            shown = descriptions.describe(inputs, longest=80)
            check(False, f"one that can be called with {shown} ({checks.reason(error)})")
    for variable in layer.non_trainable_variables:
        is_used = tf.as_dtype(variable.dtype).is_floating or scope.get_current_value(variable) is not None
        check(not is_used, f"one all of whose variables are learned; {variable.path} is not")
    check(len(variables) > 0, "one with variables that are learned")
    is_same = all(np.array_equal(one, other) for one, other in zip(variables, again.trainable_variables))
    check(is_same, "the same whenever it is made from the same seed; every initializer needs one")
    is_read = _takes_values(layer, inputs)
    check(is_read, "one that reads its variables whenever it is called, with no tf.function inside")
    for name in _stopped_gradients(layer, inputs):
        check(False, f"one that stops no gradient, so that second derivatives are right; {name} does")
    return returned


def _takes_values(layer, inputs):
    """Whether a layer computes with the values that it is given, and not with its variables."""
    values = tuple(tf.constant(variable.numpy()) for variable in layer.trainable_variables)
    with tf.GradientTape() as tape, functional.bound(layer, values):
        layer(*inputs)
    return not tape.watched_variables()


def _stopped_gradients(layer, inputs):
    """The names of the operations of a layer that stop gradients."""

    def call():
        with keras.StatelessScope(), moments.differentiable():
            return layer(*inputs)

    graph = tf.function(call, autograph=False).get_concrete_function().graph.as_graph_def()
    # As text it has the functions that it calls, too.
    return re.findall(r'name: "([^"]+)"\s+op: "StopGradient"', str(graph))


def check_vectors(
    parameter: str, layer: keras.layers.Layer, what: str, values: Sequence[tf.Tensor], sizes: Sequence[int | str],
    dtype: str,
) -> None:
    """Raises `InvalidInputError` unless what a layer returns are tensors [B, size] of a dtype.

    Args:
        parameter: the name of the layer.
        layer: the layer.
        what: what the values are, as in "outputs are".
        values: list of what should be tensors.
        sizes: a number for each, or a text for any number.
        dtype: the name of their dtype.
    """
    are_right = len(values) == len(sizes) and all(
        tf.is_tensor(value) and value.dtype == dtype and value.shape.rank == 2 and value.shape[0] == BATCH_SIZE
        and (isinstance(size, str) or value.shape[1] == size)
        for value, size in zip(values, sizes)
    )
    expected = ", ".join(f"[B, {size}]" for size in sizes)
    shown = ", ".join(descriptions.describe(value, longest=40) for value in values)
    allowed = f"one whose {what} {dtype} {expected}, not {shown} for B = {BATCH_SIZE}"
    checks.check(are_right, parameter, layer, allowed)
