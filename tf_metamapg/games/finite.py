"""What games with finitely many states and actions have in common: views, rewards, ends and exact values."""

import abc
from collections.abc import Mapping
import math

import numpy as np
from numpy.typing import ArrayLike
import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.games import action_values
from tf_metamapg.games import occupancies
from tf_metamapg.numerics import tables


class FiniteGame(descriptions.Described, abc.ABC):
    """A game with M states; games differ in their transitions. Tasks are payoffs.

    Attributes:
        spec: `contracts.GameSpec`; observations are Discrete, as many for every agent, and so are actions.
        default_tasks: the payoffs, float64 array [n_agents, M, A_0, .., A_{n-1}], or without the axis of states where
            rewards do not depend on the state.
        n_states: M.
        n_reset_uniforms: how many uniform numbers a reset takes.
        n_step_uniforms: how many uniform numbers a step takes.
    """

    n_transition_uniforms: int  # how many uniform numbers `_next_state` takes

    def __init__(
        self, payoffs: np.ndarray, views: ArrayLike, discount: float, dtype: str, name: str,
        start: np.ndarray | None = None, ends: np.ndarray | None = None,
        metrics: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """
        Args:
            payoffs: float64 array, checked by the subclass; see above.
            views: int array [n_agents, M], what each agent sees in every state.
            discount: γ, in [0, 1), or 1 where every episode surely ends.
            dtype: 'float32' or 'float64'.
            name: what the game is called in figures and summaries.
            start: array [M] of probabilities of the state before the first step; by default it is state 0.
            ends: array [M, J] of the probability that the game ends after each joint action, in row-major order; by
                default it never does.
            metrics: by name, array [n_agents, M, A_0, .., A_{n-1}] of what else is reported of each agent, as a mean
                over the steps where it is not NaN.

        Raises:
            InvalidInputError: if discount, dtype, name or the names of metrics cannot be used.
        """
        kind = type(self).__name__
        contracts.check_game_numbers(kind, discount, dtype, name, ends is not None)
        arguments.check_finite_as(f"{kind}.payoffs", payoffs, dtype)
        self._views = np.asarray(views, np.int32)
        n_agents, self.n_states = self._views.shape
        self._n_observations = 1 + int(self._views.max())
        self._n_actions = payoffs.shape[-n_agents:]
        self.spec = contracts.GameSpec(
            name=name, discount=float(discount), dtype=dtype, ends=ends is not None,
            observations=(contracts.Discrete(self._n_observations),) * n_agents,
            actions=tuple(map(contracts.Discrete, self._n_actions)), metrics=tuple(metrics or ()),
        )
        self.default_tasks = payoffs
        self._start = start
        self._ends = ends
        self._metrics = {
            name: np.reshape(table, [n_agents, self.n_states, -1]) for name, table in (metrics or {}).items()
        }
        self.n_reset_uniforms = 0 if start is None else 1
        self.n_step_uniforms = self.n_transition_uniforms + (0 if ends is None else 1)
        # Rewards that do not depend on the state are those of one state that stands for all.
        self._n_reward_states = 1 if payoffs.ndim == 1 + n_agents else self.n_states

    @abc.abstractmethod
    def _next_state(self, state, joint_action, uniforms):
        """The state after a joint action, if the game goes on.

        Args:
            state: int32 tensor of any shape.
            joint_action: int32 tensor of that shape, numbers of joint actions in row-major order.
            uniforms: tensor [n_transition_uniforms, ...] with that shape behind.

        Returns:
            int32 tensor of that shape.
        """

    @abc.abstractmethod
    def _state_transitions(self, joint_probs):
        """P(s'|s), if the game goes on, from the probabilities of joint actions: [S, N, M, J] → [S, N, M, M]."""

    def reset(self, tasks: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
        """See `contracts.Game.reset`: int32 tensor [S, N, K]."""
        del tasks
        if self._start is None:
            return tf.zeros(uniforms.shape[1:], tf.int32)
        cumulative = tf.constant(np.cumsum(self._start)[:-1], self.spec.dtype)
        return tf.reduce_sum(tf.cast(uniforms[0][..., tf.newaxis] >= cumulative, tf.int32), axis=-1)

    def step(
        self, tasks: tf.Tensor, state: tf.Tensor, joint_action: tuple[tf.Tensor, ...], uniforms: tf.Tensor
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, ...], tuple[tf.Tensor, ...]]:
        """See `contracts.Game.step`; all agents leave together."""
        joint_action = self._joint_action_index(joint_action)
        rewards = self._rewards(tasks, state, joint_action)
        next_state = self._next_state(state, joint_action, uniforms)
        if self._ends is None:
            return next_state, rewards, ()
        end_probs = tables.select(self._ends.ravel().astype(self.spec.dtype), self._row(state, joint_action))
        return next_state, rewards, (uniforms[-1] >= end_probs,) * self.spec.n_agents

    def observe(self, tasks: tf.Tensor, state: tf.Tensor, agent_index: int) -> tf.Tensor:
        """What an agent sees.

        Args:
            tasks: not used.
            state: int32 tensor of any shape.
            agent_index: which agent.

        Returns:
            int32 tensor of the same shape.

        Raises:
            InvalidInputError: if there is no such agent.
        """
        del tasks
        checks.check_agent_index("agent_index", agent_index, self.spec.n_agents)
        return tables.select(self._views[agent_index], state)

    def metrics(
        self, tasks: tf.Tensor, state: tf.Tensor, joint_action: tuple[tf.Tensor, ...]
    ) -> dict[str, tuple[tf.Tensor, ...]]:
        """See `contracts.MeasuredGame.metrics`."""
        del tasks
        row = self._row(state, self._joint_action_index(joint_action))
        return {
            name: tuple(tables.select(entries.ravel().astype(self.spec.dtype), row) for entries in table)
            for name, table in self._metrics.items()
        }

    def _joint_action_index(self, joint_action):
        """The row-major index of a joint action."""
        index = joint_action[0]
        for action, n_actions in zip(joint_action[1:], self._n_actions[1:]):
            index = index * n_actions + action
        return index

    def _row(self, state, joint_action):
        """The number of a state and a joint action in tables [M, J]."""
        return state * math.prod(self._n_actions) + joint_action

    def _rewards(self, payoffs, state, joint_action):
        """Tuple over agents of tensors [S, N, K]."""
        index = self._row(state, joint_action) if self._n_reward_states > 1 else joint_action
        n_seeds, n_tasks = tf.unstack(tf.shape(payoffs)[:2])
        table = tf.reshape(payoffs, [n_seeds, n_tasks, self.spec.n_agents, -1])
        return tuple(tables.select(table[:, :, agent], index) for agent in range(self.spec.n_agents))

    def exact_values(self, tasks: tf.Tensor, strategies: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """The discounted values V = dᵀr, d = (I − γPᵀ)⁻¹ d₀, not normalised by 1 − γ.

        They are computed in float64 whatever the game's dtype: an error of P becomes one of V that is larger by the
        factor 1 / (1 − γ).

        Args:
            tasks: payoffs, tensor [S, N, ...] with the shape of the game's payoffs behind.
            strategies: tuple over agents of tensors [S, N, n_observations, A_i], the probabilities of agent i's
                actions for each of its observations, in float64 or float32.

        Returns:
            tuple over agents of tensors [S, N], differentiable any number of times with respect to `strategies` and
            `tasks`.

        Raises:
            InvalidInputError: if one of these is something else.
        """
        strategies = occupancies.checked_strategies(strategies, self.spec)
        tables = tf.cast(self._reward_tables(tasks, strategies), tf.float64)
        visits = self._occupancies(strategies)
        values = [tf.reduce_sum(visits * table, axis=[-2, -1]) for table in tf.unstack(tables, axis=2)]
        return tuple(tf.cast(value, self.spec.dtype) for value in values)

    def exact_joint_action_values(
        self, tasks: tf.Tensor, strategies: tuple[tf.Tensor, ...]
    ) -> contracts.JointActionValues:
        """See `contracts.JointActionGame.exact_joint_action_values`; [S, N, ...], in float64."""
        strategies = occupancies.checked_strategies(strategies, self.spec)
        tables = tf.cast(self._reward_tables(tasks, strategies), tf.float64)
        return action_values.joint_action_values(
            strategies, self._views, tables, self._state_transitions, self.spec.discount, self._start_probs, self._ends
        )

    def exact_lengths(self, tasks: tf.Tensor, strategies: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """E Σ_t γᵗ over the steps of an episode, the same for every agent; see `exact_values`.

        Returns:
            tuple over agents of tensors [S, N], differentiable any number of times with respect to `strategies`.
        """
        del tasks
        strategies = occupancies.checked_strategies(strategies, self.spec)
        if not self.spec.ends:
            ones = tf.ones(strategies[0].shape[:2], self.spec.dtype)
            return (ones / (1.0 - self.spec.discount),) * self.spec.n_agents
        lengths = tf.reduce_sum(self._occupancies(strategies), axis=[-2, -1])
        return (tf.cast(lengths, self.spec.dtype),) * self.spec.n_agents

    def exact_metrics(
        self, tasks: tf.Tensor, strategies: tuple[tf.Tensor, ...]
    ) -> dict[str, tuple[tf.Tensor, ...]]:
        """See `contracts.MeasuredExactGame.exact_metrics`."""
        del tasks
        expected_visits = self._occupancies(occupancies.checked_strategies(strategies, self.spec))
        return {
            name: tuple(tf.cast(mean, self.spec.dtype) for mean in occupancies.means(expected_visits, table))
            for name, table in self._metrics.items()
        }

    def exact_entropies(self, tasks: tf.Tensor, strategies: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """E Σ_t γᵗ H(πⁱ(·|o_t)), in nats; see `exact_values`.

        Returns:
            tuple over agents of tensors [S, N], differentiable any number of times with respect to `strategies`.
        """
        del tasks
        strategies = occupancies.checked_strategies(strategies, self.spec)
        entropies = occupancies.entropies(self._occupancies(strategies), strategies, self._views)
        return tuple(tf.cast(entropy, self.spec.dtype) for entropy in entropies)

    def _occupancies(self, strategies):
        """How often each state and joint action is expected, discounted: float64 tensor [S, N, M, J]."""
        return occupancies.expected_visits(
            strategies, self._views, self._state_transitions, self.spec.discount, self._start_probs, self._ends
        )

    @property
    def _start_probs(self):
        return np.eye(self.n_states)[0] if self._start is None else self._start

    def _reward_tables(self, tasks, strategies):
        """The payoffs of all agents: tensor [S, N, n_agents, M or 1, J]."""
        payoffs = arguments.tasks("tasks", tasks, self, arguments.seeds_and_tasks(strategies))
        n_seeds, n_tasks = tf.unstack(tf.shape(payoffs)[:2])
        return tf.reshape(payoffs, [n_seeds, n_tasks, self.spec.n_agents, self._n_reward_states, -1])
