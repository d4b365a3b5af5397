"""Worker processes that hold environments; they import no TensorFlow, unless the function that makes these does.

Workers end with the pipe to their parent, however that ends.
"""

from collections.abc import Callable
from collections.abc import Sequence
import json
import multiprocessing
import pickle
import subprocess
import sys
from typing import Any
import weakref

import numpy as np

from tf_metamapg.games import answers
from tf_metamapg.games import worker

# Python that finds what its parent finds, with a file of this package that loads few others.
_START = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "runpy.run_path(sys.argv[2])['serve'](int(sys.argv[3]))"
)


class Workers:
    """What `environments.Environments` is, in as many processes; an equal part of the environments is in each."""

    def __init__(self, make_env: Callable[[], Any], n_workers: int) -> None:
        """
        Args:
            make_env: function that makes an environment, which can be pickled.
            n_workers: how many processes there are.
        """
        pickled = pickle.dumps(make_env)
        self._pipes, processes = zip(*(_start(pickled) for _ in range(n_workers)))
        weakref.finalize(self, _end, self._pipes, processes)

    def reset(self, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        """See `environments.Environments.reset`."""
        self._ends = np.cumsum([len(part) for part in np.array_split(seeds, len(self._pipes))])[:-1]
        by_worker = self._ask("reset", np.split(seeds, self._ends))
        return tuple(map(np.concatenate, zip(*by_worker)))

    def step(self, joint_action: Sequence[np.ndarray]) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        """See `environments.Environments.step`."""
        parts = zip(*(np.split(action, self._ends) for action in joint_action))
        seen, rewards, present = zip(*self._ask("step", parts))
        joint_seen = tuple(map(np.concatenate, zip(*seen)))
        return joint_seen, np.concatenate(rewards, axis=1), np.concatenate(present, axis=1)

    def _ask(self, method, arguments):
        """What a method returns in all processes, which work at the same time."""
        try:
            for pipe, argument in zip(self._pipes, arguments):
                pipe.send((method, argument))
            all_told = [pipe.recv() for pipe in self._pipes]
        except (EOFError, OSError) as error:
            raise RuntimeError("a worker process of the environments has ended") from error
        for kind, told in all_told:
            if kind == "unusable":
                raise answers.Unusable(told)
            if kind == "failed":
                raise RuntimeError(f"in a worker process of the environments:\n{told}")
        return [told for _, told in all_told]


def _start(pickled):
    """(this end of the pipe to a new process, the process)."""
    own, other = multiprocessing.Pipe()
    with other:
        process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(sys.path), worker.__file__, str(other.fileno())],
            stdin=subprocess.DEVNULL, pass_fds=[other.fileno()],
        )
    own.send_bytes(pickled)
    return own, process


def _end(pipes, processes):
    for pipe in pipes:
        pipe.close()
    for process in processes:
        process.wait()
