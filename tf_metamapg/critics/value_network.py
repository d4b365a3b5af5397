"""Critics that learn V: a network of what an agent sees, or of what all agents see, and of the time."""

import tensorflow as tf

from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Trajectory
from tf_metamapg.critics import joint_features
from tf_metamapg.critics.network_critic import NetworkCritic
from tf_metamapg.policies import encoders


class ValueNetwork(NetworkCritic):
    """V of what an agent itself sees; a network for each agent, recurrent where its policy is."""

    def n_features(self, agent_index: int) -> int:
        """See `NetworkCritic.n_features`."""
        return encoders.size(self.spec.observations[agent_index])

    def features(self, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """See `NetworkCritic.features`."""
        space = self.spec.observations[agent_index]
        return encoders.encode(space, self.spec.dtype, trajectory.observations[agent_index])

    def values(self, params: Params, joint_params: JointParams, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """Differentiable in `params`; see `BaselineCritic.values`."""
        del joint_params
        return self.estimates(params, trajectory, agent_index)[..., 0]


class CentralValueNetwork(ValueNetwork):
    """V of what all agents see: a critic that is centralised, where policies are not (Lowe et al. 2017).

    It is of use where each agent sees a part of the state. That of MADDPG is a Q that learns from a replay of what
    agents of the past have done; here agents differ from one link of a chain to the next, and a critic learns from the
    returns of the very policies that it is for, so that what fits is a V, on policy.
    """

    def n_features(self, agent_index: int) -> int:
        """See `NetworkCritic.n_features`."""
        del agent_index
        return joint_features.n_observed(self.spec)

    def features(self, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """See `NetworkCritic.features`."""
        del agent_index
        return joint_features.observed(self.spec, trajectory)
