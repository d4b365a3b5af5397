"""What exported policies that act step by step can be asked: functions of a batch of observations.

What an agent cannot have seen gets no plausible answer: all numbers are NaN then, and integers are −1.
"""

import math

import tensorflow as tf

# Loaders turn lists and arrays into the dtype of a signature, but no tensors.
_OTHER_WIDTH = {tf.int32: tf.int64, tf.float32: tf.float64, tf.float64: tf.float32}


def of_steps(step, head, observation_spec, n_observations, memory_specs=()):
    """What a policy's `signatures` returns; `export.py` says what it means.

    Args:
        step: function (observations [B, ...], memory) → (outputs [B, n_outputs], the next memory).
        head: what the outputs mean, one of `heads.py`.
        observation_spec: TensorSpec of one observation.
        n_observations: observations are in [0, n_observations); None where they are vectors.
        memory_specs: TensorSpec, with a name, of each tensor [B, units] of the memory.

    Returns:
        dict from names to (function, its input signature).
    """

    def of_step(describe, observations, memory):
        if n_observations is None:
            observations = tf.cast(observations, observation_spec.dtype)
            is_possible = _are_finite(observations)
        else:
            is_possible = tf.logical_and(observations >= 0, observations < n_observations)
            # Some loaders look up what others multiply with zeros.
            observations = tf.where(is_possible, observations, tf.zeros_like(observations))
        for leaf in memory:
            is_possible = tf.logical_and(is_possible, _are_finite(leaf))
        outputs, memory = step(observations, memory)
        results = {**describe(outputs), **{spec.name: leaf for spec, leaf in zip(memory_specs, memory)}}
        return {name: _where(is_possible, result) for name, result in results.items()}

    def distribution(observations, *memory):
        return of_step(head.named, observations, memory)

    def sample(observations, seed, *memory):
        return of_step(
            lambda outputs: {"actions": head.distribution(outputs).sample(seed=seed)}, observations, memory
        )

    signatures, native = {}, observation_spec.dtype
    for dtype in (native, _OTHER_WIDTH[native]):
        suffix = "" if dtype == native else f"_{dtype.name}"
        observations = tf.TensorSpec([None, *observation_spec.shape], dtype, name="observations")
        seed = tf.TensorSpec([2], tf.int32, name="seed")
        signatures[f"serving_default{suffix}"] = (distribution, [observations, *memory_specs])
        signatures[f"sample{suffix}"] = (sample, [observations, seed, *memory_specs])
    return signatures


def _are_finite(vectors):
    """[B, D] → bool [B]."""
    # By a comparison, which every loader has, and which NaN fails.
    return tf.reduce_all(tf.abs(vectors) <= vectors.dtype.max, axis=-1)


def _where(is_possible, result):
    """A result [B, ...] where `is_possible` [B], and what is no result elsewhere."""
    per_row = tf.reshape(is_possible, [-1, *[1] * (len(result.shape) - 1)])
    return tf.where(per_row, result, tf.constant(math.nan if result.dtype.is_floating else -1, result.dtype))
