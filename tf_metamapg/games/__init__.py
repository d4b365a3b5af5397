"""Games, and distributions of tasks: what differs between the games that a meta-agent learns across.

`contracts.Game` says what a game has that is played step by step, and `contracts.ExactGame` what one has whose values
are known in closed form. What stands in `__all__` is in gin and in the flat namespace of the package; so it is in the
other folders of members.
"""

from tf_metamapg.games.coin_game import CoinGame
from tf_metamapg.games.coin_rules import lola_rules
from tf_metamapg.games.coin_rules import loqa_rules
from tf_metamapg.games.coin_rules import m_fos_rules
from tf_metamapg.games.coin_rules import pax_rules
from tf_metamapg.games.coin_rules import pola_rules
from tf_metamapg.games.coin_strategies import always_cooperate
from tf_metamapg.games.coin_strategies import always_defect
from tf_metamapg.games.contributions import PublicGoodsGame
from tf_metamapg.games.differentiable import bilinear_game
from tf_metamapg.games.differentiable import DifferentiableGame
from tf_metamapg.games.differentiable import tandem_game
from tf_metamapg.games.exact_coin_game import ExactCoinGame
from tf_metamapg.games.exchange import ExchangeGame
from tf_metamapg.games.finite import FiniteGame
from tf_metamapg.games.half_cheetah import HalfCheetahGame
from tf_metamapg.games.linear_quadratic import LinearQuadraticGame
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.matrix import MatrixGame
from tf_metamapg.games.navigation import NavigationGame
from tf_metamapg.games.openspiel import openspiel_payoffs
from tf_metamapg.games.openspiel import OpenSpielGame
from tf_metamapg.games.payoffs import chicken
from tf_metamapg.games.payoffs import matching_pennies
from tf_metamapg.games.payoffs import pola_prisoners_dilemma
from tf_metamapg.games.payoffs import prisoners_dilemma
from tf_metamapg.games.payoffs import public_goods
from tf_metamapg.games.payoffs import rock_paper_scissors
from tf_metamapg.games.payoffs import stag_hunt
from tf_metamapg.games.petting_zoo import ParallelEnvGame
from tf_metamapg.games.petting_zoo import pettingzoo_env
from tf_metamapg.games.petting_zoo import to_parallel_env
from tf_metamapg.games.stochastic import StochasticGame
from tf_metamapg.games.tasks import DefaultTasks
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.games.two_quadratics import MaxOfTwoQuadratics

__all__ = [
    "CoinGame",
    "DefaultTasks",
    "DifferentiableGame",
    "ExactCoinGame",
    "ExchangeGame",
    "FiniteGame",
    "HalfCheetahGame",
    "IteratedMatrixGame",
    "LinearQuadraticGame",
    "MatrixGame",
    "MaxOfTwoQuadratics",
    "NavigationGame",
    "OpenSpielGame",
    "ParallelEnvGame",
    "PayoffNoise",
    "PublicGoodsGame",
    "StochasticGame",
    "always_cooperate",
    "always_defect",
    "bilinear_game",
    "chicken",
    "lola_rules",
    "loqa_rules",
    "m_fos_rules",
    "matching_pennies",
    "openspiel_payoffs",
    "pax_rules",
    "pettingzoo_env",
    "pola_prisoners_dilemma",
    "pola_rules",
    "prisoners_dilemma",
    "public_goods",
    "rock_paper_scissors",
    "stag_hunt",
    "tandem_game",
    "to_parallel_env",
]
