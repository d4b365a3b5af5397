"""What a run writes while it learns: rows of metrics, checkpoints that go with them, and what callbacks make of it."""

from collections.abc import Sequence
import json
import time
from typing import Any

import numpy as np

from tf_metamapg import contracts
from tf_metamapg.contracts import JointParams
from tf_metamapg.runs import snapshots
from tf_metamapg.runs.callbacks import Callback
from tf_metamapg.runs.callbacks import Progress
from tf_metamapg.runs.callbacks import Validation
from tf_metamapg.runs.checkpoints import Checkpoint
from tf_metamapg.runs.checkpoints import Checkpointer
from tf_metamapg.runs.metrics import MetricsLog
from tf_metamapg.runs.run_directory import RunDirectory


class Follower:
    """Follows a run, and writes nothing: what workers have that are not the chief.

    Attributes:
        latest: where the chief's last checkpoint is.
    """

    def __init__(
        self, directory: RunDirectory, names: Sequence[str], callbacks: Sequence[Callback],
        checkpoint: Checkpoint | None,
    ) -> None:
        """
        Args:
            directory: of the run.
            names: of what is measured, the columns of a row.
            callbacks: what may want to stop.
            checkpoint: what the run goes on from, if it does.
        """
        self.latest: Any = directory.checkpoints
        self._directory, self._names, self._callbacks = directory, tuple(names), tuple(callbacks)
        self._n_updates = 0 if checkpoint is None else checkpoint.number
        self._measured: dict[str, np.ndarray] = {}
        validations = json.loads("[]" if checkpoint is None else checkpoint.notes["validations"])
        self._validations = [Validation(n_updates, np.array(scores)) for n_updates, scores in validations]

    @property
    def progress(self) -> Progress:
        """How far the run has come."""
        return Progress(self._directory, self._n_updates, self._measured, tuple(self._validations))

    def wants_to_stop(self) -> bool:
        """Whether a callback wants to end this stage."""
        return any(callback.wants_to_stop(self.progress) for callback in self._callbacks)

    def write(self, number: int, table: np.ndarray) -> None:
        """Takes what an update has reported, [S, n_agents, number of columns]."""
        self._n_updates, self._measured = number, dict(zip(self._names, np.moveaxis(table, -1, 0)))

    def validated(self, scores: np.ndarray) -> None:
        """Notes what a meta-validation says of each seed, [S]."""
        self._validations.append(Validation(self._n_updates, scores))

    def next_stage(self) -> None:
        """Forgets the validations of the last stage."""
        self._validations = []

    def keep_snapshot(
        self, policies: Sequence[contracts.Policy | None], joint_params: JointParams, number: int
    ) -> None:
        """See `snapshots.keep`."""

    def save(self, number: int, variables: Any, **notes: Any) -> None:
        """Called after some updates, for a checkpoint."""

    def close(self) -> None:
        """Called when there will be no more rows."""


class Recorder(Follower):
    """Keeps what is written of a run in step with its last checkpoint.

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
        super().__init__(directory, names, callbacks, checkpoint)
        self._checkpointer, self._log = checkpointer, log
        self.latest = checkpointer.latest
        self.started = started - (0.0 if checkpoint is None else checkpoint.notes["wall_seconds"])

    def write(self, number: int, table: np.ndarray) -> None:
        """Writes what an update has reported, [S, n_agents, number of columns]."""
        self._log.write(number, table)
        super().write(number, table)
        for callback in self._callbacks:
            callback.after_update(self.progress)

    def validated(self, scores: np.ndarray) -> None:
        """Notes what a meta-validation says of each seed, [S]."""
        super().validated(scores)
        for callback in self._callbacks:
            callback.after_validation(self.progress)

    def keep_snapshot(
        self, policies: Sequence[contracts.Policy | None], joint_params: JointParams, number: int
    ) -> None:
        """Writes what initial policies are after some meta-updates; see `snapshots.keep`."""
        snapshots.keep(self._directory.snapshots, policies, joint_params, number)

    def save(self, number: int, variables: Any, **notes: Any) -> None:
        """Saves a checkpoint after some updates, with what has been written so far."""
        validations = [(validation.n_updates, validation.scores.tolist()) for validation in self._validations]
        self._checkpointer.save(number, variables, {
            "metrics_digest": self._log.flush(), "wall_seconds": time.time() - self.started,
            "validations": json.dumps(validations), **notes,
        })
        self.latest = self._checkpointer.latest
        for callback in self._callbacks:
            callback.after_checkpoint(self.progress)

    def close(self) -> None:
        """Flushes and closes the files of metrics."""
        self._log.close()

    def end(self, summary: dict[str, Any]) -> None:
        """Tells callbacks that results are there."""
        for callback in self._callbacks:
            callback.at_end(self.progress, summary)
