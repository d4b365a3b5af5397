"""The joint-action form of the policy gradient (Wei et al. 2018; Kim et al. 2020, Eq. 10) with a Q that is learned."""

import tensorflow as tf

from tf_metamapg import links
from tf_metamapg.agents import joint_actions
from tf_metamapg.agents.joint_action_learner import JointActionLearner
from tf_metamapg.contracts import Params
from tf_metamapg.numerics import returns


class JointActionActorCritic(JointActionLearner):
    """Steps along mean_k Σ_t γᵗ Σ_aⁱ ∇πⁱ(aⁱ|o_t) Σ_a⁻ⁱ π⁻ⁱ(a⁻ⁱ|o_t) Qⁱ(o_t, a), where Qⁱ learns the returns to go.

    With the true Q that is unbiased: what is sampled is where agents come to, and sums over what they do there are
    exact, where that is finitely much. It knows the others' policies. With exact values it is
    `JointActionPolicyGradient`.
    """

    reads_others = True

    def weights(
        self, objectives: links.Objectives, agent_index: int, critic: Params, actions: joint_actions.JointActions
    ) -> tf.Tensor:
        """π(a|o_t) (Qⁱ(o_t, a) − Σ_a π Qⁱ), as ∇πⁱ = πⁱ ∇log πⁱ and Σ_a ∇πⁱ π⁻ⁱ = 0: [S, N, K, M, T]."""
        link, estimator = objectives.link, objectives.estimator
        trajectory = link.sample.trajectory
        log_probs = joint_actions.joint_log_probs(estimator.policies, link.joint_params, trajectory, actions)
        # Of some of all joint actions the probabilities are those given that it is one of these.
        probs = tf.nn.softmax(log_probs, axis=-2)
        values = self.network(estimator, agent_index).of_each(critic, trajectory, actions)
        return probs * (values - tf.reduce_sum(probs * values, axis=-2, keepdims=True))

    def targets(self, objectives: links.Objectives, agent_index: int, critic: Params) -> tf.Tensor:
        """The returns to go, [S, N, K, T]."""
        del critic
        rewards = objectives.link.sample.trajectory.rewards[agent_index]
        return returns.returns_to_go(rewards, objectives.estimator.spec.discount)
