"""Proves that what a game measures is in all that a run leaves, and that steps after an agent's end do not count."""

import contextlib
import csv
import io
import json
import pathlib
import tempfile
import time

from absl.testing import parameterized
import numpy as np
import pytest
import tensorflow as tf

from tests import command_line
from tf_metamapg import contracts
from tf_metamapg import starts
from tf_metamapg.checks import InvalidInputError
from tf_metamapg.runs import claims

CONFIG = pathlib.Path(__file__).parent / "countdown.gin"
N_SEEDS, CHAIN_LENGTH, EVALUATION_CHAIN_LENGTH = 2, 1, 2


@pytest.mark.slow
class GameMetricsTest(tf.test.TestCase):
    """With K trajectories, x K of which are the longer ones, the means over steps that count are

        of agent 0    1 / (1 + x) for `first` and x / (1 + x) for `clock`, 1 less the former,
        of agent 1    1 / (2 + x) for `first` and (1 + 2 x) / (2 + x) for `clock`, 2 less three times the former;

    both remain true of means over tasks and seeds.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.path = pathlib.Path(tempfile.mkdtemp(dir=tf.compat.v1.test.get_temp_dir())) / "run"
        stdout = io.StringIO()
        with contextlib.redirect_stdout(stdout), claims.claim(cls.path, resume=False) as directory:
            cls.summary = starts.train([CONFIG], [], directory, False, False, time.time())
        cls.said = stdout.getvalue()

    def assert_means(self, first, clock):
        """Of arrays whose last axis is the agents."""
        for agent, shortest in enumerate((1, 2)):
            self.assertAllInRange(first[..., agent], 1.0 / (shortest + 1.0), 1.0 / shortest)
            self.assertAllClose(clock[..., agent], agent + 1 - (1 + 2 * agent) * first[..., agent], rtol=0, atol=1e-6)
        # Not all are as long.
        self.assertGreater(np.ptp(first[..., 0]), 0.0)

    def test_summary(self):
        self.assertEqual(json.loads((self.path / "summary.json").read_text("utf-8")), self.summary)
        for phase in ("meta_validation", "meta_test"):
            self.assertEqual([*self.summary[phase]], ["average_reward", "first", "clock"])
            first, clock = (np.array(self.summary[phase][name]) for name in ("first", "clock"))
            self.assertEqual(first.shape, (N_SEEDS, EVALUATION_CHAIN_LENGTH + 1, 2))
            self.assert_means(first, clock)
            # A mean over steps of whether an agent has acted, and not of 5 steps of which most do not count.
            self.assertAllGreater(self.summary[phase]["average_reward"], 0.25)

    def test_metrics_and_events(self):
        with open(self.path / "metrics.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = [f"{name}_{link}" for name in ("first", "clock") for link in range(CHAIN_LENGTH + 1)]
        self.assertEqual([*rows[0]][5:9], names)
        # [meta-update, seed, agent, name and link]
        table = np.reshape([[float(row[name]) for name in names] for row in rows], [2, N_SEEDS, 2, 2, 2])
        first, clock = np.moveaxis(table, [3, 2], [0, -1])
        self.assert_means(first, clock)
        (path,) = (self.path / "tensorboard").iterdir()
        events = {
            (event.step, value.tag): tf.make_ndarray(value.tensor).item()
            for record in tf.data.TFRecordDataset(str(path))
            for event in [tf.compat.v1.Event.FromString(record.numpy())] for value in event.summary.value
        }
        means = table.mean(axis=1).reshape([2, 2, len(names)])
        for (step, agent, index), mean in np.ndenumerate(means):
            self.assertAllClose(events[step + 1, f"agent_{agent}/{names[index]}"], mean, rtol=1e-6, atol=0)

    def test_figures(self):
        for name in ("adaptation", "first", "clock"):
            self.assertEqual((self.path / "figures" / f"{name}.png").read_bytes()[:4], b"\x89PNG")

    def test_report(self):
        for name in ("first", "clock"):
            _, table = self.said.split(f"Mean of {name} per step on held-out tasks")
            for mean in np.array(self.summary["meta_test"][name]).mean(axis=0).ravel():
                self.assertIn(f"{mean:+.3f} ± ", table.split("\n\n")[1])


@pytest.mark.slow
class UndefinedTest(tf.test.TestCase):

    def test_a_metric_that_is_nowhere_defined(self):
        """In an episode of one step nobody has acted before: nulls, empty cells and gaps; what is there is right."""
        path = pathlib.Path(self.get_temp_dir()) / "run"
        bindings = [
            *command_line.TINY, "LoadedDiceEstimator.horizon = 1", "train.export_tasks = []",
            "IteratedMatrixGame.metrics = ['cooperation', 'cooperation_by_state']",
        ]
        outcome = command_line.run("--gin_file=ipd.gin", f"--run_dir={path}", *command_line.gin_params(*bindings))
        self.assertEqual(outcome.status, 0, outcome.stderr)

        def refused(constant):
            raise AssertionError(f"{constant} is no JSON")

        found = json.loads((path / "summary.json").read_text("utf-8"), parse_constant=refused)["meta_test"]
        self.assertEqual(found["cooperation_after_cd"], [[[None, None]] * 2] * 2)
        self.assertEqual(found["cooperation_at_start"], found["cooperation"])
        with open(path / "metrics.csv", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                self.assertEqual([row["cooperation_after_cc_0"], row["cooperation_after_dd_1"]], ["", ""])
                self.assertEqual(row["cooperation_at_start_1"], row["cooperation_1"])
        self.assertTrue((path / "figures" / "cooperation_after_dc.png").exists())
        self.assertIn("not defined", outcome.stdout)
        page = (path / "report.html").read_text("utf-8")
        self.assertIn("not defined", page)
        self.assertNotRegex(page, r"[+-]nan|nan \(")
        # A run that has ended is reported from what it has written.
        again = command_line.run(
            "--gin_file=ipd.gin", f"--run_dir={path}", "--resume", *command_line.gin_params(*bindings)
        )
        self.assertEqual((again.status, again.stderr), (0, ""))
        self.assertIn("not defined", again.stdout)


class NamesTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(
        (("a", "b", "a"), "a", "different names"), (("average_reward",), "average_reward", "another name"),
    )
    def test_names_that_files_could_not_tell_apart(self, names, name, allowed):
        with self.assertRaisesRegex(InvalidInputError, f"^GameSpec.metrics = .*{name}.*: must be .*{allowed}"):
            contracts.GameSpec(
                name="g", discount=0.9, dtype="float32", observations=(contracts.Discrete(1),),
                actions=(contracts.Discrete(2),), metrics=names,
            )


if __name__ == "__main__":
    tf.test.main()
