"""COALA-PG (Meulemans et al. 2024): a policy that remembers shapes co-players that learn, whatever they learn by.

The agent meets K = B copies of a task at once, and its policy remembers all episodes of a copy: h^b_l is what it has
seen of copy b in the episodes 0..l, see `carried_state_policy`. Its parameters θ stay as they are; the others learn
between episodes, from all copies. With r the discounted rewards of one episode, from a step on or whole, its gradient
is

    Σ_l Σ_b Σ_t ∇ log π(a^b_lt | h^b_lt; θ) · [ (1/B) r^b_l(t) + (1/B) Σ_b' Σ_{l' > l} r^b'_l' ]

The second part is what an action does to what all copies of the co-players learn. It counts all copies, not its own
alone, and is not divided by B a second time; policy gradients of a batch that do so see next to nothing of it.

This is Theorem 1 with sampled inner updates, w_l = 1 at every link and a φⁱ that changes by what is remembered alone:
the first part and, as h depends on θ at earlier episodes, the derivative through h are self-shaping (current policy at
link 0), and the second part is the current-policy term. Over one long history of all episodes, generalised advantages
with λ < 1 would weigh later episodes with λ to the power of the steps in between, and silence the signal; here λ is
within an episode, and later episodes count fully.
"""

from tf_metamapg import adaptation
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg import theorem
from tf_metamapg.agents.meta_agent import MetaAgent
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import MetaGradients
from tf_metamapg.contracts import Structure


class COALAPG(MetaAgent):
    """Learns a policy that stays the same while others learn, and remembers what they have done."""

    def __init__(self) -> None:
        super().__init__(inner_learning_rate=0.0, value_weights=theorem.sum_over_chain)

    def init_update(
        self, estimator: contracts.Estimator, agent_index: int, n_seeds: int, chain_length: int
    ) -> Structure:
        """See `contracts.Agent.init_update`: (), and an estimator without sampled inner updates is refused."""
        links.checked_sampling(estimator, type(self).__name__)
        return super().init_update(estimator, agent_index, n_seeds, chain_length)

    def update(
        self, state: AgentState, objectives: links.Objectives, agent_index: int, step_params: Structure
    ) -> AgentState:
        """The same state [S, N, ...]; what the policy remembers is written behind this, see `carrying.py`."""
        del objectives, agent_index, step_params
        return state

    def meta_gradients(self, chain: adaptation.Chain, agent_index: int) -> MetaGradients:
        """The sum that stands above, in the terms of Theorem 1, leaves [S, ...]; opponent-shaping is zero."""
        return self.theorem_1(chain, agent_index)
