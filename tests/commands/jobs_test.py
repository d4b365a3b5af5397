"""Proves that jobs run side by side, that what they say is said, and that they end with whoever has started them."""

import contextlib
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from absl.testing import parameterized
import pytest
import tensorflow as tf

from tests import command_line
import tf_metamapg as mapg
from tf_metamapg.commands import compare
from tf_metamapg.commands import cores
from tf_metamapg.commands import evaluate
from tf_metamapg.commands import jobs
from tf_metamapg.runs import claims

TINY = [f"--gin_param={binding}" for binding in command_line.TINY]
LONG = [f"--gin_file={command_line.GIN_CONFIGS / 'ipd.gin'}", *TINY, "--gin_param=train.n_meta_updates = 1000000"]

# Starts a job and waits for it.
_STARTER = """
import sys
from tf_metamapg.commands import cores
from tf_metamapg.commands import jobs
jobs.Jobs().run([jobs.Job("long", sys.argv[1:])], 1)
"""


class JobsTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir()))

    def run_jobs(self, own, n_at_once):
        """What is said meanwhile."""
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            jobs.Jobs().run(own, n_at_once)
        return stdout.getvalue().splitlines()

    def wait_until(self, condition):
        deadline = time.monotonic() + 120.0
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    @parameterized.parameters(1, 2, 3)
    def test_what_jobs_say_is_said(self, n_at_once):
        names = ("first", "second", "third")
        lines = self.run_jobs([jobs.Job(name, ["reproduce", "--list"]) for name in names], n_at_once)
        for name in names:
            own = [line for line in lines if line.startswith(f"{name}: ")]
            self.assertIn("figure_3", "\n".join(own))
            self.assertLen(own, len(lines) // 3)

    def test_shares_of_cores(self):
        n_cores = len(os.sched_getaffinity(0))
        shares = [cores.share(index, n_cores) for index in range(n_cores)]
        self.assertCountEqual([int(core) for core in shares], os.sched_getaffinity(0))
        self.assertEqual(cores.share(n_cores, n_cores + 1), shares[0])
        self.assertLen(cores.share(0, 1).split(","), n_cores)

    def test_a_job_keeps_to_its_cores(self):
        first = min(os.sched_getaffinity(0))
        code = (
            "import os, sys\nimport tf_metamapg_commands\nfrom tf_metamapg.commands import job\n"
            "tf_metamapg_commands.train = lambda: print(os.sched_getaffinity(0)) or 0\njob._main()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, str(first), "train"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            self.assertEqual(process.stdout.read(), f"{{{first}}}\n")
        self.assertEqual(process.returncode, 0)

    def test_a_job_that_fails_ends_the_others(self):
        long = jobs.Job("long", ["train", *LONG, f"--run_dir={self.directory / 'long'}"])
        with self.assertRaisesRegex(mapg.InvalidInputError, "^bad: --gin_file: name"):
            self.run_jobs([long, jobs.Job("bad", ["train"]), jobs.Job("never", ["train", "--help"])], 2)
        with claims.claim(self.directory / "later", resume=False):
            pass

    @pytest.mark.slow
    def test_a_job_ends_with_its_starter(self):
        path = self.directory / "run"
        arguments = [sys.executable, "-c", _STARTER, "train", *LONG, f"--run_dir={path}"]
        with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as starter:
            try:
                self.wait_until((path / "config.gin").exists)
                self.assertFalse(is_free(path))
            finally:
                starter.kill()
        self.wait_until(lambda: is_free(path))

    @pytest.mark.slow
    def test_runs_side_by_side_are_those_of_one_after_the_other(self):
        config = str(command_line.GIN_CONFIGS / "ipd.gin")
        sweep = "--sweep=MetaMAPG.inner_learning_rate = [0.5, 1.0]"
        for n_jobs, name in ((1, "one"), (2, "two")):
            arguments = [config, sweep, *TINY, f"--output_dir={self.directory / name}", f"--jobs={n_jobs}"]
            compare.FLAGS.unparse_flags()
            for flag in ("sweep", "gin_param", "jobs", "output_dir"):
                compare.FLAGS[flag].unparse()
            with contextlib.redirect_stdout(io.StringIO()):
                self.assertEqual(compare.run(["bin/compare", *arguments]), 0)
        one, two = self.directory / "one", self.directory / "two"
        self.assertEqual((one / "comparison.csv").read_bytes(), (two / "comparison.csv").read_bytes())
        runs = sorted(path.name for path in (one / "runs").iterdir())
        self.assertLen(runs, 2)
        for run in runs:
            metrics = [(path / "runs" / run / "metrics.csv").read_bytes() for path in (one, two)]
            self.assertEqual(metrics[0], metrics[1])
        # What has been compared is evaluated, both at once.
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            paths = [str(one / "runs" / run) for run in runs]
            self.assertEqual(evaluate.run(["bin/evaluate", *paths, "--n_inner_updates=2", "--jobs=2"]), 0)
        for path in paths:
            self.assertTrue((pathlib.Path(path) / "evaluations" / "evaluation-1" / "evaluation.json").exists())
            self.assertIn(f"{path}: numbers: ", stdout.getvalue())


def is_free(path):
    """Whether no process works on a run."""
    try:
        with claims.claim(path, resume=True):
            return True
    except mapg.InvalidInputError as error:
        if "another process is working on this run" not in str(error):
            raise
        return False


if __name__ == "__main__":
    tf.test.main()
