"""How networks and critics see an agent's observations: one-hot where there are finitely many, vectors as they are."""

from typing import Any
from typing import NamedTuple

import tensorflow as tf


class AgentSpec(NamedTuple):
    """What one agent of a game sees and does: a number of things, or the shape of a vector."""

    observations: Any  # None in a differentiable game
    actions: Any
    dtype: str  # of the game


def agent_spec(game, agent_index):
    """The `AgentSpec` of an agent.

    Args:
        game: any game.
        agent_index: which agent of the game.
    """

    def finite_or_vector(number, specs):
        return tuple(specs[agent_index].shape) if number is None else number

    if hasattr(game, "n_params"):
        return AgentSpec(None, (game.n_params[agent_index],), game.dtype)
    n_actions = game.n_actions[agent_index] if hasattr(game, "n_actions") else None
    return AgentSpec(
        finite_or_vector(getattr(game, "n_observations", None), game.observation_specs),
        finite_or_vector(n_actions, game.action_specs),
        game.dtype,
    )


def agent_specs(game):
    """The `AgentSpec`s of all agents: a list."""
    return [agent_spec(game, agent_index) for agent_index in range(game.n_agents)]


def size(game, agent_index):
    """How many features an observation has.

    Args:
        game: a game that is played step by step.
        agent_index: which agent of the game.
    """
    if hasattr(game, "n_observations"):
        return game.n_observations
    return game.observation_specs[agent_index].shape[0]


def encode(game, observations):
    """Observations [...] or [..., D] → features [..., F].

    Args:
        game: a game that is played step by step.
        observations: tensor of what an agent of it has seen.
    """
    if hasattr(game, "n_observations"):
        return tf.one_hot(observations, game.n_observations, dtype=game.dtype)
    return observations
