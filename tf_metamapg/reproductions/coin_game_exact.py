"""Shaping in the coin game, solved: every agent with exact gradients, in self-play and against who never learns."""

from collections.abc import Callable
from collections.abc import Sequence
import functools
import pathlib
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
from tf_metamapg.agents.sos import SOS
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.games import coin_strategies
from tf_metamapg.games.coin_rules import lola_rules
from tf_metamapg.games.coin_rules import pola_rules
from tf_metamapg.games.coin_views import n_takers
from tf_metamapg.games.exact_coin_game import ExactCoinGame
from tf_metamapg.games.tasks import DefaultTasks
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files
from tf_metamapg.runs import progress
from tf_metamapg.training import learning
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer

TITLE = "The coin game with exact gradients"
SOURCE = "games of Foerster et al. 2017 and Zhao et al. 2022, in closed form; nobody has published it"
DURATION = "45 min"

VIEW, DISCOUNT, INITIAL_STDDEV = "board_and_takers", 0.96, 0.5
RULES = {"LOLA": lola_rules(), "POLA": pola_rules()}


class Learner(NamedTuple):
    """Who plays itself, and for how long."""

    make: Callable[[], contracts.Agent]
    rules: str
    n_updates: int  # how often both learn, before they are measured
    n_meta_updates: int = 0
    chain_length: int = 0  # the inner updates that it is meta-trained for
    meta_learning_rate: float = 0.1


# Steps are large, as a state's share of all that happens is about a thousandth.
LEARNERS = {
    "naive": Learner(lambda: PolicyGradient(100.0), "LOLA", 60),
    "LookAhead": Learner(lambda: LookAhead(100.0, 1000.0), "LOLA", 60),
    "LOLA (a)": Learner(lambda: LOLAShaping(200.0, 1000.0), "LOLA", 60),
    "LOLA (b)": Learner(lambda: LOLATaylor(100.0, 1000.0), "LOLA", 60),
    "LOLA-DiCE": Learner(lambda: LOLADiCE(50.0, 200.0), "LOLA", 60),
    "SOS": Learner(lambda: SOS(100.0, 1000.0), "LOLA", 60),
    "Meta-PG": Learner(lambda: MetaPG(1000.0), "POLA", 5, n_meta_updates=20, chain_length=3),
    "Meta-MAPG": Learner(lambda: MetaMAPG(1000.0), "POLA", 5, n_meta_updates=20, chain_length=3),
    "Meta-MAPG, LOLA's rules": Learner(lambda: MetaMAPG(1000.0), "LOLA", 5, n_meta_updates=20, chain_length=3),
}


class Learned(NamedTuple):
    """What came of it, for S seeds; links are those before each update and after the last."""

    rewards: np.ndarray  # [S, links, 2], mean reward per step
    own_shares: np.ndarray  # [S, links], of all coins that are taken, discounted, those that are taken by their owner
    against: np.ndarray  # [S, 2, 2], against who always cooperates and always defects: own mean reward, the other's
    takes: np.ndarray  # [S, n_takers], see `_takes`


def reproduce(directory: files.PathLike, learners: Sequence[str] = tuple(LEARNERS), n_seeds: int = 10) -> None:
    """Runs all learners, or those that have not been run yet, and writes the results.

    Args:
        directory: where to.
        learners: which of `LEARNERS`.
        n_seeds: how many seeds, 0, 1, …
    """
    runs, learned = pathlib.Path(directory) / "runs", {}
    for name in learners:
        learn = functools.partial(_learn, name, range(n_seeds))
        learned[name] = protocols.computed_once(runs, f"{name} {n_seeds} seeds", _settings(name), learn, Learned)
    rows = [
        [
            name, seed, update, f"{of.own_shares[seed, update]:.9g}",
            *(f"{reward:.9g}" for reward in of.rewards[seed, update]),
        ]
        for name, of in learned.items() for seed, update in np.ndindex(of.own_shares.shape)
    ]
    header = ["learner", "seed", "updates", "own_share", "average_reward_0", "average_reward_1"]
    results.save(directory, _figure(learned), header, rows, _text(learned))


def _settings(name):
    learner = LEARNERS[name]
    return learner.make(), learner[1:], RULES[learner.rules], VIEW, DISCOUNT, INITIAL_STDDEV


def _learn(name, seeds):
    learner = LEARNERS[name]
    game = ExactCoinGame(RULES[learner.rules], VIEW, DISCOUNT)
    policies = tuple(tabular_policy(game, agent, INITIAL_STDDEV) for agent in range(2))
    problem = Problem(
        game=game, policies=policies, agents=(learner.make(), learner.make()),
        estimator=ExactEstimator(game, policies), task_distribution=DefaultTasks(game),
    )
    settings = TrainerSettings(
        chain_length=learner.chain_length, n_tasks=1, meta_learning_rate=learner.meta_learning_rate, jit_compile=False
    )
    trainer = MetaTrainer(problem, settings, seeds)
    bar = progress.Progress(learner.n_meta_updates, what=f"{name}, meta-update")
    for _ in range(learner.n_meta_updates):
        mean_rewards = trainer.step().mean_reward[:, -1]
        bar.step(f"mean reward per step {mean_rewards.mean():+.3f}")
    bar.close()
    show = progress.inner_updates(learner.n_updates, what=f"{name}, update")
    evaluation = learning.evaluate(trainer, random.META_TEST, learner.n_updates, n_tasks=1, report=show)
    own, others = (evaluation.game_metrics[metric].sum(axis=-1) for metric in ("own_coins", "others_coins"))
    strategies = tuple(policy.strategy(params) for policy, params in zip(policies, evaluation.joint_params))
    tasks = trainer.tasks(random.META_TEST, n_tasks=1)
    return Learned(
        evaluation.mean_reward, own / (own + others), _against(game, tasks, strategies),
        np.mean([_takes(game.rules, strategy.numpy()[:, 0]) for strategy in strategies], axis=0),
    )


