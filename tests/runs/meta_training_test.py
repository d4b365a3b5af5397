"""Proves that stages of meta-training start from each other, that a run may start from another, and may end early."""

import csv
import json
import pathlib
import signal

import numpy as np
import pytest
import tensorflow as tf

from tests import command_line
from tf_metamapg.runs.callbacks import Callback
from tf_metamapg.runs.callbacks import EarlyStopping
from tf_metamapg.runs.callbacks import Progress
from tf_metamapg.runs.callbacks import Validation

STAGES = (
    "train.agents = [@MetaMAPG(), @PolicyGradient()]", "MetaMAPG.inner_learning_rate = @LearnedRates()",
    "train.earlier_stages = [@first/Stage()]", "first/Stage.chain_length = 1", "first/Stage.n_meta_updates = 3",
    "first/Stage.meta_learning_rate = 0.3", "train.chain_length = 3", "train.n_meta_updates = 2",
    "train.checkpoint_every = 2", "train.n_inner_updates = 3",
)


def arguments(run_dir, *bindings):
    return [
        f"--gin_file={command_line.GIN_CONFIGS / 'ipd_exact.gin'}", f"--run_dir={run_dir}",
        *command_line.gin_params(*command_line.TINY, *bindings),
    ]


def learned(run_dir):
    with np.load(run_dir / "learned.npz") as archive:
        return {name: archive[name] for name in archive.files}


