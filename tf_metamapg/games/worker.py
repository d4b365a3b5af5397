"""What a worker process does. It loads this file by itself, so nothing of the package is imported."""

from collections.abc import Callable
import contextlib
from multiprocessing import connection
import pickle
import signal
import traceback
from typing import Any


def serve(descriptor: int, make_environments: Callable[..., Any], unusable: type[Exception]) -> None:
    """Answers with what environments say, until the parent ends.

    Args:
        descriptor: of this end of a pipe. Each message is a pickled pair, the name of a method of the environments and
            its argument; each answer is what that returns, or why it does not. Before them comes the pickled function
            that makes an environment.
        make_environments: `environments.Environments`.
        unusable: `environments.Unusable`.
    """
    # Whoever interrupts the parent ends it, and that ends the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = connection.Connection(descriptor)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        pickled, environments = pipe.recv_bytes(), None
        while True:
            message = pipe.recv_bytes()
            try:
                if environments is None:
                    environments = make_environments(pickle.loads(pickled))
                method, argument = pickle.loads(message)
                answer = "done", getattr(environments, method)(argument)
            except unusable as error:
                answer = "unusable", str(error)
            except Exception:  # Whatever an environment raises, the parent is to say.
                answer = "failed", traceback.format_exc()
            pipe.send(answer)
