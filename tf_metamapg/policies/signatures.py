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
    observation_spec = spec.observation.tensor_spec(spec.dtype)

    def signature(describe, observations, state):
        if observation_spec.dtype.is_floating:
            observations = tf.cast(observations, observation_spec.dtype)
        observations, is_possible = possible(spec.observation, observations)
        for leaf in state:
            is_possible = tf.logical_and(is_possible, are_finite(leaf))
        outputs, state = step(observations, state)
        results = {**describe(outputs), **{own.name: leaf for own, leaf in zip(state_specs, state)}}
        return {name: where(is_possible, result) for name, result in results.items()}

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


def possible(space: contracts.Space, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """What can be looked up of values of a space, and which of them can be there.

    Args:
        space: what an agent sees or does.
        values: tensor [..., *space].

    Returns:
        (the values, integers that are out of range being 0; bool [...]).
    """
    if isinstance(space, contracts.Box):
        return values, are_finite(values, len(values.shape) - len(space.shape))
    is_possible = tf.logical_and(values >= 0, values < space.n)
    # Some loaders look up what others multiply with zeros.
    return tf.where(is_possible, values, tf.zeros_like(values)), is_possible


def are_finite(arrays: tf.Tensor, n_leading: int = 1) -> tf.Tensor:
    """Whether all numbers behind the leading axes are finite: [..., *array] → bool [...]."""
    # By a comparison, which every loader has, and which NaN fails.
    return tf.reduce_all(tf.abs(arrays) <= arrays.dtype.max, axis=list(range(n_leading, len(arrays.shape))))


def where(is_possible: tf.Tensor, result: tf.Tensor) -> tf.Tensor:
    """A result [..., *array] where `is_possible`, bool [...], and what is no result elsewhere."""
    per_row = axes.with_axes_behind(is_possible, result)
    return tf.where(per_row, result, tf.constant(math.nan if result.dtype.is_floating else -1, result.dtype))
