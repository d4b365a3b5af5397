"""How many trajectories each estimator needs, for gradients of first and second order and for meta-gradients."""

from collections.abc import Callable
from collections.abc import Sequence
import functools

import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import contracts
from tf_metamapg.agents import game_jacobian
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.critics.baselines import LeaveOneOutBaseline
from tf_metamapg.critics.baselines import NoBaseline
from tf_metamapg.estimators.dice import DiceEstimator
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.numerics import random
from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files
from tf_metamapg.runs import progress

ESTIMATORS: dict[str, Callable[..., contracts.PlayingEstimator]] = {
    "score function": functools.partial(ScoreFunctionEstimator, critic=LeaveOneOutBaseline),
    "DiCE": functools.partial(DiceEstimator, critic=NoBaseline),
    "DiCE with its baseline": functools.partial(DiceEstimator, critic=LeaveOneOutBaseline),
    "Loaded DiCE": functools.partial(LoadedDiceEstimator, critic=LeaveOneOutBaseline),
}
COLOURS = dict(zip(ESTIMATORS, ("C7", "C3", "C1", "C0")))
# First- and second-order estimates are means over independent batches of so many trajectories.
BATCH = 100
TARGET_COSINE = 0.95


def reproduce(
    directory: files.PathLike, n_policies: int = 5, n_samples: int = 100_000, n_draws: int = 10,
    meta_sample_sizes: Sequence[int] = (64, 256, 1024, 4096, 16384, 65536), horizon: int = 150,
    jit_compile: bool = True,
) -> None:
    """Measures all estimators and writes the results.

    Args:
        directory: where to.
        n_policies: random joint policies at which first- and second-order gradients are compared.
        n_samples: trajectories of the largest first- and second-order estimates, a multiple of `BATCH`.
        n_draws: random joint policies at which meta-gradients are compared, ≥ 2.
        meta_sample_sizes: K of the meta-gradients, increasing.
        horizon: T.
        jit_compile: whether XLA compiles what samples.
    """
    n_batches = n_samples // BATCH
    sizes = [size for size in (1, 3, 10, 30, 100, 300, 1000) if size <= n_batches]
    bar = progress.Bar(len(ESTIMATORS) + (len(ESTIMATORS) - 1) * len(meta_sample_sizes), what="measurement")
    correlations, cosines = {}, {}  # [policy, order, size]; [draw, size]
    exact = _derivatives(ExactEstimator, n_policies, n_batches=1, jit_compile=False)[:, 0]
    for name, make_estimator in ESTIMATORS.items():
        make_estimator = functools.partial(make_estimator, n_trajectories=BATCH, horizon=horizon)
        batches = _derivatives(make_estimator, n_policies, n_batches, jit_compile)
        correlations[name] = np.array([
            [_correlations(batches[policy, :size].mean(axis=0), exact[policy]) for size in sizes]
            for policy in range(n_policies)
        ]).swapaxes(1, 2)
        bar.step(f"{name}, first and second order")
    exact_meta = _meta_gradients(ExactEstimator, n_draws, jit_compile=False)
    for name, make_estimator in ESTIMATORS.items():
        if name == "score function":
            continue  # Its meta-gradient is that of sampled inner updates, another objective.
        by_size = []
        for size in meta_sample_sizes:
            sampled = _meta_gradients(
                functools.partial(make_estimator, n_trajectories=size, horizon=horizon), n_draws, jit_compile
            )
            by_size.append(_cosines(sampled, exact_meta))
            bar.step(f"{name}, meta-gradient, K = {size}: mean cosine {by_size[-1].mean():.3f}")
        cosines[name] = np.stack(by_size, axis=1)
    bar.close()
    sample_sizes = BATCH * np.array(sizes)
    results.save(
        directory, _figure(sample_sizes, correlations, meta_sample_sizes, cosines),
        ["estimator", "quantity", "sample_size", "policy", "correlation_or_cosine"],
        list(_rows(sample_sizes, correlations, meta_sample_sizes, cosines)),
        _text(sample_sizes, correlations, meta_sample_sizes, cosines, horizon),
    )


