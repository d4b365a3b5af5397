"""The flat public names of the package, which `tf_metamapg` looks up here."""

from tf_metamapg import agents
from tf_metamapg import contracts
from tf_metamapg import critics
from tf_metamapg import estimators
from tf_metamapg import games
from tf_metamapg import policies
from tf_metamapg import simulators
from tf_metamapg.adaptation import adapt
from tf_metamapg.adaptation import Chain
from tf_metamapg.adaptation import for_each_task
from tf_metamapg.adaptation import inner_update
from tf_metamapg.agents import *  # noqa: F403
from tf_metamapg.checks import InvalidInputError
from tf_metamapg.contracts import AgentSpec
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import Box
from tf_metamapg.contracts import Discrete
from tf_metamapg.contracts import GameSpec
from tf_metamapg.contracts import MetaGradients
from tf_metamapg.contracts import MetaParams
from tf_metamapg.contracts import Trajectory
from tf_metamapg.critics import *  # noqa: F403
from tf_metamapg.estimators import *  # noqa: F403
from tf_metamapg.games import *  # noqa: F403
from tf_metamapg.games import payoffs
from tf_metamapg.links import Link
from tf_metamapg.links import Objectives
from tf_metamapg.links import sample_link
from tf_metamapg.numerics import random
from tf_metamapg.policies import *  # noqa: F403
from tf_metamapg.simulators import *  # noqa: F403

# The folders whose members are entered once, in their `__all__`: here, in gin and in the tables of tests.
MEMBERS = (games, policies, simulators, critics, estimators, agents)

__all__ = [
    "MEMBERS",
    "AgentSpec",
    "AgentState",
    "Box",
    "Chain",
    "Discrete",
    "GameSpec",
    "InvalidInputError",
    "Link",
    "MetaGradients",
    "MetaParams",
    "Objectives",
    "Trajectory",
    "adapt",
    "contracts",
    "for_each_task",
    "inner_update",
    "payoffs",
    "random",
    "sample_link",
]
__all__ += [name for folder in MEMBERS for name in folder.__all__]
