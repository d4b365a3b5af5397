"""The metrics of a run: a CSV file with every seed, and TensorBoard events with the means over seeds."""

from collections.abc import Sequence
import csv
import hashlib
import io
import os
import shutil

import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg.runs import files
from tf_metamapg.training.trainer import Metrics

_TERMS = ("current_policy", "self_shaping", "opponent_shaping")


class MetricsLog:
    """One row per meta-update, seed and agent, in a CSV file; the same as means in TensorBoard.

    Columns: meta_update (from 1), seed, agent, average_reward_0 .. average_reward_L (mean reward per step
    before adaptation and after each inner update), the same for each metric of the game, and the norm of each term of
    the meta-gradient.
    """

    def __init__(
        self, csv_path: files.PathLike, events_directory: files.PathLike, seeds: Sequence[int], chain_length: int,
        n_agents: int, game_metrics: Sequence[str] = (), *, n_meta_updates_done: int, digest: str | None,
    ) -> None:
        """Opens the log; what stands there beyond `n_meta_updates_done` is dropped.

        Args:
            csv_path: the CSV file.
            events_directory: where TensorBoard looks; it is made anew from the CSV file.
            seeds: the S seeds.
            chain_length: L.
            n_agents: number of agents.
            game_metrics: the names of the game's metrics.
            n_meta_updates_done: how many meta-updates of an earlier start of this run stand.
            digest: what `flush` returned when that many stood; None at the first start.

        Raises:
            InvalidInputError: if these rows are not there any more, or not as they were. Nothing is changed then.
        """
        self._seeds = tuple(seeds)
        self._n_agents = n_agents
        self._game_metrics = tuple(game_metrics)
        by_link = ("average_reward", *self._game_metrics)
        self._values = [f"{name}_{link}" for name in by_link for link in range(chain_length + 1)]
        self._values += [f"{term}_norm" for term in _TERMS]
        self._hash = hashlib.sha256()

        kept = _csv_lines([["meta_update", "seed", "agent", *self._values]])
        if digest is not None:
            kept = _lines_as_written(csv_path, n_meta_updates_done * len(self._seeds) * n_agents, digest)
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

    def write(self, meta_update: int, metrics: Metrics) -> None:
        """Appends what one meta-update reported.

        Args:
            meta_update: its number, from 1.
            metrics: `trainer.Metrics`.
        """
        by_link = [metrics.mean_reward, *(metrics.game_metrics[name] for name in self._game_metrics)]
        table = np.concatenate([*(np.swapaxes(values, 1, 2) for values in by_link), metrics.term_norms], axis=-1)
        rows = [
            [meta_update, seed, agent_index] + [f"{value:.9g}" for value in values]
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
        """Means over seeds, from the rows of one meta-update as they stand in the CSV file."""
        table = np.array([row[3:] for row in rows], np.float64)
        means = table.reshape(len(self._seeds), self._n_agents, -1).mean(axis=0)
        with self._events.as_default(step=int(rows[0][0])):
            for agent_index, agent_means in enumerate(means):
                for name, mean in zip(self._values, agent_means):
                    tf.summary.scalar(f"agent_{agent_index}/{name}", mean)


def _csv_lines(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8")


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
