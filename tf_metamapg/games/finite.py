"""Stochastic games with finitely many states and actions, and their exact values."""

import itertools
import math

import numpy as np
import tensorflow as tf

from tf_metamapg import checks


class FiniteGame:
    """A stochastic game that is given by tables; every trajectory starts in state 0.

    Attributes:
        payoffs: float64 array [n_agents, M, A_0, .., A_{n-1}], or without the axis of the M states.
        discount: γ.
        dtype: the name of the floating type of payoffs, rewards and values.
        name: what the game is called in figures and summaries.
        n_agents: n.
        n_actions: tuple (A_0, .., A_{n-1}).
        n_states: M.
        n_observations: how many observations there are, the same for every agent.
        n_uniforms: 1, as a transition takes one uniform number.
    """

    n_uniforms = 1

    def __init__(self, payoffs, transitions, views=None, discount=0.96, dtype="float32", name="finite game"):
        """
        Args:
            payoffs: array-like [n_agents, M, A_0, .., A_{n-1}] of finite numbers; entry
                [i, s, a_0, .., a_{n-1}] is the reward of agent i in state s. Where rewards do not depend on
                the state, the axis of states may be left out.
            transitions: array-like [M, A_0, .., A_{n-1}, M] of probabilities of the next state.
            views: array-like [n_agents, M] of observations ≥ 0, what each agent sees in every state. By
                default every agent sees the state.
            discount: γ, in [0, 1).
            dtype: 'float32' or 'float64'.
            name: what the game is called in figures and summaries.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        kind = type(self).__name__
        transitions = _checked_transitions(f"{kind}.transitions", transitions)
        self.n_states, self.n_actions = transitions.shape[0], transitions.shape[1:-1]
        self.n_agents = len(self.n_actions)
        self.payoffs = checked_table(f"{kind}.payoffs", payoffs)
        without_states = (self.n_agents, *self.n_actions)
        allowed = (without_states, (self.n_agents, self.n_states, *self.n_actions))
        checks.check(
            self.payoffs.shape in allowed, f"{kind}.payoffs", f"array of shape {self.payoffs.shape}",
            f"of shape {allowed[0]} or {allowed[1]}, as there are transitions for",
        )
        # Rewards that do not depend on the state are those of one state that stands for all.
        self._n_reward_states = 1 if self.payoffs.shape == without_states else self.n_states
        self._views = _checked_views(f"{kind}.views", views, self.n_agents, self.n_states)
        self.n_observations = 1 + int(self._views.max())
        checks.check_number(f"{kind}.discount", discount)
        checks.check(0.0 <= discount < 1.0, f"{kind}.discount", discount, "in [0, 1)")
        checks.check(str(dtype) in ("float32", "float64"), f"{kind}.dtype", dtype, "'float32' or 'float64'")
        checks.check(isinstance(name, str), f"{kind}.name", name, "a text")
        self.discount = float(discount)
        self.dtype = dtype
        self.name = name
        # One row per joint action, in row-major order.
        self._joint_actions = np.array(list(itertools.product(*map(range, self.n_actions))), np.int32)
        self._transitions = transitions.reshape([self.n_states, len(self._joint_actions), self.n_states])

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
        """
        return tf.gather(self._views[agent_index], states)

    def next_state(self, state, joint_action, uniforms):
        """The state after a joint action.

        Args:
            state: int32 tensor of any shape.
            joint_action: tuple over agents of int32 tensors of that shape.
            uniforms: list of `n_uniforms` tensors of that shape, uniform in [0, 1).

        Returns:
            int32 tensor of that shape.
        """
        cumulative = np.cumsum(self._transitions, axis=-1)[..., :-1]
        cumulative = cumulative.reshape([self.n_states * len(self._joint_actions), self.n_states - 1])
        row = state * len(self._joint_actions) + self._joint_action_index(joint_action)
        exceeded = uniforms[0][..., tf.newaxis] >= tf.gather(tf.constant(cumulative, self.dtype), row)
        return tf.reduce_sum(tf.cast(exceeded, tf.int32), axis=-1)

    def _joint_action_index(self, joint_action):
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
            index += states * len(self._joint_actions)
        batch_shape = tf.shape(payoffs)[:2]
        table = tf.reshape(payoffs, [*tf.unstack(batch_shape), self.n_agents, -1])
        return tuple(
            tf.gather(table[:, :, agent_index], index, batch_dims=2) for agent_index in range(self.n_agents)
        )

    def exact_values(self, payoffs, action_probs):
        """The discounted values V = dᵀr, d = (I − γPᵀ)⁻¹ e_0, not normalised by 1 − γ.

        Args:
            payoffs: tensor [S, N, ...] with the shape of the game's payoffs behind.
            action_probs: tuple over agents of tensors [S, N, n_observations, A_i], the
                probabilities of agent i's actions for each of its observations.

        Returns:
            tuple over agents of tensors [S, N], differentiable any number of times with respect to
            `action_probs` and `payoffs`.
        """
        # [S, N, M, J], J joint actions.
        joint_probs = math.prod(
            tf.gather(tf.gather(probs, view, axis=-2), self._joint_actions[:, agent_index], axis=-1)
            for agent_index, (probs, view) in enumerate(zip(action_probs, self._views))
        )
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
        shape = tf.shape(payoffs)
        table = tf.reshape(payoffs, [shape[0], shape[1], self.n_agents, self._n_reward_states, -1])
        values = tf.reduce_sum(occupancies * table, axis=[-2, -1])
        values *= tf.cast(nan_or_one, values.dtype)[..., tf.newaxis]
        return tuple(tf.unstack(values, self.n_agents, axis=-1))

    def _state_transitions(self, joint_probs):
        """P(s'|s): [S, N, M, J] → [S, N, M, M]."""
        return tf.einsum("snmj,mjk->snmk", joint_probs, tf.constant(self._transitions, joint_probs.dtype))


def checked_table(parameter, table, allowed="an array of numbers"):
    """A float64 copy of a table of finite real numbers.

    Raises:
        InvalidInputError: if it is not such a table; says what is allowed.
    """
    try:
        array = None if np.iscomplexobj(table) else np.array(table, np.float64)
    except (TypeError, ValueError):
        array = None
    checks.check(array is not None, parameter, table, allowed)
    checks.check(np.all(np.isfinite(array)), parameter, array.tolist(), "finite")
    return array


def _checked_transitions(parameter, transitions):
    allowed = "probabilities of shape [M, A_0, .., A_{n-1}, M]"
    array = checked_table(parameter, transitions, allowed)
    described = f"array of shape {array.shape}"
    checks.check(array.ndim >= 3 and array.shape[0] == array.shape[-1], parameter, described, allowed)
    checks.check(min(array.shape) >= 1, parameter, described, "such that there are states and actions")
    sums = array.sum(axis=-1)
    checks.check(
        np.all(array >= 0.0) and np.allclose(sums, 1.0, rtol=0.0, atol=1e-6), parameter, array.tolist(),
        "probabilities that sum to 1 over the last axis",
    )
    return array / sums[..., np.newaxis]


def _checked_views(parameter, views, n_agents, n_states):
    if views is None:
        return np.broadcast_to(np.arange(n_states, dtype=np.int32), [n_agents, n_states])
    try:
        array = np.array(views)
    except ValueError:
        array = np.array(None)
    is_table = array.shape == (n_agents, n_states) and np.issubdtype(array.dtype, np.integer)
    checks.check(
        is_table and array.min() >= 0 and array.max() < 2**31 - 1, parameter, views,
        f"integers ≥ 0 of shape ({n_agents}, {n_states})",
    )
    return array.astype(np.int32)
