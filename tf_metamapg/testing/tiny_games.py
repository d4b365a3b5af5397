"""Tiny games all of whose trajectories can be enumerated, with their probabilities as functions of the policies."""

from collections.abc import Callable
import itertools

import numpy as np
import tensorflow as tf

from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Trajectory
from tf_metamapg.games.stochastic import StochasticGame
from tf_metamapg.numerics import masks
from tf_metamapg.policies.tabular import tabular_policy

N_STATES = 2


class TinyGame:
    """A stochastic game of two states and two actions, and all of its trajectories.

    Attributes:
        payoffs: array [n_agents, 2, 2, .., 2], of each agent in each state, by the joint action.
        transitions: array [2, 2, .., 2, 2] of probabilities of the next state, if the game goes on.
        start: array [2] of probabilities of the first state.
        ends: array [2, 2, .., 2], the probability that the game ends after a joint action; None if it never does.
        game: `StochasticGame` in float64, with random payoffs, transitions and start, that ends at random or not.
        policies: a tabular policy for each agent.
        joint_params: parameters [1, 1, ...] at which derivatives are taken.
        tasks: the game's own payoffs, [1, 1, ...].
        trajectory: Trajectory with fields [1, M, 1, T], one task for each of the M that are possible.
    """

    def __init__(self, n_agents: int, ends: bool, horizon: int = 2) -> None:
        """
        Args:
            n_agents: number of agents.
            ends: whether episodes may end.
            horizon: T.
        """
        generator = np.random.default_rng(100 * n_agents + 10 * ends + horizon)
        n_actions = [2] * n_agents
        self.transitions = generator.dirichlet([1.0] * N_STATES, size=[N_STATES, *n_actions])
        self.ends = generator.uniform(0.2, 0.7, size=[N_STATES, *n_actions]) if ends else None
        self.start = generator.dirichlet([2.0] * N_STATES)
        self.payoffs = generator.normal(-1.0, 1.0, size=[n_agents, N_STATES, *n_actions])
        self.game = StochasticGame(
            self.payoffs, self.transitions, discount=0.9, dtype="float64", start=self.start, ends=self.ends
        )
        self.policies = [tabular_policy(self.game, agent) for agent in range(n_agents)]
        self.joint_params = tuple(
            (tf.constant(generator.normal(size=[1, 1, N_STATES, 1])),) for _ in range(n_agents)
        )
        self.tasks = tf.constant(self.payoffs)[tf.newaxis, tf.newaxis]
        paths = list(self._paths(horizon))
        self._chances = np.array([chance for chance, *_ in paths])
        self.trajectory = self._as_trajectory([steps for _, steps in paths], horizon)

    @property
    def n_trajectories(self) -> int:
        """M."""
        return len(self._chances)

    def _paths(self, horizon):
        """(the probability of all that is not chosen by agents, [(state, joint action) of each step there is])."""
        joint_actions = list(itertools.product(range(2), repeat=self.game.spec.n_agents))

        def going_on(chance, state, steps):
            for joint_action in joint_actions:
                taken = [*steps, (state, joint_action)]
                end = 0.0 if self.ends is None else self.ends[(state, *joint_action)]
                if len(taken) == horizon:
                    yield chance, taken
                    continue
                if end > 0.0:
                    yield chance * end, taken
                for following, transition in enumerate(self.transitions[(state, *joint_action)]):
                    yield from going_on(chance * (1.0 - end) * transition, following, taken)

        for state, chance in enumerate(self.start):
            yield from going_on(chance, state, [])

    def _as_trajectory(self, paths, horizon):
        n_agents, shape = self.game.spec.n_agents, [1, len(paths), 1, horizon]
        observations, actions = np.zeros(shape, np.int32), np.zeros([n_agents, *shape], np.int32)
        rewards, mask = np.zeros([n_agents, *shape]), np.zeros(shape, bool)
        for number, steps in enumerate(paths):
            for time, (state, joint_action) in enumerate(steps):
                at = (0, number, 0, time)
                observations[at], mask[at] = state, True
                for agent, action in enumerate(joint_action):
                    actions[(agent, *at)] = action
                    rewards[(agent, *at)] = self.payoffs[(agent, state, *joint_action)]
        return Trajectory(
            (tf.constant(observations),) * n_agents, tuple(map(tf.constant, actions)), tuple(map(tf.constant, rewards)),
            (tf.constant(mask),) * n_agents if self.game.spec.ends else (),
        )

    def sets(self, size: int) -> Trajectory:
        """All ordered sets of trajectories, as tasks of their own: Trajectory with fields [1, M^size, size, T]."""
        members = np.array(list(itertools.product(range(self.n_trajectories), repeat=size)))
        return tf.nest.map_structure(lambda leaf: tf.gather(leaf[:, :, 0], members, axis=1), self.trajectory)

    def probs(self, joint_params: JointParams, size: int = 1) -> tf.Tensor:
        """P of each set of trajectories, [M^size], differentiable in parameters [1, 1, ...]."""
        total = tf.math.log(tf.constant(self._chances))
        for agent, (policy, (leaf,)) in enumerate(zip(self.policies, joint_params)):
            params = (tf.broadcast_to(leaf, [1, self.n_trajectories, *leaf.shape[2:]]),)
            log_probs = policy.log_probs(params, self.trajectory.observations[agent], self.trajectory.actions[agent])
            total += tf.reduce_sum(masks.masked(log_probs, self.trajectory.agent_mask(agent))[0, :, 0], axis=-1)
        probs = tf.exp(total)
        sets = probs
        for _ in range(size - 1):
            sets = tf.reshape(sets[:, tf.newaxis] * probs, [-1])
        return sets

    def returns(self) -> np.ndarray:
        """Σ_t γᵗ r_t of every trajectory and agent: array [M, n_agents]."""
        horizon = self.trajectory.rewards[0].shape[-1]
        discounts = self.game.spec.discount ** np.arange(horizon)
        return np.stack([np.dot(rewards[0, :, 0], discounts) for rewards in self.trajectory.rewards], axis=-1)

    def values(self, joint_params: JointParams) -> tf.Tensor:
        """The expected returns of all agents within the horizon, [n_agents], differentiable in `joint_params`."""
        return tf.tensordot(tf.constant(self.returns().T), self.probs(joint_params), axes=1)

    def derivatives(self, function: Callable[[JointParams], tf.Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """First and second derivatives of scalars that are functions of `joint_params`.

        Args:
            function: of JointParams [1, 1, ...], → tensor [m].

        Returns:
            (array [m, P], array [m, P, P]), P being the number of parameters of all agents.
        """
        joint_params = self.joint_params
        with tf.GradientTape(persistent=True) as outer_tape:
            outer_tape.watch(joint_params)
            with tf.GradientTape(persistent=True) as inner_tape:
                inner_tape.watch(joint_params)
                values = tf.unstack(function(joint_params))
            first = [_gradient(inner_tape, value, joint_params) for value in values]
            entries = [tf.unstack(vector) for vector in first]
        second = [[_gradient(outer_tape, entry, joint_params) for entry in row] for row in entries]
        return np.stack(first), np.stack([np.stack(rows) for rows in second])


def _gradient(tape, scalar, joint_params):
    """The derivative in the parameters of all agents, as one vector [P]."""
    gradients = tape.gradient(scalar, joint_params, unconnected_gradients="zero")
    return tf.concat([tf.reshape(leaf, [-1]) for leaf in tf.nest.flatten(gradients)], axis=0)
