"""Proves that several processes end a run with the bits of one, and end together whatever becomes of one of them."""

import os
import pathlib
import signal
import tempfile
import time
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

from tests import command_line

TWO = '{"cluster": {"worker": ["localhost:1", "localhost:2"]}, "task": {"type": "worker", "index": 0}}'
SMALL = command_line.gin_params(
    *command_line.TINY, "train.n_meta_updates = 6", "train.checkpoint_every = 2", "train.validate_every = 3",
)


def scratch():
    return pathlib.Path(tempfile.mkdtemp(dir=tf.compat.v1.test.get_temp_dir()))


def children(pid):
    """The processes that a process has started and that are still there."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue  # It has ended meanwhile.
        if int(parent) == pid and state != "Z":
            found.append(int(path.parent.name))
    return found


class RefusalsTest(tf.test.TestCase):

    def refused(self, *arguments, tf_config=None):
        with mock.patch.dict(os.environ, {} if tf_config is None else {"TF_CONFIG": tf_config}):
            outcome = command_line.run("--gin_file=ipd.gin", *arguments)
        self.assertEqual(outcome.status, 2)
        self.assertEqual(outcome.stdout, "")
        return outcome.stderr

    def test_numbers_of_workers(self):
        self.assertEqual(self.refused("--workers=0"), "error: --workers = 0: must be an integer ≥ 1\n")
        self.assertEqual(
            self.refused("--workers=2", tf_config=TWO),
            "error: --workers = 2: must be 1, as TF_CONFIG says who works on the run\n",
        )
        self.assertEqual(
            self.refused(tf_config=TWO),
            "error: --run_dir: name the directory of the run, as TF_CONFIG names several workers\n",
        )

    def test_what_is_no_cluster(self):
        for text in (
            "{", "3", '{"cluster": {"worker": ["a:1"]}}', TWO.replace('"index": 0', '"index": 2'),
            TWO.replace('"cluster": {', '"cluster": {"ps": ["a:1"], '), TWO.replace('"type": "worker"', '"type": "ps"'),
        ):
            with self.subTest(text):
                refused = self.refused(tf_config=text)
                self.assertRegex(refused, r'^error: TF_CONFIG = .*: must be like {"cluster": .*}\n$')


@pytest.mark.slow
class WorkersTest(tf.test.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.directory = scratch()
        cls.alone = cls.directory / "alone"
        blocks = "--gin_param=train.n_blocks = 2"
        outcome = command_line.run("--gin_file=ipd.gin", *SMALL, blocks, f"--run_dir={cls.alone}")
        assert outcome.status == 0, outcome.stderr

    def start(self, name, *arguments, start=command_line.start):
        return start("--gin_file=ipd.gin", *SMALL, f"--run_dir={self.directory / name}", *arguments)

    def assert_same(self, name):
        """A run's numbers are those of one process, bit for bit."""
        for file in ("metrics.csv", "config.gin"):
            self.assertEqual((self.directory / name / file).read_text(), (self.alone / file).read_text())
        own, other = (np.load(path / "learned.npz") for path in (self.directory / name, self.alone))
        self.assertCountEqual(own.files, other.files)
        for key in other.files:
            self.assertAllEqual(own[key], other[key])

    def test_two_workers_are_as_one(self):
        outcome = command_line.finish(self.start("two", "--workers=2"))
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        self.assert_same("two")
        # Its blocks are in the config, also without workers.
        ended = command_line.finish(self.start("two", "--resume"))
        self.assertIn("this run has ended", ended.stdout)
        longer = command_line.finish(
            self.start("two", "--resume", "--workers=2", "--gin_param=train.n_meta_updates = 8")
        )
        self.assertEqual((longer.status, longer.stderr), (0, ""))
        self.assertIn("resumed after 6 of 8", longer.stdout)

    def test_a_killed_chief_takes_its_workers_along_and_one_process_goes_on(self):
        def start(*arguments):
            return command_line.start_to_be_killed(4, *arguments)

        process = self.start("killed", "--workers=2", start=start)
        workers = []
        while process.poll() is None:
            workers = children(process.pid) or workers
            time.sleep(0.1)
        self.assertEqual(process.returncode, -signal.SIGKILL)
        command_line.finish(process)
        self.assertNotEmpty(workers)
        self.assert_gone(workers)
        outcome = command_line.finish(self.start("killed", "--resume"))
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        self.assertIn("resumed after 2 of 6", outcome.stdout)
        self.assert_same("killed")

    def assert_gone(self, pids):
        for _ in range(600):
            if not any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids):
                return
            time.sleep(0.1)
        self.fail(f"processes {pids} are still there")

    def test_a_worker_that_dies_and_an_interruption_end_all_with_one_line(self):
        for name, end, status, line in (
            ("dead", lambda process, workers: os.kill(workers[0], signal.SIGKILL), 1, "stopped: worker 1 .* status -9"),
            ("interrupted", lambda process, workers: process.send_signal(signal.SIGINT), 130, "interrupted"),
        ):
            with self.subTest(name):
                process = self.start(name, "--workers=2", "--gin_param=train.n_meta_updates = 1000000")
                try:
                    self.wait_for_rows(process, self.directory / name / "metrics.csv")
                    workers = children(process.pid)
                    self.assertLen(workers, 1)
                    end(process, workers)
                    outcome = command_line.finish(process)
                finally:
                    process.kill()
                self.assertEqual(outcome.status, status)
                self.assertRegex(outcome.stderr, f"^{line}.* go on with the same command, --run_dir=.* and --resume\n$")
                self.assert_gone(workers)

    def wait_for_rows(self, process, metrics):
        while process.poll() is None and not (metrics.exists() and len(metrics.read_bytes().splitlines()) > 8):
            time.sleep(0.1)

    def test_where_nobody_meta_learns(self):
        runs = []
        for name, flag in (("blocks", "--gin_param=train.n_blocks = 2"), ("workers", "--workers=2")):
            path = self.directory / name
            outcome = command_line.finish(command_line.start(
                "--gin_file=ipd_naive.gin", *command_line.gin_params("train.n_seeds = 4", "train.n_inner_updates = 3"),
                f"--run_dir={path}", flag,
            ))
            self.assertEqual((outcome.status, outcome.stderr), (0, ""))
            runs.append([(path / file).read_text() for file in ("metrics.csv", "config.gin")])
        self.assertEqual(*runs)


if __name__ == "__main__":
    tf.test.main()
