"""Compiles the work of links, each function once."""

import functools

import tensorflow as tf


class Compiler:
    """What a trainer applies to functions: a `tf.function` that is made once and found again.

    Where games are played in the graph, one whole meta-update is traced, and calls this meanwhile. Where they are not,
    every meta-update does, and must not compile anew. Functions are told apart by what they are partials of.
    """

    def __init__(self, jit_compile):
        """
        Args:
            jit_compile: whether XLA compiles.
        """
        # Without AutoGraph, which takes seconds and finds nothing to convert.
        self._compile = functools.partial(tf.function, jit_compile=jit_compile, autograph=False)
        self._compiled = {}

    def __call__(self, function):
        """The compiled function."""
        key = function
        if isinstance(function, functools.partial):
            key = function.func, function.args, tuple(sorted(function.keywords.items()))
        if key not in self._compiled:
            self._compiled[key] = self._compile(function)
        return self._compiled[key]
