"""Checkpoints: everything that a run needs to go on and end with the same numbers.

A checkpoint is one NumPy archive, `ckpt-NUMBER.npz`, with the values of all variables and some notes. It also holds
the digest of the run that wrote it, so that no other run takes it for its own.
"""

from collections.abc import Mapping
import os
import pathlib
import re
from typing import Any
from typing import NamedTuple

import numpy as np

from tf_metamapg import checks
from tf_metamapg.runs import arrays
from tf_metamapg.runs import files

_KEPT = 3
_NAME = re.compile(r"ckpt-(\d+)\.npz")


class Checkpoint(NamedTuple):
    """What was saved."""

    path: pathlib.Path
    number: int  # how many updates had been made
    values: dict[str, np.ndarray]  # by the names of the places of variables
    notes: dict[str, Any]

    def restore(self, variables: Any) -> None:
        """Gives variables their values.

        Raises:
            InvalidInputError: if one is missing, or of another shape or dtype. Nothing is changed then.
        """
        arrays.assign(f"checkpoint {self.path.absolute()}", variables, self.values)


class Checkpointer:
    """Saves checkpoints and finds them again; one that is being written is never found.

    Attributes:
        latest: the path of the last checkpoint that was saved or found, or None.
    """

    def __init__(self, directory: files.PathLike, run_digest: str) -> None:
        """
        Args:
            directory: where the checkpoints are.
            run_digest: text, the same for the same run and no other.
        """
        self._directory = pathlib.Path(directory)
        self._run_digest = run_digest
        self.latest: pathlib.Path | None = None

    def save(self, number: int, variables: Any, notes: Mapping[str, Any]) -> None:
        """Saves a checkpoint.

        Args:
            number: how many updates there have been; a checkpoint of the same number is replaced, and the largest few
                are kept.
            variables: nested dicts, lists and tuples of Keras or TensorFlow variables.
            notes: dict of numbers and texts that are kept beside the variables.
        """
        os.makedirs(self._directory, exist_ok=True)
        files.remove_partial(self._directory)
        self.latest = path = self._path(number)
        values = {f"variables/{name}": variable.numpy() for name, variable in arrays.named(variables)}
        values |= {f"notes/{name}": np.array(note) for name, note in notes.items()}
        arrays.write(path, {"run_digest": np.array(self._run_digest), **values})
        for old in self._numbers()[_KEPT:]:
            self._path(old).unlink()

    def find(self) -> tuple[Checkpoint | None, list[pathlib.Path]]:
        """The last checkpoint that can be read, or None if there are none at all, and the paths of later ones.

        Raises:
            InvalidInputError: if there are checkpoints and none can be read, or if the last one that can is of
                another run.
        """
        damaged = []
        for number in self._numbers():
            path = self._path(number)
            try:
                values = arrays.read(path)
                run_digest = str(values.pop("run_digest"))
            except (checks.InvalidInputError, KeyError):
                damaged.append(path)
                continue
            if run_digest != self._run_digest:
                raise checks.InvalidInputError(f"checkpoint {path.absolute()}: is of another run, with another config")
            self.latest = path
            notes = {name: array.item() for name, array in _below("notes/", values).items()}
            return Checkpoint(path, number, _below("variables/", values), notes), damaged
        if damaged:
            raise checks.InvalidInputError(f"checkpoint {damaged[0].absolute()}: is damaged, and no other is left")
        return None, []

    def _path(self, number):
        return self._directory / f"ckpt-{number}.npz"

    def _numbers(self):
        """The numbers of all checkpoints, the largest first."""
        names = os.listdir(self._directory) if self._directory.exists() else []
        return sorted((int(match[1]) for match in map(_NAME.fullmatch, names) if match), reverse=True)


def _below(prefix, values):
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
