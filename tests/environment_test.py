"""Proves that commands make the best of what surrounds them: settings of the process, signals, full disks.

In processes of their own, of which two run at a time.
"""

import concurrent.futures
import json
import os
import pathlib
import resource
import signal
import time

from absl.testing import parameterized
import pytest
import tensorflow as tf

from tests import command_line

NAME = "IteratedMatrixGame.name = 'γ, Häftlinge'"
# A run of a second, beside what it takes to import TensorFlow and to trace.
SHORT = (
    *command_line.TINY, "train.agents = [@MetaPG(), @PolicyGradient()]", "train.estimator = @ExactEstimator",
    "train.n_meta_updates = 1", "train.n_inner_updates = 0",
)
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
NOTHING = "interrupted: nothing was written; start again\n"


def in_parallel(functions):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda function: function(), functions))


def outcome_of(*arguments, **keywords):
    return lambda: command_line.finish(command_line.start(*arguments, **keywords))


def wait_for_handlers(process):
    """Waits until SIGTERM, which comes after SIGINT, no longer has its default effect."""
    status = pathlib.Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt"))
        if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.001)


@pytest.mark.slow
class EnvironmentTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(self.get_temp_dir())

    def arguments(self, name, *bindings):
        return [
            f"--gin_file={command_line.GIN_CONFIGS / 'ipd.gin'}", f"--run_dir={self.directory / name}",
            *command_line.gin_params(*SHORT, *bindings),
        ]

    def test_another_backend_of_keras_is_refused(self):
        keras_home = self.directory / "keras"
        keras_home.mkdir()
        (keras_home / "keras.json").write_text(json.dumps({"backend": "torch"}))
        file_environment = {"KERAS_HOME": str(keras_home), "KERAS_BACKEND": ""}
        outcomes = in_parallel([
            outcome_of(command=command, environment={"KERAS_BACKEND": "jax"})
            for command in ("train", "reproduce", "benchmark")
        ] + [
            outcome_of("--list", command="reproduce", environment=file_environment),
            outcome_of(code="import tf_metamapg", environment={"KERAS_BACKEND": "jax"}),
        ])
        message = "tf_metamapg needs Keras on TensorFlow, and {} says {}: set KERAS_BACKEND=tensorflow\n"
        by_variable = message.format("the environment variable KERAS_BACKEND", "'jax'")
        self.assertEqual(outcomes[:3], [(2, "", f"error: {by_variable}")] * 3)
        self.assertEqual(outcomes[3], (2, "", f"error: {message.format(keras_home / 'keras.json', repr('torch'))}"))
        self.assertEqual(outcomes[4][:2], (1, ""))
        self.assertEndsWith(outcomes[4].stderr, f"ImportError: {by_variable}")

    def test_settings_that_do_not_matter(self):
        """A notebook's backend of matplotlib, a locale without most letters; a disk that is full at once."""
        notebook = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
        os.mkdir(self.directory / "own")
        own = self.directory / "own" / "config.gin"
        own.write_text(f"# ±\n{NAME}\n", "utf-8")
        outcomes = in_parallel([
            outcome_of(*self.arguments("ascii"), f"--gin_file={own}", environment={**ASCII, **notebook}),
            outcome_of("--list", command="reproduce", environment={
                "PYTHONIOENCODING": "ascii", "MPLBACKEND": "nonsense", "KERAS_BACKEND": "tensorflow",
            }),
            self.on_a_full_disk,
            self.with_a_full_stdout,
        ])
        run, listing, full_disk, full_stdout = outcomes
        self.assertEqual((run.status, run.stderr), (0, ""))
        # Where a letter cannot be printed, another stands.
        self.assertRegex(run.stdout, r"-\d\.\d{3} \? \d\.\d{3}")
        summary = json.loads((self.directory / "ascii" / "summary.json").read_text("utf-8"))
        self.assertEqual(summary["game"], "γ, Häftlinge")
        self.assertIn(NAME, (self.directory / "ascii" / "config.gin").read_text("utf-8"))
        self.assertEqual((listing.status, listing.stderr), (0, ""))
        self.assertIn("Meta-MAPG", listing.stdout)
        for outcome, parts in (
            (full_disk, ["File too large; nothing was written; start again"]),
            (full_stdout, ["No space left on device"]),
        ):
            self.assertEqual(outcome.status, 1, outcome.stderr)
            self.assertRegex(outcome.stderr, r"^stopped: [^\n]+\n$")
            for part in parts:
                self.assertIn(part, outcome.stderr)
        self.assertFalse((self.directory / "full").exists())

    def on_a_full_disk(self):
        """No file may be longer than 8 kB, and a policy that is exported for a trial is."""
        limit = 8192
        return command_line.finish(command_line.start(
            *self.arguments("full"),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)),
        ))

    def with_a_full_stdout(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            return command_line.finish(command_line.start("--list", command="reproduce", stdout=full))

    def test_signals(self):
        """At the first moment, while TensorFlow is imported, and in the run."""
        # Whoever starts the tests in the background has them, and so what they start, ignore some of these.
        for number in (signal.SIGINT, signal.SIGHUP):
            self.addCleanup(signal.signal, number, signal.signal(number, signal.SIG_DFL))
        outcomes = in_parallel([
            lambda: self.interrupted(signal.SIGINT, 0.0), lambda: self.interrupted(signal.SIGTERM, 0.0),
            lambda: self.interrupted(signal.SIGHUP, 0.5), lambda: self.interrupted(signal.SIGTERM, 1.5),
            self.interrupted_run, self.interrupted_run_that_nobody_hears,
        ])
        self.assertEqual(
            [(outcome.status, outcome.stderr) for outcome in outcomes[:4]],
            [(number, NOTHING) for number in (130, 143, 129, 143)],
        )
        run_dir = self.directory / "run"
        self.assertEqual(
            (outcomes[4].status, outcomes[4].stderr),
            (143, f"interrupted: go on with the same command, --run_dir={run_dir} and --resume\n"),
        )
        self.assertTrue((run_dir / "config.gin").exists())
        self.assertEqual(outcomes[5].status, 143)

    def interrupted(self, number, seconds):
        # The run directory is claimed before TensorFlow is imported, and two run at a time.
        process = command_line.start(*self.arguments(f"never_{number}_{seconds}"))
        wait_for_handlers(process)
        time.sleep(seconds)
        process.send_signal(number)
        return command_line.finish(process)

    def interrupted_run_that_nobody_hears(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            return self.interrupted_run("unheard", stderr=full)

    def interrupted_run(self, name="run", **keywords):
        """In meta-training that takes hours."""
        process = command_line.start(*self.arguments(name, "train.n_meta_updates = 1_000_000"), **keywords)
        while not process.stdout.readline().startswith("meta-update") and process.poll() is None:
            pass
        process.send_signal(signal.SIGTERM)
        return command_line.finish(process)


if __name__ == "__main__":
    tf.test.main()
