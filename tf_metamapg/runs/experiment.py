"""One experiment from start to end: meta-train, adapt on held-out tasks, and leave a run directory."""

from collections.abc import Callable
import time
from typing import Any

import numpy as np

from tf_metamapg import checks
from tf_metamapg.numerics import random
from tf_metamapg.runs import export
from tf_metamapg.runs import figures
from tf_metamapg.runs import progress
from tf_metamapg.runs import publication
from tf_metamapg.runs import run_directory
from tf_metamapg.runs import serving
from tf_metamapg.runs import snapshots
from tf_metamapg.runs.checkpoints import Checkpointer
from tf_metamapg.runs.metrics import MetricsLog
from tf_metamapg.runs.run_directory import RunDirectory
from tf_metamapg.runs.settings import Experiment
from tf_metamapg.training.gradient_norms import NonFiniteGradientError
from tf_metamapg.training.trainer import MetaTrainer

# What a run may be resumed with other values of: no meta-update depends on it.
_MAY_CHANGE = ("train.n_meta_updates", "train.checkpoint_every", "train.export_all_seeds", "train.export_learning")
# The same, but that meta-validations keep the best by it.
_EVALUATION_SIZES = ("train.evaluation_chain_length", "train.n_evaluation_tasks")


class MetaTrainingStopped(RuntimeError):
    """A run cannot go on; the message says where it stopped and where it can be taken up."""


def build(experiment: Experiment) -> MetaTrainer:
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
    experiment: Experiment, trainer: MetaTrainer, config: str, directory: RunDirectory, started: float,
    resume: bool = False, allow_other_versions: bool = False, opened: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
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
    export.check_exportable(publication.exported(experiment.problem))
    if experiment.run.export_learning:
        serving.check_agents(experiment.problem)
    figures.check_drawable(*publication.labels(experiment.problem))
    checkpointer, log, started = _open(
        experiment, trainer, config, directory, started, resume, allow_other_versions, opened
    )
    _meta_train(experiment, trainer, directory, checkpointer, log, started)
    validation, meta_test = _evaluate(experiment, trainer, checkpointer)
    summary = publication.summary(experiment, trainer, validation, meta_test, started)
    if failed := publication.publish(experiment, trainer, directory, summary):
        raise MetaTrainingStopped(
            f"{' and '.join(failed)} could not be written; the results are in {directory.summary}, and --resume tries "
            "again"
        )
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


def _meta_train(experiment, trainer, directory, checkpointer, log, started):
    _keep_snapshot(experiment, trainer, directory)
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
            trainer.best.keep(_validation_scores(experiment, trainer))
        _keep_snapshot(experiment, trainer, directory)
        if done % run.checkpoint_every == 0 or done == run.n_meta_updates:
            _save_checkpoint(trainer, checkpointer, log, started)
    bar.close()
    log.close()
    if validate_every is not None:
        # After the last checkpoint: a run that goes on has no validation here.
        if done % validate_every != 0:
            trainer.best.keep(_validation_scores(experiment, trainer))
        trainer.best.restore()


def _keep_snapshot(experiment, trainer, directory):
    """Keeps the initial policies of this moment, if it is time to; a run that is resumed keeps the same again."""
    every, done = experiment.run.snapshot_every, int(trainer.n_meta_updates_done)
    if every is not None and done % every == 0:
        joint_params = tuple(values.initial for values in trainer.meta_param_values())
        snapshots.keep(directory.snapshots, publication.exported(experiment.problem), joint_params, done)


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


def _validation_scores(experiment, trainer):
    """How well each seed does on the tasks of meta-validation: array [S]."""
    mean_reward, _ = _adapt(experiment, trainer, random.META_VALIDATION)
    return experiment.scores(mean_reward)
