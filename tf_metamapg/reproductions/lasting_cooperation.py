"""How long cooperation lasts between two meta-agents, by how many inner updates they are trained for."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_metamapg import configs
from tf_metamapg import gin_reader
from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files
from tf_metamapg.runs.settings import Stage

CONFIG = "ipd_lasting"


KINDS = {"exact": (), "sampled": ("train.estimator = @LoadedDiceEstimator", "IteratedMatrixGame.dtype = 'float32'")}
INNER_STEPS = (2.0, 0.5)
SHOWN = (1, 10, 25, 50, 100)
COLOURS = ("C7", "C1", "C2", "C4", "C0")


def reproduce(
    directory: files.PathLike, kinds: Sequence[str] = tuple(KINDS), inner_steps: Sequence[float] = INNER_STEPS,
    stages: Sequence[Stage] | None = None, bindings: Sequence[str] = (),
) -> None:
    """Trains all stages, or those that have not been trained yet, and writes the results.

    Args:
        directory: where to; the runs are kept beside the results.
        kinds: which of `KINDS`.
        inner_steps: α of all agents.
        stages: one after the other, each as a run of its own; by default those of the config.
        bindings: gin bindings that come after those of the protocol.
    """
    if stages is None:
        stages = configs.Config([gin_reader.SHIPPED / f"{CONFIG}.gin"], [], None).experiment.stages
    summaries: dict[tuple[str, float, int], dict[str, Any]] = {}
    for kind in kinds:
        for inner_step in inner_steps:
            started_from = None
            for stage in stages:
                name = f"{kind}_{inner_step:g}_{stage.chain_length}"
                run = protocols.Run(name, CONFIG, (
                    "train.earlier_stages = []", f"train.chain_length = {stage.chain_length}",
                    f"train.n_meta_updates = {stage.n_meta_updates}",
                    f"train.meta_learning_rate = {stage.meta_learning_rate}",
                    f"MetaMAPG.inner_learning_rate = {inner_step}", f"train.init_from = {started_from!r}",
                    *KINDS[kind], *bindings,
                ))
                summaries |= protocols.train(directory, {(kind, inner_step, stage.chain_length): run})
                started_from = str(run.path(directory))
    curves = protocols.meta_test_curves(summaries)
    rows = [
        [kind, inner_step, length, seed, update, *(f"{value:.9g}" for value in rewards[seed, update])]
        for (kind, inner_step, length), rewards in curves.items() for seed, update in np.ndindex(rewards.shape[:2])
    ]
    header = [
        "values", "inner_step", "trained_for", "seed", "inner_updates", "reward_of_agent_0", "reward_of_agent_1",
    ]
    means = {key: rewards.mean(axis=2) for key, rewards in curves.items()}
    results.save(directory, _figure(means), header, rows, _text(means, stages))


def _text(means, stages):
    n_seeds, n_links = next(iter(means.values())).shape
    shown = [update for update in SHOWN if update < n_links]
    table = []
    for (kind, inner_step, length), values in means.items():
        over_chain = values[:, 1:].mean(axis=1)
        table.append([
            kind, f"{inner_step:g}", str(length), *(results.with_interval(values[:, update]) for update in shown),
            results.with_interval(over_chain), results.signed(over_chain.min()),
        ])
    return (
        results.paragraph(
            "Two Meta-MAPG agents learn initial policies; then both make naive updates of a fixed size on held-out",
            f"tasks. Mean reward per step of both after some of these, ± 95% interval over {n_seeds} seeds; mutual",
            "cooperation pays −1 and mutual defection −2. A row starts from what did best in meta-validation in the",
            f"row before it; meta-updates: {', '.join(str(stage.n_meta_updates) for stage in stages)}. How long the",
            "stages are, and how fast they learn, was chosen by one trial with eight of the seeds, exact and with",
            f"steps of 2. `{CONFIG}.gin` has all stages in one run.",
        )
        + results.markdown_table(
            ["values", "inner step", "trained for", *(f"after {update}" for update in shown),
             f"mean of 1 to {n_links - 1}", "worst seed"],
            table,
        )
    )


def _figure(means):
    panels_of = list(dict.fromkeys((kind, inner_step) for kind, inner_step, _ in means))
    figure, panels = results.new_figure(3.6 * len(panels_of) + 0.6, 3.8, n_panels=len(panels_of), sharey=True)
    for panel, (kind, inner_step) in zip(panels, panels_of):
        own = [(length, values) for (*which, length), values in means.items() if which == [kind, inner_step]]
        for colour, (length, values) in zip(COLOURS, own):
            results.draw_mean(panel, range(values.shape[1]), values, str(length), colour)
        panel.set_title(f"{kind}, inner steps of {inner_step:g}", fontsize=10)
        panel.set_xlabel("inner updates")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("mean reward per step")
    panels[0].legend(fontsize=8, title="trained for\n(mean, 95% interval)", title_fontsize=8)
    return figure
