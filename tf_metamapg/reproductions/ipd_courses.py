"""Meta-training in the iterated prisoner's dilemma with exact values, and what is got along longer chains after it."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.games.tasks import DefaultTasks
from tf_metamapg.numerics import random
from tf_metamapg.policies.populations import NormalPolicies
from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files
from tf_metamapg.runs import progress
from tf_metamapg.training import learning
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer


class Course(NamedTuple):
    """What both agents get."""

    training: np.ndarray  # [S, meta-updates, 2], the mean over the updates of a chain
    test: np.ndarray  # [S, updates + 1, 2]
    learned: tuple[np.ndarray, ...]  # by agent 0 after some meta-updates, leaves [S, ...]


def make_trainer(
    agents: Sequence[contracts.Agent], drawn: Sequence[int], *, n_seeds: int, chain_length: int, n_tasks: int,
    rate: float,
) -> MetaTrainer:
    """A trainer of two agents with tables, γ = 0.96.

    Args:
        agents: two of `agents/`.
        drawn: which of them start each task from θ ~ N(0, 1), and not from a θ of their seed.
        n_seeds: S; the seeds are 0, 1, …
        chain_length, n_tasks: of meta-training.
        rate: Adam's, of what is meta-learned.
    """
    game, policies = protocols.prisoners_dilemma(initial_stddev=1.0, dtype="float64")
    populations = tuple(
        NormalPolicies(policy) if index in drawn else None for index, policy in enumerate(policies)
    )
    problem = Problem(
        game=game, policies=tuple(policies), agents=tuple(agents), estimator=ExactEstimator(game, policies),
        task_distribution=DefaultTasks(game), populations=populations,
    )
    # So little is computed at each link that XLA would take longer to compile than it saves.
    settings = TrainerSettings(chain_length=chain_length, n_tasks=n_tasks, meta_learning_rate=rate, jit_compile=False)
    return MetaTrainer(problem, settings, range(n_seeds))


def course(
    name: str, trainer: MetaTrainer, n_meta_updates: int, *, n_measured: int, n_test_tasks: int, n_kept: int = 0
) -> Course:
    """Lets agents meta-learn, and measures them.

    Args:
        name: of the case, for the progress bar.
        trainer: see `make_trainer`.
        n_meta_updates: how often they learn.
        n_measured: updates of the chains that they are measured along.
        n_test_tasks: how many of these for each seed.
        n_kept: after how many meta-updates it is kept what agent 0 has learned.
    """
    training: list[np.ndarray] = []
    learned: tuple[np.ndarray, ...] = ()
    show = progress.inner_updates(n_meta_updates, what=f"{name}, meta-update")
    for meta_update in range(n_meta_updates):
        if meta_update == n_kept:
            learned = _learned(trainer)
        training.append(trainer.step().mean_reward[:, 1:].mean(axis=1))
        show(meta_update + 1, training[-1])
    if n_kept == n_meta_updates:
        learned = _learned(trainer)
    test = learning.evaluate(trainer, random.META_TEST, n_measured, n_tasks=n_test_tasks).mean_reward
    return Course(np.stack(training, axis=1), test, learned)


def _learned(trainer: MetaTrainer) -> tuple[np.ndarray, ...]:
    return tuple(variable.numpy() for variable in tf.nest.flatten(trainer.meta_params[0]))


def over_updates(test: np.ndarray) -> np.ndarray:
    """The mean of what is got after each update: [S, updates + 1, 2] → [S, 2]."""
    return test[:, 1:].mean(axis=1)


def save(
    directory: files.PathLike, courses: Mapping[str, Course], labels: Mapping[str, tuple[str, str]],
    header: Sequence[str], rows: Sequence[Sequence[Any]], text: str,
) -> None:
    """Writes results, with a figure of meta-training and its numbers.

    Args:
        directory: where to.
        courses: by case.
        labels: what the agents are called, by case.
        header, rows, text: see `results.save`.
    """
    training = {name: course.training for name, course in courses.items()}
    drawn = [
        [name, seed, meta_update + 1, *(f"{value:.9g}" for value in values[seed, meta_update])]
        for name, values in training.items() for seed, meta_update in np.ndindex(values.shape[:2])
    ]
    columns = ["case", "seed", "meta_update", "reward_of_agent_0", "reward_of_agent_1"]
    figure = results.meta_training_figure(training, labels)
    results.save(directory, figure, header, rows, text, {"meta_training.csv": [columns, *drawn]})
