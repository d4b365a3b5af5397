"""The inner update of every agent (Eq. 3), and chains of them.

This is the only place where agents adapt: meta-training, meta-validation and meta-testing, the steps that an agent
looks ahead to, with two agents or five, exact or sampled, all come here.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import random
from tf_metamapg.numerics import xla_gradients  # noqa: F401, so that what is compiled here can be differentiated three times


class DeadGradientError(RuntimeError):
    """An objective does not depend on its own agent's parameters: an error in a game, a policy or an estimator."""


@descriptions.described
class Link(NamedTuple):
    """One link φ_l of a chain, with what was sampled there."""

    agent_states: tuple[AgentState, ...]  # one for each agent, leaves [S, N, ...]
    sample: Structure  # as the estimator's `sample` returned it
    keys: tf.Tensor  # int64 [S, 2], what all random numbers of the link are drawn from
    critic_params: JointParams = ()  # as the estimator's `sample` got them

    @property
    def joint_params(self) -> JointParams:
        """φ_l of all agents, leaves [S, N, ...]."""
        return tuple(state.params for state in self.agent_states)

    def with_joint_params(self, joint_params: JointParams) -> "Link":
        """The same link with other parameters."""
        states = zip(self.agent_states, joint_params)
        return self._replace(agent_states=tuple(state._replace(params=params) for state, params in states))


@descriptions.described
class Chain(NamedTuple):
    """θ = φ_0 → φ_1 → … → φ_L with all that is needed to differentiate it again."""

    estimator: contracts.Estimator  # as `adapt` got it
    agents: tuple[contracts.Agent, ...]  # one for each agent of the game
    update_params: tuple[Structure, ...]  # for each agent what its updates are made with, leaves [S, max(L, 1), ...]
    tasks: Structure  # leading axes [S, N]
    links: tuple[Link, ...]  # L + 1 of them
    compile_fn: Callable  # as `adapt` got it


class Objectives(descriptions.Described):
    """The agents' objectives at a link as functions of the parameters of all agents, ready to be differentiated.

    What they have in common, such as log-probabilities and their sums over time, is computed once for all of them,
    and so is what comes back through it when one of their gradients is differentiated again.

    Attributes:
        estimator: the estimator of the chain.
        tasks: the tasks, with leading axes [S, N].
        link: Link at φ_l.
        by_agent: tuple over agents of tensors [S, N], Vⁱ(φ_l) or its surrogate.
    """

    def __init__(self, estimator: contracts.Estimator, tasks: Structure, link: Link):
        """Takes what stands above.

        Raises:
            InvalidInputError: if one of these is something else.
        """
        self.estimator = estimator
        self.tasks = tasks
        self.link = link = checked_link(estimator, link)
        with tf.GradientTape(persistent=True) as self._inner_tape:
            self._inner_tape.watch(link.joint_params)
            self.by_agent = estimator.objectives(link.joint_params, tasks, link.sample)

    def recompute(self) -> "Objectives":
        """The same, evaluated again under the active tape, which then records the objectives, too."""
        return Objectives(self.estimator, self.tasks, self.link)

    def gradients(self, agent_index: int, with_respect_to: int) -> Params:
        """∇_θ^j Vⁱ(θ). For j = i it is Eq. 1's policy gradient: the others are taken as they are.

        Args:
            agent_index: i, whose value.
            with_respect_to: j, whose parameters.

        Returns:
            Params of agent j with leaves [S, N, ...], differentiable with respect to the parameters of
            every agent so far as the estimator's objectives are.

        Raises:
            DeadGradientError: for j = i, if there is no dependence at all.
            InvalidInputError: if there are no such agents; for j ≠ i, if the estimator's objectives do not know of
                the others' parameters.
        """
        for name, index in (("agent_index", agent_index), ("with_respect_to", with_respect_to)):
            checks.check_agent_index(name, index, len(self.by_agent))
        objective, params = self.by_agent[agent_index], self.link.joint_params[with_respect_to]
        if with_respect_to == agent_index:
            return own_gradients(self._inner_tape, objective, params, agent_index)
        check_cross_derivatives(self.estimator)
        return self._inner_tape.gradient(objective, params, unconnected_gradients="zero")

    def entropy_gradients(self, agent_index: int) -> Params:
        """∇_θⁱ of the entropy of agent i's own actions, see `contracts.Estimator.entropies`.

        Returns:
            Params of agent i with leaves [S, N, ...], differentiable like `gradients`.
        """
        params = self.link.joint_params[agent_index]
        with tf.GradientTape() as tape:
            tape.watch(params)
            entropies = self.estimator.entropies(self.link.joint_params, self.tasks, self.link.sample)
        return own_gradients(tape, entropies[agent_index], params, agent_index)


