"""What a run publishes at its end: results first, and then what may fail without harm to them."""

import os
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
from tf_metamapg.runs import report
from tf_metamapg.runs import serving
from tf_metamapg.runs.run_directory import RunDirectory
from tf_metamapg.runs.settings import Experiment
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.trainer import MetaTrainer


def summary(
    experiment: Experiment, trainer: MetaTrainer, validation: tuple[np.ndarray, dict[str, np.ndarray]],
    meta_test: tuple[np.ndarray, dict[str, np.ndarray]], started: float,
) -> dict[str, Any]:
    """The results of a run, and what they are results of: a dict, as it stands in `summary.json`."""
    problem, run = experiment.problem, experiment.run
    best = int(np.argmax(experiment.scores(validation[0])))
    has_policies = any(policy is not None for policy in exported(problem))
    return {
        "agent": labels(problem)[1],
        "game": problem.game.spec.name,
        "estimator": type(problem.estimator).__name__,
        "n_seeds": run.n_seeds,
        "seeds": list(run.seeds),
        "meta_updates": run.n_meta_updates,
        "chain_length": experiment.trainer.chain_length,
        "jit_compile": experiment.trainer.jit_compile,
        "wall_seconds": time.time() - started,
        "exported_seed": run.seeds[best] if has_policies else None,
        "update_params": [
            tf.nest.map_structure(lambda leaf: leaf.numpy().tolist(), values.update)
            for values in trainer.meta_param_values()
        ],
        "axes": "[seed][inner update][agent], inner update 0 is before adaptation; rewards and metrics are per step",
        **{
            name: {"average_reward": mean_reward.tolist()}
            | {metric: values.tolist() for metric, values in game_metrics.items()}
            for name, (mean_reward, game_metrics) in (("meta_validation", validation), ("meta_test", meta_test))
        },
    }


def publish(
    experiment: Experiment, trainer: MetaTrainer, directory: RunDirectory, results: dict[str, Any]
) -> list[str]:
    """Writes the results, and then what may fail without harm to them.

    Returns:
        the names of what has failed.
    """
    problem, run = experiment.problem, experiment.run
    files.write_json(directory.summary, results)

    def draw():
        directory.adaptation_figure.parent.mkdir(exist_ok=True)
        mean_reward = np.array(results["meta_test"]["average_reward"])
        figures.save_adaptation_figure(directory.adaptation_figure, mean_reward, *labels(problem))

    def export_policies():
        policies = exported(problem)
        initial_params = tuple(values.initial for values in trainer.meta_param_values())
        best = 0 if results["exported_seed"] is None else run.seeds.index(results["exported_seed"])
        # All of them at once, so that none is left of an earlier end of the run.
        with files.atomic(directory.initial_policies) as aside:
            export.export_policies(aside, policies, initial_params, best)
            for index, seed in enumerate(run.seeds if run.export_all_seeds else []):
                path = os.path.join(aside, f"seed_{seed}")
                export.export_policies(path, policies, initial_params, index)

    def export_learning_agents():
        if run.export_learning and results["exported_seed"] is not None:
            with files.atomic(directory.learning_agents) as aside:
                serving.export_agents(aside, trainer, run.seeds.index(results["exported_seed"]))
                for index, seed in enumerate(run.seeds if run.export_all_seeds else []):
                    serving.export_agents(os.path.join(aside, f"seed_{seed}"), trainer, index)

    failed = []
    for name, write in (
        ("figure", draw), ("initial policies", export_policies), ("learning agents", export_learning_agents)
    ):
        try:
            write()
        except Exception as error:  # Whatever it is, the rest can still be published.
            print(f"{name}: {checks.one_line(f'{type(error).__name__}: {error}', 300)}", file=sys.stderr, flush=True)
            failed.append(name)
    print(report.text(directory, results, experiment.compared_agents))
    return failed


def exported(problem: Problem) -> list[contracts.Policy | None]:
    """The policies to export; None for agents of a population, which start from another policy in every task."""
    return [
        policy if population is None else None for policy, population in zip(problem.policies, problem.populations)
    ]


def labels(problem: Problem) -> tuple[str, list[str]]:
    """(the title of figures, the agents' names)."""
    return f"{problem.game.spec.name}, held-out tasks", [type(agent).__name__ for agent in problem.agents]
