"""One experiment from start to end: meta-train, adapt on held-out tasks, and leave a run directory."""

import os
import sys
import time

import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg.numerics import random
from tf_metamapg.runs import export
from tf_metamapg.runs import figures
from tf_metamapg.runs import files
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


def build(experiment):
    """The trainer of an experiment, whose meta-gradient has been traced: errors in it are found early.

    Args:
        experiment: `settings.Experiment`.

    Returns:
        MetaTrainer.

    Raises:
        InvalidInputError: if something cannot be used.
    """
    trainer = MetaTrainer(experiment.problem, experiment.trainer, experiment.run.seeds)
    trainer.trace()
    return trainer


def train(
    experiment, trainer, config, directory, started, resume=False, allow_other_versions=False, opened=lambda: None
):
    """Meta-trains, evaluates on held-out tasks and writes everything to the run directory.

    Args:
        experiment: `settings.Experiment`.
        trainer: what `build` has made of it.
        config: the text of its whole config.
        directory: the `RunDirectory`, which this process has claimed.
        started: when the run began, in seconds since the epoch.
        resume: whether to go on with the run that is there.
        allow_other_versions: whether to go on though packages have other versions than the run has used so far.
        opened: called when nothing can be refused any more.

    Returns:
        the summary, as it stands in `summary.json`.

    Raises:
        InvalidInputError: if the run in the directory cannot go on, or if its policies cannot be exported or its
            figures drawn; nothing has been written then.
        MetaTrainingStopped: if a meta-gradient is NaN or infinite, or if something could not be published; the results
            are in `summary.json` then.
    """
    export.check_exportable(_exported(experiment.problem))
    figures.check_drawable(*_labels(experiment.problem))
    checkpointer, log, started = _open(
        experiment, trainer, config, directory, started, resume, allow_other_versions, opened
    )
    _meta_train(experiment, trainer, checkpointer, log, started)
    validation, meta_test = _evaluate(experiment, trainer, checkpointer)
    summary = _summary(experiment, trainer, validation, meta_test, started)
    _publish(experiment, trainer, directory, summary)
    return summary


def _open(experiment, trainer, config, directory, started, resume, allow_other_versions, opened):
    """Begins a run, or takes it up where it was left: (Checkpointer, MetricsLog, when it would have begun)."""
    run, evaluation, jit_compile = experiment.run, experiment.evaluation, experiment.trainer.jit_compile
    may_change = _MAY_CHANGE + (_EVALUATION_SIZES if evaluation.validate_every is None else ())
    if resume:
        directory.check_same_run(config, may_change, allow_other_versions)
    else:
        directory.start(config, run.seeds, jit_compile)
    checkpointer = Checkpointer(
        directory.checkpoints, trainer.state, run_directory.digest(config, may_change, run.seeds, jit_compile)
    )
    notes = _restore(checkpointer, directory) if resume else None
    done = int(trainer.n_meta_updates_done)
    checks.check(run.n_meta_updates >= done, "train.n_meta_updates", run.n_meta_updates, f"≥ {done}, as many are done")
    spec = experiment.problem.game.spec
    log = MetricsLog(
        directory.metrics, directory.events, run.seeds, experiment.trainer.chain_length, spec.n_agents, spec.metrics,
        n_meta_updates_done=done, digest=None if notes is None else notes["metrics_digest"],
    )
    print(f"run directory: {directory.path}", flush=True)
    opened()
    if resume:
        directory.go_on(config)
        print(f"resumed after {done} of {run.n_meta_updates} meta-updates", flush=True)
    if notes is None:
        _save_checkpoint(trainer, checkpointer, log, started)
    else:
        started -= notes["wall_seconds"]
    return checkpointer, log, started


def _restore(checkpointer, directory):
    """Restores the last checkpoint that can be read, and returns its notes; None if the run has made none yet."""
    notes, damaged = checkpointer.restore()
    for path in damaged:
        print(f"note: checkpoint {path} cannot be read, so an earlier one is taken", flush=True)
    if notes is None and directory.has_progress():
        raise checks.InvalidInputError(f"--resume: {directory.checkpoints} holds no checkpoint, though there were some")
    return notes


def _save_checkpoint(trainer, checkpointer, log, started):
    notes = {"metrics_digest": log.flush(), "wall_seconds": time.time() - started}
    checkpointer.save(int(trainer.n_meta_updates_done), notes)


def _meta_train(experiment, trainer, checkpointer, log, started):
    run, validate_every = experiment.run, experiment.evaluation.validate_every
    bar = progress.Progress(run.n_meta_updates, int(trainer.n_meta_updates_done))
    while (done := int(trainer.n_meta_updates_done)) < run.n_meta_updates:
        try:
            metrics = trainer.step()
        except NonFiniteGradientError as error:
            bar.close()
            _save_checkpoint(trainer, checkpointer, log, started)
            log.close()
            raise MetaTrainingStopped(
                f"{error}; what was learned before it is in {checkpointer.latest}"
            ) from error
        done += 1
        log.write(done, metrics)
        by_link = experiment.compared(metrics.mean_reward).mean(axis=0)
        bar.step(f"mean reward per step {by_link[0]:+.3f} before and {by_link[-1]:+.3f} after adaptation")
        if validate_every is not None and done % validate_every == 0:
            trainer.best.keep(_scores(experiment, _adapt(experiment, trainer, random.META_VALIDATION)))
        if done % run.checkpoint_every == 0 or done == run.n_meta_updates:
            _save_checkpoint(trainer, checkpointer, log, started)
    bar.close()
    log.close()
    if validate_every is not None:
        # After the last checkpoint: a run that goes on has no validation here.
        trainer.best.keep(_scores(experiment, _adapt(experiment, trainer, random.META_VALIDATION)))
        trainer.best.restore()


