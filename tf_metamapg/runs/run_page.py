"""The page of a run: `report.html` in its directory."""

from collections.abc import Iterator
import json
from typing import Any

import numpy as np

from tf_metamapg.numerics import random
from tf_metamapg.runs import drawings
from tf_metamapg.runs import exports
from tf_metamapg.runs import pages
from tf_metamapg.runs import report
from tf_metamapg.runs import statistics
from tf_metamapg.runs import strategies
from tf_metamapg.runs import training_curves
from tf_metamapg.runs.pages import Cell
from tf_metamapg.runs.pages import Figure
from tf_metamapg.runs.pages import Section
from tf_metamapg.runs.pages import Table
from tf_metamapg.runs.results import Results
from tf_metamapg.runs.run_directory import RunDirectory
from tf_metamapg.runs.settings import Experiment
from tf_metamapg.training.trainer import MetaTrainer

_REWARD = "mean reward per step"


def write(
    directory: RunDirectory, experiment: Experiment, trainer: MetaTrainer, summary: dict[str, Any], results: Results
) -> None:
    """Writes the page of a run that has ended.

    Args:
        directory: of the run; what is there of its files is what the page leads to.
        experiment: what was run.
        trainer: what has learned.
        summary: as it stands in `summary.json`.
        results: what it is a summary of.
    """
    sections = [_adaptation(directory, experiment, summary, name) for name in summary["meta_test"]]
    if experiment.has_meta_agents:
        sections.append(_meta_training(directory, experiment))
    sections.append(_strategies(experiment, trainer, results))
    sections += _made_with(directory)
    agents = " and ".join(dict.fromkeys(summary["agent"]))
    page = pages.Page(f"{agents} in {summary['game']}", _lead(experiment, summary), summary["seeds"], sections)
    pages.write(directory.report, page)


def _lead(experiment, summary):
    """The result in a paragraph."""
    by_update = experiment.compared(np.array(summary["meta_test"][report.REWARD]))
    last = by_update.shape[1] - 1
    who = " and ".join(f"{name} (agent {index})" for index, name in enumerate(summary["agent"]))
    text = (
        f"{who} in {summary['game']}, {summary['n_seeds']} seeds, {experiment.evaluation.n_evaluation_tasks} held-out "
        f"tasks each. The mean of {_whose(experiment)} reward per step, with its 95% interval over seeds, is "
        f"{pages.with_interval(by_update[:, 0])} before adaptation"
    )
    for update, when in ((1, "after one inner update"), (last, f"after {last}")):
        if 1 <= update <= last and (update == 1 or last > 1):
            text += f", {pages.with_interval(by_update[:, update])} {when}"
    worst = int(np.argmin(by_update[:, last]))
    return (
        f"{text}; the worst seed at the end is seed {summary['seeds'][worst]} with {by_update[worst, last]:+.3f}. "
        f"{report.effort(summary)}."
    )


def _whose(experiment):
    n_compared, n_agents = len(experiment.compared_agents), experiment.problem.game.spec.n_agents
    if n_compared == 1:
        return f"agent {experiment.compared_agents[0]}'s"
    return "all agents'" if n_compared == n_agents else "the meta-agents'"


def _adaptation(directory, experiment, summary, name):
    """What agents get, or a metric of the game, against inner updates: curves, means, and all seeds."""
    values, seeds = np.array(summary["meta_test"][name], np.float64), summary["seeds"]
    is_reward = name == report.REWARD
    what = _REWARD if is_reward else f"mean of {name} per step"
    drawn = _by_agent(
        values, np.arange(values.shape[1]), seeds, summary["agent"], what, "inner updates", drawings.limits([values])
    )
    by_update = statistics.mean(values[..., experiment.compared_agents], axis=-1)
    last = by_update.shape[1] - 1
    shown = sorted({0, min(1, last), last})
    columns = {f"after {update}" if update else "before": by_update[:, update] for update in shown}
    if len(summary["agent"]) > 1:
        columns |= {f"agent {index}, after {last}": values[:, last, index] for index in range(values.shape[2])}
    notes = {summary["exported_seed"]: "exported"} if exports.places(experiment, directory) else {}
    caption = f"All seeds: {_whose(experiment)} {what} before and after inner updates"
    header, *rows = report.adaptation_rows(name, values, summary["agent"], experiment.compared_agents)
    return Section(
        title="Adaptation to held-out tasks" if is_reward else f"{name}, on held-out tasks",
        figures=[list(drawn)],
        tables=[
            Table(report.table_title(name, len(seeds)), header, rows),
            pages.by_seed(f"{caption}; the least is the worst", columns, seeds, notes, least="worst") if is_reward
            else pages.by_seed(caption, columns, seeds, notes),
        ],
    )


def _by_agent(values, x, seeds, agents, what, counted, between, *, is_log=False, which="") -> Iterator[Figure]:
    """A drawing for each agent that has such values, [S, X, n_agents]."""
    points = drawings.shown_points(len(x))
    for index, name in enumerate(agents):
        own = values[:, points, index]
        if np.any(np.isfinite(own)):
            caption = f"Agent {index}: {name}{which}"
            yield Figure(caption, drawings.curves(
                own, x[points], seeds, label=f"{caption}: {what} against {counted}", what=what, counted=counted,
                between=between, is_log=is_log,
            ))


