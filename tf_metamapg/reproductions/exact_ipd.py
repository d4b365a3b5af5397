"""Eleven agents with exact gradients in the iterated prisoner's dilemma, 400 runs each."""

import numpy as np

from tf_metamapg.agents.competitive_gradient_descent import CompetitiveGradientDescent
from tf_metamapg.agents.consensus_optimization import ConsensusOptimization
from tf_metamapg.agents.extragradient import Extragradient
from tf_metamapg.agents.hola import HOLA
from tf_metamapg.agents.lola_shaping import LOLAShaping
from tf_metamapg.agents.lola_taylor import LOLATaylor
from tf_metamapg.agents.look_ahead import LookAhead
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.pola import POLA
from tf_metamapg.agents.sos import SOS
from tf_metamapg.agents.symplectic_gradient_adjustment import SymplecticGradientAdjustment
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files
from tf_metamapg.runs import statistics

# Agent, and the mean and standard deviation over 400 runs of other code for the same closed forms, if there are some.
AGENTS = {
    "naive": (PolicyGradient, -1.992, 0.086),
    "LookAhead": (LookAhead, -1.930, 0.245),
    "LOLA (a)": (LOLAShaping, -1.048, 0.158),
    "LOLA (b)": (LOLATaylor, -1.060, 0.197),
    "SOS": (SOS, -1.073, 0.191),
    "extragradient": (Extragradient, None, None),
    "consensus": (ConsensusOptimization, None, None),
    "symplectic": (SymplecticGradientAdjustment, None, None),
    "competitive": (CompetitiveGradientDescent, None, None),
    "HOLA": (HOLA, None, None),
    "POLA": (POLA, None, None),
}
N_RECOMPUTED_RUNS = 400


def reproduce(directory: files.PathLike, n_runs: int = 400, n_updates: int = 200) -> None:
    """Runs all agents and writes the results.

    Args:
        directory: where to.
        n_runs: independent runs of each agent, ≥ 2.
        n_updates: updates of each run.
    """
    curves = {
        # So little is computed that XLA would take longer to compile than it saves.
        name: protocols.learning_curves(
            agent(), ExactEstimator, initial_stddev=1.0, n_seeds=n_runs, n_updates=n_updates, dtype="float64",
            description=name, jit_compile=False,
        )
        for name, (agent, _, _) in AGENTS.items()
    }
    rows = [
        [name, run, f"{first:.9g}", f"{second:.9g}"]
        for name, rewards in curves.items()
        for run, (first, second) in enumerate(rewards[:, -1])
    ]
    results.save(
        directory, _figure(curves), ["agent", "seed", "reward_of_agent_0", "reward_of_agent_1"], rows,
        _text(curves, n_runs, n_updates),
    )


def _text(curves, n_runs, n_updates):
    table, bound = [], statistics.normal_quantile(0.995)
    for name, rewards in curves.items():
        _, recomputed_mean, recomputed_deviation = AGENTS[name]
        runs = rewards[:, -1].mean(axis=1)
        compared = ["there is none", "", ""]
        if recomputed_mean is not None:
            # Both means are of samples.
            error = np.hypot(runs.std(ddof=1) / np.sqrt(n_runs), recomputed_deviation / np.sqrt(N_RECOMPUTED_RUNS))
            deviations = abs(runs.mean() - recomputed_mean) / error
            compared = [
                f"{results.signed(recomputed_mean)} ({recomputed_deviation:.3f})", f"{deviations:.1f}",
                "yes" if deviations < bound else "no",
            ]
        table.append([name, f"{results.signed(runs.mean())} ({runs.std(ddof=1):.3f})", *compared])
    return (
        results.paragraph(
            f"Mean reward per step of both agents after {n_updates} updates, mean (standard deviation) over",
            f"{n_runs} runs from θ ~ N(0, 1); own and assumed step 1 on the discounted value, γ = 0.96. What is",
            "recomputed is not published: it is of other code, written from the closed forms for comparison, of other",
            f"initial policies. A mean agrees at 99% if it is less than {bound:.2f} standard errors of the difference",
            "from the recomputed one. LOLA (a) is `LOLAShaping`, LOLA (b) `LOLATaylor`, consensus",
            "`ConsensusOptimization` with weight 0.1 of ½|ξ|², symplectic `SymplecticGradientAdjustment` with λ = 1,",
            "competitive `CompetitiveGradientDescent`, HOLA of order 2, and POLA with 2 epochs and β = 0.1.",
        )
        + results.markdown_table(
            [
                "agent", "mean (deviation)", f"recomputed from the closed form, {N_RECOMPUTED_RUNS} runs",
                "standard errors apart", "agrees",
            ],
            table,
        )
    )


def _figure(curves):
    figure, (panel,) = results.new_figure(6.4, 3.8)
    for name, rewards in curves.items():
        values = rewards.mean(axis=2)
        results.draw_mean(panel, range(values.shape[1]), values, name, results.COLOURS[name])
    results.label_learning_curves(panel)
    return figure
