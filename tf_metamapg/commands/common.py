"""What the command lines have in common: help, one-line errors, interruptions and exit statuses.

TensorFlow, which takes seconds to import, is imported by commands that have found nothing wrong with their arguments.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import logging
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import types
from typing import TYPE_CHECKING

from absl import flags

from tf_metamapg import checks
from tf_metamapg.commands import endings
from tf_metamapg.commands import help
from tf_metamapg.runs import progress
from tf_metamapg.runs import terminal
from tf_metamapg.runs.run_directory import RunDirectory
from tf_metamapg.runs.stops import RunStopped

if TYPE_CHECKING:
    from tf_metamapg import contracts

# The exit status for input that cannot be used.
REFUSED = 2


def run(argv: list[str], module: types.ModuleType, work: Callable[[list[str]], None], hint: Callable[[], str]) -> int:
    """Runs a command line.

    Args:
        argv: the program's name and its arguments.
        module: the command's module; its docstring and its FLAGS are what `--help` shows.
        work: function of the arguments that are not flags.
        hint: function that says how to go on after an interruption.

    Returns:
        exit status: 0, 1 if a run had to stop or nobody reads what it says, 2 for input that cannot be used. SIGHUP,
        SIGINT and SIGTERM end the process, with 128 and the number of the signal.
    """
    if hasattr(sys.stdout, "reconfigure"):
        # A locale need not have every letter that is printed.
        sys.stdout.reconfigure(errors="replace")
    try:
        with endings.ended_by_signals(hint):
            if {"--help", "-h"} & set(argv):
                terminal.say(help.text(module))
            else:
                work(_parsed(module.FLAGS, argv))
            sys.stdout.flush()
        return 0
    except checks.InvalidInputError as error:
        status, line = REFUSED, f"error: {error}"
    except RunStopped as error:
        status, line = 1, f"stopped: {error}"
    except BrokenPipeError:
        status, line = 1, ""
    except (OSError, MemoryError, subprocess.SubprocessError, *_tensorflow_errors()) as error:
        status, line = 1, f"stopped: {_described(error)}; {hint()}"
    progress.close_all()
    _release_stdout()
    if line:
        print(checks.one_line(line), file=sys.stderr)
    return status


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """A context to import what needs TensorFlow in; if that cannot be done, one line says so.

    Meanwhile TensorFlow writes notices that no setting turns off, and they would hide the one line that matters when
    something is wrong.

    Raises:
        InvalidInputError: if a package is not installed, say, or Keras has another backend.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Several runs share a card: each takes of its memory what it needs, not all of it.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    try:
        held_back = tempfile.TemporaryFile()
    except OSError:  # There is no directory for it.
        held_back = open(os.devnull, "w+b")
    with held_back, _redirected(held_back):
        yield
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


@contextlib.contextmanager
def _redirected(held_back):
    """A context in which what is written to stderr goes to a file, and is shown if an error takes many lines."""
    stderr = os.dup(2)
    os.dup2(held_back.fileno(), 2)
    try:
        yield
    except Exception as error:
        text = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
        if "\n" not in text:
            raise checks.InvalidInputError(text) from error
        held_back.seek(0)
        os.write(stderr, held_back.read())
        raise
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def path(flag: str, value: str) -> str:
    """The path that a flag names, with ~ for the home directory.

    Raises:
        InvalidInputError: if TensorFlow would write it in other bytes than Python.
    """
    try:
        is_utf8 = os.fsencode(value) == value.encode("utf-8")
    except UnicodeEncodeError:
        is_utf8 = False
    checks.check(is_utf8, flag, value, "ASCII, as the encoding of file names is not UTF-8; or set PYTHONUTF8=1")
    return os.path.expanduser(value)


def run_directory(arguments: list[str]) -> str:
    """The directory of the one run that the arguments name.

    Raises:
        InvalidInputError: if there is another number of them, or no run.
    """
    allowed = "the directory of one run, and flags; see --help"
    checks.check(len(arguments) == 1, "arguments", " ".join(arguments), allowed)
    named = path("run", arguments[0])
    RunDirectory(named).check_exists()
    return named


@contextlib.contextmanager
def naming(**flags_by_parameter: str) -> Iterator[None]:
    """A context in which what is wrong with a parameter is said of the flag that it comes from."""
    try:
        yield
    except checks.InvalidInputError as error:
        parameter, equals, rest = str(error).partition(" = ")
        flag = flags_by_parameter.get(parameter, parameter)
        raise checks.InvalidInputError(f"{flag}{equals}{rest}") from error


def note_other_game(path: str, own: "contracts.AnyGame", played: "contracts.AnyGame") -> None:
    """Says so if what is met has learned in another game."""
    if own.spec.name != played.spec.name:
        terminal.say(f"note: {path} has learned in another game, {own.spec.name}, and plays {played.spec.name}")


def directory(flag: str, value: str) -> pathlib.Path:
    """The directory that a flag names, made if it does not exist.

    Raises:
        InvalidInputError: if it cannot be written.
    """
    checks.check(value != "", flag, value, "the name of a directory")
    named = pathlib.Path(path(flag, value))
    try:
        named.mkdir(parents=True, exist_ok=True)
        # A file without a name, as other processes may look at the same time.
        with tempfile.TemporaryFile(dir=named):
            pass
    except OSError as error:
        raise checks.InvalidInputError(f"{flag}={named}: cannot be written ({error.strerror})") from error
    return named


def _parsed(flag_values, argv):
    """The arguments that are not flags."""
    try:
        return flag_values(argv)[1:]
    except (flags.Error, ValueError, OSError) as error:
        raise checks.InvalidInputError(str(error)) from error
    except RecursionError as error:  # In looking for a flag that has nearly the same name.
        raise checks.InvalidInputError("flags: no flag has such a long name; see --help") from error


def _tensorflow_errors():
    """What TensorFlow raises, if it has been imported."""
    tensorflow = sys.modules.get("tensorflow")
    return () if tensorflow is None else (tensorflow.errors.OpError,)


def _described(error):
    """What has gone wrong around the program."""
    if isinstance(error, OSError):
        text = error.strerror or str(error)
        path = error.filename2 or error.filename
        return f"{path}: {text}" if path else text
    if isinstance(error, _tensorflow_errors()):
        # Without TensorFlow's names of operations.
        return re.sub(r"\{\{.*?\}\} |\[Op:.*", "", error.message).strip()
    return f"{type(error).__name__}: {error}"


def _release_stdout():
    """Lets what cannot be written to stdout not be an error once more when Python ends."""
    try:
        sys.stdout.flush()
    except OSError:
        # Whoever read has gone, as `head` does, or the disk is full.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
