"""How a command ends in the middle of its work, with one line, wherever its main thread is."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import os
import signal
import threading
from typing import IO
from typing import NoReturn

from tf_metamapg import checks
from tf_metamapg.runs import progress


def end(line: str, status: int, errors: IO[bytes]) -> NoReturn:
    """Ends the process at once, with a line behind what is shown of its progress.

    Args:
        line: what is said.
        status: the exit status.
        errors: a file without a buffer; no lock is asked for, as the main thread may be anywhere.
    """
    try:
        if progress.is_shown():
            os.write(1, b"\n")
        errors.write(f"{checks.one_line(line)}\n".encode(errors="replace"))
    finally:  # Also where nobody reads what is written.
        os._exit(status)


@contextlib.contextmanager
def ended_by_signals(hint: Callable[[], str]) -> Iterator[None]:
    """A context in which SIGHUP, SIGINT and SIGTERM end the process with one line; no file is left half-written.

    A thread waits for them: the main thread may be in TensorFlow for long, and an exception in it could get lost there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    # What whoever started the process wants to be ignored is ignored.
    handlers = {number: handler for number, handler in handlers.items() if handler not in (signal.SIG_IGN, None)}
    for number in handlers:
        signal.signal(number, lambda *_: None)
    own_writer = signal.set_wakeup_fd(writer)
    threading.Thread(target=_wait, args=(reader, os.dup(2), [*handlers], hint), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(own_writer)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(writer)


def _wait(reader, stderr, numbers, hint):
    """Ends the process if one of some signals is read; it holds no lock, as the main thread may be anywhere."""
    with open(reader, "rb", buffering=0) as signals, open(stderr, "wb", buffering=0) as errors:
        while number := signals.read(1):
            if number[0] in numbers:
                try:
                    end(f"interrupted: {hint()}", 128 + number[0], errors)
                finally:  # Also where there is no hint.
                    os._exit(128 + number[0])
