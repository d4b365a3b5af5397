"""What the agents that anticipate one step of the others have in common: two terms, each with its name."""

from collections.abc import Callable

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents.informed import Informed
from tf_metamapg.contracts import InnerLearningRate
from tf_metamapg.contracts import InnerOptimizer
from tf_metamapg.contracts import Params


class Anticipating(Informed):
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
            optimizer, entropy_bonus, opponent_model: see `Informed`.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(inner_learning_rate, optimizer, entropy_bonus, opponent_model)
        checks.check_number(f"{type(self).__name__}.assumed_learning_rate", assumed_learning_rate, minimum=0.0)
        self._assumed_learning_rate = assumed_learning_rate

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
