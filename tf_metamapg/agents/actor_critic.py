"""Actor-critic agents whose advantages are those of a value network: A2C and PPO."""

from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents.chain_critic import ChainCriticAgent
from tf_metamapg.contracts import InnerLearningRate
from tf_metamapg.contracts import InnerOptimizer
from tf_metamapg.contracts import Params
from tf_metamapg.critics.value_network import ValueNetwork
from tf_metamapg.numerics import masks
from tf_metamapg.numerics import returns


class AdvantageActorCritic(ChainCriticAgent[ValueNetwork]):
    """Steps along mean_k Σ_t γᵗ log π(a_t|o_t) A_t with generalised advantages (A2C, cf. Mnih et al. 2016).

    See `ChainCriticAgent` for how its critic learns.
    """

    def __init__(
        self, inner_learning_rate: float | InnerLearningRate = 1.0, optimizer: InnerOptimizer | None = None,
        entropy_bonus: float = 0.0, n_epochs: int = 1, gae_lambda: float = 0.95, critic_units: int = 32,
        critic_learning_rate: float = 0.01,
    ) -> None:
        """
        Args:
            inner_learning_rate, optimizer, entropy_bonus, n_epochs, critic_units, critic_learning_rate: see
                `ChainCriticAgent`.
            gae_lambda: λ of generalised advantages, in [0, 1].

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(
            inner_learning_rate, optimizer, entropy_bonus, n_epochs, critic_units, critic_learning_rate
        )
        kind = type(self).__name__
        checks.check_number(f"{kind}.gae_lambda", gae_lambda, minimum=0.0)
        checks.check(gae_lambda <= 1.0, f"{kind}.gae_lambda", gae_lambda, "in [0, 1]")
        self._gae_lambda = gae_lambda

    def make_critic(self, spec: contracts.GameSpec, policies: Sequence[contracts.StepPolicy]) -> ValueNetwork:
        """V of what an agent sees; see `ChainCriticAgent.make_critic`."""
        return ValueNetwork(spec, policies, units=self._critic_units)

    def advantages(
        self, critic: ValueNetwork, critic_params: Params, objectives: links.Objectives, agent_index: int
    ) -> tf.Tensor:
        """Generalised advantages; see `ChainCriticAgent.advantages`."""
        trajectory = objectives.link.sample.trajectory
        values = critic.values(critic_params, objectives.link.joint_params, trajectory, agent_index)
        return returns.generalised_advantages(
            trajectory.rewards[agent_index], masks.masked(values, trajectory.agent_mask(agent_index)),
            critic.spec.discount, self._gae_lambda,
        )


class PPO(AdvantageActorCritic):
    """Proximal policy optimisation (Schulman et al. 2017): mean_k Σ_t γᵗ min(ρ_t A_t, clip(ρ_t, 1 ± ε) A_t).

    ρ_t is the probability of what was done under the present parameters over that under those it was sampled with, so
    that the first epoch is that of `AdvantageActorCritic`.
    """

    def __init__(
        self, inner_learning_rate: float | InnerLearningRate = 1.0, optimizer: InnerOptimizer | None = None,
        entropy_bonus: float = 0.0, n_epochs: int = 4, gae_lambda: float = 0.95, critic_units: int = 32,
        critic_learning_rate: float = 0.01, clip: float = 0.2,
    ) -> None:
        """
        Args:
            inner_learning_rate, optimizer, entropy_bonus, n_epochs, gae_lambda, critic_units, critic_learning_rate: see
                `AdvantageActorCritic`.
            clip: ε > 0.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(
            inner_learning_rate, optimizer, entropy_bonus, n_epochs, gae_lambda, critic_units, critic_learning_rate
        )
        checks.check_positive(f"{type(self).__name__}.clip", clip)
        self._clip = clip

    def surrogate(self, log_probs: tf.Tensor, sampled_log_probs: tf.Tensor, advantages: tf.Tensor) -> tf.Tensor:
        """See `AdvantageActorCritic.surrogate`."""
        ratios = tf.exp(log_probs - sampled_log_probs)
        clipped = tf.clip_by_value(ratios, 1.0 - self._clip, 1.0 + self._clip)
        return tf.minimum(ratios * advantages, clipped * advantages)
