"""Proves that runs that were killed, also while a checkpoint is written, end with the numbers of one that was not."""

import json
import os
import pathlib
import random
import signal
import time

import tensorflow as tf

from tests import command_line

# Kills itself when the data of its third checkpoint have been written, before they are named as the latest.
KILLED_IN_CHECKPOINT = """
import os, signal, sys, time

import tensorflow as tf
from tf_metamapg import main

save = tf.train.CheckpointManager.save
n_saves = 0

def save_or_die(manager, checkpoint_number):
    global n_saves
    n_saves += 1
    if n_saves == 3:
        manager.checkpoint.write(os.path.join(manager.directory, f"ckpt-{checkpoint_number}"))
        os.kill(os.getpid(), signal.SIGKILL)
    return save(manager, checkpoint_number=checkpoint_number)

tf.train.CheckpointManager.save = save_or_die
main.run(["bin/train", *sys.argv[1:]], time.time())
"""

# The last update does not fall on a checkpoint's number.
N_META_UPDATES, CHECKPOINT_EVERY = 28, 5


class ResumeTest(tf.test.TestCase):

    @classmethod
    def setUpClass(cls):
        """Runs the same run three times: killed anywhere, killed within a checkpoint, and to the end."""
        super().setUpClass()
        cls.root = pathlib.Path(tf.compat.v1.test.get_temp_dir()) / "resume_test"
        killed_anywhere = command_line.start(*cls.arguments("killed_anywhere"))
        killed_in_checkpoint = command_line.start(*cls.arguments("killed_in_checkpoint"), code=KILLED_IN_CHECKPOINT)
        while killed_anywhere.poll() is None and not (cls.root / "killed_anywhere/checkpoints/checkpoint").exists():
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
            self.assertIn("checkpoint", self.at_kill[name])

    def test_unfinished_checkpoint_was_left_behind(self):
        names = self.at_kill["killed_in_checkpoint"]
        self.assertContainsSubset(["ckpt-5.index", "ckpt-10.index", "ckpt-15.index"], names)

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


if __name__ == "__main__":
    tf.test.main()
