"""What a person sees when a run has ended."""

from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
from typing import Any

import numpy as np

from tf_metamapg.runs import statistics
from tf_metamapg.runs import terminal
from tf_metamapg.runs.run_directory import RunDirectory

# What rewards are called among results, beside the names of metrics.
REWARD = "average_reward"
# Which inner updates of a long chain a table shows, beside the last.
_SHOWN = (0, 1, 2, 3, 4, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000)


def parts(
    directory: RunDirectory, summary: dict[str, Any], compared: Sequence[int], exported: Mapping[str, pathlib.Path]
) -> list[str | terminal.Table]:
    """The results of a run, and where they are.

    Args:
        directory: the `RunDirectory`.
        summary: see `experiment.train`.
        compared: indices of the agents by whose mean seeds are compared.
        exported: see `exports.places`.

    Returns:
        what `terminal.report` prints.
    """
    tables: list[str | terminal.Table] = []
    for name, values in summary["meta_test"].items():
        table = adaptation_table(name, np.array(values, np.float64), summary["agent"], compared)
        tables += [f"\n{table_title(name, summary['n_seeds'])}:\n\n", table, "\n"]
    return [*tables, f"""
{effort(summary)}. Where everything is:
  report            {directory.report}
  figure            {directory.adaptation_figure}
  numbers           {directory.summary}
  metrics           {directory.metrics}, tensorboard --logdir={directory.events}
{_exported(exported, summary)}
  config, versions  {directory.config}, {directory.run_info}"""]


def table_title(name: str, n_seeds: int) -> str:
    """What a table of `average_reward` or of a metric is of, in words."""
    what = "Mean reward" if name == REWARD else f"Mean of {name}"
    return f"{what} per step on held-out tasks, mean and 95% interval over {n_seeds} seeds"


def effort(summary: dict[str, Any]) -> str:
    """What a run has taken, in words."""
    xla = "compiled with XLA" if summary["jit_compile"] else "not compiled with XLA"
    n_updates, what = summary["meta_updates"], "meta-update"
    if "meta_validation" not in summary:
        n_updates, what = len(summary["meta_test"][REWARD][0]) - 1, "inner update"
    return f"{n_updates} {what}{'s' * (n_updates != 1)}, {summary['wall_seconds']:.0f} s, {xla}"


def _exported(exported, summary):
    """Where exported policies are: lines of text."""
    chosen = "the best in meta-validation" if "meta_validation" in summary else "the best at the end"
    return "\n".join(
        f"  {what:<16}  {path}, of seed {summary['exported_seed']}, {chosen}" for what, path in exported.items()
    ) or "  policies          none, as all agents have populations"


def adaptation_table(
    name: str, values: np.ndarray, agent_names: Sequence[str], compared: Sequence[int]
) -> terminal.Table:
    """A table of means per inner update; see `adaptation_rows`."""
    header, *rows = adaptation_rows(name, values, agent_names, compared)
    widths = [len(header[0]), *(max(len(name), 18) for name in header[1:])]
    lines = ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths)) for row in (header, *rows)]
    return terminal.Table("\n".join(lines), header, rows, is_ranked=name == REWARD)


def adaptation_rows(
    name: str, values: np.ndarray, agent_names: Sequence[str], compared: Sequence[int]
) -> list[list[str]]:
    """Means per inner update; of long chains not every one is shown.

    Args:
        name: `REWARD`, or a metric's, of which nobody knows whether more of it is better.
        values: array [S, L + 1, n_agents], NaN where a metric is not defined.
        agent_names: one name for each agent.
        compared: indices of the agents by whose mean seeds are compared.

    Returns:
        texts: what columns are, and rows, with the number of inner updates, mean and half-width of its 95% interval
        over seeds, for each agent and, if there are several, for the mean of those compared; and the least of that over
        seeds.
    """
    mean_of_compared = statistics.mean(values[..., compared], axis=-1)
    columns = [*np.moveaxis(values, -1, 0)]
    names = [f"agent {index}: {name}" for index, name in enumerate(agent_names)]
    if len(compared) > 1:
        columns.append(mean_of_compared)
        names.append("mean of all agents" if len(compared) == len(agent_names) else "mean of meta-agents")
    mean, half_width = statistics.mean_and_interval(np.stack(columns, axis=-1))
    least = "worst seed" if name == REWARD else "least of seeds"
    names.append(least if len(compared) > 1 else f"agent {compared[0]}, {least}")
    rows = [["inner updates", *names]]
    for link in sorted({*_SHOWN, len(mean) - 1} & set(range(len(mean)))):
        cells = [f"{value:+.3f} ± {half:.3f}" for value, half in zip(mean[link], half_width[link])]
        cells.append(f"{np.fmin.reduce(mean_of_compared[:, link]):+.3f}")
        rows.append([str(link), *("not defined" if cell.startswith("+nan") else cell for cell in cells)])
    return rows
