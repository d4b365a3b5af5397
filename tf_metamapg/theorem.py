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

import functools
from typing import Any
from typing import NamedTuple

import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg.contracts import MetaGradients
from tf_metamapg.contracts import MetaParams


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


def meta_gradients(estimator, chain, agent_index, value_weights):
    """The three terms of Theorem 1, averaged over tasks.

    Args:
        estimator: the estimator that the chain was made with. It also says which reading of the
            inner update is differentiated, see `estimators/`.
        chain: Chain of L + 1 links.
        agent_index: i, the agent whose meta-value is differentiated.
        value_weights: w_0..w_L.

    Returns:
        MetaGradients, derivatives with respect to the initial parameters and the inner learning rates of
        agent i. What link 0 itself is worth (w_0) is the derivative of a policy that has not been
        updated, and is part of `current_policy`.

    Raises:
        InvalidInputError: if the chain was made with another estimator or has no such agent, or if there is not one
            finite weight for each link.
    """
    arguments.check_chain(estimator, chain, agent_index)
    is_sequence = isinstance(value_weights, (list, tuple)) and len(value_weights) == len(chain.links)
    checks.check(is_sequence, "value_weights", value_weights, f"a list of {len(chain.links)}, one for each link")
    for index, weight in enumerate(value_weights):
        checks.check_number(f"value_weights[{index}]", weight)
    own, last = agent_index, len(chain.links) - 1
    worth_of_link = chain.compile_fn(functools.partial(_worth_of_link, estimator, chain.agents, own))
    worth, rate_gradients = None, []  # of each step, from the last to the first
    for index, link in reversed(list(enumerate(chain.links))):
        weight = tf.constant(value_weights[index], estimator.game.dtype) if value_weights[index] else None
        rates = tuple(of_agent[:, index] for of_agent in chain.inner_learning_rates) if index < last else None
        worth, of_rates = worth_of_link(chain.tasks, link, weight, rates, worth, is_first=index == 0)
        if index < last:
            rate_gradients.append(of_rates)

    return MetaGradients(
        *(
            MetaParams(_mean_over_tasks(of_term, link.joint_params[own]), rate_gradient)
            for of_term, rate_gradient in zip(worth.own, _by_term(rate_gradients, chain, own))
        )
    )


class _Worth(NamedTuple):
    """What a link is worth to agent i: derivatives of what it gets there and later.

    As with a GradientTape, None says that there is no dependence.
    """

    own: tuple[Any, ...]  # in its own parameters: for each term of the theorem, leaves [S, N, ...]
    opponents: Any  # in the parameters of every agent but i: leaves [S, N, ...]
    value: tf.Tensor  # [S, N], what it gets


def _worth_of_link(estimator, agents, own, tasks, link, weight, rates, worth_of_next, is_first):
    """One step of the recursion, from link l + 1 to link l.

    Args:
        estimator, agents, own: see `meta_gradients`.
        tasks: the tasks, with leading axes [S, N].
        link: Link l.
        weight: w_l; None for zero.
        rates: tuple over agents of tensors [S], the inner learning rates between l and l + 1; None at the
            last link.
        worth_of_next: the _Worth of link l + 1; None at the last link.
        is_first: whether nothing comes before the link, so that nobody asks what the opponents are worth.

    Returns:
        (_Worth, derivatives in the agent's own rate: a list over terms of tensors [S], None at the last link).
    """
    value = tf.zeros(link.joint_params[own][0].shape[:2], estimator.game.dtype)
    with tf.GradientTape(persistent=True) as outer_tape:
        outer_tape.watch(link.joint_params)
        objectives = adaptation.Objectives(estimator, tasks, link)
        # Through the samples, through agent i's own parameters, and through its opponents'.
        through = [tf.zeros([], value.dtype)] * len(MetaGradients._fields)
        if rates is not None:
            outer_tape.watch(rates[own])
            updated = adaptation.inner_update(objectives, agents, rates)
            value += worth_of_next.value
            score = estimator.current_policy_objective(link.joint_params, link.sample, own, value)
            through = [_inner_product(of_term, updated[own]) for of_term in worth_of_next.own]
            through[0] += tf.reduce_sum(score)
            of_opponents = tuple(params for agent, params in enumerate(updated) if agent != own)
            through[2] += sum(map(_inner_product, worth_of_next.opponents, of_opponents))
        if weight is not None:
            value += weight * estimator.values(link.joint_params, tasks, link.sample)[own]
            through[0 if is_first else 1] += weight * tf.reduce_sum(objectives.by_agent[own])
    # One pass backwards for each term, as each is long.
    sources = {"own": link.joint_params[own], "rates": () if rates is None else rates[own]}
    if not is_first:
        sources["opponents"] = tuple(params for agent, params in enumerate(link.joint_params) if agent != own)
    of_terms = [outer_tape.gradient(part, sources) for part in through]
    if rates is None:
        # Nobody is shaped at the last link. Zeros in place of None, so that all links before it are compiled as one.
        of_terms[2] = tf.nest.map_structure(tf.zeros_like, sources)
    worth = _Worth(
        own=tuple(of_term["own"] for of_term in of_terms),
        opponents=None if is_first else _sum(of_terms[1]["opponents"], of_terms[2]["opponents"]),
        value=value,
    )
    if rates is None:
        return worth, None
    return worth, [tf.zeros_like(rates[own]) if term["rates"] is None else term["rates"] for term in of_terms]


def _sum(structure, other):
    """The sum of two structures of gradients, in which None is zero."""
    flat = [
        one if another is None else another if one is None else one + another
        for one, another in zip(tf.nest.flatten(structure), tf.nest.flatten(other))
    ]
    return tf.nest.pack_sequence_as(structure, flat)


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


def _by_term(rate_gradients, chain, agent_index):
    """Sums over tasks [S], by step from the last to the first and by term → means [S, L] of each term."""
    n_tasks = chain.links[0].joint_params[agent_index][0].shape[1]
    if not rate_gradients:
        return [tf.zeros_like(chain.inner_learning_rates[agent_index])] * len(MetaGradients._fields)
    return [tf.stack(of_term[::-1], axis=1) / n_tasks for of_term in zip(*rate_gradients)]
