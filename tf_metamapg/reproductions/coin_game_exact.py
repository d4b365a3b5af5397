"""Shaping in the coin game, solved: every agent with exact gradients, in self-play and against who never learns."""

from collections.abc import Sequence
import functools
import pathlib

import numpy as np

from tf_metamapg.reproductions import coin_game_exact_learners as exact
from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files


def reproduce(directory: files.PathLike, learners: Sequence[str] = tuple(exact.LEARNERS), n_seeds: int = 10) -> None:
    """Runs all learners, or those that have not been run yet, and writes the results.

    Args:
        directory: where to.
        learners: which of `coin_game_exact_learners.LEARNERS`.
        n_seeds: how many seeds, 0, 1, …
    """
    runs, learned = pathlib.Path(directory) / "runs", {}
    for name in learners:
        learned[name] = protocols.computed_once(
            runs, f"{name} {n_seeds} seeds", exact.settings(name), functools.partial(exact.learn, name, range(n_seeds)),
            exact.Learned,
        )
    rows = [
        [
            name, seed, update, f"{of.own_shares[seed, update]:.9g}",
            *(f"{reward:.9g}" for reward in of.rewards[seed, update]),
        ]
        for name, of in learned.items() for seed, update in np.ndindex(of.own_shares.shape)
    ]
    header = ["learner", "seed", "updates", "own_share", "reward_of_agent_0", "reward_of_agent_1"]
    results.save(directory, _figure(learned), header, rows, _text(learned))


def _text(learned):
    table = []
    for name, of in learned.items():
        learner, last = exact.LEARNERS[name], of.own_shares[:, -1]
        meta = f"{learner.n_meta_updates} meta-updates, then " if learner.n_meta_updates else ""
        n_updates = sum(n_updates for _, n_updates in learner.phases)
        table.append([
            name, learner.rules, f"{meta}{n_updates}", results.with_interval(last),
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
            f"γ = {exact.DISCOUNT}; logits start from N(0, {exact.INITIAL_STDDEV}²); {n_seeds} seeds, means with 95%",
            "intervals over seeds. Own coins are the share, weighted by discounted visits, of all coins taken that",
            "their owner takes; a reward is the mean of both players per step. Against who always cooperates (takes",
            "its own coins alone) and who always defects (takes every coin): the learner's reward / the other's, as",
            "red and as blue, without learning on. Steps were chosen by trials with seed 0, of LOLA (a) with seeds",
            "10 to 17: Adam makes the first 90 from LOLA's direction, plain steps are the others. Rows of different",
            "rules are not to be compared but for what they are. Takes: how likely one takes the other's coin where",
            "it is one step away, if nobody yet, oneself, the other has taken the last coin of one's own colour.",
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
    if exact.LEARNERS[name].n_meta_updates:
        return ("-.", "...") if "," in name else ("--", "")
    return (":", "///") if name == "LOLA-DiCE" else ("-", "")
