"""Who learns in the coin game from samples: tables of logits, and recurrent networks that see images."""

from collections.abc import Callable
import functools
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.agents.advantage_alignment import AdvantageAlignment
from tf_metamapg.agents.advantage_shaping import AdvantageShaping
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.lola_shaping import LOLAShaping
from tf_metamapg.agents.loqa import LOQA
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.optimizers import Adam
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.games import coin_strategies
from tf_metamapg.games.coin_game import CoinGame
from tf_metamapg.games.coin_rules import lola_rules
from tf_metamapg.games.tasks import DefaultTasks
from tf_metamapg.numerics import random
from tf_metamapg.policies.recurrent import gru_policy
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.runs import progress
from tf_metamapg.simulators.in_graph import InGraphSimulator
from tf_metamapg.training.learning import Learning
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer

HORIZON, DISCOUNT, INITIAL_STDDEV, UNITS = 50, 0.96, 0.5, 32
N_PLAYED = 4096  # trajectories that all is measured from when it has learned
# What players see, and how policies are made of it.
POLICIES: dict[str, tuple[str, Callable[..., contracts.StepPolicy]]] = {
    "tabular": ("board_and_takers", functools.partial(tabular_policy, initial_stddev=INITIAL_STDDEV)),
    "recurrent": ("image", functools.partial(gru_policy, units=UNITS)),
}
FIXED = {"always cooperate": coin_strategies.always_cooperate, "always defect": coin_strategies.always_defect}


class Learner(NamedTuple):
    """Who plays itself, and for how long."""

    make: Callable[[], contracts.Agent]
    n_updates: int  # how often both learn, before they are measured
    n_trajectories: int  # of each rollout
    n_seeds: int = 10
    n_rollouts: int = 1  # of each update, the imagined ones as well
    n_meta_updates: int = 0
    chain_length: int = 0  # the inner updates that it is meta-trained for
    meta_learning_rate: float = 0.1
    jit_compile: bool = False  # what imagines or remembers XLA compiles for longer than it learns


# By name and kind of policy. Of tables steps are large, as a state's share of all that happens is about a thousandth.
LEARNERS = {
    ("naive", "tabular"): Learner(lambda: PolicyGradient(100.0), 60, 16_384, jit_compile=True),
    ("LOLA (a)", "tabular"): Learner(lambda: LOLAShaping(100.0, 1000.0), 40, 65_536, jit_compile=True),
    ("LOLA-DiCE", "tabular"): Learner(lambda: LOLADiCE(50.0, 200.0), 60, 8192, n_seeds=5, n_rollouts=3),
    ("Meta-MAPG", "tabular"): Learner(
        lambda: MetaMAPG(1000.0), 5, 8192, n_seeds=5, n_meta_updates=20, chain_length=3
    ),
    ("Advantage Alignment", "tabular"): Learner(
        lambda: AdvantageAlignment(
            50.0, 1.0, gae_lambda=0.5, critic_units=16, critic_learning_rate=0.001, n_critic_steps=10
        ), 40, 1024, n_seeds=5,
    ),
    ("LOQA", "tabular"): Learner(
        lambda: LOQA(50.0, 0.7, gae_lambda=0.5, critic_units=16, critic_learning_rate=0.001, n_critic_steps=5),
        30, 1024, n_seeds=5,
    ),
    ("naive", "recurrent"): Learner(lambda: PolicyGradient(0.03, optimizer=Adam()), 150, 256, n_seeds=3),
    ("LOLA (a)", "recurrent"): Learner(lambda: LOLAShaping(0.03, 0.1, optimizer=Adam()), 100, 256, n_seeds=3),
    ("LOLA-DiCE", "recurrent"): Learner(
        lambda: LOLADiCE(0.03, 0.1, optimizer=Adam()), 150, 256, n_seeds=3, n_rollouts=3
    ),
    ("Meta-MAPG", "recurrent"): Learner(
        lambda: MetaMAPG(1.0), 5, 256, n_seeds=3, n_meta_updates=20, chain_length=3, meta_learning_rate=0.03
    ),
}
class Learned(NamedTuple):
    """What came of it, for S seeds."""

    n_steps: np.ndarray  # [points], environment steps of a seed before each point of the curves
    own_shares: np.ndarray  # [S, points], the share of own coins in what is learned from
    rewards: np.ndarray  # [S, points], mean of both players per step
    n_steps_used: np.ndarray  # [], of a seed in all
    last_share: np.ndarray  # [S], in the end, from trajectories that nothing is learned from
    last_rewards: np.ndarray  # [S, 2], of red and of blue
    against: np.ndarray  # [S, fixed, 2], the mean reward of the learner, as red and as blue, and of who never learns


