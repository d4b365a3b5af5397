"""Theorem 1 of Kim et al. 2020 (Eq. 7): the meta-gradient of one agent, term by term.

The meta-value of agent i is Σ_l w_l Vⁱ(φ_l) along the chain θ = φ_0 → φ_1 → … → φ_L. Its derivative with respect to
θⁱ is built from the last link to the first. The cotangents of a link are the gradients of what agent i gets there and
later with respect to the agents' states at that link; an outer tape around the inner updates of all agents turns those
of link l + 1 into those of link l:

    current policy     Σ score       + ⟨next.current_policy, φ'ᵢ⟩
    self-shaping       w_l Vⁱ        + ⟨next.self_shaping, φ'ᵢ⟩
    opponent-shaping   Σ_j≠i ⟨next.opponents, φ'ⱼ⟩ + ⟨next.opponent_shaping, φ'ᵢ⟩

where φ' are the states after the update, as functions of those before it. What only ever passed through agent i's own
state is self-shaping: every opponent was held constant at every link. What passed through the state of an opponent,
once at least, is opponent-shaping. For L = 1 these are ∂Vⁱ/∂φⁱ · dφⁱ/dθⁱ and Σ_{j≠i} ∂Vⁱ/∂φʲ · dφʲ/dθⁱ. At link 0,
w_0 Vⁱ is the value of a policy that has not been updated, and is counted as current policy.
"""

from collections.abc import Callable
from collections.abc import Sequence
import functools
from typing import NamedTuple

import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import MetaGradients
from tf_metamapg.contracts import MetaParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure


def mean_over_chain(chain_length: int) -> tuple[float, ...]:
    """The weights w_0..w_L of a meta-value that is the mean over the links 1..L.

    A chain without inner updates has nothing but its link 0: the ordinary value.
    """
    if chain_length == 0:
        return (1.0,)
    return (0.0,) + (1.0 / chain_length,) * chain_length


def last_link(chain_length: int) -> tuple[float, ...]:
    """The weights w_0..w_L of a meta-value that is the value after the last inner update."""
    return (0.0,) * chain_length + (1.0,)


def sum_over_chain(chain_length: int) -> tuple[float, ...]:
    """The weights w_0..w_L of a meta-value that is the sum over all links, that before the first update included."""
    return (1.0,) * (chain_length + 1)


def chain_weights(
    parameter: str, value_weights: Callable[[int], Sequence[float]], chain_length: int
) -> Sequence[float]:
    """The weights w_0..w_L that a function of the chain length L gives.

    Raises:
        InvalidInputError: if it gives another number of weights; it says so of `parameter`.
    """
    weights = value_weights(chain_length)
    is_sequence = isinstance(weights, (list, tuple)) and len(weights) == chain_length + 1
    checks.check(is_sequence, parameter, value_weights, "a function of L that returns L + 1 weights")
    return weights


class Cotangents(NamedTuple):
    """Gradients of agent i's remaining meta-value with respect to what a link holds.

    As with a GradientTape, None says that there is no dependence.
    """

    current_policy: Structure  # in the state of agent i, for each term of the theorem: leaves [S, N, ...]
    self_shaping: Structure
    opponent_shaping: Structure
    opponents: tuple[Structure, ...]  # of all terms, in the states of all agents but i
    value: tf.Tensor  # [S, N], the remaining meta-value


