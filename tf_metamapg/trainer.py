"""Meta-training: from initial policies to initial policies that have learned to learn.

All seeds train in one program, as the leading axis of every tensor. This is the one place where
functions are compiled.
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import random


class NonFiniteGradientError(ArithmeticError):
    """A meta-gradient was NaN or infinite; nothing has been updated with it."""

    def __init__(self, meta_update, seeds):
        super().__init__(
            f"the meta-gradient of meta-update {meta_update} is NaN or infinite for "
            f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
        )


class Metrics(NamedTuple):
    """What one meta-update reports, for each seed and agent."""

    average_reward: np.ndarray  # [S, L + 1, n_agents], the mean over tasks of each link
    term_norms: np.ndarray  # [S, n_agents, 3], the norm of each term of `MetaGradients`


class MetaTrainer:
    """Learns the initial policies of all meta-agents with Adam.

    Attributes:
        estimator: the estimator of objectives and average rewards.
        initial_params: JointParams of Keras variables [S, ...].
        n_meta_updates_done: int64 variable.
        trackables: dict of what a checkpoint must hold to go on exactly.
    """

    def __init__(
        self, game, policies, agents, estimator, task_distribution, seeds, chain_length, n_tasks,
        meta_learning_rate, jit_compile,
    ):
        """
        Args:
            game, policies, agents, estimator, task_distribution: what is trained; see their modules.
            seeds: S integers.
            chain_length: L, inner updates per meta-update.
            n_tasks: N, tasks per seed and meta-update.
            meta_learning_rate: Adam's step size.
            jit_compile: whether XLA compiles the meta-gradient. It may round differently for
                another number of seeds; without it a seed's bits never depend on the seeds beside it.
        """
        self._n_agents = game.n_agents
        self._agents = agents
        self.estimator = estimator
        self._task_distribution = task_distribution
        self._seeds = tuple(seeds)
        self._chain_length = chain_length
        self._n_tasks = n_tasks

        self.initial_params = tuple(
            tuple(keras.Variable(leaf) for leaf in policy.initial_params(seeds)) for policy in policies
        )
        # Adam is elementwise, so one optimizer for all seeds keeps them apart. One for each agent.
        self._optimizers = [keras.optimizers.Adam(meta_learning_rate) for _ in agents]
        for optimizer, variables in zip(self._optimizers, self.initial_params):
            optimizer.build(variables)
        self.n_meta_updates_done = tf.Variable(0, dtype=tf.int64)
        self.trackables = {
            "initial_params": [list(variables) for variables in self.initial_params],
            "optimizers": self._optimizers,
            "n_meta_updates_done": self.n_meta_updates_done,
        }

        # Without AutoGraph, which takes seconds and finds nothing to convert.
        self._draw = tf.function(self._draw_tasks_and_noise, autograph=False)
        self._compiled_gradients = tf.function(self._gradients_and_metrics, jit_compile=jit_compile, autograph=False)
        self._measure = tf.function(
            lambda *arguments: self._adapt_and_measure(*arguments)[1], autograph=False
        )
        self._apply = tf.function(self._apply_gradients, autograph=False)

    def trace(self):
        """Traces the meta-gradient, without computing it; the first `step` need not do so again."""
        drawn = self._draw(random.META_TRAIN, self.n_meta_updates_done, self._chain_length, self._n_tasks)
        self._compiled_gradients.get_concrete_function(self._param_values(), *drawn)

    def step(self):
        """One meta-update of every meta-agent.

        Returns:
            Metrics of the chains that the update was computed from.

        Raises:
            NonFiniteGradientError: before anything is updated.
        """
        tasks, noise = self._draw(
            random.META_TRAIN, self.n_meta_updates_done, self._chain_length, self._n_tasks
        )
        gradients, finite, metrics = self._compiled_gradients(self._param_values(), tasks, noise)
        if not np.all(finite):
            bad_seeds = [seed for seed, is_finite in zip(self._seeds, finite.numpy()) if not is_finite]
            raise NonFiniteGradientError(int(self.n_meta_updates_done) + 1, bad_seeds)
        self._apply(gradients)
        return Metrics(*(metric.numpy() for metric in metrics))

    def evaluate(self, phase, chain_length, n_tasks):
        """Lets the agents adapt from their present initial policies, without meta-learning.

        Args:
            phase: `random.META_VALIDATION` or `random.META_TEST`; the tasks of a phase are always
                the same for a seed.
            chain_length: number of inner updates.
            n_tasks: N.

        Returns:
            array [S, chain_length + 1, n_agents], the average reward per step at each link.
        """
        tasks, noise = self._draw(phase, 0, chain_length, n_tasks)
        return self._measure(self._param_values(), tasks, noise).numpy()

    def _param_values(self):
        return tf.nest.map_structure(lambda variable: tf.convert_to_tensor(variable.value), self.initial_params)

    def _draw_tasks_and_noise(self, phase, index, chain_length, n_tasks):
        keys = random.fold_in(random.fold_in(random.root_keys(self._seeds), phase), index)
        tasks = self._task_distribution.sample(random.fold_in(keys, 0), n_tasks)
        noise = tuple(
            self.estimator.draw_noise(random.fold_in(keys, 1 + link), n_tasks)
            for link in range(chain_length + 1)
        )
        return tasks, noise

    def _adapt_and_measure(self, initial_params, tasks, noise):
        chain = adaptation.adapt(self.estimator, self._agents, initial_params, tasks, noise)
        average_reward = [
            tf.stack(self.estimator.average_rewards(link.joint_params, tasks, link.trajectory), axis=-1)
            for link in chain.links
        ]  # [S, N, n_agents] for each link
        return chain, tf.reduce_mean(tf.stack(average_reward, axis=1), axis=2)

    def _gradients_and_metrics(self, initial_params, tasks, noise):
        chain, average_reward = self._adapt_and_measure(initial_params, tasks, noise)
        terms = [
            agent.meta_gradients(self.estimator, chain, agent_index)
            for agent_index, agent in enumerate(self._agents)
        ]
        gradients = tuple(agent_terms.total for agent_terms in terms)
        finite = tf.reduce_all([_all_finite(leaf) for leaf in tf.nest.flatten(gradients)], axis=0)
        term_norms = tf.stack(
            [tf.stack([tf.sqrt(_square_norms(term)) for term in agent_terms], axis=-1) for agent_terms in terms],
            axis=1,
        )
        return gradients, finite, Metrics(average_reward, term_norms)

    def _apply_gradients(self, gradients):
        for optimizer, agent_gradients in zip(self._optimizers, gradients):
            ascent = [-gradient for gradient in agent_gradients]
            optimizer.apply(ascent)
        self.n_meta_updates_done.assign_add(1)


def _all_finite(leaf):
    """[S, ...] → [S]."""
    return tf.reduce_all(tf.math.is_finite(leaf), axis=list(range(1, len(leaf.shape))))


def _square_norms(gradients):
    """[S, ...] leaves → [S]."""
    return tf.add_n(
        [tf.reduce_sum(tf.square(leaf), axis=list(range(1, len(leaf.shape)))) for leaf in gradients]
    )
