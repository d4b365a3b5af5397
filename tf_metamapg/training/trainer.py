"""Meta-training: from initial policies to initial policies that have learned to learn.

All seeds train in one program, as the leading axis of every tensor. Whether the agents' functions are
compiled is chosen here, and in no library function.
"""

import functools
import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import arguments
from tf_metamapg import descriptions
from tf_metamapg.numerics import random
from tf_metamapg.training.best import Best


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

    __repr__ = descriptions.of_fields


class MetaTrainer(descriptions.Described):
    """Learns the initial policies of all meta-agents with Adam.

    Attributes:
        agents: one of `agents/` for each agent.
        estimator: the estimator of objectives and average rewards.
        initial_params: JointParams of Keras variables [S, ...].
        log_inner_learning_rates: tuple over agents of Keras variables [S, L], None for agents that do not
            learn them. Their logarithms are learned: a step stays positive, and changes by a factor.
        n_meta_updates_done: int64 variable.
        best: `Best`, of everything that is learned, by agents and critics.
        state: nested dicts and lists of variables, what a checkpoint must hold to go on exactly.
    """

    def __init__(
        self, game, policies, agents, estimator, task_distribution, seeds, chain_length, n_tasks,
        meta_learning_rate, jit_compile, populations=None, max_gradient_norm=math.inf,
        inner_rates_meta_learning_rate=None,
    ):
        """
        Args:
            game, policies, agents, estimator, task_distribution: what is trained; see their modules.
            seeds: S integers.
            chain_length: L, inner updates per meta-update.
            n_tasks: N, tasks per seed and meta-update.
            meta_learning_rate: Adam's step size.
            jit_compile: whether XLA compiles the meta-gradient. The last digits of a seed may depend on how many
                seeds are beside it.
            populations: for each agent, where its initial policies are drawn from, other ones for each task; None
                for an agent that starts all tasks of a seed from the same policy. By default that is all of them.
            max_gradient_norm: > 0; a longer meta-gradient of a seed and an agent is shortened to it.
            inner_rates_meta_learning_rate: Adam's step size for logarithms of inner learning rates that are learned;
                by default that of the policies.

        Raises:
            InvalidInputError: if there is not one of each for each agent, or a number cannot be used.
        """
        arguments.check_training(
            policies, agents, estimator, task_distribution, chain_length, n_tasks, meta_learning_rate, populations
        )
        self.agents = agents
        self.estimator = estimator
        self._task_distribution = task_distribution
        self._populations = populations or [None] * game.n_agents
        self._seeds = arguments.seeds("seeds", seeds)
        self._chain_length = chain_length
        self._n_tasks = n_tasks
        self._max_gradient_norm = max_gradient_norm

        self.initial_params = tuple(
            tuple(keras.Variable(leaf) for leaf in policy.initial_params(seeds)) for policy in policies
        )
        self._constant_rates = adaptation.constant_rates(agents, len(self._seeds), chain_length, game.dtype)
        self.log_inner_learning_rates = tuple(
            keras.Variable(tf.math.log(rates)) if agent.learns_inner_learning_rates else None
            for agent, rates in zip(agents, self._constant_rates)
        )
        meta_params = [
            tf.nest.flatten(self.initial_params),
            [variable for variable in self.log_inner_learning_rates if variable is not None],
        ]
        if inner_rates_meta_learning_rate is None:
            inner_rates_meta_learning_rate = meta_learning_rate
        steps = meta_learning_rate, inner_rates_meta_learning_rate
        # Adam is elementwise, so one optimizer for all seeds and agents keeps them apart.
        self._optimizers = [keras.optimizers.Adam(float(step)) for step in steps]
        for optimizer, variables in zip(self._optimizers, meta_params):
            optimizer.build(variables)
        self.n_meta_updates_done = tf.Variable(0, dtype=tf.int64)
        # A critic that learns, if there is one.
        critic = getattr(estimator, "baseline", None)
        self._critic = critic if hasattr(critic, "build") else None
        of_critic = {}
        if self._critic is not None:
            self._critic.build(game, policies, self._seeds)
            of_critic = self._critic.state
        self.best = Best(tf.nest.flatten([meta_params, of_critic.get("params", [])]))
        self.state = {
            "meta_params": meta_params,
            "optimizers": [optimizer.variables for optimizer in self._optimizers],
            "n_meta_updates_done": self.n_meta_updates_done,
            "best": self.best.state,
            "critic": of_critic,
        }

        # Without AutoGraph, which takes seconds and finds nothing to convert.
        self._compile_fn = functools.partial(tf.function, jit_compile=jit_compile, autograph=False)
        self._draw_tasks = self._compile_fn(self._tasks_of)
        self._draw_link_keys = self._compile_fn(self._keys_of_link)
        self._draw_initial_params = self._compile_fn(self._initial_params_of)
        self._measure_and_update = self._compile_fn(self._average_reward_and_update)
        self._compute = tf.function(self._gradients_and_metrics, autograph=False)
        self._apply = tf.function(self._apply_gradients, autograph=False)

    def inner_learning_rates(self):
        """Tuple over agents of tensors [S, L], α of each step."""
        return tuple(
            constant if variable is None else tf.exp(tf.convert_to_tensor(variable.value))
            for variable, constant in zip(self.log_inner_learning_rates, self._constant_rates)
        )

    def trace(self):
        """Traces the meta-gradient, without computing it; the first `step` need not do so again."""
        self._compute.get_concrete_function()

    def step(self):
        """One meta-update of every meta-agent.

        Returns:
            Metrics of the chains that the update was computed from.

        Raises:
            NonFiniteGradientError: before anything is updated.
        """
        gradients, finite, critic_gradients, metrics = self._compute()
        if not np.all(finite):
            bad_seeds = [seed for seed, is_finite in zip(self._seeds, finite.numpy()) if not is_finite]
            raise NonFiniteGradientError(int(self.n_meta_updates_done) + 1, bad_seeds)
        self._apply(gradients, critic_gradients)
        return Metrics(*(metric.numpy() for metric in metrics))

    def evaluate(self, phase, chain_length, n_tasks, report=lambda index, average_reward: None):
        """Lets the agents adapt from their present initial policies, without meta-learning.

        Args:
            phase: `random.META_VALIDATION` or `random.META_TEST`; the tasks of a phase are always
                the same for a seed.
            chain_length: number of inner updates.
            n_tasks: N.
            report: called after each link with its index and average rewards, array [S, n_agents].

        Returns:
            array [S, chain_length + 1, n_agents], the average reward per step at each link.
        """
        tasks = self._draw_tasks(phase, 0, n_tasks)
        joint_params = self._draw_initial_params(phase, 0, n_tasks)
        mean_rewards = []
        for index in range(chain_length + 1):
            average_reward, joint_params = self.advance(phase, tasks, index, joint_params)
            mean_rewards.append(average_reward.numpy())
            report(index, mean_rewards[-1])
        return np.stack(mean_rewards, axis=1)

    def advance(self, phase, tasks, index, joint_params):
        """Plays one link of a chain, and lets all agents learn from it.

        Args:
            phase: the phase whose random numbers are used.
            tasks: tasks with leading axes [S, N].
            index: l, which link it is.
            joint_params: JointParams φ_l with leaves [S, N, ...].

        Returns:
            (average reward per step at the link [S, n_agents], JointParams φ_{l+1}).
        """
        keys = self._draw_link_keys(phase, 0, tf.constant(index))
        return self._measure_and_update(joint_params, self._rates_at(index), tasks, keys)

    def _rates_at(self, index):
        """Tuple over agents of tensors [S]; a chain that goes on beyond L links keeps the last step."""
        rates = self.inner_learning_rates()
        if self._chain_length == 0:
            rates = adaptation.constant_rates(self.agents, len(self._seeds), 1, self.estimator.game.dtype)
        return tuple(of_agent[:, min(index, of_agent.shape[1] - 1)] for of_agent in rates)

    def param_values(self):
        """The initial parameters as tensors: JointParams with leaves [S, ...]."""
        return tf.nest.map_structure(lambda variable: tf.convert_to_tensor(variable.value), self.initial_params)

    def _keys(self, phase, index):
        return random.fold_in(random.fold_in(random.root_keys(self._seeds), phase), index)

    def _tasks_of(self, phase, index, n_tasks):
        return self._task_distribution.sample(random.fold_in(self._keys(phase, index), 0), n_tasks)

    def _keys_of_link(self, phase, index, link):
        return random.fold_in(self._keys(phase, index), 1 + link)

    def _initial_params_of(self, phase, index, n_tasks):
        """What every agent starts the tasks from: JointParams with leaves [S, N, ...]."""
        joint_params = adaptation.for_each_task(self.param_values(), n_tasks)
        return tuple(
            params if population is None
            # Links have the keys from 1 on, and tasks have 0.
            else population.sample(phase, random.fold_in(self._keys(phase, index), -1 - agent_index), n_tasks)
            for agent_index, (params, population) in enumerate(zip(joint_params, self._populations))
        )

    def _average_reward(self, tasks, link):
        """The mean over tasks: [S, n_agents]."""
        mean_rewards = self.estimator.mean_rewards(link.joint_params, tasks, link.sample)
        return tf.reduce_mean(tf.stack(mean_rewards, axis=-1), axis=1)

    def _average_reward_and_update(self, joint_params, inner_learning_rates, tasks, keys):
        link = adaptation.sample_link(self.estimator, joint_params, tasks, keys)
        objectives = adaptation.Objectives(self.estimator, tasks, link)
        updated = adaptation.inner_update(objectives, self.agents, inner_learning_rates)
        return self._average_reward(tasks, link), updated

    def _gradients_and_metrics(self):
        meta_update = tf.identity(self.n_meta_updates_done)
        tasks = self._draw_tasks(random.META_TRAIN, meta_update, self._n_tasks)
        links = range(self._chain_length + 1)
        keys = [self._draw_link_keys(random.META_TRAIN, meta_update, tf.constant(link)) for link in links]
        inner_learning_rates = self.inner_learning_rates()
        chain = adaptation.adapt(
            self.estimator, self.agents, self._draw_initial_params(random.META_TRAIN, meta_update, self._n_tasks),
            tasks, keys, inner_learning_rates, self._compile_fn,
        )
        average_reward = tf.stack([self._average_reward(tasks, link) for link in chain.links], axis=1)
        terms = [agent.meta_gradients(self.estimator, chain, index) for index, agent in enumerate(self.agents)]
        gradients = tuple(
            self._of_variables(agent_index, agent_terms.total, inner_learning_rates)
            for agent_index, agent_terms in enumerate(terms)
        )
        norms = list(map(_norms, gradients))
        finite = tf.reduce_all(tf.math.is_finite(norms), axis=0)
        gradients = tuple(
            _scaled(agent_gradients, tf.where(norm > self._max_gradient_norm, self._max_gradient_norm / norm, 1.0))
            for agent_gradients, norm in zip(gradients, norms)
        )
        term_norms = [tf.stack([_norms(term.initial_params) for term in agent_terms], axis=-1) for agent_terms in terms]
        return gradients, finite, self._critic_gradients(chain), Metrics(average_reward, tf.stack(term_norms, axis=1))

    def _critic_gradients(self, chain):
        """What the critic learns from all links, for each agent; nothing where no critic learns."""
        if self._critic is None:
            return ()
        gradients = []
        for agent in range(len(self.agents)):
            of_links = [self.estimator.features_and_returns(link.sample.trajectory, agent) for link in chain.links]
            together = [tf.concat(part, axis=1) for part in zip(*of_links)]
            gradient = self._compile_fn(functools.partial(self._critic.gradients, agent))
            gradients.append(gradient(*together))
        return gradients

    def _of_variables(self, agent_index, total, inner_learning_rates):
        """MetaParams → derivatives of what each optimizer takes: those of logarithms are times the rates."""
        if self.log_inner_learning_rates[agent_index] is None:
            return [*total.initial_params], []
        return [*total.initial_params], [inner_learning_rates[agent_index] * total.inner_learning_rates]

    def _apply_gradients(self, gradients, critic_gradients):
        for optimizer, of_agents in zip(self._optimizers, zip(*gradients)):
            optimizer.apply([-gradient for of_agent in of_agents for gradient in of_agent])
        if self._critic is not None:
            self._critic.apply(critic_gradients)
        self.n_meta_updates_done.assign_add(1)


def _scaled(gradients, scales):
    """[S, ...] leaves, each seed's times its scale in [S]."""
    return tf.nest.map_structure(lambda leaf: leaf * tf.reshape(scales, [-1] + [1] * (len(leaf.shape) - 1)), gradients)


def _norms(gradients):
    """[S, ...] leaves → [S], finite wherever all leaves are: a square is too large for float32 from 1e19 on."""
    leaves = tf.nest.flatten(gradients)
    squares = [tf.reduce_sum(tf.cast(leaf, "float64") ** 2, axis=list(range(1, len(leaf.shape)))) for leaf in leaves]
    return tf.cast(tf.sqrt(tf.add_n(squares)), leaves[0].dtype)
