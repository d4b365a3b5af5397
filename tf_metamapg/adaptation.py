"""The inner update of every agent (Eq. 3), and chains of them.

This is the only place where agents adapt: meta-training, meta-validation and meta-testing, the steps
that an agent imagines of the others, with two agents or five, exact or sampled, all come here.
"""

from collections.abc import Callable
import functools
from typing import Any
from typing import NamedTuple

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.contracts import JointParams
from tf_metamapg.numerics import random
from tf_metamapg.numerics import xla_gradients  # noqa: F401, so that what is compiled here can be differentiated three times


class DeadGradientError(RuntimeError):
    """A gradient that an agent would follow does not exist: an error in a game, a policy or an estimator."""


class Link(NamedTuple):
    """One link φ_l of a chain, with what was sampled there."""

    joint_params: JointParams  # leaves [S, N, ...]
    sample: Any  # as the estimator's `sample` returned it
    keys: tf.Tensor  # int64 [S, 2], what all random numbers of the link are drawn from

    __repr__ = descriptions.of_fields


class Chain(NamedTuple):
    """θ = φ_0 → φ_1 → … → φ_L with all that is needed to differentiate it again."""

    agents: tuple[Any, ...]  # one for each agent
    inner_learning_rates: tuple[tf.Tensor, ...]  # [S, L] for each agent
    tasks: Any  # leading axes [S, N]
    links: tuple[Link, ...]  # L + 1 of them
    compile_fn: Callable  # as `adapt` got it
    estimator: Any = None  # as `adapt` got it; None in a chain that is put together by hand

    __repr__ = descriptions.of_fields


def sample_link(estimator, joint_params, tasks, keys):
    """The link at given parameters.

    Args:
        estimator: one of `estimators/`.
        joint_params: JointParams φ_l with leaves [S, N, ...].
        tasks: the tasks, with leading axes [S, N].
        keys: int64 tensor [S, 2], other ones for every link.

    Returns:
        Link.

    Raises:
        InvalidInputError: if one of these is something else.
    """
    arguments.check_estimator("estimator", estimator)
    joint_params = arguments.joint_params("joint_params", joint_params, estimator.policies)
    keys = arguments.keys("keys", keys, arguments.seeds_and_tasks(joint_params)[0])
    return Link(joint_params, estimator.sample(joint_params, tasks, random.fold_in(keys, 0)), keys)


def checked_link(estimator, link):
    """The link, which must be one at which an estimator has objectives."""
    arguments.check_estimator("estimator", estimator)
    checks.check(isinstance(link, Link), "link", link, "a Link, such as sample_link returns")
    joint_params = arguments.joint_params("link.joint_params", link.joint_params, estimator.policies)
    has_arrays = not all(map(tf.is_tensor, tf.nest.flatten(link.joint_params)))
    return link._replace(joint_params=joint_params) if has_arrays else link


def lookahead_keys(link, agent_index, step):
    """Keys for what an agent imagines at a link, int64 tensor [S, 2]; other ones for every step."""
    return random.fold_in(random.fold_in(link.keys, 1 + agent_index), step)


class Objectives(descriptions.Described):
    """The agents' objectives at a link as functions of the parameters of all agents, ready to be differentiated.

    What they have in common, such as log-probabilities and their sums over time, is computed once for all of them,
    and so is what comes back through it when one of their gradients is differentiated again.

    Attributes:
        estimator: one of `estimators/`.
        tasks: the tasks, with leading axes [S, N].
        link: Link at θ.
        by_agent: tuple over agents of tensors [S, N], Vⁱ(θ) or its surrogate.
    """

    def __init__(self, estimator, tasks, link):
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

    def recompute(self):
        """The same once more, for a tape that was opened since: it records the objectives, too."""
        return Objectives(self.estimator, self.tasks, self.link)

    def gradients(self, agent_index, with_respect_to):
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


def own_gradients(tape, objective, params, agent_index):
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


def check_cross_derivatives(estimator):
    """Raises `InvalidInputError` unless an agent's objective knows of the others' parameters.

    Of an estimator of the sampled reading such derivatives would silently be zero.
    """
    checks.check(
        estimator.has_cross_derivatives, "estimator", type(estimator).__name__,
        "ExactEstimator, DiceEstimator or LoadedDiceEstimator for agents that look at the others' gradients",
    )


def inner_update(objectives, agents, inner_learning_rates):
    """One step of every agent along its own learner's gradient: Eq. 3 for policy-gradient agents.

    Args:
        objectives: Objectives at φ_l.
        agents: one of `agents/` for each agent.
        inner_learning_rates: tuple over agents of tensors [S], α of this step.

    Returns:
        JointParams φ_{l+1} with leaves [S, N, ...], differentiable with respect to the inner learning
        rates and to the parameters of every agent at φ_l.

    Raises:
        InvalidInputError: if one of these is something else.
    """
    checks.check(isinstance(objectives, Objectives), "objectives", objectives, "Objectives")
    n_agents, dtype = len(objectives.by_agent), objectives.estimator.game.dtype
    n_seeds, _ = arguments.seeds_and_tasks(objectives.link.joint_params)
    arguments.check_agents("agents", agents, n_agents)
    inner_learning_rates = arguments.rates("inner_learning_rates", inner_learning_rates, n_agents, dtype, [n_seeds])
    updated = []
    for agent_index, (learner, rates) in enumerate(zip(agents, inner_learning_rates)):
        gradients = learner.gradients(objectives, agent_index)
        updated.append(
            tuple(
                leaf + tf.reshape(rates, [-1] + [1] * (len(leaf.shape) - 1)) * gradient
                for leaf, gradient in zip(objectives.link.joint_params[agent_index], gradients)
            )
        )
    return tuple(updated)


