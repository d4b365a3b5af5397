"""Trains what is compared, each once, and says what has come of all of them."""

from collections.abc import Sequence
import csv
import pathlib

import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import configs
from tf_metamapg import contracts
from tf_metamapg import starts
from tf_metamapg.commands import common
from tf_metamapg.commands import comparison_page
from tf_metamapg.commands.candidates import Candidate
from tf_metamapg.commands.jobs import Job
from tf_metamapg.commands.jobs import training
from tf_metamapg.numerics import random
from tf_metamapg.runs import figures
from tf_metamapg.runs import files
from tf_metamapg.runs import pages
from tf_metamapg.runs import terminal
from tf_metamapg.runs.settings import Experiment
from tf_metamapg.training.draws import Draws

_WHAT = "game", "number of agents", "seeds", "n_evaluation_tasks"


def experiment(candidate: Candidate, n_common: int) -> Experiment:
    """What a candidate's config describes; what is wrong with it is known before anything is trained.

    Args:
        candidate: whose.
        n_common: how many of its bindings are those of all; the others are swept over.

    Raises:
        InvalidInputError: names the flag or the config.
    """
    path = common.path("config", candidate.config)
    try:
        return configs.Config([path], candidate.bindings, None).experiment
    except checks.InvalidInputError as error:
        text = str(error).replace(f"--gin_file={path}:", f"config {path}:")
        for binding in candidate.bindings[n_common:]:
            text = text.replace(f"--gin_param={binding!r}:", f"--sweep, {binding}:")
        raise checks.InvalidInputError(text) from error


def check_comparable(names: Sequence[str], experiments: Sequence[Experiment]) -> None:
    """Raises `InvalidInputError` unless experiments are of a game of one name, as many agents, seeds and tasks."""
    for name, own_experiment in zip(names, experiments):
        for what, own, first in zip(_WHAT, _comparable(own_experiment), _comparable(experiments[0])):
            checks.check(own == first, f"{what} of {name}", own, f"{first}, as of {names[0]}")


def jobs(output: pathlib.Path, candidates: Sequence[Candidate]) -> list[Job]:
    """One for each run that has not ended, so that `compare` finds it done."""
    directory = output / "runs"
    return [
        job for own in candidates
        for job in training(own.name, common.path("config", own.config), own.bindings, directory / own.name)
    ]


def compare(
    output: pathlib.Path, candidates: Sequence[Candidate], experiments: Sequence[Experiment], swept: Sequence[str]
) -> None:
    """Trains those that have not been trained, and publishes.

    Args:
        output: where to.
        candidates: in the order of the table, whose first is what the others are compared with.
        experiments: what each of them describes.
        swept: names of parameters of which they have different values, at most two.
    """
    curves = {}
    for number, candidate in enumerate(candidates, 1):
        terminal.say(f"\n{candidate.name}, {number} of {len(candidates)}")
        path = output / "runs" / candidate.name
        summary = starts.train_once(path, [common.path("config", candidate.config)], candidate.bindings)
        curves[candidate.name] = np.array(summary["meta_test"]["average_reward"])
    _publish(output, candidates, experiments, curves, swept)


def _comparable(experiment):
    """What those have in common that can be compared."""
    seeds, spec = experiment.run.seeds, experiment.problem.game.spec
    return spec.name, spec.n_agents, f"{seeds[0]} to {seeds[-1]}", experiment.evaluation.n_evaluation_tasks


def _draw_the_same(experiments):
    """Whether the tasks of meta-testing, and the policies that others start them from, are the same in all of them."""
    first, *others = [tf.nest.flatten(_drawn(experiment)) for experiment in experiments]
    return all(len(own) == len(first) and all(map(np.array_equal, own, first)) for own in others)


def _drawn(experiment):
    """Tasks, and what populations that stay the same have in them."""
    problem, n_tasks = experiment.problem, experiment.evaluation.n_evaluation_tasks
    draws = Draws(problem, experiment.run.seeds)
    keys = draws.keys(random.META_TEST, 0)
    return draws.tasks(keys, n_tasks), [
        population.sample(random.META_TEST, random.population_keys(keys, index), n_tasks)
        for index, population in enumerate(problem.populations) if isinstance(population, contracts.Population)
    ]


