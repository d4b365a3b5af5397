"""The coin game as a finite game, with exact values.

Its tables are what `CoinGame` does: each board is played from once, with every joint action and every place where a new
coin can lie. Nothing of the rules stands here.
"""

import itertools

import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg.games import coin_views
from tf_metamapg.games.branches import Branches
from tf_metamapg.games.branches import BranchingGame
from tf_metamapg.games.coin_game import CoinGame
from tf_metamapg.games.coin_game import CoinState
from tf_metamapg.games.coin_rules import CoinRules

# So many equally likely uniform numbers stand for all: whether a coin has 7, 8 or 9 places, each gets its share.
_N_PLACES = {True: 7 * 8, False: 9}


class ExactCoinGame(BranchingGame):
    """The coin game whose states are the numbered boards of `CoinGame`, as red sees them.

    Tasks are payoffs [2, M, A, A], for a state and the actions of red and blue. Metrics are those of `CoinGame`.

    Attributes:
        rules: CoinRules.
    """

    def __init__(
        self, rules: CoinRules, view: str = "board_and_takers", discount: float = 0.96, dtype: str = "float64"
    ) -> None:
        """
        Args:
            rules: CoinRules, such as `lola_rules()`.
            view: what the players see: 'board', or with one coin 'board_and_takers'; see `CoinGame`.
            discount: γ, in [0, 1).
            dtype: 'float32' or 'float64'.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        checks.check(isinstance(rules, CoinRules), "ExactCoinGame.rules", rules, "CoinRules, such as lola_rules()")
        views = ("board",) if rules.two_coins else ("board", "board_and_takers")
        is_view = isinstance(view, str) and view in views
        allowed = f"{' or '.join(map(repr, views))}, as only so many boards can be solved for"
        checks.check(is_view, "ExactCoinGame.view", view, allowed)
        game = CoinGame(rules, view, discount, "float64")
        self.rules = rules
        states = one_of_each_board(game)
        n_states, n_actions = states.is_first.shape[-1], game.n_actions
        tasks = tf.constant(game.default_tasks[np.newaxis, np.newaxis])
        places = _midpoints(_N_PLACES[rules.empty_cells])
        coins = np.array([*itertools.product(places, repeat=game.n_step_uniforms)])  # [C, n_step_uniforms]

        # Every state, joint action and place of new coins, one after the other: [M, A, A, C].
        shape = (n_states, n_actions, n_actions, len(coins))
        state_index, red, blue, coin_index = (numbers.ravel() for numbers in np.indices(shape, dtype=np.int32))
        played_from = tf.nest.map_structure(lambda leaf: tf.gather(leaf, state_index, axis=-1), states)
        joint_action = _row(red), _row(blue)
        following, rewards, _ = game.step(tasks, played_from, joint_action, _rows(coins[coin_index].T))
        metrics = game.metrics(tasks, played_from, joint_action)

        next_state = game.observe(tasks, following, 0).numpy().ravel()
        row = np.repeat(np.arange(n_states * n_actions**2), len(coins))
        edges, counts = np.unique(row.astype(np.int64) * n_states + next_state, return_counts=True)
        branches = Branches(n_states, edges // n_states, edges % n_states, counts / len(coins))

        def table(leaves):
            # Rewards do not depend on where new coins lie.
            return np.stack([leaf.numpy().reshape(shape)[..., 0] for leaf in leaves])

        super().__init__(
            branches, table(rewards), [game.observe(tasks, states, agent).numpy().ravel() for agent in range(2)],
            discount, dtype, f"exact {rules.name}", start=_start(game, n_states),
            metrics={name: table(leaves) for name, leaves in metrics.items()},
        )


def one_of_each_board(game: CoinGame) -> CoinState:
    """For each of M numbers that red can see one of the boards that look so, with red at cell 0: leaves [1, 1, M]."""
    n_cells, n_takers = coin_views.N_CELLS, coin_views.n_takers(game.rules)
    blue, red_coin, blue_coin, *takers = (
        numbers.ravel() for numbers in np.indices([n_cells, n_cells + 1, n_cells + 1, n_takers, n_takers])
    )
    nowhere = [coin == coin_views.NOWHERE for coin in (red_coin, blue_coin)]
    if game.rules.two_coins:
        is_possible = ~nowhere[0] & ~nowhere[1]
    else:
        coin = np.minimum(red_coin, blue_coin)
        is_possible = (nowhere[0] ^ nowhere[1]) & (coin != 0) & (coin != blue)
    blue, red_coin, blue_coin, *takers = (
        numbers[is_possible].astype(np.int32) for numbers in (blue, red_coin, blue_coin, *takers)
    )
    zeros = np.zeros_like(blue)
    state = tf.nest.map_structure(_row, CoinState(
        rows=(zeros, blue // coin_views.SIZE), columns=(zeros, blue % coin_views.SIZE), coins=(red_coin, blue_coin),
        takers=tuple(takers), last_rewards=(zeros + 0.0, zeros + 0.0), is_first=zeros + 0.0,
    ))
    _, first = np.unique(game.observe((), state, 0), return_index=True)
    return tf.nest.map_structure(lambda leaf: tf.gather(leaf, first, axis=-1), state)


def _row(numbers):
    """[...] → [1, 1, ...]: one seed and task."""
    return tf.constant(numbers)[tf.newaxis, tf.newaxis]


def _rows(uniforms):
    """[n, K] → [n, 1, 1, K]."""
    return tf.constant(uniforms)[:, tf.newaxis, tf.newaxis]


def _midpoints(n):
    """The middles of n equal parts of [0, 1)."""
    return (np.arange(n) + 0.5) / n


def _start(game, n_states):
    """The probabilities of the first state: float64 array [M]."""
    blue = _midpoints(8 if game.rules.players_apart else 9)
    places = _midpoints(_N_PLACES[game.rules.empty_cells])
    # The torus looks the same from everywhere, so that red may start at cell 0.
    uniforms = np.array([*itertools.product([0.0], blue, places, places if game.rules.two_coins else _midpoints(2))]).T
    numbers = game.observe((), game.reset((), _rows(uniforms)), 0)
    return np.bincount(numbers.numpy().ravel(), minlength=n_states) / uniforms.shape[1]
