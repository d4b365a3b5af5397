"""Meta-PG (Al-Shedivat et al. 2018; Eq. 4): a meta-agent to whom the others' learning is a given."""

import tensorflow as tf

from tf_metamapg.agents import theorem
from tf_metamapg.agents.policy_gradient import PolicyGradient


class MetaPG(PolicyGradient):
    """Learns an initial policy with the current-policy and the self-shaping term of Theorem 1.

    It adapts by policy gradient like every other agent.
    """

    learns_initial_policy = True

    def meta_gradients(self, estimator, chain, agent_index):
        """Theorem 1 without opponent-shaping, which is returned as zero.

        Returns:
            MetaGradients with leaves [S, ...].
        """
        terms = theorem.meta_gradients(estimator, chain, agent_index)
        return terms._replace(
            opponent_shaping=tf.nest.map_structure(tf.zeros_like, terms.opponent_shaping)
        )
