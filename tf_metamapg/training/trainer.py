"""Meta-training: from initial policies to initial policies that have learned to learn.

All seeds train in one program, as the leading axis of every tensor. Whether the agents' functions are
compiled is chosen here, and in no library function.
"""

from collections.abc import Callable
from collections.abc import Sequence
import functools
import math
from typing import Any

import keras
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg import learned_names
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import MetaParams
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import random
from tf_metamapg.training import gradient_norms
from tf_metamapg.training import link_work
from tf_metamapg.training.best import Best
from tf_metamapg.training.blocks import Blocks
from tf_metamapg.training.compiler import Compiler
from tf_metamapg.training.compiler import explained
from tf_metamapg.training.critic_learner import CriticLearner
from tf_metamapg.training.draws import Draws
from tf_metamapg.training.meta_update import Found
from tf_metamapg.training.meta_update import Learned
from tf_metamapg.training.meta_update import MetaUpdate
from tf_metamapg.training.meta_update import MetaUpdates
from tf_metamapg.training.meta_update import Metrics
from tf_metamapg.training.pools import Pools
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.sharing import Shared
from tf_metamapg.training.workers import ALONE
from tf_metamapg.training.workers import Workers


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

    def __init__(
        self, problem: Problem, settings: TrainerSettings, seeds: Sequence[int], workers: Workers = ALONE
    ) -> None:
        """
        Args:
            problem: what is trained.
            settings: how.
            seeds: S integers.
            workers: who computes the blocks of a batch. All of them call the same methods in the same order, and hold
                the same values.

        Raises:
            InvalidInputError: if one of these is something else, a population is too small, or a batch cannot be cut
                into as many equal blocks.
        """
        checks.check(isinstance(problem, Problem), "problem", problem, "a Problem")
        checks.check(isinstance(settings, TrainerSettings), "settings", settings, "TrainerSettings")
        contracts.check_kind("workers", workers, Workers, "workers, such as ALONE")
        problem.check_sizes(random.META_TRAIN, "n_tasks", settings.n_tasks)
        self.problem = problem
        self._workers = workers
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
        self.critic = CriticLearner(problem.estimator, self._seeds)
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

        n_seeds = len(self._seeds)
        self._blocks = settings.blocks(problem, n_seeds)
        compile_fn = Compiler(jit_compile=settings.jit_compile)
        # Games that are played outside of the graph leave only the parts to be compiled.
        in_graph = problem.estimator.in_graph
        whole = functools.partial(tf.function, autograph=False) if in_graph else adaptation.identity
        draws = Draws(problem, self._seeds)
        self._draw_keys, self._draw_link_keys = compile_fn(draws.keys), compile_fn(random.link_keys)
        self._draw_tasks, self._draw_initial_params = compile_fn(draws.tasks), compile_fn(draws.initial_params)
        # Of what is played in the graph all is compiled as one.
        advance = functools.partial(
            link_work.play_and_update, problem.estimator, problem.agents,
            adaptation.identity if in_graph else compile_fn, critic_gradients=self.critic.gradients,
        )
        # Tasks of a seed stay together in what is no meta-update.
        self._seed_blocks = Blocks(n_seeds, 1, math.gcd(n_seeds, settings.n_blocks))
        advance = functools.partial(_of_block, self._seed_blocks, advance)
        self._advance = compile_fn(advance) if in_graph else advance
        self._meta_updates = MetaUpdates(
            problem, settings, draws, self.critic, self._shared, self._blocks, compile_fn
        )
        self._of_block = whole(self._meta_updates.of_block)
        self._compute: Any = whole(self._meta_update)
        self._apply = tf.function(self._apply_gradients, autograph=False)

    def trace(self) -> None:
        """Traces the meta-gradient, without computing it; the first `step` need not do so again."""
        if self.problem.estimator.in_graph:
            self._compute.get_concrete_function()

    def compute(self) -> MetaUpdate:
        """What the next `step` learns from, without learning from it; always the same.

        Raises:
            InvalidInputError: if XLA is to compile what it cannot.
        """
        with explained():
            return self._compute()

    def step(self) -> Metrics:
        """One meta-update of every meta-agent.

        Returns:
            Metrics of the chains that the update was computed from.

        Raises:
            NonFiniteGradientError: before anything is updated.
            InvalidInputError: if XLA is to compile what it cannot.
        """
        found = self.compute()
        for what, is_finite in found.finite.items():
            if bad_seeds := [seed for seed, is_right in zip(self._seeds, is_finite.numpy()) if not is_right]:
                raise gradient_norms.NonFiniteGradientError(what, int(self.n_meta_updates_done) + 1, bad_seeds)
        self._apply(found.gradients, found.critic_gradients)
        self.pools.grow(int(self.n_meta_updates_done))
        return Metrics(*tf.nest.map_structure(lambda metric: metric.numpy(), found.metrics))

    def tasks(self, phase: int, n_tasks: int, draw: int = 0) -> Structure:
        """The tasks of a phase and a draw, leaves [S, N, ...]."""
        return self._draw_tasks(self._draw_keys(phase, draw), n_tasks)

    def initial_states(self, phase: int, n_tasks: int, draw: int = 0) -> tuple[AgentState, ...]:
        """The states that all agents start the tasks of a phase from: tuple of AgentStates with leaves [S, N, ...]."""
        learned, keys = self._learned(), self._draw_keys(phase, draw)
        initial = tuple(own.initial for own in learned.meta_params)
        joint_params = self._draw_initial_params(initial, learned.pools, phase, keys, n_tasks)
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
        keys = self._draw_link_keys(self._draw_keys(phase, draw), tf.constant(index))
        # A chain that goes on beyond L links keeps the last step.
        step_params = tuple(adaptation.at_step(values.update, index) for values in self.meta_param_values())
        whole = agent_states, step_params, self.critic.values(), tasks, keys
        with explained():
            played = [self._advance(block, *whole) for block in _own(self._workers, self._seed_blocks)]
        return self._seed_blocks.joined_seeds(self._workers.gathered(played, self._seed_blocks.n_blocks))

    def meta_param_values(self) -> tuple[MetaParams, ...]:
        """The meta-parameters as tensors: tuple over agents of MetaParams with leaves [S, ...]."""
        return tf.nest.map_structure(_value, self.meta_params)

    def _learned(self) -> Learned:
        pools = tuple(map(self.pools.of_agent, range(len(self.problem.agents))))
        return Learned(self.meta_param_values(), pools, self.critic.values())

    def _meta_update(self) -> MetaUpdate:
        learned, n_done = self._learned(), tf.identity(self.n_meta_updates_done)
        found: list[Found] = []
        for block in _own(self._workers, self._blocks):
            # One after another, as at once they would need the memory of all.
            with tf.control_dependencies(tf.nest.flatten(found[-1:])):
                found.append(self._of_block(learned, n_done, block))
        return self._meta_updates.of_all(self._workers.gathered(found, self._blocks.n_blocks))

    def _apply_gradients(self, gradients: Sequence[MetaParams], critic_gradients: Sequence[tf.Tensor]) -> None:
        for optimizer, part in zip(self._optimizers, MetaParams._fields):
            leaves = tf.nest.flatten([getattr(own, part) for own in gradients])
            optimizer.apply([-leaf for leaf in leaves])
        self.critic.optimizer.apply(critic_gradients)
        self.n_meta_updates_done.assign_add(1)


def _own(workers: Workers, blocks: Blocks) -> list[tf.Tensor]:
    """The indices of the blocks that this process computes."""
    return [tf.constant(block, tf.int64) for block in workers.share(blocks.n_blocks)]


def _of_block(blocks: Blocks, function: Callable[..., Any], block: tf.Tensor, *whole: Structure) -> Any:
    """A function of what a block has of some arguments, leaves [S, ...]."""
    return function(*blocks.seeds_of(block, whole))


def _adam(learning_rate: float, variables: Sequence[keras.Variable]) -> keras.Optimizer:
    optimizer = keras.optimizers.Adam(float(learning_rate))
    optimizer.build(variables)
    return optimizer


def _value(variable: keras.Variable) -> tf.Tensor:
    return tf.convert_to_tensor(variable.value)
