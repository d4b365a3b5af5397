"""Distributions of tasks: what differs between the games that a meta-agent learns across."""

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.numerics import random


class PayoffNoise(descriptions.Described):
    """Tasks are the payoffs of a game plus independent uniform noise U(−width, width)."""

    def __init__(self, game, width=0.1):
        """
        Args:
            game: any game; one without payoffs has tasks that do not differ.
            width: half the width of the noise on each payoff, in units of reward, ≥ 0.

        Raises:
            InvalidInputError: if `width` is not such a number.
        """
        checks.check_number("PayoffNoise.width", width, minimum=0.0)
        self._game = game
        self._width = width

    def sample(self, keys, n_tasks):
        """Draws tasks; the phases of a run get disjoint streams through their keys.

        Args:
            keys: int64 tensor [S, 2].
            n_tasks: N.

        Returns:
            tensor [S, N, ...] of payoffs, with the shape of the game's payoffs behind.

        Raises:
            InvalidInputError: if one of these is something else.
        """
        arguments.check_able("PayoffNoise.game", self._game, ("payoffs", "dtype"), "a game")
        keys = arguments.keys("keys", keys)
        checks.check_integer("n_tasks", n_tasks, minimum=1)
        payoffs = tf.constant(self._game.payoffs, self._game.dtype)
        noise = random.uniforms(keys, [n_tasks, *payoffs.shape], payoffs.dtype)
        return payoffs + self._width * (2.0 * noise - 1.0)
