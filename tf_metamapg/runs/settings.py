"""What a run is: its problem and its numbers, whether they fit into memory, and whether compiling pays."""

import dataclasses

import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.numerics import random
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How agents are evaluated.

    Args:
        evaluation_chain_length: inner updates in meta-validation and meta-testing.
        n_evaluation_tasks: tasks per seed in meta-validation, and again in meta-testing.
        validate_every: meta-updates between meta-validations. At the end every seed goes back to where it did best in
            one: where the mean of the meta-agents' mean reward after the inner updates they are trained for was
            largest. By default every seed keeps what it has learned at the end.

    Raises:
        InvalidInputError: if one of these numbers cannot be used.
    """

    evaluation_chain_length: int = 5
    n_evaluation_tasks: int = 32
    validate_every: int | None = None

    def __post_init__(self) -> None:
        checks.check_integer("evaluation_chain_length", self.evaluation_chain_length, minimum=0)
        checks.check_integer("n_evaluation_tasks", self.n_evaluation_tasks, minimum=1)
        if self.validate_every is not None:
            checks.check_integer("validate_every", self.validate_every, minimum=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How long a run is, and what it leaves.

    Args:
        n_seeds: S; the seeds are first_seed, first_seed + 1, …
        first_seed: see above.
        n_meta_updates: how many meta-updates there are.
        checkpoint_every: meta-updates between checkpoints.
        export_all_seeds: whether to export every seed's policies beside those of the best seed.
        export_learning: whether to export agents that go on learning where they are served, see `serving.py`.
        snapshot_every: meta-updates between snapshots of every seed's initial policies, the first before all of them;
            a population of `Snapshots` is made of these. By default there are none.

    Raises:
        InvalidInputError: if one of these cannot be used.
    """

    n_seeds: int = 20
    first_seed: int = 0
    n_meta_updates: int = 200
    checkpoint_every: int = 50
    export_all_seeds: bool = False
    export_learning: bool = False
    snapshot_every: int | None = None

    def __post_init__(self) -> None:
        # Every seed has models of its own to be built.
        checks.check_integer("n_seeds", self.n_seeds, minimum=1, maximum=100_000)
        checks.check_integer("first_seed", self.first_seed, minimum=0)
        are_small = self.first_seed + self.n_seeds <= 2**31
        checks.check(are_small, "first_seed", self.first_seed, "such that all seeds are below 2³¹")
        checks.check_integer("n_meta_updates", self.n_meta_updates, minimum=0)
        checks.check_integer("checkpoint_every", self.checkpoint_every, minimum=1)
        checks.check_boolean("export_all_seeds", self.export_all_seeds)
        checks.check_boolean("export_learning", self.export_learning)
        if self.snapshot_every is not None:
            checks.check_integer("snapshot_every", self.snapshot_every, minimum=1)

    @property
    def seeds(self) -> range:
        """The seeds."""
        return range(self.first_seed, self.first_seed + self.n_seeds)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """A problem, and how agents are trained and evaluated in it.

    Raises:
        InvalidInputError: if the parts do not fit each other, or are too large for this machine.
    """

    problem: Problem
    trainer: TrainerSettings
    evaluation: EvaluationSettings
    run: RunSettings

    def __post_init__(self) -> None:
        sizes = (("n_tasks", self.trainer.n_tasks), ("n_evaluation_tasks", self.evaluation.n_evaluation_tasks))
        for phases, (name, n_tasks) in zip(
            ((random.META_TRAIN,), (random.META_VALIDATION, random.META_TEST)), sizes
        ):
            for phase in phases:
                self.problem.check_sizes(phase, name, n_tasks)
            _check_memory(name, n_tasks, self.run.n_seeds, self.problem)

    @property
    def trained_links(self) -> range:
        """The links, of those that are evaluated, by whose mean reward seeds are compared."""
        n_updates = min(self.trainer.chain_length, self.evaluation.evaluation_chain_length)
        return range(min(1, n_updates), n_updates + 1)

    @property
    def compared_agents(self) -> list[int]:
        """The indices of the meta-agents, or of all agents where there are none."""
        agents = self.problem.agents
        return [index for index, agent in enumerate(agents) if agent.is_meta_agent] or [*range(len(agents))]

    def compared(self, mean_reward: np.ndarray) -> np.ndarray:
        """The mean over the agents by whom seeds are compared: [..., n_agents] → [...]."""
        return mean_reward[..., self.compared_agents].mean(axis=-1)

    def scores(self, mean_reward: np.ndarray) -> np.ndarray:
        """How well each seed does in what it is trained for: [S, L + 1, n_agents] → [S]."""
        return self.compared(mean_reward)[:, self.trained_links].mean(axis=1)


def compiling_pays(
    problem: Problem, trainer: TrainerSettings, evaluation: EvaluationSettings, run: RunSettings
) -> bool:
    """Whether compiling with XLA is likely to save more time than it takes, from what was measured on two cores.

    Args:
        problem, trainer, evaluation, run: what an `Experiment` is made of; what `trainer` says of it does not count.
    """
    n_steps = run.n_seeds * problem.estimator.n_steps
    if not n_steps:
        return False  # Exact values are small solves, in which XLA finds nothing to save.
    every = evaluation.validate_every
    n_evaluations = 2 + (0 if every is None else -(-run.n_meta_updates // every))
    phases = (
        (run.n_meta_updates * (trainer.chain_length + 1), n_steps * trainer.n_tasks),
        (n_evaluations * (evaluation.evaluation_chain_length + 1), n_steps * evaluation.n_evaluation_tasks),
    )
    saved = sum(n_links * (10e-3 + 100e-9 * n_steps_per_link) for n_links, n_steps_per_link in phases)
    return saved > 5.0  # The seconds that compiling takes longer than tracing.


def _check_memory(name, n_tasks, n_seeds, problem):
    """Raises `InvalidInputError` if not even what every link of all seeds and tasks must hold fits into memory."""
    spec, n_steps = problem.game.spec, problem.estimator.n_steps
    leaves = [leaf for policy in problem.policies for leaf in policy.reference_params]
    n_numbers = sum(np.size(leaf) for leaf in tf.nest.flatten([problem.game.default_tasks, leaves]))
    # Of every step each agent's observation, action and reward.
    per_step = sum(_size(space) for space in (*spec.observations, *spec.actions)) + spec.n_agents
    n_bytes = 4 * n_seeds * n_tasks * (n_numbers + per_step * n_steps)
    checks.check_memory(f"{name} (times {n_seeds} seeds and {n_steps} steps)", n_tasks, n_bytes)


def _size(space):
    return 1 if isinstance(space, contracts.Discrete) else int(np.prod(space.shape))
