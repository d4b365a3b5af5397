"""Shaper (Khan et al. 2023): a policy that remembers shapes co-players that learn, trained by evolution strategies.

With `carried_state_policy` its recurrent state survives the others' updates, and its parameters θ stay as they are: it
is `COALAPG` whose meta-value, the sum over all episodes of a chain, is not differentiated but evolved. So it asks
nothing of how the others learn, and pays with two chains for each perturbation.

The paper also averages the recurrent state over the copies of a task between episodes; here each copy keeps its own.
"""

from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg import theorem
from tf_metamapg.agents.evolution import EvolvedAgent
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import Structure


class Shaper(EvolvedAgent):
    """Learns a policy that stays the same while others learn, and remembers what they have done, by evolution."""

    def __init__(self, n_perturbations: int = 16, stddev: float = 0.1) -> None:
        """
        Args:
            n_perturbations, stddev: of its meta-gradient, see `EvolvedAgent`.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(n_perturbations, stddev, theorem.sum_over_chain)

    def init_update(
        self, estimator: contracts.Estimator, agent_index: int, n_seeds: int, chain_length: int
    ) -> Structure:
        """See `contracts.Agent.init_update`: ()."""
        del estimator, agent_index, n_seeds, chain_length
        return ()

    def update(
        self, state: AgentState, objectives: links.Objectives, agent_index: int, step_params: Structure
    ) -> AgentState:
        """The same state [S, N, ...]; what the policy remembers is written behind this, see `carrying.py`."""
        del objectives, agent_index, step_params
        return state
