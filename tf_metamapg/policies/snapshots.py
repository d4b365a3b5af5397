"""Snapshots: policies as they were along the training of agents, for others to learn among.

`bin/train` keeps them with `train.snapshot_every`: `snapshots/agent_0/000010.npz` in its run directory is agent 0 after
ten meta-updates, an array [S, ...] for each variable of its policy.
"""

import pathlib
import zipfile

import numpy as np

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.numerics import random
from tf_metamapg.policies.populations import check_split_sizes
from tf_metamapg.policies.populations import SplitPopulation


class Snapshots(SplitPopulation):
    """Policies that an agent of another run had at some time, in some seed.

    Those of all times and seeds are shuffled and dealt out, so that the phases have disjoint ones.
    """

    def __init__(
        self, policy: contracts.Policy, directory: str, n_train: int = 40, n_validation: int = 10, n_test: int = 10,
        seed: int = 0,
    ) -> None:
        """
        Args:
            policy: the agent's policy, like that of the agent whose snapshots they are.
            directory: where the snapshots of one agent are, such as "runs/teammates/snapshots/agent_1".
            n_train: how many there are in meta-training, ≥ 1.
            n_validation: in meta-validation, ≥ 1.
            n_test: in meta-testing, ≥ 1.
            seed: what they are shuffled by.

        Raises:
            InvalidInputError: if one of these does not hold, or the snapshots are of another policy.
        """
        kind = type(self).__name__
        contracts.check_kind(f"{kind}.policy", policy, contracts.Policy, "a policy")
        sizes = (n_train, n_validation, n_test)
        check_split_sizes(kind, sizes)
        arguments.check_seed(f"{kind}.seed", seed)
        leaves = _leaves(f"{kind}.directory", directory, policy)
        size = len(leaves[0])
        allowed = f"less, as there are {size} snapshots for all phases"
        checks.check(sum(sizes) <= size, f"{kind}.n_train", n_train, allowed)
        order = np.argsort(random.uniforms(random.root_keys([seed]), [size], "float64").numpy()[0])
        bounds = np.cumsum((0, *sizes))
        super().__init__([
            tuple(leaf[order[start:end]] for leaf in leaves) for start, end in zip(bounds[:-1], bounds[1:])
        ])


def _leaves(parameter, directory, policy):
    """The parameters of all snapshots of all seeds, arrays [size, ...]."""
    checks.check(isinstance(directory, str), parameter, directory, "the name of a directory")
    paths = sorted(pathlib.Path(directory).expanduser().glob("*.npz"))
    allowed = "a directory of snapshots of one agent, such as bin/train leaves with train.snapshot_every"
    checks.check(paths, parameter, directory, allowed)
    expected = [(tuple(leaf.shape), leaf.dtype.name) for leaf in policy.reference_params]
    by_path = []
    for path in paths:
        try:
            with np.load(path) as arrays:
                by_path.append([arrays[name] for name in arrays])
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            checks.check(False, parameter, directory, f"{allowed}; {path.name} is none ({checks.reason(error)})")
        found = [(leaf.shape[1:], leaf.dtype.name) for leaf in by_path[-1]]
        checks.check(found == expected, parameter, directory, f"of snapshots of a policy like {policy}")
    return [np.concatenate(leaves) for leaves in zip(*by_path)]
