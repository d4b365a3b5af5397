"""The inner update of every agent (Eq. 3), and chains of them.

This is the only place where agents adapt: meta-training, meta-validation and meta-testing, with two
agents or five, exact or sampled, all come here.
"""

from typing import Any
from typing import NamedTuple

import tensorflow as tf

from tf_metamapg.types import JointParams


class Link(NamedTuple):
    """One link φ_l of a chain, with what was sampled there."""

    joint_params: JointParams  # leaves [S, N, ...]
    trajectory: Any  # as the estimator's `sample` returned it


class Chain(NamedTuple):
    """θ = φ_0 → φ_1 → … → φ_L with all that is needed to differentiate it again."""

    learners: tuple[Any, ...]  # one for each agent
    tasks: Any  # leading axes [S, N]
    links: tuple[Link, ...]  # L + 1 of them


def policy_gradient(estimator, joint_params, tasks, trajectory, agent_index):
    """∇_θⁱ Vⁱ(θ), Eq. 1: the gradient that an agent follows if it takes the others as they are.

    Args:
        estimator: one of `estimators/`.
        joint_params: JointParams θ with leaves [S, N, ...].
        tasks: the tasks, with leading axes [S, N].
        trajectory: what the estimator sampled at these parameters.
        agent_index: i.

    Returns:
        Params of agent i with leaves [S, N, ...], differentiable with respect to the parameters of
        every agent so far as the estimator's objectives are.
    """
    with tf.GradientTape() as inner_tape:
        inner_tape.watch(joint_params[agent_index])
        objective = estimator.objectives(joint_params, tasks, trajectory)[agent_index]
    return inner_tape.gradient(objective, joint_params[agent_index])


def inner_update(estimator, learners, joint_params, tasks, trajectory):
    """One step of every agent along its own learner's gradient: Eq. 3 for policy-gradient learners.

    Args:
        estimator: one of `estimators/`.
        learners: one of `agents/` for each agent.
        joint_params: JointParams φ_l with leaves [S, N, ...].
        tasks: the tasks, with leading axes [S, N].
        trajectory: what the estimator sampled at these parameters.

    Returns:
        JointParams φ_{l+1} with leaves [S, N, ...], differentiable with respect to those of every
        agent in `joint_params`.
    """
    updated = []
    for agent_index, learner in enumerate(learners):
        gradients = learner.gradients(estimator, joint_params, tasks, trajectory, agent_index)
        updated.append(
            tuple(
                leaf + learner.inner_learning_rate * gradient
                for leaf, gradient in zip(joint_params[agent_index], gradients)
            )
        )
    return tuple(updated)


def adapt(estimator, learners, initial_params, tasks, noise):
    """Lets all agents learn together from their initial policies.

    Args:
        estimator: one of `estimators/`.
        learners: one of `agents/` for each agent.
        initial_params: JointParams θ with leaves [S, ...], the same for all tasks of a seed.
        tasks: the tasks, with leading axes [S, N].
        noise: L + 1 draws of the estimator's `draw_noise`; their number sets the chain length L.

    Returns:
        Chain of L + 1 links, differentiable with respect to `initial_params`.
    """
    n_tasks = tf.nest.flatten(tasks)[0].shape[1]
    joint_params = tf.nest.map_structure(
        lambda leaf: tf.repeat(leaf[:, tf.newaxis], n_tasks, axis=1), initial_params
    )
    links = []
    for link_noise in noise:
        if links:
            joint_params = inner_update(estimator, learners, joint_params, tasks, links[-1].trajectory)
        links.append(Link(joint_params, estimator.sample(joint_params, tasks, link_noise)))
    return Chain(tuple(learners), tasks, tuple(links))
