"""Agents with a critic of their own that learns within the chain, from the same batches as their policy."""

import weakref

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents.base import GradientAgent
from tf_metamapg.agents.optimizers import Adam
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import InnerLearningRate
from tf_metamapg.contracts import InnerOptimizer
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.critics.value_network import ValueNetwork
from tf_metamapg.numerics import masks
from tf_metamapg.numerics import returns


class AdvantageActorCritic(GradientAgent):
    """Steps along mean_k Σ_t γᵗ log π(a_t|o_t) A_t with advantages of its own critic (A2C, cf. Mnih et al. 2016).

    An update takes several epochs on the link's K trajectories: in each the policy takes a step at advantages that were
    computed once, and the critic one step of Adam towards the returns. It is a function of what was sampled, so that it
    takes an estimator of sampled inner updates; at fixed trajectories the whole update is differentiated, through all
    epochs and the critic.
    """

    def __init__(
        self, inner_learning_rate: float | InnerLearningRate = 1.0, optimizer: InnerOptimizer | None = None,
        entropy_bonus: float = 0.0, n_epochs: int = 1, gae_lambda: float = 0.95, critic_units: int = 32,
        critic_learning_rate: float = 0.01,
    ) -> None:
        """
        Args:
            inner_learning_rate, optimizer, entropy_bonus: of the policy, see `GradientAgent`.
            n_epochs: steps on a batch, of the policy and of the critic, ≥ 1.
            gae_lambda: λ of generalised advantages, in [0, 1].
            critic_units: of the critic's hidden layer, or of its recurrent state, ≥ 1.
            critic_learning_rate: Adam's step size of the critic, > 0.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(inner_learning_rate, optimizer, entropy_bonus)
        kind = type(self).__name__
        # All epochs are part of one graph.
        checks.check_integer(f"{kind}.n_epochs", n_epochs, minimum=1, maximum=100)
        checks.check_number(f"{kind}.gae_lambda", gae_lambda, minimum=0.0)
        checks.check(gae_lambda <= 1.0, f"{kind}.gae_lambda", gae_lambda, "in [0, 1]")
        checks.check_integer(f"{kind}.critic_units", critic_units, minimum=1)
        checks.check_positive(f"{kind}.critic_learning_rate", critic_learning_rate)
        self._n_epochs = n_epochs
        self._gae_lambda = gae_lambda
        self._critic_units = critic_units
        self._critic_learning_rate = critic_learning_rate
        self._critic_optimizer = Adam()
        # By estimator: networks, and their first parameters.
        self._critics: weakref.WeakKeyDictionary[contracts.Estimator, tuple[ValueNetwork, JointParams]]
        self._critics = weakref.WeakKeyDictionary()

    def init_update(
        self, estimator: contracts.Estimator, agent_index: int, n_seeds: int, chain_length: int
    ) -> Structure:
        """See `contracts.Agent.init_update`; an estimator without sampled inner updates is refused."""
        self._critic(estimator)
        return super().init_update(estimator, agent_index, n_seeds, chain_length)

    def init(self, params: Params, estimator: contracts.Estimator, agent_index: int) -> AgentState:
        """See `contracts.Agent.init`: beside the parameters the policy's moments, the critic, and its moments."""
        _, initial = self._critic(estimator)
        # All seeds and tasks begin with the same critic; what it learns is their own.
        batch_shape = params[0].shape[:2]
        critic = tuple(tf.broadcast_to(leaf, [*batch_shape, *leaf.shape[1:]]) for leaf in initial[agent_index])
        return AgentState(params, (self._optimizer.init(params), critic, self._critic_optimizer.init(critic)))

    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """The gradient of the first epoch, with the entropy bonus; see `GradientAgent.gradients`."""
        link = objectives.link
        state = link.agent_states[agent_index]
        return self._gradients(objectives, agent_index, state.params, self._batch(objectives, agent_index, state))

    def update(
        self, state: AgentState, objectives: links.Objectives, agent_index: int, step_params: Structure
    ) -> AgentState:
        """See `contracts.Agent.update`: all epochs on the trajectories of the link."""
        batch = self._batch(objectives, agent_index, state)
        params, (moments, critic, critic_moments) = state
        for _ in range(self._n_epochs):
            gradients = self._gradients(objectives, agent_index, params, batch)
            direction, moments = self._optimizer.direction(gradients, moments)
            params = self.stepped(params, direction, step_params)
            critic, critic_moments = self._learn(objectives, agent_index, critic, critic_moments)
        return AgentState(params, (moments, critic, critic_moments))

    def surrogate(self, log_probs: tf.Tensor, sampled_log_probs: tf.Tensor, advantages: tf.Tensor) -> tf.Tensor:
        """What the policy climbs at each step: [S, N, K, T].

        Args:
            log_probs: tensor [S, N, K, T] under the present parameters.
            sampled_log_probs: the same under those that the trajectories were sampled with.
            advantages: γᵗ A_t, tensor [S, N, K, T].
        """
        del sampled_log_probs
        return log_probs * advantages

    def _critic(self, estimator: contracts.Estimator) -> tuple[ValueNetwork, JointParams]:
        """The critics for the game of an estimator, and their first parameters: for each agent leaves [1, ...]."""
        if estimator not in self._critics:
            playing = contracts.checked_kind(
                "estimator", estimator, contracts.PlayingEstimator, f"one that samples, for {type(self).__name__}"
            )
            checks.check(
                playing.inner_update == "sampled", "estimator", estimator,
                f"one of sampled inner updates, such as ScoreFunctionEstimator, for {type(self).__name__}",
            )
            with tf.init_scope():
                critic = ValueNetwork(playing.spec, playing.policies, units=self._critic_units)
                self._critics[estimator] = critic, critic.initial_params([0])
        return self._critics[estimator]

    def _batch(self, objectives: links.Objectives, agent_index: int, state: AgentState) -> tuple[tf.Tensor, tf.Tensor]:
        """(log-probabilities of what was done, discounted advantages), both [S, N, K, T]."""
        estimator, trajectory = objectives.estimator, objectives.link.sample.trajectory
        _, critic, _ = state.extra
        mask = trajectory.agent_mask(agent_index)
        network, _ = self._critic(estimator)
        values = network.values(critic, objectives.link.joint_params, trajectory, agent_index)
        advantages = returns.generalised_advantages(
            trajectory.rewards[agent_index], masks.masked(values, mask), estimator.spec.discount, self._gae_lambda
        )
        advantages = returns.discounted(advantages, estimator.spec.discount)
        return self._log_probs(objectives, agent_index, state.params), advantages

    def _log_probs(self, objectives: links.Objectives, agent_index: int, params: Params) -> tf.Tensor:
        trajectory = objectives.link.sample.trajectory
        network, _ = self._critic(objectives.estimator)
        log_probs = network.policies[agent_index].log_probs(
            params, trajectory.observations[agent_index], trajectory.actions[agent_index]
        )
        return masks.masked(log_probs, trajectory.agent_mask(agent_index))

    def _gradients(
        self, objectives: links.Objectives, agent_index: int, params: Params, batch: tuple[tf.Tensor, tf.Tensor]
    ) -> Params:
        """Of the mean over trajectories, and of the entropy bonus, in the policy's parameters."""
        joint_params = list(objectives.link.joint_params)
        with tf.GradientTape() as tape:
            tape.watch(params)
            per_step = self.surrogate(self._log_probs(objectives, agent_index, params), *batch)
            objective = tf.reduce_mean(tf.reduce_sum(per_step, axis=-1), axis=-1)
            if self._entropy_bonus:
                joint_params[agent_index] = params
                entropies = objectives.estimator.entropies(
                    tuple(joint_params), objectives.tasks, objectives.link.sample
                )
                objective += self._entropy_bonus * entropies[agent_index]
        return tape.gradient(objective, params, unconnected_gradients="zero")

    def _learn(
        self, objectives: links.Objectives, agent_index: int, critic: Params, moments: Structure
    ) -> tuple[Params, Structure]:
        """One step of the critic towards the returns."""
        link = objectives.link
        network, _ = self._critic(objectives.estimator)
        with tf.GradientTape() as tape:
            tape.watch(critic)
            loss = network.loss(critic, link.joint_params, link.sample.trajectory, agent_index)
        gradients = tape.gradient(loss, critic, unconnected_gradients="zero")
        direction, moments = self._critic_optimizer.direction(gradients, moments)
        return tuple(leaf - self._critic_learning_rate * step for leaf, step in zip(critic, direction)), moments


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
