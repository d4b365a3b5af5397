"""Claims of run directories: one process at a time works on a run, and a new run takes a new name."""

from collections.abc import Iterator
import contextlib
import errno
import os
import pathlib

from tf_metamapg import checks
from tf_metamapg.runs import files
from tf_metamapg.runs.run_directory import RunDirectory


@contextlib.contextmanager
def claim(path: files.PathLike, resume: bool) -> Iterator[RunDirectory]:
    """Takes a directory for a run, for as long as the context lasts; no other process can take it meanwhile.

    Args:
        path: the directory. It is made where it does not exist, and removed again if nothing has been written to it.
        resume: whether to go on with the run that is there.

    Yields:
        `RunDirectory`.

    Raises:
        InvalidInputError: if the directory cannot be written, is in use, holds a run although `resume` is false or none
            although it is true, or holds something else. Nothing is changed then.
    """
    path = pathlib.Path(path)
    missing = [] if resume else _missing(path)
    with _as_refusals(path):
        if resume:
            _check_resumable(path)
        path.mkdir(parents=True, exist_ok=True)
    with _claimed(path, missing) as directory:
        if not resume:
            with _as_refusals(path):
                _check_free(directory)
        yield directory


@contextlib.contextmanager
def claim_next(parent: files.PathLike, name: str) -> Iterator[RunDirectory]:
    """Takes the first of parent/name-1, parent/name-2, … that does not exist; see `claim`."""
    parent, number = pathlib.Path(parent), 1
    missing = _missing(parent)
    with _as_refusals(parent):
        while True:
            path = parent / f"{name}-{number}"
            try:
                # Two processes cannot both make it.
                os.makedirs(path)
                break
            except FileExistsError:
                number += 1
    with _claimed(path, [path, *missing]) as directory:
        yield directory


@contextlib.contextmanager
def _claimed(path, made):
    """Locks a directory and, before it lets go of it, removes those that have been made and are still empty."""
    with contextlib.ExitStack() as stack:
        with _as_refusals(path):
            stack.enter_context(_locked(path))
        stack.callback(_remove_if_empty, made)
        yield RunDirectory(path)


@contextlib.contextmanager
def _as_refusals(path):
    try:
        yield
    except OSError as error:
        raise checks.InvalidInputError(f"--run_dir={path}: cannot be written ({error.strerror})") from error


def _missing(path):
    """The directories of a path that do not exist, from the last one on."""
    return [directory for directory in (path, *path.parents) if not os.path.lexists(directory)]


def _remove_if_empty(directories):
    for directory in directories:
        try:
            directory.rmdir()
        except OSError:
            return


@contextlib.contextmanager
def _locked(path):
    """Keeps other processes of this machine out, see `files.locked`."""
    with contextlib.ExitStack() as stack:
        try:
            descriptor = stack.enter_context(files.locked(path, wait=False))
        except BlockingIOError as error:
            raise checks.InvalidInputError(f"--run_dir={path}: another process is working on this run") from error
        # Another process may have removed it meanwhile, as it had written nothing.
        if not os.path.samestat(os.fstat(descriptor), os.stat(path)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        yield


def _check_resumable(path):
    if not os.path.exists(RunDirectory(path).config):
        raise checks.InvalidInputError(
            f"--resume with --run_dir={path}: there is no run; leave --resume out to start one"
        )


def _check_free(directory):
    if directory.config.exists():
        raise checks.InvalidInputError(
            f"--run_dir={directory.path}: holds a run already; add --resume to go on with it, or name another"
        )
    for entry in directory.path.iterdir():
        # Where `start` was killed half-way, there is no more than this.
        if entry.suffix != ".partial" and entry != directory.run_info:
            raise checks.InvalidInputError(
                f"--run_dir={directory.path}: is not empty and holds no run; name a new or an empty directory"
            )
