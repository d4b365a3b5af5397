"""Times what `bin/benchmark` is asked for, each in a process of its own, and prints it."""

from collections.abc import Callable
from collections.abc import Sequence
import math
import os
import platform
import subprocess
from typing import Any

from absl import flags
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg.benchmarks import host_loop
from tf_metamapg.benchmarks import measuring
from tf_metamapg.benchmarks import reference_loop
from tf_metamapg.benchmarks import workloads
from tf_metamapg.commands import cluster
from tf_metamapg.commands import cores
from tf_metamapg.commands import costs
from tf_metamapg.commands import side_by_side
from tf_metamapg.runs import terminal
from tf_metamapg.training import workers


def measure_here(name: str, started: float, repeats: int) -> dict[str, Any]:
    """What one workload takes in this process.

    Args:
        name: one of `workloads.WORKLOADS` or its scaling, or of `host_loop.SIZES`.
        started: when the process was started, in seconds since the epoch.
        repeats: medians that the median is taken of.

    Returns:
        what can be written as JSON.
    """
    if name in host_loop.SIZES:
        return host_loop.measure(name, repeats)
    return measuring.measure(name, started, repeats)


def measure_blocks_here(name: str, repeats: int, n_blocks: int, place: cluster.Place) -> dict[str, float]:
    """What a meta-update takes in this process, which may be one of several workers.

    Args:
        name: see `measuring.measure_update`.
        repeats: medians that the median is taken of.
        n_blocks: how a batch is cut.
        place: which of the workers this is.
    """
    return measuring.measure_update(name, repeats, n_blocks, workers.of_cluster(*place))


def measure_all(
    names: Sequence[str], flag_values: flags.FlagValues, measure_aside: Callable[[str], dict[str, Any]],
    started: Callable[[subprocess.Popen], None] = lambda process: None,
) -> dict[str, Any]:
    """Measures and prints.

    Args:
        names: of workloads; by default all.
        flag_values: those of `bin/benchmark`.
        measure_aside: calls `measure_here` in a process of its own.
        started: called with each process that has been started beside these.

    Returns:
        what can be written as JSON.

    Raises:
        InvalidInputError: if there is no such workload.
    """
    timed = workloads.WORKLOADS if flag_values.workers == 1 else workloads.cut_into(flag_values.workers)
    names = names or list(timed)
    for name in names:
        checks.check(name in timed, "workload", name, f"one of {', '.join(timed)}")
    devices = [device.device_type for device in tf.config.list_physical_devices()]
    results: dict[str, Any] = {
        "machine": {
            "cores": os.cpu_count(), "devices": devices, "tensorflow": tf.__version__,
            "python": platform.python_version(),
        },
        "reference_loops": _reference_loops(flag_values.repeats),
        "workloads": {},
    }
    terminal.say(f"devices: {', '.join(devices)}; {os.cpu_count()} cores\n")
    if flag_values.scaling:
        results["scaling"] = _scaling(flag_values.repeats, measure_aside, started)
    elif flag_values.cost_model:
        results["cost_model"] = costs.measure(flag_values.repeats, started)
    elif flag_values.workers > 1:
        results["workers"] = _side_by_side(names, flag_values, started)
    elif flag_values.host:
        results["host"] = _host(measure_aside)
    else:
        _time_workloads(names, results, measure_aside)
    return results


def _time_workloads(names, results, measure_aside):
    terminal.heading(
        f"{'workload':<12}{'rollout':>10}{'update':>10}{'update':>11}{'first':>9}{'compile':>9}{'peak':>8}\n"
        f"{'':<12}{'ns/step':>10}{'ns/step':>10}{'seconds':>11}{'seconds':>9}{'seconds':>9}{'MB':>8}"
    )
    for name in names:
        results["workloads"][name] = measured = measure_aside(name)
        terminal.say(
            f"{name:<12}{measured['rollout_ns']:>10.1f}{measured['meta_update_ns']:>10.1f}"
            f"{measured['meta_update_seconds']:>11.4f}{measured['first_update_seconds']:>9.1f}"
            f"{measured['compile_seconds']:>9.1f}{measured['peak_mb']:>8.0f}"
        )
    loops = ", ".join(f"{name} {nanoseconds:.1f}" for name, nanoseconds in results["reference_loops"].items())
    terminal.say(
        f"\nreference loops, ns per step: {loops} ({reference_loop.DESCRIPTION})" if loops
        else "no C compiler for the reference loops"
    )


def _scaling(n_repeats, measure_aside, started):
    terminal.heading(
        f"{'':<20}{'update':>10}{'update':>11}{'slope':>8}{'peak':>8}\n"
        f"{'':<20}{'ns/step':>10}{'seconds':>11}{'':>8}{'MB':>8}"
    )
    results: dict[str, Any] = {}
    for names in workloads.SCALING.values():
        results |= _doubled(names, measure_aside)
    # Workers on a core each, as many as there are cores, and blocks.
    workers = {f"wide, workers={n_workers}": n_workers for n_workers in (1, 2, 4, 8) if n_workers <= cores.count()}
    n_steps = workloads.WORKLOADS["wide"].size().n_env_steps

    def measure_workers(name):
        measured = side_by_side.of_pinned("wide", workers[name], n_repeats, started)
        return {**measured, "meta_update_ns": 1e9 * measured["meta_update_seconds"] / n_steps}

    return results | _doubled(workers, measure_workers)


def _doubled(names, measure):
    """What is measured of one size after the other, by name; each is twice the one before it."""
    results, before = {}, None
    for name in names:
        results[name] = measured = measure(name)
        seconds = measured["meta_update_seconds"]
        slope = "" if before is None else f"{math.log2(seconds / before):.2f}"
        before = seconds
        terminal.say(
            f"{name:<20}{measured['meta_update_ns']:>10.1f}{seconds:>11.4f}{slope:>8}{measured['peak_mb']:>8.0f}"
        )
    return results


def _side_by_side(names, flag_values, started):
    results, n_workers = {}, flag_values.workers
    titles = ("one process", f"{n_workers} apart", f"{n_workers} workers", "kept")
    terminal.heading(f"{'workload':<12}{''.join(f'{title:>14}' for title in titles)}")
    for name in names:
        results[name] = seconds = side_by_side.measure(name, n_workers, flag_values.repeats, started)
        cells = [f"{1e3 * seconds[column]:.1f} ms" for column in side_by_side.COLUMNS]
        cells.append(f"{seconds['apart'] / seconds['workers']:.0%}")
        terminal.say(f"{name:<12}{''.join(f'{cell:>14}' for cell in cells)}")
    return results


def _host(measure_aside):
    results = {}
    columns = {column: len(column) + 2 for column in host_loop.COLUMNS}
    terminal.heading(f"{'environments':<14}{''.join(f'{column:>{width}}' for column, width in columns.items())}")
    for name, size in host_loop.SIZES.items():
        results[name] = measured = measure_aside(name)
        terminal.say(f"{size:<14}{''.join(f'{measured[column]:>{width}.1f}' for column, width in columns.items())}")
    return results


def _reference_loops(repeats):
    """Nanoseconds per step by game, of those that can be compiled."""
    measured = {name: reference_loop.nanoseconds_per_step(name, repeats) for name in reference_loop.LOOPS}
    return {name: times[0] for name, times in measured.items() if times is not None}
