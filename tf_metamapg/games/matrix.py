"""Matrix games, played once or again and again.

In an iterated game every agent sees, before each step, the last joint action from its own side: its own
action first, then the others' in the order of their numbers. For two agents with two actions the five
observations are, in this order, start, CC, CD, DC, DD, where the first letter is the agent's own last
action; what is CD to one agent is DC to the other.
"""

from collections.abc import Sequence
import itertools

import numpy as np
from numpy.typing import ArrayLike
import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg.games.finite import FiniteGame


class MatrixGame(FiniteGame):
    """A matrix game that is played once: one state, and a discount of 0.

    Its exact values are the expected payoffs. Trajectories need no more than a horizon of 1.
    """

    n_transition_uniforms = 0

    def __init__(self, payoffs: ArrayLike, dtype: str = "float32", name: str = "matrix game") -> None:
        """
        Args:
            payoffs: array-like [n_agents, A_0, .., A_{n-1}] of finite numbers; entry
                [i, a_0, .., a_{n-1}] is the reward of agent i. See `payoffs.py`.
            dtype: 'float32' or 'float64'.
            name: what the game is called in figures and summaries.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        table = _checked_payoffs("MatrixGame.payoffs", payoffs)
        super().__init__(table, np.zeros([table.shape[0], 1]), discount=0.0, dtype=dtype, name=name)

    def _next_state(self, state, joint_action, uniforms):
        """The only state there is."""
        del joint_action, uniforms
        return state

    def _state_transitions(self, joint_probs):
        return tf.ones_like(joint_probs[..., :1])


class IteratedMatrixGame(FiniteGame):
    """An iterated matrix game with memory one.

    The state is 0 before the first step, and then 1 + the row-major index of the last joint action
    (a_0, .., a_{n-1}).
    """

    n_transition_uniforms = 0

    def __init__(
        self, payoffs: ArrayLike, discount: float = 0.96, dtype: str = "float32", name: str = "iterated matrix game",
        metrics: Sequence[str] = (),
    ) -> None:
        """
        Args:
            payoffs: array-like [n_agents, A_0, .., A_{n-1}] of finite numbers; entry
                [i, a_0, .., a_{n-1}] is the reward of agent i. See `payoffs.py`.
            discount: γ, in [0, 1).
            dtype: 'float32' or 'float64'.
            name: what the game is called in figures and summaries.
            metrics: what else is reported of each agent, one or both of "cooperation", how often it takes action 0,
                and, where all have two actions, "cooperation_by_state": how often it does so in each state, by the
                names `cooperation_at_start`, `cooperation_after_cc`, `_cd`, `_dc` and `_dd`, its own action first.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        table = _checked_payoffs("IteratedMatrixGame.payoffs", payoffs)
        views = memory_one_views(table.shape[1:])
        measures = _cooperation("IteratedMatrixGame.metrics", metrics, views, table.shape)
        super().__init__(table, views, discount, dtype, name, metrics=measures)

    def _next_state(self, state, joint_action, uniforms):
        """The joint action alone is remembered."""
        del state, uniforms
        return 1 + joint_action

    def _state_transitions(self, joint_probs):
        return tf.pad(joint_probs, [[0, 0], [0, 0], [0, 0], [1, 0]])


def memory_one_views(n_actions: Sequence[int]) -> np.ndarray:
    """What each agent observes in every state, which are the start and the last joint action.

    Args:
        n_actions: how many actions each agent has.

    Returns:
        int array [n_agents, 1 + number of joint actions].
    """
    return np.stack([_view(agent_index, n_actions) for agent_index in range(len(n_actions))])


def _view(agent_index, n_actions):
    """The observation of one agent in every state: int array [n_observations]."""
    own_first = [agent_index] + [other for other in range(len(n_actions)) if other != agent_index]
    joint_actions = np.array(list(itertools.product(*map(range, n_actions))))
    seen = np.ravel_multi_index(
        tuple(joint_actions[:, agent] for agent in own_first), [n_actions[agent] for agent in own_first]
    )
    return np.concatenate([[0], 1 + seen])


def _cooperation(parameter, metrics, views, shape):
    """Whether each agent takes action 0, wherever it is and by what it sees: arrays [n_agents, M, A_0, .., A_{n-1}]."""
    allowed = "a tuple of 'cooperation' and 'cooperation_by_state', or of one of them, or ()"
    is_sequence = isinstance(metrics, (list, tuple)) and len(set(map(str, metrics))) == len(metrics)
    are_known = is_sequence and all(name in ("cooperation", "cooperation_by_state") for name in metrics)
    checks.check(are_known, parameter, metrics, allowed)
    n_agents, *n_actions = shape
    is_first = (np.indices(n_actions) == 0).astype(np.float64)
    always = np.repeat(is_first[:, np.newaxis], views.shape[1], axis=1)
    found = {}
    for name in metrics:
        if name == "cooperation":
            found[name] = always
            continue
        allowed = "('cooperation',), as not every agent has two actions"
        checks.check(set(n_actions) == {2}, parameter, metrics, allowed)
        seen = views.reshape([*views.shape, *[1] * n_agents])
        after = [f"cooperation_after_{''.join(last)}" for last in itertools.product("cd", repeat=n_agents)]
        for observation, own_name in enumerate(["cooperation_at_start", *after]):
            found[own_name] = np.where(seen == observation, always, np.nan)
    return found


def _checked_payoffs(parameter, payoffs):
    allowed = "numbers of shape [n_agents, A_0, .., A_{n-1}], with one axis of actions for each agent"
    array = arguments.table(parameter, payoffs, allowed)
    described = f"array of shape {array.shape}"
    checks.check(array.ndim >= 2 and array.ndim == array.shape[0] + 1, parameter, described, allowed)
    checks.check(min(array.shape[1:]) >= 1, parameter, described, "such that every agent has an action")
    return array
