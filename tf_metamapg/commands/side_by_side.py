"""What processes that are pinned to cores of their own make of a workload: workers, and those that work alone."""

from collections.abc import Callable
import json
import subprocess

import numpy as np

from tf_metamapg.commands import cluster
from tf_metamapg.commands import cores

COLUMNS = ("one process", "apart", "workers")

# What is called with each process that is started.
Started = Callable[[subprocess.Popen], None]


def measure(name: str, n_workers: int, n_repeats: int, started: Started) -> dict[str, float]:
    """Seconds for one meta-update of a workload, of one process after the others.

    Args:
        name: of a workload.
        n_workers: how many processes there are, each on its share of the cores.
        n_repeats: medians that the median is taken of.
        started: called with each process.

    Returns:
        by column: of one process on all cores; of as many processes as workers, each of which makes meta-updates of its
        own, the time over their number; and of workers.

    Raises:
        ChildProcessError: if one of them fails.
    """
    alone = _measured([_alone(name, 0, 1, n_repeats)], 1, started)[0]
    apart = [_alone(name, index, n_workers, n_repeats) for index in range(n_workers)]
    rates = 1.0 / np.array([measured["meta_update_seconds"] for measured in _measured(apart, n_workers, started)])
    together = _of_workers(name, n_workers, n_workers, n_repeats, started)
    seconds = (alone["meta_update_seconds"], float(1.0 / rates.sum()), together["meta_update_seconds"])
    return dict(zip(COLUMNS, seconds))


def of_pinned(name: str, n_workers: int, n_repeats: int, started: Started) -> dict[str, float]:
    """What `measuring.measure_update` returns in one process on one core, or in the chief of workers on a core each.

    Args:
        name: see `measuring.measure_update`.
        n_workers: how many there are; where there are more than cores, they take turns.
        n_repeats, started: see `measure`.

    Raises:
        ChildProcessError: if one of them fails.
    """
    n_shares = max(n_workers, cores.count())
    if n_workers == 1:
        return _measured([_alone(name, 0, n_shares, n_repeats)], 1, started)[0]
    return _of_workers(name, n_workers, n_shares, n_repeats, started)


def _of_workers(name, n_workers, n_shares, n_repeats, started):
    """What the first of some workers says, which have a block each, on the first of so many shares of the cores."""
    arguments = _arguments(name, n_repeats, n_workers)
    together = [
        cluster.pinned(cores.share(index, n_shares), arguments, tf_config, subprocess.DEVNULL)
        for index, tf_config in enumerate(cluster.tf_configs(n_workers))
    ]
    return _measured(together, 1, started)[0]


def _alone(name, index, n_shares, n_repeats):
    return cluster.pinned(cores.share(index, n_shares), _arguments(name, n_repeats, 1), "", subprocess.DEVNULL)


def _arguments(name, n_repeats, n_blocks):
    return ["benchmark", name, f"--repeats={n_repeats}", f"--blocks={n_blocks}"]


def _measured(processes, n_asked, started):
    """What the first of some processes say; all have ended then."""
    for process in processes:
        started(process)
    try:
        # Not `communicate`, which closes what tells them that this process is there.
        said = [process.stdout.read() for process in processes[:n_asked]]
        for process in processes[:n_asked]:
            process.wait()
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for process in processes[:n_asked]:
        if process.returncode != 0:
            raise ChildProcessError(f"a process of the benchmark ended with status {process.returncode}")
    return [json.loads(text.splitlines()[-1]) for text in said]
