"""Files that appear whole or not at all, also if the machine stops."""

from collections.abc import Iterator
import contextlib
import errno
import fcntl
import json
import math
import os
import shutil
from typing import Any

PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def atomic(path: PathLike) -> Iterator[str]:
    """Gives a temporary path beside `path` to write a file or a directory to, and renames it at the end.

    A reader of `path` finds the old content or all of the new, also if the writer fails or is killed. Only
    where a directory takes the place of another is there a moment without either.
    """
    aside = f"{path}.partial"
    _remove(aside)
    discarded = f"{path}.discarded.partial"
    try:
        yield aside
        _flush_to_disk(aside)
        _remove(discarded)
        # No file takes the place of a directory.
        if os.path.isdir(path) and os.path.isdir(aside):
            os.replace(path, discarded)
        os.replace(aside, path)
    except BaseException:
        _remove(aside)
        raise
    _flush_entry(os.path.dirname(os.path.abspath(path)))
    _remove(discarded)


def write_text(path: PathLike, text: str) -> None:
    """Writes a text file whole."""
    with atomic(path) as aside:
        with open(aside, "w", encoding="utf-8") as file:
            file.write(text)


def write_json(path: PathLike, value: Any) -> None:
    """Writes a value as JSON, whole; JSON knows neither NaN nor infinity, which become null."""
    write_text(path, json.dumps(_with_null(value), indent=2, allow_nan=False) + "\n")


def remove_partial(directory: PathLike) -> None:
    """Removes what writers that were killed have left in a directory."""
    for name in os.listdir(directory):
        if name.endswith(".partial"):
            _remove(os.path.join(directory, name))


@contextlib.contextmanager
def locked(directory: PathLike, *, wait: bool) -> Iterator[int]:
    """Keeps other processes of this machine out of a directory, where the file system has locks.

    Args:
        directory: which must exist.
        wait: whether to wait for another process that has locked it.

    Yields:
        the directory's file descriptor.

    Raises:
        BlockingIOError: if another process has locked it, and this one does not wait.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
                raise
        yield descriptor
    finally:
        os.close(descriptor)


def _with_null(value):
    if isinstance(value, dict):
        return {key: _with_null(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_null(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def _flush_to_disk(path):
    """Leaves nothing of a file, or of a directory and everything in it, in the system's buffers."""
    _flush_entry(path)
    for parent, directories, names in os.walk(path):
        for name in (*directories, *names):
            _flush_entry(os.path.join(parent, name))


def _flush_entry(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems do not know it of directories.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
