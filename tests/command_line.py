"""Runs `bin/train`: in the test's own process, which saves importing TensorFlow again, or in one of its own."""

import contextlib
import io
import os
import pathlib
import subprocess
import sys
import time
from typing import NamedTuple

from tf_metamapg.commands import train

ROOT = pathlib.Path(__file__).parent.parent
GIN_CONFIGS = ROOT / "gin_configs"

# Bindings that make a run of any config small.
TINY = (
    "train.n_seeds = 2",
    "train.n_meta_updates = 2",
    "train.n_tasks = 2",
    "train.n_evaluation_tasks = 2",
    "train.chain_length = 1",
    "train.n_inner_updates = 1",
    "LoadedDiceEstimator.n_trajectories = 4",
    "LoadedDiceEstimator.horizon = 3",
)


# Kills itself when a checkpoint has been written, before it has its name.
_KILLED_IN_CHECKPOINT = """
import os, signal, sys, time

from tf_metamapg.commands import train

replace = os.replace

def replace_or_die(source, target):
    if str(target).endswith("ckpt-NUMBER.npz"):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

os.replace = replace_or_die
train.run(["bin/train", *sys.argv[1:]], time.time())
"""


class Outcome(NamedTuple):
    """What a command left behind."""

    status: int
    stdout: str
    stderr: str


def gin_params(*bindings):
    """The bindings as flags."""
    return [f"--gin_param={binding}" for binding in bindings]


def run(*arguments):
    """Runs `bin/train` here, from a clean state."""
    return _run(train, lambda argv: train.run(argv, time.time()), arguments)


def run_other(command, *arguments):
    """Runs another command here, from a clean state; `command` is its module."""
    return _run(command, command.run, arguments)


def _run(command, function, arguments):
    for name in command.FLAGS:
        command.FLAGS[name].unparse()
    with (
        contextlib.redirect_stdout(io.StringIO()) as stdout,
        contextlib.redirect_stderr(io.StringIO()) as stderr,
    ):
        status = function([command.__name__, *map(str, arguments)])
    return Outcome(status, stdout.getvalue(), stderr.getvalue())


def start(*arguments, code=None, command="train", environment=(), **keywords):
    """Starts one of the commands, or Python code in its place, in a process of its own."""
    script = ["-c", code] if code else [str(ROOT / "bin" / command)]
    keywords = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8", **keywords}
    return subprocess.Popen(
        [sys.executable, *script, *map(str, arguments)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **dict(environment)}, **keywords,
    )


def start_to_be_killed(number, *arguments, **keywords):
    """Starts `bin/train` so that it is killed while it writes the checkpoint of a number."""
    return start(*arguments, code=_KILLED_IN_CHECKPOINT.replace("NUMBER", str(number)), **keywords)


def finish(process):
    """Waits for a process that `start` started."""
    stdout, stderr = process.communicate()
    return Outcome(process.returncode, stdout, stderr)
