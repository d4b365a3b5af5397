"""What a run is: its problem and its numbers, and whether they fit into memory."""

from collections.abc import Sequence
import dataclasses

import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.numerics import random
from tf_metamapg.runs.callbacks import Callback
from tf_metamapg.runs.callbacks import check_signatures
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How agents are evaluated.

    Args:
        n_inner_updates: how often all agents learn in meta-validation and in meta-testing; without meta-agents, how
            often they learn at all.
        n_evaluation_tasks: tasks per seed in meta-validation, and again in meta-testing; without meta-agents, tasks per
            seed.
        validate_every: meta-updates between meta-validations. At the end, and at the end of each stage, every seed
            goes back to where it did best in one: where the mean of the meta-agents' mean reward after the inner
            updates they are trained for was largest. By default every seed keeps what it has learned at the end.

    Raises:
        InvalidInputError: if one of these numbers cannot be used.
    """

    n_inner_updates: int = 5
    n_evaluation_tasks: int = 32
    validate_every: int | None = None

    def __post_init__(self) -> None:
        checks.check_integer("n_inner_updates", self.n_inner_updates, minimum=0)
        checks.check_integer("n_evaluation_tasks", self.n_evaluation_tasks, minimum=1)
        if self.validate_every is not None:
            checks.check_integer("validate_every", self.validate_every, minimum=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of meta-training that comes before the last: with another chain, for some meta-updates.

    The next one starts from what it has learned, with new moments of Adam; further updates of its chain from its last.

    Args:
        chain_length: L, inner updates per meta-update.
        n_meta_updates: how many meta-updates there are.
        meta_learning_rate: Adam's step size, of initial policies; by default that of the run.

    Raises:
        InvalidInputError: if one of these cannot be used.
    """

    chain_length: int = 1
    n_meta_updates: int = 100
    meta_learning_rate: float | None = None

    def __post_init__(self) -> None:
        checks.check_integer("Stage.chain_length", self.chain_length, minimum=0, maximum=10_000)
        checks.check_integer("Stage.n_meta_updates", self.n_meta_updates, minimum=0)
        if self.meta_learning_rate is not None:
            checks.check_number("Stage.meta_learning_rate", self.meta_learning_rate, minimum=0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How long a run is, and what it leaves.

    Args:
        n_seeds: S; the seeds are first_seed, first_seed + 1, …
        first_seed: see above.
        n_meta_updates: how many meta-updates there are, if there are meta-agents; of the last stage, if there are
            several.
        earlier_stages: stages of meta-training that come before.
        checkpoint_every: meta-updates between checkpoints; without meta-agents, inner updates.
        export_all_seeds: whether to export every seed's policies beside those of the best seed.
        export_tasks: indices of tasks of meta-testing; the policies that agents have adapted to these are exported.
            Without meta-agents at least those of task 0 are.
        export_learning: whether to export agents that go on learning where they are served, see `serving.py`.
        init_from: the directory of another run, whose meta-parameters each of these seeds starts from.
        snapshot_every: meta-updates between snapshots of every seed's initial policies, the first before all of them;
            a population of `Snapshots` is made of these. By default there are none.
        callbacks: what is called along the run, see `callbacks.py`.

    Raises:
        InvalidInputError: if one of these cannot be used.
    """

    n_seeds: int = 20
    first_seed: int = 0
    n_meta_updates: int = 200
    earlier_stages: Sequence[Stage] = ()
    checkpoint_every: int = 50
    export_all_seeds: bool = False
    export_tasks: Sequence[int] = ()
    export_learning: bool = False
    init_from: str | None = None
    snapshot_every: int | None = None
    callbacks: Sequence[Callback] = ()

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
        if self.init_from is not None:
            checks.check(isinstance(self.init_from, str), "init_from", self.init_from, "the directory of a run")
        for name, kind, allowed in (
            ("earlier_stages", Stage, "a Stage, such as @Stage() with parentheses"),
            ("callbacks", Callback, "a callback, such as @EarlyStopping() with parentheses"),
        ):
            given = getattr(self, name)
            checks.check(isinstance(given, (list, tuple)), name, given, "a list")
            for index, entry in enumerate(given):
                is_made = isinstance(entry, kind) and not isinstance(entry, type)
                checks.check(is_made, f"{name}[{index}]", entry, allowed)
        for index, callback in enumerate(self.callbacks):
            check_signatures(f"callbacks[{index}]", callback)
        checks.check(isinstance(self.export_tasks, (list, tuple)), "export_tasks", self.export_tasks, "a list")
        for index, task in enumerate(self.export_tasks):
            checks.check_integer(f"export_tasks[{index}]", task, minimum=0)

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

        validates = self.has_meta_agents and self.evaluation.validate_every is not None
        for index, callback in enumerate(self.run.callbacks):
            allowed = "one that needs no meta-validations, as train.validate_every is None or nobody meta-learns"
            checks.check(validates or not callback.needs_validation, f"callbacks[{index}]", callback, allowed)
        for index, task in enumerate(self.run.export_tasks):
            n_tasks = self.evaluation.n_evaluation_tasks
            checks.check(task < n_tasks, f"export_tasks[{index}]", task, f"below n_evaluation_tasks, {n_tasks}")

    @property
    def has_meta_agents(self) -> bool:
        """Whether anybody meta-learns."""
        return any(agent.is_meta_agent for agent in self.problem.agents)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All stages of meta-training."""
        return (*self.run.earlier_stages, Stage(
            chain_length=self.trainer.chain_length, n_meta_updates=self.run.n_meta_updates,
            meta_learning_rate=self.trainer.meta_learning_rate,
        ))

    @property
    def compared_agents(self) -> list[int]:
        """The indices of the meta-agents, or of all agents where there are none."""
        agents = self.problem.agents
        return [index for index, agent in enumerate(agents) if agent.is_meta_agent] or [*range(len(agents))]

    def compared(self, mean_reward: np.ndarray) -> np.ndarray:
        """The mean over the agents by whom seeds are compared: [..., n_agents] → [...]."""
        return mean_reward[..., self.compared_agents].mean(axis=-1)

    def scores(self, mean_reward: np.ndarray, chain_length: int) -> np.ndarray:
        """How well each seed does in what it learns for: [S, updates + 1, n_agents] → [S].

        With meta-agents that is the mean over the inner updates that they are trained for; without, what seeds get
        after the last update.

        Args:
            mean_reward: what agents get before each inner update and after the last.
            chain_length: for how many inner updates there has been meta-training.
        """
        return self.compared(mean_reward)[:, self.scored_updates(mean_reward.shape[1] - 1, chain_length)].mean(axis=1)

    def scored_updates(self, n_updates: int, chain_length: int) -> slice:
        """After which of so many inner updates it counts what seeds get; see `scores`."""
        n_trained = min(chain_length, n_updates)
        return slice(min(1, n_trained), n_trained + 1) if self.has_meta_agents else slice(n_updates, None)


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