def identity(function):
    """The function itself: nothing is compiled."""
    return function


def extend(estimator, agents, inner_learning_rates, tasks, link, keys):
    """Lets all agents learn together from one link on.

    Args:
        estimator: one of `estimators/`.
        agents: one of `agents/` for each agent.
        inner_learning_rates: tuple over agents of tensors [S, number of steps].
        tasks: the tasks, with leading axes [S, N].
        link: the Link to start from.
        keys: int64 tensors [S, 2], one for every link that is added.

    Returns:
        tuple of Links, of which `link` is the first.

    Raises:
        InvalidInputError: if one of these is something else.
    """
    link = checked_link(estimator, link)
    n_seeds, _ = arguments.seeds_and_tasks(link.joint_params)
    arguments.check_agents("agents", agents, estimator.game.n_agents)
    keys = arguments.keys_of_links("keys", keys, n_seeds)
    inner_learning_rates = arguments.rates(
        "inner_learning_rates", inner_learning_rates, estimator.game.n_agents, estimator.game.dtype,
        [n_seeds, len(keys)],
    )
    sample = functools.partial(sample_link, estimator)
    return _extend(estimator, agents, inner_learning_rates, tasks, link, keys, sample, identity)


def _extend(estimator, agents, inner_learning_rates, tasks, link, keys, sample, compile_fn):
    update = compile_fn(
        lambda link, tasks, rates: inner_update(Objectives(estimator, tasks, link), agents, rates)
    )
    links = [link]
    for step, link_keys in enumerate(keys):
        rates = tuple(of_agent[:, step] for of_agent in inner_learning_rates)
        links.append(sample(update(links[-1], tasks, rates), tasks, link_keys))
    return tuple(links)


def for_each_task(joint_params, n_tasks):
    """Parameters that all tasks of a seed start from: leaves [S, ...] → [S, N, ...].

    Raises:
        InvalidInputError: if a leaf is no tensor or has no axis, or `n_tasks` is no integer ≥ 1.
    """
    checks.check_integer("n_tasks", n_tasks, minimum=1)
    is_right = all(descriptions.is_array(leaf) and len(leaf.shape) > 0 for leaf in tf.nest.flatten(joint_params))
    checks.check(is_right, "joint_params", joint_params, "tuples of tensors [S, ...], as initial_params returns them")
    return tf.nest.map_structure(lambda leaf: tf.repeat(leaf[:, tf.newaxis], n_tasks, axis=1), joint_params)


def constant_rates(agents, n_seeds, n_steps, dtype):
    """Every learner's own inner learning rate at each step: tuple over agents of tensors [S, n_steps]."""
    return tuple(
        tf.fill([n_seeds, n_steps], tf.constant(learner.inner_learning_rate, dtype)) for learner in agents
    )


def adapt(estimator, agents, initial_params, tasks, keys, inner_learning_rates=None, compile_fn=identity):
    """Lets all agents learn together from their initial policies.

    Args:
        estimator: one of `estimators/`.
        agents: one of `agents/` for each agent.
        initial_params: JointParams θ with leaves [S, N, ...]; see `for_each_task`.
        tasks: the tasks, with leading axes [S, N].
        keys: L + 1 int64 tensors [S, 2], one for every link; their number sets the chain length L.
        inner_learning_rates: tuple over agents of tensors [S, L]; by default the agents' own.
        compile_fn: what is applied to every function that does the work of one link, here and in the
            meta-gradient, such as a `tf.function` with `jit_compile`. All links share what has been compiled, so
            that a longer chain does not take longer to compile.

    Returns:
        Chain of L + 1 links, differentiable with respect to `initial_params` and
        `inner_learning_rates`.

    Raises:
        InvalidInputError: if one of these is something else, or of another dtype or shape.
    """
    arguments.check_estimator("estimator", estimator)
    game = estimator.game
    arguments.check_agents("agents", agents, game.n_agents)
    initial_params = arguments.joint_params("initial_params", initial_params, estimator.policies)
    sizes = arguments.seeds_and_tasks(initial_params)
    tasks = arguments.tasks("tasks", tasks, game, sizes)
    keys = arguments.keys_of_links("keys", keys, sizes[0])
    checks.check(len(keys) > 0, "keys", keys, "keys for each of L + 1 links")
    if inner_learning_rates is None:
        inner_learning_rates = constant_rates(agents, sizes[0], len(keys) - 1, game.dtype)
    inner_learning_rates = arguments.rates(
        "inner_learning_rates", inner_learning_rates, game.n_agents, game.dtype, [sizes[0], len(keys) - 1]
    )
    checks.check(callable(compile_fn), "compile_fn", compile_fn, "a function of functions, such as tf.function")
    sample = compile_fn(functools.partial(sample_link, estimator))
    first = sample(initial_params, tasks, keys[0])
    links = _extend(estimator, agents, inner_learning_rates, tasks, first, keys[1:], sample, compile_fn)
    return Chain(tuple(agents), inner_learning_rates, tasks, links, compile_fn, estimator)
