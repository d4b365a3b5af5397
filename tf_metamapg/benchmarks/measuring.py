"""What one process measures: how long the updates of a workload take, or an exchange between workers."""

from collections.abc import Callable
import functools
import itertools
import resource
import time
from typing import Any

import numpy as np
import tensorflow as tf

from tf_metamapg.benchmarks import workloads
from tf_metamapg.numerics import random
from tf_metamapg.training.workers import Workers

# What each of several repeats takes at least.
_SECONDS_PER_REPEAT = 0.5


def measure(name: str, started: float, n_repeats: int) -> dict[str, Any]:
    """Times one workload in this process, which should have done nothing else.

    Args:
        name: one of `workloads.WORKLOADS` or `FITTED`, or of the workloads in `SCALING`.
        started: when the process started, in seconds since the epoch.
        n_repeats: how many medians are taken the median of.

    Returns:
        dict of numbers; see `bin/benchmark --help`.
    """
    workload = workloads.find(name)
    trainer = workload.trainer()
    if name in workloads.LOLA_WORKLOADS:
        update, n_rollouts = _inner_update(trainer, workload), 3
    else:
        update, n_rollouts = trainer.step, workload.chain_length + 1
    before = time.time()
    update()
    first_update_seconds = time.time() - started
    first_call_seconds = time.time() - before
    update_seconds = _seconds(update, n_repeats)
    n_steps = workload.size().n_rollout_steps
    rollout_seconds = _seconds(_rollout(trainer, workload), n_repeats)
    return {
        "env_steps_per_update": n_rollouts * n_steps,
        "rollout_ns": 1e9 * float(np.median(rollout_seconds)) / n_steps,
        "rollout_ns_spread": [1e9 * float(bound) / n_steps for bound in (min(rollout_seconds), max(rollout_seconds))],
        "meta_update_ns": 1e9 * float(np.median(update_seconds)) / (n_rollouts * n_steps),
        "meta_update_seconds": float(np.median(update_seconds)),
        "meta_update_seconds_spread": [float(min(update_seconds)), float(max(update_seconds))],
        "first_update_seconds": first_update_seconds,
        "compile_seconds": first_call_seconds - float(np.median(update_seconds)),
        "peak_mb": _peak_megabytes(),
    }


def measure_update(name: str, n_repeats: int, n_blocks: int, workers: Workers) -> dict[str, float]:
    """Times the meta-updates of one workload alone, or an exchange. All workers call this; only in the chief it ends.

    Args:
        name: see `measure`, or one of `FITTED` or `EXCHANGES`.
        n_repeats: see `measure`.
        n_blocks: how a batch is cut.
        workers: who computes it.
    """
    if name in workloads.EXCHANGES:
        own = [tf.zeros([workloads.EXCHANGES[name] // 4 // n_blocks]) for _ in workers.share(n_blocks)]
        update: Callable[[], Any] = functools.partial(workers.gathered, own, n_blocks)
    else:
        update = workloads.find(name).trainer(n_blocks, workers).step
    while not workers.is_chief:
        update()
    return {"meta_update_seconds": float(np.median(_seconds(update, n_repeats))), "peak_mb": _peak_megabytes()}


def _peak_megabytes():
    return 1024e-6 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _seconds(function, n_repeats):
    """The median time of a call in each repeat, after a warm-up."""
    function()
    function()
    medians = []
    for _ in range(n_repeats):
        times: list[float] = []
        end = time.perf_counter() + _SECONDS_PER_REPEAT
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
        medians.append(np.median(times))
    return medians


def _inner_update(trainer, workload):
    """One inner update of both agents at the initial policies, with new random numbers at each call."""
    agent_states = trainer.initial_states(random.META_TRAIN, workload.n_tasks)
    tasks = _tasks(trainer, workload)
    calls = itertools.count()

    def update():
        trainer.advance(random.META_TRAIN, 0, tasks, next(calls), agent_states).mean_reward.numpy()

    return update


def _tasks(trainer, workload):
    keys = random.root_keys(range(workload.n_seeds))
    return trainer.problem.task_distribution.sample(keys, workload.n_tasks)


def _rollout(trainer, workload):
    """Random numbers and trajectories of one link."""
    estimator, keys = trainer.problem.estimator, random.root_keys(range(workload.n_seeds))
    joint_params = tuple(state.params for state in trainer.initial_states(random.META_TRAIN, workload.n_tasks))
    tasks = _tasks(trainer, workload)
    sample = tf.function(
        lambda index: estimator.sample(joint_params, tasks, random.fold_in(keys, index)).trajectory,
        autograph=False, jit_compile=True,
    )
    calls = itertools.count()

    def rollout():
        sample(tf.constant(next(calls))).rewards[0][0, 0, 0, 0].numpy()

    return rollout
