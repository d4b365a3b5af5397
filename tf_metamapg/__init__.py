"""Learning to learn among other agents: Meta-MAPG and its relatives on TensorFlow and Keras."""

from tf_metamapg import libraries  # noqa: F401, so that others can be imported
from tf_metamapg.adaptation import adapt
from tf_metamapg.adaptation import Chain
from tf_metamapg.adaptation import for_each_task
from tf_metamapg.adaptation import inner_update
from tf_metamapg.adaptation import Link
from tf_metamapg.adaptation import Objectives
from tf_metamapg.adaptation import sample_link
from tf_metamapg.agents.base import GradientAgent
from tf_metamapg.agents.fixed import Fixed
from tf_metamapg.agents.learning_rates import ConstantRate
from tf_metamapg.agents.learning_rates import LearnedRates
from tf_metamapg.agents.learning_rates import LearnedRatesPerParameter
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.lola_shaping import LOLAShaping
from tf_metamapg.agents.lola_taylor import LOLATaylor
from tf_metamapg.agents.look_ahead import LookAhead
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.meta_pg import MetaPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.opponent_models import MaximumLikelihood
from tf_metamapg.agents.optimizers import Adam
from tf_metamapg.agents.optimizers import Momentum
from tf_metamapg.agents.optimizers import RMSProp
from tf_metamapg.agents.optimizers import SGD
from tf_metamapg.agents.sos import SOS
from tf_metamapg.checks import InvalidInputError
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import Box
from tf_metamapg.contracts import Discrete
from tf_metamapg.contracts import GameSpec
from tf_metamapg.contracts import MetaGradients
from tf_metamapg.contracts import MetaParams
from tf_metamapg.contracts import Trajectory
from tf_metamapg.critics.baselines import LeaveOneOutBaseline
from tf_metamapg.critics.baselines import LinearFeatureBaseline
from tf_metamapg.critics.baselines import NoBaseline
from tf_metamapg.critics.value_network import ValueNetwork
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
from tf_metamapg.games.tasks import DefaultTasks
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.numerics import random
from tf_metamapg.policies.lstm import lstm_policy
from tf_metamapg.policies.mlp import mlp_policy
from tf_metamapg.policies.populations import NormalPolicies
from tf_metamapg.policies.populations import Personas
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.policies.vector import vector_policy

__version__ = "0.1.0"

__all__ = [
    "Adam",
    "AgentState",
    "Box",
    "Chain",
    "ConstantRate",
    "DefaultTasks",
    "DiceEstimator",
    "DifferentiableGame",
    "Discrete",
    "ExactEstimator",
    "Fixed",
    "GameSpec",
    "GradientAgent",
    "InvalidInputError",
    "IteratedMatrixGame",
    "LOLADiCE",
    "LOLAShaping",
    "LOLATaylor",
    "LearnedRates",
    "LearnedRatesPerParameter",
    "LeaveOneOutBaseline",
    "LinearFeatureBaseline",
    "LinearQuadraticGame",
    "Link",
    "LoadedDiceEstimator",
    "LookAhead",
    "MatrixGame",
    "MaximumLikelihood",
    "MetaGradients",
    "MetaMAPG",
    "MetaPG",
    "MetaParams",
    "Momentum",
    "NoBaseline",
    "NormalPolicies",
    "Objectives",
    "PayoffNoise",
    "Personas",
    "PolicyGradient",
    "RMSProp",
    "SGD",
    "SOS",
    "ScoreFunctionEstimator",
    "StochasticGame",
    "Trajectory",
    "ValueNetwork",
    "adapt",
    "bilinear_game",
    "for_each_task",
    "inner_update",
    "lstm_policy",
    "mlp_policy",
    "payoffs",
    "random",
    "sample_link",
    "tabular_policy",
    "tandem_game",
    "vector_policy",
]
