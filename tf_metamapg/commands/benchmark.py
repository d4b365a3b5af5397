"""Times meta-updates, and prints a table.

    bin/benchmark
    bin/benchmark tabular wide --json=benchmark.json
    bin/benchmark --scaling
    bin/benchmark --cost_model
    bin/benchmark --host

Workloads are tabular, wide, chain, long, authors, coin, dice_128, dice_1024
and coin_dice; each runs in a process of its own: the iterated prisoner's
dilemma with γ = 0.96, or the coin game, two meta-agents or two LOLA-DiCE
agents with tabular policies, or a meta-agent with an LSTM against a tabular
learner. An environment step is one joint action of one trajectory; each of the
L + 1 rollouts of a meta-update counts. The last line has what a loop in C
takes for a step of the same games. The keys of each workload in the JSON
object:

    rollout_ns              random numbers and trajectories alone,
                            nanoseconds per environment step
    meta_update_ns          one whole update, nanoseconds per
                            environment step of all its rollouts
    meta_update_seconds     one whole update
    first_update_seconds    from the start of the process to the end of
                            the first update
    compile_seconds         what of that is tracing and compiling
    peak_mb                 the most memory that the process had
    *_spread                least and largest median of the repeats

With --workers=N it says how much faster N workers are instead, each on its
share of the cores: milliseconds for a meta-update of one process on all cores,
of N processes that know nothing of each other over N, and of N workers; the
last column is what of the processes' speed the workers keep.

With --scaling it doubles one size of `tabular` at a time instead, and the
workers of `wide`, and prints how much time and memory that takes; a slope of 1
is a cost in proportion, and one of -1 a time that workers halve. With
--cost_model, which takes a quarter of an hour, it fits what a meta-update costs
to measurements of processes on one core and of exchanges between up to eight
workers that compute nothing, says how far that is off for other runs, and what
1,000 seeds would take on many cores. With --host it times two-agent HalfCheetah
outside of TensorFlow instead, microseconds per step of one environment: a bare
Python loop over MaMuJoCo's environments with NumPy's random actions, and
`HostSimulator` with two policies that act, in these environments and with
MuJoCo's own batch. Where the package is installed, tf-metamapg-benchmark is the
same.
"""

import functools
import json
import os
import pathlib
import subprocess
import sys
import time

from absl import flags

from tf_metamapg import checks
from tf_metamapg.commands import cluster
from tf_metamapg.commands import common
from tf_metamapg.runs import files

FLAGS = flags.FlagValues()
flags.DEFINE_string("json", None, "Also write everything to this file, as one JSON object.", flag_values=FLAGS)
flags.DEFINE_integer("repeats", 5, "Medians that the median is taken of.", flag_values=FLAGS)
flags.DEFINE_bool("scaling", False, "How the cost grows with T, K, tasks, L, seeds and workers.", flag_values=FLAGS)
flags.DEFINE_bool("cost_model", False, "What meta-updates cost on many cores, by a model.", flag_values=FLAGS)
flags.DEFINE_bool("host", False, "What environments outside of TensorFlow take, such as MuJoCo's.", flag_values=FLAGS)
flags.DEFINE_integer("workers", 1, "How much faster so many workers are.", flag_values=FLAGS)
flags.DEFINE_integer(
    "blocks", None, "What the command passes to the processes of --workers: how a batch is cut.", flag_values=FLAGS
)
flags.DEFINE_float(
    "started", None, "What the command passes to the process of one workload: when it was started.", flag_values=FLAGS
)

# Flags that say what is measured instead of workloads.
_KINDS = ("scaling", "cost_model", "host")
# The process that measures a workload, if there is one now.
_aside: list[subprocess.Popen] = []


def run(argv: list[str]) -> int:
    """Runs the command line.

    Args:
        argv: the program's name and its arguments.

    Returns:
        exit status, see `common.run`.
    """

    def hint():
        # Whoever asks this process to end need not know of another.
        for process in _aside:
            process.kill()
        return "nothing was written; start again"

    return common.run(argv, sys.modules[__name__], lambda names: _run(argv[0], names), hint)


def _run(program, names):
    checks.check_integer("--repeats", FLAGS.repeats, minimum=1)
    checks.check_integer("--workers", FLAGS.workers, minimum=1)
    for flag in ("started", "blocks"):
        value = FLAGS[flag].value
        checks.check(value is None or len(names) == 1, f"--{flag}", value, "left to the command")
    others = [f"--{flag}" for flag in _KINDS if FLAGS[flag].value]
    checks.check(FLAGS.workers == 1 or not others, "--workers", FLAGS.workers, f"1 with {' or '.join(others)}")
    if len(others) > 1:
        raise checks.InvalidInputError(f"{' and '.join(others)}: choose one of them")
    if FLAGS.json is not None:
        path = pathlib.Path(common.path("--json", FLAGS.json)).absolute()
        is_writable = os.path.isdir(path.parent) and os.access(path.parent, os.W_OK)
        checks.check(is_writable and not os.path.isdir(path), "--json", FLAGS.json, "a file in a writable directory")
    place = cluster.place()
    with common.importing():
        from tf_metamapg.commands import timing
    if FLAGS.blocks is not None:
        print(json.dumps(timing.measure_blocks_here(names[0], FLAGS.repeats, FLAGS.blocks, place)))
        return
    if FLAGS.started is not None:
        print(json.dumps(timing.measure_here(names[0], FLAGS.started, FLAGS.repeats)))
        return
    results = timing.measure_all(names, FLAGS, functools.partial(_measure_aside, program), _aside.append)
    if FLAGS.json is not None:
        files.write_json(path, results)


def _measure_aside(program, name):
    """What a process of its own measures."""
    arguments = [sys.executable, program, name, f"--started={time.time()}", f"--repeats={FLAGS.repeats}"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        _aside.append(process)
        stdout, stderr = process.communicate()
    _aside.remove(process)
    if process.returncode != 0:
        last = stderr.splitlines()[-1:]
        raise ChildProcessError(f"the process of {name} ended with status {process.returncode}: {''.join(last)}")
    return json.loads(stdout.splitlines()[-1])
