"""Stable opponent shaping (Letcher et al. 2019): between LookAhead and LOLA, with the guarantees of the first."""

from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents import anticipation
from tf_metamapg.agents import game_jacobian
from tf_metamapg.contracts import InnerLearningRate
from tf_metamapg.contracts import InnerOptimizer
from tf_metamapg.contracts import Params
from tf_metamapg.numerics import axes


class SOS(anticipation.Anticipating):
    """LookAhead + p · shaping, with p in [0, 1] chosen at each step and for all agents together.

    Write ξ₀ for the LookAhead directions of all agents, χ for their shaping terms and ξ for their policy
    gradients. Then p = min(p₁, p₂): p₁ = 1 if ⟨χ, ξ₀⟩ ≥ 0 and min(1, −a‖ξ₀‖²/⟨χ, ξ₀⟩) else, so that the step
    always has a part along LookAhead's; p₂ = ‖ξ‖² if ‖ξ‖ < b and 1 else, so that shaping vanishes at fixed
    points. Every agent assumes the same η of the others. Made for exact gradients, since the norms of
    sampled ones are biased.
    """

    def __init__(
        self, inner_learning_rate: float | InnerLearningRate = 1.0, assumed_learning_rate: float = 1.0,
        alignment: float = 0.5, radius: float = 0.1, optimizer: InnerOptimizer | None = None,
        entropy_bonus: float = 0.0, opponent_model: contracts.OpponentModel | None = None,
    ) -> None:
        """
        Args:
            inner_learning_rate: α ≥ 0, its own step, see `GradientAgent`.
            assumed_learning_rate: η ≥ 0, the step that it assumes of the others.
            alignment: a, in (0, 1): how much of LookAhead's direction is kept.
            radius: b, in (0, 1): how small the gradients are when shaping fades.
            optimizer, entropy_bonus, opponent_model: see `Anticipating`.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(inner_learning_rate, assumed_learning_rate, optimizer, entropy_bonus, opponent_model)
        for name, value in (("alignment", alignment), ("radius", radius)):
            checks.check_positive(f"SOS.{name}", value)
            checks.check(value < 1.0, f"SOS.{name}", value, "in (0, 1)")
        self._alignment = alignment
        self._radius = radius

    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """See `GradientAgent.gradients`."""
        checks.check_agent_index("agent_index", agent_index, len(objectives.by_agent))
        agents = range(len(objectives.by_agent))
        naive = game_jacobian.simultaneous_gradient(objectives)
        look_ahead = [
            anticipation.add(own, self.anticipation(objectives, agent)) for agent, own in enumerate(naive)
        ]
        shaping = [self.shaping(objectives, agent) for agent in agents]
        p = self._interpolation(naive, look_ahead, shaping)
        return tuple(
            leaf + axes.with_axes_behind(p, leaf) * shaping_leaf
            for leaf, shaping_leaf in zip(look_ahead[agent_index], shaping[agent_index])
        )

    def _interpolation(
        self, naive: Sequence[Params], look_ahead: Sequence[Params], shaping: Sequence[Params]
    ) -> tf.Tensor:
        """p of each seed and task: [S, N]."""
        along = game_jacobian.inner_products(shaping, look_ahead)
        is_against = along < 0.0
        square_look_ahead = game_jacobian.inner_products(look_ahead, look_ahead)
        ratio = self._alignment * square_look_ahead / tf.where(is_against, -along, 1.0)
        p_1 = tf.where(is_against, tf.minimum(ratio, 1.0), 1.0)
        square_norm = game_jacobian.inner_products(naive, naive)
        p_2 = tf.where(square_norm < self._radius**2, square_norm, 1.0)
        return tf.minimum(p_1, p_2)
