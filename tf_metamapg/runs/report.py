"""What a person sees when a run has ended."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_metamapg.runs import statistics
from tf_metamapg.runs.run_directory import RunDirectory

# Which inner updates of a long chain a table shows, beside the last.
_SHOWN = (0, 1, 2, 3, 4, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000)


def text(directory: RunDirectory, summary: dict[str, Any], compared: Sequence[int]) -> str:
    """The results of a run, and where they are.

    Args:
        directory: the `RunDirectory`.
        summary: see `experiment.train`.
        compared: indices of the agents by whose mean seeds are compared.

    Returns:
        lines of text.
    """
    titles = {name: f"Mean of {name} per step" for name in summary["meta_test"]}
    titles["average_reward"] = "Mean reward per step"
    tables = "\n\n".join(
        f"{titles[name]} on held-out tasks, mean and 95% interval over {summary['n_seeds']} seeds:\n\n"
        + adaptation_table(np.array(values), summary["agent"], compared)
        for name, values in summary["meta_test"].items()
    )
    xla = "compiled with XLA" if summary["jit_compile"] else "not compiled with XLA"
    updates = (
        f"{summary['meta_updates']} meta-updates" if "meta_validation" in summary
        else f"{len(summary['meta_test']['average_reward'][0]) - 1} inner updates"
    )
    return f"""
{tables}

{updates}, {summary['wall_seconds']:.0f} s, {xla}. Where everything is:
  figure            {directory.adaptation_figure}
  numbers           {directory.summary}
  metrics           {directory.metrics}, tensorboard --logdir={directory.events}
{_policies(directory, summary)}
  config, versions  {directory.config}, {directory.run_info}"""


def _policies(directory, summary):
    """Where exported policies are: lines of text."""
    seed, is_meta = summary["exported_seed"], "meta_validation" in summary
    if seed is None:
        return "  initial policies  none, as all agents have populations"
    chosen = "the best in meta-validation" if is_meta else "the best at the end"
    written = [("initial policies", directory.initial_policies)] if is_meta else []
    if summary["exported_tasks"]:
        written.append(("adapted policies", directory.adapted_policies))
    return "\n".join(f"  {what}  {path}, of seed {seed}, {chosen}" for what, path in written)


def adaptation_table(values: np.ndarray, agent_names: Sequence[str], compared: Sequence[int]) -> str:
    """A table of means per inner update, as text; of long chains not every one is shown.

    Args:
        values: array [S, L + 1, n_agents].
        agent_names: one name for each agent.
        compared: indices of the agents by whose mean seeds are compared.

    Returns:
        lines of text: mean and half-width of its 95% interval over seeds, for each agent and, if there are
        several, for the mean of those compared; and the least of that over seeds.
    """
    mean_of_compared = values[..., compared].mean(axis=-1)
    columns = [*np.moveaxis(values, -1, 0)]
    names = [f"agent {index}: {name}" for index, name in enumerate(agent_names)]
    if len(compared) > 1:
        columns.append(mean_of_compared)
        names.append("mean of all agents" if len(compared) == len(agent_names) else "mean of meta-agents")
    mean, half_width = statistics.mean_and_interval(np.stack(columns, axis=-1))
    names.append("worst seed" if len(compared) > 1 else f"agent {compared[0]}, worst seed")
    lines = ["inner updates  " + "  ".join(f"{name:>18}" for name in names)]
    for link in sorted({*_SHOWN, len(mean) - 1} & set(range(len(mean)))):
        cells = [f"{value:+.3f} ± {half:.3f}" for value, half in zip(mean[link], half_width[link])]
        cells.append(f"{mean_of_compared[:, link].min():+.3f}")
        lines.append(f"{link:>13}  " + "  ".join(f"{cell:>{max(len(name), 18)}}" for cell, name in zip(cells, names)))
    return "\n".join(lines)