def meta_gradients(chain: adaptation.Chain, agent_index: int, value_weights: Sequence[float]) -> MetaGradients:
    """The three terms of Theorem 1, averaged over tasks.

    Args:
        chain: Chain of L + 1 links. Its estimator says what the inner update is a function of, see `estimators/`.
        agent_index: i, the agent whose meta-value is differentiated.
        value_weights: w_0..w_L.

    Returns:
        MetaGradients, derivatives with respect to the initial parameters of agent i and to what its updates are made
        with.

    Raises:
        InvalidInputError: if the chain has no such agent, or if there is not one finite weight for each link.
    """
    adaptation.check_chain(chain, agent_index)
    is_sequence = isinstance(value_weights, (list, tuple)) and len(value_weights) == len(chain.links)
    checks.check(is_sequence, "value_weights", value_weights, f"a list of {len(chain.links)}, one for each link")
    for index, weight in enumerate(value_weights):
        checks.check_number(f"value_weights[{index}]", weight)

    at_last_link = chain.compile_fn(functools.partial(_last_link, chain.estimator, own=agent_index))
    at_inner_link = adaptation.compiled_update(
        functools.partial(_inner_link, chain.estimator, chain.agents, own=agent_index), chain.estimator, chain.agents,
        chain.compile_fn,
    )
    # No weight, in place of one that is zero, spares a derivative.
    weights = [tf.constant(weight, chain.estimator.spec.dtype) if weight else None for weight in value_weights]
    cotangents = at_last_link(chain.tasks, chain.links[-1], weights[-1])
    by_step: list[Structure] = []  # by update, for each term, gradients in what the update is made with
    for step in reversed(range(len(chain.links) - 1)):
        step_params = tuple(adaptation.at_step(params, step) for params in chain.update_params)
        cotangents, step_gradients = at_inner_link(
            chain.tasks, chain.links[step], weights[step], step_params, cotangents, is_first=step == 0
        )
        by_step.insert(0, step_gradients)

    current_policy, self_shaping = cotangents.current_policy, cotangents.self_shaping
    if not by_step:  # The value of a policy that is not updated is that of the current policy.
        current_policy, self_shaping = self_shaping, current_policy
    terms = current_policy, self_shaping, cotangents.opponent_shaping
    return MetaGradients(*(
        MetaParams(_in_initial_params(chain, agent_index, term), _in_update_params(chain, agent_index, gradients))
        for term, gradients in zip(terms, zip(*by_step) if by_step else [()] * len(terms))
    ))


def _last_link(
    estimator: contracts.Estimator, tasks: Structure, link: links.Link, weight: tf.Tensor | None, *, own: int
) -> Cotangents:
    """The Cotangents of the last link, where nobody is shaped any more: those of w_L Vⁱ."""
    with tf.GradientTape() as outer_tape:
        outer_tape.watch(link.agent_states)
        value, objective = _weighted_value(estimator, own, tasks, link, weight)
    own_state, opponents = _split(link.agent_states, own)
    # Zeros, where there is no dependence, let all links before this one be compiled as one.
    gradient, opponent_gradients = outer_tape.gradient(objective, (own_state, opponents), unconnected_gradients="zero")
    none = tf.nest.map_structure(lambda leaf: None, own_state)
    return Cotangents(none, gradient, tf.nest.map_structure(tf.zeros_like, own_state), opponent_gradients, value)


def _inner_link(
    estimator: contracts.Estimator, agents: Sequence[contracts.Agent], tasks: Structure, link: links.Link,
    weight: tf.Tensor | None, step_params: Sequence[Structure], following: Cotangents, *, own: int, is_first: bool,
) -> tuple[Cotangents, Structure]:
    """One step of the recursion, from link l + 1 to link l.

    Args:
        estimator, agents: of the chain.
        tasks: the tasks, with leading axes [S, N].
        link: Link l.
        weight: w_l; None for zero.
        step_params: for each agent what its update between l and l + 1 is made with, leaves [S, ...].
        following: the Cotangents of link l + 1.
        own: i.
        is_first: whether nothing comes before the link, so that nobody asks for cotangents of the opponents.

    Returns:
        (Cotangents of link l, for each term the gradients in the agent's own `step_params`).
    """
    with tf.GradientTape(persistent=True) as outer_tape:
        outer_tape.watch((link.agent_states, step_params[own]))
        objectives = links.Objectives(estimator, tasks, link)
        updated, updated_opponents = _split(adaptation.inner_update(objectives, agents, step_params), own)
        score = estimator.current_policy_objective(link.joint_params, link.sample, own, following.value)
        value, own_value = _weighted_value(estimator, own, tasks, link, weight, objectives)

        current = tf.reduce_sum(score) + _inner_product(following.current_policy, updated)
        self_shaping = _inner_product(following.self_shaping, updated)
        opponent_shaping = (
            _inner_product(following.opponent_shaping, updated)
            + _inner_product(following.opponents, updated_opponents)
        )
        if is_first:
            current += own_value
        else:
            self_shaping += own_value

    own_state, opponents = _split(link.agent_states, own)
    sources = (own_state, step_params[own], () if is_first else opponents)
    # One pass backwards for each term, as each is long.
    own_gradients, step_gradients, opponent_gradients = zip(
        *(outer_tape.gradient(term, sources) for term in (current, self_shaping, opponent_shaping))
    )
    by_term = dict(zip(("current_policy", "self_shaping", "opponent_shaping"), own_gradients))
    return Cotangents(**by_term, opponents=_sum(opponent_gradients), value=following.value + value), step_gradients


