"""Checkpoints: everything that a run needs to go on and end with the same numbers.

A checkpoint is one NumPy archive, `ckpt-NUMBER.npz`, with the values of all variables and some notes. It also holds
the digest of the run that wrote it, so that no other run takes it for its own.
"""

from collections.abc import Mapping
import os
import pathlib
import re
from typing import Any

import numpy as np

from tf_metamapg import checks
from tf_metamapg.runs import files

_KEPT = 3
_NAME = re.compile(r"ckpt-(\d+)\.npz")


class Checkpointer:
    """Saves and restores variables; a checkpoint that is being written is never restored.

    Attributes:
        latest: the path of the last checkpoint that was saved or restored, or None.
    """

    def __init__(self, directory: files.PathLike, variables: Mapping[str, Any], run_digest: str) -> None:
        """
        Args:
            directory: where the checkpoints are, made where it is missing; what killed writers have left there is
                removed.
            variables: nested dicts and lists of Keras or TensorFlow variables.
            run_digest: text, the same for the same run and no other.
        """
        self._directory = pathlib.Path(directory)
        self._variables = dict(_named(variables, "variables"))
        self._run_digest = run_digest
        self.latest: pathlib.Path | None = None
        os.makedirs(self._directory, exist_ok=True)
        files.remove_partial(self._directory)

    def save(self, number: int, notes: Mapping[str, Any]) -> None:
        """Saves a checkpoint.

        Args:
            number: what it is named after; a checkpoint of the same number is replaced, and the largest few are kept.
            notes: dict of numbers and texts that are kept beside the variables.
        """
        self.latest = path = self._path(number)
        arrays = {name: variable.numpy() for name, variable in self._variables.items()}
        arrays |= {f"notes/{name}": np.array(note) for name, note in notes.items()}
        with files.atomic(path) as aside:
            with open(aside, "wb") as file:
                np.savez(file, run_digest=np.array(self._run_digest), **arrays)
        for old in self._numbers()[_KEPT:]:
            self._path(old).unlink()

    def restore(self) -> tuple[dict[str, Any] | None, list[pathlib.Path]]:
        """Restores the last checkpoint that can be read; without any, everything stays as it was built.

        Returns:
            the notes that were saved with it, and a list of the paths of later ones that cannot be read; None in
            place of the notes if there is no checkpoint at all.

        Raises:
            InvalidInputError: if there are checkpoints and none can be read, or if the last one that can is of
                another run. Nothing is changed then.
        """
        damaged = []
        for number in self._numbers():
            path = self._path(number)
            try:
                with np.load(path, allow_pickle=False) as archive:
                    arrays = {name: archive[name] for name in archive.files}
                    run_digest = str(arrays.pop("run_digest"))
            except Exception as error:  # There is no end to what a damaged archive may raise.
                damaged.append((path, error))
                continue
            self._check_fits(path, run_digest, arrays)
            for name, variable in self._variables.items():
                variable.assign(arrays[name])
            self.latest = path
            notes = {
                name.removeprefix("notes/"): array.item()
                for name, array in arrays.items() if name.startswith("notes/")
            }
            return notes, [path for path, _ in damaged]
        if damaged:
            path, first_error = damaged[0]
            reason = checks.one_line(str(first_error), 200)
            raise checks.InvalidInputError(f"checkpoint {path.absolute()}: is damaged ({reason}), and no other is left")
        return None, []

    def _check_fits(self, path, run_digest, arrays):
        if run_digest != self._run_digest:
            raise checks.InvalidInputError(f"checkpoint {path.absolute()}: is of another run, with another config")
        stored = {name: _shape_and_dtype(array) for name, array in arrays.items() if not name.startswith("notes/")}
        expected = {name: _shape_and_dtype(variable.numpy()) for name, variable in self._variables.items()}
        for name in sorted(stored | expected):
            if stored.get(name) != expected.get(name):
                raise checks.InvalidInputError(
                    f"checkpoint {path.absolute()}: does not fit this config: {name} is {stored.get(name, 'missing')}, "
                    f"and should be {expected.get(name, 'missing')}"
                )

    def _path(self, number):
        return self._directory / f"ckpt-{number}.npz"

    def _numbers(self):
        """The numbers of all checkpoints, the largest first."""
        matches = map(_NAME.fullmatch, os.listdir(self._directory))
        return sorted((int(match[1]) for match in matches if match), reverse=True)


def _shape_and_dtype(array):
    return f"{array.dtype.name}{list(array.shape)}"


def _named(variables, name):
    """The variables of a structure with the names of their places in it."""
    if isinstance(variables, dict):
        for key, entry in variables.items():
            yield from _named(entry, f"{name}/{key}")
    elif isinstance(variables, (list, tuple)):
        for index, entry in enumerate(variables):
            yield from _named(entry, f"{name}/{index}")
    else:
        yield name, variables