def own_gradients(tape, objective, params, agent_index) -> Params:
    """The derivative of an agent's objective [S, N] in its own parameters, Params with leaves [S, N, ...].

    Raises:
        DeadGradientError: if there is no dependence at all.
    """
    gradients = tape.gradient(objective, params)
    if all(gradient is None for gradient in gradients):
        raise DeadGradientError(f"the objective of agent {agent_index} does not depend on its own parameters")
    return tuple(
        tf.zeros_like(leaf) if gradient is None else gradient for gradient, leaf in zip(gradients, params)
    )


def check_cross_derivatives(estimator) -> None:
    """Raises `InvalidInputError` unless an agent's objective knows of the others' parameters.

    With sampled inner updates such derivatives would silently be zero.
    """
    checks.check(
        estimator.inner_update == "expected", "estimator", estimator,
        "one of expected inner updates, such as ExactEstimator, DiceEstimator or LoadedDiceEstimator, for agents that "
        "look at the others' gradients",
    )


def sample_link(
    estimator: contracts.Estimator, agent_states: tuple[AgentState, ...], tasks: Structure, keys: tf.Tensor,
    critic_params: JointParams = (),
) -> Link:
    """The link at given states of all agents.

    Args:
        estimator: the estimator of the chain.
        agent_states: one for each agent, leaves [S, N, ...].
        tasks: the tasks, with leading axes [S, N].
        keys: int64 tensor [S, 2], other ones for every link.
        critic_params: parameters of the estimator's critic, see `SampledEstimator.sample`.

    Raises:
        InvalidInputError: if one of these is something else.
    """
    contracts.check_kind("estimator", estimator, contracts.Estimator, "an estimator")
    keys = arguments.keys("keys", keys)
    states = _checked_states("agent_states", agent_states, estimator.policies)
    link = Link(states, (), keys, critic_params)
    sample = estimator.sample(link.joint_params, tasks, random.sample_keys(keys), critic_params)
    return link._replace(sample=sample)


def checked_link(estimator, link: Link) -> Link:
    """The link, which must be one at which an estimator has objectives."""
    contracts.check_kind("estimator", estimator, contracts.Estimator, "an estimator")
    checks.check(isinstance(link, Link), "link", link, "a Link, such as sample_link returns")
    return link._replace(agent_states=_checked_states("link.agent_states", link.agent_states, estimator.policies))


def _checked_states(parameter, agent_states, policies):
    """The states of all agents, whose parameters must be those of their policies, with leaves [S, N, ...]."""
    checks.check_length(parameter, agent_states, len(policies))
    for index, state in enumerate(agent_states):
        is_state = isinstance(state, AgentState)
        checks.check(is_state, f"{parameter}[{index}]", state, "an AgentState, such as an agent's init returns")
    joint_params = arguments.joint_params(f"{parameter}.params", [state.params for state in agent_states], policies)
    return tuple(state._replace(params=params) for state, params in zip(agent_states, joint_params))


