"""Figures of results."""

import matplotlib.figure
import matplotlib.ticker

from tf_metamapg import files
from tf_metamapg import statistics


def save_adaptation_figure(path, average_reward, title, agent_names):
    """The curve of Figure 3: average reward per step against inner updates, one panel per agent.

    Every seed is a faint line, the mean over seeds a strong one, with its 95% interval.

    Args:
        path: where the PNG file goes.
        average_reward: array [S, L + 1, n_agents].
        title: what stands above the panels.
        agent_names: one name for each agent.
    """
    n_seeds, n_links, n_agents = average_reward.shape
    figure = matplotlib.figure.Figure(figsize=(1.2 + 3.4 * n_agents, 3.6), layout="constrained")
    panels = figure.subplots(1, n_agents, sharex=True, sharey=True, squeeze=False)[0]
    inner_updates = range(n_links)
    mean, half_width = statistics.mean_and_interval(average_reward)
    for agent_index, panel in enumerate(panels):
        panel.plot(inner_updates, average_reward[:, :, agent_index].T, color="0.6", linewidth=0.6, alpha=0.6)
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
        panel.set_title(f"agent {agent_index}: {agent_names[agent_index]}", fontsize=10)
        panel.set_xlabel("inner updates")
        panel.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("average reward per step")
    panels[0].legend(fontsize=8)
    figure.suptitle(title, fontsize=11, parse_math=False)
    with files.written_aside(path) as aside:
        figure.savefig(aside, format="png", dpi=150)
