"""Stateless random numbers in which every seed has a stream of its own.

A *key* is a TensorFlow stateless seed, an int64 pair. Keys of S seeds have shape [S, 2]. Whatever is
drawn for seed s is a function of row s alone, so a seed's result does not depend on which other seeds
run beside it.
"""

import numpy as np
import tensorflow as tf

# The phases of a run draw from disjoint streams: `fold_in(root_keys(seeds), META_TEST)`.
META_TRAIN, META_VALIDATION, META_TEST = range(3)

# XLA on CPU takes about a hundred times as long with the default algorithm.
_ALGORITHM = "philox"


def root_keys(seeds):
    """One key per seed.

    Args:
        seeds: S integers.

    Returns:
        int64 tensor [S, 2].
    """
    return tf.stack([tf.constant([seed, 0], tf.int64) for seed in seeds])


def fold_in(keys, data):
    """New keys, a function of `keys` and the integer `data`; different data give independent streams.

    Args:
        keys: int64 tensor [S, 2].
        data: an integer, or a scalar integer tensor.

    Returns:
        int64 tensor [S, 2].
    """
    hashed = _mix(_mix(tf.bitcast(keys[:, 0], tf.uint64)) + tf.bitcast(keys[:, 1], tf.uint64))
    data = tf.fill(tf.shape(hashed), tf.cast(data, tf.int64))
    return tf.stack([tf.bitcast(hashed, tf.int64), data], axis=1)


def _mix(state):
    """SplitMix64 (Steele et al. 2014), a one-to-one function of uint64 numbers that leaves no pattern."""
    state += tf.constant(0x9E3779B97F4A7C15, tf.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state ^= tf.bitwise.right_shift(state, tf.constant(shift, tf.uint64))
        state *= tf.constant(factor, tf.uint64)
    return state ^ tf.bitwise.right_shift(state, tf.constant(31, tf.uint64))


def uniforms(keys, shape, dtype, seed_axis=0):
    """Uniform numbers in [0, 1).

    Args:
        keys: int64 tensor [S, 2].
        shape: the shape drawn for each seed.
        dtype: a floating type.
        seed_axis: where the axis of seeds goes in the result.

    Returns:
        tensor of `shape` with an axis of size S inserted at `seed_axis`.
    """
    draws = tf.map_fn(
        lambda key: tf.random.stateless_uniform(shape, key, dtype=dtype, alg=_ALGORITHM),
        keys,
        fn_output_signature=tf.TensorSpec(shape, dtype),
    )
    return tf.experimental.numpy.moveaxis(draws, 0, seed_axis)


def integer_seed(seed, stream):
    """An integer that is a hash of a seed and a stream, for code that wants a single integer.

    Args:
        seed: an integer ≥ 0.
        stream: an integer in [0, 2³²).
    """
    return int(np.random.SeedSequence(seed, spawn_key=(stream,)).generate_state(1)[0] >> 1)
