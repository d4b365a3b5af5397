"""What the command lines have in common: help, one-line errors, interruptions and exit statuses."""

import contextlib
import os
import signal
import sys
import threading

from absl import flags
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import experiment
from tf_metamapg import progress


class Interruption(KeyboardInterrupt):
    """Somebody has asked the process to end; `args[0]` is the number of the signal."""


def run(argv, module, work, hint):
    """Runs a command line.

    Args:
        argv: the program's name and its arguments.
        module: the command's module; its docstring and its FLAGS are what `--help` shows.
        work: function of the arguments that are not flags.
        hint: function that says how to go on after an interruption.

    Returns:
        exit status: 0, 1 if a run had to stop or nobody reads what it says, 2 for input that cannot be used, 128 and
        the number of the signal if interrupted.
    """
    if hasattr(sys.stdout, "reconfigure"):
        # A locale need not have every letter that is printed.
        sys.stdout.reconfigure(errors="replace")
    try:
        with _interruptible(hint):
            if {"--help", "-h"} & set(argv):
                print(f"{module.__doc__}\n{module.FLAGS.module_help(module.__name__)}")
            else:
                work(_parsed(module.FLAGS, argv))
            sys.stdout.flush()
        return 0
    except checks.InvalidInputError as error:
        status, line = 2, f"error: {error}"
    except experiment.MetaTrainingStopped as error:
        status, line = 1, f"stopped: {error}"
    except BrokenPipeError:
        status, line = 1, ""
    except (OSError, MemoryError, tf.errors.OpError) as error:
        status, line = 1, f"stopped: {_described(error)}; {hint()}"
    except KeyboardInterrupt as interruption:
        status, line = 128 + (interruption.args or [signal.SIGINT])[0], f"interrupted: {hint()}"
    progress.close_all()
    _release_stdout()
    if line:
        print(checks.one_line(line), file=sys.stderr)
    return status


def path(flag, value):
    """The path that a flag names, with ~ for the home directory.

    Raises:
        InvalidInputError: if there is none, or TensorFlow would write it in other bytes than Python.
    """
    checks.check(value != "", flag, value, "the name of a file or directory")
    try:
        is_utf8 = os.fsencode(value) == value.encode("utf-8")
    except UnicodeEncodeError:
        is_utf8 = False
    checks.check(is_utf8, flag, value, "ASCII, as the encoding of file names is not UTF-8; or set PYTHONUTF8=1")
    return os.path.expanduser(value)


def _parsed(flag_values, argv):
    """The arguments that are not flags."""
    try:
        return flag_values(argv)[1:]
    except (flags.Error, ValueError, OSError) as error:
        raise checks.InvalidInputError(str(error)) from error
    except RecursionError as error:  # In looking for a flag that has nearly the same name.
        raise checks.InvalidInputError("flags: no flag has such a long name; see --help") from error


def _described(error):
    """What has gone wrong around the program."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, tf.errors.OpError):
        return error.message
    return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def _interruptible(hint):
    """A context in which SIGINT and SIGTERM are `Interruption`s, and a second one ends the process at once."""

    def interrupt(number, frame):
        del frame
        for each in handlers:
            signal.signal(each, leave)
        raise Interruption(number)

    def leave(number, frame):
        del frame
        os.write(2, f"{checks.one_line(f'interrupted: {hint()}')}\n".encode())
        os._exit(128 + number)

    handlers = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # What whoever started the process wants to be ignored is ignored.
    handlers = {number: handler for number, handler in handlers.items() if handler not in (signal.SIG_IGN, None)}
    for number in handlers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _release_stdout():
    """Lets what cannot be written to stdout, as whoever read has gone, not be an error once more at the end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
