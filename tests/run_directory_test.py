"""Proves that a run directory takes one run and no other, and is left alone by whatever is refused."""

import json
import os
import pathlib
from unittest import mock

from absl.testing import parameterized
import tensorflow as tf

from tf_metamapg import files
from tf_metamapg import run_directory
from tf_metamapg.checks import InvalidInputError
from tf_metamapg.run_directory import RunDirectory

# As gin writes it.
CONFIG = """\
# Parameters for IteratedMatrixGame:
# ==============================================================================
IteratedMatrixGame.discount = 0.96
IteratedMatrixGame.name = "iterated prisoner's dilemma"
IteratedMatrixGame.payoffs = \\
    [[[-1.0, -3.0], [0.0, -2.0]],
     [[-1.0, 0.0], [-3.0, -2.0]]]

# Parameters for train:
# ==============================================================================
train.agents = [@MetaMAPG(), @MetaMAPG()]
train.game = @IteratedMatrixGame()
train.n_seeds = 2
"""


class RunDirectoryTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(self.get_temp_dir()) / "runs" / "mine"
        self.directory = RunDirectory(self.path)

    def tree(self):
        """Every path below the test's directory, with the content of the files."""
        root = pathlib.Path(self.get_temp_dir())
        return [(path, path.read_bytes() if path.is_file() else None) for path in sorted(root.rglob("*"))]

    def assert_refused(self, *parts, path=None, config=CONFIG, resume=False):
        before = self.tree()
        with self.assertRaises(InvalidInputError) as raised:
            RunDirectory(path or self.path).open(config, [0, 1], resume)
        message = str(raised.exception)
        self.assertLen(message.splitlines(), 1)
        for part in (f"--run_dir={path or self.path}: ", *parts):
            self.assertIn(part, message)
        self.assertEqual(self.tree(), before)

    def test_new_run(self):
        self.directory.open(CONFIG, [3, 4], resume=False)
        self.assertEqual(self.directory.config.read_text("utf-8"), CONFIG)
        run = json.loads(self.directory.run_info.read_text("utf-8"))
        self.assertEqual(run["seeds"], [3, 4])
        self.assertEqual(run["versions"]["tensorflow"], tf.__version__)
        for package in ("python", "tensorflow-probability", "keras", "numpy", "gin-config", "tf_metamapg"):
            self.assertRegex(run["versions"][package], r"^\d+\.\d+")
        self.assertTrue(self.directory.checkpoints.is_dir())

    def test_empty_directory_is_taken(self):
        self.path.mkdir(parents=True)
        self.directory.open(CONFIG, [0, 1], resume=False)
        self.assertTrue(self.directory.config.exists())

    def test_run_is_not_overwritten(self):
        self.directory.open(CONFIG, [0, 1], resume=False)
        self.assert_refused("holds a run already", "--resume")
        self.assert_refused("holds a run already", "--resume", config=CONFIG.replace("n_seeds = 2", "n_seeds = 3"))

    def test_same_run_is_resumed(self):
        self.directory.open(CONFIG, [0, 1], resume=False)
        before = self.tree()
        self.directory.open(CONFIG, [0, 1], resume=True)
        self.assertEqual(self.tree(), before)

    def test_order_and_comments_do_not_make_another_run(self):
        self.directory.open(CONFIG, [0, 1], resume=False)
        game, train = CONFIG.split("\n\n")
        self.directory.open(train.replace("train:", "the experiment:") + "\n\n\n" + game, [0, 1], resume=True)

    @parameterized.parameters(
        ("train.n_seeds = 2", "train.n_seeds = 3", "train.n_seeds = 2; this config has 3"),
        ("train.n_seeds = 2", "", "train.n_seeds = 2; this config has nothing"),
        ("train.n_seeds = 2", "train.n_seeds = 2\ntrain.jit_compile = None", "has None"),
        ("train.n_seeds = 2", "train.n_seeds = 2\ntrain.n_tasks = 4", "train.n_tasks"),
        ("train.game", "train.games", "train.game = @IteratedMatrixGame()"),
        ("prisoner's dilemma", "prisoners' dilemma", "IteratedMatrixGame.name"),
        ("[-3.0, -2.0]", "[-3.0, -2.5]", "IteratedMatrixGame.payoffs"),
        ("[[-1.0, 0.0]", "[[1.0, 0.0]", "IteratedMatrixGame.payoffs"),
        ("[@MetaMAPG(), @MetaMAPG()]", "[@MetaMAPG(), @MetaPG()]", "train.agents"),
    )
    def test_other_run_is_refused(self, old, new, part):
        self.assertEqual(CONFIG.count(old), 1)
        self.directory.open(CONFIG, [0, 1], resume=False)
        self.assert_refused("different run", part, config=CONFIG.replace(old, new), resume=True)

    def test_nothing_to_resume(self):
        self.assert_refused("there is no run", resume=True)
        self.path.mkdir(parents=True)
        self.assert_refused("there is no run", resume=True)

    def test_something_else_is_left_alone(self):
        self.path.mkdir(parents=True)
        (self.path / "thesis.tex").write_text("years of work")
        self.assert_refused("is not empty")
        self.assert_refused("is a file", path=self.path / "thesis.tex")
        self.assert_refused("cannot be written", "Not a directory", path=self.path / "thesis.tex" / "runs" / "mine")

    def test_directory_that_cannot_be_made(self):
        self.assert_refused("cannot be written", path=pathlib.Path("/proc/no/such"))

    @parameterized.parameters("write_json", "write_text")
    def test_start_that_was_interrupted_is_taken_up(self, function):
        with mock.patch.object(files, function, side_effect=KeyboardInterrupt):
            with self.assertRaises(KeyboardInterrupt):
                self.directory.open(CONFIG, [0, 1], resume=False)
        self.assertTrue(self.path.is_dir())
        (self.path / "run.json.partial").write_text("{")
        (self.path / "config.gin.partial").write_text("# Param")
        self.directory.open(CONFIG, [0, 1], resume=False)
        self.assertEqual(self.directory.config.read_text("utf-8"), CONFIG)

    def test_next_run_directory(self):
        parent = self.get_temp_dir()
        for number in (1, 2, 3):
            path = run_directory.next_run_directory(parent, "ipd")
            self.assertEqual(path, os.path.join(parent, f"ipd-{number}"))
            self.assertFalse(os.path.exists(path))
            os.mkdir(path)
        os.mkdir(os.path.join(parent, "ipd-5"))
        self.assertEqual(run_directory.next_run_directory(parent, "ipd"), os.path.join(parent, "ipd-4"))
        self.assertEqual(run_directory.next_run_directory(parent, "other"), os.path.join(parent, "other-1"))


if __name__ == "__main__":
    tf.test.main()
