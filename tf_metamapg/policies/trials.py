"""Tries what a user's function makes, so that what is no part of a policy is refused in one line before it is used."""

from collections.abc import Callable
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.contracts import Structure


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
        parameter: the name of the function that has made the layer.
        layer: the layer, built.
        inputs: what it is called with.
        dtype: what all its variables must be of.
        again: another layer, made from the same seed.

    Raises:
        InvalidInputError: if it cannot be called, has variables that are not learned, or differs from the other.
    """

    def check(condition, allowed):
        checks.check(condition, f"{parameter}(...)", layer, allowed)

    variables = layer.trainable_variables
    check(len(variables) > 0, "one with variables that are learned")
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
    pairs = zip(variables, again.trainable_variables)
    checks.check(
        all(np.array_equal(one, other) for one, other in pairs), parameter, layer,
        "a function of its seed alone: every initializer needs a seed",
    )
    return returned


def check_vectors(
    parameter: str, layer: keras.layers.Layer, what: str, values: Sequence[tf.Tensor], sizes: Sequence[int | str],
    dtype: str,
) -> None:
    """Raises `InvalidInputError` unless values are tensors [B, size] of a dtype."""
    are_right = len(values) == len(sizes) and all(
        tf.is_tensor(value) and value.dtype == dtype and len(value.shape) == 2 and size in (value.shape[-1], "size")
        for value, size in zip(values, sizes)
    )
    expected = ", ".join(f"[B, {size}]" for size in sizes)
    shown = descriptions.describe(values, longest=80)
    checks.check(are_right, parameter, layer, f"one whose {what} {dtype} {expected}, not {shown}")
