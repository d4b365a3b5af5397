"""Agents that came after the paper, from samples, in the prisoner's dilemma of POLA (Zhao et al. 2022)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.agents.advantage_alignment import AdvantageAlignment
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.loqa import LOQA
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.pola import POLA
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files

HORIZON, DISCOUNT, INITIAL_STDDEV, N_LAST = 50, 0.96, 0.3, 10
AFTER = ("start", "CC", "CD", "DC", "DD")


class Learner(NamedTuple):
    """Who plays itself, and for how long."""

    make: Callable[[], contracts.Agent]
    make_estimator: Callable[..., contracts.Estimator]
    n_trajectories: int
    n_updates: int
    n_rollouts: int  # of each update, the imagined ones as well
    released: str = "there is none"  # of policies that remember the whole game


LEARNERS = {
    "naive": Learner(lambda: PolicyGradient(2.0), LoadedDiceEstimator, 64, 60, 1),
    "LOLA-DiCE": Learner(lambda: LOLADiCE(2.0, 4.0), LoadedDiceEstimator, 64, 60, 3, "0.107"),
    "POLA": Learner(lambda: POLA(2.0, 4.0), LoadedDiceEstimator, 64, 60, 7, "0.313"),
    "alignment": Learner(
        lambda: AdvantageAlignment(0.1, 5.0, critic_learning_rate=0.03, n_critic_steps=3), ScoreFunctionEstimator,
        128, 200, 1,
    ),
    "LOQA": Learner(
        lambda: LOQA(0.3, 5.0, critic_learning_rate=0.03, n_critic_steps=3), ScoreFunctionEstimator, 128, 200, 1
    ),
}


class Learned(NamedTuple):
    """What came of it, for S seeds."""

    rewards: np.ndarray  # [S, updates + 1], mean of both agents per step
    cooperation: np.ndarray  # [S, 2, 5], of each agent, its probability by what it sees


def reproduce(
    directory: files.PathLike, n_seeds: int = 10, n_updates: int | None = None, n_trajectories: int | None = None
) -> None:
    """Runs all learners and writes the results.

    Args:
        directory: where to.
        n_seeds: independent runs of each, ≥ 2.
        n_updates: how often each learns, ≥ 9; by default as `LEARNERS` says.
        n_trajectories: K; by default as `LEARNERS` says.
    """
    learned = {}
    for name, learner in LEARNERS.items():
        learner = learner._replace(
            n_updates=n_updates or learner.n_updates, n_trajectories=n_trajectories or learner.n_trajectories
        )
        learned[name] = learner, _learn(name, learner, n_seeds)
    rows = [
        [name, seed, f"{reward:.9g}", *(f"{prob:.9g}" for prob in probs.ravel())]
        for name, (_, of) in learned.items()
        for seed, (reward, probs) in enumerate(zip(of.rewards[:, -N_LAST:].mean(axis=1), of.cooperation))
    ]
    header = ["agent", "seed", f"average_reward_last_{N_LAST}"]
    header += [f"cooperation_{agent}_{after}" for agent in range(2) for after in AFTER]
    results.save(directory, _figure(learned), header, rows, _text(learned, n_seeds))


def _learn(name, learner, n_seeds):
    game = IteratedMatrixGame(payoffs.pola_prisoners_dilemma(), discount=DISCOUNT)
    policies = tuple(tabular_policy(game, agent, INITIAL_STDDEV) for agent in range(2))
    # XLA takes longer to compile than these learn.
    found = protocols.self_play(
        learner.make(), learner.make_estimator(game, policies, learner.n_trajectories, HORIZON), game,
        n_seeds=n_seeds, n_updates=learner.n_updates, description=name, jit_compile=False,
    )
    strategies = [policy.strategy(params) for policy, params in zip(policies, found.joint_params)]
    cooperation = tf.stack([strategy[:, 0, :, 0] for strategy in strategies], axis=1)
    return Learned(found.mean_reward.mean(axis=-1), cooperation.numpy())


def _text(learned, n_seeds):
    table = []
    for name, (learner, of) in learned.items():
        last = of.rewards[:, -N_LAST:].mean(axis=1)
        steps = learner.n_updates * learner.n_rollouts * learner.n_trajectories * HORIZON
        table.append([
            name, str(learner.n_updates), f"{steps / 1e6:.2f}",
            f"{results.with_interval(last)} ({last.std(ddof=1):.3f})", results.signed(last.min()),
            " ".join(f"{prob:.2f}" for prob in of.cooperation.mean(axis=(0, 1))), learner.released,
        ])
    return (
        results.paragraph(
            "Two agents of one kind. Both cooperate: 0.33 a step each, both defect: 0, and who cooperates alone gets",
            f"−0.335 and the other 0.665. γ = {DISCOUNT}, T = {HORIZON}. Policies remember the last joint action,",
            f"θ ~ N(0, {INITIAL_STDDEV}²). Mean reward per step of both over the last {N_LAST} updates: mean ± 95%",
            f"interval (standard deviation) over {n_seeds} seeds. Environment steps are those of a seed, in millions,",
            "imagined ones as well. Cooperation: the probability at the start and after CC, CD, DC and DD, own action",
            "first, the mean of all seeds and agents. `alignment` is `AdvantageAlignment`. Steps on the discounted",
            "value and weights were chosen by a few trials with seeds 100 to 103.",
        )
        + results.markdown_table(
            ["agent", "updates", "steps / 10⁶", "reward", "worst seed", "cooperation", "released"], table,
        )
        + "\n"
        + results.paragraph(
            "Released: what POLA's authors got in the same game by POLA-DiCE and LOLA-DiCE with recurrent policies,",
            "which remember all of it; the columns need not agree.",
        )
        + results.paragraph(
            "Fewer than every second time, in the mean, cooperate with who has just defected on them (CD):",
            f"{', '.join(_retaliating(learned)) or 'nobody'}.",
        )
    )


def _retaliating(learned):
    """Who cooperates with a probability below one half after CD, in the mean over seeds and agents."""
    after = AFTER.index("CD")
    return [name for name, (_, of) in learned.items() if of.cooperation[..., after].mean() < 0.5]


def _figure(learned):
    figure, (panel,) = results.new_figure(6.4, 3.8)
    for name, (_, of) in learned.items():
        results.draw_mean(panel, range(of.rewards.shape[1]), of.rewards, name, results.COLOURS[name])
    results.label_learning_curves(panel)
    return figure
