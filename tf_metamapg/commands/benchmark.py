"""Times meta-updates, and prints a table.

    bin/benchmark
    bin/benchmark tabular wide --json=benchmark.json
    bin/benchmark --scaling
    bin/benchmark --host

Workloads are tabular, wide, chain, long, authors, coin, dice_128, dice_1024 and coin_dice; the README has their sizes.
Each workload runs in a process of its own: the iterated prisoner's dilemma with γ = 0.96, or the coin game, two
meta-agents or two LOLA-DiCE agents with tabular policies, or a meta-agent with an LSTM against a tabular learner. An
environment step is one joint action of one trajectory; each of the L + 1 rollouts of a meta-update counts. The last
line has what a loop in C takes for a step of the same games. The keys of each workload in the JSON object:

    rollout_ns              random numbers and trajectories alone, nanoseconds per environment step
    meta_update_ns          one whole update, nanoseconds per environment step of all its rollouts
    meta_update_seconds     one whole update
    first_update_seconds    from the start of the process to the end of the first update
    compile_seconds         what of that is tracing and compiling
    peak_mb                 the most memory that the process had
    *_spread                least and largest median of the repeats

With --scaling it doubles one size of `tabular` at a time instead, and prints how much time and memory that takes; a
slope of 1 is a cost in proportion. With --host it times two-agent HalfCheetah outside of TensorFlow instead,
microseconds per step of one environment: a bare Python loop over MaMuJoCo's environments with NumPy's random actions,
and `HostSimulator` with two policies that act, in these environments and with MuJoCo's own batch. Where the package is
installed, tf-metamapg-benchmark is the same.
"""

import json
import math
import os
import pathlib
import platform
import subprocess
import sys
import time

from absl import flags
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg.benchmarks import host_loop
from tf_metamapg.benchmarks import reference_loop
from tf_metamapg.benchmarks import workloads
from tf_metamapg.commands import common
from tf_metamapg.runs import files

FLAGS = flags.FlagValues()
flags.DEFINE_string("json", None, "Also write everything to this file, as one JSON object.", flag_values=FLAGS)
flags.DEFINE_integer("repeats", 5, "Medians that the median is taken of.", flag_values=FLAGS)
flags.DEFINE_bool("scaling", False, "How the cost grows with T, K, tasks and L.", flag_values=FLAGS)
flags.DEFINE_bool("host", False, "What environments outside of TensorFlow take, such as MuJoCo's.", flag_values=FLAGS)
flags.DEFINE_float(
    "started", None, "What the command passes to the process of one workload: when it was started.", flag_values=FLAGS
)

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
    if FLAGS.started is not None:
        checks.check(len(names) == 1, "--started", FLAGS.started, "left to the command")
        if names[0] in host_loop.SIZES:
            print(json.dumps(host_loop.measure(names[0], FLAGS.repeats)))
        else:
            print(json.dumps(workloads.measure(names[0], FLAGS.started, FLAGS.repeats)))
        return
    names = names or list(workloads.WORKLOADS)
    for name in names:
        checks.check(name in workloads.WORKLOADS, "workload", name, f"one of {', '.join(workloads.WORKLOADS)}")
    if FLAGS.json is not None:
        path = pathlib.Path(common.path("--json", FLAGS.json)).absolute()
        is_writable = os.path.isdir(path.parent) and os.access(path.parent, os.W_OK)
        checks.check(is_writable and not os.path.isdir(path), "--json", FLAGS.json, "a file in a writable directory")
    results = {
        "machine": {"cores": os.cpu_count(), "tensorflow": tf.__version__, "python": platform.python_version()},
        "reference_loops": _reference_loops(),
        "workloads": {},
    }
    if FLAGS.scaling:
        results["scaling"] = _scaling(program)
    elif FLAGS.host:
        results["host"] = _host(program)
    else:
        _time_workloads(program, names, results)
    if FLAGS.json is not None:
        files.write_json(path, results)


def _time_workloads(program, names, results):
    print(f"{'workload':<12}{'rollout':>10}{'update':>10}{'update':>11}{'first':>9}{'compile':>9}{'peak':>8}")
    print(f"{'':<12}{'ns/step':>10}{'ns/step':>10}{'seconds':>11}{'seconds':>9}{'seconds':>9}{'MB':>8}", flush=True)
    for name in names:
        results["workloads"][name] = measured = _measure_aside(program, name)
        print(
            f"{name:<12}{measured['rollout_ns']:>10.1f}{measured['meta_update_ns']:>10.1f}"
            f"{measured['meta_update_seconds']:>11.4f}{measured['first_update_seconds']:>9.1f}"
            f"{measured['compile_seconds']:>9.1f}{measured['peak_mb']:>8.0f}",
            flush=True,
        )
    loops = ", ".join(f"{name} {nanoseconds:.1f}" for name, nanoseconds in results["reference_loops"].items())
    print(
        f"\nreference loops, ns per step: {loops} ({reference_loop.DESCRIPTION})" if loops
        else "no C compiler for the reference loops"
    )


def _scaling(program):
    results = {}
    print(f"{'':<20}{'update':>10}{'update':>11}{'slope':>8}{'peak':>8}")
    print(f"{'':<20}{'ns/step':>10}{'seconds':>11}{'':>8}{'MB':>8}", flush=True)
    for names in workloads.SCALING.values():
        smaller = None
        for name in names:
            results[name] = measured = _measure_aside(program, name)
            slope = "" if smaller is None else f"{math.log2(measured['meta_update_seconds'] / smaller):.2f}"
            smaller = measured["meta_update_seconds"]
            print(
                f"{name:<20}{measured['meta_update_ns']:>10.1f}{smaller:>11.4f}{slope:>8}{measured['peak_mb']:>8.0f}",
                flush=True,
            )
    return results


def _host(program):
    results = {}
    print(f"{'environments':<14}{''.join(f'{column:>16}' for column in host_loop.COLUMNS)}", flush=True)
    for name, size in host_loop.SIZES.items():
        results[name] = measured = _measure_aside(program, name)
        print(f"{size:<14}{''.join(f'{measured[column]:>16.1f}' for column in host_loop.COLUMNS)}", flush=True)
    return results


def _reference_loops():
    """Nanoseconds per step by game, of those that can be compiled."""
    measured = {name: reference_loop.nanoseconds_per_step(name, FLAGS.repeats) for name in reference_loop.LOOPS}
    return {name: times[0] for name, times in measured.items() if times is not None}


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
