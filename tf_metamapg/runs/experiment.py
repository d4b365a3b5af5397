"""One experiment from start to end: meta-train, adapt on held-out tasks, and leave a run directory."""

import math
import os
import sys
import time

import numpy as np

from tf_metamapg import checks
from tf_metamapg.numerics import random
from tf_metamapg.runs import export
from tf_metamapg.runs import figures
from tf_metamapg.runs import files
from tf_metamapg.runs import problem
from tf_metamapg.runs import progress
from tf_metamapg.runs import report
from tf_metamapg.runs import run_directory
from tf_metamapg.runs.checkpoints import Checkpointer
from tf_metamapg.runs.metrics import MetricsLog
from tf_metamapg.training.trainer import MetaTrainer
from tf_metamapg.training.trainer import NonFiniteGradientError

# What a run may be resumed with other values of: no meta-update depends on it.
_MAY_CHANGE = ("train.n_meta_updates", "train.checkpoint_every", "train.export_all_seeds")
# The same, but that meta-validations keep the best by it.
_EVALUATION_SIZES = ("train.evaluation_chain_length", "train.n_evaluation_tasks")


class MetaTrainingStopped(RuntimeError):
    """A run cannot go on; the message says where it stopped and where it can be taken up."""


def train(
    directory, resume, allow_other_versions, describe_config, opened, started,
    game, policies, agents, estimator, task_distribution,
    n_seeds=20, first_seed=0, n_meta_updates=200, chain_length=1, n_tasks=8, meta_learning_rate=0.1,
    evaluation_chain_length=5, n_evaluation_tasks=32, checkpoint_every=50, export_all_seeds=False,
    jit_compile=None, populations=None, validate_every=None, max_gradient_norm=None,
    inner_rates_meta_learning_rate=None,
):
    """Meta-trains, evaluates on held-out tasks and writes everything to the run directory.

    Args:
        directory: the `RunDirectory`, which this process has claimed.
        resume: whether to go on with the run that is there.
        allow_other_versions: whether to go on though packages have other versions than the run has used so far.
        describe_config: function that returns the config as text once everything has been made.
        opened: function that is called when nothing can be refused any more.
        started: when the run began, in seconds since the epoch.
        game: the game.
        policies: one function (game, agent_index) → policy for each agent.
        agents: one of `agents/` for each agent.
        estimator: function (game, policies) → estimator.
        task_distribution: function (game) → task distribution.
        n_seeds: S; the seeds are first_seed, first_seed + 1, …
        first_seed: the first seed.
        n_meta_updates: how many meta-updates.
        chain_length: L, inner updates in meta-training.
        n_tasks: N, tasks per seed and meta-update.
        meta_learning_rate: Adam's step size.
        evaluation_chain_length: inner updates in meta-validation and meta-testing.
        n_evaluation_tasks: tasks per seed in meta-validation, and again in meta-testing.
        checkpoint_every: meta-updates between checkpoints.
        export_all_seeds: whether to export every seed's policies beside those of the best seed.
        jit_compile: whether XLA compiles what is done at a link; by default where that is likely to save more
            time than it takes. The last digits of a seed may depend on how many seeds are beside it.
        populations: for each agent, a function (policy) → population, see `policies/populations.py`, or None for an
            agent that starts all tasks of a seed from the same policy; by default that is all of them.
        validate_every: meta-updates between meta-validations. At the end every seed goes back to where it did best in
            one: where the mean of the meta-agents' average reward after the inner updates they are trained for was
            largest. By default every seed keeps what it has learned at the end.
        max_gradient_norm: a longer meta-gradient of a seed and a meta-agent is shortened to it. Along a chain noise is
            multiplied at each link, so that single gradients can be longer than all others together.
        inner_rates_meta_learning_rate: Adam's step size for logarithms of inner learning rates that are learned;
            by default meta_learning_rate.

    Returns:
        the summary, as it stands in `summary.json`.

    Raises:
        InvalidInputError: if an argument cannot be used; nothing has been written then.
        MetaTrainingStopped: if a meta-gradient is NaN or infinite, or if something could not be published; the results
            are in `summary.json` then.
    """
    problem.check_parts(game, policies, agents, estimator, task_distribution)
    # Every seed has models of its own to be built, and every link of a chain a place in the graph.
    for name, value, *bounds in (
        ("n_seeds", n_seeds, 1, 100_000), ("first_seed", first_seed, 0), ("n_meta_updates", n_meta_updates, 0),
        ("chain_length", chain_length, 0, 10_000), ("n_tasks", n_tasks, 1), ("checkpoint_every", checkpoint_every, 1),
        ("evaluation_chain_length", evaluation_chain_length, 0), ("n_evaluation_tasks", n_evaluation_tasks, 1),
    ):
        checks.check_integer(f"train.{name}", value, *bounds)
    checks.check(first_seed + n_seeds <= 2**31, "train.first_seed", first_seed, "such that all seeds are below 2³¹")
    checks.check_number("train.meta_learning_rate", meta_learning_rate, minimum=0.0)
    checks.check_boolean("train.export_all_seeds", export_all_seeds)
    if jit_compile is not None:
        checks.check_boolean("train.jit_compile", jit_compile)
    if validate_every is not None:
        checks.check_integer("train.validate_every", validate_every, minimum=1)
    if max_gradient_norm is not None:
        checks.check_positive("train.max_gradient_norm", max_gradient_norm)
    if inner_rates_meta_learning_rate is not None:
        checks.check_number("train.inner_rates_meta_learning_rate", inner_rates_meta_learning_rate, minimum=0.0)

    seeds = range(first_seed, first_seed + n_seeds)
    policies = [make(game, agent_index) for agent_index, make in enumerate(policies)]
    for index, policy in enumerate(policies):
        checks.check(hasattr(policy, "initial_params"), f"train.policies[{index}]", policy, "what makes a policy")
    estimator = estimator(game, policies)
    checks.check(hasattr(estimator, "objectives"), "train.estimator", estimator, "what makes an estimator")
    task_distribution = task_distribution(game)
    checks.check(
        hasattr(task_distribution, "sample"), "train.task_distribution", task_distribution,
        "what makes a task distribution",
    )
    populations = problem.make_populations(populations, policies, agents, n_tasks, n_evaluation_tasks)
    for name, n in (("train.n_tasks", n_tasks), ("train.n_evaluation_tasks", n_evaluation_tasks)):
        problem.check_memory(name, n, n_seeds, game, policies, estimator)
    if jit_compile is None and resume:
        # Whether it pays may look otherwise by now, and the last digits would be others.
        jit_compile = directory.read_info()["jit_compile"]
    elif jit_compile is None:
        n_evaluations = 2 + (0 if validate_every is None else -(-n_meta_updates // validate_every))
        jit_compile = problem.compiling_pays(
            (n_meta_updates * (chain_length + 1), n_seeds * n_tasks * estimator.n_steps),
            (n_evaluations * (evaluation_chain_length + 1), n_seeds * n_evaluation_tasks * estimator.n_steps),
        )
    trainer = MetaTrainer(
        game, policies, agents, estimator, task_distribution,
        seeds, chain_length, n_tasks, meta_learning_rate, jit_compile, populations,
        math.inf if max_gradient_norm is None else max_gradient_norm, inner_rates_meta_learning_rate,
    )
    agent_names = [type(agent).__name__ for agent in agents]
    title = f"{game.name}, held-out tasks"
    # Agents of a population start from another policy in every task.
    exported = [policy if population is None else None for policy, population in zip(policies, populations)]
    # What cannot be computed, exported or drawn fails here, before anything is written.
    trainer.trace()
    config = describe_config()
    export.check_exportable(exported)
    figures.check_drawable(title, agent_names)
    may_change = _MAY_CHANGE + (_EVALUATION_SIZES if validate_every is None else ())
    if resume:
        directory.check_same_run(config, may_change, allow_other_versions)
    else:
        directory.start(config, seeds, jit_compile)
    checkpointer = Checkpointer(
        directory.checkpoints, trainer.state, run_directory.digest(config, may_change, seeds, jit_compile)
    )
    notes = _restore(checkpointer, directory) if resume else None
    done = int(trainer.n_meta_updates_done)
    checks.check(n_meta_updates >= done, "train.n_meta_updates", n_meta_updates, f"≥ {done}, as many are done")
    log = MetricsLog(
        directory.metrics, directory.events, seeds, chain_length, game.n_agents, done,
        None if notes is None else notes["metrics_digest"],
    )
    print(f"run directory: {directory.path}", flush=True)
    opened()
    if resume:
        directory.go_on(config)
        print(f"resumed after {done} of {n_meta_updates} meta-updates", flush=True)
        started -= 0.0 if notes is None else notes["wall_seconds"]

    def save_checkpoint():
        new_notes = {"metrics_digest": log.flush(), "wall_seconds": time.time() - started}
        checkpointer.save(int(trainer.n_meta_updates_done), new_notes)
        return checkpointer.latest

    if notes is None:
        save_checkpoint()
    n_trained_updates = min(chain_length, evaluation_chain_length)
    trained_links = range(min(1, n_trained_updates), n_trained_updates + 1)

    def validate():
        validation = _evaluate(
            trainer, random.META_VALIDATION, "meta-validation", evaluation_chain_length, n_evaluation_tasks
        )
        return validation, _of_meta_agents(validation, agents)[:, trained_links].mean(axis=1)

    def keep_best(done):
        if validate_every is not None and done % validate_every == 0:
            trainer.best.keep(validate()[1])

    _meta_train(trainer, n_meta_updates, checkpoint_every, log, save_checkpoint, keep_best)
    log.close()
    if validate_every is not None:
        # After the last checkpoint: a run that goes on has no validation here.
        trainer.best.keep(validate()[1])
        trainer.best.restore()

    validation, scores = validate()
    meta_test = _evaluate(trainer, random.META_TEST, "meta-test", evaluation_chain_length, n_evaluation_tasks)
    if not (np.all(np.isfinite(validation)) and np.all(np.isfinite(meta_test))):
        raise MetaTrainingStopped(
            f"an average reward in evaluation is NaN or infinite; the last checkpoint is {checkpointer.latest}"
        )
    best = int(np.argmax(scores))
    summary = {
        "agent": agent_names,
        "game": game.name,
        "estimator": type(trainer.estimator).__name__,
        "n_seeds": n_seeds,
        "seeds": list(seeds),
        "meta_updates": n_meta_updates,
        "chain_length": chain_length,
        "jit_compile": jit_compile,
        "wall_seconds": time.time() - started,
        "exported_seed": None if set(exported) == {None} else seeds[best],
        "inner_learning_rates": [rates.numpy().tolist() for rates in trainer.inner_learning_rates()],
        "axes": "[seed][inner update][agent], inner update 0 is before adaptation",
        "meta_validation": {"average_reward": validation.tolist()},
        "meta_test": {"average_reward": meta_test.tolist()},
    }
    files.write_json(directory.summary, summary)

    def draw():
        directory.adaptation_figure.parent.mkdir(exist_ok=True)
        figures.save_adaptation_figure(directory.adaptation_figure, meta_test, title, agent_names)

    def export_policies():
        # All of them at once, so that none is left of an earlier end of the run.
        with files.atomic(directory.initial_policies) as aside:
            export.export_policies(aside, exported, trainer.initial_params, best)
            for index, seed in enumerate(seeds if export_all_seeds else []):
                path = os.path.join(aside, f"seed_{seed}")
                export.export_policies(path, exported, trainer.initial_params, index)

    failed = _publish({"figure": draw, "initial policies": export_policies})
    print(report.text(directory, summary, _meta_agents(agents)))
    if failed:
        raise MetaTrainingStopped(
            f"{' and '.join(failed)} could not be written; the results are in {directory.summary}, and --resume tries "
            "again"
        )
    return summary


def _restore(checkpointer, directory):
    """Restores the last checkpoint that can be read, and returns its notes; None if the run has made none yet."""
    notes, damaged = checkpointer.restore()
    for path in damaged:
        print(f"note: checkpoint {path} cannot be read, so an earlier one is taken", flush=True)
    if notes is None and directory.has_progress():
        raise checks.InvalidInputError(f"--resume: {directory.checkpoints} holds no checkpoint, though there were some")
    return notes


def _publish(publications):
    """Does what may fail without harm to the results, {name: function}; returns the names of what has failed."""
    failed = []
    for name, publish in publications.items():
        try:
            publish()
        except Exception as error:  # Whatever it is, the rest can still be published.
            print(f"{name}: {checks.one_line(f'{type(error).__name__}: {error}', 300)}", file=sys.stderr, flush=True)
            failed.append(name)
    return failed


def _meta_train(trainer, n_meta_updates, checkpoint_every, log, save_checkpoint, keep_best):
    bar = progress.Progress(n_meta_updates, int(trainer.n_meta_updates_done))
    while (done := int(trainer.n_meta_updates_done)) < n_meta_updates:
        try:
            metrics = trainer.step()
        except NonFiniteGradientError as error:
            bar.close()
            path = save_checkpoint()
            log.close()
            raise MetaTrainingStopped(f"{error}; what was learned before it is in {path}") from error
        done += 1
        log.write(done, metrics)
        by_link = _of_meta_agents(metrics.average_reward, trainer.agents).mean(axis=0)
        bar.step(f"average reward {by_link[0]:+.3f} before and {by_link[-1]:+.3f} after adaptation")
        keep_best(done)
        if done % checkpoint_every == 0 or done == n_meta_updates:
            save_checkpoint()
    bar.close()


def _evaluate(trainer, phase, name, chain_length, n_tasks):
    bar = progress.Progress(chain_length, what=f"{name}, inner update")

    def show(n_updates, average_reward):
        if n_updates > 0:
            bar.step(f"average reward {_of_meta_agents(average_reward, trainer.agents).mean():+.3f}")

    average_reward = trainer.evaluate(phase, chain_length, n_tasks, show)
    bar.close()
    return average_reward


def _meta_agents(agents):
    """The numbers of those who learn their initial policy, or of all agents where nobody does."""
    return [index for index, agent in enumerate(agents) if agent.is_meta_agent] or [*range(len(agents))]


def _of_meta_agents(average_reward, agents):
    """The mean over meta-agents: array [..., n_agents] → [...]."""
    return average_reward[..., _meta_agents(agents)].mean(axis=-1)
