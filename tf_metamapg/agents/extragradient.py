"""Extragradient (Korpelevich 1976): each agent's naive gradient, at where all naive steps would lead."""

from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import links
from tf_metamapg.agents import anticipation
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.contracts import Params
from tf_metamapg.numerics import random


class Extragradient(anticipation.Anticipating):
    """ξᵢ(θ + η ξ(θ)), where ξ = (∇ᵢVⁱ)ᵢ and η is what it assumes of all agents, itself among them.

    From samples, what is at θ + η ξ(θ) has its own rollout. That point is held fixed in ∇ᵢVⁱ: the agent shapes nobody.
    """

    plays_ahead = True

    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """See `GradientAgent.gradients`."""
        estimator, tasks, link = objectives.estimator, objectives.tasks, objectives.link
        links.check_cross_derivatives(estimator)
        checks.check_agent_index("agent_index", agent_index, len(objectives.by_agent))
        agents = [PolicyGradient(self._assumed_learning_rate)] * estimator.spec.n_agents
        here = link._replace(agent_states=adaptation.initial_states(agents, link.joint_params, estimator))
        states = adaptation.inner_update(links.Objectives(estimator, tasks, here), agents, ((),) * len(agents))
        keys = random.lookahead_keys(link.keys, agent_index, 0)
        ahead = links.sample_link(estimator, states, tasks, keys, link.critic_params)
        return links.Objectives(estimator, tasks, ahead).gradients(agent_index, with_respect_to=agent_index)
