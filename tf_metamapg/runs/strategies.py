"""What policies do where agents see one of few things: the probability of each action, before adaptation and after."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Policy

MOST_OBSERVATIONS, MOST_ACTIONS = 64, 8


class Strategy(NamedTuple):
    """What one agent does, means over tasks."""

    before: np.ndarray  # [S, O, A]
    after: np.ndarray  # [S, O, A]
    is_recurrent: bool  # what it does at the first step then, whatever it may see there


def obstacle(policy: Policy) -> str | None:
    """Why there is no picture of a policy, in words; None if there is one."""
    observation, action = policy.spec.observation, policy.spec.action
    if isinstance(policy, contracts.CarryingPolicy):
        return "what it does depends on what it carries from the episodes before the last update"
    if not isinstance(observation, contracts.Discrete):
        return f"what it sees is an array of shape {observation.shape}"
    if observation.n > MOST_OBSERVATIONS:
        return f"it sees one of {observation.n} things, and a picture has room for {MOST_OBSERVATIONS}"
    if not isinstance(action, contracts.Discrete):
        return f"what it does is an array of shape {action.shape}"
    if action.n > MOST_ACTIONS:
        return f"it has {action.n} actions, and there is room for {MOST_ACTIONS}"
    return None


def strategy(policy: Policy, before: Params, after: Params) -> Strategy:
    """What an agent does before and after adaptation.

    Args:
        policy: one without an obstacle.
        before, after: its parameters, leaves [S, N, ...].
    """
    is_recurrent = isinstance(policy, contracts.StepPolicy) and bool(tf.nest.flatten(policy.initial_state([1])))
    return Strategy(_action_probs(policy, before), _action_probs(policy, after), is_recurrent)


def _action_probs(policy, params):
    """Means over tasks: [S, O, A]."""
    if isinstance(policy, contracts.ExactPolicy):
        return tf.reduce_mean(policy.strategy(params), axis=1).numpy()
    # Every action after every observation, as trajectories of one step.
    shape = policy.spec.observation.n, policy.spec.action.n
    n_seeds, n_tasks = params[0].shape[:2]
    observations, actions = (
        tf.constant(np.broadcast_to(numbers.reshape(-1, 1), [n_seeds, n_tasks, np.prod(shape), 1]), tf.int32)
        for numbers in np.indices(shape)
    )
    log_probs = policy.log_probs(params, observations, actions)
    return np.exp(log_probs.numpy().astype(np.float64)).mean(axis=1).reshape(n_seeds, *shape)
