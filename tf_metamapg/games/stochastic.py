"""Stochastic games that are given by tables."""

import math

import numpy as np
import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg.games.finite import FiniteGame


class StochasticGame(FiniteGame):
    """A game whose next state is drawn from a table of probabilities."""

    n_uniforms = 1

    def __init__(self, payoffs, transitions, views=None, discount=0.96, dtype="float32", name="stochastic game"):
        """
        Args:
            payoffs: array-like [n_agents, M, A_0, .., A_{n-1}] of finite numbers; entry
                [i, s, a_0, .., a_{n-1}] is the reward of agent i in state s. Where rewards do not depend on
                the state, the axis of states may be left out.
            transitions: array-like [M, A_0, .., A_{n-1}, M] of probabilities of the next state.
            views: array-like [n_agents, M] of observations in 0..M−1, what each agent sees in every state. By
                default every agent sees the state.
            discount: γ, in [0, 1).
            dtype: 'float32' or 'float64'.
            name: what the game is called in figures and summaries.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        transitions = _checked_transitions("StochasticGame.transitions", transitions)
        n_states, n_actions = transitions.shape[0], transitions.shape[1:-1]
        n_agents = len(n_actions)
        payoffs = arguments.table("StochasticGame.payoffs", payoffs)
        allowed = ((n_agents, *n_actions), (n_agents, n_states, *n_actions))
        checks.check(
            payoffs.shape in allowed, "StochasticGame.payoffs", f"array of shape {payoffs.shape}",
            f"of shape {allowed[0]} or {allowed[1]}, as there are transitions for",
        )
        views = _checked_views("StochasticGame.views", views, n_agents, n_states)
        super().__init__(payoffs, n_states, views, discount, dtype, name)
        self._transitions = transitions.reshape([n_states, math.prod(n_actions), n_states])

    def next_state(self, state, joint_action, uniforms):
        """See `FiniteGame.next_state`; takes one uniform number."""
        n_joint_actions = self._transitions.shape[1]
        cumulative = np.cumsum(self._transitions, axis=-1)[..., :-1]
        cumulative = cumulative.reshape([self.n_states * n_joint_actions, self.n_states - 1])
        row = state * n_joint_actions + self._joint_action_index(joint_action)
        exceeded = uniforms[0][..., tf.newaxis] >= tf.gather(tf.constant(cumulative, self.dtype), row)
        return tf.reduce_sum(tf.cast(exceeded, tf.int32), axis=-1)

    def _state_transitions(self, joint_probs):
        return tf.einsum("snmj,mjk->snmk", joint_probs, tf.constant(self._transitions, joint_probs.dtype))


def _checked_transitions(parameter, transitions):
    allowed = "probabilities of shape [M, A_0, .., A_{n-1}, M]"
    array = arguments.table(parameter, transitions, allowed)
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
        return np.broadcast_to(np.arange(n_states), [n_agents, n_states])
    try:
        array = np.array(views)
    except ValueError:
        array = np.array(None)
    is_table = array.shape == (n_agents, n_states) and np.issubdtype(array.dtype, np.integer)
    checks.check(
        is_table and array.min() >= 0 and array.max() < n_states, parameter, views,
        f"integers in 0..{n_states - 1} of shape ({n_agents}, {n_states})",
    )
    return array
