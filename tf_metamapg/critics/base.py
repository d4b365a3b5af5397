"""What critics have in common.

What a critic says of a trajectory must not depend on the trajectory's own actions and rewards, but for what had been
observed by then. Then it changes the variance of an objective's derivatives at given parameters and leaves their
expectations as they are, of first derivatives in every estimator, of all in DiCE and Loaded DiCE.

A meta-gradient goes through updated parameters φ, which are no expectation. Where the inner update is an expectation
that is estimated (DiCE, Loaded DiCE), another critic has another bias of order 1/K; where it is a function of what was
sampled (`ScoreFunctionEstimator`), φ contains the critic, and another critic is another objective.
"""

import abc
from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Trajectory
from tf_metamapg.numerics import returns


class BaselineCritic(descriptions.Described, abc.ABC):
    """A `contracts.Critic` that learns nothing, for subclasses to say what its values are.

    Attributes:
        spec: `contracts.GameSpec` of the game that is played.
        policies: one policy for each agent.
        sees_other_actions: whether values depend on what the others do at the same step.
        learning_rate: 0, as nothing is learned.
    """

    sees_other_actions = False
    learning_rate = 0.0

    def __init__(self, spec: contracts.GameSpec, policies: Sequence[contracts.StepPolicy]) -> None:
        """
        Args:
            spec: `contracts.GameSpec` of the game that is played.
            policies: one `contracts.StepPolicy` for each agent.
        """
        self.spec = spec
        self.policies = policies

    def initial_params(self, seeds: Sequence[int]) -> JointParams:
        """() for each agent, as nothing is learned; a critic that learns has leaves [S, ...], one for each seed."""
        del seeds
        return ((),) * self.spec.n_agents

    @abc.abstractmethod
    def values(self, params: Params, joint_params: JointParams, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """Value estimates that are subtracted from one agent's returns to go to reduce variance.

        Args:
            params: the critic's Params for this agent, leaves [S, N, ...].
            joint_params: JointParams of the policies, leaves [S, N, ...].
            trajectory: Trajectory with fields [S, N, K, T].
            agent_index: which agent.

        Returns:
            tensor [S, N, K, T].
        """

    def loss(self, params: Params, joint_params: JointParams, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """Zeros [S, N], as nothing is learned; see `values`."""
        del params, joint_params
        return tf.zeros(trajectory.rewards[agent_index].shape[:2], self.spec.dtype)

    def returns_to_go(self, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """What the values estimate: tensor [S, N, K, T]."""
        return returns.returns_to_go(trajectory.rewards[agent_index], self.spec.discount)
