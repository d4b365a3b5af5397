"""Proves that runs that were killed, also while a checkpoint is written, end with the numbers of one that was not."""

import json
import os
import pathlib
import random
import shutil
import signal
import time
from unittest import mock

import pytest
import tensorflow as tf

from tests import command_line
from tf_metamapg.training.trainer import MetaTrainer

# The last update does not fall on a checkpoint's number.
N_META_UPDATES, CHECKPOINT_EVERY = 28, 5


@pytest.mark.slow
class ResumeTest(tf.test.TestCase):

    @classmethod
    def setUpClass(cls):
        """Runs the same run three times: killed anywhere, killed within a checkpoint, and to the end."""
        super().setUpClass()
        cls.root = pathlib.Path(tf.compat.v1.test.get_temp_dir()) / "resume_test"
        killed_anywhere = command_line.start(*cls.arguments("killed_anywhere"))
        killed_in_checkpoint = command_line.start_to_be_killed(15, *cls.arguments("killed_in_checkpoint"))
        while killed_anywhere.poll() is None and not (cls.root / "killed_anywhere/checkpoints/ckpt-5.npz").exists():
            time.sleep(0.01)
        time.sleep(random.Random(0).uniform(0.0, 1.0))
        killed_anywhere.kill()
        cls.killed = {
            "killed_anywhere": command_line.finish(killed_anywhere),
            "killed_in_checkpoint": command_line.finish(killed_in_checkpoint),
        }
        cls.at_kill = {name: sorted(os.listdir(cls.root / name / "checkpoints")) for name in cls.killed}
        cls.left = {name: os.listdir(cls.root / name) for name in cls.killed}
        # One in a process of its own; the other here, beside it.
        resumed = command_line.start(*cls.arguments("killed_anywhere"), "--resume")
        cls.ended = {
            "uninterrupted": command_line.run(*cls.arguments("uninterrupted")),
            "killed_in_checkpoint": command_line.run(*cls.arguments("killed_in_checkpoint"), "--resume"),
            "killed_anywhere": command_line.finish(resumed),
        }

    @classmethod
    def arguments(cls, name):
        return [
            f"--gin_file={command_line.GIN_CONFIGS / 'ipd.gin'}", f"--run_dir={cls.root / name}",
            *command_line.gin_params(
                *command_line.TINY, "train.agents = [@MetaMAPG(), @PolicyGradient()]",
                f"train.n_meta_updates = {N_META_UPDATES}", f"train.checkpoint_every = {CHECKPOINT_EVERY}",
            ),
        ]

    def events(self, name):
        """[(step, tag, value)] of all events of a run."""
        (path,) = (self.root / name / "tensorboard").iterdir()
        return [
            (event.step, value.tag, tf.make_ndarray(value.tensor).item())
            for record in tf.data.TFRecordDataset(str(path))
            for event in [tf.compat.v1.Event.FromString(record.numpy())]
            for value in event.summary.value
        ]

    def summary(self, name):
        """The summary as text, since TensorFlow compares the numbers of two dicts only roughly."""
        summary = json.loads((self.root / name / "summary.json").read_text("utf-8"))
        self.assertGreater(summary.pop("wall_seconds"), 0.0)
        return json.dumps(summary, indent=1)

    def test_runs_were_killed_after_the_first_checkpoint(self):
        for name, outcome in self.killed.items():
            self.assertEqual(outcome.status, -signal.SIGKILL, outcome.stderr)
            self.assertNotIn("summary.json", self.left[name])
            self.assertNotEmpty([file for file in self.at_kill[name] if file.endswith(".npz")])

    def test_unfinished_checkpoint_was_left_behind(self):
        names = self.at_kill["killed_in_checkpoint"]
        self.assertContainsSubset(["ckpt-5.npz", "ckpt-10.npz", "ckpt-15.npz.partial"], names)
        self.assertNotIn("ckpt-15.npz", names)
        self.assertIn("resumed after 10 of 28 meta-updates\n", self.ended["killed_in_checkpoint"].stdout)

    def test_all_end_well(self):
        for outcome in self.ended.values():
            self.assertEqual((outcome.status, outcome.stderr), (0, ""))

    def test_same_summary(self):
        for name in self.killed:
            self.assertEqual(self.summary(name), self.summary("uninterrupted"))

    def test_same_metrics(self):
        expected = (self.root / "uninterrupted" / "metrics.csv").read_text("utf-8")
        self.assertLen(expected.splitlines(), 1 + N_META_UPDATES * 2 * 2)
        for name in self.killed:
            self.assertEqual((self.root / name / "metrics.csv").read_text("utf-8"), expected)

    def test_same_events(self):
        expected = self.events("uninterrupted")
        self.assertEqual({step for step, _, _ in expected}, set(range(1, N_META_UPDATES + 1)))
        for name in self.killed:
            self.assertEqual(self.events(name), expected)

    def test_same_policies(self):
        for agent in ("agent_0", "agent_1"):
            probabilities = [
                tf.saved_model.load(str(self.root / name / "initial_policies" / agent)).signatures["serving_default"](
                    observations=tf.range(5)
                )["probabilities"]
                for name in ("uninterrupted", *self.killed)
            ]
            self.assertAllEqual(probabilities[1], probabilities[0])
            self.assertAllEqual(probabilities[2], probabilities[0])