def settings(name: str, kind: str) -> Any:
    """All that what `learn` returns depends on."""
    learner = LEARNERS[name, kind]
    return learner.make(), learner[1:], POLICIES[kind][0], HORIZON, DISCOUNT, INITIAL_STDDEV, UNITS, N_PLAYED


def learn(name: str, kind: str) -> Learned:
    """Lets a learner of `LEARNERS` learn, by name and kind of policy, and measures what has come of it."""
    learner, (view, make_policy) = LEARNERS[name, kind], POLICIES[kind]
    seeds = range(learner.n_seeds)
    game = CoinGame(lola_rules(), view, DISCOUNT)
    policies = tuple(make_policy(game, agent) for agent in range(2))
    agents = learner.make(), learner.make()
    make_estimator = ScoreFunctionEstimator if isinstance(agents[0], AdvantageShaping) else LoadedDiceEstimator
    estimator = make_estimator(game, policies, learner.n_trajectories, HORIZON)
    problem = Problem(
        game=game, policies=policies, agents=agents, estimator=estimator,
        task_distribution=DefaultTasks(game),
    )
    settings = TrainerSettings(
        chain_length=learner.chain_length, n_tasks=1, meta_learning_rate=learner.meta_learning_rate,
        jit_compile=learner.jit_compile,
    )
    trainer = MetaTrainer(problem, settings, seeds)
    bar = progress.Bar(learner.n_meta_updates + learner.n_updates, what=f"{name}, {kind}, update")
    points: list[tuple[int, np.ndarray, np.ndarray]] = []
    n_steps = 0

    def show(rewards, coins, n_rollouts):
        nonlocal n_steps
        own, others = (coins[metric].sum(axis=-1) for metric in ("own_coins", "others_coins"))
        points.append((n_steps, own / (own + others), rewards.mean(axis=-1)))
        n_steps += n_rollouts * estimator.n_steps
        bar.step(f"mean reward per step {points[-1][2].mean():+.3f}, own coins {points[-1][1].mean():.3f}")

    for _ in range(learner.n_meta_updates):
        metrics = trainer.step()
        coins = {metric: values[:, -1] for metric, values in metrics.game_metrics.items()}
        show(metrics.mean_reward[:, -1], coins, learner.chain_length + 1)
    tasks = problem.task_distribution.sample(random.root_keys(seeds), n_tasks=1)
    learning = Learning(trainer, random.META_TEST, n_tasks=1)
    for _ in range(learner.n_updates):
        played = learning.play()
        coins = {metric: values.numpy() for metric, values in played.game_metrics.items()}
        show(played.mean_reward.numpy(), coins, learner.n_rollouts)
        learning.update()
    bar.close()
    joint_params = [state.params for state in learning.agent_states]
    steps_before, own_shares, rewards = zip(*points)
    return Learned(
        np.array(steps_before, np.int64), np.stack(own_shares, axis=1), np.stack(rewards, axis=1),
        np.array(n_steps, np.int64), *_measured(view, policies, joint_params, tasks, seeds),
    )


def _measured(view, policies, joint_params, tasks, seeds):
    """(own share [S], rewards of red and of blue [S, 2], rewards against who never learns [S, fixed, 2])."""
    keys = random.fold_in(random.root_keys(seeds), random.META_VALIDATION)
    rewards, coins = _play([view, view], policies, joint_params, tasks, keys)
    pairs = []
    for make_strategy in FIXED.values():
        strategy = make_strategy(lola_rules(), "board")
        strategies = np.broadcast_to(strategy, [len(seeds), 1, *strategy.shape])
        both = []
        for agent in range(2):
            views = ["board", "board"]
            views[agent] = view
            fixed = tabular_policy(CoinGame(lola_rules(), views, DISCOUNT), 1 - agent)
            players, params = [fixed, fixed], [tuple(map(tf.constant, fixed.params_of(strategies)))] * 2
            players[agent], params[agent] = policies[agent], joint_params[agent]
            both.append(_play(views, players, params, tasks, keys)[0][:, [agent, 1 - agent]])
        pairs.append(np.mean(both, axis=0))
    return coins[0] / coins.sum(axis=0), rewards, np.stack(pairs, axis=1)


def _play(views, policies, joint_params, tasks, keys):
    """(mean rewards per step [S, 2]; the numbers of own coins and of others', of both players [2, S])."""
    simulator = InGraphSimulator(CoinGame(lola_rules(), views, DISCOUNT), policies, N_PLAYED, HORIZON)
    trajectory = simulator.sample(tuple(joint_params), tasks, keys)
    rewards = np.stack([leaf.numpy().mean(axis=(1, 2, 3)) for leaf in trajectory.rewards], axis=-1)
    coins = [
        sum(leaf.numpy().sum(axis=(1, 2, 3)) for leaf in trajectory.metrics[metric])
        for metric in ("own_coins", "others_coins")
    ]
    return rewards, np.stack(coins)
