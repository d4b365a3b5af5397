"""What the agents have in common that shape others by the advantages of all agents, without second derivatives.

They look at no parameters but their own. What they must see is what the others see, do and get.
"""

import abc
from typing import Any
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
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.critics.value_network import ValueNetwork
from tf_metamapg.numerics import masks
from tf_metamapg.numerics import returns


class AdvantageShaping(GradientAgent):
    """Steps along ∇ mean_k Σ_t γᵗ log π(a_t|o_t) A*_t, where A* is made of the advantages of all agents.

    These are of critics of its own that learn within the chain, one for each agent, which sees what that agent sees and
    is told its rewards. An update is a function of what was sampled, so that it takes an estimator of sampled inner
    updates.
    """

    def __init__(
        self, inner_learning_rate: float | InnerLearningRate = 1.0, weight: float = 1.0,
        optimizer: InnerOptimizer | None = None, entropy_bonus: float = 0.0, gae_lambda: float = 0.95,
        critic_units: int = 32, critic_learning_rate: float = 0.01, n_critic_steps: int = 1,
    ) -> None:
        """
        Args:
            inner_learning_rate, optimizer, entropy_bonus: of the policy, see `GradientAgent`.
            weight: of what the others get, ≥ 0; at zero it is an actor-critic.
            gae_lambda: λ of generalised advantages, in [0, 1].
            critic_units: of the critics' hidden layers, or of their recurrent states, ≥ 1.
            critic_learning_rate: Adam's step size of the critics, > 0.
            n_critic_steps: how many such steps they take after each of the policy, in 1..100.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(inner_learning_rate, optimizer, entropy_bonus)
        kind = type(self).__name__
        checks.check_number(f"{kind}.weight", weight, minimum=0.0)
        checks.check_number(f"{kind}.gae_lambda", gae_lambda, minimum=0.0)
        checks.check(gae_lambda <= 1.0, f"{kind}.gae_lambda", gae_lambda, "in [0, 1]")
        checks.check_integer(f"{kind}.critic_units", critic_units, minimum=1)
        checks.check_positive(f"{kind}.critic_learning_rate", critic_learning_rate)
        # All steps are part of one graph.
        checks.check_integer(f"{kind}.n_critic_steps", n_critic_steps, minimum=1, maximum=100)
        self._weight = weight
        self._gae_lambda = gae_lambda
        self._critic_units = critic_units
        self._critic_learning_rate = critic_learning_rate
        self._n_critic_steps = n_critic_steps
        self._critic_optimizer = Adam()
        # By estimator: networks, and for each their first parameters.
        self._critics: weakref.WeakKeyDictionary[contracts.Estimator, tuple[tuple[Any, ...], Structure]]
        self._critics = weakref.WeakKeyDictionary()

    @abc.abstractmethod
    def advantages(
        self, advantages: tuple[tf.Tensor, ...], objectives: links.Objectives, agent_index: int
    ) -> tf.Tensor:
        """A*, [S, N, K, T].

        Args:
            advantages: for each agent its A, [S, N, K, T].
            objectives: `links.Objectives` at θ.
            agent_index: i, which agent of the game it is.
        """

    def networks(self, estimator: contracts.PlayingEstimator) -> tuple[Any, ...]:
        """What learns from an estimator's trajectories; the first of them gives the values of the advantages."""
        return (ValueNetwork(estimator.spec, estimator.policies, units=self._critic_units),)

    def init_update(
        self, estimator: contracts.Estimator, agent_index: int, n_seeds: int, chain_length: int
    ) -> Structure:
        """See `contracts.Agent.init_update`; an estimator without sampled inner updates is refused."""
        self._made(estimator)
        return super().init_update(estimator, agent_index, n_seeds, chain_length)

    def init(self, params: Params, estimator: contracts.Estimator, agent_index: int) -> AgentState:
        """See `contracts.Agent.init`: beside the parameters the policy's moments, the critics, and their moments."""
        del agent_index
        _, initial = self._made(estimator)
        # All seeds and tasks begin with the same critics; what they learn is their own.
        critics = tf.nest.map_structure(
            lambda leaf: tf.broadcast_to(leaf, [*params[0].shape[:2], *leaf.shape[1:]]), initial
        )
        moments = self._critic_optimizer.init(tuple(tf.nest.flatten(critics)))
        return AgentState(params, (self._optimizer.init(params), critics, moments))

    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """See `GradientAgent.gradients`."""
        estimator, trajectory = objectives.estimator, objectives.link.sample.trajectory
        params, (_, critics, _) = objectives.link.agent_states[agent_index]
        (network, *_), _ = self._made(estimator)
        by_agent = []
        for agent, rewards in enumerate(trajectory.rewards):
            values = network.values(critics[0][agent], objectives.link.joint_params, trajectory, agent)
            values = masks.masked(values, trajectory.agent_mask(agent))
            by_agent.append(
                returns.generalised_advantages(rewards, values, estimator.spec.discount, self._gae_lambda)
            )
        advantages = self.advantages(tuple(by_agent), objectives, agent_index)
        with tf.GradientTape() as tape:
            tape.watch(params)
            log_probs = network.policies[agent_index].log_probs(
                params, trajectory.observations[agent_index], trajectory.actions[agent_index]
            )
            log_probs = masks.masked(log_probs, trajectory.agent_mask(agent_index))
            per_step = log_probs * returns.discounted(advantages, estimator.spec.discount)
            objective = tf.reduce_mean(tf.reduce_sum(per_step, axis=-1), axis=-1)
        gradients = links.own_gradients(tape, objective, params, agent_index)
        return carrying.without_carried(estimator.policies[agent_index], gradients)

    def update(
        self, state: AgentState, objectives: links.Objectives, agent_index: int, step_params: Structure
    ) -> AgentState:
        """See `contracts.Agent.update`: one step of the policy, and some of the critics."""
        moments, critics, critic_moments = state.extra
        params, moments = self.stepped_along(
            self.climbed(objectives, agent_index), AgentState(state.params, moments), step_params
        )
        for _ in range(self._n_critic_steps):
            critics, critic_moments = self._learn(objectives, critics, critic_moments)
        return AgentState(params, (moments, critics, critic_moments))

    def _made(self, estimator: contracts.Estimator) -> tuple[tuple[Any, ...], Structure]:
        """The networks for the game of an estimator, and their first parameters: leaves [1, ...]."""
        if estimator not in self._critics:
            playing = links.checked_sampling(estimator, type(self).__name__)
            with tf.init_scope():
                networks = self.networks(playing)
                self._critics[estimator] = networks, tuple(network.initial_params([0]) for network in networks)
        return self._critics[estimator]

    def _learn(
        self, objectives: links.Objectives, critics: Structure, moments: Structure
    ) -> tuple[Structure, Structure]:
        """One step of all critics towards the returns."""
        link = objectives.link
        networks, _ = self._made(objectives.estimator)
        with tf.GradientTape() as tape:
            tape.watch(critics)
            loss = tf.add_n([
                network.loss(params, link.joint_params, link.sample.trajectory, agent)
                for network, by_agent in zip(networks, critics) for agent, params in enumerate(by_agent)
            ])
        leaves = tuple(tf.nest.flatten(critics))
        gradients = tape.gradient(loss, leaves, unconnected_gradients="zero")
        direction, moments = self._critic_optimizer.direction(gradients, moments)
        steps = [leaf - self._critic_learning_rate * step for leaf, step in zip(leaves, direction)]
        return tf.nest.pack_sequence_as(critics, steps), moments
