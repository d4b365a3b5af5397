"""What comes of matches, kept in files: who has met need not meet again, as long as both and all else are the same."""

from collections.abc import Sequence
import hashlib
import json
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg.numerics import random
from tf_metamapg.runs import arrays
from tf_metamapg.runs import run_directory
from tf_metamapg.runs.players import Player


class Matches:
    """Mean rewards by digest, one file each."""

    def __init__(self, directory: pathlib.Path) -> None:
        """
        Args:
            directory: where the files are; it is made when there is something to keep.
        """
        self._directory = directory

    def find(self, key: str) -> np.ndarray | None:
        """What was kept under a digest; None if nothing was, or it cannot be read."""
        try:
            return arrays.read(self._path(key))["mean_reward"]
        except (checks.InvalidInputError, KeyError):  # Nothing is lost but time.
            return None

    def keep(self, key: str, mean_reward: np.ndarray) -> None:
        """Keeps what has come of a match; the file appears whole or not at all."""
        self._directory.mkdir(parents=True, exist_ok=True)
        arrays.write(self._path(key), {"mean_reward": mean_reward})

    def _path(self, key):
        return self._directory / f"{key}.npz"


def digest(config: str, settings: Sequence[Any], players: Sequence[Player], seeds: Sequence[int], n_tasks: int) -> str:
    """A text that is the same for matches that give the same numbers.

    Args:
        config: the text of the whole config of the game that is played.
        settings: what else the numbers depend on, as JSON can write it.
        players: who meets, in the order of their places.
        seeds: what tasks and actions are drawn from.
        n_tasks: tasks for each seed.
    """
    whole = hashlib.sha256()
    texts = [config, *(player.source for player in players)]
    known = [list(map(run_directory.bindings, texts)), list(map(run_directory.versions, texts))]
    whole.update(json.dumps([known, list(settings), list(seeds), n_tasks], sort_keys=True).encode("utf-8"))
    for player in players:
        whole.update(type(player.agent).__name__.encode("utf-8"))
        # Members of a population may come from files that the config only names.
        starts: Any = () if player.population is None else player.population.sample(
            random.META_TEST, random.root_keys(seeds), n_tasks
        )
        for leaf in tf.nest.flatten((player.meta_params, starts)):
            whole.update(f"{leaf.dtype.name}{list(leaf.shape)}".encode())
            whole.update(leaf.numpy().tobytes())
    return whole.hexdigest()[:32]
