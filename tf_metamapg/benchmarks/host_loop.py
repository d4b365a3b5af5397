"""What a step of two-agent HalfCheetah takes, by `HostSimulator` and by a bare loop over as many environments."""

import time
from typing import Any

import numpy as np

from tf_metamapg import adaptation
from tf_metamapg.games.half_cheetah import HalfCheetahGame
from tf_metamapg.games.petting_zoo import ParallelEnvGame
from tf_metamapg.games.petting_zoo import pettingzoo_env
from tf_metamapg.numerics import random
from tf_metamapg.policies.mlp import mlp_policy
from tf_metamapg.simulators.host import HostSimulator

# By name, how many environments there are.
SIZES = {f"host={size}": size for size in (64, 256)}
# What is timed: names of columns, and how many processes or threads share the work.
BARE_LOOP = "bare loop"
PLAYED = {"MaMuJoCo": 1, "2 processes": 2, "MuJoCo's batch": 1, "2 threads": 2}
COLUMNS = (BARE_LOOP, *PLAYED)
_HORIZON = 20


def measure(name: str, n_repeats: int) -> dict[str, Any]:
    """Times episodes of 20 steps, resets included, all ways in turn.

    Args:
        name: one of `SIZES`.
        n_repeats: how many episodes of each environment are taken the median of.

    Returns:
        by column the median microseconds per step of one environment, and, with "_spread", the least and the largest.
    """
    size = SIZES[name]
    make_env = pettingzoo_env(
        "gymnasium_robotics.mamujoco_v1.parallel_env", {"scenario": "HalfCheetah", "agent_conf": "2x3"}
    )
    games = (ParallelEnvGame(make_env), HalfCheetahGame())
    ways = {BARE_LOOP: _bare_loop([make_env() for _ in range(size)])}
    for index, (column, n_workers) in enumerate(PLAYED.items()):
        ways[column] = _simulator(games[index // 2], size, n_workers)
    for play in ways.values():
        play(0)
    times: dict[str, list[float]] = {column: [] for column in ways}
    for repeat in range(1, 1 + n_repeats):
        for column, play in ways.items():
            start = time.perf_counter()
            play(repeat)
            times[column].append(1e6 * (time.perf_counter() - start) / (size * _HORIZON))
    return {column: float(np.median(seconds)) for column, seconds in times.items()} | {
        f"{column}_spread": [min(seconds), max(seconds)] for column, seconds in times.items()
    }


def _bare_loop(envs):
    """A function that plays one episode of random actions in every environment, one after another."""
    generator = np.random.default_rng(0)

    def play(repeat):
        for index, env in enumerate(envs):
            env.reset(seed=repeat * len(envs) + index)
        for _ in range(_HORIZON):
            for env in envs:
                env.step({agent: generator.uniform(-1.0, 1.0, 3).astype(np.float32) for agent in env.agents})

    return play


def _simulator(game, size, n_workers):
    """A function that lets two policies play one episode in every environment."""
    policies = [mlp_policy(game, agent) for agent in range(2)]
    simulator = HostSimulator(game, policies, size, _HORIZON, n_workers)
    joint_params = adaptation.for_each_task(tuple(policy.initial_params([0]) for policy in policies), n_tasks=1)
    keys = random.root_keys([0])
    return lambda repeat: simulator.sample(joint_params, (), random.fold_in(keys, repeat))
