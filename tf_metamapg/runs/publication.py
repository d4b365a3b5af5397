"""What a run publishes at its end: results first, and then what may fail without harm to them."""

import json
import sys
import time
from typing import Any

import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg.runs import exports
from tf_metamapg.runs import figures
from tf_metamapg.runs import files
from tf_metamapg.runs import learned
from tf_metamapg.runs import report as reports
from tf_metamapg.runs import run_directory
from tf_metamapg.runs import run_page
from tf_metamapg.runs import terminal
from tf_metamapg.runs.results import Results
from tf_metamapg.runs.run_directory import RunDirectory
from tf_metamapg.runs.settings import Experiment
from tf_metamapg.training.learning import Evaluation
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.trainer import MetaTrainer

# Of rewards and metrics in `summary.json`, and in what `bin/evaluate` writes.
AXES = "[seed][inner update][agent], inner update 0 is before adaptation; rewards and metrics are per step"


def summary(
    experiment: Experiment, trainer: MetaTrainer, results: Results, config: str, started: float
) -> dict[str, Any]:
    """The results of a run, and what they are results of: a dict, as it stands in `summary.json`."""
    problem, run = experiment.problem, experiment.run
    best = int(np.argmax(results.scores))
    evaluations = [("meta_validation", results.meta_validation), ("meta_test", results.meta_test)]
    return {
        "agent": labels(problem)[1],
        "game": problem.game.spec.name,
        "estimator": type(problem.estimator).__name__,
        "n_seeds": run.n_seeds,
        "seeds": list(run.seeds),
        "meta_updates": int(trainer.n_meta_updates_done),
        "chain_length": experiment.trainer.chain_length,
        "jit_compile": experiment.trainer.jit_compile,
        "wall_seconds": time.time() - started,
        "config_digest": _digest(experiment, config),
        "exported_tasks": exports.tasks_to_export(experiment),
        "exported_seed": run.seeds[best],
        "update_params": [
            tf.nest.map_structure(lambda leaf: leaf.numpy().tolist(), values.update)
            for values in trainer.meta_param_values()
        ],
        "axes": AXES,
        **{name: as_lists(evaluation) for name, evaluation in evaluations if evaluation is not None},
    }


def as_lists(evaluation: Evaluation) -> dict[str, Any]:
    """Mean rewards and what else a game measures, as they stand in `summary.json`."""
    return {"average_reward": evaluation.mean_reward.tolist()} | {
        name: values.tolist() for name, values in evaluation.game_metrics.items()
    }


def publish(
    experiment: Experiment, trainer: MetaTrainer, directory: RunDirectory, summary: dict[str, Any], results: Results
) -> list[str]:
    """Writes the results, and then what may fail without harm to them.

    The summary has the config's digest, by which a run is known to have ended, once all of it is there.

    Returns:
        the names of what has failed.
    """
    run = experiment.run
    files.write_json(directory.summary, {**summary, "config_digest": None})

    def draw():
        directory.adaptation_figure.parent.mkdir(exist_ok=True)
        names = labels(experiment.problem)
        figures.save_adaptation_figure(directory.adaptation_figure, results.meta_test.mean_reward, *names)
        for name, values in results.meta_test.game_metrics.items():
            path = directory.adaptation_figure.with_name(f"{name}.png")
            figures.save_adaptation_figure(path, values, *names, f"mean of {name} per step")

    def write_learned():
        adapted = () if experiment.has_meta_agents else results.meta_test.joint_params
        learned.write(directory, trainer, run.seeds, adapted)

    def export_policies():
        seeds = exports.seeds_to_export(experiment, summary, run.export_all_seeds)
        exports.export_initial(directory, experiment, trainer, seeds)
        tasks = exports.tasks_to_export(experiment)
        exports.export_adapted(directory, experiment, results.meta_test.joint_params, seeds, tasks)

    def export_learning_agents():
        if run.export_learning:
            seeds = exports.seeds_to_export(experiment, summary, run.export_all_seeds)
            exports.export_learning(directory, experiment, trainer, seeds, results.meta_test.joint_params)

    def write_report():
        run_page.write(directory, experiment, trainer, summary, results)

    failed = []
    for name, write in (
        ("learned.npz", write_learned), ("figure", draw), ("policies", export_policies),
        ("learning agents", export_learning_agents), ("report", write_report),
    ):
        try:
            write()
        except Exception as error:  # Whatever it is, the rest can still be published.
            print(f"{name}: {checks.one_line(f'{type(error).__name__}: {error}', 300)}", file=sys.stderr, flush=True)
            failed.append(name)
    if not failed:
        files.write_json(directory.summary, summary)
    return failed


def finished(experiment: Experiment, directory: RunDirectory, config: str) -> dict[str, Any] | None:
    """The summary of a run that has ended with a config and published all that it asks for; None of another."""
    expected = [directory.learned, directory.adaptation_figure, directory.report]
    expected += exports.places(experiment, directory).values()
    if not all(path.exists() for path in expected):
        return None
    try:
        learned.read(str(directory.path), "--run_dir")
        summary = json.loads(directory.summary.read_text("utf-8"))
        return summary if summary["config_digest"] == _digest(experiment, config) else None
    except (OSError, ValueError, KeyError, TypeError, checks.InvalidInputError):
        return None


def report(experiment: Experiment, directory: RunDirectory, summary: dict[str, Any]) -> None:
    """Prints what a person wants to know of a run that has ended."""
    exported = exports.places(experiment, directory)
    terminal.report(*reports.parts(directory, summary, experiment.compared_agents, exported), better=max)


def labels(problem: Problem) -> tuple[str, list[str]]:
    """(the title of figures, the agents' names)."""
    return f"{problem.game.spec.name}, held-out tasks", [type(agent).__name__ for agent in problem.agents]


def _digest(experiment, config):
    return run_directory.digest(config, (), experiment.run.seeds, experiment.trainer.jit_compile)
