"""How the commands start, and can be interrupted from the first moment on. What `bin/` and the console scripts call.

It stands beside the package, so that it can say in one line why that cannot be imported.
"""

import contextlib
import importlib
import os
import signal
import sys
import time


def train() -> int:
    """`bin/train`, `tf-metamapg-train`; see its --help."""
    started = time.time()
    return _command("train").run(sys.argv, started)


def reproduce() -> int:
    """`bin/reproduce`, `tf-metamapg-reproduce`; see its --help."""
    return _command("reproduce").run(sys.argv)


def compare() -> int:
    """`bin/compare`, `tf-metamapg-compare`; see its --help."""
    return _command("compare").run(sys.argv)


def evaluate() -> int:
    """`bin/evaluate`, `tf-metamapg-evaluate`; see its --help."""
    return _command("evaluate").run(sys.argv)


def export() -> int:
    """`bin/export`, `tf-metamapg-export`; see its --help."""
    return _command("export").run(sys.argv)


def league() -> int:
    """`bin/league`, `tf-metamapg-league`; see its --help."""
    return _command("league").run(sys.argv)


def benchmark() -> int:
    """`bin/benchmark`, `tf-metamapg-benchmark`; see its --help."""
    return _command("benchmark").run(sys.argv)


def _command(name):
    """The module of a command; what is missing is said in one line."""
    with _interruptible():
        try:
            return importlib.import_module(f"tf_metamapg.commands.{name}")
        except ImportError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)


@contextlib.contextmanager
def _interruptible():
    """A context in which a signal ends the process with one line, before a command has handlers of its own."""
    # What whoever started the process wants to be ignored is ignored.
    signals = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    numbers = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    for number in numbers:
        signal.signal(number, _end)
    yield
    # Around the command there is nothing left to interrupt.
    for number in numbers:
        signal.signal(number, lambda *_: None)


def _end(number, frame):
    del frame
    # An exception would have to find its way through all that is being imported.
    try:
        os.write(2, b"interrupted: nothing was written; start again\n")
    finally:  # Also where nobody reads what is written.
        os._exit(128 + number)
