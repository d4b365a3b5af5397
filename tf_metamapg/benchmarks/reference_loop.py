"""Plain compiled loops that simulate the benchmark's games, to compare with on any machine."""

import ctypes
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
from typing import NamedTuple

import numpy as np

DESCRIPTION = (
    "C, one thread, cc -O3 -march=native: two policies that are tables, one xorshift64* number per action and new coin,"
    " both rewards summed"
)


class Loop(NamedTuple):
    """A game that a file of this folder plays."""

    source: str
    n_observations: int
    n_actions: int
    n_trajectories: int
    horizon: int


# At the sizes of the workloads `long` and `coin`.
LOOPS = {
    "the iterated prisoner's dilemma": Loop("prisoners_dilemma.c", 5, 2, n_trajectories=10_000, horizon=150),
    "the coin game": Loop("coin_game.c", 1152, 4, n_trajectories=2048, horizon=50),
}


def nanoseconds_per_step(name: str, n_repeats: int) -> tuple[float, np.ndarray] | None:
    """Times the loop of a game between two players of uniformly random actions.

    Args:
        name: one of `LOOPS`.
        n_repeats: how many times are taken the median of.

    Returns:
        (median nanoseconds per environment step, mean reward per step of both agents), or None without a C compiler.
    """
    compiler, loop = shutil.which("cc"), LOOPS[name]
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as directory:
        library = os.path.join(directory, "loop.so")
        source = pathlib.Path(__file__).with_name(loop.source)
        subprocess.run([compiler, "-O3", "-march=native", "-shared", "-fPIC", "-o", library, source], check=True)
        simulate = ctypes.CDLL(library).simulate
    as_pointer = np.ctypeslib.ndpointer
    simulate.argtypes = [
        ctypes.c_int64, ctypes.c_int64, as_pointer(np.float32), ctypes.c_uint64, as_pointer(np.float64)
    ]
    up_to = np.arange(1, loop.n_actions, dtype=np.float32) / loop.n_actions
    thresholds = np.tile(up_to, 2 * loop.n_observations)
    times, sums = [], np.zeros(2)
    for repeat in range(n_repeats):
        start = time.perf_counter()
        simulate(loop.n_trajectories, loop.horizon, thresholds, 88172645463325252 + repeat, sums)
        times.append(time.perf_counter() - start)
    n_steps = loop.n_trajectories * loop.horizon
    return 1e9 * float(np.median(times)) / n_steps, sums / (n_repeats * n_steps)
