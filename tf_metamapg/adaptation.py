"""The inner update of every agent (Eq. 3), and chains of them.

This is the only place where agents adapt: meta-training, meta-validation and meta-testing, the steps that an agent
looks ahead to, with two agents or five, exact or sampled, all come here.
"""

from collections.abc import Callable
from collections.abc import Sequence
import functools
from typing import Any
from typing import NamedTuple

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import carrying
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.links import Link
from tf_metamapg.links import Objectives
from tf_metamapg.links import sampling
from tf_metamapg.numerics import structures


@descriptions.described
class Chain(NamedTuple):
    """θ = φ_0 → φ_1 → … → φ_L with all that is needed to differentiate it again."""

    estimator: contracts.Estimator  # as `adapt` got it
    agents: tuple[contracts.Agent, ...]  # one for each agent of the game
    update_params: tuple[Structure, ...]  # for each agent what its updates are made with, leaves [S, max(L, 1), ...]
    tasks: Structure  # leading axes [S, N]
    links: tuple[Link, ...]  # L + 1 of them
    compile_fn: Callable[..., Any]  # as `adapt` got it


def identity(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself: nothing is compiled."""
    return function


def inner_update(
    objectives: Objectives, agents: Sequence[contracts.Agent], step_params: Sequence[Structure]
) -> tuple[AgentState, ...]:
    """One update of every agent: Eq. 3 for agents that follow their policy gradient.

    Args:
        objectives: Objectives at φ_l.
        agents: one for each agent of the game.
        step_params: for each agent what this update is made with, leaves [S, ...]; see `at_step`.

    Returns:
        the agents' states at φ_{l+1}, leaves [S, N, ...], differentiable with respect to `step_params` and to the
        states of every agent at φ_l.

    Raises:
        InvalidInputError: if one of these is something else.
    """
    checks.check(isinstance(objectives, Objectives), "objectives", objectives, "Objectives")
    n_agents = len(objectives.by_agent)
    check_agents("agents", agents, n_agents)
    checks.check_length("step_params", step_params, n_agents)
    policies, link = objectives.estimator.policies, objectives.link
    following = []
    for index, (agent, state, own_params) in enumerate(zip(agents, link.agent_states, step_params)):
        updated = agent.update(state, objectives, index, own_params)
        _check_following(agent, state, updated)
        following.append(carrying.carried_on(policies[index], updated, state, link.sample, index))
    return tuple(following)


def at_step(update_params: Structure, step: int | tf.Tensor) -> Structure:
    """What one update is made with: leaves [S, number of steps, ...] → [S, ...]; steps beyond are as the last one."""
    return tf.nest.map_structure(lambda leaf: leaf[:, tf.minimum(step, leaf.shape[1] - 1)], update_params)


def for_each_task(joint_params: JointParams, n_tasks: int) -> JointParams:
    """Parameters that all tasks of a seed start from: leaves [S, ...] → [S, N, ...].

    Raises:
        InvalidInputError: if a leaf is no tensor or has no axis, or `n_tasks` is no integer ≥ 1.
    """
    checks.check_integer("n_tasks", n_tasks, minimum=1)
    is_right = all(descriptions.is_array(leaf) and len(leaf.shape) > 0 for leaf in tf.nest.flatten(joint_params))
    checks.check(is_right, "joint_params", joint_params, "tuples of tensors [S, ...], as initial_params returns them")
    return tf.nest.map_structure(lambda leaf: tf.repeat(leaf[:, tf.newaxis], n_tasks, axis=1), joint_params)


def init_update_params(
    agents: Sequence[contracts.Agent], estimator: contracts.Estimator, n_seeds: int, chain_length: int
) -> tuple[Structure, ...]:
    """For each agent what it begins to learn its updates with: leaves [S, max(L, 1), ...], () where it does not."""
    return tuple(
        agent.init_update(estimator, agent_index, n_seeds, chain_length) for agent_index, agent in enumerate(agents)
    )


def adapt(
    estimator: contracts.Estimator, agents: Sequence[contracts.Agent], initial_params: JointParams, tasks: Structure,
    keys: Sequence[tf.Tensor] | tf.Tensor, *, update_params: Sequence[Structure] | None = None,
    critic_params: JointParams = (), compile_fn: Callable[..., Any] = identity,
) -> Chain:
    """Lets all agents learn together from their initial policies.

    Args:
        estimator: one of `estimators/`.
        agents: one of `agents/` for each agent of the game.
        initial_params: JointParams θ with leaves [S, N, ...]; see `for_each_task`.
        tasks: the tasks, with leading axes [S, N].
        keys: L + 1 int64 tensors [S, 2], one for every link; their number sets the chain length L.
        update_params: for each agent what its updates are made with, leaves [S, max(L, 1), ...]; by default as
            the agents begin.
        critic_params: parameters of the estimator's critic, leaves [S, N, ...]; see `SampledEstimator.sample`.
        compile_fn: what is applied to every function that does the work of one link, here and in the
            meta-gradient, such as a `tf.function` with `jit_compile`. All links share what has been compiled, so
            that a longer chain does not take longer to compile. Functions are made by `functools.partial` of
            what stays the same, so that what has been compiled once can be found again.

    Returns:
        Chain of L + 1 links, differentiable with respect to `initial_params` and `update_params`.

    Raises:
        InvalidInputError: if one of these is something else, or of another dtype or shape.
    """
    contracts.check_kind("estimator", estimator, contracts.Estimator, "an estimator, such as ExactEstimator(...)")
    check_agents("agents", agents, estimator.spec.n_agents)
    initial_params = arguments.joint_params("initial_params", initial_params, estimator.policies)
    n_seeds, n_tasks = arguments.seeds_and_tasks(initial_params)
    tasks = arguments.tasks("tasks", tasks, estimator, [n_seeds, n_tasks])
    keys = arguments.keys_of_links("keys", keys, n_seeds)
    checks.check(len(keys) > 0, "keys", keys, "keys for each of L + 1 links")
    if update_params is None:
        update_params = init_update_params(agents, estimator, n_seeds, len(keys) - 1)
    checks.check_length("update_params", update_params, len(agents))
    for index, structure in enumerate(update_params):
        if tf.nest.flatten(structure):
            arguments.check_leading(f"update_params[{index}]", structure, [n_seeds, max(len(keys) - 1, 1)])
    checks.check(callable(compile_fn), "compile_fn", compile_fn, "a function of functions, such as tf.function")
    states = initial_states(agents, initial_params, estimator)
    links = extend(
        estimator, agents, update_params, tasks, states, keys, critic_params=critic_params, compile_fn=compile_fn
    )
    return Chain(estimator, tuple(agents), tuple(update_params), tasks, links, compile_fn)


def initial_state(
    agent: contracts.Agent, params: Params, estimator: contracts.Estimator, agent_index: int
) -> AgentState:
    """The state of one agent at the first link of a chain, where it carries nothing, from parameters [S, N, ...]."""
    return agent.init(carrying.at_first_link(estimator, agent_index, params), estimator, agent_index)


def initial_states(
    agents: Sequence[contracts.Agent], joint_params: JointParams, estimator: contracts.Estimator
) -> tuple[AgentState, ...]:
    """The states of all agents at the first link of a chain, from their initial parameters [S, N, ...]."""
    states = []
    for agent_index, (agent, params) in enumerate(zip(agents, joint_params)):
        state = initial_state(agent, params, estimator, agent_index)
        name = f"{type(agent).__name__}.init(...)"
        checks.check(isinstance(state, AgentState), name, state, "an AgentState")
        sizes = arguments.seeds_and_tasks(params)
        for index, leaf in enumerate(tf.nest.flatten(state.extra)):
            # Derivatives pass through all of it.
            arguments.check_leading(f"{name}.extra, leaf {index},", leaf, sizes, params[0].dtype.name)
        states.append(state)
    return tuple(states)


def extend(
    estimator: contracts.Estimator, agents: Sequence[contracts.Agent], update_params: Sequence[Structure],
    tasks: Structure, agent_states: Sequence[AgentState], keys: Sequence[tf.Tensor], *, critic_params: JointParams = (),
    compile_fn: Callable[..., Any] = identity,
) -> tuple[Link, ...]:
    """The links of a chain from given states of all agents on; see `adapt` for the arguments.

    Returns:
        tuple of as many Links as there are keys.
    """
    sample = sampling(estimator, compile_fn)
    update = compiled_update(functools.partial(_update, estimator, tuple(agents)), estimator, agents, compile_fn)
    links: list[Link] = []
    for step, link_keys in enumerate(keys):
        if links:
            step_params = tuple(at_step(params, step - 1) for params in update_params)
            agent_states = update(links[-1], tasks, step_params)
        links.append(sample(agent_states, tasks, link_keys, critic_params))
    return tuple(links)


def _update(
    estimator: contracts.Estimator, agents: Sequence[contracts.Agent], link: Link, tasks: Structure,
    step_params: Sequence[Structure],
) -> tuple[AgentState, ...]:
    return inner_update(Objectives(estimator, tasks, link), agents, step_params)


def compiled_update(
    function: Callable[..., Any], estimator: contracts.Estimator, agents: Sequence[contracts.Agent],
    compile_fn: Callable[..., Any],
) -> Callable[..., Any]:
    """A function in which all agents update, compiled unless one of them lets others play outside of the graph."""
    plays_outside = not estimator.in_graph and any(agent.plays_ahead for agent in agents)
    return function if plays_outside else compile_fn(function)


def _check_following(agent: contracts.Agent, state: AgentState, following: Any) -> None:
    """Raises `InvalidInputError` unless an agent's state after an update is like that before it."""
    name = f"{type(agent).__name__}.update(...)"
    leaves, own_leaves = tf.nest.flatten(following), tf.nest.flatten(state)
    if isinstance(following, AgentState) and len(leaves) == len(own_leaves):
        for index, (leaf, before) in enumerate(zip(leaves, own_leaves)):
            own, like = map(structures.specs, (leaf, before))
            allowed = f"{descriptions.describe(before)}, like that of the state before it"
            checks.check(own == like, f"{name}, leaf {index},", leaf, allowed)
    is_alike = isinstance(following, AgentState) and structures.specs(following) == structures.specs(state)
    checks.check(
        is_alike, name, descriptions.Text(f"{len(leaves)} tensors, {descriptions.describe(following, longest=100)}"),
        f"of the structure of the state before it, {len(own_leaves)} tensors, "
        f"{descriptions.describe(state, longest=100)}",
    )


def check_chain(chain: Chain, agent_index: int) -> None:
    """Raises `InvalidInputError` unless a chain is one, of a game that has such an agent."""
    checks.check(isinstance(chain, Chain), "chain", chain, "a Chain, such as adapt returns")
    checks.check_agent_index("agent_index", agent_index, len(chain.agents))


def check_agents(parameter: str, agents: Sequence[contracts.Agent], n_agents: int) -> None:
    """Raises `InvalidInputError` unless there is one agent for each agent of the game."""
    checks.check_length(parameter, agents, n_agents)
    for index, agent in enumerate(agents):
        contracts.check_kind(f"{parameter}[{index}]", agent, contracts.Agent, "an agent, such as MetaMAPG()")
