"""Learning with opponent Q-learning awareness (LOQA, Aghajohari et al. 2024): others do what it pays them to do."""

from typing import Any

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents.action_values import ActionValueNetwork
from tf_metamapg.agents.action_values import taken
from tf_metamapg.agents.advantage_shaping import AdvantageShaping
from tf_metamapg.numerics import returns


class LOQA(AdvantageShaping):
    """∇ E Σ_t γᵗ Aⁱ_t [log πⁱ(a_t) + w Σ_{j≠i} log π̂ʲ(bʲ_t)] at fixed Aⁱ, with π̂ʲ = softmax Qʲ(o_t, ·).

    Of Qʲ it is the value of what was done that depends on θⁱ: it is j's return to go, and ∇Qʲ(bʲ_t) =
    Σ_{l≥t} γ^{l−t} Aʲ_l ∇ log πⁱ(a_l), as from DiCE with a baseline, while the values of j's other actions are held. So
    ∇ log π̂ʲ(bʲ_t) = (1 − π̂ʲ(bʲ_t)) ∇Qʲ(bʲ_t), and all of it is the policy gradient with A*_l = Aⁱ_l + w Σ_{j≠i}
    (Σ_{t≤l} (1 − π̂ʲ(bʲ_t)) Aⁱ_t) Aʲ_l; `weight` is w. π̂ʲ itself is of Q that a network has learned from returns,
    discounted and not normalised.
    """

    def networks(self, estimator: contracts.PlayingEstimator) -> tuple[Any, ...]:
        """See `AdvantageShaping.networks`: Q of all agents, too."""
        spec = estimator.spec
        are_finite = all(isinstance(action, contracts.Discrete) for action in spec.actions)
        checks.check(are_finite, "estimator", estimator, "of a game of finitely many actions for LOQA")
        return *super().networks(estimator), ActionValueNetwork(spec, estimator.policies, self._critic_units)

    def advantages(
        self, advantages: tuple[tf.Tensor, ...], objectives: links.Objectives, agent_index: int
    ) -> tf.Tensor:
        """See `AdvantageShaping.advantages`: [S, N, K, T]."""
        trajectory = objectives.link.sample.trajectory
        _, (_, (_, action_values), _) = objectives.link.agent_states[agent_index]
        (_, network), _ = self._made(objectives.estimator)
        own = shaped = advantages[agent_index]
        for other in {*range(len(advantages))} - {agent_index}:
            probs = tf.nn.softmax(network.values(action_values[other], trajectory, other))
            surprises = 1.0 - taken(probs, trajectory.actions[other])
            shaped += self._weight * returns.cumulative_sums(surprises * own) * advantages[other]
        return shaped
