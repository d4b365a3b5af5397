"""Samples: trajectories, and the weights of their log-probabilities."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Trajectory
from tf_metamapg.numerics import masks


@descriptions.described
class Sample(NamedTuple):
    """Trajectories, and what is computed from their rewards once, whoever differentiates them how often."""

    trajectory: Trajectory  # fields [S, N, K, T]
    step_weights: tuple[Any, ...]  # for each agent, what the estimator's `step_weights` returned


def without_padding(trajectory: Trajectory) -> Trajectory:
    """The trajectory, with zeros in the steps that do not count."""
    if not trajectory.mask:
        return trajectory

    def clean(by_agent):
        return tuple(map(masks.masked, by_agent, trajectory.mask))

    return trajectory._replace(
        observations=clean(trajectory.observations), actions=clean(trajectory.actions),
        rewards=clean(trajectory.rewards),
        metrics={name: clean(by_agent) for name, by_agent in trajectory.metrics.items()} if trajectory.metrics else (),
    )


def means(
    by_agent: Sequence[tf.Tensor], joint_params: JointParams, sample: Sample,
    mean: Callable[..., tf.Tensor] = masks.mean,
) -> tuple[tf.Tensor, ...]:
    """Means over the K · T steps that count, NaN where a parameter is not finite: actions mean nothing there.

    Args:
        by_agent: tuple over agents of tensors [S, N, K, T], what was seen at each step.
        joint_params: JointParams with leaves [S, N, ...], that the sample was drawn at.
        sample: Sample.
        mean: function (values, mask, axis) of `masks`.

    Returns:
        tuple over agents of tensors [S, N].
    """
    return where_finite(tuple(
        mean(values, sample.trajectory.agent_mask(agent), axis=[-2, -1]) for agent, values in enumerate(by_agent)
    ), joint_params)


def where_finite(by_agent: tuple[tf.Tensor, ...], joint_params: JointParams) -> tuple[tf.Tensor, ...]:
    """Numbers of each agent [S, N], NaN where a parameter [S, N, ...] of anybody is not finite."""
    checks.check_length("joint_params", joint_params, len(by_agent))
    arguments.check_leading("joint_params", joint_params, list(by_agent[0].shape))
    finite = tf.reduce_all([
        tf.reduce_all(tf.math.is_finite(leaf), axis=list(range(2, len(leaf.shape))))
        for leaf in tf.nest.flatten(joint_params)
    ], axis=0)
    return tuple(tf.where(finite, values, float("nan")) for values in by_agent)


def check_sample(sample: Any, spec: contracts.GameSpec, sizes: Sequence[int | str] = ("S", "N")) -> None:
    """Raises `InvalidInputError` unless this is a Sample of a game, of as many seeds and tasks."""
    is_sample = isinstance(sample, Sample) and isinstance(sample.trajectory, Trajectory)
    checks.check(is_sample, "sample", sample, "a Sample, as the estimator's sample returns it")
    checks.check_length("sample.trajectory.rewards", sample.trajectory.rewards, spec.n_agents)
    rewards = sample.trajectory.rewards[0]
    arguments.tensor("sample.trajectory.rewards[0]", rewards, spec.dtype, [*sizes, "K", "T"])
