"""Meta-MAPG (Kim et al. 2020; Eq. 7): a meta-agent that also shapes how the others learn."""

from tf_metamapg.agents import theorem
from tf_metamapg.agents.policy_gradient import PolicyGradient


class MetaMAPG(PolicyGradient):
    """Learns an initial policy with all three terms of Theorem 1.

    It adapts by policy gradient like every other agent.
    """

    learns_initial_policy = True

    def meta_gradients(self, estimator, chain, agent_index):
        """Current policy + self-shaping + opponent-shaping.

        Returns:
            MetaGradients with leaves [S, ...].
        """
        return theorem.meta_gradients(estimator, chain, agent_index)
