"""One tiny stochastic game as the oracle and as the package know it."""

import numpy as np
import tensorflow as tf

from tests import oracle
from tf_metamapg import adaptation
from tf_metamapg.contracts import Trajectory
from tf_metamapg.games.stochastic import StochasticGame
from tf_metamapg.policies.tabular import tabular_policy

# The first agent sees which of the three states it is in, the others two of them as one.
VIEWS = np.array([[0, 1, 2], [0, 1, 1], [1, 0, 1]])


class TinyGame:
    """A game of two actions and three states with random payoffs, transitions and policies.

    Attributes:
        payoffs: array [n, 3, 2, .., 2].
        transitions: array [3, 2, .., 2, 3].
        oracle: the `oracle.Oracle` that enumerates it.
        logits: array [n, n_observations], the policies.
        game: the same game in the package.
        policies: the agents' `CategoricalPolicy`s, for parameters of shape [.., n_observations, 1].
    """

    def __init__(self, n_agents, horizon, discount):
        generator = np.random.default_rng(10 * n_agents + horizon)
        # Most rewards have the same sign, as in the prisoner's dilemma, so that baselines have something to do.
        self.payoffs = generator.normal(-2.0, 1.0, size=[n_agents, 3] + [2] * n_agents)
        views = VIEWS[:n_agents]
        self.transitions = _transitions(generator, n_agents)
        self.oracle = oracle.Oracle(self.payoffs, self.transitions, views, discount, horizon)
        self.logits = generator.normal(size=[n_agents, self.oracle.n_observations])
        self.game = StochasticGame(self.payoffs, self.transitions, views, discount, dtype="float64")
        self.policies = [tabular_policy(self.game, agent) for agent in range(n_agents)]

    def tasks(self, *shape):
        """The same payoffs for all seeds and tasks, [S, N, ...]."""
        return tf.constant(np.broadcast_to(self.payoffs, [*shape, *self.payoffs.shape]))

    def joint_params(self, leaves, shape):
        """The same parameters for all seeds and tasks: JointParams with leaves [S, N, n_observations, 1]."""
        return tuple((tf.broadcast_to(leaf[:, tf.newaxis], [*shape, len(leaf), 1]),) for leaf in leaves)

    def trajectory(self, members):
        """Sets of the oracle's trajectories, [S, N, K], as a Trajectory with fields [S, N, K, T]."""
        oracle_fields = (self.oracle.observations, self.oracle.actions, self.oracle.rewards)
        fields = []
        for field, dtype in zip(oracle_fields, (np.int32, np.int32, np.float64)):
            of_sets = field[members].astype(dtype)
            fields.append(tuple(tf.constant(of_sets[..., agent]) for agent in range(len(self.policies))))
        return Trajectory(*fields)

    def sample(self, estimator, members):
        """Sets of the oracle's trajectories, [S, N, K], as an estimator that samples would have returned them."""
        n_seeds, n_tasks = members.shape[:2]
        joint_params = self.joint_params(list(map(tf.constant, self.logits)), [n_seeds, n_tasks])
        critic_params = adaptation.for_each_task(estimator.critic.initial_params(range(n_seeds)), n_tasks)
        return estimator.make_sample(self.trajectory(members), joint_params, critic_params)


def _transitions(generator, n_agents):
    """To two of the three states after each state and joint action: fewer trajectories, and zeros among them."""
    n_rows = 3 * 2**n_agents
    rows = generator.dirichlet([2.0, 2.0], size=n_rows)
    impossible = generator.integers(3, size=n_rows)
    table = np.array([np.insert(row, state, 0.0) for row, state in zip(rows, impossible)])
    return table.reshape([3, *[2] * n_agents, 3])
