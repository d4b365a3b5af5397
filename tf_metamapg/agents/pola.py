"""Proximal LOLA (Zhao et al. 2022): LOLA whose step is short in policies, not in their parameters."""

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import InnerLearningRate
from tf_metamapg.contracts import InnerOptimizer
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import masks
from tf_metamapg.numerics import random


class POLA(LOLADiCE):
    """θⁱ ← argmax_ψ Vⁱ(ψ, φ^-i(ψ, θ^-i)) − β KL(π_θⁱ ‖ π_ψ), by some gradient steps from ψ = θⁱ (outer POLA).

    φ^-i are the others after the steps that the agent looks ahead to, as in `LOLADiCE`, which it is with one epoch: at
    ψ = θⁱ the penalty is least. With exact values, the divergence is the mean over all observations, each of the same
    weight, as in the paper's exact experiments; from samples, over the observations that were made at θ. After the
    first epoch each has rollouts of its own at ψ. The others' steps are plain ones, not proximal.
    """

    def __init__(
        self, inner_learning_rate: float | InnerLearningRate = 1.0, assumed_learning_rate: float = 1.0,
        n_lookahead_steps: int = 1, n_epochs: int = 2, penalty: float = 0.1,
        opponent_model: contracts.OpponentModel | None = None, optimizer: InnerOptimizer | None = None,
        entropy_bonus: float = 0.0,
    ) -> None:
        """
        Args:
            inner_learning_rate: α ≥ 0, of each epoch, see `GradientAgent`.
            assumed_learning_rate, n_lookahead_steps, opponent_model: see `LOLADiCE`.
            n_epochs: gradient steps of an update, in 1..100.
            penalty: β ≥ 0, in units of value per nat.
            optimizer, entropy_bonus: of each epoch, see `GradientAgent`.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(
            inner_learning_rate, assumed_learning_rate, n_lookahead_steps, opponent_model, optimizer, entropy_bonus
        )
        # All epochs are part of one graph.
        checks.check_integer("POLA.n_epochs", n_epochs, minimum=1, maximum=100)
        checks.check_number("POLA.penalty", penalty, minimum=0.0)
        self._n_epochs = n_epochs
        self._penalty = penalty

    def update_at(
        self, state: AgentState, objectives: links.Objectives, agent_index: int, step_params: Structure
    ) -> AgentState:
        """See `Informed.update_at`: all epochs."""
        here = objectives
        for epoch in range(self._n_epochs):
            if epoch > 0:
                here = _at(objectives, state.params, agent_index, epoch)
            climbed = self.climbed(here, agent_index)
            pulled = _divergence_gradients(objectives, state.params, agent_index)
            gradients = tuple(leaf - self._penalty * back for leaf, back in zip(climbed, pulled))
            state = self.stepped_along(gradients, state, step_params)
        return state


def _at(start: links.Objectives, params: Params, agent_index: int, epoch: int) -> links.Objectives:
    """The objectives at (ψ, θ^-i), from rollouts there."""
    joint_params = list(start.link.joint_params)
    joint_params[agent_index] = params
    states = start.link.with_joint_params(tuple(joint_params)).agent_states
    keys = random.epoch_keys(start.link.keys, agent_index, epoch)
    link = links.sample_link(start.estimator, states, start.tasks, keys, start.link.critic_params)
    return links.Objectives(start.estimator, start.tasks, link)


def _divergence_gradients(start: links.Objectives, params: Params, agent_index: int) -> Params:
    """∇_ψ KL(π_θⁱ ‖ π_ψ), leaves [S, N, ...]."""
    # Where ψ is θⁱ, they are two things to the tape all the same.
    params = tuple(map(tf.identity, params))
    with tf.GradientTape() as tape:
        tape.watch(params)
        divergence = _divergence(start, params, agent_index)
    return tape.gradient(divergence, params, unconnected_gradients="zero")


def _divergence(start: links.Objectives, params: Params, agent_index: int) -> tf.Tensor:
    """KL(π_θⁱ ‖ π_ψ), the mean over observations: [S, N]."""
    estimator, link = start.estimator, start.link
    own_params = link.joint_params[agent_index]
    if isinstance(estimator, contracts.PlayingEstimator):
        trajectory = link.sample.trajectory
        observations, acting = trajectory.observations[agent_index], estimator.policies[agent_index]
        old, new = (acting.distribution(leaves, observations) for leaves in (own_params, params))
        return masks.mean(old.kl_divergence(new), trajectory.agent_mask(agent_index), axis=[2, 3])
    checks.check(
        isinstance(estimator.spec.actions[agent_index], contracts.Discrete), "estimator", estimator,
        "of a game of finitely many actions for POLA, whose policies have a divergence",
    )
    policy = contracts.checked_kind(
        f"policies[{agent_index}]", estimator.policies[agent_index], contracts.ExactPolicy, "one with exact values"
    )
    old, new = (policy.strategy(leaves) for leaves in (own_params, params))
    by_action = tf.math.xlogy(old, old) - tf.math.xlogy(old, new)
    return tf.reduce_mean(tf.reduce_sum(by_action, axis=-1), axis=-1)
