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
