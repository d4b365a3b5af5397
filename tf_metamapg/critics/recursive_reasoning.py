"""What an agent expects the others to do if it acts so, and what that is worth to it (Wen et al. 2019; PR2).

PR2 finds ρ(a⁻ⁱ|s, aⁱ), how the others answer an action, by variational inference, or, in tables, by counting. Here it
learns like counts, by maximum likelihood.
"""

import math

import tensorflow as tf

from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Trajectory
from tf_metamapg.critics import joint_features
from tf_metamapg.critics.counterfactual import CounterfactualBaseline
from tf_metamapg.numerics import masks
from tf_metamapg.policies import encoders


class RecursiveReasoningBaseline(CounterfactualBaseline):
    """Σ_b πⁱ(b|o) Σ_{a⁻ⁱ} ρ(a⁻ⁱ|s, b) Qⁱ(s, b, a⁻ⁱ): one network, whose outputs are Q and the logits of ρ.

    It does not know what the others do at the same step, so that it biases nothing, wherever it is subtracted.
    With it as `RecursiveReasoning`'s critic, what it says stands in place of returns.
    """

    sees_other_actions = False

    def n_features(self, agent_index: int) -> int:
        """See `NetworkCritic.n_features`."""
        del agent_index
        return joint_features.n_observed(self.spec)

    def n_outputs(self, agent_index: int) -> int:
        """Two for each joint action."""
        del agent_index
        return 2 * math.prod(map(encoders.size, self.spec.actions))

    def features(self, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """See `NetworkCritic.features`."""
        del agent_index
        return joint_features.observed(self.spec, trajectory)

    def action_values(self, params: Params, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """Σ_{a⁻ⁱ} ρ(a⁻ⁱ|s, b) Qⁱ(s, b, a⁻ⁱ) of every own action b: tensor [S, N, K, T, A]."""
        per_step, log_rho = self.q_and_log_rho(params, trajectory, agent_index)
        return self.scale(trajectory) * tf.reduce_sum(tf.exp(log_rho) * per_step, axis=-1)

    def q_and_log_rho(self, params: Params, trajectory: Trajectory, agent_index: int) -> tuple[tf.Tensor, tf.Tensor]:
        """(Qⁱ per time step, log ρ) of all own actions and joint ones of the others: [S, N, K, T, A, A⁻ⁱ] each."""
        outputs = self.per_step(params, trajectory, agent_index)
        n_actions = encoders.size(self.spec.actions[agent_index])
        heads = tf.reshape(
            outputs, tf.concat([tf.shape(outputs)[:-1], [2, n_actions, outputs.shape[-1] // (2 * n_actions)]], axis=0)
        )
        return heads[..., 0, :, :], tf.nn.log_softmax(heads[..., 1, :, :])

    def loss(self, params: Params, joint_params: JointParams, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """The mean squared error of Q, per time step squared, less the mean log ρ: [S, N]; see `NetworkCritic.loss`."""
        del joint_params
        index = trajectory.actions[agent_index]
        for other in joint_features.others(self.spec, agent_index):
            index = index * encoders.size(self.spec.actions[other]) + trajectory.actions[other]
        heads = self.q_and_log_rho(params, trajectory, agent_index)
        done = tf.one_hot(index, self.n_outputs(agent_index) // 2, dtype=self.spec.dtype)
        per_step, log_rho = (tf.reduce_sum(tf.reshape(done, tf.shape(head)) * head, axis=[-2, -1]) for head in heads)
        errors = per_step - self.returns_to_go(trajectory, agent_index) / self.scale(trajectory)
        return masks.mean(tf.square(errors) - log_rho, trajectory.agent_mask(agent_index), axis=[2, 3])
