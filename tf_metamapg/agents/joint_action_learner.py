"""What the agents have in common that learn values of joint actions within the chain, from the batches they play."""

import abc
import weakref

import tensorflow as tf

from tf_metamapg import carrying
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents import joint_actions
from tf_metamapg.agents.base import GradientAgent
from tf_metamapg.agents.optimizers import Adam
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import InnerLearningRate
from tf_metamapg.contracts import InnerOptimizer
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import masks
from tf_metamapg.numerics import random
from tf_metamapg.numerics import returns


class JointActionLearner(GradientAgent):
    """Steps along mean_k Σ_t γᵗ Σ_a w(o_t, a) ∇log πⁱ(aⁱ|o_t), where weights of joint actions are made of its own Q.

    Q is a network of what all agents see and do; in an update of the policy it takes some steps of Adam, on the same
    trajectories, towards `targets` that are computed once. That is a function of what was sampled, so that it takes an
    estimator of sampled inner updates; at fixed trajectories the whole update is differentiated, Q and its moments
    included.
    """

    def __init__(
        self, inner_learning_rate: float | InnerLearningRate = 1.0, optimizer: InnerOptimizer | None = None,
        critic_units: int = 32, critic_learning_rate: float = 0.01, n_critic_steps: int = 1,
        n_joint_actions: int = 256, action_bound: float = 10.0,
    ) -> None:
        """
        Args:
            inner_learning_rate, optimizer: of the policy, see `GradientAgent`.
            critic_units: of each of Q's two hidden layers, ≥ 1.
            critic_learning_rate: Adam's step size of Q, > 0.
            n_critic_steps: how many steps Q takes at each update, ≥ 1.
            n_joint_actions: M ≥ 1, how many joint actions are weighed where some are arrays of numbers; where all are
                finitely many it is all there are.
            action_bound: c > 0, these numbers are drawn from [−c, c].

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(inner_learning_rate, optimizer)
        kind = type(self).__name__
        checks.check_integer(f"{kind}.critic_units", critic_units, minimum=1)
        checks.check_positive(f"{kind}.critic_learning_rate", critic_learning_rate)
        # All steps are part of one graph.
        checks.check_integer(f"{kind}.n_critic_steps", n_critic_steps, minimum=1, maximum=100)
        checks.check_integer(f"{kind}.n_joint_actions", n_joint_actions, minimum=1)
        checks.check_positive(f"{kind}.action_bound", action_bound)
        self._critic_units = critic_units
        self._critic_learning_rate = critic_learning_rate
        self._n_critic_steps = n_critic_steps
        self._n_joint_actions = n_joint_actions
        self._action_bound = action_bound
        self._critic_optimizer = Adam()
        # By estimator, a network for each agent.
        self._networks: weakref.WeakKeyDictionary[contracts.Estimator, list[joint_actions.JointActionNetwork]]
        self._networks = weakref.WeakKeyDictionary()

    @abc.abstractmethod
    def weights(
        self, objectives: links.Objectives, agent_index: int, critic: Params, actions: joint_actions.JointActions
    ) -> tf.Tensor:
        """The weights of M joint actions at each step: [S, N, K, M, T], differentiable in what they depend on.

        Args:
            objectives: `links.Objectives` at the link.
            agent_index: i, which agent of the game it is.
            critic: Q's parameters, leaves [S, N, ...].
            actions: for each agent its part of the joint actions, [S, M, *action].
        """

    @abc.abstractmethod
    def targets(self, objectives: links.Objectives, agent_index: int, critic: Params) -> tf.Tensor:
        """What Q should be of what was done: [S, N, K, T]."""

    def init_update(
        self, estimator: contracts.Estimator, agent_index: int, n_seeds: int, chain_length: int
    ) -> Structure:
        """See `contracts.Agent.init_update`; an estimator without sampled inner updates is refused."""
        self.network(estimator, agent_index)
        return super().init_update(estimator, agent_index, n_seeds, chain_length)

    def init(self, params: Params, estimator: contracts.Estimator, agent_index: int) -> AgentState:
        """See `contracts.Agent.init`: beside the parameters [S, N, ...] the policy's moments, Q, and its moments."""
        # All seeds and tasks begin with the same Q; what it learns is their own.
        critic = self.network(estimator, agent_index).initial_params(params[0].shape[:2])
        return AgentState(params, (self._optimizer.init(params), critic, self._critic_optimizer.init(critic)))

    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """See `GradientAgent.gradients`."""
        checks.check_agent_index("agent_index", agent_index, len(objectives.by_agent))
        link, spec = objectives.link, objectives.estimator.spec
        params, critic = link.joint_params[agent_index], link.agent_states[agent_index].extra[1]
        trajectory, mask = link.sample.trajectory, link.sample.trajectory.agent_mask(agent_index)
        actions = self.weighed(objectives, agent_index)
        weights = self.weights(objectives, agent_index, critic, actions)
        weights = returns.discounted(weights, spec.discount) / tf.cast(tf.shape(weights)[2], weights.dtype)
        if mask is not None:
            weights = masks.masked(weights, tf.broadcast_to(mask[:, :, :, tf.newaxis], tf.shape(weights)))
        with tf.GradientTape() as tape:
            tape.watch(params)
            policy, seen = objectives.estimator.policies[agent_index], trajectory.observations[agent_index]
            log_probs = joint_actions.log_probs(policy, params, seen, actions[agent_index])
        gradients = tape.gradient(log_probs, params, output_gradients=weights, unconnected_gradients="zero")
        return carrying.without_carried(policy, gradients)

    def update(
        self, state: AgentState, objectives: links.Objectives, agent_index: int, step_params: Structure
    ) -> AgentState:
        """See `contracts.Agent.update`: a step of the policy, and then those of Q."""
        params, (moments, critic, critic_moments) = state
        direction, moments = self._optimizer.direction(self.gradients(objectives, agent_index), moments)
        targets = self.targets(objectives, agent_index, critic)
        for _ in range(self._n_critic_steps):
            critic, critic_moments = self._learn(objectives, agent_index, critic, critic_moments, targets)
        return AgentState(self.stepped(params, direction, step_params), (moments, critic, critic_moments))

    def weighed(self, objectives: links.Objectives, agent_index: int) -> joint_actions.JointActions:
        """For each agent what it does in the joint actions that are weighed, [S, M, *action]."""
        keys = random.joint_action_keys(objectives.link.keys, agent_index)
        return joint_actions.weighed(objectives.estimator.spec, keys, self._n_joint_actions, self._action_bound)

    def network(self, estimator: contracts.Estimator, agent_index: int) -> joint_actions.JointActionNetwork:
        """Q of an agent in the game of an estimator."""
        if estimator not in self._networks:
            playing = links.checked_sampling(estimator, type(self).__name__)
            n_agents = playing.spec.n_agents
            with tf.init_scope():
                self._networks[estimator] = [
                    joint_actions.JointActionNetwork(playing.spec, self._critic_units, self._action_bound, stream)
                    for stream in range(2 * n_agents, 3 * n_agents)  # other streams than those of ValueNetwork
                ]
        return self._networks[estimator][agent_index]

    def _learn(
        self, objectives: links.Objectives, agent_index: int, critic: Params, moments: Structure, targets: tf.Tensor
    ) -> tuple[Params, Structure]:
        """One step of Q towards its targets."""
        network = self.network(objectives.estimator, agent_index)
        trajectory = objectives.link.sample.trajectory
        with tf.GradientTape() as tape:
            tape.watch(critic)
            errors = tf.square(network.taken(critic, trajectory) - targets)
            loss = masks.mean(errors, trajectory.agent_mask(agent_index), axis=[2, 3])
        gradients = tape.gradient(loss, critic, unconnected_gradients="zero")
        direction, moments = self._critic_optimizer.direction(gradients, moments)
        return tuple(leaf - self._critic_learning_rate * step for leaf, step in zip(critic, direction)), moments
