"""Multiagent soft Q-learning (Wei et al. 2018): each agent plays its part of what is best to do together."""

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents import joint_actions
from tf_metamapg.agents.joint_action_learner import JointActionLearner
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import InnerLearningRate
from tf_metamapg.contracts import InnerOptimizer
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import axes
from tf_metamapg.numerics import masks


class MultiagentSoftQLearning(JointActionLearner):
    """Steps along mean_k Σ_t γᵗ E_a~π*(·|o_t) ∇log πⁱ(aⁱ|o_t), with π* ∝ exp(Q / α) over joint actions.

    Q(o_t, a_t) learns r_t + γ V(o_(t+1)) with V = α log mean_a exp(Q / α), the soft value, relative to uniform actions.
    The temperature α falls by a factor at each update: first all joint actions are alike, and in the end the best one
    is all there is. As an agent's part is that of a joint action, the others' part of it counts as theirs to choose:
    there is no relative overgeneralisation. The paper samples from π* with a network of joint actions and keeps a
    replay buffer; here an agent's own policy comes closer to its part of π*, and Q learns from what was just played.
    """

    def __init__(
        self, inner_learning_rate: float | InnerLearningRate = 1.0, optimizer: InnerOptimizer | None = None,
        critic_units: int = 32, critic_learning_rate: float = 0.01, n_critic_steps: int = 1,
        n_joint_actions: int = 256, action_bound: float = 10.0, *, temperature: float = 1.0, cooling: float = 0.99,
        final_temperature: float = 0.1,
    ) -> None:
        """
        Args:
            inner_learning_rate, optimizer, critic_units, critic_learning_rate, n_critic_steps: see
                `JointActionLearner`.
            n_joint_actions, action_bound: see `JointActionLearner`.
            temperature: α > 0 at first, in units of reward.
            cooling: what α is multiplied by at each update, in (0, 1].
            final_temperature: > 0, α does not fall below it.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(
            inner_learning_rate, optimizer, critic_units, critic_learning_rate, n_critic_steps, n_joint_actions,
            action_bound,
        )
        kind = type(self).__name__
        checks.check_positive(f"{kind}.temperature", temperature)
        checks.check_positive(f"{kind}.cooling", cooling)
        checks.check(cooling <= 1.0, f"{kind}.cooling", cooling, "in (0, 1]")
        checks.check_positive(f"{kind}.final_temperature", final_temperature)
        self._temperature = temperature
        self._cooling = cooling
        self._final_temperature = final_temperature

    def init(self, params: Params, estimator: contracts.Estimator, agent_index: int) -> AgentState:
        """See `JointActionLearner.init`; and α, [S, N]."""
        state = super().init(params, estimator, agent_index)
        temperature = tf.fill(params[0].shape[:2], tf.constant(self._temperature, params[0].dtype))
        return state._replace(extra=(*state.extra, temperature))

    def update(
        self, state: AgentState, objectives: links.Objectives, agent_index: int, step_params: Structure
    ) -> AgentState:
        """See `JointActionLearner.update`; α falls."""
        *extra, temperature = state.extra
        state = super().update(state._replace(extra=tuple(extra)), objectives, agent_index, step_params)
        temperature = tf.maximum(self._cooling * temperature, self._final_temperature)
        return state._replace(extra=(*state.extra, temperature))

    def weights(
        self, objectives: links.Objectives, agent_index: int, critic: Params, actions: joint_actions.JointActions
    ) -> tf.Tensor:
        """π*(a|o_t), which sum to one: [S, N, K, M, T]."""
        return tf.nn.softmax(self._heated(objectives, agent_index, critic, actions), axis=-2)

    def targets(self, objectives: links.Objectives, agent_index: int, critic: Params) -> tf.Tensor:
        """r_t + γ V(o_(t+1)), where nothing is expected after the last step: [S, N, K, T]."""
        trajectory, discount = objectives.link.sample.trajectory, objectives.estimator.spec.discount
        actions = self.weighed(objectives, agent_index)
        heated = self._heated(objectives, agent_index, critic, actions)
        n_actions = tf.cast(tf.shape(heated)[-2], heated.dtype)
        temperature = axes.with_axes_behind(_temperature(objectives, agent_index), heated[..., 0, :])
        soft_values = temperature * (tf.reduce_logsumexp(heated, axis=-2) - tf.math.log(n_actions))
        soft_values = masks.masked(soft_values, trajectory.agent_mask(agent_index))
        following = tf.concat([soft_values[..., 1:], tf.zeros_like(soft_values[..., :1])], axis=-1)
        return trajectory.rewards[agent_index] + discount * following

    def _heated(
        self, objectives: links.Objectives, agent_index: int, critic: Params, actions: joint_actions.JointActions
    ) -> tf.Tensor:
        """Q / α of joint actions at each step, [S, N, K, M, T]."""
        network = self.network(objectives.estimator, agent_index)
        values = network.of_each(critic, objectives.link.sample.trajectory, actions)
        return values / axes.with_axes_behind(_temperature(objectives, agent_index), values)


def _temperature(objectives: links.Objectives, agent_index: int) -> tf.Tensor:
    """α of each seed and task, [S, N]."""
    return objectives.link.agent_states[agent_index].extra[-1]