def _evaluate(experiment, trainer, checkpointer):
    """What held-out tasks say: of meta-validation and of meta-testing, see `MetaTrainer.evaluate`."""
    validation, meta_test = (_adapt(experiment, trainer, phase) for phase in (random.META_VALIDATION, random.META_TEST))
    if not all(np.all(np.isfinite(mean_reward)) for mean_reward, _ in (validation, meta_test)):
        raise MetaTrainingStopped(
            f"a mean reward in evaluation is NaN or infinite; the last checkpoint is {checkpointer.latest}"
        )
    return validation, meta_test


def _adapt(experiment, trainer, phase):
    """Lets agents adapt on the tasks of a phase; see `MetaTrainer.evaluate`."""
    name = {random.META_VALIDATION: "meta-validation", random.META_TEST: "meta-test"}[phase]
    chain_length = experiment.evaluation.evaluation_chain_length
    bar = progress.Progress(chain_length, what=f"{name}, inner update")

    def show(n_updates, mean_reward):
        if n_updates > 0:
            bar.step(f"mean reward per step {experiment.compared(mean_reward).mean():+.3f}")

    results = trainer.evaluate(phase, chain_length, experiment.evaluation.n_evaluation_tasks, show)
    bar.close()
    return results


def _scores(experiment, validation):
    """How well each seed does in what it is trained for: array [S]."""
    mean_reward, _ = validation
    return experiment.compared(mean_reward)[:, experiment.trained_links].mean(axis=1)


def _summary(experiment, trainer, validation, meta_test, started):
    problem, run = experiment.problem, experiment.run
    best = int(np.argmax(_scores(experiment, validation)))
    has_policies = any(policy is not None for policy in _exported(problem))
    return {
        "agent": _labels(problem)[1],
        "game": problem.game.spec.name,
        "estimator": type(problem.estimator).__name__,
        "n_seeds": run.n_seeds,
        "seeds": list(run.seeds),
        "meta_updates": run.n_meta_updates,
        "chain_length": experiment.trainer.chain_length,
        "jit_compile": experiment.trainer.jit_compile,
        "wall_seconds": time.time() - started,
        "exported_seed": run.seeds[best] if has_policies else None,
        "update_params": [
            tf.nest.map_structure(lambda leaf: leaf.numpy().tolist(), values.update)
            for values in trainer.meta_param_values()
        ],
        "axes": "[seed][inner update][agent], inner update 0 is before adaptation; rewards and metrics are per step",
        **{
            name: {"average_reward": mean_reward.tolist()}
            | {metric: values.tolist() for metric, values in game_metrics.items()}
            for name, (mean_reward, game_metrics) in (("meta_validation", validation), ("meta_test", meta_test))
        },
    }


def _publish(experiment, trainer, directory, summary):
    """Writes the results, and then what may fail without harm to them."""
    problem, run = experiment.problem, experiment.run
    files.write_json(directory.summary, summary)

    def draw():
        directory.adaptation_figure.parent.mkdir(exist_ok=True)
        mean_reward = np.array(summary["meta_test"]["average_reward"])
        figures.save_adaptation_figure(directory.adaptation_figure, mean_reward, *_labels(problem))

    def export_policies():
        exported = _exported(problem)
        initial_params = tuple(values.initial for values in trainer.meta_param_values())
        best = 0 if summary["exported_seed"] is None else run.seeds.index(summary["exported_seed"])
        # All of them at once, so that none is left of an earlier end of the run.
        with files.atomic(directory.initial_policies) as aside:
            export.export_policies(aside, exported, initial_params, best)
            for index, seed in enumerate(run.seeds if run.export_all_seeds else []):
                path = os.path.join(aside, f"seed_{seed}")
                export.export_policies(path, exported, initial_params, index)

    failed = []
    for name, publish in (("figure", draw), ("initial policies", export_policies)):
        try:
            publish()
        except Exception as error:  # Whatever it is, the rest can still be published.
            print(f"{name}: {checks.one_line(f'{type(error).__name__}: {error}', 300)}", file=sys.stderr, flush=True)
            failed.append(name)
    print(report.text(directory, summary, experiment.compared_agents))
    if failed:
        raise MetaTrainingStopped(
            f"{' and '.join(failed)} could not be written; the results are in {directory.summary}, and --resume tries "
            "again"
        )


def _exported(problem):
    """The policies to export; None for agents of a population, which start from another policy in every task."""
    return [
        policy if population is None else None for policy, population in zip(problem.policies, problem.populations)
    ]


def _labels(problem):
    """(the title of figures, the agents' names)."""
    return f"{problem.game.spec.name}, held-out tasks", [type(agent).__name__ for agent in problem.agents]
