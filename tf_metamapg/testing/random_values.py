"""Random parameters, observations, actions and arguments, of fixed seeds."""

from collections.abc import Sequence
import math

import numpy as np
import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.contracts import Params


def params(policy: contracts.Policy, axes: Sequence[int], seed: int = 1) -> Params:
    """Params [*axes, ...] around those that a policy may start with."""
    rng = np.random.default_rng(seed)
    return tuple(leaf + tf.constant(0.5 * rng.normal(size=[*axes, *leaf.shape])) for leaf in policy.reference_params)


def members(space: contracts.Space, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Members of a space: array [*shape, ...], int32 or float64."""
    if isinstance(space, contracts.Discrete):
        return rng.integers(space.n, size=shape, dtype=np.int32)
    # Of many numbers, as in images, the sum is of the order of one of few.
    return rng.normal(scale=min(1.0, 3.0 / math.prod(space.shape)), size=[*shape, *space.shape])


def argument(
    spec: tf.TensorSpec, space: contracts.Space, rng: np.random.Generator, batch_size: int = 4
) -> tf.Tensor:
    """An argument of an exported policy: observations, a state, whose first axis may have any size, or a seed."""
    shape = [batch_size if size is None else size for size in spec.shape]
    if spec.name == "observations":
        return tf.cast(members(space, [batch_size], rng), spec.dtype)
    return tf.cast(rng.normal(size=shape) if spec.dtype.is_floating else tf.fill(shape, 3), spec.dtype)