def _publish(output, candidates, experiments, curves, swept):
    """Writes and prints what has come of all of them."""
    # The same agents in all runs: those that meta-learn in one of them, or all.
    problems = [experiment.problem.agents for experiment in experiments]
    agents = [index for index, own in enumerate(zip(*problems)) if any(agent.is_meta_agent for agent in own)]
    agents = agents or [*range(len(problems[0]))]
    compared = {name: values[..., agents].mean(axis=-1) for name, values in curves.items()}
    scores = {}
    for experiment, (name, values) in zip(experiments, compared.items()):
        updates = experiment.scored_updates(values.shape[1] - 1, experiment.trainer.chain_length)
        scores[name] = values[:, updates].mean(axis=1)
    rows = [
        [name, seed, update, values[index, update]]
        for name, values in compared.items() for index, seed in enumerate(experiments[0].run.seeds)
        for update in range(values.shape[1])
    ]
    with files.atomic(output / "comparison.csv") as aside, open(aside, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([["run", "seed", "inner_updates", "average_reward"], *rows])
    title = f"{experiments[0].problem.game.spec.name}, held-out tasks"
    written = [output / "comparison.csv", output / "comparison.png", output / "comparison.md"]
    figures.save(
        written[1], figures.comparison_figure(compared, title, "mean reward per step", "inner updates")
    )
    sweeps = []
    if swept:
        for config in dict.fromkeys(candidate.config for candidate in candidates):
            own = [candidate for candidate in candidates if candidate.config == config]
            written.append(output / f"sweep_{pathlib.Path(config).stem}.png")
            rows, columns, means = _swept_scores(own, scores, swept)
            figures.save(written[-1], figures.heat_map(
                means, rows, columns, title=pathlib.Path(config).stem, row_label=swept[0],
                column_label=swept[1] if len(swept) > 1 else "", value_label="score, mean reward per step",
            ))
            hints = np.reshape([pages.with_interval(scores[candidate.name]) for candidate in own], means.shape).tolist()
            caption = f"Scores of {pathlib.Path(config).stem}, yellow for much and dark blue for little"
            between = float(means.min()), float(means.max())
            sweeps.append(pages.coloured(caption, " \\ ".join(swept), rows, columns, means, hints, between))
    moments = _moments(compared)
    table = _table(compared, scores, moments)
    explained = _explanation(len(experiments[0].run.seeds), agents, _draw_the_same(experiments))
    text = f"{pages.as_markdown(table)}\n\n{explained}\n"
    files.write_text(written[2], text)
    terminal.markdown(f"\n{text}", better=max)
    links = {f"{name}: report": f"runs/{name}/report.html" for name in compared}
    links |= {path.name: path.name for path in written}
    written.append(output / "comparison.html")
    comparison_page.write(
        written[-1], f"{' and '.join(compared)}" if len(compared) == 2 else f"{len(compared)} runs, compared",
        f"{title}. {explained}", table=table, curves=compared, scores=scores, moments=moments,
        seeds=experiments[0].run.seeds, sweeps=sweeps, links=links,
    )
    terminal.say(f"written: {', '.join(map(str, written))}")


def _swept_scores(candidates, scores, swept):
    """(rows, columns, mean scores): a row for each value of the first parameter, a column for each of the second."""
    rows = list(dict.fromkeys(candidate.values[0] for candidate in candidates))
    columns = list(dict.fromkeys(candidate.values[1] for candidate in candidates)) if len(swept) > 1 else ["score"]
    means = np.reshape([scores[candidate.name].mean() for candidate in candidates], [len(rows), len(columns)])
    return rows, columns, means


def _moments(compared):
    """{when: {run: mean rewards [S] then}}: after one inner update, and after as many as there are in all runs."""
    n_updates = min(values.shape[1] for values in compared.values()) - 1
    names = {1: "after one inner update"} if n_updates > 1 else {}
    names[n_updates] = {0: "before", 1: "after one inner update"}.get(n_updates, f"after {n_updates}")
    return {
        when: {name: values[:, update] for name, values in compared.items()} for update, when in names.items()
    }


def _table(compared, scores, moments):
    """Texts: mean rewards with intervals over seeds, and differences from the first, paired."""
    first = next(iter(scores))
    rows = [[
        "run", "before", "after one inner update", "at the end", "score", "worst seed",
        *(f"{when}, less that of {first}" for when in moments),
    ]]
    for name, values in compared.items():
        last = values.shape[1] - 1
        cells = [pages.with_interval(values[:, update]) for update in (0, min(1, last), last)]
        differences = [
            "" if name == first else pages.with_interval(rewards[name] - rewards[first]) for rewards in moments.values()
        ]
        rows.append([name, *cells, pages.with_interval(scores[name]), f"{scores[name].min():+.3f}", *differences])
    return rows


def _explanation(n_seeds, agents, are_drawn_the_same):
    numbers = " and ".join(map(str, agents))
    who = f"agent {numbers}" if len(agents) == 1 else f"agents {numbers}"
    return f"""Mean rewards per step of {who} in every run, on held-out tasks, with 95% intervals over {n_seeds} seeds.
A score, by which the worst seed is told, is the mean over the inner updates that meta-agents are trained for; where
nobody meta-learns, what is got at the end. {_SAME if are_drawn_the_same else _OTHERS}"""


_SAME = "Differences are of the same agents, seeds, tasks and updates."
_OTHERS = """Differences are of the same agents, seeds and updates, but not of the same
tasks: these runs draw tasks, or the policies that others start them from, from different distributions."""
