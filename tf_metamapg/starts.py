"""Starts of runs, as configs describe them."""

from collections.abc import Callable
from collections.abc import Sequence
import os
import time
from typing import Any

from tf_metamapg import checks
from tf_metamapg import configs
from tf_metamapg import gin_messages
from tf_metamapg.runs import choices
from tf_metamapg.runs import claims
from tf_metamapg.runs import course
from tf_metamapg.runs import experiment
from tf_metamapg.runs import publication
from tf_metamapg.runs.run_directory import RunDirectory
from tf_metamapg.training.workers import ALONE
from tf_metamapg.training.workers import Workers


def train(
    gin_files: Sequence[str | os.PathLike[str]], bindings: Sequence[str], directory: RunDirectory, resume: bool,
    allow_other_versions: bool, started: float, tell_unused: Callable[[list[str]], None] = lambda unused: None,
    workers: Workers = ALONE,
) -> dict[str, Any] | None:
    """Runs the experiment that configs describe.

    Args:
        gin_files, bindings: see `configs.Config`. Without a binding of `train.n_blocks` there are as many blocks as the
            workers need, and in a run that is resumed as many as there were.
        directory: the `RunDirectory`, claimed by the chief.
        resume: whether to go on with the run that is there.
        allow_other_versions: see `experiment.train`.
        started: when the run began, in seconds since the epoch.
        tell_unused: called when the run begins, with what is bound though nothing uses it, a list of texts.
        workers: who computes; all of them call this.

    Returns:
        the summary, see `experiment.train`; None in a worker that is not the chief.

    Raises:
        InvalidInputError: if the configs cannot be read or run.
        RunStopped: see `experiment.train`.
    """
    config = configs.Config(gin_files, bindings, directory.read_info()["jit_compile"] if resume else None)
    config.set_blocks(
        directory.n_blocks if resume else lambda: choices.blocks_for(config.experiment, workers.n_workers)
    )
    n_blocks = config.experiment.trainer.n_blocks
    checks.check(workers.n_workers <= n_blocks, "--workers", workers.n_workers, f"at most train.n_blocks, {n_blocks}")
    with config.known():
        built = course.build(config.experiment, workers)
        # Looked at before workers compute anything together, and so before the chief can write one.
        goes_on = resume and directory.has_checkpoints()
        has_ended = resume and publication.finished(config.experiment, directory, config.present_text()) is not None
        if not has_ended:
            built.trace()
    text = config.present_text()
    with config.running():
        if not workers.is_chief:
            experiment.follow(config.experiment, built, text, directory, goes_on)
            return None
        return experiment.train(
            config.experiment, built, text, directory, started, resume, allow_other_versions,
            opened=lambda: tell_unused(config.unused(text)),
        )


def train_once(
    path: str | os.PathLike[str], gin_files: Sequence[str | os.PathLike[str]], bindings: Sequence[str]
) -> dict[str, Any]:
    """Runs a config in a directory, or goes on where that was killed; a run that has ended is not computed again.

    Args:
        path: the run directory.
        gin_files, bindings: see `train`.

    Returns:
        the summary, see `experiment.train`.

    Raises:
        InvalidInputError: if the run directory cannot be used, or holds another run.
        RunStopped: see `experiment.train`.
    """
    resume = RunDirectory(path).config.exists()
    with claims.claim(path, resume) as claimed:
        try:
            summary = train(gin_files, bindings, claimed, resume, False, time.time(), gin_messages.tell_unused)
        except checks.InvalidInputError as error:
            if not resume:
                raise
            raise checks.InvalidInputError(
                f"{path}: holds a run that cannot go on; remove it to begin again ({error})"
            ) from error
        assert summary is not None  # This process is the chief.
        return summary
