"""Learning to learn among other learners: Meta-MAPG and its relatives on TensorFlow and Keras."""

from tf_metamapg import random
from tf_metamapg.adaptation import adapt
from tf_metamapg.adaptation import Chain
from tf_metamapg.adaptation import inner_update
from tf_metamapg.adaptation import Link
from tf_metamapg.adaptation import policy_gradient
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.meta_pg import MetaPG
from tf_metamapg.agents.policy_gradient import PolicyGradient
from tf_metamapg.checks import InvalidInputError
from tf_metamapg.estimators.dice import DiceEstimator
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.types import MetaGradients
from tf_metamapg.types import Trajectory

__all__ = [
    "Chain", "DiceEstimator", "ExactEstimator", "InvalidInputError", "IteratedMatrixGame", "Link",
    "MetaGradients", "MetaMAPG", "MetaPG", "PayoffNoise", "PolicyGradient", "ScoreFunctionEstimator",
    "Trajectory", "adapt", "inner_update", "payoffs", "policy_gradient", "random", "tabular_policy",
]