def _weighted_value(
    estimator: contracts.Estimator, own: int, tasks: Structure, link: links.Link, weight: tf.Tensor | None,
    objectives: links.Objectives | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """(w Vⁱ [S, N], what its derivative is that of); zeros, of which there is none, without a weight."""
    if weight is None:
        zeros = tf.zeros(tf.nest.flatten(link.agent_states[own])[0].shape[:2], estimator.spec.dtype)
        return zeros, tf.zeros([], zeros.dtype)
    objectives = objectives or links.Objectives(estimator, tasks, link)
    values = estimator.values(link.joint_params, tasks, link.sample)
    return weight * values[own], weight * tf.reduce_sum(objectives.by_agent[own])


def _split(states: Sequence[AgentState], own: int) -> tuple[AgentState, tuple[AgentState, ...]]:
    """(the state of agent i, those of all others)."""
    return states[own], tuple(state for index, state in enumerate(states) if index != own)


def _inner_product(cotangents: Structure, structure: Structure) -> tf.Tensor:
    """Σ over everything; leaves whose cotangent is None count nothing."""
    products = [
        tf.reduce_sum(tf.stop_gradient(cotangent) * leaf)
        for cotangent, leaf in zip(tf.nest.flatten(cotangents), tf.nest.flatten(structure))
        if cotangent is not None
    ]
    return tf.add_n(products) if products else tf.zeros([], tf.nest.flatten(structure)[0].dtype)


def _sum(structures: Sequence[Structure]) -> Structure:
    """The sum of structures of gradients, in which None is zero."""
    def total(*gradients: tf.Tensor | None) -> tf.Tensor | None:
        present = [gradient for gradient in gradients if gradient is not None]
        return tf.add_n(present) if present else None

    return tf.nest.map_structure(total, *structures)


def _in_initial_params(chain: adaptation.Chain, own: int, cotangents: Structure) -> Params:
    """From the state at link 0 to the initial parameters, which all tasks share: Params with leaves [S, ...]."""
    params = chain.links[0].agent_states[own].params
    with tf.GradientTape() as tape:
        tape.watch(params)
        product = _inner_product(cotangents, adaptation.initial_state(chain.agents[own], params, chain.estimator, own))
    gradients = tape.gradient(product, params, unconnected_gradients="zero")
    return tuple(tf.reduce_mean(gradient, axis=1) for gradient in gradients)


def _in_update_params(chain: adaptation.Chain, own: int, by_step: Sequence[Structure]) -> Structure:
    """From what each update is made with, by step, to what all are made with: leaves [S, max(L, 1), ...]."""
    n_tasks = chain.links[0].agent_states[own].params[0].shape[1]

    def gather(leaf: tf.Tensor, *gradients: tf.Tensor | None) -> tf.Tensor:
        n_slices = leaf.shape[1]
        slices = [tf.zeros_like(leaf[:, 0])] * n_slices
        for step, gradient in enumerate(gradients):
            if gradient is not None:
                slices[min(step, n_slices - 1)] += gradient / n_tasks
        return tf.stack(slices, axis=1)

    return tf.nest.map_structure(gather, chain.update_params[own], *by_step)
