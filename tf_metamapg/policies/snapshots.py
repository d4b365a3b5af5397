"""Policies of other runs, for others to learn among: as they were along the training of agents, or at its end.

`bin/train` keeps snapshots with `train.snapshot_every`: `snapshots/agent_0/000010.npz` in its run directory is agent 0
after ten meta-updates, an array [S, ...] for each variable of its policy. What there is at the end is in `learned.npz`.
"""

from collections.abc import Sequence
import pathlib
import zipfile

import numpy as np

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import learned_names
from tf_metamapg.numerics import random
from tf_metamapg.policies.populations import check_split_sizes
from tf_metamapg.policies.populations import SplitPopulation


class DealtPolicies(SplitPopulation):
    """Policies that are shuffled and dealt out, so that the phases have disjoint ones."""

    def __init__(self, leaves: Sequence[np.ndarray], sizes: Sequence[int], seed: int) -> None:
        """
        Args:
            leaves: the parameters of all policies, arrays [size, ...].
            sizes: how many there are in each phase.
            seed: what they are shuffled by.

        Raises:
            InvalidInputError: if there are not as many, or one of these is something else.
        """
        kind = type(self).__name__
        check_split_sizes(kind, sizes)
        arguments.check_seed(f"{kind}.seed", seed)
        size = len(leaves[0])
        allowed = f"at most {size} together, as there are no more policies"
        checks.check(sum(sizes) <= size, f"{kind}.n_train, n_validation and n_test", tuple(sizes), allowed)
        order = np.argsort(random.uniforms(random.root_keys([seed]), [size], "float64").numpy()[0])
        bounds = np.cumsum((0, *sizes))
        super().__init__([
            tuple(leaf[order[start:end]] for leaf in leaves) for start, end in zip(bounds[:-1], bounds[1:])
        ])


class Snapshots(DealtPolicies):
    """Policies that an agent of another run had at some time, in some seed; phases have disjoint ones."""

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
        super().__init__(_leaves(f"{kind}.directory", directory, policy), (n_train, n_validation, n_test), seed)


class LearnedPolicies(DealtPolicies):
    """What an agent of another run has come to, in all its seeds; phases have disjoint ones.

    Of a run with meta-agents these are initial policies; of one without, the policies after the last inner update in
    all tasks.
    """

    def __init__(
        self, policy: contracts.Policy, run_dir: str, agent_index: int = 0, n_train: int = 8, n_validation: int = 6,
        n_test: int = 6, seed: int = 0,
    ) -> None:
        """
        Args:
            policy: the agent's policy, like that of the agent of the other run.
            run_dir: the directory of a run that has ended.
            agent_index: which agent of that run.
            n_train: how many there are in meta-training, ≥ 1.
            n_validation: in meta-validation, ≥ 1.
            n_test: in meta-testing, ≥ 1.
            seed: what they are shuffled by.

        Raises:
            InvalidInputError: if one of these does not hold, or the run is of another policy.
        """
        kind = type(self).__name__
        contracts.check_kind(f"{kind}.policy", policy, contracts.Policy, "a policy")
        checks.check_integer(f"{kind}.agent_index", agent_index, minimum=0)
        leaves = _learned_leaves(f"{kind}.run_dir", run_dir, agent_index, policy)
        super().__init__(leaves, (n_train, n_validation, n_test), seed)


def _learned_leaves(parameter, run_dir, agent_index, policy):
    """The parameters of an agent in all seeds of a run, and in all tasks if it has no meta-agents: [size, ...]."""
    allowed = "the directory of a run that has ended; it has a learned.npz"
    checks.check(isinstance(run_dir, str), parameter, run_dir, allowed)
    path = pathlib.Path(run_dir).expanduser() / learned_names.FILE
    checks.check(path.exists(), parameter, run_dir, allowed)
    try:
        with np.load(path) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        checks.check(False, parameter, run_dir, f"{allowed}; this one is damaged ({checks.reason(error)})")
    reference = policy.reference_params
    is_adapted = learned_names.leaf(agent_index, learned_names.ADAPTED) in arrays
    what, n_axes = (learned_names.ADAPTED, 2) if is_adapted else ("initial", 1)
    names = [learned_names.leaf(agent_index, what, index) for index in range(len(reference))]
    found = [arrays[name] for name in names if name in arrays]
    shapes = [(leaf.shape[n_axes:], leaf.dtype.name) for leaf in found]
    expected = [(tuple(leaf.shape), leaf.dtype.name) for leaf in reference]
    checks.check(shapes == expected, parameter, run_dir, f"a run whose agent {agent_index} has a policy like {policy}")
    return [leaf.reshape([-1, *leaf.shape[n_axes:]]) for leaf in found]


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
