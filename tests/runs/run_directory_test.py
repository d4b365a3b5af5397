"""Proves that a run directory takes one run and no other, and is left alone by whatever is refused."""

import importlib
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
from unittest import mock

from absl.testing import parameterized
import pytest
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg.checks import InvalidInputError
from tf_metamapg.runs import claims
from tf_metamapg.runs import files
from tf_metamapg.runs import run_directory
from tf_metamapg.runs.run_directory import RunDirectory

# Takes a run directory and keeps it until its standard input ends. Says what it has got.
HOLDER = """
import sys
from tf_metamapg.runs import claims

parent = sys.argv[1]
with claims.claim_next(parent, "ipd") as directory:
    print(directory.path.name, flush=True)
    sys.stdin.read()
"""

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


class ClaimTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir())
        self.path = self.root / "runs" / "mine"

    def tree(self):
        """Every path below the test's directory, with the content of the files."""
        return [(path, path.read_bytes() if path.is_file() else None) for path in sorted(self.root.rglob("*"))]

    def start(self, path=None):
        with claims.claim(path or self.path, resume=False) as directory:
            directory.start(CONFIG, [3, 4], jit_compile=True)

    def assert_refused(self, *parts, path=None, resume=False):
        before = self.tree()
        with self.assertRaises(InvalidInputError) as raised:
            with claims.claim(path or self.path, resume):
                self.fail("taken")
        message = str(raised.exception)
        self.assertLen(message.splitlines(), 1)
        for part in (f"--run_dir={path or self.path}: ", *parts):
            self.assertIn(part, message)
        self.assertEqual(self.tree(), before)

    def test_new_run(self):
        self.start()
        directory = RunDirectory(self.path)
        self.assertEqual(directory.config.read_text("utf-8"), CONFIG)
        run = json.loads(directory.run_info.read_text("utf-8"))
        self.assertEqual((run["seeds"], run["jit_compile"], run["resumed_with"]), ([3, 4], True, []))
        self.assertEqual(run["versions"]["tensorflow"], tf.__version__)
        for version in (run["python"], *run["versions"].values()):
            self.assertRegex(version, r"^\d+\.\d+")
        self.assertContainsSubset(
            ["tensorflow-probability", "keras", "numpy", "gin-config", "tf_metamapg"], run["versions"]
        )

    def test_empty_directory_is_taken(self):
        self.path.mkdir(parents=True)
        self.start()
        self.assertTrue((self.path / "config.gin").exists())

    @parameterized.parameters(
        "lr[0.1]", "lr_*", "a?b", "back\\slash", "two words", "ü", "%s {x}", "-x", "#", "'", '"', "new\nline", "@3"
    )
    def test_every_name_is_a_name(self, name):
        self.start(self.root / name)
        with claims.claim(self.root / name, resume=True) as directory:
            directory.check_same_run(CONFIG, [], allow_other_versions=False)
        self.assertEqual(os.listdir(self.root), [name])

    def test_directory_that_stays_empty_is_removed(self):
        with claims.claim(self.path, resume=False):
            self.assertTrue(self.path.is_dir())
        self.assertEmpty(os.listdir(self.root))
        with self.assertRaises(KeyboardInterrupt):
            with claims.claim_next(self.root / "runs", "ipd"):
                raise KeyboardInterrupt
        self.assertEmpty(os.listdir(self.root))
        # One that was there before is not.
        self.path.mkdir(parents=True)
        with claims.claim(self.path, resume=False):
            pass
        self.assertTrue(self.path.is_dir())

    def test_run_is_not_overwritten(self):
        self.start()
        self.assert_refused("holds a run already", "--resume")

    def test_nothing_to_resume(self):
        self.assert_refused("there is no run", resume=True)
        self.path.mkdir(parents=True)
        self.assert_refused("there is no run", resume=True)

    def test_something_else_is_left_alone(self):
        self.path.mkdir(parents=True)
        (self.path / "thesis.tex").write_text("years of work")
        self.assert_refused("is not empty")
        self.assert_refused("cannot be written", "File exists", path=self.path / "thesis.tex")
        self.assert_refused("cannot be written", "Not a directory", path=self.path / "thesis.tex" / "runs" / "mine")

    def test_directory_that_cannot_be_made(self):
        self.assert_refused("cannot be written", path=pathlib.Path("/proc/no/such"))
        self.assert_refused("cannot be written", "too long", path=self.root / ("x" * 300))

    @parameterized.parameters("write_json", "write_text")
    def test_start_that_was_interrupted_is_taken_up(self, function):
        with mock.patch.object(files, function, side_effect=KeyboardInterrupt):
            with self.assertRaises(KeyboardInterrupt):
                self.start()
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "run.json.partial").write_text("{")
        (self.path / "config.gin.partial").write_text("# Param")
        self.start()
        self.assertEqual((self.path / "config.gin").read_text("utf-8"), CONFIG)

    def test_one_process_at_a_time(self):
        self.start()
        with claims.claim(self.path, resume=True):
            self.assert_refused("another process", resume=True)
        with claims.claim(self.path, resume=True):
            pass

    @pytest.mark.slow
    def test_names_are_taken_once(self):
        """Four processes that start at once, one of which is killed."""
        parent = self.root / "runs"
        holders = [
            subprocess.Popen(
                [sys.executable, "-c", HOLDER, parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(4)
        ]
        names = [holder.stdout.readline().strip() for holder in holders]
        self.assertCountEqual(names, [f"ipd-{number}" for number in (1, 2, 3, 4)])
        self.assert_refused("another process", path=parent / "ipd-1")
        holders[0].kill()
        holders[0].communicate()
        with claims.claim(parent / names[0], resume=False):
            pass
        for holder in holders[1:]:
            holder.communicate()
        self.assertEqual(os.listdir(parent), [names[0]])


class SameRunTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        path = pathlib.Path(self.get_temp_dir()) / "run"
        path.mkdir()
        self.directory = RunDirectory(path)
        self.directory.start(CONFIG, [0, 1], jit_compile=False)

    def check(self, config=CONFIG, may_change=(), allow_other_versions=False):
        self.directory.check_same_run(config, may_change, allow_other_versions)

    def assert_refused(self, part, **arguments):
        with self.assertRaises(InvalidInputError) as raised:
            self.check(**arguments)
        self.assertLen(str(raised.exception).splitlines(), 1)
        self.assertLess(len(str(raised.exception)), 500)
        self.assertIn(part, str(raised.exception))

    def test_same_run(self):
        self.check()

    def test_order_and_comments_do_not_make_another_run(self):
        game, train = CONFIG.split("\n\n")
        self.check(train.replace("train:", "the experiment:") + "\n\n\n" + game)

    @parameterized.parameters(
        ("train.n_seeds = 2", "train.n_seeds = 3", "train.n_seeds = 2; this config has 3"),
        ("train.n_seeds = 2", "", "train.n_seeds = 2; this config has nothing"),
        ("train.n_seeds = 2", "train.n_seeds = 2\ntrain.jit_compile = None", "has None"),
        ("train.n_seeds = 2", "train.n_seeds = 2\ntrain.n_tasks = 4", "train.n_tasks"),
        ("train.game", "train.games", "train.game = @IteratedMatrixGame()"),
        ("prisoner's dilemma", "prisoners' dilemma", "IteratedMatrixGame.name"),
        ("prisoner's dilemma", "prisoner's dilemma" * 10_000, "IteratedMatrixGame.name"),
        ("[-3.0, -2.0]", "[-3.0, -2.5]", "IteratedMatrixGame.payoffs"),
        ("[[-1.0, 0.0]", "[[1.0, 0.0]", "IteratedMatrixGame.payoffs"),
        ("[@MetaMAPG(), @MetaMAPG()]", "[@MetaMAPG(), @MetaPG()]", "train.agents"),
    )
    def test_other_run_is_refused(self, old, new, part):
        self.assertEqual(CONFIG.count(old), 1)
        self.assert_refused(part, config=CONFIG.replace(old, new))

    def test_what_may_change(self):
        changed = CONFIG.replace("n_seeds = 2", "n_seeds = 3")
        self.check(changed, may_change=["train.n_seeds"])
        self.directory.go_on(changed)
        self.assertEqual(self.directory.config.read_text("utf-8"), changed)
        self.assertEmpty(self.directory.read_info()["resumed_with"])

    def test_other_versions(self):
        now = {**run_directory.versions(CONFIG), "keras": "99.9"}
        with mock.patch.object(run_directory, "versions", return_value=now):
            self.assert_refused("keras 99.9; its numbers may change: add --allow_other_versions")
            self.check(allow_other_versions=True)
            self.directory.go_on(CONFIG)
            self.check()
        self.assertEqual(self.directory.read_info()["resumed_with"], [now])
        self.assert_refused("has used keras 99.9")

    def test_versions_of_what_games_are_made_of(self):
        """They are there where they have been imported, and compared where they are known."""
        checks.imported("pettingzoo")
        with mock.patch.dict(sys.modules):
            sys.modules.pop("mujoco", None)
            without = run_directory.versions(CONFIG)
        self.assertContainsSubset({"pettingzoo": importlib.metadata.version("pettingzoo")}, without)
        self.assertNotIn("mujoco", without)
        with mock.patch.object(run_directory, "versions", return_value={**without, "another": "0.1"}):
            self.check()
        with mock.patch.object(run_directory, "versions", return_value={**without, "tensorflow": "0.1"}):
            self.assert_refused("here there is tensorflow 0.1")

    def test_other_source_of_what_a_config_imports(self):
        package = pathlib.Path(self.get_temp_dir()) / "own_games"
        package.mkdir()
        (package / "__init__.py").write_text("from own_games import chess\n")
        (package / "chess.py").write_text("N_SQUARES = 64\n")
        config = f"import own_games\n\n{CONFIG}"
        with mock.patch.object(sys, "path", [*sys.path, self.get_temp_dir()]), mock.patch.dict(sys.modules):
            importlib.import_module("own_games")
            self.directory.start(config, [0, 1], jit_compile=False)
            self.check(config)
            (package / "chess.py").write_text("N_SQUARES = 81\n")
            self.assert_refused("the run has used own_games ", config=config)
            self.check(config, allow_other_versions=True)

    @parameterized.parameters("", "{", "[]", "{}", '{"versions": 3, "resumed_with": [], "jit_compile": true}')
    def test_damaged_run_info(self, text):
        self.directory.run_info.write_text(text)
        self.assert_refused("run.json cannot be read")

    def test_damaged_config(self):
        self.directory.config.write_bytes(b"\xff\xfe")
        self.assert_refused("cannot be read")

    def test_digest(self):
        def digest(config=CONFIG, may_change=(), seeds=(0, 1), jit_compile=False):
            return run_directory.digest(config, may_change, seeds, jit_compile)

        more_seeds = CONFIG.replace("n_seeds = 2", "n_seeds = 3")
        game, train = CONFIG.split("\n\n")
        for same in (digest(), digest(train + "\n" + game), digest(seeds=range(2))):
            self.assertEqual(same, digest())
        self.assertEqual(digest(more_seeds, ["train.n_seeds"]), digest(CONFIG, ["train.n_seeds"]))
        others = {digest(more_seeds), digest(seeds=(1, 2)), digest(jit_compile=True), digest(game), digest()}
        self.assertLen(others, 5)


if __name__ == "__main__":
    tf.test.main()