def _against(game, tasks, strategies):
    """Mean rewards per step of both players against two who do not learn: [S, 2, 2]; see `Learned`."""
    pairs = []
    for fixed in (coin_strategies.always_cooperate, coin_strategies.always_defect):
        other = tf.broadcast_to(fixed(game.rules, VIEW), strategies[0].shape)
        as_red = game.exact_values(tasks, (strategies[0], other))
        as_blue = game.exact_values(tasks, (other, strategies[1]))
        pairs.append([as_red[0] + as_blue[1], as_red[1] + as_blue[0]])
    return (1.0 - DISCOUNT) * np.moveaxis(np.array(pairs)[..., 0] / 2.0, -1, 0)


def _takes(rules, strategy):
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


def _text(learned):
    table = []
    for name, of in learned.items():
        learner, last = LEARNERS[name], of.own_shares[:, -1]
        meta = f"{learner.n_meta_updates} meta-updates, then " if learner.n_meta_updates else ""
        table.append([
            name, learner.rules, f"{meta}{learner.n_updates}", results.with_interval(last),
            ", ".join(f"{share:.3f}" for share in sorted(last)), results.with_interval(of.rewards[:, -1].mean(axis=-1)),
            *(f"{results.signed(own.mean())} / {results.signed(others.mean())}"
              for own, others in np.moveaxis(of.against, 0, -1)),
            ", ".join(f"{prob:.2f}" for prob in of.takes[:, :3].mean(axis=0)),
        ])
    n_seeds = len(next(iter(learned.values())).own_shares)
    return (
        results.paragraph(
            "Two players of one kind, who see the board of the game with one coin and who took the last coin of each",
            "colour: 1,152 states by LOLA's rules, 2,048 by POLA's. Exact gradients of the discounted value,",
            f"γ = {DISCOUNT}; logits start from N(0, {INITIAL_STDDEV}²); {n_seeds} seeds, means with 95% intervals",
            "over seeds. Own coins are the share, weighted by discounted visits, of all coins taken that their owner",
            "takes; a reward is the mean of both players per step. Against who always cooperates (takes its own coins",
            "alone) and who always defects (takes every coin): the learner's reward / the other's, as red and as blue,",
            "without learning on. Steps were chosen by trials with seed 0, of LOLA (a) with seeds 10 to 14; rows of",
            "different rules are not to be compared but for what they are. Takes: how likely one takes the other's",
            "coin where it is one step away, if nobody yet, oneself, the other has taken the last coin of one's own",
            "colour.",
        )
        + results.paragraph(
            "Published, from samples over 50 steps with networks that see images (POLA's rules, share by count):",
            "LOQA .954 and a reward of .316, POLA .82, LOLA-DiCE .505. They are not of the same policies, nor of the",
            "same horizon.",
        )
        + results.markdown_table(
            [
                "learner", "rules", "updates", "own coins", "of each seed", "reward", "against always cooperate",
                "against always defect", "takes",
            ],
            table,
        )
    )


def _figure(learned):
    figure, panels = results.new_figure(13.0, 3.8, n_panels=3)
    for panel, what, label in (
        (panels[0], lambda of: of.own_shares, "share of own coins"),
        (panels[1], lambda of: of.rewards.mean(axis=-1), "mean reward per step"),
    ):
        for name, of in learned.items():
            values = what(of)
            results.draw_mean(
                panel, range(values.shape[1]), values, name,
                results.COLOURS[name.partition(",")[0]], linestyle=_style(name)[0],
            )
        panel.set_xlabel("updates")
        panel.set_ylabel(label)
        panel.grid(alpha=0.3)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8,
        title="mean and 95%\ninterval over seeds", title_fontsize=8,
    )
    width = 0.8 / len(learned)
    for index, (name, of) in enumerate(learned.items()):
        mean = of.takes[:, :3].mean(axis=0)
        panels[2].bar(
            np.arange(3) + (index - (len(learned) - 1) / 2) * width, mean, width,
            color=results.COLOURS[name.partition(",")[0]], hatch=_style(name)[1], edgecolor="white",
        )
    panels[2].set_xticks(range(3), ["nobody yet", "oneself", "the other"])
    panels[2].set_xlabel("who took the last coin of one's own colour")
    panels[2].set_ylabel("probability of taking the other's coin,\nwhere it is one step away")
    panels[2].grid(alpha=0.3, axis="y")
    return figure


def _style(name):
    """(how a line is drawn, how a bar is hatched): dashed is what meta-learns, dotted LOLA-DiCE, of LOLA's colour."""
    if LEARNERS[name].n_meta_updates:
        return ("-.", "...") if "," in name else ("--", "")
    return (":", "///") if name == "LOLA-DiCE" else ("-", "")
