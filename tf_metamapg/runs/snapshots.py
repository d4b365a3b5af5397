"""Writes snapshots: what agents' initial policies are after some meta-update; see `policies.snapshots`."""

from collections.abc import Sequence
import os

import numpy as np

from tf_metamapg import contracts
from tf_metamapg.contracts import JointParams
from tf_metamapg.runs import files


def keep(
    directory: files.PathLike, policies: Sequence[contracts.Policy | None], joint_params: JointParams,
    n_meta_updates: int,
) -> None:
    """Writes the parameters of all seeds, for each agent a file in a directory of its own.

    Args:
        directory: made if it does not exist.
        policies: one policy for each agent; None for an agent that has no initial policy.
        joint_params: JointParams with leaves [S, ...].
        n_meta_updates: how many there have been.
    """
    for agent, (policy, params) in enumerate(zip(policies, joint_params)):
        if policy is not None:
            own_directory = os.path.join(directory, f"agent_{agent}")
            os.makedirs(own_directory, exist_ok=True)
            with files.atomic(os.path.join(own_directory, f"{n_meta_updates:06d}.npz")) as aside:
                with open(aside, "wb") as file:
                    np.savez(file, *(leaf.numpy() for leaf in params))
