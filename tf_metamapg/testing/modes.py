"""How functions are run by the tests: eagerly, as graphs, and compiled by XLA."""

from collections.abc import Callable
from collections.abc import Sequence
import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
import tensorflow as tf

from tf_metamapg.contracts import Structure

MODES = {
    "eager": lambda function: function,
    "graph": functools.partial(tf.function, autograph=False),
    "xla": functools.partial(tf.function, autograph=False, jit_compile=True),
}


def differences_of_seeds(
    function: Callable[..., ArrayLike], leaves: Sequence[np.ndarray], step: float = 1e-5
) -> np.ndarray:
    """The derivatives of the entries of a vector-valued function in float64, by central differences.

    Args:
        function: of arrays [P, ...], all points side by side as seeds are, → array [P, m].
        leaves: list of float64 arrays [1, ...].
        step: half the distance of the two points of a difference.

    Returns:
        array [m, total size of the leaves].
    """
    size = sum(leaf.size for leaf in leaves)
    shifts = step * np.concatenate([np.eye(size), -np.eye(size)])
    points, start = [], 0
    for leaf in leaves:
        own = shifts[:, start : start + leaf.size].reshape([2 * size, *leaf.shape[1:]])
        points.append(leaf + own)
        start += leaf.size
    above, below = np.split(np.asarray(function(*points)), 2)
    return (above - below).T / (2.0 * step)


def relative_differences_of_seeds(
    function: Callable[..., ArrayLike], leaves: Sequence[np.ndarray], step: float = 1e-5
) -> np.ndarray:
    """The derivatives x ∂f/∂x, by differences of f(x (1 ± step)), which leave zeros and signs as they are.

    Args:
        function, leaves: see `differences_of_seeds`.
        step: in units of each number.
    """
    scales = [np.ones_like(leaf) for leaf in leaves]
    return differences_of_seeds(
        lambda *scales: function(*(leaf * scale for leaf, scale in zip(leaves, scales))), scales, step
    )


def flat(structure: Structure) -> np.ndarray:
    """All numbers of a structure of tensors, one after the other: array [P]."""
    leaves = [np.asarray(leaf).ravel() for leaf in tf.nest.flatten(structure)]
    return np.concatenate(leaves) if leaves else np.zeros([0])


def counted(function: Callable[..., Any], calls: list[Any]) -> Callable[..., Any]:
    """The function, that is added to `calls` whenever it is called; of a compiled one, whenever it is traced."""
    def with_count(*args: Any, **kwargs: Any) -> Any:
        calls.append(function)
        return function(*args, **kwargs)

    return with_count
