"""One tiny game as the oracle and as the package know it."""

import numpy as np
import tensorflow as tf

from tests import oracle
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.types import Trajectory


class TinyGame:
    """A game of two actions with random payoffs and policies.

    Attributes:
        oracle: the `oracle.Oracle` that enumerates it.
        logits: array [n, n_observations], the policies.
        game: the same game in the package.
        policies: the agents' `CategoricalPolicy`s, for parameters of shape [.., n_observations, 1].
    """

    def __init__(self, n_agents, horizon, discount):
        generator = np.random.default_rng(10 * n_agents + horizon)
        self.payoffs = generator.normal(size=[n_agents] + [2] * n_agents)
        self.oracle = oracle.Oracle(self.payoffs, discount, horizon)
        self.logits = generator.normal(size=[n_agents, self.oracle.n_observations])
        self.game = IteratedMatrixGame(self.payoffs, discount, dtype="float64")
        self.policies = [tabular_policy(self.game, agent) for agent in range(n_agents)]

    def trajectory(self, members):
        """Sets of the oracle's trajectories, [S, N, K], as a Trajectory with fields [S, N, K, T]."""
        oracle_fields = (self.oracle.observations, self.oracle.actions, self.oracle.rewards)
        fields = []
        for field, dtype in zip(oracle_fields, (np.int32, np.int32, np.float64)):
            of_sets = field[members].astype(dtype)
            fields.append(tuple(tf.constant(of_sets[..., agent]) for agent in range(len(self.policies))))
        return Trajectory(*fields)
