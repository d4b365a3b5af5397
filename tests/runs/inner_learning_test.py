"""Proves that a run without meta-agents leaves what was learned, update by update, once, whatever interrupts it."""

import csv
import json
import pathlib
import signal
from unittest import mock

from absl.testing import parameterized
import numpy as np
import pytest
import tensorflow as tf

from tests import command_line
import tf_metamapg as mapg
from tf_metamapg.runs import inner_learning
from tf_metamapg.runs import publication

N_UPDATES = 8
# Agents with a state of their own, which goes into checkpoints.
AGENTS = "train.agents = [@LOLATaylor(), @PolicyGradient()]", "PolicyGradient.optimizer = @Adam()"


def arguments(run_dir, *bindings):
    return [
        f"--gin_file={command_line.GIN_CONFIGS / 'ipd_exact.gin'}", f"--run_dir={run_dir}",
        *command_line.gin_params(
            *command_line.TINY, *AGENTS, "train.checkpoint_every = 3", f"train.n_inner_updates = {N_UPDATES}", *bindings
        ),
    ]


@pytest.mark.slow
class InnerLearningTest(tf.test.TestCase, parameterized.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = pathlib.Path(tf.compat.v1.test.get_temp_dir()) / "inner_learning_test"
        cls.run_dir = cls.root / "run"
        cls.outcome = command_line.run(*arguments(cls.run_dir, "train.export_all_seeds = True"))
        cls.summary = json.loads((cls.run_dir / "summary.json").read_text("utf-8"))

    def rows(self, run_dir):
        with open(run_dir / "metrics.csv", newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def test_ends_well(self):
        self.assertEqual((self.outcome.status, self.outcome.stderr), (0, ""))
        self.assertIn(f"{N_UPDATES} inner updates, ", self.outcome.stdout)
        self.assertNotIn("meta-", self.outcome.stdout)
        self.assertEqual(self.summary["meta_updates"], 0)
        self.assertNotIn("meta_validation", self.summary)

    def test_metrics_are_the_results(self):
        rows = self.rows(self.run_dir)
        self.assertEqual(list(rows[0]), ["inner_update", "seed", "agent", "average_reward"])
        self.assertLen(rows, (N_UPDATES + 1) * 2 * 2)
        for row in rows:
            update, seed, agent = (int(row[name]) for name in ("inner_update", "seed", "agent"))
            expected = np.float32(self.summary["meta_test"]["average_reward"][seed][update][agent])
            self.assertEqual(np.float32(row["average_reward"]), expected)

    def test_events_are_the_means(self):
        (path,) = (self.run_dir / "tensorboard").iterdir()
        values = {
            (event.step, value.tag): tf.make_ndarray(value.tensor).item()
            for record in tf.data.TFRecordDataset(str(path))
            for event in [tf.compat.v1.Event.FromString(record.numpy())]
            for value in event.summary.value
        }
        self.assertLen(values, 2 * (N_UPDATES + 1))
        means = np.mean(self.summary["meta_test"]["average_reward"], axis=0)
        for (step, tag), value in values.items():
            self.assertAllClose(value, means[step, int(tag[len("agent_")])], rtol=1e-6)

    def test_adapted_policies_are_exported(self):
        """They are those that have learned, and not those that they began with."""
        run = mapg.load_run(str(self.run_dir))
        last = np.array(self.summary["meta_test"]["average_reward"])[:, -1].mean(axis=-1)
        self.assertEqual(self.summary["exported_seed"], int(np.argmax(last)))
        for agent, policy in enumerate(run.policies):
            probs = policy.strategy(run.adapted_params[agent])
            before = policy.strategy(tuple(leaf[:, tf.newaxis] for leaf in run.meta_params[agent].initial))
            for seed, path in ((self.summary["exported_seed"], "task_0"), (0, "seed_0/task_0"), (1, "seed_1/task_0")):
                directory = self.run_dir / "adapted_policies" / path / f"agent_{agent}"
                exported = tf.saved_model.load(str(directory)).signatures["serving_default"](observations=tf.range(5))
                self.assertAllClose(exported["probabilities"].numpy(), probs[seed, 0].numpy(), rtol=1e-5)
                self.assertGreater(np.abs(exported["probabilities"].numpy() - before[seed, 0].numpy()).max(), 0.1)

    def test_a_longer_run_goes_on(self):
        """It is that of a run that was as long from the start, and its first part is not computed again."""
        shorter = self.root / "shorter"
        self.assertEqual(command_line.run(*arguments(shorter, "train.n_inner_updates = 5")).status, 0)
        outcome = command_line.run(*arguments(shorter), "--resume")
        self.assertIn(f"resumed after 5 of {N_UPDATES} inner updates\n", outcome.stdout)
        self.assert_same_run(shorter)
        with mock.patch.object(inner_learning.InnerLearning, "trace", side_effect=AssertionError("nothing is played")):
            outcome = command_line.run(*arguments(shorter), "--resume")
        self.assertIn("nothing is computed\n", outcome.stdout)
        outcome = command_line.run(*arguments(shorter, "train.n_inner_updates = 7"), "--resume")
        self.assertEqual(outcome.stderr, "error: train.n_inner_updates = 7: must be ≥ 8, as many are done\n")

    def assert_same_run(self, run_dir):
        for name in ("metrics.csv", "learned.npz"):
            self.assertEqual((run_dir / name).read_bytes(), (self.run_dir / name).read_bytes())
        summary = json.loads((run_dir / "summary.json").read_text("utf-8"))
        self.assertEqual(json.dumps(summary["meta_test"]), json.dumps(self.summary["meta_test"]))

    def test_goes_on_after_a_kill(self):
        run_dir = self.root / "killed"
        killed = command_line.finish(command_line.start_to_be_killed(6, *arguments(run_dir)))
        self.assertEqual(killed.status, -signal.SIGKILL)
        self.assertFalse((run_dir / "summary.json").exists())
        # It has played on after its last checkpoint.
        self.assertGreater(len(self.rows(run_dir)), 3 * 2 * 2)
        loaded = mapg.load_run(str(run_dir))
        self.assertIsNone(loaded.summary)
        outcome = command_line.run(*arguments(run_dir), "--resume")
        self.assertIn(f"resumed after 3 of {N_UPDATES} inner updates\n", outcome.stdout)
        self.assert_same_run(run_dir)

    def test_stops_at_a_reward_that_is_not_finite(self):
        outcome = command_line.run(*arguments(self.root / "absurd", "LOLATaylor.inner_learning_rate = 1e38"))
        self.assertEqual(outcome.status, 1)
        self.assertRegex(outcome.stderr, r"^stopped: a mean reward after \d inner updates is NaN or inf[^\n]*\n$")

    @parameterized.parameters("LeaveOneOutBaseline", "ValueNetwork")
    def test_a_critic_learns_along_the_way(self, critic):
        """If it learns at all."""
        run_dir = self.root / critic
        outcome = command_line.run(*arguments(
            run_dir, "train.agents = [@PolicyGradient(), @PolicyGradient()]", "train.estimator = @DiceEstimator",
            "DiceEstimator.n_trajectories = 4", "DiceEstimator.horizon = 3", f"DiceEstimator.critic = @{critic}",
            "train.n_inner_updates = 2",
        ))
        self.assertEqual(outcome.status, 0, outcome.stderr)
        with np.load(run_dir / "learned.npz") as learned:
            values = {name: learned[name] for name in learned.files if name.startswith("critic/")}
        run = mapg.load_run(str(run_dir))
        # It begins anew where the run is evaluated, as it did in the run.
        self.assertEqual(publication.as_lists(run.evaluate()), run.summary["meta_test"])
        self.assertEqual(publication.as_lists(run.evaluate()), run.summary["meta_test"])
        critics = run.estimator.critic.initial_params([0, 1])
        self.assertEqual(bool(values), critic == "ValueNetwork")
        for index, initial in enumerate(tf.nest.flatten(critics)):
            self.assertGreater(np.abs(values[f"critic/{index}"] - initial.numpy()).max(), 1e-4)


if __name__ == "__main__":
    tf.test.main()
