"""The naive learner (Kim et al. 2020, Eq. 3): policy gradient that takes the other agents as they are."""

from tf_metamapg import links
from tf_metamapg.agents.base import GradientAgent
from tf_metamapg.contracts import Params


class PolicyGradient(GradientAgent):
    """θⁱ ← θⁱ + α ∇_θⁱ Vⁱ(θ): Eq. 3."""

    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """∇_θⁱ Vⁱ(θ); see `GradientAgent.gradients`."""
        return objectives.gradients(agent_index, with_respect_to=agent_index)
