"""Which cores a process uses."""

import os
import sys


def count() -> int:
    """How many this process may use."""
    return len(_cores())


def share(index: int, n_shares: int) -> str:
    """The cores of one of several processes, as text; where there are more processes than cores, they share these."""
    cores = _cores()
    return ",".join(map(str, cores[index::n_shares] or [cores[index % len(cores)]]))


def keep_to(cores: str) -> None:
    """Lets this process use some cores alone, see `share`."""
    # Other systems have no such call, and processes share all cores.
    if sys.platform == "linux":
        os.sched_setaffinity(0, map(int, cores.split(",")))


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else list(range(os.cpu_count() or 1))
