"""Meta-value learning (MeVa; Cooijmans, Aghajohari & Courville 2023): joint policies are judged by where they lead."""

from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import carrying
from tf_metamapg import checks
from tf_metamapg import links
from tf_metamapg.agents.joint_network import JointNetwork
from tf_metamapg.agents.joint_network import JointNetworkAgent
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import MetaGradients
from tf_metamapg.contracts import MetaParams
from tf_metamapg.contracts import Structure


class MeVa(JointNetworkAgent, PolicyGradient):
    """θⁱ ← θⁱ + α ∇ᵢ[Vⁱ(φ) + U_w(φ)], where Vⁱ + U is the meta-value (1 − γ) Σ_k γᵏ Vⁱ(φ_(l+k)) of the updates to come.

    So U is what learning will bring, U(φ_l) = γ [Vⁱ(φ_(l+1)) − Vⁱ(φ_l) + U(φ_(l+1))], and for γ = 0 nothing. It is a
    network of all agents' parameters, whose w is meta-learned by TD(λ): its meta-gradient descends

        mean_l ½ [G_l − U_w(φ_l)]²,   G_l = γ [Vⁱ(φ_(l+1)) − Vⁱ(φ_l) + (1 − λ) U_w(φ_(l+1)) + λ G_(l+1)],

    in which G is constant, and G_L = U_w(φ_L). It stands in the current-policy term, and the other terms are zero.
    Where the agent starts is not learned; a population may draw it. Unlike in the paper, a network learns the gain over
    Vⁱ, not the sum from the next update on: where that is flat, the agent is a naive learner. Made for policies of few
    parameters.

    Attributes:
        is_meta_agent: True.
        plays_ahead: False.
        reads_others: True.
    """

    is_meta_agent = reads_others = True

    def __init__(
        self, inner_learning_rate: float = 1.0, discount: float = 0.9, trace_decay: float = 0.9, units: int = 32
    ) -> None:
        """
        Args:
            inner_learning_rate: α ≥ 0, of the agent's updates.
            discount: γ from one update to the next, in [0, 1).
            trace_decay: λ, in [0, 1]; 1 trusts U only after the last link.
            units: of the network's hidden layer, ≥ 1.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        checks.check_number("MeVa.inner_learning_rate", inner_learning_rate, minimum=0.0)
        checks.check_number("MeVa.discount", discount, minimum=0.0)
        checks.check(discount < 1.0, "MeVa.discount", discount, "in [0, 1)")
        checks.check_number("MeVa.trace_decay", trace_decay, minimum=0.0)
        checks.check(trace_decay <= 1.0, "MeVa.trace_decay", trace_decay, "in [0, 1]")
        checks.check_integer("MeVa.units", units, minimum=1)
        super().__init__(inner_learning_rate)
        self._discount = discount
        self._trace_decay = trace_decay
        self._network = JointNetwork("MeVa.units", units, n_outputs=1)

    def update(
        self, state: AgentState, objectives: links.Objectives, agent_index: int, step_params: Structure
    ) -> AgentState:
        """See `contracts.Agent.update`: a step up the meta-value; `step_params` are w, [S, ...]."""
        joint_params = objectives.link.joint_params
        with tf.GradientTape() as tape:
            tape.watch(joint_params[agent_index])
            ahead = self._network(objectives.estimator, joint_params, agent_index, step_params)
        ahead_gradients = carrying.without_carried(
            objectives.estimator.policies[agent_index], tape.gradient(ahead, joint_params[agent_index])
        )
        gradients = tuple(map(tf.add, self.gradients(objectives, agent_index), ahead_gradients))
        return self.stepped_along(gradients, state, ())

    def meta_gradients(self, chain: adaptation.Chain, agent_index: int) -> MetaGradients:
        """See `contracts.Agent.meta_gradients`: the TD error's, in w alone."""
        zeros = super().meta_gradients(chain, agent_index).total
        values = [
            chain.estimator.values(link.joint_params, chain.tasks, link.sample)[agent_index] for link in chain.links
        ]
        weights = tuple(leaf[:, 0] for leaf in chain.update_params[agent_index])
        with tf.GradientTape() as tape:
            tape.watch(weights)
            ahead = [
                self._network(chain.estimator, link.joint_params, agent_index, weights)[..., 0] for link in chain.links
            ]
            targets = map(tf.stop_gradient, self.targets(values, ahead))
            errors = tf.stack([target - guess for target, guess in zip(targets, ahead)], axis=-1)
            objective = -0.5 * tf.reduce_sum(tf.reduce_mean(tf.square(errors), axis=[1, 2]))
        found = MetaParams(zeros.initial, tuple(
            tf.broadcast_to(leaf[:, tf.newaxis], like.shape)
            for leaf, like in zip(tape.gradient(objective, weights), zeros.update)
        ))
        return MetaGradients(found, zeros, zeros)

    def targets(self, values: Sequence[tf.Tensor], ahead: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """G_0..G_L from Vⁱ and U at the links 0..L, all [S, N]; after the last link, U is trusted."""
        found = [ahead[-1]]
        for value, following, guess in zip(values[-2::-1], values[:0:-1], ahead[:0:-1]):
            later = (1.0 - self._trace_decay) * guess + self._trace_decay * found[0]
            found.insert(0, self._discount * (following - value + later))
        return found
