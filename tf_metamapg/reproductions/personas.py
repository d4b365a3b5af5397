"""What `personas_ipd` and `personas_rps` have in common: meta-agents among agents from a population."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files

# Bindings of each method. The agents that choose no initial policy have one step for the whole chain, the best of
# these in meta-validation.
RATES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
META_AGENTS = {
    "Meta-MAPG": (),
    "Meta-PG": (
        "train.agents = [@MetaPG(), @PolicyGradient()]", "MetaPG.inner_learning_rate = @LearnedRates()",
    ),
}
ORDINARY_AGENTS = {
    "LOLA-DiCE": (
        "train.agents = [@LOLADiCE(), @PolicyGradient()]", "LOLADiCE.assumed_learning_rate = 1.0",
        "LOLADiCE.inner_learning_rate = {}",
    ),
    "naive": (
        "train.agents = [@own/PolicyGradient(), @PolicyGradient()]", "own/PolicyGradient.inner_learning_rate = {}",
    ),
}
METHODS = (*META_AGENTS, *ORDINARY_AGENTS)
HEADER = (
    "policy", "method", "inner_step", "meta_updates", "seconds", "seed", "inner_updates", "average_reward"
)


# What is trained, by what is compared, and for each of these by the inner steps of which the best one counts.
Choices = Mapping[tuple[str, str], Mapping[str, protocols.Run]]


def choices(configs: Mapping[str, str], bindings: Sequence[str] = ()) -> Choices:
    """What is trained, by the policy and the method, and by the inner step; see `reproduce`."""
    return {
        (policy, method): method_runs(policy, config, method, bindings)
        for policy, config in configs.items() for method in METHODS
    }


def all_runs(of: Choices) -> dict[tuple[str, str, str], protocols.Run]:
    """Those of all choices."""
    return {(*key, inner_step): run for key, by_step in of.items() for inner_step, run in by_step.items()}


def reproduce(directory: files.PathLike, configs: Mapping[str, str], bindings: Sequence[str] = ()) -> None:
    """Trains and evaluates all methods with every policy, and writes the results.

    Args:
        directory: where to.
        configs: dict from what the meta-agent's policy is to the name of a gin config.
        bindings: gin bindings that come after those of the protocol.
    """
    rows: list[list[Any]] = []
    for (policy, method), by_step in choices(configs, bindings).items():
        summary, inner_step, seconds = train_and_choose(directory, by_step)
        curves = own_rewards(summary["meta_test"])
        rows.extend(
            [policy, method, inner_step, summary["meta_updates"], f"{seconds:.0f}", seed, update, f"{value:.9g}"]
            for (seed, update), value in np.ndenumerate(curves)
        )
    write(directory, configs, rows)


def write(directory: files.PathLike, configs: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
    """Writes the results: the raw numbers, and the figure and the table that are made of them.

    Args:
        directory: where to.
        configs: see `reproduce`.
        rows: the raw numbers by `HEADER`, numbers or texts, with the rewards of a method in the order of its seeds.
    """
    # By policy and method: what else is said of it, and its curves, [S, L + 1].
    remarks = {(policy, method): others for policy, method, *others, _, _, _ in rows}
    curves = {
        key: np.reshape(
            [float(row[-1]) for row in rows if (row[0], row[1]) == key],
            [-1, 1 + max(int(row[-2]) for row in rows)],
        )
        for key in remarks
    }
    results.save(directory, _figure(curves), HEADER, rows, _text(configs, curves, remarks))


def method_runs(
    policy: str, config: str, method: str, bindings: Sequence[str], rates: Sequence[float] | None = None,
) -> dict[str, protocols.Run]:
    """What is trained for one method, by its inner step, which is 'learned' for a meta-agent.

    Args:
        policy: what the meta-agent's policy is called.
        config: the name of a gin config.
        method: one of `METHODS`.
        bindings: gin bindings that come last.
        rates: inner steps for agents that choose no initial policy; by default `RATES`.
    """
    name = f"{policy}_{method}".lower().replace("-", "_").replace(" ", "_")
    if method in META_AGENTS:
        return {"learned": protocols.Run(name, config, (*META_AGENTS[method], *bindings))}
    return rate_runs(name, config, ORDINARY_AGENTS[method], bindings, RATES if rates is None else rates)


def rate_runs(
    name: str, config: str, templates: Sequence[str], bindings: Sequence[str], rates: Sequence[float]
) -> dict[str, protocols.Run]:
    """Runs of agents that choose no initial policy, by the inner step.

    Args:
        name: of the runs, before the inner step.
        config: the name of a gin config.
        templates: gin bindings with {} where an inner step is to stand.
        bindings: gin bindings that come last.
        rates: inner steps.
    """
    return {
        f"{rate:g}": protocols.Run(
            f"{name}_{rate}", config, (*(template.format(rate) for template in templates), *bindings)
        )
        for rate in rates
    }


def train_and_choose(
    directory: files.PathLike, by_step: Mapping[str, protocols.Run], agents: Sequence[int] = (0,)
) -> tuple[dict[str, Any], str, float]:
    """Trains with each inner step; where there are several, the best in meta-validation counts.

    Args:
        directory: of the reproduction.
        by_step: what is trained, by the inner step.
        agents: indices of those whose mean reward counts.

    Returns:
        (summary, the inner step or 'learned', seconds of all runs that it took).
    """
    summaries = protocols.train(directory, by_step)

    def validated(step: str) -> float:
        curves = protocols.meta_validation_curves(directory, by_step[step], summaries[step])
        return float(area(_mean_over(curves, agents)).mean())

    # What meta-learns has one run, in which it validates itself.
    best = max(by_step, key=validated) if len(by_step) > 1 else next(iter(by_step))
    return summaries[best], best, sum(summary["wall_seconds"] for summary in summaries.values())


def own_rewards(evaluation: Mapping[str, Any], agents: Sequence[int] = (0,)) -> np.ndarray:
    """The mean reward of some agents, by default of the meta-agent: array [S, L + 1]."""
    return _mean_over(np.array(evaluation["average_reward"]), agents)


def area(curves: np.ndarray) -> np.ndarray:
    """Under the curve from the first update on, per update: what the meta-value weighs. [S, L + 1] → [S]."""
    return curves[:, 1:].mean(axis=1)


def _mean_over(rewards, agents):
    return rewards[..., [*agents]].mean(axis=-1)


def _text(configs, curves, remarks):
    n_seeds, n_links = next(iter(curves.values())).shape
    shown = sorted({0, 1, 3, n_links - 1} & set(range(n_links)))
    table = []
    for (policy, method), curve in curves.items():
        inner_step, n_meta_updates, seconds = remarks[policy, method]
        table.append([
            policy, method, results.with_interval(area(curve)),
            *(results.with_interval(curve[:, update]) for update in shown), results.peak(curve),
            f"{inner_step}", f"{n_meta_updates}", f"{seconds} s",
        ])
    return (
        results.paragraph(
            "Mean reward per step of the meta-agent against held-out personas that learn, mean ± 95% interval over",
            f"{n_seeds} seeds, by inner updates of both; the area is the mean from the first update on. Configs:",
            ", ".join(f"`{config}.gin` ({policy})" for policy, config in configs.items()) + ".",
            "LOLA-DiCE and naive agents start from initial policies as they are drawn; their inner step is the best",
            "of", ", ".join(map(str, RATES)), "in meta-validation, and the time is that of all of these.",
            "All seeds meet the same personas, whose choice the intervals leave out; `personas_choice` measures it for",
            "tabular meta-agents. Methods can be compared with each other; policies cannot, as personas learn from",
            "what their config samples, and are measured by it.",
        )
        + results.markdown_table(
            [
                "policy", "method", "area", *map(str, shown), "largest, at update", "inner step", "meta-updates", "time"
            ],
            table,
        )
    )


def _figure(curves):
    policies = list(dict.fromkeys(policy for policy, _ in curves))
    figure, panels = results.new_figure(4.3 * len(policies), 3.6, n_panels=len(policies), sharey=True)
    for panel, policy in zip(panels, policies):
        for method in METHODS:
            values = curves[policy, method]
            results.draw_mean(
                panel, range(values.shape[1]), values, method, results.COLOURS[method], marker="o", markersize=3
            )
        panel.set_title(f"meta-agent: {policy}", fontsize=10)
        panel.set_xlabel("inner updates of both agents")
        panel.yaxis.set_tick_params(labelleft=True)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("the meta-agent's mean reward per step")
    panels[-1].legend(loc="upper right", fontsize=8, title="mean and 95% interval over seeds", title_fontsize=8)
    return figure
