"""How functions are run by the tests: eagerly, as graphs, and compiled by XLA."""

import functools

import numpy as np
import tensorflow as tf

MODES = {
    "eager": lambda function: function,
    "graph": functools.partial(tf.function, autograph=False),
    "xla": functools.partial(tf.function, autograph=False, jit_compile=True),
}


def central_differences(function, leaves, step=1e-5):
    """The derivatives of the entries of a vector-valued function in float64, by central differences.

    Args:
        function: of arrays like `leaves`, → array [m].
        leaves: list of float64 arrays.
        step: half the distance of the two points of a difference.

    Returns:
        array [m, total size of the leaves].
    """
    columns = []
    for index, leaf in enumerate(leaves):
        for entry in np.ndindex(*leaf.shape):
            values = []
            for sign in (1.0, -1.0):
                moved = [np.array(other) for other in leaves]
                moved[index][entry] += sign * step
                values.append(np.asarray(function(*moved)))
            columns.append((values[0] - values[1]) / (2.0 * step))
    return np.stack(columns, axis=-1)


def relative_differences(function, leaves, step=1e-5):
    """The derivatives x ∂f/∂x, by central differences of f(x (1 ± step)), which leave zeros and signs as they are.

    Args:
        function, leaves: see `central_differences`.
        step: in units of each number.
    """
    scales = [np.ones_like(leaf) for leaf in leaves]
    return central_differences(
        lambda *scales: function(*(leaf * scale for leaf, scale in zip(leaves, scales))), scales, step
    )


def flat(structure):
    """All numbers of a structure of tensors, one after the other: array [P]."""
    leaves = [np.asarray(leaf).ravel() for leaf in tf.nest.flatten(structure)]
    return np.concatenate(leaves) if leaves else np.zeros([0])
