"""Probabilistic recursive reasoning (PR2, Wen et al. 2019), on policy and for finitely many actions."""

from collections.abc import Sequence

from tf_metamapg import contracts
from tf_metamapg.agents.coma import COMA
from tf_metamapg.critics.recursive_reasoning import RecursiveReasoningBaseline


class RecursiveReasoning(COMA):
    """Steps along mean_k Σ_t γᵗ log π(a_t|o_t) [Q̄(s_t, a_tⁱ) − Σ_b π(b|o_t) Q̄(s_t, b)].

    Q̄(s, aⁱ) = Σ_{a⁻ⁱ} ρ(a⁻ⁱ|s, aⁱ) Q(s, aⁱ, a⁻ⁱ) is what its action is worth, as it expects the others to answer it.
    Q and ρ learn within the chain, of what it got and of what the others did: see `RecursiveReasoningBaseline`. Where
    both are right there is no bias, as in `COMA`.
    """

    def make_critic(
        self, spec: contracts.GameSpec, policies: Sequence[contracts.StepPolicy]
    ) -> RecursiveReasoningBaseline:
        """Q and ρ; see `ChainCriticAgent.make_critic`."""
        return RecursiveReasoningBaseline(spec, policies, units=self._critic_units)
