"""Stochastic games that are given by tables."""

from collections.abc import Mapping
import math

import numpy as np
from numpy.typing import ArrayLike

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg.games.branches import Branches
from tf_metamapg.games.branches import BranchingGame


class StochasticGame(BranchingGame):
    """A game whose next state is drawn from a table of probabilities; its episodes may start and end at random."""

    def __init__(
        self, payoffs: ArrayLike, transitions: ArrayLike, views: ArrayLike | None = None, discount: float = 0.96,
        dtype: str = "float32", name: str = "stochastic game", start: ArrayLike | None = None,
        ends: ArrayLike | None = None, *, metrics: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        """
        Args:
            payoffs: array-like [n_agents, M, A_0, .., A_{n-1}] of finite numbers; entry
                [i, s, a_0, .., a_{n-1}] is the reward of agent i in state s. Where rewards do not depend on
                the state, the axis of states may be left out.
            transitions: array-like [M, A_0, .., A_{n-1}, M] of probabilities of the next state, if the game goes on.
            views: array-like [n_agents, M] of observations in 0..M−1, what each agent sees in every state. By
                default every agent sees the state.
            discount: γ, in [0, 1); 1 is allowed where every episode ends, whatever the agents do.
            dtype: 'float32' or 'float64'.
            name: what the game is called in figures and summaries.
            start: array-like [M] of probabilities of the state before the first step. By default it is state 0.
            ends: array-like [M, A_0, .., A_{n-1}], the probability that the game ends after a joint action. By default
                it never does.
            metrics: by name, array-like [n_agents, M, A_0, .., A_{n-1}] of what else is reported of each agent, as a
                mean over the steps where it is not NaN.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        kind = type(self).__name__
        probs = _checked_transitions(f"{kind}.transitions", transitions)
        n_states, n_actions = probs.shape[0], probs.shape[1:-1]
        n_agents, n_joint_actions = len(n_actions), math.prod(n_actions)
        rewards = arguments.table(f"{kind}.payoffs", payoffs)
        allowed = ((n_agents, *n_actions), (n_agents, n_states, *n_actions))
        checks.check(
            rewards.shape in allowed, f"{kind}.payoffs", f"array of shape {rewards.shape}",
            f"of shape {allowed[0]} or {allowed[1]}, as there are transitions for",
        )
        seen = _checked_views(f"{kind}.views", views, n_agents, n_states)
        start_probs = None
        if start is not None:
            start_probs = arguments.table(f"{kind}.start", start)
            checks.check_shape(f"{kind}.start", start_probs, (n_states,))
            start_probs = _probs(f"{kind}.start", start_probs)
        probs = probs.reshape([n_states, n_joint_actions, n_states])
        end_probs = None
        if ends is not None:
            end_probs = arguments.table(f"{kind}.ends", ends)
            checks.check_shape(f"{kind}.ends", end_probs, (n_states, *n_actions))
            is_probs = np.all((end_probs >= 0.0) & (end_probs <= 1.0))
            checks.check(is_probs, f"{kind}.ends", end_probs.tolist(), "probabilities")
            end_probs = end_probs.reshape([n_states, n_joint_actions])
            # The equations that exact values solve are about all states: where the game never is, it ends.
            is_reached = _reached_states(probs, end_probs, start_probs)
            end_probs = np.where(is_reached[:, np.newaxis], end_probs, 1.0)
        measures = _checked_metrics(f"{kind}.metrics", metrics or {}, (n_agents, n_states, *n_actions))
        super().__init__(
            Branches.from_table(probs), rewards, seen, discount, dtype, name, start_probs, end_probs, measures
        )
        if discount == 1.0:
            forever = np.flatnonzero(_states_without_end(probs, end_probs))
            checks.check(
                forever.size == 0, f"{kind}.discount", discount,
                f"< 1, as some joint actions never end the game once it is in state {min(forever, default=0)}",
            )


def _reached_states(transitions, ends, start):
    """Whether some joint actions lead to each state: bool array [M]."""
    goes_to = np.any((transitions > 0.0) & (ends < 1.0)[..., np.newaxis], axis=1)
    is_reached = np.arange(len(transitions)) == 0 if start is None else start > 0.0
    for _ in transitions:
        is_reached = is_reached | np.any(goes_to[is_reached], axis=0)
    return is_reached


def _states_without_end(transitions, ends):
    """The states from which some choice of joint actions never ends the game: bool array [M].

    It is the largest set in each of whose states some joint action ends the game with a probability that is zero, or is
    lost when it is subtracted from one, and leads to no state outside. Where it is empty, a game of finitely many
    states ends with probability one, whatever is played.
    """
    is_inside = np.ones(len(transitions), bool)
    for _ in transitions:
        stays = (1.0 - ends == 1.0) & ~np.any((transitions > 0.0) & ~is_inside, axis=-1)
        is_inside = is_inside & np.any(stays, axis=-1)
    return is_inside


def _probs(parameter, array):
    """Probabilities that sum to 1 over the last axis within 10⁻⁶, made to do so exactly."""
    sums = array.sum(axis=-1)
    checks.check(
        np.all(array >= 0.0) and np.allclose(sums, 1.0, rtol=0.0, atol=1e-6), parameter, array.tolist(),
        "probabilities that sum to 1 over the last axis",
    )
    return array / sums[..., np.newaxis]


def _checked_transitions(parameter, transitions):
    allowed = "probabilities of shape [M, A_0, .., A_{n-1}, M]"
    array = arguments.table(parameter, transitions, allowed)
    described = f"array of shape {array.shape}"
    checks.check(array.ndim >= 3 and array.shape[0] == array.shape[-1], parameter, described, allowed)
    checks.check(min(array.shape) >= 1, parameter, described, "such that there are states and actions")
    return _probs(parameter, array)


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


def _checked_metrics(parameter, metrics, shape):
    checks.check(isinstance(metrics, dict), parameter, metrics, "a dict of arrays by name")
    tables = {name: arguments.table(f"{parameter}[{name!r}]", table, nan=True) for name, table in metrics.items()}
    for name, table in tables.items():
        checks.check_shape(f"{parameter}[{name!r}]", table, shape)
    return tables
