"""The coin game, by any of the rule sets of `coin_rules.py`.

Cells are numbered row by row, 0 to 8; a coin that is not on the board lies at 9. Actions are 0 right, 1 left, 2 down,
3 up and, by some rules, 4 stay. Agent 0 is red, agent 1 is blue, and so are the coins.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Structure
from tf_metamapg.games import coin_views
from tf_metamapg.games.coin_rules import CoinRules
from tf_metamapg.games.coin_views import N_CELLS
from tf_metamapg.games.coin_views import NOWHERE
from tf_metamapg.games.coin_views import SIZE
from tf_metamapg.numerics import masks

PLAYERS = COLOURS = (0, 1)


class CoinState(NamedTuple):
    """The board and what has happened on it; every leaf is [S, N, K]."""

    rows: tuple[tf.Tensor, ...]  # of the players, int32
    columns: tuple[tf.Tensor, ...]
    coins: tuple[tf.Tensor, ...]  # by colour, the cell of the coin, int32
    takers: tuple[tf.Tensor, ...]  # by colour, who took the last coin: 0 nobody yet, 1 red, 2 blue, 3 both; int32
    last_rewards: tuple[tf.Tensor, ...]  # of the players
    is_first: tf.Tensor  # 1 before the first step, and then 0

    @property
    def cells(self) -> tuple[tf.Tensor, ...]:
        """Where the players are."""
        return tuple(SIZE * row + column for row, column in zip(self.rows, self.columns))


class CoinGame(descriptions.Described):
    """The coin game, played step by step.

    What a player sees, by `view`:

        image               [3, 3, planes], a plane for each player and each colour of coins, with 1 where they are
        vector              the same, plane after plane: [9 · planes]
        board               the number of what the board looks like from where the player stands: a torus looks the same
                            from everywhere, so that there are 128 with one coin and 729 with two
        board_and_takers    the same, and who took the last coin of each colour: 9 times as many where red is the first
                            to take a coin, and 16 times where both may

    Boards are numbered from a player's own side, whatever the rules say of images: what is its own comes first.

    Attributes:
        spec: `contracts.GameSpec`; its metrics are `own_coins` and `others_coins`, how many coins of its own colour and
            of the other's an agent takes per step, and `own_share`, how many of those that it takes are its own.
        rules: CoinRules.
        n_actions: 4, or 5 where one may stay.
        default_tasks: [1, −2], what a coin is worth to whoever takes it, and to the other one if it has its colour.
        n_reset_uniforms: how many uniform numbers a reset takes.
        n_step_uniforms: how many uniform numbers a step takes.
    """

    default_tasks = np.array([1.0, -2.0])
    n_reset_uniforms = 4

    def __init__(
        self, rules: CoinRules, view: str | Sequence[str] = "image", discount: float = 0.96, dtype: str = "float32"
    ) -> None:
        """
        Args:
            rules: CoinRules, such as `lola_rules()`.
            view: what the players see, see above; a pair where red and blue see different things.
            discount: γ, in [0, 1).
            dtype: 'float32' or 'float64'.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        checks.check(isinstance(rules, CoinRules), "CoinGame.rules", rules, "CoinRules, such as lola_rules()")
        views = [view] * len(PLAYERS) if isinstance(view, str) else view
        is_pair = isinstance(views, (list, tuple)) and len(views) == len(PLAYERS)
        are_views = is_pair and all(isinstance(one, str) and one in coin_views.VIEWS for one in views)
        allowed = f"one of {', '.join(map(repr, coin_views.VIEWS))}, or a pair of them"
        checks.check(are_views, "CoinGame.view", view, allowed)
        can_number = rules.two_coins or rules.empty_cells or not any(one.startswith("board") for one in views)
        allowed = "'image' or 'vector', as by these rules a single coin may lie where a player is"
        checks.check(can_number, "CoinGame.view", view, allowed)
        contracts.check_game_numbers("CoinGame", discount, dtype, rules.name)
        self.rules = rules
        self._views = [coin_views.VIEWS[one] for one in views]
        self.n_actions = 5 if rules.can_stay else 4
        self.n_step_uniforms = 2 if rules.two_coins else 1
        self.spec = contracts.GameSpec(
            name=rules.name, discount=float(discount), dtype=dtype,
            observations=tuple(one.space(rules) for one in self._views),
            actions=(contracts.Discrete(self.n_actions),) * 2, metrics=("own_coins", "others_coins", "own_share"),
        )

    def reset(self, tasks: Structure, uniforms: tf.Tensor) -> CoinState:
        """See `contracts.Game.reset`."""
        del tasks
        red, blue, first, second = tf.unstack(uniforms)
        red = _drawn(red, N_CELLS)
        if self.rules.players_apart:
            blue = _drawn(blue, N_CELLS - 1)
            blue += tf.cast(blue >= red, tf.int32)
        else:
            blue = _drawn(blue, N_CELLS)
        if self.rules.two_coins:
            coins = tuple(self._new_coin((red, blue), numbers) for numbers in (first, second))
        else:
            coin, is_red = self._new_coin((red, blue), first), second < 0.5
            coins = tf.where(is_red, coin, NOWHERE), tf.where(is_red, NOWHERE, coin)
        rows = red // SIZE, blue // SIZE
        zeros, nothing = tf.zeros_like(red), tf.zeros(red.shape, self.spec.dtype)
        return CoinState(
            rows, (red - SIZE * rows[0], blue - SIZE * rows[1]), coins, takers=(zeros, zeros),
            last_rewards=(nothing, nothing), is_first=nothing + 1.0,
        )

    def step(
        self, tasks: Structure, state: CoinState, joint_action: tuple[tf.Tensor, ...], uniforms: tf.Tensor
    ) -> tuple[CoinState, tuple[tf.Tensor, ...], tuple[tf.Tensor, ...]]:
        """See `contracts.Game.step`."""
        state = _moved(state, joint_action)
        takes = self._takes(state)
        is_taken = tuple(tf.logical_or(*by_players) for by_players in zip(*takes))
        new_coins = tuple(self._new_coin(state.cells, numbers) for numbers in tf.unstack(uniforms))
        if self.rules.two_coins:
            coins = tuple(map(tf.where, is_taken, new_coins, state.coins))
        else:  # The next one has the other colour.
            coins = tuple(
                tf.where(is_taken[colour], NOWHERE, tf.where(is_taken[1 - colour], *new_coins, state.coins[colour]))
                for colour in COLOURS
            )
        takers = tuple(
            tf.where(taken, tf.cast(red, tf.int32) + 2 * tf.cast(blue, tf.int32), last)
            for taken, red, blue, last in zip(is_taken, *takes, state.takers)
        )
        worth, cost = (tasks[..., index, tf.newaxis] for index in range(2))
        rewards = tuple(
            worth * tf.add_n([self._number(taken) for taken in takes[player]])
            + cost * self._number(takes[1 - player][player])
            for player in PLAYERS
        )
        following = state._replace(
            coins=coins, takers=takers, last_rewards=rewards, is_first=tf.zeros_like(state.is_first)
        )
        return following, rewards, ()

    def observe(self, tasks: Structure, state: CoinState, agent_index: int) -> tf.Tensor:
        """See `contracts.Game.observe`."""
        del tasks
        checks.check_agent_index("agent_index", agent_index, len(PLAYERS))
        return self._views[agent_index].of(self.rules, state, agent_index, self.spec.dtype)

    def metrics(
        self, tasks: Structure, state: CoinState, joint_action: tuple[tf.Tensor, ...]
    ) -> dict[str, tuple[tf.Tensor, ...]]:
        """See `contracts.MeasuredGame.metrics`."""
        del tasks
        takes = self._takes(_moved(state, joint_action))
        own = tuple(self._number(takes[player][player]) for player in PLAYERS)
        others = tuple(self._number(takes[player][1 - player]) for player in PLAYERS)
        shares = tuple(masks.ratio(mine, mine + theirs) for mine, theirs in zip(own, others))
        return {"own_coins": own, "others_coins": others, "own_share": shares}

    def _takes(self, state):
        """By player and colour, whether a coin is taken, as the players have moved: bool [S, N, K]."""
        red, blue = (tuple(cell == coin for coin in state.coins) for cell in state.cells)
        if self.rules.red_first:
            blue = tuple(map(tf.logical_and, blue, map(tf.logical_not, red)))
        return red, blue

    def _new_coin(self, cells, uniforms):
        """Where a new coin lies: int32 [S, N, K]."""
        if not self.rules.empty_cells:
            return _drawn(uniforms, N_CELLS)
        low, high = tf.minimum(*cells), tf.maximum(*cells)
        are_apart = tf.cast(low != high, tf.int32)
        coin = _drawn(uniforms, N_CELLS - 1 - are_apart)
        coin += tf.cast(coin >= low, tf.int32)
        return coin + tf.where(coin >= high, are_apart, 0)

    def _number(self, condition):
        return tf.cast(condition, self.spec.dtype)


def _drawn(uniforms, n):
    """One of n equally likely whole numbers; n may differ from one to the other."""
    # A product that rounding makes n itself is one less.
    return tf.minimum(tf.cast(uniforms * tf.cast(n, uniforms.dtype), tf.int32), n - 1)


def _moved(state, joint_action):
    """The state after the players have moved."""
    def wrapped(coordinate):
        coordinate = tf.where(coordinate < 0, SIZE - 1, coordinate)
        return tf.where(coordinate == SIZE, 0, coordinate)

    def one_if(condition):
        return tf.cast(condition, tf.int32)

    return state._replace(
        rows=tuple(
            wrapped(row + one_if(action == 2) - one_if(action == 3)) for row, action in zip(state.rows, joint_action)
        ),
        columns=tuple(
            wrapped(column + one_if(action == 0) - one_if(action == 1))
            for column, action in zip(state.columns, joint_action)
        ),
    )
