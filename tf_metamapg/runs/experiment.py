"""One experiment from start to end: learn, evaluate on held-out tasks, and leave a run directory."""

from collections.abc import Callable
from typing import Any

from tf_metamapg import checks
from tf_metamapg.runs import export
from tf_metamapg.runs import exports
from tf_metamapg.runs import figures
from tf_metamapg.runs import publication
from tf_metamapg.runs import run_directory
from tf_metamapg.runs import serving
from tf_metamapg.runs import terminal
from tf_metamapg.runs.checkpoints import Checkpointer
from tf_metamapg.runs.course import Course
from tf_metamapg.runs.metrics import MetricsLog
from tf_metamapg.runs.recorder import Follower
from tf_metamapg.runs.recorder import Recorder
from tf_metamapg.runs.run_directory import RunDirectory
from tf_metamapg.runs.settings import Experiment
from tf_metamapg.runs.stops import RunStopped


def train(
    experiment: Experiment, course: Course, config: str, directory: RunDirectory, started: float,
    resume: bool = False, allow_other_versions: bool = False, opened: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Learns, evaluates and writes everything to the run directory.

    Args:
        experiment: `settings.Experiment`.
        course: what `course.build` has made of it.
        config: the text of its whole config.
        directory: the `RunDirectory`, which this process has claimed.
        started: when the run began, in seconds since the epoch.
        resume: whether to go on with the run that is there; one that has ended is reported again.
        allow_other_versions: whether to go on though packages have other versions than the run has used so far.
        opened: called when nothing can be refused any more.

    Returns:
        the summary, as it stands in `summary.json`.

    Raises:
        InvalidInputError: if the run in the directory cannot go on, or if its policies cannot be exported or its
            figures drawn; nothing has been written then.
        RunStopped: if something is NaN or infinite, or could not be published; the results are in `summary.json` then.
    """
    export.check_exportable(exports.exportable(experiment))
    if experiment.run.export_learning:
        serving.check_agents(experiment.problem)
    figures.check_drawable(*publication.labels(experiment.problem))
    if resume:
        directory.check_same_run(config, course.may_change, allow_other_versions)
        if (summary := publication.finished(experiment, directory, config)) is not None:
            opened()
            terminal.say(f"run directory: {directory.path}\nthis run has ended; nothing is computed")
            publication.report(experiment, directory, summary)
            return summary
    recorder = _open(experiment, course, config, directory, started, resume, opened)
    course.run(recorder)
    results = course.results(recorder)
    summary = publication.summary(experiment, course.trainer, results, config, recorder.started)
    if failed := publication.publish(experiment, course.trainer, directory, summary, results):
        raise RunStopped(
            f"{' and '.join(failed)} could not be written; the results are in {directory.summary}, and --resume tries "
            "again"
        )
    publication.report(experiment, directory, summary)
    recorder.end(summary)
    return summary


def follow(experiment: Experiment, course: Course, config: str, directory: RunDirectory, goes_on: bool) -> None:
    """Takes part in a run as a worker that is not the chief, and writes nothing.

    Args:
        experiment, course, config: see `train`.
        directory: that of the run, which the chief has claimed.
        goes_on: whether there is a checkpoint to go on from.

    Raises:
        RunStopped: see `train`.
    """
    if publication.finished(experiment, directory, config) is not None:
        return
    run = experiment.run
    digest = run_directory.digest(config, course.may_change, run.seeds, experiment.trainer.jit_compile)
    checkpoint = Checkpointer(directory.checkpoints, digest).find()[0] if goes_on else None
    _take_up(course, checkpoint)
    course.run(Follower(directory, course.names, run.callbacks, checkpoint))


def _take_up(course, checkpoint):
    """Begins, or goes on from a checkpoint."""
    if checkpoint is None:
        course.begin()
    else:
        course.go_on(checkpoint)


def _open(experiment, course, config, directory, started, resume, opened):
    """Begins a run, or takes it up where it was left."""
    run, jit_compile, spec = experiment.run, experiment.trainer.jit_compile, experiment.problem.game.spec
    digest = run_directory.digest(config, course.may_change, run.seeds, jit_compile)
    checkpointer = Checkpointer(directory.checkpoints, digest)
    checkpoint = _find(checkpointer, directory) if resume else None
    _take_up(course, checkpoint)
    if not resume:
        directory.start(config, run.seeds, jit_compile)
    log = MetricsLog(
        directory.metrics, directory.events, course.counter, run.seeds, spec.n_agents, course.names,
        n_done=course.n_rows_done, digest=None if checkpoint is None else checkpoint.notes["metrics_digest"],
    )
    terminal.say(f"run directory: {directory.path}")
    opened()
    recorder = Recorder(directory, checkpointer, log, course.names, run.callbacks, started, checkpoint)
    if resume:
        directory.go_on(config)
        terminal.say(f"resumed after {course.described_progress()}")
    if checkpoint is None:
        course.save(recorder)
    return recorder


def _find(checkpointer, directory):
    """The last checkpoint that can be read; None if the run has made none yet."""
    checkpoint, damaged = checkpointer.find()
    for path in damaged:
        terminal.say(f"note: checkpoint {path} cannot be read, so an earlier one is taken")
    if checkpoint is None and directory.has_progress():
        raise checks.InvalidInputError(f"--resume: {directory.checkpoints} holds no checkpoint, though there were some")
    return checkpoint
