"""Figures of results."""

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
    path: files.PathLike, mean_reward: np.ndarray, title: str, agent_names: Sequence[str]
) -> None:
    """Writes what `adaptation_figure` draws as a PNG file."""
    figure = adaptation_figure(mean_reward, title, agent_names)
    with files.atomic(path) as aside:
        figure.savefig(aside, format="png", dpi=150)


def check_drawable(title: str, agent_names: Sequence[str]) -> None:
    """Draws an empty figure for a trial.

    Raises:
        InvalidInputError: if it cannot be drawn.
    """
    try:
        adaptation_figure(np.zeros([1, 1, len(agent_names)]), title, agent_names).savefig(io.BytesIO(), format="png")
    except Exception as error:  # Such as of what a user's matplotlibrc asks for.
        raise checks.InvalidInputError(f"figure {checks.brief(title)}: cannot be drawn ({error})") from error


def adaptation_figure(mean_reward: np.ndarray, title: str, agent_names: Sequence[str]) -> Figure:
    """The curve of Figure 3: mean reward per step against inner updates, one panel per agent.

    Every seed is a faint line, the mean over seeds a strong one, with its 95% interval.

    Args:
        mean_reward: array [S, L + 1, n_agents].
        title: what stands above the panels, as it is: dollar signs are no formulas.
        agent_names: one name for each agent.

    Returns:
        Matplotlib figure.
    """
    n_seeds, n_links, n_agents = mean_reward.shape
    figure = Figure(figsize=(1.2 + 3.4 * n_agents, 3.6), layout="constrained")
    panels = figure.subplots(1, n_agents, sharex=True, sharey=True, squeeze=False)[0]
    inner_updates = range(n_links)
    mean, half_width = statistics.mean_and_interval(mean_reward)
    for agent_index, panel in enumerate(panels):
        panel.plot(inner_updates, mean_reward[:, :, agent_index].T, color="0.6", linewidth=0.6, alpha=0.6)
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
    panels[0].set_ylabel("mean reward per step")
    panels[0].legend(fontsize=8)
    figure.suptitle(title, fontsize=11, parse_math=False)
    return figure
