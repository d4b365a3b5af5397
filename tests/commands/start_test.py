"""Proves that commands say what is wrong with their arguments without importing TensorFlow, which takes seconds."""

import os
import subprocess
import sys
import tempfile

from absl.testing import parameterized
import tensorflow as tf

from tests import command_line

# What is None there cannot be imported.
_WITHOUT_TENSORFLOW = """
import sys
for name in ("tensorflow", "tensorflow_probability", "matplotlib", "scipy"):
    sys.modules[name] = None
import tf_metamapg_commands
sys.exit(getattr(tf_metamapg_commands, sys.argv[1])())
"""


class StartTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        self.directory = tempfile.mkdtemp(dir=self.get_temp_dir())

    def run_command(self, *arguments):
        return subprocess.run(
            [sys.executable, "-c", _WITHOUT_TENSORFLOW.replace("sys.argv[1]", repr(arguments[0])), *arguments[1:]],
            capture_output=True, text=True, check=False, cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(command_line.ROOT)},
        )

    @parameterized.parameters("train", "reproduce", "compare", "evaluate", "export", "league", "benchmark")
    def test_help(self, command):
        ended = self.run_command(command, "--help")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assertIn(f"bin/{command}", ended.stdout)

    def test_list(self):
        ended = self.run_command("reproduce", "--list")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assertIn("figure_3", ended.stdout)

    @parameterized.parameters(
        (("train",), "--gin_file: name at least one"),
        (("train", "--gin_file=nope.gin"), "--gin_file=nope.gin: No such file"),
        (("train", "--gin_file=ipd.gin", "--resume", "--run_dir=nope"), "--run_dir=nope: there is no run"),
        (("train", "--nope"), "Unknown command line flag 'nope'"),
        (("reproduce", "nope"), "name = 'nope': must be one of figure_1"),
        (("compare", "nope.gin"), "config nope.gin: No such file"),
        (("compare", "ipd.gin", "--sweep=x"), "--sweep = 'x': must be NAME = [VALUE"),
        (("evaluate", "nope"), "must be that of a run"),
        (("export", "nope"), "must be that of a run"),
        (("league", "--gin_file=nope.gin"), "--gin_file=nope.gin: No such file"),
        (("benchmark", "--repeats=0"), "--repeats = 0: must be an integer ≥ 1"),
    )
    def test_refusals(self, arguments, part):
        ended = self.run_command(*arguments)
        self.assertEqual((ended.returncode, ended.stdout), (2, ""))
        self.assertStartsWith(ended.stderr, "error: ")
        self.assertIn(part, ended.stderr)
        self.assertLen(ended.stderr.splitlines(), 1)

    def test_what_cannot_be_imported_is_said_in_one_line(self):
        ended = self.run_command("train", "--gin_file=ipd.gin")
        self.assertEqual((ended.returncode, ended.stdout), (2, ""))
        self.assertRegex(ended.stderr, "^error: .*(tensorflow|keras).*\n$")
        # The run directory that it had claimed has gone again.
        self.assertEmpty(os.listdir(self.directory))

    def test_memory_of_cards_is_asked_for_as_it_is_needed(self):
        """Unless the user has said otherwise."""
        code = (
            "import os\nfrom tf_metamapg.commands import common\nwith common.importing():\n    pass\n"
            "print(os.environ['TF_FORCE_GPU_ALLOW_GROWTH'])"
        )
        for own, expected in ({}, "true"), ({"TF_FORCE_GPU_ALLOW_GROWTH": "false"}, "false"):
            environment = {name: text for name, text in os.environ.items() if name != "TF_FORCE_GPU_ALLOW_GROWTH"}
            ended = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=command_line.ROOT,
                env={**environment, **own},
            )
            self.assertEqual(ended.stdout.strip(), expected)


if __name__ == "__main__":
    tf.test.main()
