"""Meta-training: from initial policies to initial policies that have learned to learn.

All seeds train in one program, as the leading axis of every tensor. Whether the agents' functions are
compiled is chosen here, and in no library function.
"""

from collections.abc import Sequence
import functools
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg import learned_names
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import MetaParams
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import random
from tf_metamapg.training import gradient_norms
from tf_metamapg.training import link_work
from tf_metamapg.training.best import Best
from tf_metamapg.training.compiler import Compiler
from tf_metamapg.training.compiler import explained
from tf_metamapg.training.critic_learner import CriticLearner
from tf_metamapg.training.draws import Draws
from tf_metamapg.training.pools import Pools
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.sharing import Shared


@descriptions.described
class Metrics(NamedTuple):
    """What one meta-update reports, for each seed and agent."""

    mean_reward: np.ndarray  # [S, L + 1, n_agents], per step, the mean over tasks at each link
    term_norms: np.ndarray  # [S, n_agents, 3], the norm of each term of `MetaGradients`
    game_metrics: dict[str, np.ndarray]  # by the names of the game's spec, like `mean_reward`; NaN where not defined


class MetaTrainer(descriptions.Described):
    """Learns the meta-parameters of all meta-agents with Adam.

    Attributes:
        problem: the Problem.
        meta_params: tuple over agents of MetaParams of Keras variables, [S, ...]; those of agents that are no
            meta-agents stay as they are.
        n_meta_updates_done: int64 variable.
        critic: `CriticLearner`, of the estimator's critic.
        pools: `Pools`, of populations that grow.
        learned: nested dicts and lists of variables [S, ...], everything that is learned, by agents and critics.
        best: `Best`, of the same.
        state: nested dicts and lists of variables, what a checkpoint must hold to go on exactly.
    """

    def __init__(self, problem: Problem, settings: TrainerSettings, seeds: Sequence[int]) -> None:
        """
        Args:
            problem: what is trained.
            settings: how.
            seeds: S integers.

        Raises:
            InvalidInputError: if one of these is something else, or a population is too small.
        """
        checks.check(isinstance(problem, Problem), "problem", problem, "a Problem")
        checks.check(isinstance(settings, TrainerSettings), "settings", settings, "TrainerSettings")
        problem.check_sizes(random.META_TRAIN, "n_tasks", settings.n_tasks)
        self.problem = problem
        self._settings = settings
        self._seeds = arguments.seeds("seeds", seeds)
        policies, agents = problem.policies, problem.agents

        initial = [policy.initial_params(self._seeds) for policy in policies]
        update = adaptation.init_update_params(agents, problem.estimator, len(self._seeds), settings.chain_length)
        begin = list(map(MetaParams, initial, update))
        self._shared = Shared(problem) if settings.share_initial_policy else None
        if self._shared:
            begin = self._shared.initial(begin)
        self.meta_params = tf.nest.map_structure(keras.Variable, tuple(begin))
        # The parts of meta-parameters, each with a meta learning rate. Adam is elementwise, so one optimizer for all
        # seeds and agents keeps them apart.
        parts = [tf.nest.flatten([getattr(own, part) for own in self.meta_params]) for part in MetaParams._fields]
        rate = settings.meta_learning_rate
        update_rate = rate if settings.update_meta_learning_rate is None else settings.update_meta_learning_rate
        self._optimizers = [_adam(rate, parts[0]), _adam(update_rate, parts[1])]
        self.n_meta_updates_done = tf.Variable(0, dtype=tf.int64)
        self.critic = CriticLearner(problem.estimator, self._seeds, len(agents))
        self.pools = Pools(problem, self.meta_params)
        self.learned = {
            **{learned_names.agent(index): own._asdict() for index, own in enumerate(self.meta_params)},
            learned_names.CRITIC: self.critic.variables, learned_names.POOLS: self.pools.variables,
        }
        self.best = Best([*parts[0], *parts[1], *self.critic.variables])
        self.state = {
            "meta_params": parts,
            "optimizers": [optimizer.variables for optimizer in self._optimizers],
            "n_meta_updates_done": self.n_meta_updates_done,
            "best": self.best.state,
            "critic": {"params": self.critic.variables, "optimizer": self.critic.optimizer.variables},
            "pools": self.pools.variables,
        }

        self._compile_fn = Compiler(jit_compile=settings.jit_compile)
        # Games that are played outside of the graph leave only the parts to be compiled.
        in_graph = problem.estimator.in_graph
        whole = functools.partial(tf.function, autograph=False) if in_graph else adaptation.identity
        draws = Draws(problem, self._seeds)
        self._draw_tasks = self._compile_fn(draws.tasks)
        self._draw_link_keys = self._compile_fn(draws.link_keys)
        self._draw_initial_params = self._compile_fn(
            lambda *which: draws.initial_params(
                tuple(own.initial for own in self.meta_param_values()),
                tuple(map(self.pools.of_agent, range(len(agents)))), *which,
            )
        )
        # Of what is played in the graph all is compiled as one.
        advance = functools.partial(
            link_work.play_and_update, problem.estimator, problem.agents,
            adaptation.identity if in_graph else self._compile_fn, critic_gradients=self.critic.gradients,
        )
        self._advance = self._compile_fn(advance) if in_graph else advance
        self._compute: Any = whole(self._gradients_and_metrics)
        self._apply = tf.function(self._apply_gradients, autograph=False)

    def trace(self) -> None:
        """Traces the meta-gradient, without computing it; the first `step` need not do so again."""
        if self.problem.estimator.in_graph:
            self._compute.get_concrete_function()

    def step(self) -> Metrics:
        """One meta-update of every meta-agent.

        Returns:
            Metrics of the chains that the update was computed from.

        Raises:
            NonFiniteGradientError: before anything is updated.
            InvalidInputError: if XLA is to compile what it cannot.
        """
        with explained():
            gradients, finite, critic_gradients, metrics = self._compute()
        for what, is_finite in finite.items():
            if bad_seeds := [seed for seed, is_right in zip(self._seeds, is_finite.numpy()) if not is_right]:
                raise gradient_norms.NonFiniteGradientError(what, int(self.n_meta_updates_done) + 1, bad_seeds)
        self._apply(gradients, critic_gradients)
        self.pools.grow(int(self.n_meta_updates_done))
        return Metrics(*tf.nest.map_structure(lambda metric: metric.numpy(), metrics))

    def tasks(self, phase: int, n_tasks: int, draw: int = 0) -> Structure:
        """The tasks of a phase and a draw, leaves [S, N, ...]."""
        return self._draw_tasks(phase, draw, n_tasks)

    def initial_states(self, phase: int, n_tasks: int, draw: int = 0) -> tuple[AgentState, ...]:
        """The states that all agents start the tasks of a phase from: tuple of AgentStates with leaves [S, N, ...]."""
        joint_params = self._draw_initial_params(phase, draw, n_tasks)
        return adaptation.initial_states(self.problem.agents, joint_params, self.problem.estimator)

    def advance(
        self, phase: int, draw: int, tasks: Structure, index: int, agent_states: Sequence[AgentState]
    ) -> link_work.Played:
        """Plays one link of a chain, and lets all agents learn from it.

        Args:
            phase, draw: whose random numbers are used.
            tasks: tasks with leading axes [S, N].
            index: l, which link it is.
            agent_states: of all agents, leaves [S, N, ...].

        Raises:
            InvalidInputError: if XLA is to compile what it cannot.
        """
        keys = self._draw_link_keys(phase, draw, tf.constant(index))
        # A chain that goes on beyond L links keeps the last step.
        step_params = tuple(adaptation.at_step(values.update, index) for values in self.meta_param_values())
        critic_params = self.critic.values(_n_tasks(agent_states))
        with explained():
            return self._advance(agent_states, step_params, critic_params, tasks, keys)

    def meta_param_values(self) -> tuple[MetaParams, ...]:
        """The meta-parameters as tensors: tuple over agents of MetaParams with leaves [S, ...]."""
        return tf.nest.map_structure(_value, self.meta_params)

    def _gradients_and_metrics(self) -> tuple[list[MetaParams], dict[str, tf.Tensor], list[tf.Tensor], Metrics]:
        problem, n_tasks = self.problem, self._settings.n_tasks
        meta_update = tf.identity(self.n_meta_updates_done)
        tasks = self._draw_tasks(random.META_TRAIN, meta_update, n_tasks)
        links = range(self._settings.chain_length + 1)
        keys = [self._draw_link_keys(random.META_TRAIN, meta_update, tf.constant(link)) for link in links]
        chain = adaptation.adapt(
            problem.estimator, problem.agents, self._draw_initial_params(random.META_TRAIN, meta_update, n_tasks),
            tasks, keys, update_params=tuple(values.update for values in self.meta_param_values()),
            critic_params=self.critic.values(n_tasks), compile_fn=self._compile_fn,
        )
        reports = [link_work.report(problem.estimator, tasks, link) for link in chain.links]
        mean_reward, game_metrics = tf.nest.map_structure(lambda *by_link: tf.stack(by_link, axis=1), *reports)
        terms = [agent.meta_gradients(chain, index) for index, agent in enumerate(problem.agents)]
        gradients = [own_terms.total for own_terms in terms]
        for index, population in enumerate(problem.populations):
            if population is not None:  # Nobody starts from what would be learned.
                zeros = tf.nest.map_structure(tf.zeros_like, gradients[index].initial)
                gradients[index] = gradients[index]._replace(initial=zeros)
        if self._shared:
            gradients = self._shared.averaged(gradients)
        if (limit := self._settings.max_gradient_norm) is not None:
            gradients = [gradient_norms.shortened(own, limit) for own in gradients]
        term_norms = [
            tf.stack([gradient_norms.norms(term.initial) for term in own_terms], axis=-1) for own_terms in terms
        ]
        metrics = Metrics(mean_reward, tf.stack(term_norms, axis=1), game_metrics)
        critic_gradients = self.critic.gradients(chain.links, self._compile_fn)
        finite = {"meta-gradient": gradient_norms.have_finite_squares(gradients)}
        if critic_gradients:
            finite["gradient of a critic"] = gradient_norms.have_finite_squares(critic_gradients)
        return gradients, finite, critic_gradients, metrics

    def _apply_gradients(self, gradients: Sequence[MetaParams], critic_gradients: Sequence[tf.Tensor]) -> None:
        for optimizer, part in zip(self._optimizers, MetaParams._fields):
            leaves = tf.nest.flatten([getattr(own, part) for own in gradients])
            optimizer.apply([-leaf for leaf in leaves])
        self.critic.optimizer.apply(critic_gradients)
        self.n_meta_updates_done.assign_add(1)


def _n_tasks(agent_states: Sequence[AgentState]) -> int:
    """N of agents' states with leaves [S, N, ...]."""
    return agent_states[0].params[0].shape[1]


def _adam(learning_rate: float, variables: Sequence[keras.Variable]) -> keras.Optimizer:
    optimizer = keras.optimizers.Adam(float(learning_rate))
    optimizer.build(variables)
    return optimizer


def _value(variable: keras.Variable) -> tf.Tensor:
    return tf.convert_to_tensor(variable.value)
