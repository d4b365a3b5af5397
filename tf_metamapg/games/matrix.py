"""Iterated matrix games with memory one: n agents play the same matrix game again and again.

Before each step every agent sees the last joint action from its own side: its own action first, then
the others' in the order of their numbers. For two agents with two actions the five observations are,
in this order, start, CC, CD, DC, DD, where the first letter is the agent's own last action; what is
CD to one agent is DC to the other.
"""

import itertools

import numpy as np
import tensorflow as tf

from tf_metamapg import checks


class IteratedMatrixGame:
    """An iterated matrix game, its transitions and its exact values.

    The state is 0 before the first step, and then 1 + the row-major index of the last joint action
    (a_0, .., a_{n-1}). Payoffs are passed to the methods rather than read from the game, because the
    tasks of a task distribution differ in them.

    Attributes:
        payoffs: float64 array [n_agents, A_0, .., A_{n-1}].
        discount: γ.
        dtype: the name of the floating type of payoffs, rewards and values.
        name: what the game is called in figures and summaries.
        n_agents: n.
        n_actions: tuple (A_0, .., A_{n-1}).
        n_observations: 1 + the number of joint actions, the same for every agent.
    """

    def __init__(self, payoffs, discount=0.96, dtype="float32", name="iterated matrix game"):
        """
        Args:
            payoffs: array-like [n_agents, A_0, .., A_{n-1}] of finite numbers; entry
                [i, a_0, .., a_{n-1}] is the reward of agent i. See `payoffs.py`.
            discount: γ, in [0, 1).
            dtype: 'float32' or 'float64'.
            name: what the game is called in figures and summaries.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        self.payoffs = _checked_payoffs(payoffs)
        checks.check_number("IteratedMatrixGame.discount", discount)
        checks.check(
            0.0 <= discount < 1.0, "IteratedMatrixGame.discount", discount, "in [0, 1)"
        )
        checks.check(
            str(dtype) in ("float32", "float64"), "IteratedMatrixGame.dtype", dtype, "'float32' or 'float64'"
        )
        checks.check(isinstance(name, str), "IteratedMatrixGame.name", name, "a text")
        self.discount = float(discount)
        self.dtype = dtype
        self.name = name
        self.n_agents = self.payoffs.shape[0]
        self.n_actions = self.payoffs.shape[1:]
        self._joint_actions = np.array(
            list(itertools.product(*map(range, self.n_actions))), np.int32
        )
        self.n_observations = 1 + len(self._joint_actions)
        self._views = tuple(self._view(agent_index) for agent_index in range(self.n_agents))

    def _view(self, agent_index):
        """The observation of one agent in every state: int32 array [n_observations]."""
        others = [other for other in range(self.n_agents) if other != agent_index]
        own_first = [agent_index] + others
        seen = np.ravel_multi_index(
            tuple(self._joint_actions[:, agent] for agent in own_first),
            [self.n_actions[agent] for agent in own_first],
        )
        return np.concatenate([[0], 1 + seen]).astype(np.int32)

    def initial_state(self, shape):
        """The state before the first step: int32 zeros of the given shape."""
        return tf.zeros(shape, tf.int32)

    def observe(self, state, agent_index):
        """What an agent sees.

        Args:
            state: int32 tensor of any shape.
            agent_index: which agent.

        Returns:
            int32 tensor of the same shape, in [0, n_observations).
        """
        return tf.gather(self._views[agent_index], state)

    def next_state(self, state, joint_action):
        """The state after a joint action; only the last joint action is remembered.

        Args:
            state: int32 tensor, the state before.
            joint_action: tuple over agents of int32 tensors of the shape of `state`.

        Returns:
            int32 tensor of the same shape.
        """
        del state
        return 1 + self._joint_action_index(joint_action)

    def _joint_action_index(self, joint_action):
        index = joint_action[0]
        for action, n_actions in zip(joint_action[1:], self.n_actions[1:]):
            index = index * n_actions + action
        return index

    def rewards(self, payoffs, joint_actions):
        """The rewards of joint actions.

        Args:
            payoffs: tensor [S, N, n_agents, A_0, .., A_{n-1}].
            joint_actions: tuple over agents of int32 tensors [S, N, K, T].

        Returns:
            tuple over agents of tensors [S, N, K, T].
        """
        index = self._joint_action_index(joint_actions)
        table = self._flat(payoffs)
        return tuple(
            tf.gather(table[:, :, agent_index], index, batch_dims=2)
            for agent_index in range(self.n_agents)
        )

    def exact_values(self, payoffs, action_probs):
        """The discounted values V = p0ᵀ (I − γP)⁻¹ r in closed form, not normalised by 1 − γ.

        Args:
            payoffs: tensor [S, N, n_agents, A_0, .., A_{n-1}].
            action_probs: tuple over agents of tensors [S, N, n_observations, A_i], the
                probabilities of agent i's actions for each of its observations.

        Returns:
            tuple over agents of tensors [S, N], differentiable any number of times with respect to
            `action_probs` and `payoffs`.
        """
        # One row per state, one column per joint action.
        joint_probs = 1.0
        for agent_index, (probs, view) in enumerate(zip(action_probs, self._views)):
            own_probs = tf.gather(probs, view, axis=-2)
            joint_probs *= tf.gather(own_probs, self._joint_actions[:, agent_index], axis=-1)
        # The solver raises an error for NaN. So that whoever calls can say which seed went wrong, such
        # probabilities are kept from it, and values and gradients are NaN for that seed and task alone.
        is_finite = tf.math.is_finite(joint_probs)
        nan_or_one = tf.where(tf.reduce_all(is_finite, axis=[-2, -1]), 1.0, float("nan"))
        joint_probs = tf.where(is_finite, joint_probs, tf.zeros_like(joint_probs))
        start, transitions = joint_probs[..., 0, :], joint_probs[..., 1:, :]
        identity = tf.eye(self.n_observations - 1, dtype=transitions.dtype)
        # The discounted number of visits to each joint action, d = (I − γPᵀ)⁻¹ p0, serves every agent.
        visits = tf.linalg.solve(
            identity - self.discount * tf.linalg.matrix_transpose(transitions), start[..., tf.newaxis]
        )
        values = tf.linalg.matvec(self._flat(payoffs), visits[..., 0])
        values *= tf.cast(nan_or_one, values.dtype)[..., tf.newaxis]
        return tuple(tf.unstack(values, self.n_agents, axis=-1))

    def _flat(self, payoffs):
        """[S, N, n_agents, A_0, .., A_{n-1}] → [S, N, n_agents, number of joint actions]."""
        shape = tf.shape(payoffs)
        return tf.reshape(payoffs, [shape[0], shape[1], self.n_agents, len(self._joint_actions)])


def _checked_payoffs(payoffs):
    name = "IteratedMatrixGame.payoffs"
    allowed = "numbers of shape [n_agents, A_0, .., A_{n-1}], with one axis of actions for each agent"
    try:
        array = np.array(payoffs, np.float64)
    except (TypeError, ValueError):
        array = None
    checks.check(array is not None, name, payoffs, allowed)
    described = f"array of shape {array.shape}"
    checks.check(array.ndim >= 2 and array.ndim == array.shape[0] + 1, name, described, allowed)
    checks.check(min(array.shape[1:]) >= 1, name, described, "such that every agent has an action")
    checks.check(np.all(np.isfinite(array)), name, array.tolist(), "finite")
    return array
