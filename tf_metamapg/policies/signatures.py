"""What exported policies that act step by step can be asked: functions of a batch of observations.

What an agent cannot have seen gets no plausible answer: all numbers are NaN then, and integers are −1.
"""

from collections.abc import Callable
from collections.abc import Sequence
import math
from typing import Any

import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import axes
from tf_metamapg.policies.heads import CategoricalHead
from tf_metamapg.policies.heads import GaussianHead

# Loaders turn lists and arrays into the dtype of a signature, but no tensors.
_OTHER_WIDTH = {tf.int32: tf.int64, tf.float32: tf.float64, tf.float64: tf.float32}


def step_signatures(
    step: Callable[[tf.Tensor, Structure], tuple[tf.Tensor, Structure]], head: CategoricalHead | GaussianHead,
    spec: contracts.AgentSpec, state_specs: Sequence[tf.TensorSpec] = (),
) -> dict[str, tuple[Callable[..., Any], list[tf.TensorSpec]]]:
    """What a policy's `signatures` returns; `export.py` says what it means.

    Args:
        step: function (observations [B, ...], recurrent state) → (outputs [B, n_outputs], the next recurrent state).
        head: what the outputs mean, one of `heads.py`.
        spec: `contracts.AgentSpec`.
        state_specs: TensorSpec, with a name, of each tensor [B, units] of the recurrent state.

    Returns:
        dict from names to (function, its input signature).
    """
    n_observations = spec.observation.n if isinstance(spec.observation, contracts.Discrete) else None
    observation_spec = spec.observation.tensor_spec(spec.dtype)

    def signature(describe, observations, state):
        if n_observations is not None:
            is_possible = tf.logical_and(observations >= 0, observations < n_observations)
            # Some loaders look up what others multiply with zeros.
            observations = tf.where(is_possible, observations, tf.zeros_like(observations))
        else:
            observations = tf.cast(observations, observation_spec.dtype)
            is_possible = _are_finite(observations)
        for leaf in state:
            is_possible = tf.logical_and(is_possible, _are_finite(leaf))
        outputs, state = step(observations, state)
        results = {**describe(outputs), **{own.name: leaf for own, leaf in zip(state_specs, state)}}
        return {name: _where(is_possible, result) for name, result in results.items()}

    def distribution(observations, *state):
        return signature(head.named, observations, state)

    def sample(observations, seed, *state):
        return signature(
            lambda outputs: {"actions": head.distribution(outputs).sample(seed=seed)}, observations, state
        )

    signatures, native = {}, observation_spec.dtype
    for dtype in (native, _OTHER_WIDTH[native]):
        suffix = "" if dtype == native else f"_{dtype.name}"
        observations = tf.TensorSpec([None, *observation_spec.shape], dtype, name="observations")
        seed = tf.TensorSpec([2], tf.int32, name="seed")
        signatures[f"serving_default{suffix}"] = (distribution, [observations, *state_specs])
        signatures[f"sample{suffix}"] = (sample, [observations, seed, *state_specs])
    return signatures


def _are_finite(arrays):
    """[B, ...] → bool [B]."""
    # By a comparison, which every loader has, and which NaN fails.
    return tf.reduce_all(tf.abs(arrays) <= arrays.dtype.max, axis=list(range(1, len(arrays.shape))))


def _where(is_possible, result):
    """A result [B, ...] where `is_possible` [B], and what is no result elsewhere."""
    per_row = axes.with_axes_behind(is_possible, result)
    return tf.where(per_row, result, tf.constant(math.nan if result.dtype.is_floating else -1, result.dtype))
