"""How networks and critics see observations: one-hot where there are finitely many, arrays as vectors.

Images are arrays, too, and are flattened; what sees their neighbourhoods is a `keras_policy` with a convolution.
"""

import math

import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.numerics import axes


def size(space: contracts.Space) -> int:
    """How many features an observation has.

    Args:
        space: `contracts.Discrete` or `contracts.Box`.
    """
    return space.n if isinstance(space, contracts.Discrete) else math.prod(space.shape)


def encode(space: contracts.Space, dtype: str, observations: tf.Tensor) -> tf.Tensor:
    """Observations [..., *observation] → features [..., F].

    Args:
        space: `contracts.Discrete` or `contracts.Box`.
        dtype: of the game.
        observations: tensor of what an agent of it has seen.
    """
    if isinstance(space, contracts.Discrete):
        return tf.one_hot(observations, space.n, dtype=dtype)
    if len(space.shape) == 1:
        return observations
    return tf.reshape(observations, [*axes.sizes(observations)[: -len(space.shape)], size(space)])
