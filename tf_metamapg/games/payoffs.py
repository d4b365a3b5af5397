"""Payoff tables of the matrix games in the literature.

A table is a float64 array of shape [n_agents, A_0, .., A_{n-1}]: entry [i, a_0, .., a_{n-1}] is what
agent i gets when the agents play (a_0, .., a_{n-1}). Action 0 is "cooperate" wherever a game has one.
"""

import itertools
from typing import Any

import numpy as np

from tf_metamapg import checks


def prisoners_dilemma(
    reward: float = -1.0, sucker: float = -3.0, temptation: float = 0.0, punishment: float = -2.0
) -> np.ndarray:
    """The prisoner's dilemma, [2, 2, 2]; by default in years of prison: CC −1, −1; CD −3, 0; DC 0, −3; DD −2, −2.

    Args:
        reward: R, what both get if both cooperate.
        sucker: S, what cooperating alone pays.
        temptation: T, what defecting alone pays.
        punishment: P, what both get if both defect.

    Raises:
        InvalidInputError: unless they are finite numbers with T > R > P > S.
    """
    for name, value in (("reward", reward), ("sucker", sucker), ("temptation", temptation), ("punishment", punishment)):
        checks.check_number(f"prisoners_dilemma.{name}", value)
    checks.check(
        temptation > reward > punishment > sucker, "prisoners_dilemma", (reward, sucker, temptation, punishment),
        "such that temptation > reward > punishment > sucker",
    )
    return _symmetric([[reward, sucker], [temptation, punishment]])


def stag_hunt() -> np.ndarray:
    """Stag hunt, [2, 2, 2]: stag (to cooperate) pays 4 if both hunt it and 1 alone; hare pays 3 against stag, 2 else.

    Both (stag, stag) and (hare, hare) are equilibria; the first pays more, the second risks less.
    """
    return _symmetric([[4.0, 1.0], [3.0, 2.0]])


def chicken() -> np.ndarray:
    """Chicken, [2, 2, 2]: both swerve (cooperate) 0, 0; swerve against straight −1, 1; both straight −100, −100."""
    return _symmetric([[0.0, -1.0], [1.0, -100.0]])


def matching_pennies() -> np.ndarray:
    """Matching pennies, [2, 2, 2], actions heads and tails: agent 0 gets 1 if they match and −1 if not; zero-sum."""
    match = np.array([[1.0, -1.0], [-1.0, 1.0]])
    return np.stack([match, -match])


def rock_paper_scissors() -> np.ndarray:
    """Rock, paper, scissors, [2, 3, 3], in this order: 1 to the winner, −1 to the loser, 0 for a draw."""
    return _symmetric([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])


def public_goods(n_agents: int = 3, multiplier: float = 1.6) -> np.ndarray:
    """The public goods game, [n, 2, .., 2]: who cooperates (action 0) gives 1 to a pot that is multiplied and shared.

    Agent i gets (multiplier / n) · (number of cooperators) − [i cooperates]. For 1 < multiplier < n to
    defect dominates, though all do best if all cooperate. In units of what it costs to cooperate, c, it is the
    prisoner's dilemma of n agents of Boyd & Richerson 1988, The Evolution of Reciprocity in Sizable Groups, B x / n − c
    with x cooperators and multiplier = B / c; of two agents it is a prisoner's dilemma, T > R > P > S.

    Args:
        n_agents: n ≥ 2.
        multiplier: what each unit in the pot becomes.

    Raises:
        InvalidInputError: if one of these is not such a number.
    """
    checks.check_integer("public_goods.n_agents", n_agents, minimum=2)
    checks.check(n_agents <= 16, "public_goods.n_agents", n_agents, "≤ 16, as the table has n · 2ⁿ entries")
    checks.check_number("public_goods.multiplier", multiplier)
    table = np.zeros([n_agents] + [2] * n_agents)
    for joint_action in itertools.product([0, 1], repeat=n_agents):
        cooperates = 1.0 - np.array(joint_action)
        index: Any = (slice(None), *joint_action)
        table[index] = multiplier * cooperates.mean() - cooperates
    return table


def pola_prisoners_dilemma(contribution_factor: float = 1.33) -> np.ndarray:
    """The prisoner's dilemma, [2, 2, 2], of Zhao et al. 2022, Proximal Learning with Opponent-Learning Awareness.

    It is `public_goods` of two agents; by default CC 0.33, 0.33; CD −0.335, 0.665; DC 0.665, −0.335; DD 0, 0. They play
    it with policies that remember the whole game, such as `gru_policy`.

    Args:
        contribution_factor: what each unit in the pot becomes, in (1, 2).

    Raises:
        InvalidInputError: if it is not.
    """
    parameter = "pola_prisoners_dilemma.contribution_factor"
    checks.check_number(parameter, contribution_factor)
    checks.check(1.0 < contribution_factor < 2.0, parameter, contribution_factor, "in (1, 2), for a dilemma")
    return public_goods(2, contribution_factor)


def _symmetric(row_agent):
    """A game that looks the same to both agents, from the payoffs of the row agent."""
    row_agent = np.array(row_agent)
    return np.stack([row_agent, row_agent.T])
