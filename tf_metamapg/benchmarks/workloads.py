"""What `bin/benchmark` times: named workloads."""

from collections.abc import Callable
import contextlib
import functools
import itertools
from typing import NamedTuple

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.benchmarks.cost_model import Size
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.coin_game import CoinGame
from tf_metamapg.games.coin_rules import lola_rules
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.policies.mlp import mlp_policy
from tf_metamapg.policies.recurrent import lstm_policy
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.training.blocks import Blocks
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer
from tf_metamapg.training.workers import ALONE
from tf_metamapg.training.workers import Workers


def dilemma() -> IteratedMatrixGame:
    """The iterated prisoner's dilemma with γ = 0.96."""
    return IteratedMatrixGame(payoffs.prisoners_dilemma(), discount=0.96)


def coin_game() -> CoinGame:
    """The coin game by LOLA's rules; players see the number of the board and of who took the last coins."""
    return CoinGame(lola_rules(), "board_and_takers", discount=0.96)


class Workload(NamedTuple):
    """One size of the problem."""

    agents: tuple[Callable[..., contracts.Agent], ...]
    make_game: Callable[[], contracts.Game] = dilemma
    policies: tuple[Callable[..., contracts.StepPolicy], ...] = (tabular_policy, tabular_policy)
    n_seeds: int = 1
    n_tasks: int = 1
    n_trajectories: int = 64
    horizon: int = 150
    chain_length: int = 1

    def trainer(self, n_blocks: int = 1, workers: Workers = ALONE) -> MetaTrainer:
        """A new MetaTrainer of this size, in so many blocks, by some workers."""
        game = self.make_game()
        policies = self._policies_of(game)
        problem = Problem(
            game=game, policies=policies, agents=tuple(make_agent() for make_agent in self.agents),
            estimator=LoadedDiceEstimator(game, policies, self.n_trajectories, self.horizon),
            task_distribution=PayoffNoise(game),
        )
        settings = TrainerSettings(chain_length=self.chain_length, n_tasks=self.n_tasks, n_blocks=n_blocks)
        return MetaTrainer(problem, settings, range(self.n_seeds), workers)

    def size(self) -> Size:
        """What its cost depends on."""
        params = tf.nest.flatten([policy.reference_params for policy in self._policies_of(self.make_game())])
        n_params = sum(int(tf.size(leaf)) for leaf in params)
        return Size(self.n_seeds, self.n_tasks, self.n_trajectories, self.horizon, self.chain_length, n_params)

    def _policies_of(self, game):
        return tuple(make_policy(game, agent_index) for agent_index, make_policy in enumerate(self.policies))


# One whole update of these is a meta-update, with L + 1 rollouts.
META_WORKLOADS = {
    "tabular": Workload((MetaMAPG, MetaMAPG), n_tasks=32),
    "wide": Workload((MetaMAPG, MetaMAPG), n_seeds=20, n_tasks=8),
    "chain": Workload((MetaMAPG, MetaMAPG), chain_length=7),
    "long": Workload((MetaMAPG, MetaMAPG), n_tasks=8, horizon=1000),
    "authors": Workload((MetaMAPG, PolicyGradient), policies=(lstm_policy, tabular_policy), chain_length=7),
    "coin": Workload((MetaMAPG, MetaMAPG), coin_game, n_trajectories=2048, horizon=50),
}
# One whole update of these is an inner update of both agents, with the rollout at the present policies and one
# more for what each agent imagines.
LOLA_WORKLOADS = {
    "dice_128": Workload((LOLADiCE, LOLADiCE), n_trajectories=128, chain_length=0),
    "dice_1024": Workload((LOLADiCE, LOLADiCE), n_trajectories=1024, chain_length=0),
    "coin_dice": Workload((LOLADiCE, LOLADiCE), coin_game, n_trajectories=2048, horizon=50, chain_length=0),
}
WORKLOADS = {**META_WORKLOADS, **LOLA_WORKLOADS}
# How the cost grows with each axis: what is doubled, and the workloads in which it is, from `tabular` on. For L it
# is the number of rollouts, L + 1.
SCALING = {
    axis: {
        f"{axis}={size}": Workload(**{**META_WORKLOADS["tabular"]._asdict(), axis: size}) for size in sizes
    }
    for axis, sizes in (
        ("horizon", (150, 300, 600)), ("n_trajectories", (64, 128, 256)), ("n_tasks", (32, 64, 128)),
        ("chain_length", (1, 3, 7)), ("n_seeds", (1, 2, 4)),
    )
}
# What the prices of a cost model are fitted to: small ones, these, and ones with more parameters.
_SMALL = META_WORKLOADS["tabular"]._replace(n_tasks=1)
FITTED = {
    "n_tasks=1": _SMALL,
    "n_tasks=1,horizon=600": _SMALL._replace(horizon=600),
    "n_tasks=1,chain_length=3": _SMALL._replace(chain_length=3),
    **SCALING["horizon"],
    # The first of each axis is `tabular`.
    **{name: sizes[name] for sizes in SCALING.values() for name in [*sizes][1:]},
    **{
        f"hidden_units={units}": META_WORKLOADS["tabular"]._replace(
            policies=(functools.partial(mlp_policy, hidden_units=(units, units)),) * 2
        ) for units in (32, 64, 128)
    },
}
# What workers say to each other where they compute nothing: bytes of all of them together.
EXCHANGES = {f"exchange={n_bytes}": n_bytes for n_bytes in (4_096, 262_144, 2_097_152)}


def cut_into(n_blocks: int) -> dict[str, Workload]:
    """Those of `META_WORKLOADS` whose batches can be cut into so many blocks."""
    found = {}
    for name, workload in META_WORKLOADS.items():
        with contextlib.suppress(checks.InvalidInputError):
            Blocks(workload.n_seeds, workload.n_tasks, n_blocks)
            found[name] = workload
    return found


def find(name: str) -> Workload:
    """One of `WORKLOADS` or `FITTED`, or of the workloads in `SCALING`.

    Raises:
        InvalidInputError: if there is no such one.
    """
    axes = itertools.chain.from_iterable(sizes.items() for sizes in SCALING.values())
    found = {**WORKLOADS, **FITTED, **dict(axes)}
    checks.check(name in found, "workload", name, f"one of {', '.join(found)}")
    return found[name]
