"""The inner update of every agent (Eq. 3), and chains of them.

This is the only place where agents adapt: meta-training, meta-validation and meta-testing, the steps
that an agent imagines of the others, with two agents or five, exact or sampled, all come here.
"""

from typing import Any
from typing import NamedTuple

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import random
from tf_metamapg.types import JointParams


class DeadGradientError(RuntimeError):
    """A gradient that an agent would follow does not exist: an error in a game, a policy or an estimator."""


class LinkNoise(NamedTuple):
    """All random numbers of one link."""

    sampling: Any  # as the estimator's `draw_noise` returned it
    lookahead: tuple[Any, ...]  # as each learner's `draw_noise` returned it, for what it imagines


class Link(NamedTuple):
    """One link φ_l of a chain, with what was sampled there."""

    joint_params: JointParams  # leaves [S, N, ...]
    trajectory: Any  # as the estimator's `sample` returned it
    lookahead_noise: tuple[Any, ...]  # one entry for each agent


class Chain(NamedTuple):
    """θ = φ_0 → φ_1 → … → φ_L with all that is needed to differentiate it again."""

    learners: tuple[Any, ...]  # one for each agent
    inner_learning_rates: tuple[tf.Tensor, ...]  # [S, L] for each agent
    tasks: Any  # leading axes [S, N]
    links: tuple[Link, ...]  # L + 1 of them


def draw_noise(estimator, learners, keys, n_tasks):
    """All random numbers of one link.

    Args:
        estimator: one of `estimators/`.
        learners: one of `agents/` for each agent.
        keys: int64 tensor [S, 2], other ones for every link.
        n_tasks: N.

    Returns:
        LinkNoise.
    """
    lookahead = tuple(
        learner.draw_noise(estimator, random.fold_in(keys, 1 + agent_index), n_tasks)
        for agent_index, learner in enumerate(learners)
    )
    return LinkNoise(estimator.draw_noise(random.fold_in(keys, 0), n_tasks), lookahead)


def sample_link(estimator, joint_params, tasks, noise):
    """The link at given parameters.

    Args:
        estimator: one of `estimators/`.
        joint_params: JointParams φ_l with leaves [S, N, ...].
        tasks: the tasks, with leading axes [S, N].
        noise: LinkNoise.

    Returns:
        Link.
    """
    return Link(joint_params, estimator.sample(joint_params, tasks, noise.sampling), noise.lookahead)


def value_gradients(estimator, tasks, link, agent_index, with_respect_to):
    """∇_θ^j Vⁱ(θ). For j = i it is Eq. 1's policy gradient: the others are taken as they are.

    Args:
        estimator: one of `estimators/`.
        tasks: the tasks, with leading axes [S, N].
        link: Link at θ.
        agent_index: i, whose value.
        with_respect_to: j, whose parameters.

    Returns:
        Params of agent j with leaves [S, N, ...], differentiable with respect to the parameters of
        every agent so far as the estimator's objectives are.

    Raises:
        DeadGradientError: for j = i, if there is no dependence at all.
        InvalidInputError: for j ≠ i, if the estimator's objectives do not know of the others' parameters.
    """
    if with_respect_to != agent_index:
        check_cross_derivatives(estimator)
    params = link.joint_params[with_respect_to]
    with tf.GradientTape() as inner_tape:
        inner_tape.watch(params)
        objective = estimator.objectives(link.joint_params, tasks, link.trajectory)[agent_index]
    if with_respect_to == agent_index:
        return own_gradients(inner_tape, objective, params, agent_index)
    return inner_tape.gradient(objective, params, unconnected_gradients="zero")


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
        estimator.has_cross_derivatives, "train.estimator", type(estimator).__name__,
        "ExactEstimator, DiceEstimator or LoadedDiceEstimator for agents that look at the others' gradients",
    )


