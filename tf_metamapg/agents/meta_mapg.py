"""Meta-MAPG (Kim et al. 2020; Eq. 7): a meta-agent that also shapes how the others learn."""

from tf_metamapg import adaptation
from tf_metamapg.agents.meta_agent import MetaAgent
from tf_metamapg.contracts import MetaGradients


class MetaMAPG(MetaAgent):
    """Learns an initial policy with all three terms of Theorem 1."""

    def meta_gradients(self, chain: adaptation.Chain, agent_index: int) -> MetaGradients:
        """Current policy + self-shaping + opponent-shaping.

        Returns:
            MetaGradients.
        """
        return self.theorem_1(chain, agent_index)
