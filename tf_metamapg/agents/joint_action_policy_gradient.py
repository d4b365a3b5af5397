"""The joint-action form of the policy gradient (Wei et al. 2018; Kim et al. 2020, Eq. 10), by exact values."""

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents.base import GradientAgent
from tf_metamapg.contracts import Params


class JointActionPolicyGradient(GradientAgent):
    """Σ_s d(s) Σ_aⁱ ∇πⁱ(aⁱ|s) Σ_a⁻ⁱ π⁻ⁱ(a⁻ⁱ|s) Qⁱ(s, a), with d(s) the discounted number of visits.

    That is ∇ᵢVⁱ, what `PolicyGradient` climbs, and so are its derivatives in the parameters of all agents. From
    samples, with a Q that is learned, it is `JointActionActorCritic`.
    """

    reads_others = True

    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """See `GradientAgent.gradients`; an estimator that does not know values of joint actions is refused."""
        checks.check_agent_index("agent_index", agent_index, len(objectives.by_agent))
        estimator = contracts.checked_kind(
            "estimator", objectives.estimator, contracts.JointActionEstimator,
            f"one of exact values, such as ExactEstimator, for {type(self).__name__}",
        )
        joint_params = objectives.link.joint_params
        with tf.GradientTape() as tape:
            tape.watch(joint_params[agent_index])
            here = estimator.joint_action_values(joint_params, objectives.tasks)
        own_values = expected_over_others(here.values[agent_index], here.strategies, agent_index)
        return tape.gradient(
            here.strategies[agent_index], joint_params[agent_index], unconnected_gradients="zero",
            output_gradients=here.visits[..., tf.newaxis] * own_values,
        )


def expected_over_others(values: tf.Tensor, strategies: tuple[tf.Tensor, ...], agent_index: int) -> tf.Tensor:
    """Σ_a⁻ⁱ π⁻ⁱ(a⁻ⁱ|s) Q(s, a) of each action of agent i.

    Args:
        values: Q, tensor [S, N, M, A_0, .., A_{n-1}].
        strategies: for each agent π(a|s), [S, N, M, A_i].
        agent_index: i.

    Returns:
        tensor [S, N, M, A_i], differentiable in all of them.
    """
    n_agents = len(strategies)
    for other in reversed(range(n_agents)):  # from the last, so that those before it keep their axes
        if other != agent_index:
            shape = [*strategies[other].shape[:3], *[1] * other, strategies[other].shape[-1]]
            behind = len(values.shape) - len(shape)
            probs = tf.reshape(strategies[other], [*shape, *[1] * behind])
            values = tf.reduce_sum(values * probs, axis=3 + other)
    return values
