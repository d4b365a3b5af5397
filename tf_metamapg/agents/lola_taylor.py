"""LOLA as the full first-order Taylor expansion (Letcher et al. 2019): LookAhead and shaping.

"LOLA" is three algorithms in the literature; see `lola_shaping` and `lola_dice` for the other two.
"""

from tf_metamapg import links
from tf_metamapg.agents import anticipation
from tf_metamapg.contracts import Params


class LOLATaylor(anticipation.Anticipating):
    """∇ᵢ[Vⁱ + η Σ_{j≠i} ⟨∇ⱼVⁱ, ∇ⱼVʲ⟩], the gradient of Vⁱ(θⁱ, θ^-i + η ∇V^-i) to first order in η."""

    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """See `GradientAgent.gradients`."""
        return anticipation.add(
            objectives.gradients(agent_index, with_respect_to=agent_index),
            self.anticipation(objectives, agent_index),
            self.shaping(objectives, agent_index),
        )
