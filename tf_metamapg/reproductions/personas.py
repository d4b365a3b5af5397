"""What `personas_ipd` and `personas_rps` have in common: meta-agents among learners from a population."""

import numpy as np

from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results

# Bindings of each method. The learners that choose no initial policy have one step for the whole chain, the best of
# these in meta-validation.
RATES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
META_AGENTS = {
    "Meta-MAPG": (),
    "Meta-PG": (
        "train.agents = [@MetaPG(), @PolicyGradient()]", "MetaPG.inner_learning_rate = %first_inner_learning_rate",
        "MetaPG.learn_inner_learning_rates = True",
    ),
}
LEARNERS = {
    "LOLA-DiCE": (
        "train.agents = [@LOLADiCE(), @PolicyGradient()]", "LOLADiCE.assumed_learning_rate = 1.0",
        "LOLADiCE.inner_learning_rate = {}",
    ),
    "naive": (
        "train.agents = [@own/PolicyGradient(), @PolicyGradient()]", "own/PolicyGradient.inner_learning_rate = {}",
    ),
}
METHODS = (*META_AGENTS, *LEARNERS)


def reproduce(directory, configs, bindings=()):
    """Trains and evaluates all methods with every policy, and writes the results.

    Args:
        directory: where to.
        configs: dict from what the meta-agent's policy is to the name of a gin config.
        bindings: gin bindings that come after those of the protocol.
    """
    outcomes = {
        (policy, method): _outcome(directory, policy, config, method, bindings)
        for policy, config in configs.items() for method in METHODS
    }
    curves = {key: _own(summary["meta_test"]) for key, (summary, *_) in outcomes.items()}
    rows = [
        [policy, method, seed, update, f"{of_method[seed, update]:.9g}"]
        for (policy, method), of_method in curves.items() for seed, update in np.ndindex(of_method.shape)
    ]
    results.save(
        directory, _figure(curves), ["policy", "method", "seed", "inner_updates", "average_reward"], rows,
        _text(configs, curves, outcomes),
    )


def _outcome(directory, policy, config, method, bindings):
    """(summary, how the inner step was found, seconds of all runs)."""
    name = f"{policy}_{method}".lower().replace("-", "_").replace(" ", "_")
    if method in META_AGENTS:
        summary = protocols.train_config(directory, name, config, (*META_AGENTS[method], *bindings))
        return summary, "learned", summary["wall_seconds"]
    summaries = {
        rate: protocols.train_config(
            directory, f"{name}_{rate}", config,
            (*(binding.format(rate) for binding in LEARNERS[method]), "train.n_meta_updates = 0", *bindings),
        )
        for rate in RATES
    }
    best = max(RATES, key=lambda rate: _area(_own(summaries[rate]["meta_validation"])).mean())
    return summaries[best], f"{best:g}", sum(summary["wall_seconds"] for summary in summaries.values())


def _own(evaluation):
    """The average reward of the meta-agent: array [S, L + 1]."""
    return np.array(evaluation["average_reward"])[:, :, 0]


def _area(curves):
    """Under the curve from the first update on, per update: what the meta-value weighs. [S, L + 1] → [S]."""
    return curves[:, 1:].mean(axis=1)


def _text(configs, curves, outcomes):
    n_seeds, n_links = next(iter(curves.values())).shape
    shown = sorted({0, 1, 3, n_links - 1} & set(range(n_links)))
    table = []
    for (policy, method), of_method in curves.items():
        summary, inner_step, seconds = outcomes[policy, method]
        table.append([
            policy, method, results.with_interval(_area(of_method)),
            *(results.with_interval(of_method[:, update]) for update in shown), inner_step,
            f"{summary['meta_updates']}", f"{seconds:.0f} s",
        ])
    return (
        results.paragraph(
            "Average reward per step of the meta-agent against held-out personas that learn, mean ± 95% interval over",
            f"{n_seeds} seeds, by inner updates of both; the area is the mean from the first update on. Configs:",
            ", ".join(f"`{config}.gin` ({policy})" for policy, config in configs.items()) + ".",
            "LOLA-DiCE and naive learners start from initial policies as they are drawn; their inner step is the best",
            "of", ", ".join(map(str, RATES)), "in meta-validation, and the time is that of all of these.",
            "All seeds meet the same personas, whose choice the intervals leave out. Methods can be compared with each",
            "other; policies cannot, as personas learn from what their config samples, and are measured by it.",
        )
        + results.markdown_table(
            ["policy", "method", "area", *map(str, shown), "inner step", "meta-updates", "time"], table
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
    panels[0].set_ylabel("the meta-agent's average reward per step")
    panels[-1].legend(loc="upper right", fontsize=8, title="mean and 95% interval over seeds", title_fontsize=8)
    return figure