@pytest.mark.slow
class StagesTest(tf.test.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = pathlib.Path(tf.compat.v1.test.get_temp_dir()) / "stages_test"
        cls.run_dir = cls.root / "run"
        cls.outcome = command_line.run(*arguments(cls.run_dir, *STAGES))

    def test_rows_of_all_stages(self):
        """The shorter chain leaves cells empty."""
        self.assertEqual((self.outcome.status, self.outcome.stderr), (0, ""))
        with open(self.run_dir / "metrics.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertLen(rows, 5 * 2 * 2)
        for row in rows:
            in_first = int(row["meta_update"]) <= 3
            self.assertEqual([row[f"average_reward_{link}"] == "" for link in range(4)], [False] * 2 + [in_first] * 2)

    def test_the_second_starts_from_the_first(self):
        """As a run of it alone does that starts from a run of the first alone, but for its random numbers: exact."""
        first = self.root / "first"
        alone = [binding for binding in STAGES if "Stage" not in binding]
        command_line.run(*arguments(
            first, *alone, "train.chain_length = 1", "train.n_meta_updates = 3", "train.meta_learning_rate = 0.3",
        ))
        second = self.root / "second"
        outcome = command_line.run(*arguments(second, *alone, "PayoffNoise.width = 0.0"), f"--init_from={first}")
        self.assertEqual(outcome.status, 0, outcome.stderr)
        start, end = (np.load(second / "checkpoints" / f"ckpt-{number}.npz") for number in (0, 2))
        expected = learned(first)
        self.assertAllEqual(start["variables/meta_params/0/0"], expected["agent_0/initial/0"])
        # The learned rate of the one inner update is that of all three.
        rates = expected["agent_0/update"]
        self.assertEqual((rates.shape, start["variables/meta_params/1/0"].shape), ((2, 1), (2, 3)))
        self.assertAllEqual(start["variables/meta_params/1/0"], np.repeat(rates, 3, axis=1))
        self.assertNotAllEqual(end["variables/meta_params/0/0"], expected["agent_0/initial/0"])
        # The run with stages had the same first stage.
        at_stage = np.load(self.run_dir / "checkpoints" / "ckpt-3.npz")
        self.assertAllEqual(at_stage["variables/meta_params/0/0"], expected["agent_0/initial/0"])
        self.assertAllEqual(at_stage["variables/meta_params/1/0"], np.repeat(rates, 3, axis=1))

    def test_goes_on_after_a_kill_in_the_second_stage(self):
        run_dir = self.root / "killed"
        killed = command_line.finish(command_line.start_to_be_killed(4, *arguments(run_dir, *STAGES)))
        self.assertEqual(killed.status, -signal.SIGKILL)
        outcome = command_line.run(*arguments(run_dir, *STAGES), "--resume")
        self.assertIn("resumed after 3 of 5 meta-updates\n", outcome.stdout)
        for name in ("metrics.csv", "learned.npz"):
            self.assertEqual((run_dir / name).read_bytes(), (self.run_dir / name).read_bytes())

    def test_validation_takes_the_best_of_a_stage_to_the_next(self):
        """With a meta learning rate that is absurd the second meta-update makes the first worse."""
        run_dir, killed_dir = self.root / "validated", self.root / "validated_and_killed"
        bindings = (
            "train.agents = [@MetaPG(), @PolicyGradient()]", "train.earlier_stages = [@first/Stage()]",
            "first/Stage.n_meta_updates = 2", "first/Stage.meta_learning_rate = 30.0", "train.validate_every = 1",
            "train.n_meta_updates = 1", "train.meta_learning_rate = 0.0", "train.checkpoint_every = 1",
        )
        outcome = command_line.run(*arguments(run_dir, *bindings))
        self.assertEqual(outcome.status, 0, outcome.stderr)
        first, start = (np.load(run_dir / "checkpoints" / f"ckpt-{number}.npz") for number in (1, 2))
        self.assertEqual((int(first["notes/stage"]), int(start["notes/stage"])), (0, 1))
        self.assertAllEqual(start["variables/meta_params/0/0"], first["variables/meta_params/0/0"])
        # What was best is known still if the process is killed in the worse update.
        killed = command_line.finish(command_line.start_to_be_killed(2, *arguments(killed_dir, *bindings)))
        self.assertEqual(killed.status, -signal.SIGKILL)
        outcome = command_line.run(*arguments(killed_dir, *bindings), "--resume")
        self.assertIn("resumed after 1 of 3 meta-updates\n", outcome.stdout)
        self.assertEqual((killed_dir / "learned.npz").read_bytes(), (run_dir / "learned.npz").read_bytes())

    def test_a_run_starts_from_the_same_seeds_only(self):
        lstm = ["train.policies = [@lstm_policy, @tabular_policy]", "train.estimator = @DiceEstimator"]
        for path, bindings, expected in (
            (self.run_dir, ["train.first_seed = 1"], r"must be a run with the seeds \[2\], too"),
            (self.root, [], "must be the directory of a run that has ended; it has a learned.npz"),
            (self.run_dir, lstm, r"does not fit: agent_0/initial/0 is float32\[2, 5, 1\], and should"),
        ):
            bindings = [f"train.init_from = '{path}'", *bindings]
            refused = self.root / "refused"
            outcome = command_line.run(*arguments(refused, "train.agents = [@MetaPG(), @PolicyGradient()]", *bindings))
            self.assertEqual(outcome.status, 2)
            self.assertRegex(outcome.stderr, rf"^error: train\.init_from = [^\n]*{expected}[^\n]*\n$")
            self.assertFalse(refused.exists())


class EarlyStoppingTest(tf.test.TestCase):

    def progress(self, *scores):
        validations = tuple(Validation(index, np.array(one)) for index, one in enumerate(scores))
        return Progress(None, len(scores), {}, validations)

    def test_patience(self):
        stopping = EarlyStopping(patience=2)
        self.assertFalse(stopping.wants_to_stop(self.progress()))
        self.assertFalse(stopping.wants_to_stop(self.progress([1.0], [0.0])))
        self.assertTrue(stopping.wants_to_stop(self.progress([1.0], [0.0], [1.0])))
        self.assertFalse(stopping.wants_to_stop(self.progress([1.0], [0.0], [1.1])))
        # One of two seeds is better than ever.
        self.assertFalse(stopping.wants_to_stop(self.progress([1.0, 0.0], [0.0, 0.0], [0.0, 0.1])))

    def test_improvement(self):
        scores = [1.0], [1.05]
        self.assertTrue(EarlyStopping(1, min_improvement=0.1).wants_to_stop(self.progress(*scores)))
        self.assertFalse(EarlyStopping(1, min_improvement=0.01).wants_to_stop(self.progress(*scores)))

    @pytest.mark.slow
    def test_a_run_ends_early(self):
        """Nothing is ever better where nothing is learned; a run that goes on ends where it did."""
        run_dir = pathlib.Path(self.get_temp_dir()) / "run"
        own = arguments(
            run_dir, "train.agents = [@MetaPG(), @PolicyGradient()]", "train.meta_learning_rate = 0.0",
            "train.validate_every = 1", "train.n_meta_updates = 50", "train.callbacks = [@EarlyStopping()]",
            "EarlyStopping.patience = 2",
        )
        self.assertEqual(command_line.run(*own).status, 0)
        summary = json.loads((run_dir / "summary.json").read_text("utf-8"))
        self.assertEqual(summary["meta_updates"], 3)
        (run_dir / "summary.json").unlink()
        outcome = command_line.run(*own, "--resume")
        self.assertIn("resumed after 3 of 50 meta-updates\n", outcome.stdout)
        again = json.loads((run_dir / "summary.json").read_text("utf-8"))
        self.assertEqual(json.dumps(again["meta_test"]), json.dumps(summary["meta_test"]))
        self.assertEqual(again["meta_updates"], 3)


    @pytest.mark.slow
    def test_each_stage_ends_early(self):
        """Patience begins anew with a stage; so it does in a run that goes on within the second."""
        run_dir = pathlib.Path(self.get_temp_dir()) / "run"
        own = arguments(
            run_dir, "train.agents = [@MetaPG(), @PolicyGradient()]", "train.meta_learning_rate = 0.0",
            "train.earlier_stages = [@Stage()]", "Stage.n_meta_updates = 40", "train.n_meta_updates = 50",
            "train.validate_every = 1", "train.checkpoint_every = 1", "train.callbacks = [@EarlyStopping()]",
            "EarlyStopping.patience = 2",
        )
        self.assertEqual(command_line.run(*own).status, 0)
        summary = json.loads((run_dir / "summary.json").read_text("utf-8"))
        self.assertEqual(summary["meta_updates"], 3 + 3)
        (run_dir / "summary.json").unlink()
        (run_dir / "checkpoints" / "ckpt-6.npz").unlink()
        outcome = command_line.run(*own, "--resume")
        self.assertIn("resumed after 5 of 90 meta-updates\n", outcome.stdout)
        again = json.loads((run_dir / "summary.json").read_text("utf-8"))
        self.assertEqual((again["meta_updates"], [again["meta_test"]]), (6, [summary["meta_test"]]))


class CallbackTest(tf.test.TestCase):

    @pytest.mark.slow
    def test_is_called(self):
        """Written to a config, as a module of one's own."""
        directory = pathlib.Path(self.get_temp_dir())
        (directory / "own_callback.py").write_text('''
import gin
from tf_metamapg.runs.callbacks import Callback

CALLS = []

@gin.configurable
class Log(Callback):
    def after_update(self, progress):
        CALLS.append(("update", progress.n_updates, sorted(progress.measured)[0]))
    def after_validation(self, progress):
        CALLS.append(("validation", progress.n_updates, len(progress.validations)))
    def after_checkpoint(self, progress):
        CALLS.append(("checkpoint", progress.n_updates, progress.directory.path.name))
    def at_end(self, progress, summary):
        CALLS.append(("end", progress.n_updates, summary["meta_updates"]))
''')
        (directory / "own.gin").write_text("import own_callback\ntrain.callbacks = [@Log()]\n")
        outcome = command_line.run(
            *arguments(
                directory / "run", "train.agents = [@MetaPG(), @PolicyGradient()]", "train.validate_every = 2",
                "train.checkpoint_every = 2",
            ),
            f"--gin_file={directory / 'own.gin'}",
        )
        self.assertEqual(outcome.status, 0, outcome.stderr)
        import own_callback

        self.assertEqual(own_callback.CALLS, [
            ("checkpoint", 0, "run"), ("update", 1, "average_reward_0"), ("update", 2, "average_reward_0"),
            ("validation", 2, 1), ("checkpoint", 2, "run"), ("end", 2, 2),
        ])

    def test_needs_no_method(self):
        class Silent(Callback):
            pass

        self.assertFalse(Silent().wants_to_stop(Progress(None, 0, {}, ())))
        self.assertIsNone(Silent().after_update(Progress(None, 0, {}, ())))


if __name__ == "__main__":
    tf.test.main()
