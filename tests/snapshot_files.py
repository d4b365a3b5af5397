"""Snapshots of policies for tests, in a temporary directory."""

import functools
import os
import tempfile

import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg.runs import snapshots

SIZES = {"n_train": 2, "n_validation": 1, "n_test": 1}


@functools.cache
def _temporary():
    return tempfile.TemporaryDirectory()


def directory(policy, name="four", times=(0, 5), n_seeds=2):
    """Of an agent whose parameters are all the same number, another one for each seed and time: t + s / 2."""
    root = os.path.join(_temporary().name, name)
    for time in times:
        of_seeds = time + 0.5 * np.arange(n_seeds)
        params = tuple(
            tf.constant(np.multiply.outer(of_seeds, np.ones(leaf.shape)), leaf.dtype)
            for leaf in policy.reference_params
        )
        snapshots.keep(root, [None, policy], [(), params], time)
    return os.path.join(root, "agent_1")


def population(policy):
    """A population of four snapshots."""
    return mapg.Snapshots(policy, directory(policy), **SIZES)


def run_dir(policy, n_seeds=4):
    """The directory of a run in which agent 1 has learned such a policy: its numbers are the seed's."""
    sizes = "_".join(f"{leaf.dtype.name}_{np.size(leaf)}" for leaf in policy.reference_params)
    path = os.path.join(_temporary().name, f"run_of_{n_seeds}_{sizes}")
    os.makedirs(path, exist_ok=True)
    leaves = {
        f"agent_1/initial/{index}": np.broadcast_to(
            np.arange(n_seeds).reshape([-1] + [1] * len(leaf.shape)), [n_seeds, *leaf.shape]
        ).astype(leaf.dtype.name)
        for index, leaf in enumerate(policy.reference_params)
    }
    np.savez(os.path.join(path, "learned.npz"), seeds=np.arange(n_seeds), **leaves)
    return path


def learned_policies(policy):
    """A population of such policies."""
    return mapg.LearnedPolicies(policy, run_dir(policy), 1, **SIZES)
