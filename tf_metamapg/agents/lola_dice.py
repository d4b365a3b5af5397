"""LOLA by differentiating through the others' lookahead steps (LOLA-DiCE, Foerster et al. 2018).

"LOLA" is three algorithms in the literature; see `lola_shaping` and `lola_taylor` for the other two.
"""

import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents.base import GradientAgent
from tf_metamapg.agents.fixed import Fixed
from tf_metamapg.agents.informed import Informed
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.contracts import InnerLearningRate
from tf_metamapg.contracts import InnerOptimizer
from tf_metamapg.contracts import Params
from tf_metamapg.numerics import random


class LOLADiCE(Informed):
    """∇ᵢ Vⁱ(θⁱ, φ^-i(θⁱ, θ^-i)), φ^-i after some naive steps of the others that the agent looks ahead to.

    These steps are a chain in which the agent itself stands still; from samples, each has its own rollout. Its gradient
    is that of Theorem 1 at the present policies for an agent whose own inner step is zero and whose meta-value is that
    of the last link (Eq. 6).
    """

    plays_ahead = True

    def __init__(
        self, inner_learning_rate: float | InnerLearningRate = 1.0, assumed_learning_rate: float = 1.0,
        n_lookahead_steps: int = 1, opponent_model: contracts.OpponentModel | None = None,
        optimizer: InnerOptimizer | None = None, entropy_bonus: float = 0.0,
    ) -> None:
        """
        Args:
            inner_learning_rate: α ≥ 0, its own step, see `GradientAgent`.
            assumed_learning_rate: η ≥ 0, the step that it assumes of the others.
            n_lookahead_steps: how many steps of the others it looks ahead to, ≥ 0; none is naive learning.
            opponent_model, optimizer, entropy_bonus: see `Informed`.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(inner_learning_rate, optimizer, entropy_bonus, opponent_model)
        kind = type(self).__name__
        checks.check_number(f"{kind}.assumed_learning_rate", assumed_learning_rate, minimum=0.0)
        # All steps are part of one graph.
        checks.check_integer(f"{kind}.n_lookahead_steps", n_lookahead_steps, minimum=0, maximum=1000)
        self._assumed_learning_rate = assumed_learning_rate
        self._n_lookahead_steps = n_lookahead_steps

    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """See `GradientAgent.gradients`."""
        estimator, tasks, link = objectives.estimator, objectives.tasks, objectives.link
        links.check_cross_derivatives(estimator)
        checks.check_agent_index("agent_index", agent_index, len(objectives.by_agent))
        agents: list[GradientAgent] = [PolicyGradient(self._assumed_learning_rate)] * estimator.spec.n_agents
        agents[agent_index] = Fixed()
        own_params = link.joint_params[agent_index]
        keys = [random.lookahead_keys(link.keys, agent_index, step) for step in range(self._n_lookahead_steps)]
        with tf.GradientTape() as outer_tape:
            outer_tape.watch(own_params)
            ahead = link._replace(agent_states=adaptation.initial_states(agents, link.joint_params, estimator))
            for step_keys in keys:
                states = adaptation.inner_update(
                    links.Objectives(estimator, tasks, ahead), agents, ((),) * len(agents)
                )
                ahead = links.sample_link(estimator, states, tasks, step_keys, link.critic_params)
            objective = estimator.objectives(ahead.joint_params, tasks, ahead.sample)[agent_index]
        return links.own_gradients(outer_tape, objective, own_params, agent_index)
