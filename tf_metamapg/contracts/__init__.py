"""Contracts: the values that flow through the package, and what a member of each kind has.

A member needs no base class. Whatever has what a Protocol says is accepted where one is asked for, and refused in one
line that names what it lacks where it has not. `tf_metamapg.testing` has tests for members of every kind.

Axes stand in this order everywhere: S seeds, N tasks, K trajectories, T time steps. Agents are numbered from 0 and are
always the outermost Python sequence, never a tensor axis, so that agents of one game may have policies of different
kinds. A Structure is a nest of tensors, lists, tuples and dicts; () is nothing.

K and T are known as a graph is built, but where an agent is exported that goes on learning: its estimator, the critic,
the policies and the agent itself must take any there.
"""

from tf_metamapg.contracts.agents import Agent
from tf_metamapg.contracts.agents import InnerLearningRate
from tf_metamapg.contracts.agents import InnerOptimizer
from tf_metamapg.contracts.agents import OpponentModel
from tf_metamapg.contracts.games import AnyGame
from tf_metamapg.contracts.games import EntropyGame
from tf_metamapg.contracts.games import Environments
from tf_metamapg.contracts.games import ExactGame
from tf_metamapg.contracts.games import Game
from tf_metamapg.contracts.games import HostGame
from tf_metamapg.contracts.games import MeasuredExactGame
from tf_metamapg.contracts.games import MeasuredGame
from tf_metamapg.contracts.games import TaskDistribution
from tf_metamapg.contracts.joint_actions import JointActionEstimator
from tf_metamapg.contracts.joint_actions import JointActionGame
from tf_metamapg.contracts.joint_actions import JointActionValues
from tf_metamapg.contracts.kinds import check_kind
from tf_metamapg.contracts.kinds import checked_kind
from tf_metamapg.contracts.learning import Critic
from tf_metamapg.contracts.learning import Estimator
from tf_metamapg.contracts.learning import PlayingEstimator
from tf_metamapg.contracts.learning import Simulator
from tf_metamapg.contracts.policies import AnyPopulation
from tf_metamapg.contracts.policies import CarryingPolicy
from tf_metamapg.contracts.policies import ExactPolicy
from tf_metamapg.contracts.policies import ExportablePolicy
from tf_metamapg.contracts.policies import GrowingPopulation
from tf_metamapg.contracts.policies import Policy
from tf_metamapg.contracts.policies import Population
from tf_metamapg.contracts.policies import StepPolicy
from tf_metamapg.contracts.specs import AgentSpec
from tf_metamapg.contracts.specs import Box
from tf_metamapg.contracts.specs import check_game_numbers
from tf_metamapg.contracts.specs import Discrete
from tf_metamapg.contracts.specs import GameSpec
from tf_metamapg.contracts.specs import Space
from tf_metamapg.contracts.values import AgentState
from tf_metamapg.contracts.values import JointParams
from tf_metamapg.contracts.values import MetaGradients
from tf_metamapg.contracts.values import MetaParams
from tf_metamapg.contracts.values import Params
from tf_metamapg.contracts.values import Structure
from tf_metamapg.contracts.values import Trajectory

__all__ = [
    "Agent",
    "AgentSpec",
    "AgentState",
    "AnyGame",
    "AnyPopulation",
    "Box",
    "CarryingPolicy",
    "Critic",
    "Discrete",
    "EntropyGame",
    "Environments",
    "Estimator",
    "ExactGame",
    "ExactPolicy",
    "ExportablePolicy",
    "Game",
    "GameSpec",
    "GrowingPopulation",
    "HostGame",
    "InnerLearningRate",
    "InnerOptimizer",
    "JointActionEstimator",
    "JointActionGame",
    "JointActionValues",
    "JointParams",
    "MeasuredExactGame",
    "MeasuredGame",
    "MetaGradients",
    "MetaParams",
    "OpponentModel",
    "Params",
    "PlayingEstimator",
    "Policy",
    "Population",
    "Simulator",
    "Space",
    "StepPolicy",
    "Structure",
    "TaskDistribution",
    "Trajectory",
    "check_game_numbers",
    "check_kind",
    "checked_kind",
]
