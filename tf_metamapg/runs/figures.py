"""Figures of results."""

from collections.abc import Mapping
from collections.abc import Sequence
import io

import matplotlib.figure
import matplotlib.ticker
import numpy as np

from tf_metamapg import checks
from tf_metamapg.runs import files
from tf_metamapg.runs import statistics

Figure = matplotlib.figure.Figure


def save_adaptation_figure(
    path: files.PathLike, values: np.ndarray, title: str, agent_names: Sequence[str], what: str = "mean reward per step"
) -> None:
    """Writes what `adaptation_figure` draws as a PNG file."""
    save(path, adaptation_figure(values, title, agent_names, what))


def check_drawable(title: str, agent_names: Sequence[str]) -> None:
    """Draws an empty figure for a trial.

    Raises:
        InvalidInputError: if it cannot be drawn.
    """
    try:
        adaptation_figure(np.zeros([1, 1, len(agent_names)]), title, agent_names).savefig(io.BytesIO(), format="png")
    except Exception as error:  # Such as of what a user's matplotlibrc asks for.
        raise checks.InvalidInputError(f"figure {checks.brief(title)}: cannot be drawn ({error})") from error


def adaptation_figure(
    values: np.ndarray, title: str, agent_names: Sequence[str], what: str = "mean reward per step"
) -> Figure:
    """The curve of Figure 3: mean reward per step, or another mean, against inner updates, one panel per agent.

    Every seed is a faint line, the mean over seeds a strong one, with its 95% interval.

    Args:
        values: array [S, L + 1, n_agents]; NaN, where a metric is not defined, leaves a gap.
        title: what stands above the panels, as it is: dollar signs are no formulas.
        agent_names: one name for each agent.
        what: what the values are.

    Returns:
        Matplotlib figure.
    """
    n_seeds, n_links, n_agents = values.shape
    figure = Figure(figsize=(1.2 + 3.4 * n_agents, 3.6), layout="constrained")
    panels = figure.subplots(1, n_agents, sharex=True, sharey=True, squeeze=False)[0]
    inner_updates = range(n_links)
    mean, half_width = statistics.mean_and_interval(values)
    for agent_index, panel in enumerate(panels):
        panel.plot(inner_updates, values[:, :, agent_index].T, color="0.6", linewidth=0.6, alpha=0.6)
        panel.plot([], [], color="0.6", linewidth=0.6, label="each seed")
        panel.fill_between(
            inner_updates,
            (mean - half_width)[:, agent_index],
            (mean + half_width)[:, agent_index],
            color="C0", alpha=0.3, linewidth=0, label="95% interval of the mean",
        )
        panel.plot(
            inner_updates, mean[:, agent_index], color="C0", marker="o", markersize=4 if n_links <= 20 else 0,
            label=f"mean of {n_seeds} seeds",
        )
        panel.set_title(f"agent {agent_index}: {agent_names[agent_index]}", fontsize=10, parse_math=False)
        panel.set_xlabel("inner updates")
        panel.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel(what)
    panels[0].legend(fontsize=8)
    figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def save(path: files.PathLike, figure: Figure) -> None:
    """Writes a figure as a PNG file."""
    with files.atomic(path) as aside:
        figure.savefig(aside, format="png", dpi=150)


def comparison_figure(curves: Mapping[str, np.ndarray], title: str, ylabel: str, xlabel: str) -> Figure:
    """Curves of several runs in one panel: means over seeds with 95% intervals.

    Args:
        curves: {name: array [S, x]}.
        title: what stands above it.
        ylabel: what the values are.
        xlabel: what is counted from 0.

    Returns:
        Matplotlib figure.
    """
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    panel = figure.subplots()
    for name, values in curves.items():
        mean, half_width = statistics.mean_and_interval(values)
        x = np.arange(len(mean))
        (line,) = panel.plot(x, mean, marker="o", markersize=4 if len(x) <= 20 else 0, label=name.replace("$", r"\$"))
        panel.fill_between(x, mean - half_width, mean + half_width, color=line.get_color(), alpha=0.2, linewidth=0)
    panel.set_xlabel(xlabel)
    panel.set_ylabel(ylabel)
    panel.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8, title="mean and 95% interval over seeds", title_fontsize=8)
    panel.set_title(title, fontsize=11, parse_math=False)
    return figure


def heat_map(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], *, title: str, row_label: str, column_label: str,
    value_label: str,
) -> Figure:
    """A table as colours, with the numbers in it.

    Args:
        values: array [rows, columns].
        rows, columns: their names.
        title: what stands above it.
        row_label, column_label, value_label: what rows, columns and values are.

    Returns:
        Matplotlib figure.
    """
    figure = Figure(figsize=(4.0 + 0.62 * len(columns), 3.2 + 0.42 * len(rows)), layout="constrained")
    panel = figure.subplots()
    image = panel.imshow(values, aspect="auto", cmap="viridis")
    panel.set_xticks(range(len(columns)), columns, rotation=45, ha="right", fontsize=8, parse_math=False)
    panel.set_yticks(range(len(rows)), rows, fontsize=8, parse_math=False)
    panel.set_xlabel(column_label, fontsize=9)
    panel.set_ylabel(row_label, fontsize=9)
    middle = (np.nanmin(values) + np.nanmax(values)) / 2.0
    for (row, column), value in np.ndenumerate(values):
        text = "" if np.isnan(value) else f"{value:.2f}".replace("-", "−")
        panel.text(column, row, text, ha="center", va="center", fontsize=7, color="w" if value < middle else "k")
    figure.colorbar(image).set_label(value_label, fontsize=9)
    panel.set_title(title, fontsize=11, parse_math=False)
    return figure
