"""Lets the commands beside this file import TensorFlow without the notices that it writes, and be interrupted then."""

import contextlib
import logging
import os
import signal
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextlib.contextmanager
def imports():
    """A context to import the package in; if that cannot be done, or somebody interrupts it, one line says so."""
    refused = None
    with _ended_by_signals(), _held_back_stderr():
        try:
            yield
        except Exception as error:
            # Such as a package that is not installed, or another backend of Keras.
            refused = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
            if "\n" in refused:
                raise
    if refused is not None:
        print(f"error: {refused}", file=sys.stderr)
        sys.exit(2)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


@contextlib.contextmanager
def _ended_by_signals():
    """Ends the process with one line. An exception would have to find its way through what is being imported."""
    stderr = os.dup(2)

    def end(number, frame):
        del frame
        os.write(stderr, b"interrupted: nothing was written; start again\n")
        os._exit(128 + number)

    # What whoever started the process wants to be ignored is ignored.
    numbers = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is not signal.SIG_IGN]
    for each in numbers:
        signal.signal(each, end)
    yield
    # The command has handlers of its own; around it there is nothing left to interrupt.
    for each in numbers:
        signal.signal(each, lambda *_: None)
    os.close(stderr)


@contextlib.contextmanager
def _held_back_stderr():
    """Shows what is written to stderr only if something fails.

    While it is imported, TensorFlow writes notices that no setting turns off, and they would hide the one
    line that matters when something is wrong.
    """
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except BaseException:
            held_back.seek(0)
            os.write(stderr, held_back.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
