"""Public goods, round after round, until the game ends at random: how much each contributes is a matter of degree.

Isaac & Walker 1988, Group Size Effects in Public Goods Provision: The Voluntary Contributions Mechanism. That the game
goes on with some probability takes the place of a discount, as in the experiments of Dal Bó 2005, Cooperation under the
Shadow of the Future.
"""

import numpy as np

from tf_metamapg import checks
from tf_metamapg.games.branches import Branches
from tf_metamapg.games.branches import BranchingGame
from tf_metamapg.games.matrix import memory_one_views

_MOST_JOINT_ACTIONS = 1024


class PublicGoodsGame(BranchingGame):
    """Public goods with contributions of several levels, and an end.

    In each round every agent has an endowment e, of which it contributes a share: action a of L gives 1 − a / (L − 1)
    of it, all with action 0 and nothing with the last. Agent i gets e − cᵢ + (multiplier / n) Σⱼ cⱼ, and then the game
    may end. What all contributed last is seen before the next round, as in `IteratedMatrixGame`: observation 0 is the
    start, then 1 + the row-major index of the last joint action, with one's own action first.

    Values with a discount γ are those of a game that does not end with the discount γ (1 − end_probability). The metric
    `contribution` is the share of the endowment that is contributed.
    """

    def __init__(
        self, n_agents: int = 3, multiplier: float = 1.6, end_probability: float = 0.1, *, n_levels: int = 3,
        endowment: float = 1.0, discount: float = 1.0, dtype: str = "float32", name: str = "public goods game",
    ) -> None:
        """
        Args:
            n_agents: n ≥ 2.
            multiplier: what each unit that is contributed becomes, > 0; between 1 and n it is a dilemma.
            end_probability: the probability that a round is the last one, in (0, 1].
            n_levels: L ≥ 2, how many contributions there are to choose from.
            endowment: e > 0, what each agent has in a round, in units of reward.
            discount: γ, in [0, 1].
            dtype: 'float32' or 'float64'.
            name: what the game is called in figures and summaries.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        kind = type(self).__name__
        for parameter, value in (("n_agents", n_agents), ("n_levels", n_levels)):
            checks.check_integer(f"{kind}.{parameter}", value, minimum=2)
        for parameter, number in (
            ("multiplier", multiplier), ("endowment", endowment), ("end_probability", end_probability)
        ):
            checks.check_positive(f"{kind}.{parameter}", number)
        checks.check(end_probability <= 1.0, f"{kind}.end_probability", end_probability, "in (0, 1]")
        allowed = "such that 1 less it is below 1 in floating point"
        checks.check(1.0 - end_probability < 1.0, f"{kind}.end_probability", end_probability, allowed)
        allowed = f"such that there are at most {_MOST_JOINT_ACTIONS} joint actions"
        checks.check(n_agents < _MOST_JOINT_ACTIONS.bit_length(), f"{kind}.n_agents", n_agents, allowed)
        checks.check(n_levels**n_agents <= _MOST_JOINT_ACTIONS, f"{kind}.n_levels", n_levels, allowed)
        shares = 1.0 - np.indices([n_levels] * n_agents) / (n_levels - 1)  # [n, A, .., A]
        payoffs = endowment * (1.0 - shares + multiplier * shares.mean(axis=0))
        n_joint_actions = n_levels**n_agents
        n_states = 1 + n_joint_actions
        rows = np.arange(n_states * n_joint_actions)
        super().__init__(
            Branches(n_states, rows, 1 + rows % n_joint_actions, np.ones(len(rows))), payoffs,
            memory_one_views([n_levels] * n_agents), discount, dtype, name,
            ends=np.full([n_states, n_joint_actions], float(end_probability)),
            metrics={"contribution": np.repeat(shares[:, np.newaxis], n_states, axis=1)},
        )
