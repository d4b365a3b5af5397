"""What workers make of a workload, beside one process and beside as many processes that know nothing of each other."""

from collections.abc import Callable
import json
import subprocess

import numpy as np

from tf_metamapg.commands import cluster
from tf_metamapg.commands import cores

COLUMNS = ("one process", "apart", "workers")


def measure(name: str, n_workers: int, n_repeats: int, started: Callable[[subprocess.Popen], None]) -> dict[str, float]:
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
    shares = [cores.share(index, n_workers) for index in range(n_workers)]
    arguments = ["benchmark", name, f"--repeats={n_repeats}", "--blocks"]
    alone = _seconds([cluster.pinned(cores.share(0, 1), [*arguments, "1"], "", subprocess.DEVNULL)], 1, started)
    apart = [cluster.pinned(own, [*arguments, "1"], "", subprocess.DEVNULL) for own in shares]
    rates = 1.0 / np.array(_seconds(apart, n_workers, started))
    together = [
        cluster.pinned(own, [*arguments, str(n_workers)], tf_config, subprocess.DEVNULL)
        for own, tf_config in zip(shares, cluster.tf_configs(n_workers))
    ]
    return dict(zip(COLUMNS, (alone[0], float(1.0 / rates.sum()), _seconds(together, 1, started)[0])))


def _seconds(processes, n_asked, started):
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
    return [json.loads(text.splitlines()[-1])["meta_update_seconds"] for text in said]
