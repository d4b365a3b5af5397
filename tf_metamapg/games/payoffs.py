"""Payoff tables of the matrix games in the literature.

A table is a float64 array of shape [n_agents, A_0, .., A_{n-1}]: entry [i, a_0, .., a_{n-1}] is what
agent i gets when the agents play (a_0, .., a_{n-1}). Action 0 is "cooperate" wherever a game has one.
"""

import numpy as np


def prisoners_dilemma():
    """The prisoner's dilemma in years of prison: CC −1, −1; CD −3, 0; DC 0, −3; DD −2, −2."""
    row_agent = np.array([[-1.0, -3.0], [0.0, -2.0]])
    return np.stack([row_agent, row_agent.T])
