"""The rule sets that go by the name of the coin game, each under the name of the work that played it.

Two players, red and blue, move on a torus of 3 × 3 cells. Whoever steps on a coin takes it and gets 1; if it has the
other's colour, the other loses 2. So each is best off if all coins are taken, and both are if nobody takes the other's.
"""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class CoinRules:
    """Where the rule sets differ."""

    name: str
    two_coins: bool  # one of each colour is on the board; else one, and its colour changes at each pick-up
    red_first: bool  # where both step on a coin, red alone takes it; else both do
    empty_cells: bool  # new coins lie where no player is; else anywhere
    players_apart: bool  # players start on different cells; else anywhere
    can_stay: bool  # there is a fifth action, to stay
    own_first: bool  # what is the agent's own comes first in what it sees; else red does
    sees_last_rewards: bool  # three more planes: each agent's last reward, its own first, and whether there was none


def lola_rules() -> CoinRules:
    """Foerster et al. 2017, Learning with Opponent-Learning Awareness: one coin, and red is the first to take it."""
    return CoinRules(
        name="coin game (LOLA)", two_coins=False, red_first=True, empty_cells=True, players_apart=True,
        can_stay=False, own_first=False, sees_last_rewards=False,
    )


def pola_rules() -> CoinRules:
    """Zhao et al. 2022, Proximal Learning with Opponent-Learning Awareness: one coin, which both may take at once."""
    return CoinRules(
        name="coin game (POLA)", two_coins=False, red_first=False, empty_cells=True, players_apart=False,
        can_stay=False, own_first=False, sees_last_rewards=False,
    )


def loqa_rules() -> CoinRules:
    """Aghajohari et al. 2024, LOQA: Learning with Opponent Q-Learning Awareness: as `pola_rules`, seen own first."""
    return CoinRules(
        name="coin game (LOQA)", two_coins=False, red_first=False, empty_cells=True, players_apart=False,
        can_stay=False, own_first=True, sees_last_rewards=False,
    )


def m_fos_rules() -> CoinRules:
    """Lu et al. 2022, Model-Free Opponent Shaping: two coins, anywhere; last rewards are seen, too."""
    return CoinRules(
        name="coin game (M-FOS)", two_coins=True, red_first=False, empty_cells=False, players_apart=False,
        can_stay=False, own_first=True, sees_last_rewards=True,
    )


def pax_rules() -> CoinRules:
    """Willi et al. 2023, Pax, and JaxMARL (Rutherford et al. 2023): two coins, anywhere, and one may stay."""
    return CoinRules(
        name="coin game (Pax)", two_coins=True, red_first=False, empty_cells=False, players_apart=False,
        can_stay=True, own_first=True, sees_last_rewards=False,
    )
