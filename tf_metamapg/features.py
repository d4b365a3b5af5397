"""How networks and critics see an agent's observations: one-hot where there are finitely many, vectors as they are."""

import tensorflow as tf


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
