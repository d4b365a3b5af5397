"""What `bin/benchmark` times: named workloads, and how one of them is measured."""

from collections.abc import Callable
import contextlib
import functools
import itertools
import resource
import time
from typing import Any
from typing import NamedTuple

import numpy as np
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
from tf_metamapg.numerics import random
from tf_metamapg.policies.mlp import mlp_policy
from tf_metamapg.policies.recurrent import lstm_policy
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.training.blocks import Blocks
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer
from tf_metamapg.training.workers import ALONE
from tf_metamapg.training.workers import Workers

# What each of several repeats takes at least.
_SECONDS_PER_REPEAT = 0.5


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

    def n_steps(self) -> int:
        """Environment steps of one rollout: joint actions of all trajectories."""
        return self.n_seeds * self.n_tasks * self.n_trajectories * self.horizon

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
    "tabular": META_WORKLOADS["tabular"],
    # The first of each axis is `tabular` again.
    **{name: sizes[name] for sizes in SCALING.values() for name in [*sizes][1:]},
    **{
        f"hidden_units={units}": META_WORKLOADS["tabular"]._replace(
            policies=(functools.partial(mlp_policy, hidden_units=(units, units)),) * 2
        ) for units in (32, 64, 128)
    },
}
# What workers say to each other where they compute nothing: bytes of all of them together.
EXCHANGES = {f"exchange={n_bytes}": n_bytes for n_bytes in (4_096, 262_144, 2_097_152)}


def measure(name: str, started: float, n_repeats: int) -> dict[str, Any]:
    """Times one workload in this process, which should have done nothing else.

    Args:
        name: one of `WORKLOADS`, or of the workloads in `SCALING`.
        started: when the process started, in seconds since the epoch.
        n_repeats: how many medians are taken the median of.

    Returns:
        dict of numbers; see `bin/benchmark --help`.
    """
    workload = _find(name)
    trainer = workload.trainer()
    if name in LOLA_WORKLOADS:
        update, n_rollouts = _inner_update(trainer, workload), 3
    else:
        update, n_rollouts = trainer.step, workload.chain_length + 1
    before = time.time()
    update()
    first_update_seconds = time.time() - started
    first_call_seconds = time.time() - before
    update_seconds = _seconds(update, n_repeats)
    n_steps = workload.n_steps()
    rollout_seconds = _seconds(_rollout(trainer, workload), n_repeats)
    return {
        "env_steps_per_update": n_rollouts * n_steps,
        "rollout_ns": 1e9 * float(np.median(rollout_seconds)) / n_steps,
        "rollout_ns_spread": [1e9 * float(bound) / n_steps for bound in (min(rollout_seconds), max(rollout_seconds))],
        "meta_update_ns": 1e9 * float(np.median(update_seconds)) / (n_rollouts * n_steps),
        "meta_update_seconds": float(np.median(update_seconds)),
        "meta_update_seconds_spread": [float(min(update_seconds)), float(max(update_seconds))],
        "first_update_seconds": first_update_seconds,
        "compile_seconds": first_call_seconds - float(np.median(update_seconds)),
        "peak_mb": _peak_megabytes(),
    }


def measure_update(name: str, n_repeats: int, n_blocks: int, workers: Workers) -> dict[str, float]:
    """Times the meta-updates of one workload alone, or an exchange. All workers call this; only in the chief it ends.

    Args:
        name: see `measure`, or one of `FITTED` or `EXCHANGES`.
        n_repeats: see `measure`.
        n_blocks: how a batch is cut.
        workers: who computes it.
    """
    if name in EXCHANGES:
        own = [tf.zeros([EXCHANGES[name] // 4 // n_blocks]) for _ in workers.share(n_blocks)]
        update: Callable[[], Any] = functools.partial(workers.gathered, own, n_blocks)
    else:
        update = _find(name).trainer(n_blocks, workers).step
    while not workers.is_chief:
        update()
    seconds = _seconds(update, n_repeats)
    return {"meta_update_seconds": float(np.median(seconds)), "peak_mb": _peak_megabytes()}


def cut_into(n_blocks: int) -> dict[str, Workload]:
    """Those of `META_WORKLOADS` whose batches can be cut into so many blocks."""
    found = {}
    for name, workload in META_WORKLOADS.items():
        with contextlib.suppress(checks.InvalidInputError):
            Blocks(workload.n_seeds, workload.n_tasks, n_blocks)
            found[name] = workload
    return found


def _find(name):
    axes = itertools.chain.from_iterable(sizes.items() for sizes in SCALING.values())
    found = {**WORKLOADS, **FITTED, **dict(axes)}
    checks.check(name in found, "workload", name, f"one of {', '.join(found)}")
    return found[name]


def _peak_megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _seconds(function, n_repeats):
    """The median time of a call in each repeat, after a warm-up."""
    function()
    function()
    medians = []
    for _ in range(n_repeats):
        times: list[float] = []
        end = time.perf_counter() + _SECONDS_PER_REPEAT
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
        medians.append(np.median(times))
    return medians


def _inner_update(trainer, workload):
    """One inner update of both agents at the initial policies, with new random numbers at each call."""
    agent_states = trainer.initial_states(random.META_TRAIN, workload.n_tasks)
    tasks = _tasks(trainer, workload)
    calls = itertools.count()

    def update():
        trainer.advance(random.META_TRAIN, 0, tasks, next(calls), agent_states).mean_reward.numpy()

    return update


def _tasks(trainer, workload):
    keys = random.root_keys(range(workload.n_seeds))
    return trainer.problem.task_distribution.sample(keys, workload.n_tasks)


def _rollout(trainer, workload):
    """Random numbers and trajectories of one link."""
    estimator, keys = trainer.problem.estimator, random.root_keys(range(workload.n_seeds))
    joint_params = tuple(state.params for state in trainer.initial_states(random.META_TRAIN, workload.n_tasks))
    tasks = _tasks(trainer, workload)
    sample = tf.function(
        lambda index: estimator.sample(joint_params, tasks, random.fold_in(keys, index)).trajectory,
        autograph=False, jit_compile=True,
    )
    calls = itertools.count()

    def rollout():
        sample(tf.constant(next(calls))).rewards[0][0, 0, 0, 0].numpy()

    return rollout
