"""Symplectic gradient adjustment (Balduzzi et al. 2018): what makes agents circle is turned towards fixed points."""

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents import game_jacobian
from tf_metamapg.agents.informed import Informed
from tf_metamapg.contracts import InnerLearningRate
from tf_metamapg.contracts import InnerOptimizer
from tf_metamapg.contracts import Params
from tf_metamapg.numerics import axes

_EPSILON = 0.1  # the paper's, for alignment


class SymplecticGradientAdjustment(Informed):
    """(ξ − ± λ Aᵀξ)ᵢ with A = ½(H − Hᵀ), where ξ = (∇ᵢVⁱ)ᵢ and H_ij = ∇ⱼ∇ᵢVⁱ.

    The sign is that of −⟨ξ, Hᵀξ⟩⟨Aᵀξ, Hᵀξ⟩/P + ε, of each seed and task, with P parameters of all agents and ε = 0.1:
    the adjustment goes to stable fixed points and away from unstable ones. (The paper's ξ and H are of losses, those
    here of values: Hᵀξ and Aᵀξ are the same in both, and ξ has the other sign.) Made for exact gradients, since
    products of sampled ones are biased.
    """

    def __init__(
        self, inner_learning_rate: float | InnerLearningRate = 1.0, adjustment: float = 1.0,
        optimizer: InnerOptimizer | None = None, entropy_bonus: float = 0.0,
        opponent_model: contracts.OpponentModel | None = None,
    ) -> None:
        """
        Args:
            inner_learning_rate: α ≥ 0, its own step, see `GradientAgent`.
            adjustment: λ ≥ 0, how much of Aᵀξ is added or taken away.
            optimizer, entropy_bonus, opponent_model: see `Informed`.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(inner_learning_rate, optimizer, entropy_bonus, opponent_model)
        checks.check_number("SymplecticGradientAdjustment.adjustment", adjustment, minimum=0.0)
        self._adjustment = adjustment

    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """See `GradientAgent.gradients`."""
        checks.check_agent_index("agent_index", agent_index, len(objectives.by_agent))
        naive = game_jacobian.simultaneous_gradient(objectives)
        along = game_jacobian.product(objectives, naive)
        slopes = game_jacobian.transposed_product(objectives, naive)
        turned = tf.nest.map_structure(lambda slope, change: 0.5 * (slope - change), slopes, along)
        n_params = game_jacobian.flattened(naive).shape[-1]
        alignment = -game_jacobian.inner_products(naive, slopes) * game_jacobian.inner_products(turned, slopes)
        is_against = alignment / n_params + _EPSILON < 0.0
        return tuple(
            leaf - self._adjustment * tf.where(axes.with_axes_behind(is_against, leaf), -turn, turn)
            for leaf, turn in zip(naive[agent_index], turned[agent_index])
        )
