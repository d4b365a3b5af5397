"""Compiles the work of links, each function once."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import functools
import re
from typing import Any

import tensorflow as tf

from tf_metamapg import checks

# What TensorFlow says of a graph with operations that XLA does not have; the group is the first of them.
_UNSUPPORTED = re.compile(r"unsupported operations when trying to compile graph .*? on XLA_\w+: (\w+)", re.DOTALL)


class Compiler:
    """What a trainer applies to functions: a `tf.function` that is made once and found again.

    Where games are played in the graph, one whole meta-update is traced, and calls this meanwhile. Where they are not,
    every meta-update does, and must not compile anew. Functions are told apart by what they are partials of.
    """

    def __init__(self, jit_compile: bool) -> None:
        """
        Args:
            jit_compile: whether XLA compiles.
        """
        # Without AutoGraph, which takes seconds and finds nothing to convert.
        self._compile = functools.partial(tf.function, jit_compile=jit_compile, autograph=False)
        self._compiled: dict[Any, Callable[..., Any]] = {}

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The compiled function."""
        key: Any = function
        if isinstance(function, functools.partial):
            key = function.func, function.args, tuple(sorted(function.keywords.items()))
        if key not in self._compiled:
            self._compiled[key] = self._compile(function)
        return self._compiled[key]


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """A context in which it is a mistake of the user to have compiled what XLA cannot.

    Raises:
        InvalidInputError: in the place of TensorFlow's error.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if (found := _UNSUPPORTED.search(str(error))) is None:
            raise
        allowed = f"False, as XLA cannot compile the operation {found[1]}, of the game or of another part"
        raise checks.InvalidInputError(f"jit_compile = True: must be {allowed}") from error
