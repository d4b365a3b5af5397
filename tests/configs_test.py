"""Proves that every shipped config runs from end to end, and that its numbers are explained."""

import json
import pathlib
import re

from absl.testing import parameterized
import gymnasium_robotics  # noqa: F401, which writes on stderr when it is imported first
import pytest
import tensorflow as tf

from tests import command_line
import tf_metamapg as mapg
from tf_metamapg.runs import publication

CONFIGS = sorted(command_line.GIN_CONFIGS.glob("**/*.gin"))
BINDING = re.compile(r"^[\w./]+ *=")
NUMERIC_BINDING = re.compile(r"^[\w./]+ *= *-?[\d.]")
# Configs whose population another one makes, and how many of it there are in a tiny run of that.
TEAMMATES = {"half_cheetah": "half_cheetah_teammates"}
# Stages of configs that have some, each of one meta-update here.
STAGES = {"ipd_lasting": ("one", "five", "twenty", "fifty")}
# Bound for the agents of several runs, each of which has some of them.
FOR_SEVERAL_AGENTS = ("league_ipd",)
FEW_SNAPSHOTS = tuple(f"Snapshots.{size} = 2" for size in ("n_train", "n_validation", "n_test"))


class ConfigsTest(tf.test.TestCase, parameterized.TestCase):

    def test_there_are_configs(self):
        self.assertGreaterEqual(len(CONFIGS), 3)

    @parameterized.named_parameters((path.stem, path) for path in CONFIGS)
    @pytest.mark.slow
    def test_runs(self, path):
        directory, bindings = pathlib.Path(self.get_temp_dir()), [*command_line.TINY, "train.n_meta_updates = 1"]
        run_dir = directory / "run"
        if path.stem in TEAMMATES:
            made = command_line.run(
                f"--gin_file={TEAMMATES[path.stem]}.gin", f"--run_dir={directory / 'teammates'}",
                *command_line.gin_params(*bindings, "train.n_meta_updates = 2", "train.snapshot_every = 1"),
            )
            self.assertEqual((made.status, made.stderr), (0, ""))
            bindings += [f"Snapshots.directory = '{directory / 'teammates' / 'snapshots' / 'agent_1'}'", *FEW_SNAPSHOTS]
        for stage in STAGES.get(path.stem, ()):
            bindings += [f"{stage}/Stage.n_meta_updates = 1", f"{stage}/Stage.chain_length = 1"]
        outcome = command_line.run(
            f"--gin_file={path}", f"--run_dir={run_dir}", *command_line.gin_params(*bindings)
        )
        self.assertEqual(outcome.status, 0, outcome.stderr)
        self.assertEqual(outcome.stderr, "")
        # Everything in the file is used.
        if path.stem not in FOR_SEVERAL_AGENTS:
            self.assertNotIn(f" of {path}", outcome.stdout)
        summary = json.loads((run_dir / "summary.json").read_text("utf-8"))
        has_meta_agents = "meta_validation" in summary
        n_meta_updates = 1 + len(STAGES.get(path.stem, ()))
        self.assertEqual(summary["meta_updates"], n_meta_updates if has_meta_agents else 0)
        average_reward = summary["meta_test"]["average_reward"]
        self.assertEqual(tf.constant(average_reward).shape, (2, 2, len(summary["agent"])))
        # Agents of a population have no initial policy of their own.
        has_population = "train.populations = None" not in (run_dir / "config.gin").read_text("utf-8")
        n_exported = 1 if has_population and has_meta_agents else len(summary["agent"])
        exported = run_dir / ("initial_policies" if has_meta_agents else "adapted_policies/task_0")
        self.assertCountEqual(
            [path.name for path in exported.iterdir()],
            [f"agent_{agent_index}{ending}" for agent_index in range(n_exported) for ending in ("", ".npz")],
        )

        # What the run has learned can be loaded, and gives the same numbers again, bit for bit.
        evaluation = mapg.load_run(str(run_dir)).evaluate()
        self.assertEqual(publication.as_lists(evaluation), summary["meta_test"])

    @parameterized.named_parameters((path.stem, path) for path in CONFIGS)
    def test_is_documented(self, path):
        text = path.read_text("utf-8")
        self.assertStartsWith(text, "# ")
        commented = False
        for line in text.splitlines():
            if line.startswith("#"):
                commented = True
            elif not line.strip():
                # A number is explained in its own paragraph.
                commented = False
            elif NUMERIC_BINDING.match(line):
                self.assertTrue(commented, f"no comment says what this is, in which unit and why: {line}")
        self.assertTrue(any(map(BINDING.match, text.splitlines())))


if __name__ == "__main__":
    tf.test.main()
