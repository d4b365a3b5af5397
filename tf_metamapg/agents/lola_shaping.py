"""LOLA as its authors ran it by default (Foerster et al. 2017): naive gradient and shaping.

"LOLA" is three algorithms in the literature; see `lola_taylor` and `lola_dice` for the other two.
"""

from tf_metamapg import links
from tf_metamapg.agents import anticipation
from tf_metamapg.contracts import Params


class LOLAShaping(anticipation.Anticipating):
    """∇ᵢVⁱ + η Σ_{j≠i} (∇ᵢ∇ⱼVʲ) ∇ⱼVⁱ.

    From samples, with DiCE and no baseline, the cross term ∇ᵢ∇ⱼVʲ is the policy-gradient form of Foerster
    et al. 2017: the mean of Σ_t γ^t r_t^j (Σ_{t'≤t} ∇ᵢ log πⁱ)(Σ_{t'≤t} ∇ⱼ log πʲ)ᵀ.
    """

    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """See `GradientAgent.gradients`."""
        return anticipation.add(
            objectives.gradients(agent_index, with_respect_to=agent_index),
            self.shaping(objectives, agent_index),
        )
