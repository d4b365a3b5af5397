"""Counterfactual multi-agent policy gradients (COMA, Foerster et al. 2017b), on policy."""

from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents.chain_critic import ChainCriticAgent
from tf_metamapg.contracts import Params
from tf_metamapg.critics.counterfactual import CounterfactualBaseline


class COMA(ChainCriticAgent[CounterfactualBaseline]):
    """Steps along mean_k Σ_t γᵗ log π(a_t|o_t) [Q(s_t, a_t) − Σ_b π(b|o_t) Q(s_t, (b, a_t⁻ⁱ))].

    What Q says stands in place of what was got, which has less variance, and a bias where Q is wrong, as it is to begin
    with. (`CounterfactualBaseline` under the returns has none.) All agents' actions must be finitely many. See
    `ChainCriticAgent` for how Q learns: towards the returns of the chain's own batches.
    """

    def make_critic(
        self, spec: contracts.GameSpec, policies: Sequence[contracts.StepPolicy]
    ) -> CounterfactualBaseline:
        """Q of what all agents see and do; see `ChainCriticAgent.make_critic`."""
        return CounterfactualBaseline(spec, policies, units=self._critic_units)

    def advantages(
        self, critic: CounterfactualBaseline, critic_params: Params, objectives: links.Objectives, agent_index: int
    ) -> tf.Tensor:
        """Counterfactual ones; see `ChainCriticAgent.advantages`."""
        link = objectives.link
        trajectory = link.sample.trajectory
        action_values = critic.action_values(critic_params, trajectory, agent_index)
        mean = critic.mean_over_own_actions(action_values, link.joint_params, trajectory, agent_index)
        return critic.at_own_action(action_values, trajectory, agent_index) - mean
