"""What a reproduction leaves: a figure, the raw numbers behind it, and a table beside the published figures."""

from collections.abc import Mapping
from collections.abc import Sequence
import csv
import pathlib
import textwrap
from typing import Any

import matplotlib.figure
import numpy as np

from tf_metamapg.runs import files
from tf_metamapg.runs import statistics

# The same agent has the same colour in every figure.
COLOURS = {
    "naive": "C7", "LookAhead": "C4", "LOLA (a)": "C1", "LOLA (b)": "C5", "LOLA-DiCE": "C1", "SOS": "C2",
    "Meta-PG": "C3", "Meta-MAPG": "C0", "extragradient": "C6", "consensus": "C8", "symplectic": "C9",
    "competitive": "black", "HOLA": "gold", "POLA": "navy",
    "alignment": "C2", "Advantage Alignment": "C2", "LOQA": "C4",
}


def new_figure(
    width: float, height: float, n_panels: int = 1, **subplots: Any
) -> tuple[matplotlib.figure.Figure, np.ndarray]:
    """A figure and its panels, side by side; sizes in inches."""
    figure = matplotlib.figure.Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, n_panels, squeeze=False, **subplots)[0]


def meta_training_figure(
    by_case: Mapping[str, np.ndarray], labels: Mapping[str, tuple[str, str]]
) -> matplotlib.figure.Figure:
    """A panel for each case, of what two agents get in meta-training.

    Args:
        by_case: arrays [S, meta-updates, 2].
        labels: what the agents are called, by case.
    """
    figure, panels = new_figure(11.0, 3.6, len(by_case), sharey=True)
    for panel, (name, training) in zip(panels, by_case.items()):
        for agent_index, (label, colour) in enumerate(zip(labels[name], ("C0", COLOURS["naive"]))):
            values = training[:, :, agent_index]
            draw_mean(panel, range(1, values.shape[1] + 1), values, label, colour)
        panel.set_title(name, fontsize=9)
        panel.set_xlabel("meta-updates")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    panels[0].set_ylabel("mean reward per step")
    return figure


def label_learning_curves(panel: matplotlib.axes.Axes) -> None:
    """The axes and the legend of mean rewards against updates."""
    panel.set_xlabel("updates")
    panel.set_ylabel("mean reward per step")
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8, title="mean and 95% interval", title_fontsize=8)


def save(
    directory: files.PathLike, figure: matplotlib.figure.Figure, header: Sequence[str], rows: Sequence[Sequence[Any]],
    text: str, drawn: Mapping[str, Sequence[Sequence[Any]]] | None = None,
) -> None:
    """Writes everything; a file appears whole or not at all.

    Args:
        directory: where to.
        figure: a matplotlib figure.
        header: the names of the columns of the raw numbers.
        rows: the raw numbers, one row per seed or run.
        text: Markdown, the table and what it says.
        drawn: raw numbers that the figure alone shows, by names of files: the names of columns, and rows.
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with files.atomic(directory / "figure.png") as aside:
        figure.savefig(aside, format="png", dpi=150)
    for name, table in {**(drawn or {}), "numbers.csv": [header, *rows]}.items():
        with files.atomic(directory / name) as aside:
            with open(aside, "w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows(table)
    files.write_text(directory / "table.md", text)


def paragraph(*sentences: str) -> str:
    """Sentences as a paragraph of Markdown."""
    return textwrap.fill(" ".join(sentences), 110) + "\n\n"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of texts."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def with_interval(values: np.ndarray) -> str:
    """'mean ± half-width of the 95% interval' of values [S], as text."""
    mean, half_width = statistics.mean_and_interval(values)
    return f"{signed(float(mean))} ± {half_width:.3f}"


def peak(curves: np.ndarray) -> str:
    """Where the mean over seeds of curves [S, x] is largest, as text: 'largest mean at index'."""
    mean = curves.mean(axis=0)
    return f"{signed(mean.max())} at {mean.argmax()}"


def signed(value: float) -> str:
    """A number with a true minus sign, as text."""
    return f"{value:.3f}".replace("-", "−")


def draw_mean(
    panel: matplotlib.axes.Axes, x: Sequence[float] | np.ndarray, values: np.ndarray, label: str, colour: str,
    **line: Any,
) -> None:
    """The mean over seeds of values [S, x], with its 95% interval."""
    mean, half_width = statistics.mean_and_interval(values)
    panel.fill_between(x, mean - half_width, mean + half_width, color=colour, alpha=0.25, linewidth=0)
    panel.plot(x, mean, color=colour, label=label, **line)