@pytest.mark.slow
class ResumedWithChangesTest(tf.test.TestCase):
    """One finished run; what may have changed when it is resumed, and what may not."""

    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir())
        # A name that is also a pattern.
        self.run_dir = self.root / "lr_[*]"
        self.train(self.run_dir, "train.n_meta_updates = 4")

    def train(self, run_dir, *bindings, resume=False, status=0, said=""):
        """Runs exact agents, whose graphs are small."""
        outcome = command_line.run(
            f"--gin_file={command_line.GIN_CONFIGS / 'ipd_exact.gin'}", f"--run_dir={run_dir}",
            *command_line.gin_params(
                *command_line.TINY, "train.agents = [@MetaMAPG(), @PolicyGradient()]", "train.checkpoint_every = 2",
                *bindings,
            ),
            *["--resume"] * resume,
        )
        self.assertEqual(outcome.status, status, outcome.stderr)
        self.assertIn(said, outcome.stderr if status else outcome.stdout)
        if status == 2:
            self.assertLen(outcome.stderr.splitlines(), 1)
        return outcome

    def test_more_meta_updates(self):
        """They are those of a run that had as many from the start."""
        more = ("train.n_meta_updates = 6", "train.n_evaluation_tasks = 3")
        self.train(self.run_dir, *more, resume=True, said="resumed after 4 of 6 meta-updates\n")
        self.train(self.root / "at_once", *more)
        for name in ("metrics.csv", "config.gin"):
            self.assertEqual((self.run_dir / name).read_bytes(), (self.root / "at_once" / name).read_bytes())
        paths = [path / "summary.json" for path in (self.run_dir, self.root / "at_once")]
        summaries = [json.loads(path.read_text("utf-8")) for path in paths]
        self.assertEqual(*(json.dumps(summary["meta_test"]) for summary in summaries))

    def test_a_run_that_has_ended_is_reported_again(self):
        before = {path: path.stat().st_mtime_ns for path in self.run_dir.rglob("*")}
        with mock.patch.object(MetaTrainer, "trace", side_effect=AssertionError("nothing is traced")):
            outcome = self.train(self.run_dir, "train.n_meta_updates = 4", resume=True, said="nothing is computed\n")
        self.assertIn("4 meta-updates, ", outcome.stdout)
        self.assertEqual({path: path.stat().st_mtime_ns for path in self.run_dir.rglob("*")}, before)
        # With other tasks it has not ended.
        outcome = self.train(self.run_dir, "train.n_meta_updates = 4", "train.n_evaluation_tasks = 3", resume=True)
        self.assertIn("resumed after 4 of 4 meta-updates\n", outcome.stdout)

    def test_fewer_meta_updates_are_refused(self):
        self.train(
            self.run_dir, "train.n_meta_updates = 3", resume=True, status=2,
            said="train.n_meta_updates = 3: must be ≥ 4",
        )

    def test_checkpoint_of_another_seed_or_discount_is_refused(self):
        for number, binding in enumerate(("train.first_seed = 5", "IteratedMatrixGame.discount = 0.9")):
            other = self.root / f"other_{number}"
            self.train(other, "train.n_meta_updates = 4", binding)
            shutil.copy(other / "checkpoints" / "ckpt-4.npz", self.run_dir / "checkpoints" / "ckpt-4.npz")
            (self.run_dir / "summary.json").unlink(missing_ok=True)
            self.train(self.run_dir, "train.n_meta_updates = 4", resume=True, status=2, said="is of another run")

    def test_damaged_checkpoint_is_replaced_by_an_earlier_one(self):
        summary = (self.run_dir / "summary.json").read_text("utf-8")
        (self.run_dir / "summary.json").unlink()
        (self.run_dir / "checkpoints" / "ckpt-4.npz").write_bytes(b"")
        outcome = self.train(
            self.run_dir, "train.n_meta_updates = 4", resume=True, said="resumed after 2 of 4 meta-updates\n"
        )
        self.assertRegex(outcome.stdout, r"note: checkpoint .*ckpt-4\.npz cannot be read")
        again = json.loads((self.run_dir / "summary.json").read_text("utf-8"))
        self.assertEqual(json.dumps(again["meta_test"]), json.dumps(json.loads(summary)["meta_test"]))

    def test_lost_checkpoints(self):
        metrics = (self.run_dir / "metrics.csv").read_bytes()
        shutil.rmtree(self.run_dir / "checkpoints")
        (self.run_dir / "summary.json").unlink()
        for _ in range(2):
            self.train(self.run_dir, "train.n_meta_updates = 4", resume=True, status=2, said="holds no checkpoint")
        self.assertEqual((self.run_dir / "metrics.csv").read_bytes(), metrics)

    def test_killed_before_the_first_checkpoint(self):
        summary = json.loads((self.run_dir / "summary.json").read_text("utf-8"))
        shutil.rmtree(self.run_dir / "checkpoints")
        (self.run_dir / "metrics.csv").unlink()
        (self.run_dir / "summary.json").unlink()
        self.train(
            self.run_dir, "train.n_meta_updates = 4", resume=True, said="resumed after 0 of 4 meta-updates\n"
        )
        again = json.loads((self.run_dir / "summary.json").read_text("utf-8"))
        self.assertEqual(json.dumps(again["meta_test"]), json.dumps(summary["meta_test"]))

    def test_results_survive_what_fails_after_them(self):
        (self.run_dir / "summary.json").unlink()
        for name in ("figures", "initial_policies"):
            shutil.rmtree(self.run_dir / name)
            (self.run_dir / name).write_text("a file")
        outcome = self.train(
            self.run_dir, "train.n_meta_updates = 4", resume=True, status=1,
            said="stopped: figure and policies could not be written; the results are in",
        )
        self.assertLen(outcome.stderr.splitlines(), 3)
        self.assertRegex(outcome.stderr, "^figure: .*\npolicies: .*\nstopped: ")
        self.assertIn("meta_test", json.loads((self.run_dir / "summary.json").read_text("utf-8")))
        for name in ("figures", "initial_policies"):
            (self.run_dir / name).unlink()
        self.train(self.run_dir, "train.n_meta_updates = 4", resume=True)
        self.assertTrue((self.run_dir / "figures" / "adaptation.png").exists())

    def test_a_title_is_drawn_as_it_is(self):
        self.train(self.root / "title", "train.n_meta_updates = 0", r"IteratedMatrixGame.name = 'costs $5 \\frac{$'")
        self.assertTrue((self.root / "title" / "figures" / "adaptation.png").exists())


if __name__ == "__main__":
    tf.test.main()
