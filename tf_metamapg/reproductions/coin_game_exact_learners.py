"""Who plays the exact coin game, and what comes of it; see `coin_game_exact`."""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.lola_shaping import LOLAShaping
from tf_metamapg.agents.lola_taylor import LOLATaylor
from tf_metamapg.agents.look_ahead import LookAhead
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.meta_pg import MetaPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.optimizers import Adam
from tf_metamapg.agents.sos import SOS
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.games import coin_strategies
from tf_metamapg.games.coin_rules import CoinRules
from tf_metamapg.games.coin_rules import lola_rules
from tf_metamapg.games.coin_rules import pola_rules
from tf_metamapg.games.coin_views import n_takers
from tf_metamapg.games.exact_coin_game import ExactCoinGame
from tf_metamapg.games.tasks import DefaultTasks
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.runs import progress
from tf_metamapg.training import learning
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer

VIEW, DISCOUNT, INITIAL_STDDEV = "board_and_takers", 0.96, 0.5
RULES = {"LOLA": lola_rules(), "POLA": pola_rules()}


class Learner(NamedTuple):
    """Who plays itself, and for how long."""

    phases: Sequence[tuple[contracts.Agent, int]]  # (how both learn, how often), one after the other
    rules: str
    n_meta_updates: int = 0  # of the first phase's agent, before they are measured
    chain_length: int = 0  # the inner updates that it is meta-trained for
    meta_learning_rate: float = 0.1


# Steps are large, as a state's share of all that happens is about a thousandth. Adam makes them even, so that states
# that are seldom seen are learned in time, but keeps its steps where the gradient shrinks.
LEARNERS = {
    "naive": Learner([(PolicyGradient(100.0), 60)], "LOLA"),
    "LookAhead": Learner([(LookAhead(100.0, 1000.0), 60)], "LOLA"),
    "LOLA (a)": Learner([
        (LOLAShaping(0.5, 1000.0, optimizer=Adam(epsilon=1e-12)), 90), (LOLAShaping(100.0, 3000.0), 50),
    ], "LOLA"),
    "LOLA (b)": Learner([(LOLATaylor(100.0, 1000.0), 60)], "LOLA"),
    "LOLA-DiCE": Learner([(LOLADiCE(50.0, 200.0), 60)], "LOLA"),
    "SOS": Learner([(SOS(100.0, 1000.0), 60)], "LOLA"),
    "Meta-PG": Learner([(MetaPG(1000.0), 5)], "POLA", n_meta_updates=20, chain_length=3),
    "Meta-MAPG": Learner([(MetaMAPG(1000.0), 5)], "POLA", n_meta_updates=20, chain_length=3),
    "Meta-MAPG, LOLA's rules": Learner([(MetaMAPG(1000.0), 5)], "LOLA", n_meta_updates=20, chain_length=3),
}


class Learned(NamedTuple):
    """What came of it, for S seeds; links are those before each update and after the last."""

    rewards: np.ndarray  # [S, links, 2], mean reward per step
    own_shares: np.ndarray  # [S, links], of all coins that are taken, discounted, those that are taken by their owner
    against: np.ndarray  # [S, 2, 2], against who always cooperates and always defects: own mean reward, the other's
    takes: np.ndarray  # [S, n_takers], see `takes`


def settings(name: str) -> Any:
    """All that what a learner comes to depends on."""
    learner = LEARNERS[name]
    return learner, RULES[learner.rules], VIEW, DISCOUNT, INITIAL_STDDEV


def learn(name: str, seeds: Sequence[int]) -> Learned:
    """Lets a learner play itself, for each seed."""
    learner = LEARNERS[name]
    game = ExactCoinGame(RULES[learner.rules], VIEW, DISCOUNT)
    policies = tuple(tabular_policy(game, agent, INITIAL_STDDEV) for agent in range(2))
    trainer_settings = TrainerSettings(
        chain_length=learner.chain_length, n_tasks=1, meta_learning_rate=learner.meta_learning_rate, jit_compile=False
    )
    evaluations: list[learning.Evaluation] = []
    for agent, n_updates in learner.phases:
        problem = Problem(
            game=game, policies=policies, agents=(agent, agent), estimator=ExactEstimator(game, policies),
            task_distribution=DefaultTasks(game),
        )
        trainer = MetaTrainer(problem, trainer_settings, seeds)
        for meta_params, params in zip(trainer.meta_params, evaluations[-1].joint_params if evaluations else ()):
            meta_params.initial[0].assign(params[0][:, 0])
        bar = progress.Bar(learner.n_meta_updates, what=f"{name}, meta-update")
        for _ in range(learner.n_meta_updates):
            bar.step(f"mean reward per step {trainer.step().mean_reward[:, -1].mean():+.3f}")
        bar.close()
        show = progress.inner_updates(n_updates, what=f"{name}, update")
        evaluations.append(learning.evaluate(trainer, random.META_TEST, n_updates, n_tasks=1, report=show))
    rewards = _joined([one.mean_reward for one in evaluations])
    own, others = (
        _joined([one.game_metrics[metric].sum(axis=-1) for one in evaluations])
        for metric in ("own_coins", "others_coins")
    )
    strategies = tuple(policy.strategy(params) for policy, params in zip(policies, evaluations[-1].joint_params))
    tasks = trainer.tasks(random.META_TEST, n_tasks=1)
    return Learned(
        rewards, own / (own + others), _against(game, tasks, strategies),
        np.mean([takes(game.rules, strategy.numpy()[:, 0]) for strategy in strategies], axis=0),
    )


def _joined(curves):
    """Curves of phases [S, updates + 1, ...] as one; each begins where the last has ended."""
    return np.concatenate([curves[0], *(curve[:, 1:] for curve in curves[1:])], axis=1)


def _against(game, tasks, strategies):
    """Mean rewards per step of both players against two who do not learn: [S, 2, 2]; see `Learned`."""
    pairs = []
    for fixed in (coin_strategies.always_cooperate, coin_strategies.always_defect):
        other = tf.broadcast_to(fixed(game.rules, VIEW), strategies[0].shape)
        as_red = game.exact_values(tasks, (strategies[0], other))
        as_blue = game.exact_values(tasks, (other, strategies[1]))
        pairs.append([as_red[0] + as_blue[1], as_red[1] + as_blue[0]])
    return (1.0 - DISCOUNT) * np.moveaxis(np.array(pairs)[..., 0] / 2.0, -1, 0)


def takes(rules: CoinRules, strategy: np.ndarray) -> np.ndarray:
    """How likely one takes the other's coin where one step leads to it, by who took the last coin of one's own colour.

    Args:
        rules: CoinRules.
        strategy: array [S, n_observations, A].

    Returns:
        array [S, n_takers], for nobody yet, oneself, the other and, where both may, both: the mean over boards.
    """
    _, others = coin_strategies.taking(rules, VIEW)
    probs = np.sum(strategy * others, axis=-1)
    by_takers = probs.reshape([len(strategy), -1, n_takers(rules), n_takers(rules)])
    is_near = others.any(axis=-1).reshape(by_takers.shape[1:])[:, 0, 0]
    return by_takers[:, is_near].mean(axis=(1, 3))
