"""Learning to learn among other agents: Meta-MAPG and its relatives on TensorFlow and Keras."""

from tf_metamapg import libraries  # noqa: F401, so that others can be imported
from tf_metamapg.adaptation import adapt
from tf_metamapg.adaptation import Chain
from tf_metamapg.adaptation import for_each_task
from tf_metamapg.adaptation import inner_update
from tf_metamapg.adaptation import Link
from tf_metamapg.adaptation import Objectives
from tf_metamapg.adaptation import sample_link
from tf_metamapg.agents.fixed import Fixed
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.lola_shaping import LOLAShaping
from tf_metamapg.agents.lola_taylor import LOLATaylor
from tf_metamapg.agents.look_ahead import LookAhead
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.meta_pg import MetaPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.opponent_models import MaximumLikelihood
from tf_metamapg.agents.sos import SOS
from tf_metamapg.checks import InvalidInputError
from tf_metamapg.contracts import MetaGradients
from tf_metamapg.contracts import MetaParams
from tf_metamapg.contracts import Trajectory
from tf_metamapg.estimators.dice import DiceEstimator
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.differentiable import bilinear_game
from tf_metamapg.games.differentiable import DifferentiableGame
from tf_metamapg.games.differentiable import tandem_game
from tf_metamapg.games.linear_quadratic import LinearQuadraticGame
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.matrix import MatrixGame
from tf_metamapg.games.stochastic import StochasticGame
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.numerics import random
from tf_metamapg.policies.lstm import gaussian_lstm_policy
from tf_metamapg.policies.lstm import lstm_policy
from tf_metamapg.policies.mlp import gaussian_mlp_policy
from tf_metamapg.policies.mlp import mlp_policy
from tf_metamapg.policies.populations import NormalPolicies
from tf_metamapg.policies.populations import Personas
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.policies.vector import vector_policy

__version__ = "0.1.0"

__all__ = [
    "Chain", "DiceEstimator", "DifferentiableGame", "ExactEstimator", "Fixed", "InvalidInputError",
    "IteratedMatrixGame", "LOLADiCE", "LOLAShaping", "LOLATaylor", "LinearQuadraticGame", "Link",
    "LoadedDiceEstimator", "LookAhead", "MatrixGame", "MaximumLikelihood", "MetaGradients", "MetaMAPG",
    "MetaPG", "MetaParams", "NormalPolicies", "Objectives", "PayoffNoise", "Personas", "PolicyGradient",
    "SOS", "ScoreFunctionEstimator", "StochasticGame", "Trajectory", "adapt", "bilinear_game",
    "for_each_task", "gaussian_lstm_policy", "gaussian_mlp_policy", "inner_update", "lstm_policy",
    "mlp_policy", "payoffs", "random", "vector_policy", "sample_link", "tabular_policy", "tandem_game",
]
