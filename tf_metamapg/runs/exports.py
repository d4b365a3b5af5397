"""What a run exports: of which seeds and tasks, and where it goes in its directory."""

from collections.abc import Mapping
from collections.abc import Sequence
import os
import pathlib
from typing import Any

from tf_metamapg import contracts
from tf_metamapg.contracts import JointParams
from tf_metamapg.runs import export
from tf_metamapg.runs import files
from tf_metamapg.runs import serving
from tf_metamapg.runs.run_directory import RunDirectory
from tf_metamapg.runs.settings import Experiment
from tf_metamapg.training.trainer import MetaTrainer


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
    directory: RunDirectory, experiment: Experiment, adapted_params: JointParams, seeds: Mapping[int | None, int],
    tasks: Sequence[int],
) -> list[pathlib.Path]:
    """Exports the policies of all agents after the last inner update, for some tasks: `task_0/agent_0`, ….

    Args:
        directory, experiment, seeds: see `export_initial`.
        adapted_params: policies after the last inner update, leaves [S, N, ...].
        tasks: indices of tasks.

    Returns:
        a list of the directory, if there was anything to export.
    """
    if tasks:
        with files.atomic(directory.adapted_policies) as aside:
            for name, seed in seeds.items():
                for task in tasks:
                    path = os.path.join(aside, *([] if name is None else [f"seed_{name}"]), f"task_{task}")
                    joint_params = tuple(tuple(leaf[:, task] for leaf in own) for own in adapted_params)
                    index = experiment.run.seeds.index(seed)
                    export.export_policies(path, experiment.problem.policies, joint_params, index)
        return [directory.adapted_policies]
    return []


def export_learning(
    directory: RunDirectory, experiment: Experiment, trainer: MetaTrainer, seeds: Mapping[int | None, int],
    adapted_params: JointParams,
) -> list[pathlib.Path]:
    """Exports agents that go on learning where they are served.

    Agents of a run with meta-agents begin with their initial policies, those of one without with what they have come to
    in task 0.

    Args:
        directory, experiment, trainer, seeds: see `export_initial`.
        adapted_params: policies after the last inner update, leaves [S, N, ...]; of no use where agents meta-learn.

    Returns:
        a list of the directory.
    """
    joint_params = tuple(values.initial for values in trainer.meta_param_values())
    if not experiment.has_meta_agents:
        joint_params = tuple(tuple(leaf[:, 0] for leaf in own) for own in adapted_params)
    with files.atomic(directory.learning_agents) as aside:
        for name, seed in seeds.items():
            path = aside if name is None else os.path.join(aside, f"seed_{name}")
            serving.export_agents(path, trainer, experiment.run.seeds.index(seed), joint_params)
    return [directory.learning_agents]


def seeds_to_export(experiment: Experiment, summary: Mapping[str, Any], all_seeds: bool) -> dict[int | None, int]:
    """The seeds whose policies are exported, see `export_initial`."""
    return {None: summary["exported_seed"]} | ({seed: seed for seed in experiment.run.seeds} if all_seeds else {})


def tasks_to_export(experiment: Experiment) -> list[int]:
    """The tasks whose adapted policies are exported; where nobody meta-learns, the first at least."""
    return sorted({*experiment.run.export_tasks, *([] if experiment.has_meta_agents else [0])})


def places(experiment: Experiment, directory: RunDirectory) -> dict[str, pathlib.Path]:
    """Where a run exports what it exports, by what that is."""
    found = {}
    if any(policy is not None for policy in exported(experiment)):
        found["initial policies"] = directory.initial_policies
    if tasks_to_export(experiment):
        found["adapted policies"] = directory.adapted_policies
    if experiment.run.export_learning:
        found["learning agents"] = directory.learning_agents
    return found


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
