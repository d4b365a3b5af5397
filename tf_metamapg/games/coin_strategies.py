"""Players of the coin game that do not learn, against whom the field's papers play what they have trained."""

import numpy as np

from tf_metamapg import checks
from tf_metamapg.games.coin_game import CoinGame
from tf_metamapg.games.coin_rules import CoinRules
from tf_metamapg.games.coin_views import SIZE
from tf_metamapg.games.exact_coin_game import one_of_each_board

# What the actions right, left, down, up and stay add to row and column.
MOVES = np.array([[0, 1], [0, -1], [1, 0], [-1, 0], [0, 0]])


def always_cooperate(rules: CoinRules, view: str = "board") -> np.ndarray:
    """Takes coins of its own colour by a shortest way, and no others; between equally good actions chance decides.

    Args:
        rules: CoinRules.
        view: what it sees: 'board' or 'board_and_takers', see `CoinGame`.

    Returns:
        action probabilities, array [n_observations, A].

    Raises:
        InvalidInputError: if one of these is something else.
    """
    own, others = _distances(rules, view)
    # Off the board a coin is as far from one cell as from another.
    costs = own + np.where(others == 0, 100, 0)
    return _uniform_over_smallest(costs)


def always_defect(rules: CoinRules, view: str = "board") -> np.ndarray:
    """Takes the nearest coin of any colour by a shortest way; see `always_cooperate`."""
    return _uniform_over_smallest(np.minimum(*_distances(rules, view)))


def taking(rules: CoinRules, view: str = "board") -> tuple[np.ndarray, ...]:
    """Whether each action leads to the own and to the other's coin: two bool arrays [n_observations, A]."""
    own, others = _distances(rules, view)
    return own == 0, others == 0


def _distances(rules, view):
    """How far it is to the own and to the other's coin after each action: two arrays [n_observations, A]."""
    checks.check(isinstance(rules, CoinRules), "rules", rules, "CoinRules, such as lola_rules()")
    is_numbered = isinstance(view, str) and view in ("board", "board_and_takers")
    checks.check(is_numbered, "view", view, "'board' or 'board_and_takers'")
    game = CoinGame(rules, view)
    state = one_of_each_board(game)
    place = np.stack([state.rows[0].numpy().ravel(), state.columns[0].numpy().ravel()], axis=-1)
    moved = (place[:, np.newaxis] + MOVES[: game.n_actions]) % SIZE
    distances = []
    for coin in state.coins:
        cell = coin.numpy().ravel()[:, np.newaxis]
        apart = np.abs(moved - np.stack([cell // SIZE, cell % SIZE], axis=-1)) % SIZE
        steps = np.minimum(apart, SIZE - apart).sum(axis=-1)
        distances.append(np.where(cell < SIZE * SIZE, steps, 10))
    return distances


def _uniform_over_smallest(costs):
    is_best = costs == costs.min(axis=-1, keepdims=True)
    return is_best / is_best.sum(axis=-1, keepdims=True)
