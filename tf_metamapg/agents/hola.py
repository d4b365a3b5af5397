"""LOLA of higher order (HOLA, Foerster et al. 2017, Willi et al. 2022): the others that it shapes shape, too."""

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents import anticipation
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import InnerLearningRate
from tf_metamapg.contracts import InnerOptimizer
from tf_metamapg.contracts import Params
from tf_metamapg.numerics import random


class HOLA(anticipation.Anticipating):
    """hⁿ of hᵐ⁺¹ᵢ = ∇ᵢ[Vⁱ(θⁱ, θ^-i + η hᵐ₋ᵢ(θ))], where h⁰ᵢ = ∇ᵢVⁱ.

    Of order 0 it is naive, and of order 1 `LOLADiCE` with one lookahead step. From samples, each step of another agent
    has a rollout of its own, but for the innermost, whose sample is the link's. In a game of N agents, there are
    Σ_{m=1}^{n} (N − 1)ᵐ such steps, within each other.
    """

    plays_ahead = True

    def __init__(
        self, inner_learning_rate: float | InnerLearningRate = 1.0, assumed_learning_rate: float = 1.0,
        order: int = 2, optimizer: InnerOptimizer | None = None, entropy_bonus: float = 0.0,
        opponent_model: contracts.OpponentModel | None = None,
    ) -> None:
        """
        Args:
            inner_learning_rate: α ≥ 0, its own step, see `GradientAgent`.
            assumed_learning_rate: η ≥ 0, the step that all assume of each other.
            order: n, in 0..10.
            optimizer, entropy_bonus, opponent_model: see `Informed`.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(inner_learning_rate, assumed_learning_rate, optimizer, entropy_bonus, opponent_model)
        # Each order differentiates the one below it once more, in one graph.
        checks.check_integer("HOLA.order", order, minimum=0, maximum=10)
        self._order = order

    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """See `GradientAgent.gradients`."""
        links.check_cross_derivatives(objectives.estimator)
        checks.check_agent_index("agent_index", agent_index, len(objectives.by_agent))
        return self._direction(objectives, agent_index, self._order)

    def _direction(self, objectives: links.Objectives, agent_index: int, order: int) -> Params:
        """h of one order and agent; every way to get there has keys of its own."""
        if order == 0:
            return objectives.gradients(agent_index, with_respect_to=agent_index)
        estimator, tasks, link = objectives.estimator, objectives.tasks, objectives.link
        keys = random.lookahead_keys(link.keys, agent_index, 0)
        own_params = link.joint_params[agent_index]
        with tf.GradientTape() as tape:
            tape.watch(own_params)
            here = links.Objectives(estimator, tasks, link._replace(keys=keys))
            joint_params = list(here.link.joint_params)
            for other in {*range(len(joint_params))} - {agent_index}:
                steps = self._direction(here, other, order - 1)
                joint_params[other] = tuple(
                    leaf + self._assumed_learning_rate * step for leaf, step in zip(joint_params[other], steps)
                )
            states = tuple(map(AgentState, joint_params))
            ahead = links.sample_link(estimator, states, tasks, keys, link.critic_params)
            objective = estimator.objectives(ahead.joint_params, tasks, ahead.sample)[agent_index]
        return links.own_gradients(tape, objective, own_params, agent_index)
