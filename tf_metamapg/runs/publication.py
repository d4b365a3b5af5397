"""What a run publishes at its end: results first, and then what may fail without harm to them."""

from collections.abc import Mapping
from collections.abc import Sequence
import json
import os
import pathlib
import sys
import time
from typing import Any

import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.runs import export
from tf_metamapg.runs import figures
from tf_metamapg.runs import files
from tf_metamapg.runs import learned
from tf_metamapg.runs import report as reports
from tf_metamapg.runs import run_directory
from tf_metamapg.runs import serving
from tf_metamapg.runs.results import Results
from tf_metamapg.runs.run_directory import RunDirectory
from tf_metamapg.runs.settings import Experiment
from tf_metamapg.training.learning import Evaluation
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.trainer import MetaTrainer


def summary(
    experiment: Experiment, trainer: MetaTrainer, results: Results, config: str, started: float
) -> dict[str, Any]:
    """The results of a run, and what they are results of: a dict, as it stands in `summary.json`."""
    problem, run = experiment.problem, experiment.run
    best = int(np.argmax(results.scores))
    has_policies = not experiment.has_meta_agents or any(policy is not None for policy in exported(experiment))
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
        "exported_tasks": tasks_to_export(experiment),
        "exported_seed": run.seeds[best] if has_policies else None,
        "update_params": [
            tf.nest.map_structure(lambda leaf: leaf.numpy().tolist(), values.update)
            for values in trainer.meta_param_values()
        ],
        "axes": "[seed][inner update][agent], inner update 0 is before adaptation; rewards and metrics are per step",
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

    Returns:
        the names of what has failed.
    """
    run = experiment.run
    files.write_json(directory.summary, summary)

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
        seeds = seeds_to_export(experiment, summary, run.export_all_seeds)
        export_initial(directory, experiment, trainer, seeds)
        export_adapted(directory, experiment, results.meta_test, seeds, tasks_to_export(experiment))

    def export_learning_agents():
        if run.export_learning:
            export_learning(directory, experiment, trainer, seeds_to_export(experiment, summary, run.export_all_seeds))

    failed = []
    for name, write in (
        ("learned.npz", write_learned), ("figure", draw), ("policies", export_policies),
        ("learning agents", export_learning_agents),
    ):
        try:
            write()
        except Exception as error:  # Whatever it is, the rest can still be published.
            print(f"{name}: {checks.one_line(f'{type(error).__name__}: {error}', 300)}", file=sys.stderr, flush=True)
            failed.append(name)
    return failed


def export_initial(
    directory: RunDirectory, experiment: Experiment, trainer: MetaTrainer, seeds: Mapping[int | None, int]
) -> list[pathlib.Path]:
    """Exports the initial policies of meta-agents and of those they learn among, if these start from one policy.

    Args:
        directory: of the run.
        experiment: what was run.
        trainer: what has learned.
        seeds: {name: seed}; those of None stand in the directory itself, others in `seed_NAME`.

    Returns:
        a list of the directory, if there was anything to export.
    """
    policies = exported(experiment)
    if any(policy is not None for policy in policies):
        joint_params = tuple(values.initial for values in trainer.meta_param_values())
        # All of them at once, so that none is left of an earlier end of the run.
        with files.atomic(directory.initial_policies) as aside:
            for name, seed in seeds.items():
                path = aside if name is None else os.path.join(aside, f"seed_{name}")
                export.export_policies(path, policies, joint_params, experiment.run.seeds.index(seed))
        return [directory.initial_policies]
    return []


def export_adapted(
    directory: RunDirectory, experiment: Experiment, evaluation: Evaluation, seeds: Mapping[int | None, int],
    tasks: Sequence[int],
) -> list[pathlib.Path]:
    """Exports the policies of all agents after the last inner update, for some tasks: `task_0/agent_0`, ….

    Args:
        directory, experiment, seeds: see `export_initial`.
        evaluation: whose policies.
        tasks: indices of tasks.

    Returns:
        a list of the directory, if there was anything to export.
    """
    if tasks:
        with files.atomic(directory.adapted_policies) as aside:
            for name, seed in seeds.items():
                for task in tasks:
                    path = os.path.join(aside, *([] if name is None else [f"seed_{name}"]), f"task_{task}")
                    joint_params = tuple(tuple(leaf[:, task] for leaf in own) for own in evaluation.joint_params)
                    index = experiment.run.seeds.index(seed)
                    export.export_policies(path, experiment.problem.policies, joint_params, index)
        return [directory.adapted_policies]
    return []


def export_learning(
    directory: RunDirectory, experiment: Experiment, trainer: MetaTrainer, seeds: Mapping[int | None, int]
) -> list[pathlib.Path]:
    """Exports agents that go on learning where they are served; see `export_initial` for the arguments.

    Returns:
        a list of the directory.
    """
    with files.atomic(directory.learning_agents) as aside:
        for name, seed in seeds.items():
            path = aside if name is None else os.path.join(aside, f"seed_{name}")
            serving.export_agents(path, trainer, experiment.run.seeds.index(seed))
    return [directory.learning_agents]


def seeds_to_export(experiment: Experiment, summary: Mapping[str, Any], all_seeds: bool) -> dict[int | None, int]:
    """The seeds whose policies are exported, see `export_initial`."""
    # Where there is none that is exported, it does not matter which.
    best = experiment.run.seeds[0] if summary["exported_seed"] is None else summary["exported_seed"]
    return {None: best} | ({seed: seed for seed in experiment.run.seeds} if all_seeds else {})


def tasks_to_export(experiment: Experiment) -> list[int]:
    """The tasks whose adapted policies are exported; where nobody meta-learns, the first at least."""
    return sorted({*experiment.run.export_tasks, *([] if experiment.has_meta_agents else [0])})


def finished(experiment: Experiment, directory: RunDirectory, config: str) -> dict[str, Any] | None:
    """The summary of a run that has ended and published all that its config asks for; None of another."""
    expected = [directory.summary, directory.learned, directory.adaptation_figure]
    if any(policy is not None for policy in exported(experiment)):
        expected.append(directory.initial_policies)
    if tasks_to_export(experiment):
        expected.append(directory.adapted_policies)
    if experiment.run.export_learning:
        expected.append(directory.learning_agents)
    if not all(path.exists() for path in expected):
        return None
    try:
        summary = json.loads(directory.summary.read_text("utf-8"))
        return summary if summary["config_digest"] == _digest(experiment, config) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def report(experiment: Experiment, directory: RunDirectory, summary: dict[str, Any]) -> None:
    """Prints what a person wants to know of a run that has ended."""
    print(reports.text(directory, summary, experiment.compared_agents))


def exported(experiment: Experiment) -> list[contracts.Policy | None]:
    """The policies whose parameters at the start are exported.

    None for agents of a population, which start from another policy in every task, and where nobody meta-learns.
    """
    problem = experiment.problem
    return [
        policy if population is None and experiment.has_meta_agents else None
        for policy, population in zip(problem.policies, problem.populations)
    ]


def exportable(experiment: Experiment) -> list[contracts.Policy | None]:
    """The policies that are exported in one way or another; None for the others."""
    if tasks_to_export(experiment):
        return [*experiment.problem.policies]
    return exported(experiment)


def labels(problem: Problem) -> tuple[str, list[str]]:
    """(the title of figures, the agents' names)."""
    return f"{problem.game.spec.name}, held-out tasks", [type(agent).__name__ for agent in problem.agents]


def _digest(experiment, config):
    return run_directory.digest(config, (), experiment.run.seeds, experiment.trainer.jit_compile)
