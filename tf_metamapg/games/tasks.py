"""Distributions of tasks: what differs between the games that a meta-agent learns across."""

import numpy as np
import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import random


class DefaultTasks(descriptions.Described):
    """All tasks are the game as it is by itself."""

    def __init__(self, game: contracts.AnyGame) -> None:
        """
        Args:
            game: any game.

        Raises:
            InvalidInputError: if it is none.
        """
        contracts.check_kind("DefaultTasks.game", game, contracts.AnyGame, "a game")
        self._tasks = _tensors(game)

    def sample(self, keys: tf.Tensor, n_tasks: int) -> Structure:
        """The same task again and again, whatever the keys; see `PayoffNoise.sample`."""
        keys = arguments.keys("keys", keys)
        checks.check_integer("n_tasks", n_tasks, minimum=1)
        axes = [keys.shape[0], n_tasks]
        return tf.nest.map_structure(lambda leaf: tf.broadcast_to(leaf, [*axes, *leaf.shape]), self._tasks)


class PayoffNoise(descriptions.Described):
    """Tasks are the payoffs of a game, or what its tasks are, plus independent uniform noise U(−width, width)."""

    def __init__(self, game: contracts.AnyGame, width: float = 0.1) -> None:
        """
        Args:
            game: a game whose `default_tasks` are one array of numbers, such as payoffs, or () for tasks that do not
                differ.
            width: half the width of the noise on each of them, ≥ 0.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        contracts.check_kind("PayoffNoise.game", game, contracts.AnyGame, "a game")
        self._tasks = _tensors(game)
        leaves = tf.nest.flatten(self._tasks)
        checks.check(
            len(leaves) <= 1 and all(leaf.dtype.is_floating for leaf in leaves), "PayoffNoise.game", game,
            "a game whose default_tasks are one array of payoffs",
        )
        checks.check_number("PayoffNoise.width", width, minimum=0.0)
        self._width = width

    def sample(self, keys: tf.Tensor, n_tasks: int) -> Structure:
        """Draws tasks; the phases of a run get disjoint streams through their keys.

        Args:
            keys: int64 tensor [S, 2].
            n_tasks: N.

        Returns:
            tensor [S, N, ...] of payoffs, with the shape of the game's payoffs behind.

        Raises:
            InvalidInputError: if one of these is something else.
        """
        keys = arguments.keys("keys", keys)
        checks.check_integer("n_tasks", n_tasks, minimum=1)

        def noisy(payoffs):
            uniforms = random.uniforms(keys, [n_tasks, *payoffs.shape], payoffs.dtype)
            return payoffs + self._width * (2.0 * uniforms - 1.0)

        return tf.nest.map_structure(noisy, self._tasks)


def _tensors(game):
    """The default tasks of a game: floating numbers in its dtype, and whole numbers as they are."""
    def tensor(leaf):
        array = np.asarray(leaf)
        is_number = np.issubdtype(array.dtype, np.number) or array.dtype == bool
        checks.check(is_number, f"{type(game).__name__}.default_tasks", leaf, "a structure of numbers and arrays")
        return tf.constant(array, game.spec.dtype if np.issubdtype(array.dtype, np.floating) else None)

    return tf.nest.map_structure(tensor, game.default_tasks)
