"""Model-free opponent shaping in the iterated prisoner's dilemma, with exact values: a naive learner, and itself."""

import numpy as np
import tensorflow as tf

from tf_metamapg.agents.m_fos import MFOS
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.reproductions import ipd_courses
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files

UNITS, N_PERTURBATIONS, STDDEV = 16, 16, 0.1
CHAIN_LENGTH, N_MEASURED = 20, 100  # updates of the other in meta-training, and in meta-testing
RATE = 0.03  # of Adam, of what is meta-learned
N_TASKS, N_TEST_TASKS = 2, 64  # naive learners
N_WARM = 60  # meta-updates against naive learners before two that have learned from them meet
# Case, and what is published of the reward of the agent.
CASES = {"against a naive learner": "−0.51", "against itself": "", "against itself, after naive learners": ""}


def reproduce(directory: files.PathLike, n_seeds: int = 10, n_meta_updates: int = 200, n_warm: int = N_WARM) -> None:
    """Trains all cases and writes the results.

    Args:
        directory: where to.
        n_seeds: how many of each, ≥ 2.
        n_meta_updates: how often they learn.
        n_warm: how often those that meet after naive learners have learned from these, ≤ n_meta_updates.
    """
    names = list(CASES)
    courses = {
        names[0]: _course(names[0], _against_naive(n_seeds), n_meta_updates, N_TEST_TASKS, n_warm),
        names[1]: _course(names[1], _against_itself(n_seeds), n_meta_updates, 1),
    }
    met = _against_itself(n_seeds)
    # Each has another seed's for its opponent.
    for agent_index, own in enumerate(met.meta_params):
        for variable, learned in zip(tf.nest.flatten(own), courses[names[0]].learned):
            variable.assign(np.roll(learned, agent_index, axis=0))
    courses[names[2]] = _course(names[2], met, n_meta_updates, 1)
    rows = [
        [name, seed, *(f"{value:.9g}" for value in rewards)]
        for name, course in courses.items()
        for seed, rewards in enumerate(ipd_courses.over_updates(course.test))
    ]
    header = ["case", "seed", "reward_of_agent_0", "reward_of_agent_1"]
    labels = {name: ("M-FOS", "the other M-FOS" if "itself" in name else "naive learner") for name in courses}
    ipd_courses.save(directory, courses, labels, header, rows, _text(courses, n_warm))


def _against_naive(n_seeds):
    return _trainer([MFOS(UNITS, N_PERTURBATIONS, STDDEV), PolicyGradient(1.0)], [1], n_seeds, N_TASKS)


def _against_itself(n_seeds):
    return _trainer([MFOS(UNITS, N_PERTURBATIONS, STDDEV)] * 2, [], n_seeds, 1)


def _trainer(agents, drawn, n_seeds, n_tasks):
    return ipd_courses.make_trainer(
        agents, drawn, n_seeds=n_seeds, chain_length=CHAIN_LENGTH, n_tasks=n_tasks, rate=RATE
    )


def _course(name, trainer, n_meta_updates, n_test_tasks, n_kept=0):
    return ipd_courses.course(
        name, trainer, n_meta_updates, n_measured=N_MEASURED, n_test_tasks=n_test_tasks, n_kept=n_kept
    )


def _text(courses, n_warm):
    table = []
    for name, course in courses.items():
        by_seed = ipd_courses.over_updates(course.test)
        table.append([
            name, results.with_interval(by_seed[:, 0]), results.with_interval(by_seed[:, 1]),
            f"{results.signed(by_seed.mean(axis=1).min())} to {results.signed(by_seed.mean(axis=1).max())}",
            CASES[name] or "not looked up",
        ])
    n_seeds, n_meta_updates = next(iter(courses.values())).training.shape[:2]
    return (
        results.paragraph(
            f"Mean reward per step after each of {N_MEASURED} updates, mean ± 95% interval over {n_seeds} seeds; exact",
            f"values, γ = 0.96. `MFOS` with {UNITS} units is meta-trained by {n_meta_updates} meta-updates of",
            f"{N_PERTURBATIONS} antithetic pairs, σ = {STDDEV:g}, along chains of {CHAIN_LENGTH} updates. The naive",
            f"learner has θ ~ N(0, 1) and a step of 1, {N_TEST_TASKS} held-out ones for each seed. After naive",
            f"learners: each of the two starts from what {n_warm} meta-updates against these have taught another seed.",
        )
        + results.paragraph(
            "Published: Lu et al. 2022, of the same game and learner, by a meta-policy of another kind. Of self-play",
            "they say that it leads to cooperation; the figure was not looked up.",
        )
        + results.markdown_table(
            ["case", "reward of M-FOS", "reward of the other", "mean of both, over seeds", "published"], table
        )
    )