def inner_update(
    objectives: Objectives, agents: tuple[contracts.Agent, ...], step_params: tuple[Structure, ...]
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
    return tuple(
        agent.update(state, objectives, agent_index, own_params)
        for agent_index, (agent, state, own_params) in enumerate(
            zip(agents, objectives.link.agent_states, step_params)
        )
    )


def at_step(update_params: Structure, step: int) -> Structure:
    """What one update is made with: leaves [S, number of steps, ...] → [S, ...]; steps beyond are as the last one."""
    return tf.nest.map_structure(lambda leaf: leaf[:, min(step, leaf.shape[1] - 1)], update_params)


def identity(function):
    """The function itself: nothing is compiled."""
    return function


def for_each_task(joint_params: JointParams, n_tasks: int) -> JointParams:
    """Parameters that all tasks of a seed start from: leaves [S, ...] → [S, N, ...].

    Raises:
        InvalidInputError: if a leaf is no tensor or has no axis, or `n_tasks` is no integer ≥ 1.
    """
    checks.check_integer("n_tasks", n_tasks, minimum=1)
    is_right = all(descriptions.is_array(leaf) and len(leaf.shape) > 0 for leaf in tf.nest.flatten(joint_params))
    checks.check(is_right, "joint_params", joint_params, "tuples of tensors [S, ...], as initial_params returns them")
    return tf.nest.map_structure(lambda leaf: tf.repeat(leaf[:, tf.newaxis], n_tasks, axis=1), joint_params)


def init_update_params(agents, estimator, n_seeds: int, chain_length: int) -> tuple[Structure, ...]:
    """For each agent what it begins to learn its updates with: leaves [S, max(L, 1), ...], () where it does not."""
    return tuple(
        agent.init_update(estimator, agent_index, n_seeds, chain_length) for agent_index, agent in enumerate(agents)
    )


def adapt(
    estimator: contracts.Estimator, agents: tuple[contracts.Agent, ...], initial_params: JointParams,
    tasks: Structure, keys, *, update_params: tuple[Structure, ...] | None = None,
    critic_params: JointParams = (), compile_fn: Callable = identity,
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
            that a longer chain does not take longer to compile.

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


def initial_states(agents, joint_params: JointParams, estimator) -> tuple[AgentState, ...]:
    """The states of all agents at the first link of a chain, from their initial parameters [S, N, ...]."""
    return tuple(
        agent.init(params, estimator, agent_index)
        for agent_index, (agent, params) in enumerate(zip(agents, joint_params))
    )


def extend(estimator, agents, update_params, tasks, agent_states, keys, *, critic_params=(), compile_fn=identity):
    """The links of a chain from given states of all agents on; see `adapt` for the arguments.

    Returns:
        tuple of as many Links as there are keys.
    """
    sample = sampling(estimator, compile_fn)
    update = compile_fn(
        lambda link, tasks, step_params: inner_update(Objectives(estimator, tasks, link), agents, step_params)
    )
    links = []
    for step, link_keys in enumerate(keys):
        if links:
            step_params = tuple(at_step(of_agent, step - 1) for of_agent in update_params)
            agent_states = update(links[-1], tasks, step_params)
        links.append(sample(agent_states, tasks, link_keys, critic_params))
    return tuple(links)


def sampling(estimator, compile_fn):
    """`sample_link`, compiled; where games are played outside of the graph, only what is made of trajectories is."""
    if estimator.in_graph:
        return compile_fn(lambda *link_arguments: sample_link(estimator, *link_arguments))
    make_sample = compile_fn(estimator.make_sample)

    def sample(agent_states, tasks, keys, critic_params):
        link = Link(tuple(agent_states), (), keys, critic_params)
        trajectory = estimator.simulator.sample(link.joint_params, tasks, random.sample_keys(keys))
        return link._replace(sample=make_sample(trajectory, link.joint_params, critic_params))

    return sample


def check_chain(chain, agent_index: int) -> None:
    """Raises `InvalidInputError` unless a chain is one, of a game that has such an agent."""
    checks.check(isinstance(chain, Chain), "chain", chain, "a Chain, such as adapt returns")
    checks.check_agent_index("agent_index", agent_index, len(chain.agents))


def check_agents(parameter, agents, n_agents: int) -> None:
    """Raises `InvalidInputError` unless there is one agent for each agent of the game."""
    checks.check_length(parameter, agents, n_agents)
    for index, agent in enumerate(agents):
        contracts.check_kind(f"{parameter}[{index}]", agent, contracts.Agent, "an agent, such as MetaMAPG()")
