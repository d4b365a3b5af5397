"""Values of joint actions, and who knows them."""

from typing import NamedTuple
from typing import Protocol
from typing import runtime_checkable

import tensorflow as tf

from tf_metamapg import descriptions
from tf_metamapg.contracts.games import ExactGame
from tf_metamapg.contracts.learning import Estimator
from tf_metamapg.contracts.values import JointParams
from tf_metamapg.contracts.values import Structure


@descriptions.described
class JointActionValues(NamedTuple):
    """What the joint-action form of the policy gradient is made of; all in float64, of M states.

    Attributes:
        strategies: for each agent π(a|s), [S, N, M, A_i].
        visits: the discounted number of visits to each state, [S, N, M].
        values: for each agent Qⁱ(s, a) of all joint actions, [S, N, M, A_0, .., A_{n-1}].
    """

    strategies: tuple[tf.Tensor, ...]
    visits: tf.Tensor
    values: tuple[tf.Tensor, ...]


@runtime_checkable
class JointActionGame(ExactGame, Protocol):
    """A game in which the values of joint actions are known in closed form, too."""

    def exact_joint_action_values(self, tasks: Structure, strategies: tuple[tf.Tensor, ...]) -> JointActionValues:
        """Those of all states and agents, leaves [S, N, ...], differentiable any number of times in the strategies."""
        ...


@runtime_checkable
class JointActionEstimator(Estimator, Protocol):
    """An estimator that knows the values of joint actions."""

    def joint_action_values(self, joint_params: JointParams, tasks: Structure) -> JointActionValues:
        """Those of all states and agents, leaves [S, N, ...], differentiable any number of times in `joint_params`."""
        ...