def _meta_training(directory, experiment):
    """What meta-training has reported: mean rewards, and the norm of each term."""
    seeds, agents = experiment.run.seeds, [type(agent).__name__ for agent in experiment.problem.agents]
    curves = training_curves.read(directory.metrics, len(seeds), len(agents))
    if not len(curves.numbers):
        return Section("Meta-training", ["There were no meta-updates."])
    texts, figures = ["On tasks of meta-training, which are other ones at each meta-update."], []
    n_updates = int(curves.numbers[-1])
    if len(curves.numbers) < n_updates:
        texts.append(f"Of {n_updates} meta-updates, {len(curves.numbers)} are drawn, evenly spread.")
    between = drawings.limits([curves.before, curves.after])
    for rewards, when in ((curves.before, "before adaptation"), (curves.after, "after adaptation")):
        drawn = _by_agent(rewards, curves.numbers, seeds, agents, _REWARD, "meta-updates", between, which=f", {when}")
        figures.append(list(drawn))
    is_meta = np.array([agent.is_meta_agent for agent in experiment.problem.agents])
    for term, all_norms in curves.norms.items():
        name, norms = term.replace("_", "-"), np.where(is_meta, all_norms, np.nan)
        positive = norms[norms > 0.0]
        if not positive.size:
            texts.append(f"The {name} term is zero throughout.")
            continue
        is_log = bool(positive.max() > 10.0 * positive.min())
        figures.append(list(_by_agent(
            norms, curves.numbers, seeds, agents, f"norm of the {name} term", "meta-updates",
            drawings.limits([norms], is_log), is_log=is_log, which=f", {name} term{', logarithmic' if is_log else ''}",
        )))
    texts += [
        f"Agent {index}, {type(agent).__name__}, does not meta-learn and has no terms."
        for index, agent in enumerate(experiment.problem.agents) if not agent.is_meta_agent
    ]
    return Section("Meta-training", texts, figures)


def _strategies(experiment, trainer, results):
    """What agents do before and after adaptation, where it can be drawn."""
    problem, texts = experiment.problem, []
    figures: list[Figure] = []
    n_updates = results.meta_test.mean_reward.shape[1] - 1
    obstacles = [strategies.obstacle(policy) for policy in problem.policies]
    texts += [
        f"There is no picture of agent {index}'s policy: {obstacle}."
        for index, obstacle in enumerate(obstacles) if obstacle is not None
    ]
    if None in obstacles:
        texts.insert(0, (
            f"The probability of an action by what is seen, the mean over tasks: hollow dots before adaptation, full "
            f"dots after {n_updates} inner updates. The last action of each agent has what is left."
        ))
        states = trainer.initial_states(random.META_TEST, experiment.evaluation.n_evaluation_tasks)
        for index, (policy, state, obstacle) in enumerate(zip(problem.policies, states, obstacles)):
            if obstacle is None:
                own = strategies.strategy(policy, state.params, results.meta_test.joint_params[index])
                if own.is_recurrent:
                    what = "what it does at the first step is drawn, by what it may see there"
                    texts.append(f"Agent {index} is recurrent: {what}.")
                figures += _actions(index, own, experiment.run.seeds)
    return Section("Policies", texts, [figures])


def _actions(agent_index, strategy, seeds) -> Iterator[Figure]:
    """A drawing for each action but the last."""
    n_observations, n_actions = strategy.before.shape[1:]
    for action in range(max(n_actions - 1, 1)):
        caption = f"Agent {agent_index}, action {action}"
        yield Figure(caption, drawings.pairs(
            strategy.before[:, :, action], strategy.after[:, :, action], [*map(str, range(n_observations))], seeds,
            label=f"{caption}: its probability by observation, before and after adaptation", what="probability",
            counted="observation", between=(-0.03, 1.03),
        ), drawings.is_wide(n_observations))


def _made_with(directory):
    """What the run was made with, and its other files."""
    info = directory.read_info()
    versions = [info["versions"], *info["resumed_with"]]
    names = list(dict.fromkeys(name for one in versions for name in one))
    rows = [["Python", info["python"], *[""] * (len(versions) - 1)]]
    rows += [[name, *(one.get(name, "") for one in versions)] for name in names]
    header = ["", "version", *(f"resumed, {number}" for number in range(1, len(versions)))]
    links = [
        [Cell(what, link=str(path.relative_to(directory.path)))]
        for path, what in (
            (directory.summary, "summary.json: all results as numbers"),
            (directory.metrics, "metrics.csv: what every update has reported"),
            (directory.learned, "learned.npz: what all seeds have learned"),
            (directory.adaptation_figure.parent, "figures"),
            (directory.initial_policies, "initial_policies: SavedModels"),
            (directory.adapted_policies, "adapted_policies: SavedModels"),
            (directory.learning_agents, "learning_agents: SavedModels"),
            (directory.snapshots, "snapshots: initial policies along the way"),
            (directory.config, "config.gin"), (directory.run_info, "run.json: versions and seeds"),
            (directory.events, "tensorboard"), (directory.checkpoints, "checkpoints"),
        ) if path.exists()
    ]
    seeds = json.dumps(info["seeds"]) if len(info["seeds"]) <= 50 else f"{info['seeds'][0]} to {info['seeds'][-1]}"
    return [
        Section("Config", ["All that the run uses, as gin writes it."], code=directory.config.read_text("utf-8")),
        Section("Versions and seeds", [f"Seeds: {seeds}."], tables=[Table("Versions", header, rows)]),
        Section("Files", tables=[Table("Beside this page", ["file"], links)]),
    ]
