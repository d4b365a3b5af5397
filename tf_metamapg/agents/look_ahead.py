"""LookAhead (Zhang & Lesser 2010): policy gradient at the others' anticipated next step."""

from tf_metamapg import links
from tf_metamapg.agents import anticipation
from tf_metamapg.contracts import Params


class LookAhead(anticipation.Anticipating):
    """∇ᵢVⁱ + η Σ_{j≠i} (∇ᵢ∇ⱼVⁱ) ∇ⱼVʲ.

    The first-order expansion of ∇ᵢVⁱ(θⁱ, θ^-i + η ∇V^-i), where the others' anticipated step is a constant:
    the agent does not see that its own parameters shape it.
    """

    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """See `GradientAgent.gradients`."""
        return anticipation.add(
            objectives.gradients(agent_index, with_respect_to=agent_index),
            self.anticipation(objectives, agent_index),
        )
