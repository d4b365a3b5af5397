"""Proves that the metrics are all in the CSV file, their means in the events, and nothing twice after a restart."""

import csv
import pathlib
import warnings

from absl.testing import parameterized
import numpy as np
import pytest
from tensorboard.backend.event_processing import event_accumulator
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg.runs import metrics
from tf_metamapg.runs.metrics import MetricsLog

SEEDS, CHAIN_LENGTH, N_AGENTS = (3, 4, 5), 1, 2
GAME_METRICS = ("cooperation", "length")
COLUMNS = [
    "meta_update", "seed", "agent", "average_reward_0", "average_reward_1",
    "cooperation_0", "cooperation_1", "length_0", "length_1",
    "current_policy_norm", "self_shaping_norm", "opponent_shaping_norm",
]
ROWS_PER_UPDATE = len(SEEDS) * N_AGENTS


def table_of(meta_update):
    """What a meta-update reports, [S, n_agents, number of columns]."""
    shape = [len(SEEDS), N_AGENTS, len(COLUMNS) - 3]
    return np.random.default_rng(meta_update).normal(size=shape).astype(np.float32)


class MetricsTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        self.csv_path = pathlib.Path(self.get_temp_dir()) / "metrics.csv"
        self.events = pathlib.Path(self.get_temp_dir()) / "tensorboard"
        self.digests = {}

    def log(self, n_done=0):
        """The log after so many meta-updates, which an earlier call of `write` has written."""
        digest = self.digests[n_done] if n_done else None
        return MetricsLog(
            self.csv_path, self.events, "meta_update", SEEDS, N_AGENTS, COLUMNS[3:], n_done=n_done, digest=digest
        )

    def write(self, first, last, n_done=0):
        log = self.log(n_done)
        for meta_update in range(first, last + 1):
            log.write(meta_update, table_of(meta_update))
            self.digests[meta_update] = log.flush()
        log.close()

    def read_csv(self):
        with open(self.csv_path, newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        self.assertEqual(header, COLUMNS)
        return rows

    def read_events(self):
        """[(step, tag, value)] of all events, in their order."""
        paths = [str(path) for path in self.events.iterdir()]
        self.assertLen(paths, 1)
        values = []
        for record in tf.data.TFRecordDataset(paths):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                self.assertEqual(value.metadata.plugin_data.plugin_name, "scalars")
                values.append((event.step, value.tag, tf.make_ndarray(value.tensor).item()))
        return values

    def test_seeds_without_a_number(self):
        table = table_of(1)
        table[0, 0, 2] = table[:, 1, 2] = np.nan
        log = self.log()
        log.write(1, table)
        log.close()
        cells = np.reshape(self.read_csv(), [len(SEEDS), N_AGENTS, -1])[:, :, 5]
        self.assertEqual([*cells[:, 1], cells[0, 0]], [""] * 4)
        self.assertAllEqual(metrics.read(self.csv_path, len(SEEDS), N_AGENTS, "float32")[0], table)
        by_tag = {tag: value for _, tag, value in self.read_events()}
        self.assertAllClose(by_tag["agent_0/cooperation_0"], table[1:, 0, 2].mean(), rtol=1e-6)
        self.assertNotIn("agent_1/cooperation_0", by_tag)

    def test_tensorboard_shows_the_events(self):
        self.write(1, 3)
        accumulator = event_accumulator.EventAccumulator(str(self.events)).Reload()
        (mean,) = [values for values in self.read_events() if values[:2] == (2, "agent_1/opponent_shaping_norm")]
        events = accumulator.Tensors(mean[1])
        self.assertEqual([event.step for event in events], [1, 2, 3])
        self.assertEqual(tf.make_ndarray(events[1].tensor_proto), mean[2])
        self.assertIn(mean[1], accumulator.PluginTagToContent("scalars"))

    def test_values_that_are_infinite_as_float32_are_written_without_a_word(self):
        log = self.log()
        huge = np.full([len(SEEDS), N_AGENTS, len(COLUMNS) - 3], 1e60)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            log.write(1, huge)
        log.close()
        self.assertIn((1, "agent_0/average_reward_0", np.inf), self.read_events())

    def test_csv_has_every_update_seed_agent_and_value(self):
        self.write(1, 3)
        rows = self.read_csv()
        self.assertLen(rows, 3 * ROWS_PER_UPDATE)
        expected = [
            (meta_update, seed, agent) for meta_update in (1, 2, 3) for seed in SEEDS for agent in range(N_AGENTS)
        ]
        self.assertEqual([tuple(map(int, row[:3])) for row in rows], expected)
        for row in rows:
            meta_update, seed, agent = map(int, row[:3])
            # With all digits.
            self.assertAllEqual(np.array(row[3:], np.float32), table_of(meta_update)[SEEDS.index(seed), agent])
        table = metrics.read(self.csv_path, len(SEEDS), N_AGENTS, "float32")
        self.assertAllEqual(table, [table_of(meta_update) for meta_update in (1, 2, 3)])

    def test_events_have_the_means_of_the_csv(self):
        self.write(1, 3)
        values, rows = self.read_events(), self.read_csv()
        self.assertLen(values, 3 * N_AGENTS * len(COLUMNS[3:]))
        self.assertLen({(step, tag) for step, tag, _ in values}, len(values))
        for step, tag, value in values:
            agent, name = tag.split("/")
            column = [float(row[COLUMNS.index(name)]) for row in rows if row[0] == str(step) and row[2] == agent[6:]]
            self.assertLen(column, len(SEEDS))
            # Means of three numbers of either sign that are as large as 4 and have seven digits.
            self.assertAllClose(value, np.mean(column), rtol=1e-6, atol=4e-7)

    @parameterized.parameters(1, 2)
    def test_restart_drops_what_is_beyond_the_checkpoint(self, n_done):
        self.write(1, 4)
        self.write(n_done + 1, 2, n_done)
        restarted = (self.csv_path.read_bytes(), self.read_events())
        self.write(1, 2)
        self.assertEqual(restarted[0], self.csv_path.read_bytes())
        self.assertEqual(restarted[1], self.read_events())

    def test_start_without_a_checkpoint_drops_everything(self):
        self.write(1, 2)
        self.write(1, 0)
        self.assertEmpty(self.read_csv())
        self.assertEmpty(self.read_events())

    def test_restart_without_the_rows_that_a_checkpoint_stands_for(self):
        self.write(1, 3)
        lines = self.csv_path.read_bytes().splitlines(keepends=True)
        self.csv_path.write_bytes(b"".join(lines[:-1]))
        expected = rf"^--resume: .*metrics.csv must have the {len(lines) - 1} rows .* and has {len(lines) - 2}, or"
        with self.assertRaisesRegex(checks.InvalidInputError, expected):
            self.write(4, 4, 3)
        self.csv_path.unlink()
        with self.assertRaisesRegex(checks.InvalidInputError, "and has 0, or others$"):
            self.write(4, 4, 3)

    @parameterized.named_parameters(
        ("value", lambda lines: [*lines[:3], lines[3].replace(b"1", b"2", 1), *lines[4:]]),
        ("swapped", lambda lines: [lines[0], lines[2], lines[1], *lines[3:]]),
        ("doubled", lambda lines: [*lines[:2], lines[1], *lines[2:]]),
        ("header", lambda lines: [b"update,seed,agent\n", *lines[1:]]),
        ("not_text", lambda lines: [*lines[:4], b"\xff\xfe\0\n", *lines[5:]]),
    )
    def test_rows_that_are_not_as_they_were(self, change):
        self.write(1, 3)
        lines = self.csv_path.read_bytes().splitlines(keepends=True)
        changed = b"".join(change(lines))
        self.csv_path.write_bytes(changed)
        with self.assertRaisesRegex(checks.InvalidInputError, "or others$"):
            self.write(4, 4, 3)
        self.assertEqual(self.csv_path.read_bytes(), changed)

    @parameterized.parameters(1, 9)
    @pytest.mark.slow
    def test_restart_after_a_row_that_was_cut_anywhere(self, n_done):
        self.write(1, n_done)
        kept = self.csv_path.read_bytes()
        self.write(n_done + 1, n_done + 2, n_done)
        more = self.csv_path.read_bytes()
        self.assertStartsWith(more, kept)
        one_row = more.index(b"\n", len(kept)) + 1
        for end in [*range(len(kept), one_row + 1), len(more) - 1]:
            self.csv_path.write_bytes(more[:end])
            self.log(n_done).close()
            self.assertEqual(self.csv_path.read_bytes(), kept, f"cut after {more[len(kept):end]}")

    def test_flush_leaves_nothing_in_buffers(self):
        log = self.log()
        log.write(1, table_of(1))
        log.flush()
        self.assertLen(self.read_csv(), ROWS_PER_UPDATE)
        self.assertLen(self.read_events(), N_AGENTS * len(COLUMNS[3:]))
        log.close()

    def test_what_there_is_not(self):
        """Is an empty cell, and no event."""
        log, table = self.log(), table_of(1)
        table[..., 1] = np.nan
        log.write(1, table)
        log.close()
        self.assertEqual({row[4] for row in self.read_csv()}, {""})
        self.assertLen(self.read_events(), N_AGENTS * (len(COLUMNS) - 4))
        self.assertAllEqual(metrics.read(self.csv_path, len(SEEDS), N_AGENTS, "float32"), [table])

    def test_float64(self):
        log = self.log()
        table = np.random.default_rng(0).normal(size=[len(SEEDS), N_AGENTS, len(COLUMNS) - 3])
        log.write(1, table)
        log.close()
        self.assertAllEqual(metrics.read(self.csv_path, len(SEEDS), N_AGENTS, "float64"), [table])


if __name__ == "__main__":
    tf.test.main()