def _setting(make_estimator, n_seeds):
    game, policies = protocols.prisoners_dilemma(initial_stddev=1.0, dtype="float32")
    joint_params = tuple(policy.initial_params(range(n_seeds)) for policy in policies)
    return make_estimator(game, policies), joint_params


def _derivatives(make_estimator, n_policies, n_batches, jit_compile, n_at_once=20):
    """∇₀V⁰ (5 numbers), then the Hessian of V⁰ in the parameters of both agents (100), from each batch.

    Returns:
        array [policy, batch, 105]; without cross derivatives the Hessian is NaN.
    """
    estimator, joint_params = _setting(make_estimator, n_policies)
    n_at_once = min(n_at_once, n_batches)
    joint_params = adaptation.for_each_task(joint_params, n_at_once)
    tasks = protocols.default_tasks(estimator, n_policies, n_at_once)

    def derivatives(keys):
        sample = estimator.sample(joint_params, tasks, keys)
        with tf.GradientTape(persistent=True) as outer_tape:
            outer_tape.watch(joint_params)
            with tf.GradientTape() as inner_tape:
                inner_tape.watch(joint_params)
                objective = estimator.objectives(joint_params, tasks, sample)[0]
            gradients = inner_tape.gradient(objective, joint_params, unconnected_gradients="zero")
            entries = tf.unstack(game_jacobian.flattened(gradients), axis=-1)
        own = game_jacobian.flattened(gradients[:1])
        if estimator.inner_update != "expected":
            return tf.concat([own, tf.fill([*own.shape[:2], len(entries) ** 2], np.nan)], axis=-1)
        rows = [game_jacobian.flattened(outer_tape.gradient(entry, joint_params)) for entry in entries]
        return tf.concat([own, *rows], axis=-1)

    compiled = tf.function(derivatives, autograph=False, jit_compile=jit_compile)
    keys = random.root_keys(range(n_policies))
    calls = [compiled(random.fold_in(keys, call)).numpy() for call in range(-(-n_batches // n_at_once))]
    return np.concatenate(calls, axis=1)[:, :n_batches]


def _meta_gradients(make_estimator, n_draws, jit_compile):
    """Meta-MAPG's total for agent 0, L = 1, inner step 1, at each draw of θ: array [draw, 5]."""
    estimator, joint_params = _setting(make_estimator, n_draws)
    agents = [MetaMAPG(inner_learning_rate=1.0)] * 2
    tasks = protocols.default_tasks(estimator, 1, 1)

    def total(initial_params, keys):
        initial_params = adaptation.for_each_task(initial_params, n_tasks=1)
        chain = adaptation.adapt(estimator, agents, initial_params, tasks, keys)
        return agents[0].meta_gradients(chain, 0).total.initial[0][0, :, 0]

    compiled = tf.function(total, autograph=False, jit_compile=jit_compile)
    gradients = []
    for draw in range(n_draws):
        keys = tuple(random.fold_in(random.root_keys([draw]), link) for link in range(2))
        own_draw = tf.nest.map_structure(lambda leaf, draw=draw: leaf[draw : draw + 1], joint_params)
        gradients.append(compiled(own_draw, keys).numpy())
    return np.array(gradients)


def _correlations(sampled, exact):
    """Pearson's correlation of the entries: (first order, second order)."""
    return [np.corrcoef(sampled[part], exact[part])[0, 1] for part in (slice(5), slice(5, None))]


def _cosines(first, second):
    return np.sum(first * second, axis=1) / (np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1))


def _needed(sizes, cosines):
    """Where the mean cosine reaches its target, linear between sizes on a logarithmic scale; None if nowhere."""
    mean = cosines.mean(axis=0)
    reached = np.flatnonzero(mean >= TARGET_COSINE)
    if not len(reached):
        return None
    index = reached[0]
    if index == 0:
        return float(sizes[0])
    logs = np.log(sizes)
    part = (TARGET_COSINE - mean[index - 1]) / (mean[index] - mean[index - 1])
    return float(np.exp(logs[index - 1] + part * (logs[index] - logs[index - 1])))


def _rows(sample_sizes, correlations, meta_sample_sizes, cosines):
    for name, measured in correlations.items():
        for (policy, order, size), value in np.ndenumerate(measured):
            if np.isfinite(value):
                quantity = ("first order", "second order")[order]
                yield [name, quantity, int(sample_sizes[size]), policy, f"{value:.9g}"]
    for name, measured in cosines.items():
        for (draw, size), value in np.ndenumerate(measured):
            yield [name, "meta-gradient", int(meta_sample_sizes[size]), draw, f"{value:.9g}"]


def _text(sample_sizes, correlations, meta_sample_sizes, cosines, horizon):
    needed = {name: _needed(np.array(meta_sample_sizes), by_size) for name, by_size in cosines.items()}

    def correlation(name, order):
        mean = correlations[name][:, order, -1].mean()
        return "–" if np.isnan(mean) else f"{mean:.4f}"

    def samples(name):
        if name not in needed:
            return "–"
        return f"more than {meta_sample_sizes[-1]:,}" if needed[name] is None else f"{needed[name]:,.0f}"

    table = [[name, correlation(name, 0), correlation(name, 1), samples(name)] for name in ESTIMATORS]
    n_policies, n_draws = (len(next(iter(of.values()))) for of in (correlations, cosines))
    return (
        results.paragraph(
            f"Iterated prisoner's dilemma, θ ~ N(0, 1), γ = 0.96, T = {horizon}. First and second order: correlation",
            f"of the entries of ∇₀V⁰ and of the Hessian of V⁰ with exact ones at {sample_sizes[-1]:,} trajectories,",
            f"mean over {n_policies} joint policies. Meta-gradient: the K at which Meta-MAPG's total (L = 1, inner",
            f"step 1) has a mean cosine of {TARGET_COSINE} with the exact one, over {n_draws} joint policies. The",
            "score function's second derivatives are not those of the value. Foerster et al. 2018 have correlations of",
            "0.999 and 0.97 for DiCE at 100,000 samples; at which joint policy is not known.",
        )
        + results.markdown_table(
            ["estimator", "first order", "second order", f"trajectories for a meta-gradient of cosine {TARGET_COSINE}"],
            table,
        )
    )


def _figure(sample_sizes, correlations, meta_sample_sizes, cosines):
    figure, panels = results.new_figure(10.0, 3.6, n_panels=3, sharey=True)
    titles = ("first order, ∇₀V⁰", "second order, Hessian of V⁰", "meta-gradient, Meta-MAPG")
    for panel, title in zip(panels, titles):
        panel.set_title(title, fontsize=10)
        panel.set_xscale("log")
        panel.set_xlabel("trajectories")
        panel.grid(alpha=0.3)
    for name, measured in correlations.items():
        for order in range(2):
            if np.all(np.isfinite(measured[:, order])):
                results.draw_mean(
                    panels[order], sample_sizes, measured[:, order], name, COLOURS[name], marker="o", markersize=3
                )
    for name, measured in cosines.items():
        results.draw_mean(
            panels[2], meta_sample_sizes, measured, name, COLOURS[name], marker="o", markersize=3
        )
    panels[2].axhline(TARGET_COSINE, color="0.3", linestyle=":", linewidth=1)
    panels[0].set_ylabel("correlation with exact")
    panels[2].yaxis.set_tick_params(labelleft=True)
    panels[2].set_ylabel("cosine with exact")
    panels[0].set_ylim(top=1.02)
    panels[0].legend(fontsize=8, title="mean, 95% interval", title_fontsize=8)
    return figure
