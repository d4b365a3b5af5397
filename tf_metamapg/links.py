"""Links of chains: what the agents are at one, what was sampled there, and their objectives as functions of it."""

from collections.abc import Callable
from collections.abc import Sequence
import copy
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
        """The same link with other parameters, leaves [S, N, ...]."""
        states = zip(self.agent_states, joint_params)
        return self._replace(agent_states=tuple(state._replace(params=params) for state, params in states))


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

    def __init__(self, estimator: contracts.Estimator, tasks: Structure, link: Link) -> None:
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

    def with_extra(self, agent_index: int, extra: Structure) -> "Objectives":
        """The same, where an agent's state has something else beside its parameters, for one within another."""
        other = copy.copy(self)
        states = list(self.link.agent_states)
        states[agent_index] = states[agent_index]._replace(extra=extra)
        other.link = self.link._replace(agent_states=tuple(states))
        return other

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
            gradients = own_gradients(self._inner_tape, objective, params, agent_index)
            return carrying.without_carried(self.estimator.policies[agent_index], gradients)
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
        gradients = own_gradients(tape, entropies[agent_index], params, agent_index)
        return carrying.without_carried(self.estimator.policies[agent_index], gradients)


def own_gradients(tape: tf.GradientTape, objective: tf.Tensor, params: Params, agent_index: int) -> Params:
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


def check_cross_derivatives(estimator: contracts.Estimator) -> None:
    """Raises `InvalidInputError` unless an agent's objective knows of the others' parameters.

    With sampled inner updates such derivatives would silently be zero.
    """
    checks.check(
        estimator.inner_update == "expected", "estimator", estimator,
        "one of expected inner updates, such as ExactEstimator, DiceEstimator or LoadedDiceEstimator, for agents that "
        "look at the others' gradients",
    )


def checked_sampling(estimator: contracts.Estimator, kind: str) -> contracts.PlayingEstimator:
    """The estimator, which must be one of sampled inner updates, for agents of a kind that learn from trajectories.

    Raises:
        InvalidInputError: if it samples nothing, or its inner updates are expected ones.
    """
    playing = contracts.checked_kind(
        "estimator", estimator, contracts.PlayingEstimator, f"one that samples, for {kind}"
    )
    checks.check(
        playing.inner_update == "sampled", "estimator", estimator,
        f"one of sampled inner updates, such as ScoreFunctionEstimator, for {kind}",
    )
    return playing


def sample_link(
    estimator: contracts.Estimator, agent_states: Sequence[AgentState], tasks: Structure, keys: tf.Tensor,
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


def checked_link(estimator: contracts.Estimator, link: Link) -> Link:
    """The link, which must be one at which an estimator has objectives."""
    contracts.check_kind("estimator", estimator, contracts.Estimator, "an estimator")
    checks.check(isinstance(link, Link), "link", link, "a Link, such as sample_link returns")
    return link._replace(agent_states=_checked_states("link.agent_states", link.agent_states, estimator.policies))


def _checked_states(
    parameter: str, agent_states: Sequence[AgentState], policies: Sequence[contracts.Policy]
) -> tuple[AgentState, ...]:
    """The states of all agents, whose parameters must be those of their policies, with leaves [S, N, ...].

    Every leaf is a tensor of its own: to a tape, a tensor that two agents share, or that one has twice, is one thing.
    """
    checks.check_length(parameter, agent_states, len(policies))
    for index, state in enumerate(agent_states):
        is_state = isinstance(state, AgentState)
        checks.check(is_state, f"{parameter}[{index}]", state, "an AgentState, such as an agent's init returns")
    joint_params = arguments.joint_params(f"{parameter}.params", [state.params for state in agent_states], policies)
    states = (state._replace(params=params) for state, params in zip(agent_states, joint_params))
    return tf.nest.map_structure(tf.identity, tuple(states))


def sampling(estimator: contracts.Estimator, compile_fn: Callable[..., Any]) -> Callable[..., Link]:
    """`sample_link`, compiled; where games are played outside of the graph, only what is made of trajectories is."""
    if estimator.in_graph:
        return compile_fn(functools.partial(sample_link, estimator))
    playing = contracts.checked_kind("estimator", estimator, contracts.PlayingEstimator, "one that has others play")
    make_sample = compile_fn(playing.make_sample)

    def sample(
        agent_states: Sequence[AgentState], tasks: Structure, keys: tf.Tensor, critic_params: JointParams
    ) -> Link:
        states = _checked_states("agent_states", agent_states, estimator.policies)
        link = Link(states, (), keys, critic_params)
        trajectory = playing.simulator.sample(link.joint_params, tasks, random.sample_keys(keys))
        return link._replace(sample=make_sample(trajectory, link.joint_params, critic_params))

    return sample
