"""Counterfactual baselines (Foerster et al. 2017b, "Counterfactual multi-agent policy gradients"; COMA).

What an agent would have got on average, had it alone acted anew: bⁱ(s, a⁻ⁱ) = Σ_b πⁱ(b|o) Qⁱ(s, (b, a⁻ⁱ)). It does not
know the agent's own action, so that under the returns of trajectories it biases no policy gradient of its own agent,
whatever Q is. Derivatives in others' parameters it does bias where a baseline of the state stands;
`CounterfactualDiceEstimator` has a place for it. With Q instead of returns it is `COMA`, an agent.
"""

from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Trajectory
from tf_metamapg.critics import joint_features
from tf_metamapg.critics.network_critic import NetworkCritic
from tf_metamapg.policies import encoders


class CounterfactualBaseline(NetworkCritic):
    """Qⁱ of what all agents see, of what the others do and of every own action, averaged over the own policy.

    What an agent does must be one of finitely many things, and its policy's distribution one that has probabilities.
    """

    sees_other_actions = True

    def __init__(
        self, spec: contracts.GameSpec, policies: Sequence[contracts.StepPolicy], units: int = 64,
        learning_rate: float = 0.01,
    ) -> None:
        """See `NetworkCritic`.

        Raises:
            InvalidInputError: if one of these does not hold, or an agent's actions are arrays.
        """
        for agent, space in enumerate(spec.actions):
            checks.check(
                isinstance(space, contracts.Discrete), f"{type(self).__name__}.spec.actions[{agent}]", space,
                "Discrete, as all own actions are averaged over",
            )
        super().__init__(spec, policies, units, learning_rate)

    def n_features(self, agent_index: int) -> int:
        """See `NetworkCritic.n_features`."""
        return joint_features.n_observed(self.spec) + joint_features.n_done_by_others(self.spec, agent_index)

    def n_outputs(self, agent_index: int) -> int:
        """One for each own action."""
        return encoders.size(self.spec.actions[agent_index])

    def features(self, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """See `NetworkCritic.features`."""
        seen = joint_features.observed(self.spec, trajectory)
        return tf.concat([seen, *joint_features.done_by_others(self.spec, trajectory, agent_index)], axis=-1)

    def values(self, params: Params, joint_params: JointParams, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """Σ_b πⁱ(b|o) Qⁱ(s, (b, a⁻ⁱ)), differentiable in all parameters; see `BaselineCritic.values`."""
        action_values = self.action_values(params, trajectory, agent_index)
        return self.mean_over_own_actions(action_values, joint_params, trajectory, agent_index)

    def action_values(self, params: Params, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """Qⁱ of every own action; see `NetworkCritic.estimates` for the arguments.

        Returns:
            tensor [S, N, K, T, A].
        """
        return self.estimates(params, trajectory, agent_index)

    def mean_over_own_actions(
        self, action_values: tf.Tensor, joint_params: JointParams, trajectory: Trajectory, agent_index: int
    ) -> tf.Tensor:
        """Σ_b πⁱ(b|o) x(b) of a tensor [S, N, K, T, A]: tensor [S, N, K, T]."""
        policy, observations = self.policies[agent_index], trajectory.observations[agent_index]
        probs = policy.distribution(joint_params[agent_index], observations).probs_parameter()
        return tf.reduce_sum(probs * action_values, axis=-1)

    def at_own_action(self, action_values: tf.Tensor, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """x(aⁱ) of a tensor [S, N, K, T, A]: tensor [S, N, K, T]."""
        n_actions = encoders.size(self.spec.actions[agent_index])
        actions = tf.one_hot(trajectory.actions[agent_index], n_actions, dtype=action_values.dtype)
        return tf.reduce_sum(actions * action_values, axis=-1)

    def taken(self, estimates: tf.Tensor, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """Of the action that was taken; see `NetworkCritic.taken`."""
        return self.at_own_action(estimates, trajectory, agent_index)
