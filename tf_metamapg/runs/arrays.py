"""Nested variables as files: one NumPy archive holds them all by the names of their places."""

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_metamapg import checks
from tf_metamapg.runs import files


def named(structure: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested dicts, lists and tuples with the names of their places: "agent_0/initial/0"."""
    if isinstance(structure, dict):
        entries = list(structure.items())
    elif isinstance(structure, (list, tuple)):
        entries = list(enumerate(structure))
    else:
        yield name, structure
        return
    for key, entry in entries:
        yield from named(entry, f"{name}/{key}" if name else str(key))


def write(path: files.PathLike, arrays: Mapping[str, Any]) -> None:
    """Writes an archive, whole."""
    with files.atomic(path) as aside, open(aside, "wb") as file:
        np.savez(file, **arrays)


def read(path: files.PathLike) -> dict[str, np.ndarray]:
    """All arrays of an archive.

    Raises:
        InvalidInputError: if there is none, or it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # There is no end to what a damaged one may raise.
        raise checks.InvalidInputError(f"{path}: cannot be read, or is damaged") from error


def assign(source: str, variables: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Gives variables the values that stand under their names; what else there is does not matter.

    Args:
        source: where the arrays are from, for the error.
        variables: nested dicts, lists and tuples of Keras or TensorFlow variables.
        arrays: by name.

    Raises:
        InvalidInputError: if one is missing, or of another shape or dtype. Nothing is changed then.
    """
    expected = dict(named(variables))
    for name, variable in sorted(expected.items()):
        found = _shape_and_dtype(arrays[name]) if name in arrays else "missing"
        if found != (own := _shape_and_dtype(variable.numpy())):
            raise checks.InvalidInputError(f"{source}: does not fit: {name} is {found}, and should be {own}")
    for name, variable in expected.items():
        variable.assign(arrays[name])


def _shape_and_dtype(array: np.ndarray) -> str:
    return f"{array.dtype.name}{list(array.shape)}"
