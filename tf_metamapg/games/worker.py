"""What a worker process does. It loads this file by itself, and no more of the package than environments need."""

import contextlib
import importlib
from multiprocessing import connection
import pathlib
import pickle
import signal
import sys
import traceback
import types


def serve(descriptor: int) -> None:
    """Answers with what environments say, until the parent ends.

    Args:
        descriptor: of this end of a pipe. Each message is a pickled pair, the name of a method of the environments and
            its argument; each answer is what that returns, or why it does not. Before them comes the pickled function
            that makes an environment.
    """
    # Whoever interrupts the parent ends it, and that ends the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = connection.Connection(descriptor)
    answers, playing = _without_package("answers", "environments")
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        pickled, environments = pipe.recv_bytes(), None
        while True:
            message = pipe.recv_bytes()
            try:
                if environments is None:
                    environments = playing.Environments(pickle.loads(pickled))
                method, argument = pickle.loads(message)
                answer = "done", getattr(environments, method)(argument)
            except answers.Unusable as error:
                answer = "unusable", str(error)
            except Exception:  # Whatever an environment raises, the parent is to say.
                answer = "failed", traceback.format_exc()
            pipe.send(answer)


def _without_package(*names):
    """Modules beside this one, without the packages that they are in, which would import TensorFlow.

    What makes environments imports these packages like any others, if it needs them.
    """
    folder = pathlib.Path(__file__).parent
    packages = {"tf_metamapg": folder.parent, "tf_metamapg.games": folder}
    for package, path in packages.items():
        sys.modules[package] = types.ModuleType(package)
        sys.modules[package].__path__ = [str(path)]
    modules = [importlib.import_module(f"tf_metamapg.games.{name}") for name in names]
    for name in (*packages, *(module.__name__ for module in modules)):
        del sys.modules[name]
    return modules
