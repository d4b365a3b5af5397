"""What a run has learned, as a file of its own: `learned.npz` in its directory, an array for each variable.

What they are called says `learned_names.py`.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
from typing import Any

import numpy as np

from tf_metamapg import checks
from tf_metamapg import learned_names
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.runs import arrays
from tf_metamapg.runs.run_directory import RunDirectory
from tf_metamapg.training.trainer import MetaTrainer


def write(directory: RunDirectory, trainer: MetaTrainer, seeds: Sequence[int], adapted: JointParams = ()) -> None:
    """Writes what all seeds have learned.

    Args:
        directory: of the run.
        trainer: what has learned it.
        seeds: of the run.
        adapted: policies of all agents after the last inner update, leaves [S, N, ...].
    """
    values = {name: variable.numpy() for name, variable in arrays.named(trainer.learned)}
    values |= {name: leaf.numpy() for name, leaf in arrays.named(adapted_by_name(adapted))}
    arrays.write(directory.learned, {learned_names.SEEDS: np.array(seeds), **values})


def adapted_by_name(joint_params: Sequence[Params]) -> dict[str, Any]:
    """Policies after the last inner update, of all agents, at the places that they have in the file."""
    return {learned_names.agent(index): {learned_names.ADAPTED: params} for index, params in enumerate(joint_params)}


def read(path: str, parameter: str) -> dict[str, np.ndarray]:
    """What stands in the `learned.npz` of a run directory.

    Args:
        path: the run directory.
        parameter: what names it.

    Raises:
        InvalidInputError: if there is none, it cannot be read, or something in it is NaN or infinite.
    """
    file = RunDirectory(pathlib.Path(path).expanduser()).learned
    checks.check(file.exists(), parameter, path, "the directory of a run that has ended; it has a learned.npz")
    try:
        values = arrays.read(file)
    except checks.InvalidInputError as error:
        raise checks.InvalidInputError(
            f"{parameter} = {path}: {file.name} is damaged; bin/train --resume writes it again"
        ) from error
    for name, value in values.items():
        checks.check(bool(np.all(np.isfinite(value))), parameter, path, f"a run whose {name} is finite")
    return values


def take_over(trainer: MetaTrainer, path: str, seeds: Sequence[int]) -> None:
    """Gives a trainer what another run has learned, each seed what the same seed has.

    Args:
        trainer: a new one.
        path: the directory of the other run.
        seeds: of the trainer.

    Raises:
        InvalidInputError: if the run is of other policies, lacks one of the seeds, or has no meta-agents.
    """
    values = read(path, "train.init_from")
    theirs = values[learned_names.SEEDS].tolist()
    allowed = "a run with meta-agents, as one without has learned other policies for each task"
    is_adapted = learned_names.leaf(0, learned_names.ADAPTED) in values
    checks.check(not is_adapted, "train.init_from", path, allowed)
    missing = [seed for seed in seeds if seed not in theirs]
    checks.check(not missing, "train.init_from", path, f"a run with the seeds {checks.brief(missing)}, too")
    rows = [theirs.index(seed) for seed in seeds]
    assign(f"train.init_from = {path}", trainer.learned, {name: value[rows] for name, value in values.items()})


def hand_over(last: MetaTrainer, following: MetaTrainer) -> None:
    """Gives the trainer of a stage what that of the last one has learned."""
    assign("stage", following.learned, {name: variable.numpy() for name, variable in arrays.named(last.learned)})


def assign(source: str, variables: Any, values: Mapping[str, np.ndarray]) -> None:
    """Gives meta-parameters values by name; where a chain is longer, what was learned of the last inner update.

    Args:
        source: where the values are from, for the error.
        variables: what is learned, such as `MetaTrainer.learned`.
        values: by the names of the file.

    Raises:
        InvalidInputError: if one is missing, or of another shape or dtype. Nothing is changed then.
    """
    fitting = dict(values)
    for name, variable in arrays.named(variables):
        if "/update" in name and name in values:
            steps = [min(step, values[name].shape[1] - 1) for step in range(variable.shape[1])]
            fitting[name] = values[name][:, steps]
    arrays.assign(source, variables, fitting)
