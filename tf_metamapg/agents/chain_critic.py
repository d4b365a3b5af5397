"""What agents have in common with a critic of their own that learns within the chain, from the same batches."""

import abc
from collections.abc import Sequence
from typing import Generic
from typing import TypeVar
import weakref

import tensorflow as tf

from tf_metamapg import carrying
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
from tf_metamapg.critics.base import BaselineCritic
from tf_metamapg.numerics import masks
from tf_metamapg.numerics import returns

_Critic = TypeVar("_Critic", bound=BaselineCritic)


class ChainCriticAgent(GradientAgent, Generic[_Critic]):
    """Steps along mean_k Σ_t γᵗ log π(a_t|o_t) A_t with advantages of its own critic; subclasses say of which.

    An update takes several epochs on the link's K trajectories: in each the policy takes a step at advantages that were
    computed once, and the critic one step of Adam towards the returns. It is a function of what was sampled, so that it
    takes an estimator of sampled inner updates; at fixed trajectories the whole update is differentiated, through all
    epochs and the critic.
    """

    def __init__(
        self, inner_learning_rate: float | InnerLearningRate = 1.0, optimizer: InnerOptimizer | None = None,
        entropy_bonus: float = 0.0, n_epochs: int = 1, critic_units: int = 32, critic_learning_rate: float = 0.01,
    ) -> None:
        """
        Args:
            inner_learning_rate, optimizer, entropy_bonus: of the policy, see `GradientAgent`.
            n_epochs: steps on a batch, of the policy and of the critic, ≥ 1.
            critic_units: of the critic's hidden layer, or of its recurrent state, ≥ 1.
            critic_learning_rate: Adam's step size of the critic, > 0.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(inner_learning_rate, optimizer, entropy_bonus)
        kind = type(self).__name__
        # All epochs are part of one graph.
        checks.check_integer(f"{kind}.n_epochs", n_epochs, minimum=1, maximum=100)
        checks.check_integer(f"{kind}.critic_units", critic_units, minimum=1)
        checks.check_positive(f"{kind}.critic_learning_rate", critic_learning_rate)
        self._n_epochs = n_epochs
        self._critic_units = critic_units
        self._critic_learning_rate = critic_learning_rate
        self._critic_optimizer = Adam()
        # By estimator: networks, and their first parameters.
        self._critics: weakref.WeakKeyDictionary[contracts.Estimator, tuple[_Critic, JointParams]]
        self._critics = weakref.WeakKeyDictionary()

    @abc.abstractmethod
    def make_critic(self, spec: contracts.GameSpec, policies: Sequence[contracts.StepPolicy]) -> _Critic:
        """New critics for all agents of a game, of which it uses its own."""

    @abc.abstractmethod
    def advantages(
        self, critic: _Critic, critic_params: Params, objectives: links.Objectives, agent_index: int
    ) -> tf.Tensor:
        """A_t at the trajectories of a link.

        Args:
            critic: what `make_critic` returned.
            critic_params: its Params for this agent, leaves [S, N, ...].
            objectives: `links.Objectives` at the link.
            agent_index: i, which agent of the game it is.

        Returns:
            tensor [S, N, K, T], differentiable in `critic_params` and the parameters of the link.
        """

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

    def _critic(self, estimator: contracts.Estimator) -> tuple[_Critic, JointParams]:
        """The critics for the game of an estimator, and their first parameters: for each agent leaves [1, ...]."""
        if estimator not in self._critics:
            playing = links.checked_sampling(estimator, type(self).__name__)
            with tf.init_scope():
                critic = self.make_critic(playing.spec, playing.policies)
                self._critics[estimator] = critic, critic.initial_params([0])
        return self._critics[estimator]

    def _batch(self, objectives: links.Objectives, agent_index: int, state: AgentState) -> tuple[tf.Tensor, tf.Tensor]:
        """(log-probabilities of what was done, discounted advantages), both [S, N, K, T]."""
        estimator = objectives.estimator
        _, critic_params, _ = state.extra
        critic, _ = self._critic(estimator)
        advantages = self.advantages(critic, critic_params, objectives, agent_index)
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
        gradients = tape.gradient(objective, params, unconnected_gradients="zero")
        return carrying.without_carried(objectives.estimator.policies[agent_index], gradients)

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
