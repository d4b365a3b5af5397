"""How much it matters which personas there are: tabular meta-agents, trained and tested with other populations."""

from collections.abc import Sequence
import itertools

import numpy as np

from tf_metamapg.reproductions import personas
from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files

CONFIGS = {"prisoner's dilemma": "personas_ipd_tabular", "rock-paper-scissors": "personas_rps_tabular"}

N_POPULATIONS, N_SEEDS = 10, 4


def runs(
    n_populations: int = N_POPULATIONS, n_seeds: int = N_SEEDS, bindings: Sequence[str] = ()
) -> dict[tuple[str, str, int], protocols.Run]:
    """What is trained, by the game, the method and the population; see `reproduce`."""
    found = {}
    for game, config in CONFIGS.items():
        for method, population in itertools.product(personas.META_AGENTS, range(n_populations)):
            [found[game, method, population]] = personas.method_runs(
                f"{config}_{population}", config, method,
                (f"Personas.seed = {population}", f"train.n_seeds = {n_seeds}", *bindings),
            ).values()
    return found


def reproduce(
    directory: files.PathLike, n_populations: int = N_POPULATIONS, n_seeds: int = N_SEEDS, bindings: Sequence[str] = ()
) -> None:
    """Trains and evaluates both meta-agents with every population, and writes the results.

    Args:
        directory: where to.
        n_populations: how many sets of personas to train, validate and test with, ≥ 2.
        n_seeds: seeds of each run, whose mean is taken.
        bindings: gin bindings that come last.
    """
    summaries = protocols.train(directory, runs(n_populations, n_seeds, bindings))
    # Means over seeds of what the meta-agent gets before and after each update: [populations, L + 1].
    curves = {
        (game, method): np.array([
            personas.own_rewards(summaries[game, method, population]["meta_test"]).mean(axis=0)
            for population in range(n_populations)
        ])
        for game in CONFIGS for method in personas.META_AGENTS
    }
    rows = [
        [game, method, population, update, f"{value:.9g}"]
        for (game, method), by_population in curves.items()
        for (population, update), value in np.ndenumerate(by_population)
    ]
    results.save(
        directory, _figure(curves), ["game", "method", "population", "inner_updates", "average_reward"], rows,
        _text(curves, n_seeds),
    )


def _text(curves, n_seeds):
    table = []
    for game in CONFIGS:
        areas = {method: personas.area(curves[game, method]) for method in personas.META_AGENTS}
        areas["Meta-MAPG less Meta-PG"] = areas["Meta-MAPG"] - areas["Meta-PG"]
        for name, by_population in areas.items():
            table.append([
                game, name, results.with_interval(by_population), f"{by_population.std(ddof=1):.3f}",
                f"{results.signed(by_population.min())} to {results.signed(by_population.max())}",
                results.peak(curves[game, name]) if (game, name) in curves else "",
            ])
    n_populations = len(next(iter(curves.values())))
    return (
        results.paragraph(
            f"As `personas_ipd` and `personas_rps`, tabular policies alone, with {n_populations} populations",
            f"(`Personas.seed` = 0 … {n_populations - 1}). A meta-agent is trained, validated and",
            "tested anew with each. The area under its curve, mean ± 95% interval over populations, each the mean of",
            f"{n_seeds} seeds; then the standard deviation, and the least and the largest of the populations.",
        )
        + results.markdown_table(
            ["game", "method", "area", "standard deviation", "range", "largest, at update"], table
        )
    )


def _figure(curves):
    figure, panels = results.new_figure(4.3 * len(CONFIGS), 3.6, n_panels=len(CONFIGS))
    for panel, game in zip(panels, CONFIGS):
        for method in personas.META_AGENTS:
            values, colour = curves[game, method], results.COLOURS[method]
            panel.plot(values.T, color=colour, linewidth=0.5, alpha=0.6)

            panel.plot(values.mean(axis=0), color=colour, label=method)
        panel.set_title(game, fontsize=10)
        panel.set_xlabel("inner updates of both agents")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("the meta-agent's mean reward per step")
    panels[0].legend(fontsize=8, title="every population, and the mean", title_fontsize=8)
    return figure
