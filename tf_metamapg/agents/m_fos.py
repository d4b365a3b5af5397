"""Model-free opponent shaping (M-FOS, Lu et al. 2022): a policy over policies, trained by evolution strategies."""

from collections.abc import Callable
from collections.abc import Sequence

from tf_metamapg import checks
from tf_metamapg import links
from tf_metamapg import theorem
from tf_metamapg.agents import game_jacobian
from tf_metamapg.agents.evolution import EvolvedAgent
from tf_metamapg.agents.joint_network import JointNetwork
from tf_metamapg.agents.joint_network import JointNetworkAgent
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import Structure


class MFOS(JointNetworkAgent, EvolvedAgent):
    """φⁱ_(l+1) = f_w(φ_l): in place of a gradient step, a network of all agents' parameters gives the next policy.

    It learns where it starts, θⁱ, and the weights w, which are the same for all updates of a chain, by evolution
    strategies, see `EvolvedAgent`. Nothing is differentiated. Made for policies of few parameters.

    Attributes:
        is_meta_agent: True.
        plays_ahead: False.
        reads_others: True.
    """

    reads_others = True

    def __init__(
        self, units: int = 32, n_perturbations: int = 16, stddev: float = 0.1,
        value_weights: Callable[[int], Sequence[float]] = theorem.mean_over_chain,
    ) -> None:
        """
        Args:
            units: of the network's hidden layer, ≥ 1.
            n_perturbations, stddev, value_weights: of its meta-gradient, see `EvolvedAgent`.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        checks.check_integer("MFOS.units", units, minimum=1)
        super().__init__(n_perturbations, stddev, value_weights)
        self._network = JointNetwork("MFOS.units", units)

    def update(
        self, state: AgentState, objectives: links.Objectives, agent_index: int, step_params: Structure
    ) -> AgentState:
        """See `contracts.Agent.update`: the next policy, of tanh(φ/2), its own first; `step_params` are w, [S, ...]."""
        following = self._network(objectives.estimator, objectives.link.joint_params, agent_index, step_params)
        return AgentState(game_jacobian.unflattened(following, state.params))
