"""Several processes that work on one run: as TF_CONFIG names them, or started on this machine."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from typing import Any
from typing import NamedTuple

from tf_metamapg import checks
from tf_metamapg.commands import cores
from tf_metamapg.commands import jobs
from tf_metamapg.runs import stops

# When a worker has ended that may have said why: for how long the chief may find the same.
_SECONDS_TO_FIND = 20.0
# When the chief cannot go on: for how long it may turn out that a worker has ended.
_SECONDS_TO_HEAR = 5.0


class Place(NamedTuple):
    """Which of several processes this is."""

    n_workers: int
    position: int  # the chief is at 0


def place() -> Place:
    """What TF_CONFIG says, in the convention of `tf.distribute.MultiWorkerMirroredStrategy`; alone without it.

    Raises:
        InvalidInputError: if it is something else, or names kinds of processes that have no part in this.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return Place(1, 0)
    try:
        config = json.loads(text)
        chiefs, workers = (len(config["cluster"].get(kind, ())) for kind in ("chief", "worker"))
        kind, index = config["task"]["type"], int(config["task"]["index"])
        others = set(config["cluster"]) - {"chief", "worker"}
        is_right = chiefs <= 1 and not others and 0 <= index < {"chief": chiefs, "worker": workers}[kind]
    except (ValueError, KeyError, TypeError, AttributeError):
        is_right = False
    allowed = 'like {"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, "task": {"type": "worker", "index": 0}}'
    checks.check(is_right, "TF_CONFIG", text, allowed)
    return Place(chiefs + workers, index + (chiefs if kind == "worker" else 0))


class LocalWorkers:
    """Workers on this machine beside this process, which is their chief; each keeps to its share of the cores."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[str]] = []
        self._is_ended = False
        self._has_failed = threading.Event()

    def start(self, n_workers: int, arguments: Sequence[str], end: Callable[[str], Any]) -> None:
        """Starts all but the chief, and tells this process, too, who they are; TensorFlow must not be imported yet.

        Args:
            n_workers: how many there are, with the chief.
            arguments: the command and its arguments, such as ["train", "--gin_file=ipd.gin"].
            end: called from a thread, with what has happened, if one of them ends before its time.
        """
        shares = [cores.share(index, n_workers) for index in range(n_workers)]
        configs = tf_configs(n_workers)
        os.environ["TF_CONFIG"] = configs[0]
        cores.keep_to(shares[0])
        for index in range(1, n_workers):
            process = pinned(shares[index], arguments, configs[index], stderr=subprocess.STDOUT)
            self._processes.append(process)
            threading.Thread(target=self._watch, args=(index, process, end), daemon=True).start()

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """A context in which an error of the chief's leaves a worker that has ended before the time to say why.

        Without it the others' collectives fail, and what they say of that is no reason.
        """
        try:
            yield
        except (checks.InvalidInputError, stops.RunStopped):
            raise
        except Exception:
            if self._processes:
                self._has_failed.set()
                time.sleep(_SECONDS_TO_HEAR)
            raise

    def kill(self) -> None:
        """Ends them; what they have computed so far is in the chief's checkpoints."""
        self._is_ended = True
        for process in self._processes:
            process.kill()

    def _watch(self, index, process, end):
        said = ""
        for line in filter(str.strip, process.stdout):
            said = line.rstrip()
        if process.wait() > 0:
            self._has_failed.wait(_SECONDS_TO_FIND)
        if process.returncode != 0 and not self._is_ended:
            self.kill()
            end(f"worker {index} has ended with status {process.returncode}{said and ': '}{said}")


def tf_configs(n_workers: int) -> list[str]:
    """TF_CONFIG of each of some workers on this machine, at ports that nobody listens at now."""
    servers = [socket.create_server(("localhost", 0)) for _ in range(n_workers)]
    cluster = {"worker": [f"localhost:{server.getsockname()[1]}" for server in servers]}
    for server in servers:
        server.close()
    return [
        json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}) for index in range(n_workers)
    ]


def pinned(own_cores: str, arguments: Sequence[str], tf_config: str, stderr: int) -> subprocess.Popen[str]:
    """Starts a worker, or a process that works alone; see `jobs.start`.

    Args:
        own_cores, arguments: see there.
        tf_config: of the process; "" for one that works alone.
        stderr: of `subprocess.Popen`.
    """
    environment = {**os.environ, "TF_CONFIG": tf_config}
    return jobs.start(own_cores, arguments, stderr=stderr, env=environment, start_new_session=True)
