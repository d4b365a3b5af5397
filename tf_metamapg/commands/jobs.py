"""Commands side by side, each a process of its own that keeps to its share of the cores.

Two processes on a core each do about a third more than one process on both, as no step waits for the slower core.
"""

from collections.abc import Callable
from collections.abc import Sequence
from concurrent import futures
import queue
import subprocess
import sys
import types
from typing import Any
from typing import NamedTuple

from absl import flags

from tf_metamapg import checks
from tf_metamapg.commands import common
from tf_metamapg.commands import cores
from tf_metamapg.runs import files
from tf_metamapg.runs import terminal
from tf_metamapg.runs.run_directory import RunDirectory


class Job(NamedTuple):
    """What one process is told."""

    name: str  # what its lines begin with
    arguments: list[str]  # the command and its arguments, such as ["train", "--gin_file=ipd.gin"]


def training(name: str, gin_file: str, bindings: Sequence[str], path: files.PathLike) -> list[Job]:
    """The job of `starts.train_once`; none if the run has ended.

    Args:
        name: what its lines begin with.
        gin_file, bindings: the config.
        path: the run directory.
    """
    directory = RunDirectory(path)
    if directory.read_summary() is not None:
        return []
    resume = ["--resume"] if directory.config.exists() else []
    bound = [f"--gin_param={binding}" for binding in bindings]
    return [Job(name, ["train", f"--gin_file={gin_file}", *bound, f"--run_dir={directory.path}", *resume])]


def define_flag(flag_values: flags.FlagValues, what: str) -> None:
    """Defines --jobs: how many of something at once, such as "runs"."""
    flags.DEFINE_integer(
        "jobs", 1, f"How many {what} at once, each in a process of its own on its share of the cores.",
        flag_values=flag_values,
    )


def run(argv: list[str], module: types.ModuleType, work: Callable[[list[str], "Jobs"], None], hint: str) -> int:
    """Runs a command line with --jobs; what ends the command ends its jobs first.

    Args:
        argv: the program's name and its arguments.
        module: the command's module, see `common.run`.
        work: function of the arguments that are not flags, and of what runs jobs.
        hint: how to go on after an interruption.

    Returns:
        exit status, see `common.run`.
    """
    jobs = Jobs()

    def checked_work(arguments):
        checks.check_integer("--jobs", module.FLAGS.jobs, minimum=1)
        work(arguments, jobs)

    def killing_hint():
        jobs.kill()
        return hint

    return common.run(argv, module, checked_work, killing_hint)


class Jobs:
    """Runs jobs, several at once."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen] = []
        self._is_ended = False

    def run(self, jobs: Sequence[Job], n_at_once: int) -> None:
        """Runs all of them, and says what they say.

        Args:
            jobs: in the order in which they start.
            n_at_once: how many at once, at most, ≥ 1; fewer jobs than that have larger shares of the cores.

        Raises:
            ChildProcessError: says what the first that failed has said last; the others have been killed.
            InvalidInputError: the same, if it has refused what it was told.
        """
        if not jobs:
            return
        n_at_once = min(n_at_once, len(jobs))
        shares: queue.SimpleQueue[str] = queue.SimpleQueue()
        for index in range(n_at_once):
            shares.put(cores.share(index, n_at_once))
        self._is_ended = False
        with futures.ThreadPoolExecutor(n_at_once) as threads:
            running = [threads.submit(self._run_one, job, shares) for job in jobs]
            try:
                for job in futures.as_completed(running):
                    job.result()
            except (OSError, checks.InvalidInputError):
                threads.shutdown(wait=False, cancel_futures=True)
                self.kill()
                raise

    def kill(self) -> None:
        """Ends those that are running; what they have computed so far is in their checkpoints."""
        self._is_ended = True
        for process in self._processes:
            process.kill()

    def _run_one(self, job, shares):
        own_cores = shares.get()
        with start(own_cores, job.arguments, stderr=subprocess.STDOUT) as process:
            self._processes.append(process)
            if self._is_ended:
                process.kill()
            said = ""
            for line in filter(str.strip, process.stdout or ()):
                said = line.rstrip()
                terminal.say(f"{job.name}: {said}")
        shares.put(own_cores)
        if process.returncode == common.REFUSED:
            raise checks.InvalidInputError(f"{job.name}: {said.removeprefix('error: ')}")
        if process.returncode != 0:
            raise ChildProcessError(f"{job.name} ended with status {process.returncode}: {said}")


def start(own_cores: str, arguments: Sequence[str], **keywords: Any) -> subprocess.Popen[str]:
    """Starts a command that keeps to some cores, and ends with this process.

    Args:
        own_cores: see `cores.share`.
        arguments: the command and its arguments.
        **keywords: others of `subprocess.Popen`.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "tf_metamapg.commands.job", own_cores, *arguments], text=True, errors="replace",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, **keywords,
    )
