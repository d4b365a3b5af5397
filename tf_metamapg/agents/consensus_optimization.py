"""Consensus optimisation (Mescheder et al. 2017): all agents together also look for where nobody would move."""

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents import game_jacobian
from tf_metamapg.agents.informed import Informed
from tf_metamapg.contracts import InnerLearningRate
from tf_metamapg.contracts import InnerOptimizer
from tf_metamapg.contracts import Params


class ConsensusOptimization(Informed):
    """(ξ − γ Hᵀξ)ᵢ = ∇ᵢ[Vⁱ − γ ½|ξ|²], where ξ = (∇ᵢVⁱ)ᵢ and H_ij = ∇ⱼ∇ᵢVⁱ.

    It descends ½|ξ|², whose gradient Hᵀξ is, as well: every fixed point attracts it if γ is large, minima of Vⁱ among
    them. Made for exact gradients, since products of sampled ones are biased.
    """

    def __init__(
        self, inner_learning_rate: float | InnerLearningRate = 1.0, penalty: float = 0.1,
        optimizer: InnerOptimizer | None = None, entropy_bonus: float = 0.0,
        opponent_model: contracts.OpponentModel | None = None,
    ) -> None:
        """
        Args:
            inner_learning_rate: α ≥ 0, its own step, see `GradientAgent`.
            penalty: γ ≥ 0, the weight of ½|ξ|².
            optimizer, entropy_bonus, opponent_model: see `Informed`.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(inner_learning_rate, optimizer, entropy_bonus, opponent_model)
        checks.check_number("ConsensusOptimization.penalty", penalty, minimum=0.0)
        self._penalty = penalty

    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """See `GradientAgent.gradients`."""
        checks.check_agent_index("agent_index", agent_index, len(objectives.by_agent))
        naive = game_jacobian.simultaneous_gradient(objectives)
        slopes = game_jacobian.transposed_product(objectives, naive)
        return tuple(
            leaf - self._penalty * slope for leaf, slope in zip(naive[agent_index], slopes[agent_index])
        )
