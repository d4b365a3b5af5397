"""What the agents that anticipate one step of the others have in common: two terms, each with its name."""

import abc
from collections.abc import Callable

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents.base import GradientAgent
from tf_metamapg.agents.opponent_models import check_opponent_model
from tf_metamapg.contracts import InnerLearningRate
from tf_metamapg.contracts import InnerOptimizer
from tf_metamapg.contracts import Params


class Anticipating(GradientAgent):
    """An agent that assumes that every other agent takes a naive step of size η.

    The estimator must be one of expected inner updates: derivatives of the others' gradients are needed,
    and surrogates whose second derivatives are not those of the values do not have them.
    """

    def __init__(
        self, inner_learning_rate: float | InnerLearningRate = 1.0, assumed_learning_rate: float = 1.0,
        optimizer: InnerOptimizer | None = None, entropy_bonus: float = 0.0,
        opponent_model: contracts.OpponentModel | None = None,
    ) -> None:
        """
        Args:
            inner_learning_rate: α ≥ 0, its own step, see `GradientAgent`.
            assumed_learning_rate: η ≥ 0, the step that it assumes of the others.
            optimizer, entropy_bonus: see `GradientAgent`.
            opponent_model: how the others' policies are estimated, see `opponent_models.py`; by default they are read.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(inner_learning_rate, optimizer, entropy_bonus)
        checks.check_number(f"{type(self).__name__}.assumed_learning_rate", assumed_learning_rate, minimum=0.0)
        check_opponent_model(f"{type(self).__name__}.opponent_model", opponent_model)
        self._assumed_learning_rate = assumed_learning_rate
        self._opponent_model = opponent_model
        self.reads_others = opponent_model is None

    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """`gradients_at` the others' policies as the agent knows them; see `GradientAgent.gradients`."""
        if self._opponent_model is not None:
            link = self._opponent_model.estimate(objectives.estimator, objectives.link, agent_index)
            objectives = links.Objectives(objectives.estimator, objectives.tasks, link)
        return self.gradients_at(objectives, agent_index)

    @abc.abstractmethod
    def gradients_at(self, objectives: links.Objectives, agent_index: int) -> Params:
        """The gradient that it follows at given policies of all agents; see `GradientAgent.gradients`."""

    def anticipation(self, objectives: links.Objectives, agent_index: int) -> Params:
        """η Σ_{j≠i} (∇ᵢ∇ⱼVⁱ) ∇ⱼVʲ: what the others' steps do to the agent's own gradient."""
        return self._over_others(objectives, agent_index, lambda own, other: (own, other))

    def shaping(self, objectives: links.Objectives, agent_index: int) -> Params:
        """η Σ_{j≠i} (∇ᵢ∇ⱼVʲ) ∇ⱼVⁱ: what the agent's own parameters do to the others' steps, and these to Vⁱ."""
        return self._over_others(objectives, agent_index, lambda own, other: (other, own))

    def _over_others(
        self, objectives: links.Objectives, agent_index: int, roles: Callable[[int, int], tuple[int, int]]
    ) -> Params:
        """η Σ_{j≠i} (∇ᵢ∇ⱼVᵃ) ∇ⱼVᵇ for (a, b) = roles(i, j)."""
        others = [other for other in range(len(objectives.by_agent)) if other != agent_index]
        terms = [tuple(map(tf.zeros_like, objectives.link.joint_params[agent_index]))]
        for other in others:
            differentiated, direction = roles(agent_index, other)
            along = objectives.gradients(direction, with_respect_to=other)
            terms.append(cross_gradients(objectives, differentiated, agent_index, other, along))
        return tuple(self._assumed_learning_rate * leaf for leaf in add(*terms))


def cross_gradients(
    objectives: links.Objectives, value_of: int, agent_index: int, other: int, direction: Params
) -> Params:
    """(∇ᵢ∇ⱼVᵃ) v: the derivative of ∇ⱼVᵃ with respect to the parameters of agent i, along v.

    Args:
        objectives: `links.Objectives` of an estimator with cross derivatives.
        value_of: a, whose value.
        agent_index: i, whose parameters it is a gradient in.
        other: j, another agent.
        direction: v, Params of agent j with leaves [S, N, ...].

    Returns:
        Params of agent i with leaves [S, N, ...], differentiable with respect to the direction and to the
        parameters of every agent.
    """
    params = objectives.link.joint_params[agent_index]
    with tf.GradientTape() as outer_tape:
        outer_tape.watch(params)
        gradients = objectives.recompute().gradients(value_of, with_respect_to=other)
    # The direction is a factor from outside of the tape, not a constant: whoever differentiates this
    # agent's step further reaches it.
    return outer_tape.gradient(gradients, params, output_gradients=direction, unconnected_gradients="zero")


def add(*gradients: Params) -> Params:
    """The sum of Params, leaf by leaf."""
    return tuple(tf.add_n(leaves) for leaves in zip(*gradients))
