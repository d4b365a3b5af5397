"""An agent that does not learn."""

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import links
from tf_metamapg.agents.base import GradientAgent
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure


class Fixed(GradientAgent):
    """Keeps the policy that it starts with."""

    def __init__(self) -> None:
        super().__init__(inner_learning_rate=0.0)

    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """Zeros; see `GradientAgent.gradients`."""
        checks.check_agent_index("agent_index", agent_index, len(objectives.by_agent))
        return tuple(map(tf.zeros_like, objectives.link.joint_params[agent_index]))

    def update(
        self, state: AgentState, objectives: links.Objectives, agent_index: int, step_params: Structure
    ) -> AgentState:
        """The same state."""
        del objectives, agent_index, step_params
        return state
