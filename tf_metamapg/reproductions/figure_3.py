"""Naive agents, LOLA, Meta-PG and Meta-MAPG on the same held-out tasks of the iterated prisoner's dilemma."""

from collections.abc import Sequence

import numpy as np

from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files

METHODS = {"naive": "ipd_naive", "LOLA-DiCE": "ipd_lola", "Meta-PG": "ipd_meta_pg", "Meta-MAPG": "ipd"}
# Every method is evaluated on the same tasks, and for as long.
BINDINGS = ("train.n_inner_updates = 300", "train.n_evaluation_tasks = 8")
# What the published figure shows, in words.
PUBLISHED = {"naive": "near −2", "LOLA-DiCE": "many updates", "Meta-PG": "−2", "Meta-MAPG": "−1 after one update"}
SHOWN = (0, 1, 2, 5, 10, 30, 100, 300)


def runs(bindings: Sequence[str] = ()) -> dict[str, protocols.Run]:
    """What is trained, by the method's name; see `reproduce`."""
    return {name: protocols.Run(config, config, (*BINDINGS, *bindings)) for name, config in METHODS.items()}


def reproduce(directory: files.PathLike, bindings: Sequence[str] = ()) -> None:
    """Trains and evaluates all methods as their gin configs say, and writes the results.

    A method's run directory is kept beside the results: what was killed goes on where it was.

    Args:
        directory: where to.
        bindings: gin bindings that come after those of the protocol.
    """
    curves = protocols.meta_test_curves(protocols.train(directory, runs(bindings)))
    rows = [
        [name, seed, update, *(f"{value:.9g}" for value in values)]
        for name, rewards in curves.items()
        for (seed, update), values in zip(np.ndindex(rewards.shape[:2]), rewards.reshape([-1, 2]))
    ]
    means = {name: rewards.mean(axis=2) for name, rewards in curves.items()}
    results.save(
        directory, _figure(means), ["method", "seed", "inner_updates", "reward_of_agent_0", "reward_of_agent_1"], rows,
        _text(means),
    )


def _text(means):
    n_seeds, n_links = means["Meta-MAPG"].shape
    shown = [update for update in SHOWN if update < n_links]
    table = [
        [name, *(results.with_interval(values[:, update]) for update in shown), PUBLISHED[name]]
        for name, values in means.items()
    ]
    target = means["Meta-MAPG"][:, 1].mean()
    return (
        results.paragraph(
            "Mean reward per step on held-out tasks by inner updates, mean of both agents ± 95% interval over",
            f"{n_seeds} seeds. Each method is one config:",
            ", ".join(f"`{config}.gin`" for config in METHODS.values()) + ",",
            f"with {n_links - 1} inner updates. The last column is what the published figure shows, in words;",
            "its steps and samples are not known to be those of the configs.",
        )
        + results.markdown_table(["method", *map(str, shown), "published figure"], table)
        + "\n"
        + results.paragraph(
            f"Meta-MAPG has {results.signed(target)} after one inner update.", _needed(means["LOLA-DiCE"], target)
        )
    )


def _needed(values, target):
    """How many updates LOLA takes to reach a reward, for the mean and for the seeds one by one."""
    n_updates = values.shape[1] - 1

    def first(reached):
        return int(np.argmax(reached)) if reached.any() else None

    mean_needs = first(values.mean(axis=0) >= target)
    seeds_need = [first(seed >= target) for seed in values]
    reached = [update for update in seeds_need if update is not None]
    if mean_needs is None:
        text = f"LOLA-DiCE's mean over seeds does not reach that in {n_updates} updates;"
    else:
        text = f"LOLA-DiCE's mean over seeds needs {mean_needs} updates for that;"
    if reached:
        median = int(np.median(reached))
        return f"{text} {len(reached)} of {len(values)} seeds do at some time, after {median} in the median."
    return f"{text} no seed does."


def _figure(means):
    figure, (panel,) = results.new_figure(6.8, 4.0)
    for level, label in ((-1.0, "both cooperate"), (-2.0, "both defect")):
        panel.axhline(level, color="0.5", linewidth=0.8, linestyle=":")
        panel.annotate(
            label, (1.0, level), xycoords=("axes fraction", "data"), xytext=(-4, 3), textcoords="offset points",
            ha="right", fontsize=8, color="0.4",
        )
    for name, values in means.items():
        results.draw_mean(
            panel, range(values.shape[1]), values, name, results.COLOURS[name], marker="o", markersize=3,
            markevery=[update for update in SHOWN if update < values.shape[1]],
        )
    panel.set_xscale("symlog", linthresh=1.0)
    panel.set_xticks([update for update in SHOWN if update < means["Meta-MAPG"].shape[1]])
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.minorticks_off()
    panel.set_xlabel("inner updates (logarithmic beyond 1)")
    panel.set_ylabel("mean reward per step")
    panel.set_ylim(-2.1, -0.9)
    panel.grid(alpha=0.3)
    panel.legend(
        fontsize=8, title="mean and 95% interval over seeds", title_fontsize=8, ncols=len(means),
        loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False,
    )
    return figure
