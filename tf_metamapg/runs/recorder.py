"""What a run writes while it learns: rows of metrics, checkpoints that go with them, and what callbacks make of it."""

from collections.abc import Sequence
import json
import time
from typing import Any

import numpy as np

from tf_metamapg.runs.callbacks import Callback
from tf_metamapg.runs.callbacks import Progress
from tf_metamapg.runs.callbacks import Validation
from tf_metamapg.runs.checkpoints import Checkpoint
from tf_metamapg.runs.checkpoints import Checkpointer
from tf_metamapg.runs.metrics import MetricsLog
from tf_metamapg.runs.run_directory import RunDirectory


class Recorder:
    """Keeps what is known of a run in step with its last checkpoint.

    Attributes:
        latest: the path of the last checkpoint, or None.
        started: when the run would have begun, in seconds since the epoch, had it not been interrupted.
    """

    def __init__(
        self, directory: RunDirectory, checkpointer: Checkpointer, log: MetricsLog, names: Sequence[str],
        callbacks: Sequence[Callback], started: float, checkpoint: Checkpoint | None,
    ) -> None:
        """
        Args:
            directory: of the run.
            checkpointer: where checkpoints go.
            log: where rows go.
            names: of what is measured, the columns of a row.
            callbacks: what is called.
            started: when this process has begun.
            checkpoint: what the run goes on from, if it does.
        """
        self._directory, self._checkpointer, self._log = directory, checkpointer, log
        self._names, self._callbacks = tuple(names), tuple(callbacks)
        notes: dict[str, Any] = {"wall_seconds": 0.0, "validations": "[]"} if checkpoint is None else checkpoint.notes
        self.started = started - notes["wall_seconds"]
        self._n_updates = 0 if checkpoint is None else checkpoint.number
        self._measured: dict[str, np.ndarray] = {}
        validations = json.loads(notes["validations"])
        self._validations = [Validation(n_updates, np.array(scores)) for n_updates, scores in validations]

    @property
    def latest(self) -> Any:
        """See above."""
        return self._checkpointer.latest

    @property
    def progress(self) -> Progress:
        """How far the run has come."""
        return Progress(self._directory, self._n_updates, self._measured, tuple(self._validations))

    def wants_to_stop(self) -> bool:
        """Whether a callback wants to end this stage."""
        return any(callback.wants_to_stop(self.progress) for callback in self._callbacks)

    def write(self, number: int, table: np.ndarray) -> None:
        """Writes what an update has reported, [S, n_agents, number of columns]."""
        self._log.write(number, table)
        self._n_updates, self._measured = number, dict(zip(self._names, np.moveaxis(table, -1, 0)))
        for callback in self._callbacks:
            callback.after_update(self.progress)

    def validated(self, scores: np.ndarray) -> None:
        """Notes what a meta-validation says of each seed, [S]."""
        self._validations.append(Validation(self._n_updates, scores))
        for callback in self._callbacks:
            callback.after_validation(self.progress)

    def next_stage(self) -> None:
        """Forgets the validations of the last stage."""
        self._validations = []

    def save(self, number: int, variables: Any, **notes: Any) -> None:
        """Saves a checkpoint after some updates, with what has been written so far."""
        validations = [(validation.n_updates, validation.scores.tolist()) for validation in self._validations]
        self._checkpointer.save(number, variables, {
            "metrics_digest": self._log.flush(), "wall_seconds": time.time() - self.started,
            "validations": json.dumps(validations), **notes,
        })
        for callback in self._callbacks:
            callback.after_checkpoint(self.progress)

    def close(self) -> None:
        """Flushes and closes the files of metrics."""
        self._log.close()

    def end(self, summary: dict[str, Any]) -> None:
        """Tells callbacks that results are there."""
        for callback in self._callbacks:
            callback.at_end(self.progress, summary)
