"""Scores stored trajectories under differentiable parameters."""

from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Trajectory
from tf_metamapg.numerics import masks


def score(
    policies: Sequence[contracts.StepPolicy], joint_params: JointParams, trajectory: Trajectory
) -> tuple[tf.Tensor, ...]:
    """The log-probabilities of all agents' actions.

    Args:
        policies: one policy for each agent.
        joint_params: JointParams with leaves [S, N, ...].
        trajectory: Trajectory with fields [S, N, K, T], held constant.

    Returns:
        tuple over agents of tensors [S, N, K, T], log π(a_t | o_t) of each, and zero after it has left; entry i is
        differentiable any number of times with respect to the parameters of agent i, and of no other.
    """
    return tuple(
        masks.masked(
            policy.log_probs(params, trajectory.observations[agent], trajectory.actions[agent]),
            trajectory.agent_mask(agent),
        )
        for agent, (policy, params) in enumerate(zip(policies, joint_params))
    )
