"""How the commands start: they import TensorFlow without the notices that it writes, and can be interrupted then.

What `bin/` and the console scripts call. It stands beside the package, as whatever is inside imports TensorFlow first.
"""

import os
import signal
import sys
import time


def train():
    """`bin/train`, `tf-metamapg-train`; see its --help."""
    started = time.time()
    with _Imports():
        from tf_metamapg.commands import train as command
    return command.run(sys.argv, started)


def reproduce():
    """`bin/reproduce`, `tf-metamapg-reproduce`; see its --help."""
    with _Imports():
        from tf_metamapg.commands import reproduce as command
    return command.run(sys.argv)


def compare():
    """`bin/compare`, `tf-metamapg-compare`; see its --help."""
    with _Imports():
        from tf_metamapg.commands import compare as command
    return command.run(sys.argv)


def evaluate():
    """`bin/evaluate`, `tf-metamapg-evaluate`; see its --help."""
    with _Imports():
        from tf_metamapg.commands import evaluate as command
    return command.run(sys.argv)


def export():
    """`bin/export`, `tf-metamapg-export`; see its --help."""
    with _Imports():
        from tf_metamapg.commands import export as command
    return command.run(sys.argv)


def league():
    """`bin/league`, `tf-metamapg-league`; see its --help."""
    with _Imports():
        from tf_metamapg.commands import league as command
    return command.run(sys.argv)


def benchmark():
    """`bin/benchmark`, `tf-metamapg-benchmark`; see its --help."""
    with _Imports():
        from tf_metamapg.commands import benchmark as command
    return command.run(sys.argv)


class _Imports:
    """A context to import the package in; if that cannot be done, or somebody interrupts it, one line says so.

    While it is imported, TensorFlow writes notices that no setting turns off, and they would hide the one
    line that matters when something is wrong.
    """

    def __enter__(self):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        self._stderr = os.dup(2)
        # What whoever started the process wants to be ignored is ignored.
        signals = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
        self._signals = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
        for number in self._signals:
            signal.signal(number, self._end)
        # Takes a moment, in which one may already be interrupted.
        import tempfile

        try:
            self._held_back = tempfile.TemporaryFile()
        except OSError:  # There is no directory for it.
            self._held_back = open(os.devnull, "w+b")
        os.dup2(self._held_back.fileno(), 2)

    def __exit__(self, kind, error, traceback):
        os.dup2(self._stderr, 2)
        # The command has handlers of its own; around it there is nothing left to interrupt.
        for number in self._signals:
            signal.signal(number, lambda *_: None)
        if error is not None:
            self._refuse(error)
        import logging

        logging.getLogger("tensorflow").setLevel(logging.ERROR)

    def _end(self, number, frame):
        del frame
        # An exception would have to find its way through all that is being imported.
        try:
            os.write(self._stderr, b"interrupted: nothing was written; start again\n")
        finally:  # Also where nobody reads what is written.
            os._exit(128 + number)

    def _refuse(self, error):
        # Such as a package that is not installed, or another backend of Keras.
        text = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
        if "\n" not in text:
            print(f"error: {text}", file=sys.stderr)
            sys.exit(2)
        self._held_back.seek(0)
        os.write(2, self._held_back.read())
