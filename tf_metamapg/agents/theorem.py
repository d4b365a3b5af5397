"""Theorem 1 of Kim et al. 2020 (Eq. 7): the meta-gradient of one agent, term by term.

The meta-value of agent i is Σ_l w_l Vⁱ(φ_l) along the chain θ = φ_0 → φ_1 → … → φ_L. Its derivative with
respect to θⁱ is built from the last link to the first. Write A^k = ∂(value of the later links)/∂φ_{l+1}^k
for what agent k's parameters at the next link are worth to agent i. An outer tape around the inner
updates of all agents at link l turns it into what the parameters at link l are worth:

    ∂/∂φ_l [ w_l Vⁱ(φ_l) + Σ_k ⟨A^k, φ_{l+1}^k(φ_l)⟩ ]

The part that only ever passed through agent i's own parameters is self-shaping: every opponent was held
constant at every link. The rest passed through the parameters of an opponent: opponent-shaping. For
L = 1 these are ∂Vⁱ/∂φⁱ · dφⁱ/dθⁱ and Σ_{j≠i} ∂Vⁱ/∂φ^j · dφ^j/dθⁱ.
"""

import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg.agents.policy_gradient import PolicyGradient
from tf_metamapg.types import MetaGradients


def mean_over_chain(chain_length):
    """The weights w_0..w_L of a meta-value that is the mean over the links 1..L.

    A chain without inner updates has nothing but its link 0: the ordinary value.
    """
    if chain_length == 0:
        return (1.0,)
    return (0.0,) + (1.0 / chain_length,) * chain_length


def last_link(chain_length):
    """The weights w_0..w_L of a meta-value that is the value after the last inner update."""
    return (0.0,) * chain_length + (1.0,)


class MetaAgent(PolicyGradient):
    """An agent that learns where to start; it adapts by policy gradient like every other agent."""

    learns_initial_policy = True

    def __init__(self, inner_learning_rate=1.0, value_weights=mean_over_chain):
        """
        Args:
            inner_learning_rate: α ≥ 0, the step on the discounted, unnormalised value.
            value_weights: function of the chain length L that returns the weights w_0..w_L of the
                meta-value: `mean_over_chain` or `last_link`.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(inner_learning_rate)
        checks.check(
            callable(value_weights), f"{type(self).__name__}.value_weights", value_weights,
            "a function of the chain length",
        )
        self._value_weights = value_weights

    def theorem_1(self, estimator, chain, agent_index):
        """All three terms of Theorem 1 for this agent's meta-value; see `meta_gradients`."""
        return meta_gradients(estimator, chain, agent_index, self._value_weights(len(chain.links) - 1))


def meta_gradients(estimator, chain, agent_index, value_weights):
    """The three terms of Theorem 1, averaged over tasks.

    Args:
        estimator: the estimator that the chain was made with. It also says which reading of the
            inner update is differentiated, see `estimators/`.
        chain: Chain of L + 1 links.
        agent_index: i, the agent whose meta-value is differentiated.
        value_weights: w_0..w_L.

    Returns:
        MetaGradients with leaves [S, ...], derivatives with respect to the initial parameters of
        agent i. What link 0 itself is worth (w_0) is the derivative of a policy that has not been
        updated, and is part of `current_policy`.
    """
    own = agent_index
    opponents = [agent for agent in range(len(chain.learners)) if agent != own]

    # What the parameters of the next link are worth to agent i: its own by the term they belong to,
    # and its opponents'. As with a GradientTape, None says that there is no dependence.
    nothing = tf.nest.map_structure(lambda leaf: None, chain.links[0].joint_params)
    current_policy = self_shaping = opponent_shaping = nothing[own]
    opponents_worth = nothing
    later_value = tf.zeros(chain.links[0].joint_params[own][0].shape[:2], estimator.game.dtype)

    for index, link in reversed(list(enumerate(chain.links))):
        with tf.GradientTape(persistent=True) as outer_tape:
            outer_tape.watch(link.joint_params)
            updated = adaptation.inner_update(
                estimator, chain.learners, link.joint_params, chain.tasks, link.trajectory
            )
            objective = estimator.objectives(link.joint_params, chain.tasks, link.trajectory)[own]
            value = value_weights[index] * tf.reduce_sum(objective)
            score = estimator.current_policy_objective(
                link.joint_params, link.trajectory, own, later_value
            )
            through_samples = _inner_product(current_policy, updated[own]) + tf.reduce_sum(score)
            through_own = _inner_product(self_shaping, updated[own])
            if index == 0:
                through_samples += value
            else:
                through_own += value
            through_opponents = _inner_product(opponent_shaping, updated[own]) + sum(
                _inner_product(opponents_worth[agent], updated[agent]) for agent in opponents
            )
            through_all = through_own + through_opponents
        current_policy = outer_tape.gradient(through_samples, link.joint_params[own])
        self_shaping = outer_tape.gradient(through_own, link.joint_params[own])
        opponent_shaping = outer_tape.gradient(through_opponents, link.joint_params[own])
        opponents_worth = outer_tape.gradient(through_all, link.joint_params)
        later_value += value_weights[index] * estimator.values(link.joint_params, chain.tasks, link.trajectory)[own]

    return MetaGradients(
        *(_mean_over_tasks(term, link.joint_params[own]) for term in (current_policy, self_shaping, opponent_shaping))
    )


def _inner_product(worth, params):
    """Σ over everything; zero where `worth` is None."""
    products = [
        tf.reduce_sum(tf.stop_gradient(leaf_worth) * leaf)
        for leaf_worth, leaf in zip(worth, params)
        if leaf_worth is not None
    ]
    return tf.add_n(products) if products else tf.zeros([], params[0].dtype)


def _mean_over_tasks(gradients, params):
    """[S, N, ...] → [S, ...]; zeros where a gradient is None."""
    return tuple(
        tf.zeros_like(leaf[:, 0]) if gradient is None else tf.reduce_mean(gradient, axis=1)
        for gradient, leaf in zip(gradients, params)
    )