def inner_update(estimator, learners, inner_learning_rates, tasks, link):
    """One step of every agent along its own learner's gradient: Eq. 3 for policy-gradient learners.

    Args:
        estimator: one of `estimators/`.
        learners: one of `agents/` for each agent.
        inner_learning_rates: tuple over agents of tensors [S], α of this step.
        tasks: the tasks, with leading axes [S, N].
        link: Link at φ_l.

    Returns:
        JointParams φ_{l+1} with leaves [S, N, ...], differentiable with respect to the inner learning
        rates and to the parameters of every agent in `link.joint_params`.
    """
    updated = []
    for agent_index, (learner, rates) in enumerate(zip(learners, inner_learning_rates)):
        gradients = learner.gradients(estimator, tasks, link, agent_index)
        updated.append(
            tuple(
                leaf + tf.reshape(rates, [-1] + [1] * (len(leaf.shape) - 1)) * gradient
                for leaf, gradient in zip(link.joint_params[agent_index], gradients)
            )
        )
    return tuple(updated)


def extend(estimator, learners, inner_learning_rates, tasks, link, noise):
    """Lets all agents learn together from one link on.

    Args:
        estimator: one of `estimators/`.
        learners: one of `agents/` for each agent.
        inner_learning_rates: tuple over agents of tensors [S, number of steps].
        tasks: the tasks, with leading axes [S, N].
        link: the Link to start from.
        noise: LinkNoise of every link that is added; their number is the number of steps.

    Returns:
        tuple of Links, of which `link` is the first.
    """
    links = [link]
    for step, link_noise in enumerate(noise):
        rates = tuple(of_agent[:, step] for of_agent in inner_learning_rates)
        joint_params = inner_update(estimator, learners, rates, tasks, links[-1])
        links.append(sample_link(estimator, joint_params, tasks, link_noise))
    return tuple(links)


def for_each_task(joint_params, n_tasks):
    """The parameters that all tasks of a seed start from: leaves [S, ...] → [S, N, ...]."""
    return tf.nest.map_structure(lambda leaf: tf.repeat(leaf[:, tf.newaxis], n_tasks, axis=1), joint_params)


def constant_rates(learners, n_seeds, n_steps, dtype):
    """Every learner's own inner learning rate at each step: tuple over agents of tensors [S, n_steps]."""
    return tuple(
        tf.fill([n_seeds, n_steps], tf.constant(learner.inner_learning_rate, dtype)) for learner in learners
    )


def adapt(estimator, learners, initial_params, tasks, noise, inner_learning_rates=None):
    """Lets all agents learn together from their initial policies.

    Args:
        estimator: one of `estimators/`.
        learners: one of `agents/` for each agent.
        initial_params: JointParams θ with leaves [S, ...], the same for all tasks of a seed.
        tasks: the tasks, with leading axes [S, N].
        noise: L + 1 LinkNoises; their number sets the chain length L.
        inner_learning_rates: tuple over agents of tensors [S, L]; by default the learners' own.

    Returns:
        Chain of L + 1 links, differentiable with respect to `initial_params` and
        `inner_learning_rates`.

    Raises:
        InvalidInputError: if there is not one learner and one set of parameters for each agent, or no noise.
    """
    checks.check_length("learners", learners, estimator.game.n_agents)
    checks.check_length("initial_params", initial_params, estimator.game.n_agents)
    checks.check(len(noise) > 0, "noise", noise, "one LinkNoise for each of L + 1 links")
    n_seeds, n_tasks = tf.nest.flatten(tasks)[0].shape[:2]
    if inner_learning_rates is None:
        inner_learning_rates = constant_rates(learners, n_seeds, len(noise) - 1, estimator.game.dtype)
    first = sample_link(estimator, for_each_task(initial_params, n_tasks), tasks, noise[0])
    links = extend(estimator, learners, inner_learning_rates, tasks, first, noise[1:])
    return Chain(tuple(learners), tuple(inner_learning_rates), tasks, links)
