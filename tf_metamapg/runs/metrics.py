"""The metrics of a run: a CSV file with every seed, and TensorBoard events with the means over seeds."""

from collections.abc import Sequence
import csv
import hashlib
import io
import os
import shutil

import numpy as np
from tensorboard.plugins.scalar import summary_v2
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg.runs import files
from tf_metamapg.runs import statistics


class MetricsLog:
    """One row per update, seed and agent, in a CSV file; the same as means in TensorBoard.

    Columns: the number of the update, seed, agent, and what a run measures. Numbers have as many digits as tell them
    apart; where there is no such number, a cell is empty, and means are those of the other seeds.
    """

    def __init__(
        self, csv_path: files.PathLike, events_directory: files.PathLike, counter: str, seeds: Sequence[int],
        n_agents: int, names: Sequence[str], *, n_done: int, digest: str | None,
    ) -> None:
        """Opens the log; what stands there beyond `n_done` is dropped.

        Args:
            csv_path: the CSV file.
            events_directory: where TensorBoard looks; it is made anew from the CSV file.
            counter: what is numbered, such as "meta_update".
            seeds: the S seeds.
            n_agents: number of agents.
            names: of what is measured.
            n_done: how many updates of an earlier start of this run stand.
            digest: what `flush` returned when that many stood; None at the first start.

        Raises:
            InvalidInputError: if these rows are not there any more, or not as they were. Nothing is changed then.
        """
        self._seeds = tuple(seeds)
        self._n_agents = n_agents
        self._names = tuple(names)
        self._hash = hashlib.sha256()

        kept = _csv_lines([[counter, "seed", "agent", *self._names]])
        if digest is not None:
            kept = _lines_as_written(csv_path, n_done * len(self._seeds) * n_agents, digest)
        self._hash.update(kept)
        with files.atomic(csv_path) as aside:
            with open(aside, "wb") as file:
                file.write(kept)
        # Without a buffer, so that nothing is left to be written when a full disk has ended a run.
        self._file = open(csv_path, "ab", buffering=0)

        shutil.rmtree(events_directory, ignore_errors=True)
        self._events = tf.summary.create_file_writer(os.fspath(events_directory))
        _, *rows = csv.reader(kept.decode("utf-8").splitlines())
        n_rows = len(self._seeds) * n_agents
        for start in range(0, len(rows), n_rows):
            self._write_events(rows[start : start + n_rows])

    def write(self, number: int, table: np.ndarray) -> None:
        """Appends what one update reported.

        Args:
            number: of the update.
            table: array [S, n_agents, number of names]; NaN is what there is not.
        """
        rows = [
            [number, seed, agent_index, *("" if np.isnan(value) else str(value) for value in values)]
            for seed, seed_table in zip(self._seeds, table)
            for agent_index, values in enumerate(seed_table)
        ]
        lines = _csv_lines(rows)
        self._file.write(lines)
        self._hash.update(lines)
        self._write_events(rows)

    def flush(self) -> str:
        """Leaves nothing in buffers, neither the log's own nor the system's.

        Returns:
            text, a digest of the CSV file as it stands.
        """
        os.fsync(self._file.fileno())
        self._events.flush()
        return self._hash.hexdigest()

    def close(self) -> None:
        """Flushes and closes the files."""
        self._file.close()
        self._events.close()

    def _write_events(self, rows):
        """Means over seeds, from the rows of one update as they stand in the CSV file."""
        table = np.array([[cell or "nan" for cell in row[3:]] for row in rows], np.float64)
        means = statistics.mean(table.reshape(len(self._seeds), self._n_agents, -1), axis=0)
        with np.errstate(over="ignore"):  # TensorBoard's numbers are float32.
            events = [
                summary_v2.scalar_pb(f"agent_{agent_index}/{name}", mean)
                for agent_index, agent_means in enumerate(means) for name, mean in zip(self._names, agent_means)
                if not np.isnan(mean)
            ]
        # One event with all values: one for each would take as long to write as a small meta-update.
        with self._events.as_default(step=int(rows[0][0])):
            tf.summary.experimental.write_raw_pb(b"".join(event.SerializeToString() for event in events))


def _csv_lines(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8")


def read(csv_path: files.PathLike, n_seeds: int, n_agents: int, dtype: str) -> np.ndarray:
    """What stands in a CSV file of metrics: array [number of updates, S, n_agents, number of names]."""
    with open(csv_path, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    cells = [[cell or "nan" for cell in row[3:]] for row in rows]
    return np.array(cells, dtype).reshape(-1, n_seeds, n_agents, len(header) - 3)


def _lines_as_written(csv_path, n_rows, digest):
    """The header and the first rows of a CSV file, as bytes; what comes after them may end in the middle of a row."""
    try:
        with open(csv_path, "rb") as file:
            lines = file.readlines()[: 1 + n_rows]
    except FileNotFoundError:
        lines = []
    kept = b"".join(lines)
    if hashlib.sha256(kept).hexdigest() != digest:
        raise checks.InvalidInputError(
            f"--resume: {os.fspath(csv_path)} must have the {n_rows} rows that the run has written up to its last "
            f"checkpoint, and has {max(len(lines) - 1, 0)}, or others"
        )
    return kept
