"""What centralised critics are given: what all agents see, and what the others do at the same step.

Of an agent that has left there are zeros, which are no observation and no action.
"""

from collections.abc import Iterable
from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.contracts import Trajectory
from tf_metamapg.numerics import masks
from tf_metamapg.policies import encoders


def n_observed(spec: contracts.GameSpec) -> int:
    """How many features `observed` has."""
    return sum(map(encoders.size, spec.observations))


def observed(spec: contracts.GameSpec, trajectory: Trajectory) -> tf.Tensor:
    """What all agents see, one after the other: tensor [S, N, K, T, F] of a Trajectory with fields [S, N, K, T]."""
    agents = range(spec.n_agents)
    return tf.concat(_encoded(spec, spec.observations, trajectory.observations, trajectory, agents), axis=-1)


def n_done_by_others(spec: contracts.GameSpec, agent_index: int) -> int:
    """How many features `done_by_others` has."""
    return sum(encoders.size(spec.actions[agent]) for agent in others(spec, agent_index))


def done_by_others(spec: contracts.GameSpec, trajectory: Trajectory, agent_index: int) -> list[tf.Tensor]:
    """What each of the others does: tensors [S, N, K, T, F] of a Trajectory with fields [S, N, K, T]."""
    return _encoded(spec, spec.actions, trajectory.actions, trajectory, others(spec, agent_index))


def others(spec: contracts.GameSpec, agent_index: int) -> list[int]:
    """The numbers of all agents but one."""
    return [agent for agent in range(spec.n_agents) if agent != agent_index]


def _encoded(
    spec: contracts.GameSpec, spaces: Sequence[contracts.Space], by_agent: Sequence[tf.Tensor], trajectory: Trajectory,
    agents: Iterable[int],
) -> list[tf.Tensor]:
    return [
        masks.masked(encoders.encode(spaces[agent], spec.dtype, by_agent[agent]), trajectory.agent_mask(agent))
        for agent in agents
    ]
