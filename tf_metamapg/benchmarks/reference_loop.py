"""A plain compiled loop that simulates the benchmark's game, to compare with on any machine."""

import ctypes
import os
import shutil
import subprocess
import tempfile
import time

import numpy as np

DESCRIPTION = (
    "C, one thread, cc -O3 -march=native: the iterated prisoner's dilemma between two memory-one policies, one"
    " xorshift64* number per action, both rewards summed"
)

_SOURCE = """
#include <stdint.h>

static inline float uniform(uint64_t *state) {
  uint64_t x = *state;
  x ^= x >> 12; x ^= x << 25; x ^= x >> 27;
  *state = x;
  return (x * 0x2545F4914F6CDD1DULL >> 40) * (1.0f / 16777216.0f);
}

void simulate(int64_t n_trajectories, int64_t horizon, const float *cooperate, const float *payoffs,
              uint64_t seed, double *sums) {
  static const int seen[2][5] = {{0, 1, 2, 3, 4}, {0, 1, 3, 2, 4}};
  uint64_t state = seed;
  for (int64_t k = 0; k < n_trajectories; ++k) {
    int s = 0;
    float first = 0.0f, second = 0.0f;
    for (int64_t t = 0; t < horizon; ++t) {
      int a = uniform(&state) >= cooperate[seen[0][s]];
      int b = uniform(&state) >= cooperate[5 + seen[1][s]];
      s = 1 + 2 * a + b;
      first += payoffs[s - 1];
      second += payoffs[3 + s];
    }
    sums[0] += first;
    sums[1] += second;
  }
}
"""


def nanoseconds_per_step(
    n_repeats: int, n_trajectories: int = 10_000, horizon: int = 150
) -> tuple[float, np.ndarray] | None:
    """Times the loop.

    Args:
        n_repeats: how many times are taken the median of.
        n_trajectories: K.
        horizon: T.

    Returns:
        (median nanoseconds per environment step, average reward per step of both agents), or None without a
        C compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as directory:
        source, library = os.path.join(directory, "loop.c"), os.path.join(directory, "loop.so")
        with open(source, "w", encoding="utf-8") as file:
            file.write(_SOURCE)
        subprocess.run([compiler, "-O3", "-march=native", "-shared", "-fPIC", "-o", library, source], check=True)
        simulate = ctypes.CDLL(library).simulate
    as_pointer = np.ctypeslib.ndpointer
    simulate.argtypes = [
        ctypes.c_int64, ctypes.c_int64, as_pointer(np.float32), as_pointer(np.float32), ctypes.c_uint64,
        as_pointer(np.float64),
    ]
    cooperate = np.full(10, 0.5, np.float32)
    payoffs = np.array([-1, -3, 0, -2, -1, 0, -3, -2], np.float32)
    times, sums = [], np.zeros(2)
    for repeat in range(n_repeats):
        start = time.perf_counter()
        simulate(n_trajectories, horizon, cooperate, payoffs, 88172645463325252 + repeat, sums)
        times.append(time.perf_counter() - start)
    n_steps = n_trajectories * horizon
    return 1e9 * float(np.median(times)) / n_steps, sums / (n_repeats * n_steps)
