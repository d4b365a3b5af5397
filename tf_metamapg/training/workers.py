"""Workers: who computes the blocks of a batch, one process or several.

Where there are several, each holds all that is learned and calls the same methods of a trainer in the same order. It
computes its share of the blocks, and what these say comes to all of them by the collectives of `tf.distribute`.
"""

from collections.abc import Sequence
from typing import Protocol
from typing import runtime_checkable

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.contracts import Structure

# What an exchange raises when a worker has gone.
LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError)


@runtime_checkable
class Workers(Protocol):
    """Some processes, of which this is one.

    Attributes:
        n_workers: how many there are.
        is_chief: whether this is the one that writes.
    """

    n_workers: int
    is_chief: bool

    def share(self, n_blocks: int) -> Sequence[int]:
        """The indices of the blocks that this one computes."""
        ...

    def gathered(self, own: Sequence[Structure], n_blocks: int) -> list[Structure]:
        """What all blocks say, in their order, from what those of `share` say: structures of tensors of equal shapes.

        All workers call it with what the same function says, as often as each other.
        """
        ...


class Alone(descriptions.Described):
    """One process, which computes all blocks."""

    n_workers = 1
    is_chief = True

    def share(self, n_blocks: int) -> Sequence[int]:
        """See `Workers.share`."""
        return range(n_blocks)

    def gathered(self, own: Sequence[Structure], n_blocks: int) -> list[Structure]:
        """See `Workers.gathered`."""
        del n_blocks
        return list(own)


ALONE = Alone()


class StrategyWorkers(descriptions.Described):
    """The workers of a strategy of `tf.distribute`, such as MultiWorkerMirroredStrategy makes of TF_CONFIG.

    Fewer blocks than workers are computed by everybody.
    """

    def __init__(self, strategy: tf.distribute.Strategy, n_workers: int, index: int) -> None:
        """
        Args:
            strategy: of these workers.
            n_workers: how many there are.
            index: which of these this process is; the first is the chief.

        Raises:
            InvalidInputError: if the strategy has more than one device for each worker.
        """
        allowed = f"{strategy.num_replicas_in_sync}, as there are so many devices; let each worker see one"
        checks.check(n_workers == strategy.num_replicas_in_sync, "workers", n_workers, allowed)
        self.n_workers = n_workers
        self.is_chief = index == 0
        self._strategy = strategy
        self._index = index
        # Outside of a function it takes a tenth of a second.
        self._summed = tf.function(self._sum, autograph=False)

    def share(self, n_blocks: int) -> Sequence[int]:
        """See `Workers.share`."""
        if n_blocks < self.n_workers:
            return range(n_blocks)
        return range(*(index * n_blocks // self.n_workers for index in (self._index, self._index + 1)))

    def gathered(self, own: Sequence[Structure], n_blocks: int) -> list[Structure]:
        """See `Workers.gathered`."""
        if n_blocks < self.n_workers:
            return list(own)
        leaves = tf.nest.flatten(own[0])
        # As integers, and those of the other workers as zeros: their sum is exact, in whatever order it is made.
        rows = [tf.concat([_as_integers(leaf) for leaf in tf.nest.flatten(structure)], axis=0) for structure in own]
        share = self.share(n_blocks)
        summed = self._summed(tf.pad(tf.stack(rows), [[share[0], n_blocks - 1 - share[-1]], [0, 0]]))
        sizes = [leaf.shape.num_elements() * (leaf.dtype.size // 4) for leaf in leaves]
        return [
            tf.nest.pack_sequence_as(own[0], [
                _from_integers(part, leaf) for part, leaf in zip(tf.split(row, sizes), leaves)
            ]) for row in tf.unstack(summed)
        ]

    def _sum(self, values: tf.Tensor) -> tf.Tensor:
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)


def of_cluster(n_workers: int, index: int) -> Workers:
    """The workers that TF_CONFIG names; it waits for all of them. To be called before anything is computed.

    Args:
        n_workers: how many there are.
        index: which of them this process is, the chief being the first.
    """
    if n_workers == 1:
        return ALONE
    # Rings of gRPC, which is there on every machine.
    ring = tf.distribute.experimental.CommunicationImplementation.RING
    options = tf.distribute.experimental.CommunicationOptions(implementation=ring)
    return StrategyWorkers(tf.distribute.MultiWorkerMirroredStrategy(communication_options=options), n_workers, index)


def _as_integers(leaf: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tf.bitcast(leaf, tf.int32), [-1])


def _from_integers(part: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    shape = like.shape if like.dtype.size == 4 else [*like.shape, like.dtype.size // 4]
    return tf.bitcast(tf.reshape(part, shape), like.dtype)
