"""Tiny stochastic games as the oracle and as the package know them: without an end, and with one."""

import numpy as np
import tensorflow as tf

from tests import oracle
from tests.leaving_game import LeavingGame
from tests.leaving_game import LinearPolicy
from tf_metamapg import adaptation
from tf_metamapg.contracts import Box
from tf_metamapg.contracts import Trajectory
from tf_metamapg.games.stochastic import StochasticGame
from tf_metamapg.policies.tabular import tabular_policy

# The first agent sees which of the three states it is in, the others two of them as one.
VIEWS = np.array([[0, 1, 2], [0, 1, 1], [1, 0, 1]])


# How a tiny game ends: it does not; for all agents at once, as a `StochasticGame`; for the first agent and the others
# each at a time of their own, as a `LeavingGame`. Those that end start at random, too.
ENDINGS = ("endless", "together", "apart")


class TinyGame:
    """A game of two actions and three states with random payoffs, transitions and policies.

    Attributes:
        payoffs: array [n, 3, 2, .., 2].
        transitions: array [3, 2, .., 2, 3].
        start: array [3] of probabilities, None for state 0.
        departures: who leaves, as the oracle takes it.
        oracle: the `oracle.Oracle` that enumerates it.
        logits: array [n, n_observations], the policies.
        game: the same game in the package.
        policies: the agents' policies, for parameters of shape [.., n_observations, 1].
    """

    def __init__(self, n_agents, horizon, discount, ending="endless", by_coin_toss=False):
        """
        Args:
            n_agents: n.
            horizon: H.
            discount: γ.
            ending: one of `ENDINGS`.
            by_coin_toss: whether all probabilities are multiples of 1/4, so that a finite set of trajectories has
                exactly the frequencies that are expected of them.
        """
        generator = np.random.default_rng(10 * n_agents + horizon)
        # Most rewards have the same sign, as in the prisoner's dilemma, so that baselines have something to do.
        self.payoffs = generator.normal(-2.0, 1.0, size=[n_agents, 3] + [2] * n_agents)
        views = VIEWS[:n_agents]
        self.transitions = _transitions(generator, n_agents)
        self.logits = generator.normal(size=[n_agents, 1 + int(views.max())])
        self.start, self.departures = None, ()
        if ending != "endless":
            self.start = np.array([0.6, 0.0, 0.4])
            everybody, table_shape = tuple(range(n_agents)), [3, *[2] * n_agents]
            groups = (everybody,) if ending == "together" else (everybody[:1], everybody[1:])
            self.departures = tuple((group, generator.uniform(0.2, 0.6, size=table_shape)) for group in groups)
        if ending == "apart":  # there is enough that may happen without chance in transitions
            self.transitions = np.eye(3)[np.argmax(self.transitions, axis=-1)]
        if by_coin_toss:
            self._toss_coins()
        tables = self.payoffs, self.transitions, views, discount
        self.oracle = oracle.Oracle(*tables, horizon, self.start, self.departures)
        if ending == "apart":
            self.game = LeavingGame(*tables, self.start, self.departures)
            self.policies = [LinearPolicy(self.game, agent) for agent in range(n_agents)]
        else:
            ends = self.departures[0][1] if self.departures else None
            self.game = StochasticGame(*tables, dtype="float64", start=self.start, ends=ends)
            self.policies = [tabular_policy(self.game, agent) for agent in range(n_agents)]

    def _toss_coins(self):
        """Turns all probabilities into multiples of 1/4."""
        self.transitions = np.round(2 * self.transitions / np.max(self.transitions, axis=-1, keepdims=True)).clip(0, 1)
        self.transitions /= self.transitions.sum(axis=-1, keepdims=True)
        self.start = None if self.start is None else np.array([0.5, 0.0, 0.5])
        self.departures = tuple((group, np.where(table > 0.4, 0.5, 0.25)) for group, table in self.departures)
        self.logits = np.zeros_like(self.logits)
        self.logits[0, 0] = np.log(3.0)

    def exact_set(self):
        """Numbers of trajectories, each as often as it is expected of as many: int array [K], for a game of coins."""
        probs = self.oracle.probs(self.logits)
        size = next(2**power for power in range(20) if np.allclose(2**power * probs, np.round(2**power * probs)))
        return np.repeat(np.arange(len(probs)), np.round(size * probs).astype(int))

    def tasks(self, *shape):
        """The same payoffs for all seeds and tasks, [S, N, ...]."""
        return tf.constant(np.broadcast_to(self.payoffs, [*shape, *self.payoffs.shape]))

    def joint_params(self, leaves, shape):
        """The same parameters for all seeds and tasks: JointParams with leaves [S, N, n_observations, 1]."""
        return tuple((tf.broadcast_to(leaf[:, tf.newaxis], [*shape, len(leaf), 1]),) for leaf in leaves)

    def trajectory(self, members):
        """Sets of the oracle's trajectories, [S, N, K], as a Trajectory with fields [S, N, K, T].

        Steps of agents that have left hold what does not count: NaN, and numbers that they cannot have seen or done.
        """
        spec, present = self.game.spec, self.oracle.present[members]

        def by_agent(field, filler):
            filled = np.where(present, field[members], filler)
            return [tf.constant(filled[..., agent]) for agent in range(spec.n_agents)]

        observations = by_agent(self.oracle.observations.astype(np.int32), np.int32(1))
        if spec.observations[0] == Box((3,)):
            observations = [
                tf.where(present[..., agent, None], tf.one_hot(seen, 3, dtype=tf.float64), np.nan)
                for agent, seen in enumerate(observations)
            ]
        actions = by_agent(self.oracle.actions.astype(np.int32), np.int32(1))
        rewards = by_agent(self.oracle.rewards, np.nan)
        metrics = by_agent((self.oracle.actions == 0).astype(np.float64), np.nan)
        return Trajectory(
            tuple(observations), tuple(actions), tuple(rewards),
            tuple(by_agent(self.oracle.present, False)) if spec.ends else (),
            {name: tuple(metrics) for name in spec.metrics} or (),
        )

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
