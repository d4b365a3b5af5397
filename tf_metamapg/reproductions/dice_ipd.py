"""LOLA-DiCE from samples in the iterated prisoner's dilemma, with 0 to 3 lookahead steps."""

import functools

from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files

# By lookahead steps: mean and standard deviation of the runs that the authors released.
RELEASED = {0: (-1.991, None), 1: (-1.192, 0.066), 2: (-1.118, 0.045), 3: (-1.107, 0.064)}
OWN_STEP, ASSUMED_STEP = 0.5, 1.0
# What the authors' linear layer draws its five weights from.
INITIAL_STDDEV = 5**-0.5
N_LAST = 10


def reproduce(
    directory: files.PathLike, n_seeds: int = 20, n_updates: int = 200, n_trajectories: int = 64, horizon: int = 150,
    jit_compile: bool = True,
) -> None:
    """Runs LOLA-DiCE for every number of lookahead steps and writes the results.

    Args:
        directory: where to.
        n_seeds: independent runs, ≥ 2.
        n_updates: updates of each run, ≥ 9.
        n_trajectories: K.
        horizon: T.
        jit_compile: whether XLA compiles an update.
    """
    make_estimator = functools.partial(LoadedDiceEstimator, n_trajectories=n_trajectories, horizon=horizon)
    curves = {
        steps: protocols.learning_curves(
            LOLADiCE(OWN_STEP, ASSUMED_STEP, steps), make_estimator, initial_stddev=INITIAL_STDDEV, n_seeds=n_seeds,
            n_updates=n_updates, dtype="float32", description=_name(steps), jit_compile=jit_compile,
        ).mean(axis=2)
        for steps in RELEASED
    }
    last = {steps: rewards[:, -N_LAST:].mean(axis=1) for steps, rewards in curves.items()}
    rows = [[steps, seed, f"{value:.9g}"] for steps in last for seed, value in enumerate(last[steps])]
    text = (
        results.paragraph(
            f"Mean reward per step of both agents over the last {N_LAST} of {n_updates} updates: mean ± 95%",
            f"interval (standard deviation) over {n_seeds} seeds. K = {n_trajectories}, T = {horizon}, γ = 0.96,",
            f"θ ~ N(0, {INITIAL_STDDEV**2:.1f}); own step {OWN_STEP:g} and assumed step {ASSUMED_STEP:g} on the",
            "discounted value, plain gradient steps, Loaded DiCE. No lookahead is naive learning.",
            "Released: mean (standard deviation) of the authors' five runs, of DiCE with the same K, T and number of",
            "updates. Their steps are not recorded with them (the released script has 0.2, and 0.3 for the assumed",
            "one), so the two columns need not agree.",
        )
        + results.markdown_table(
            ["lookahead steps", "here", "worst seed", "released"],
            [
                [
                    str(steps), f"{results.with_interval(values)} ({values.std(ddof=1):.3f})",
                    results.signed(values.min()), _released(steps),
                ]
                for steps, values in last.items()
            ],
        )
    )
    results.save(
        directory, _figure(curves), ["lookahead_steps", "seed", f"average_reward_last_{N_LAST}"], rows, text
    )


def _name(steps):
    return "naive" if steps == 0 else f"{steps} lookahead step{'s' if steps > 1 else ''}"


def _released(steps):
    mean, deviation = RELEASED[steps]
    return results.signed(mean) + ("" if deviation is None else f" ({deviation:.3f})")


def _figure(curves):
    figure, (panel,) = results.new_figure(6.4, 3.8)
    for steps, rewards in curves.items():
        colour = ("C7", "C1", "C0", "C2")[steps]
        results.draw_mean(panel, range(rewards.shape[1]), rewards, _name(steps), colour)
        panel.axhline(RELEASED[steps][0], color=colour, linestyle=":", linewidth=1)
    panel.plot([], [], color="0.3", linestyle=":", linewidth=1, label="released runs, last 10 updates")
    results.label_learning_curves(panel)
    return figure
