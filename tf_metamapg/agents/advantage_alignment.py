"""Advantage Alignment (Duque et al. 2024): what is good for others is reinforced where one's own past was good."""

import tensorflow as tf

from tf_metamapg import links
from tf_metamapg.agents.advantage_shaping import AdvantageShaping
from tf_metamapg.numerics import returns


class AdvantageAlignment(AdvantageShaping):
    """A*_t = Aⁱ_t + β γ (Σ_{k<t} γ^{t−k} Aⁱ_k) Σ_{j≠i} Aʲ_t in the policy gradient; `weight` is β.

    It is the form of the paper for two agents, summed over the others where there are more. The code that was released
    with it differs: it leaves out γ, divides the sum over the past by t, and then sums over the others.
    """

    def advantages(
        self, advantages: tuple[tf.Tensor, ...], objectives: links.Objectives, agent_index: int
    ) -> tf.Tensor:
        """See `AdvantageShaping.advantages`: [S, N, K, T]."""
        discount, own = objectives.estimator.spec.discount, advantages[agent_index]
        past = returns.discounted_cumsum(own, discount, reverse=False) - own
        return own + self._weight * discount * past * (tf.add_n(advantages) - own)
