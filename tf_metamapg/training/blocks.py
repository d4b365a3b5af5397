"""Blocks: equal parts of a batch of seeds and tasks, each computed by the same function, one after another or apart.

What is computed depends on how many blocks there are, and not on who computes which.
"""

from collections.abc import Sequence
import math

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import random


class Blocks:
    """How S seeds and N tasks are cut into B blocks: the seeds, and where they are too few the tasks of each as well.

    Attributes:
        n_blocks: B.
        n_seeds, n_tasks: how many seeds a block has, and how many tasks of each.
        cuts_tasks: whether tasks of one seed are in different blocks.
    """

    def __init__(self, n_seeds: int, n_tasks: int, n_blocks: int) -> None:
        """
        Args:
            n_seeds, n_tasks, n_blocks: S, N and B.

        Raises:
            InvalidInputError: if no such cut is into equal parts.
        """
        self.n_blocks = n_blocks
        n_parts = math.gcd(n_seeds, n_blocks)  # of the seeds
        self._n_task_parts = n_blocks // n_parts
        self.cuts_tasks = self._n_task_parts > 1
        allowed = f"a number that cuts {n_seeds} seeds, or these and {n_tasks} tasks of each, into equal parts"
        checks.check(n_tasks % self._n_task_parts == 0, "n_blocks", n_blocks, allowed)
        self.n_seeds, self.n_tasks = n_seeds // n_parts, n_tasks // self._n_task_parts  # of a block

    def seeds_of(self, block: tf.Tensor, structure: Structure) -> Structure:
        """Leaves [S, ...] → those of the seeds of a block, which is an integer tensor []."""
        if self.n_blocks == 1:
            return structure
        start = block // self._n_task_parts * self.n_seeds
        return tf.nest.map_structure(lambda leaf: _slice(leaf, start, self.n_seeds, axis=0), structure)

    def tasks_of(self, block: tf.Tensor, structure: Structure) -> Structure:
        """Leaves [seeds of a block, N, ...] → those of the tasks of the block."""
        if not self.cuts_tasks:
            return structure
        start = block % self._n_task_parts * self.n_tasks
        return tf.nest.map_structure(lambda leaf: _slice(leaf, start, self.n_tasks, axis=1), structure)

    def link_keys_of(self, block: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """Keys of a block's seeds → those that links of its tasks draw from: other ones for other tasks of a seed."""
        return random.task_block_keys(keys, block % self._n_task_parts) if self.cuts_tasks else keys

    def joined_seeds(self, structures: Sequence[Structure]) -> Structure:
        """What all blocks have, leaves of their seeds → [S, ...], means over the blocks that share a seed."""
        def join(*leaves: tf.Tensor) -> tf.Tensor:
            rows = (leaves[start :: self._n_task_parts] for start in range(self._n_task_parts))
            return tf.add_n([tf.concat(row, axis=0) for row in rows]) / self._n_task_parts

        return structures[0] if self.n_blocks == 1 else tf.nest.map_structure(join, *structures)

    def joined_tasks(self, structures: Sequence[Structure]) -> Structure:
        """What all blocks have, leaves of their seeds and tasks → [S, N, ...]."""
        def join(*leaves: tf.Tensor) -> tf.Tensor:
            size = self._n_task_parts
            rows = (leaves[start : start + size] for start in range(0, self.n_blocks, size))
            return tf.concat([tf.concat(row, axis=1) for row in rows], axis=0)

        return structures[0] if self.n_blocks == 1 else tf.nest.map_structure(join, *structures)


def _slice(leaf: tf.Tensor, start: tf.Tensor, size: int, axis: int) -> tf.Tensor:
    sizes = [*leaf.shape]
    sizes[axis] = size
    sliced = tf.slice(leaf, [tf.cast(start, tf.int32) if index == axis else 0 for index in range(len(sizes))], sizes)
    return tf.ensure_shape(sliced, sizes)
