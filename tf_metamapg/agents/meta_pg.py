"""Meta-PG (Al-Shedivat et al. 2018; Eq. 4): a meta-agent to whom the others' learning is a given."""

import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg.agents.meta_agent import MetaAgent
from tf_metamapg.contracts import MetaGradients


class MetaPG(MetaAgent):
    """Learns an initial policy with the current-policy and the self-shaping term of Theorem 1."""

    def meta_gradients(self, chain: adaptation.Chain, agent_index: int) -> MetaGradients:
        """Current policy + self-shaping; opponent-shaping is returned as zero.

        Returns:
            MetaGradients.
        """
        terms = self.theorem_1(chain, agent_index)
        return terms._replace(
            opponent_shaping=tf.nest.map_structure(tf.zeros_like, terms.opponent_shaping)
        )
