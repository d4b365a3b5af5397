"""What survives inner updates: carried from the episodes of one link of a chain to those of the next.

It is part of the parameters of whoever carries it: the last leaves, those of a `contracts.CarryingPolicy`. At the first
link of a chain they are zeros. No gradient climbs them: after every inner update, of whatever agent, the policy writes
them anew, from what was seen at the link. To simulators, estimators and Theorem 1 they are parameters like others, so
that derivatives at fixed trajectories pass through them. What comes later depends on which trajectories were sampled,
and that is what sampled inner updates account for; with expected ones a part of the derivative would silently be
missing.
"""

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure


def at_first_link(estimator: contracts.Estimator, agent_index: int, params: Params) -> Params:
    """The parameters [S, N, ...] of an agent at the first link of a chain: it carries nothing yet.

    Raises:
        InvalidInputError: if it carries something, and inner updates are expected ones.
    """
    policy = estimator.policies[agent_index]
    if not isinstance(policy, contracts.CarryingPolicy):
        return params
    checks.check(
        estimator.inner_update == "sampled", "estimator", estimator,
        "one of sampled inner updates, such as ScoreFunctionEstimator, for policies that carry something over updates",
    )
    return without_carried(policy, params)


def without_carried(policy: contracts.Policy, params: Params) -> Params:
    """Params, or gradients in them, with leaves [S, N, ...], that are zeros in what a policy carries."""
    if not isinstance(policy, contracts.CarryingPolicy):
        return params
    n_others = len(params) - policy.n_carried
    return (*params[:n_others], *map(tf.zeros_like, params[n_others:]))


def carried_on(
    policy: contracts.Policy, updated: AgentState, state: AgentState, sample: Structure, agent_index: int
) -> AgentState:
    """What an agent is at the next link, with what its policy carries there.

    Args:
        policy: its policy.
        updated: AgentState with leaves [S, N, ...], what its update returned.
        state: what it was at the link.
        sample: what was sampled there.
        agent_index: i, which agent of the game it is.
    """
    if not isinstance(policy, contracts.CarryingPolicy):
        return updated
    params = policy.carry(updated.params, state.params, sample.trajectory, agent_index)
    return updated._replace(params=tuple(params))
