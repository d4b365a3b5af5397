"""What players see of the coin game: planes of numbers, or the number of what they see."""

from collections.abc import Callable
import dataclasses
from typing import Any

import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.games.coin_rules import CoinRules

SIZE = 3
N_CELLS = SIZE * SIZE
NOWHERE = N_CELLS  # the cell of a coin that is not on the board


@dataclasses.dataclass(frozen=True)
class View:
    """One way to see the game."""

    space: Callable[[CoinRules], contracts.Space]  # what is seen
    of: Callable[[CoinRules, Any, int, str], tf.Tensor]  # (rules, CoinState, agent_index, dtype) → [S, N, K, ...]


def n_boards(rules: CoinRules) -> int:
    """How many boards there are from where a player stands.

    With one coin, which is never on a player, 8 · 7 + 8 places of the other player and of the coin, and two colours;
    with two coins, 9³ places.
    """
    return N_CELLS**3 if rules.two_coins else 2 * (8 * 7 + 8)


def n_takers(rules: CoinRules) -> int:
    """How many answers there are to who took the last coin of a colour: nobody yet, one of the players, both."""
    return 3 if rules.red_first else 4


def _n_planes(rules):
    return 7 if rules.sees_last_rewards else 4


def _planes(rules, state, agent_index, dtype):
    """The planes [S, N, K, planes, 9]."""
    order = (agent_index, 1 - agent_index) if rules.own_first else (0, 1)
    places = [state.cells[index] for index in order] + [state.coins[index] for index in order]
    planes = [tf.one_hot(place, N_CELLS, dtype=dtype) for place in places]
    if rules.sees_last_rewards:
        numbers = [*(state.last_rewards[index] for index in order), state.is_first]
        planes += [tf.repeat(number[..., tf.newaxis], N_CELLS, axis=-1) for number in numbers]
    return tf.stack(planes, axis=-2)


def _image(rules, state, agent_index, dtype):
    planes = _planes(rules, state, agent_index, dtype)
    pixels = tf.stack(tf.unstack(planes, axis=-2), axis=-1)
    return tf.reshape(pixels, [*planes.shape[:-2], SIZE, SIZE, planes.shape[-2]])


def _vector(rules, state, agent_index, dtype):
    planes = _planes(rules, state, agent_index, dtype)
    return tf.reshape(planes, [*planes.shape[:-2], planes.shape[-2] * N_CELLS])


def _board(rules, state, agent_index, dtype):
    """The number of the board as the agent sees it, in row-major order of: the other's place, the coins, colour."""
    del dtype
    row, column = state.rows[agent_index], state.columns[agent_index]

    def seen(other_row, other_column):
        rows, columns = other_row - row, other_column - column
        return SIZE * tf.where(rows < 0, rows + SIZE, rows) + tf.where(columns < 0, columns + SIZE, columns)

    def coin_seen(cell):
        coin_row = tf.cast(cell >= SIZE, tf.int32) + tf.cast(cell >= 2 * SIZE, tf.int32)
        return seen(coin_row, cell - SIZE * coin_row)

    other = seen(state.rows[1 - agent_index], state.columns[1 - agent_index])
    own_coin, others_coin = state.coins[agent_index], state.coins[1 - agent_index]
    if rules.two_coins:
        return (N_CELLS * other + coin_seen(own_coin)) * N_CELLS + coin_seen(others_coin)
    # The other is on the same cell, with 8 places for the coin, or on one of 8, with 7.
    coin = coin_seen(tf.minimum(own_coin, others_coin))
    place = tf.where(other == 0, coin - 1, 7 * other + coin - tf.where(coin > other, 1, 0))
    return 2 * place + tf.cast(own_coin == NOWHERE, tf.int32)


def _board_and_takers(rules, state, agent_index, dtype):
    board = _board(rules, state, agent_index, dtype)
    for colour in (agent_index, 1 - agent_index):
        taker = state.takers[colour]
        if agent_index == 1:  # Who is 1 to red is 2 to blue.
            taker = tf.where((taker == 1) | (taker == 2), 3 - taker, taker)
        board = n_takers(rules) * board + taker
    return board


VIEWS = {
    "image": View(lambda rules: contracts.Box((SIZE, SIZE, _n_planes(rules))), _image),
    "vector": View(lambda rules: contracts.Box((N_CELLS * _n_planes(rules),)), _vector),
    "board": View(lambda rules: contracts.Discrete(n_boards(rules)), _board),
    "board_and_takers": View(
        lambda rules: contracts.Discrete(n_boards(rules) * n_takers(rules) ** 2), _board_and_takers
    ),
}
