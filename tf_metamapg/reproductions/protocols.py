"""What several reproductions have in common: configs, and agents that meet in the iterated prisoner's dilemma."""

from collections.abc import Callable
from collections.abc import Mapping
import pathlib
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg import gin_reader
from tf_metamapg import loading
from tf_metamapg import starts
from tf_metamapg.games import payoffs
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.tasks import DefaultTasks
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.policies.tabular import TabularPolicy
from tf_metamapg.runs import files
from tf_metamapg.runs import progress
from tf_metamapg.training import learning
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer

_NAME_OF_FILE = str.maketrans(" ", "_", "(),'")


class Run(NamedTuple):
    """One run of a reproduction."""

    name: str
    config: str  # of this package, without its ending
    bindings: tuple[str, ...] = ()  # of gin, which come after it

    def gin_file(self) -> pathlib.Path:
        """Where its config is."""
        return gin_reader.SHIPPED / f"{self.config}.gin"

    def path(self, directory: files.PathLike) -> pathlib.Path:
        """Its run directory, in that of the reproduction."""
        return pathlib.Path(directory) / "runs" / self.name


def default_tasks(of: contracts.AnyGame | contracts.Estimator, n_seeds: int, n_tasks: int) -> tf.Tensor:
    """The game as it is by itself, for each seed and task: [S, N, ...]."""
    table = tf.constant(of.default_tasks, of.spec.dtype)
    return tf.broadcast_to(table, [n_seeds, n_tasks, *table.shape])


def train(directory: files.PathLike, runs: Mapping[Any, Run]) -> dict[Any, dict[str, Any]]:
    """Trains and evaluates runs, one after the other; what was killed goes on, and what has ended is not done again.

    Args:
        directory: of the reproduction.
        runs: by what tells them apart.

    Returns:
        the summaries by the same, see `experiment.train`.

    Raises:
        InvalidInputError: if a run directory cannot be used.
    """
    return {key: starts.train_once(run.path(directory), [run.gin_file()], run.bindings) for key, run in runs.items()}


def computed_once(
    directory: files.PathLike, name: str, settings: Any, compute: Callable[[], Any], kind: Any
) -> Any:
    """What a function returns, from a file if that is there already, so that what was killed need not begin again.

    Args:
        directory: where the file is.
        name: what is computed, in words; the file is called after it.
        settings: all that it depends on; where its `repr` is another than when the file was written, all is computed
            anew.
        compute: function () → NamedTuple of arrays.
        kind: which NamedTuple.
    """
    path = pathlib.Path(directory) / f"{name.lower().translate(_NAME_OF_FILE)}.npz"
    if path.exists():
        with np.load(path) as stored:
            if str(stored["settings"]) == repr(settings):
                return kind(**{field: stored[field] for field in kind._fields})
    path.parent.mkdir(parents=True, exist_ok=True)
    computed = compute()
    with files.atomic(path) as aside, open(aside, "wb") as file:
        np.savez(file, settings=np.array(repr(settings)), **computed._asdict())
    return computed


class Curves(NamedTuple):
    """What agents get in meta-validation."""

    mean_reward: np.ndarray  # [S, updates + 1, n_agents]


def meta_validation_curves(directory: files.PathLike, run: Run, summary: Mapping[str, Any]) -> np.ndarray:
    """The mean rewards in meta-validation of a run without meta-agents, which computes none itself.

    Args:
        directory: of the reproduction.
        run: which.
        summary: what it has returned.

    Returns:
        array [S, updates + 1, n_agents].
    """
    path = run.path(directory)

    def evaluate() -> Curves:
        loaded = loading.load_run(str(path))
        n_inner_updates = loaded.experiment.evaluation.n_inner_updates
        show = progress.inner_updates(n_inner_updates, what=f"{run.name}, meta-validation, update")
        return Curves(loaded.evaluate(phase=random.META_VALIDATION, report=show).mean_reward)

    what = f"{run.name} meta-validation"
    return computed_once(path.parent, what, summary["config_digest"], evaluate, Curves).mean_reward


def meta_test_curves(summaries: Mapping[Any, Mapping[str, Any]]) -> dict[Any, np.ndarray]:
    """The mean rewards of runs in meta-testing: a dict of arrays [S, updates + 1, n_agents]."""
    return {key: np.array(summary["meta_test"]["average_reward"]) for key, summary in summaries.items()}


def prisoners_dilemma(initial_stddev: float, dtype: str) -> tuple[IteratedMatrixGame, list[TabularPolicy]]:
    """The game with γ = 0.96, and two tabular policies for it with θ ~ N(0, σ²): (game, policies)."""
    game = IteratedMatrixGame(payoffs.prisoners_dilemma(), discount=0.96, dtype=dtype)
    return game, [tabular_policy(game, agent_index, initial_stddev) for agent_index in range(2)]


def learning_curves(
    agent: contracts.Agent, make_estimator: Callable[..., contracts.Estimator], *, initial_stddev: float, n_seeds: int,
    n_updates: int, dtype: str, description: str, jit_compile: bool,
) -> np.ndarray:
    """Lets two agents of one kind play from θ ~ N(0, σ²), γ = 0.96, without noise on the payoffs.

    Args:
        agent: one of `agents/`.
        make_estimator: function (game, policies) → estimator.
        initial_stddev: σ.
        n_seeds: S; the seeds are 0, 1, …
        n_updates: how often both learn.
        dtype: 'float32' or 'float64'.
        description: what the progress bar says.
        jit_compile: whether XLA compiles an update.

    Returns:
        array [S, n_updates + 1, 2], the mean reward per step of both agents before each update and
        after the last.
    """
    game, policies = prisoners_dilemma(initial_stddev, dtype)
    return self_play(
        agent, make_estimator(game, policies), game, n_seeds=n_seeds, n_updates=n_updates, description=description,
        jit_compile=jit_compile,
    ).mean_reward


def self_play(
    agent: contracts.Agent, estimator: contracts.Estimator, game: contracts.AnyGame, *, n_seeds: int, n_updates: int,
    description: str, jit_compile: bool,
) -> learning.Evaluation:
    """Lets agents of one kind play a game with each other, by an estimator; see `learning_curves`."""
    problem = Problem(
        game=game, policies=estimator.policies, agents=(agent,) * game.spec.n_agents, estimator=estimator,
        task_distribution=DefaultTasks(game),
    )
    trainer = MetaTrainer(problem, TrainerSettings(chain_length=0, jit_compile=jit_compile), range(n_seeds))
    show = progress.inner_updates(n_updates, what=f"{description}, update")
    return learning.evaluate(trainer, random.META_TEST, n_updates, n_tasks=1, report=show)
