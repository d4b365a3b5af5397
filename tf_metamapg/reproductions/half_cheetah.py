"""Two agents move one cheetah: a meta-agent and teammates that used to run the other way."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_metamapg.reproductions import personas
from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files

# Inner steps of the agents that choose no initial policy; the best in meta-validation is taken.
RATES = (0.0001, 0.001, 0.004)
# What other agents in the place of Meta-MAPG have in common with it, and with their teammates.
SHARED = ("LOLADiCE.assumed_learning_rate = 0.0001", "LOLADiCE.optimizer = @SGD()", "MetaPG.optimizer = @SGD()")
HEADER = ("method", "inner_step", "meta_updates", "seconds", "seed", "inner_updates", "average_reward")


def reproduce(
    directory: files.PathLike, bindings: Sequence[str] = (), teammates_bindings: Sequence[str] = (),
) -> None:
    """Trains teammates and keeps snapshots of them, trains and evaluates all methods, and writes the results.

    Args:
        directory: where to.
        bindings: gin bindings that come after those of `half_cheetah.gin`.
        teammates_bindings: the same of `half_cheetah_teammates.gin`.
    """
    run = protocols.Run("teammates", "half_cheetah_teammates", tuple(teammates_bindings))
    teammates = protocols.train(directory, {run.name: run})[run.name]
    snapshots = run.path(directory) / "snapshots" / "agent_1"
    bindings = (f"Snapshots.directory = {str(snapshots)!r}", *SHARED, *bindings)
    curves, remarks = {}, {}
    for method in personas.METHODS:
        own_runs = personas.method_runs("mlp", "half_cheetah", method, bindings, RATES)
        summary, *others = personas.train_and_choose(directory, own_runs)
        curves[method] = personas.own_rewards(summary["meta_test"])
        remarks[method] = [others[0], summary["meta_updates"], f"{others[1]:.0f}"]
    rows = [
        [method, *remarks[method], seed, update, f"{value:.9g}"]
        for method, rewards in curves.items() for (seed, update), value in np.ndenumerate(rewards)
    ]
    results.save(directory, _figure(curves), HEADER, rows, _text(curves, remarks, teammates))


def _text(curves: Mapping[str, np.ndarray], remarks: Mapping[str, Sequence[Any]], teammates: Mapping[str, Any]) -> str:
    n_seeds, n_links = curves["Meta-MAPG"].shape
    table = [
        [
            method, results.with_interval(personas.area(rewards)),
            *(results.with_interval(rewards[:, update]) for update in range(n_links)), *map(str, remarks[method][:2]),
            f"{remarks[method][2]} s",
        ]
        for method, rewards in curves.items()
    ]
    differences = ", ".join(
        f"{one} less {other} {results.with_interval(personas.area(curves[one]) - personas.area(curves[other]))}"
        for one, other in (("Meta-MAPG", "Meta-PG"), ("Meta-MAPG", "naive"), ("Meta-PG", "naive"))
    )
    backwards = np.mean(teammates["meta_test"]["average_reward"])
    return (
        results.paragraph(
            "Mean reward per step, which both agents share, forwards, with held-out teammates that learn, too;",
            f"mean ± 95% interval over {n_seeds} seeds, by inner updates of both; the area is the mean from the first",
            "update on. Configs: `half_cheetah.gin`, and `half_cheetah_teammates.gin` for the teammates, which are",
            "snapshots of pairs of agents that learned to run backwards. At the end of that they got",
            f"{results.signed(backwards)} per step for it, in {teammates['wall_seconds']:.0f} s.",
            f"Seed by seed, as all methods start from the same policies: {differences}.",
        )
        + results.paragraph(
            "Published: where interests are shared, Meta-MAPG and Meta-PG do equally well, and both do better than",
            "LOLA-DiCE and policy gradient. The rules, γ, λ, L and the kind of actions are those of the protocol of",
            "2021. What differs: K is 32 and T 100 (64 and 200 there), there are far fewer meta-updates and snapshots,",
            "policies are perceptrons with 64 units in place of LSTMs, inner steps are 0.0001 to begin with (0.005",
            "there), and gradients of inner updates are shortened to a norm of 300. LOLA-DiCE and naive agents start",
            "from initial policies as they are drawn; their inner step is the best of", ", ".join(map(str, RATES)),
            "in meta-validation, and the time is that of all of these. All seeds meet the same teammates.",
        )
        + results.markdown_table(
            ["method", "area", *map(str, range(n_links)), "inner step", "meta-updates", "time"], table
        )
    )


def _figure(curves):
    figure, (panel,) = results.new_figure(6.4, 3.6)
    for method, rewards in curves.items():
        colour = results.COLOURS[method]
        panel.plot(rewards.T, color=colour, linewidth=0.5, alpha=0.6)
        panel.plot(rewards.mean(axis=0), color=colour, label=method, marker="o", markersize=3)
    panel.set_xlabel("inner updates of both agents")
    panel.set_ylabel("mean reward per step")
    panel.set_xticks(range(next(iter(curves.values())).shape[1]))
    panel.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8, title="every seed, and the mean", title_fontsize=8)
    return figure
