"""What games with finitely many states and actions have in common: views, rewards and exact values."""

import abc
import math

import numpy as np
import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg import tables


class FiniteGame(descriptions.Described, abc.ABC):
    """A game with M states; every trajectory starts in state 0. Games differ in their transitions.

    Attributes:
        payoffs: float64 array [n_agents, M, A_0, .., A_{n-1}], or without the axis of states where rewards
            do not depend on the state.
        discount: γ.
        dtype: the name of the floating type of payoffs, rewards and values.
        name: what the game is called in figures and summaries.
        n_agents: n.
        n_actions: tuple (A_0, .., A_{n-1}).
        n_states: M.
        n_observations: how many observations there are, the same for every agent.
        n_uniforms: how many uniform numbers a transition takes.
        observation_specs: tuple over agents of TensorSpecs of one observation.
        action_specs: tuple over agents of TensorSpecs of one action.
    """

    n_uniforms: int

    def __init__(self, payoffs, n_states, views, discount, dtype, name):
        """
        Args:
            payoffs: float64 array, checked by the subclass; see above.
            n_states: M.
            views: int array [n_agents, M], what each agent sees in every state.
            discount: γ, in [0, 1).
            dtype: 'float32' or 'float64'.
            name: what the game is called in figures and summaries.

        Raises:
            InvalidInputError: if one of the last three does not hold.
        """
        kind = type(self).__name__
        check_discount_and_names(kind, discount, dtype, name)
        check_finite_as(f"{kind}.payoffs", payoffs, dtype)
        self.payoffs = payoffs
        self.n_states = n_states
        self.discount = float(discount)
        self.dtype = dtype
        self.name = name
        self.n_agents = payoffs.shape[0]
        self.n_actions = payoffs.shape[-self.n_agents :]
        self.observation_specs = self.action_specs = (tf.TensorSpec([], tf.int32),) * self.n_agents
        self._views = np.asarray(views, np.int32)
        self.n_observations = 1 + int(self._views.max())
        # Rewards that do not depend on the state are those of one state that stands for all.
        self._n_reward_states = 1 if payoffs.ndim == 1 + self.n_agents else n_states

    @abc.abstractmethod
    def next_state(self, state, joint_action, uniforms):
        """The state after a joint action.

        Args:
            state: int32 tensor of any shape.
            joint_action: tuple over agents of int32 tensors of that shape.
            uniforms: list of `n_uniforms` tensors of that shape, uniform in [0, 1).

        Returns:
            int32 tensor of that shape.
        """

    @abc.abstractmethod
    def _state_transitions(self, joint_probs):
        """P(s'|s) from the probabilities of joint actions in row-major order: [S, N, M, J] → [S, N, M, M]."""

    def initial_state(self, shape):
        """The state before the first step: int32 zeros of the given shape."""
        return tf.zeros(shape, tf.int32)

    def observe(self, states, agent_index):
        """What an agent sees.

        Args:
            states: int32 tensor of any shape.
            agent_index: which agent.

        Returns:
            int32 tensor of the same shape, in [0, n_observations).

        Raises:
            InvalidInputError: if there is no such agent.
        """
        checks.check_agent_index("agent_index", agent_index, self.n_agents)
        return tables.select(self._views[agent_index], states)

    def _joint_action_index(self, joint_action):
        """The row-major index of a joint action."""
        index = joint_action[0]
        for action, n_actions in zip(joint_action[1:], self.n_actions[1:]):
            index = index * n_actions + action
        return index

    def rewards(self, payoffs, states, joint_actions):
        """The rewards of joint actions.

        Args:
            payoffs: tensor [S, N, ...] with the shape of the game's payoffs behind.
            states: int32 tensor [S, N, K, T].
            joint_actions: tuple over agents of int32 tensors [S, N, K, T].

        Returns:
            tuple over agents of tensors [S, N, K, T].
        """
        index = self._joint_action_index(joint_actions)
        if self._n_reward_states > 1:
            index += states * math.prod(self.n_actions)
        n_seeds, n_tasks = tf.unstack(tf.shape(payoffs)[:2])
        table = tf.reshape(payoffs, [n_seeds, n_tasks, self.n_agents, -1])
        return tuple(
            tables.select(table[:, :, agent_index], index) for agent_index in range(self.n_agents)
        )

    def exact_values(self, payoffs, action_probs):
        """The discounted values V = dᵀr, d = (I − γPᵀ)⁻¹ e_0, not normalised by 1 − γ.

        They are computed in float64 whatever the game's dtype: an error of P becomes one of V that is larger by the
        factor 1 / (1 − γ).

        Args:
            payoffs: tensor [S, N, ...] with the shape of the game's payoffs behind.
            action_probs: tuple over agents of tensors [S, N, n_observations, A_i], the
                probabilities of agent i's actions for each of its observations, in float64 or float32.

        Returns:
            tuple over agents of tensors [S, N], differentiable any number of times with respect to
            `action_probs` and `payoffs`.

        Raises:
            InvalidInputError: if one of these is something else.
        """
        action_probs = self._checked_probs(action_probs)
        payoffs = arguments.tasks("payoffs", payoffs, self, arguments.seeds_and_tasks(action_probs))
        joint_probs = self._joint_probs(map(_as_float64, action_probs))
        # The solver raises an error for NaN. So that whoever calls can say which seed went wrong, such
        # probabilities are kept from it, and values and gradients are NaN for that seed and task alone.
        is_finite = tf.math.is_finite(joint_probs)
        nan_or_one = tf.where(tf.reduce_all(is_finite, axis=[-2, -1]), 1.0, float("nan"))
        joint_probs = tf.where(is_finite, joint_probs, tf.zeros_like(joint_probs))
        identity = tf.eye(self.n_states, dtype=joint_probs.dtype)
        # The discounted number of visits to each state serves every agent.
        visits = tf.linalg.solve(
            identity - self.discount * tf.linalg.matrix_transpose(self._state_transitions(joint_probs)),
            identity[:, :1] * tf.ones_like(joint_probs[..., :1]),
        )
        occupancies = (visits * joint_probs)[:, :, tf.newaxis]
        n_seeds, n_tasks = tf.unstack(tf.shape(payoffs)[:2])
        table = tf.reshape(payoffs, [n_seeds, n_tasks, self.n_agents, self._n_reward_states, -1])
        values = tf.reduce_sum(occupancies * tf.cast(table, occupancies.dtype), axis=[-2, -1])
        values *= tf.cast(nan_or_one, values.dtype)[..., tf.newaxis]
        return tuple(tf.unstack(tf.cast(values, self.dtype), self.n_agents, axis=-1))

    def _checked_probs(self, action_probs):
        """What exact values are a function of, as tensors."""
        checks.check_length("action_probs", action_probs, self.n_agents)
        sizes, checked = ["S", "N"], []
        for agent, (probs, n_actions) in enumerate(zip(action_probs, self.n_actions)):
            dtype = "float32" if getattr(probs, "dtype", None) == "float32" else "float64"
            shape = [*sizes, self.n_observations, n_actions]
            checked.append(arguments.tensor(f"action_probs[{agent}]", probs, dtype, shape))
            sizes = arguments.seeds_and_tasks(checked)
        return checked

    def _joint_probs(self, action_probs):
        """The probabilities of joint actions in every state, in row-major order: [S, N, M, J]."""
        joint_probs = tf.ones([1, 1, 1, 1], tf.float64)
        for probs, view in zip(action_probs, self._views):
            own_probs = tf.gather(probs, view, axis=-2)
            joint_probs = joint_probs[..., tf.newaxis] * own_probs[..., tf.newaxis, :]
            joint_probs = tf.reshape(joint_probs, [*tf.unstack(tf.shape(own_probs)[:3]), -1])
        return joint_probs


def _as_float64(probs):
    """Probabilities that sum to one as exactly as float64 can; those that were computed in float32 do within 10⁻⁷."""
    if probs.dtype == tf.float64:
        return probs
    probs = tf.cast(probs, tf.float64)
    return probs / tf.reduce_sum(probs, axis=-1, keepdims=True)


def check_discount_and_names(kind, discount, dtype, name):
    """Raises `InvalidInputError` unless a game's discount, dtype and name are such."""
    checks.check_number(f"{kind}.discount", discount)
    checks.check(0.0 <= discount < 1.0, f"{kind}.discount", discount, "in [0, 1)")
    checks.check_dtype(f"{kind}.dtype", dtype)
    checks.check_name(f"{kind}.name", name)
    as_dtype = np.dtype(dtype).type
    checks.check(as_dtype(discount) < 1.0, f"{kind}.discount", discount, f"in [0, 1) when rounded to {dtype}")


def check_finite_as(parameter, table, dtype):
    """Raises `InvalidInputError` unless a table of finite numbers stays so when it is rounded to a dtype."""
    with np.errstate(over="ignore"):
        is_finite = np.all(np.isfinite(table.astype(dtype)))
    checks.check(is_finite, parameter, table.tolist(), f"finite as {dtype}")
