"""The examples of each `--help` can be run: their flags, configs, names and bindings are there, and what they need."""

import importlib
import os
import re
import shlex
from unittest import mock

from absl.testing import parameterized
import pytest
import tensorflow as tf

from tests import command_line
from tests import pseudo_terminal
from tests.architecture_test import COMMANDS
from tf_metamapg import configs
from tf_metamapg import gin_reader
from tf_metamapg.benchmarks import workloads
from tf_metamapg.commands import compare
from tf_metamapg.commands import reproduce
from tf_metamapg.games import dilemma_strategies

MODULES = {name: importlib.import_module(f"tf_metamapg.commands.{name}") for name in COMMANDS}

# What an example may name beside flags, by command.
ARGUMENTS = {
    "benchmark": lambda name: name in workloads.WORKLOADS,
    "compare": lambda name: (gin_reader.SHIPPED / name).exists(),
    "evaluate": lambda name: is_run(name),
    "export": lambda name: is_run(name),
    "league": lambda name: False,
    "reproduce": lambda name: name in reproduce.REPRODUCTIONS,
    "train": lambda name: False,
}


def examples(name):
    """The command lines of a help text, as lists of words."""
    lines = re.findall(r"^    (bin/.*(?:\\\n.*)*)$", MODULES[name].__doc__.replace("\\\n", " "), re.MULTILINE)
    return [shlex.split(line) for line in lines]


def is_run(path):
    """Whether it is the first run of a config of this package."""
    match = re.fullmatch(r"runs/(\w+)-1", path)
    return bool(match) and (gin_reader.SHIPPED / f"{match[1]}.gin").exists()


def parsed(module, words):
    """(arguments that are no flags, flags that were given)."""
    for flag in module.FLAGS:
        module.FLAGS[flag].unparse()
    _, *arguments = module.FLAGS(words)
    return arguments, {name: module.FLAGS[name].value for name in module.FLAGS if module.FLAGS[name].present}


class HelpTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(*COMMANDS)
    def test_examples_can_be_parsed(self, name):
        found = examples(name)
        self.assertGreaterEqual(len(found), 2)
        self.assertEqual(MODULES[name].__doc__.count("\n    bin/"), len(found))
        for words in found:
            self.assertEqual(words[0], f"bin/{name}")
            arguments, flags = parsed(MODULES[name], words)
            for argument in arguments:
                self.assertTrue(ARGUMENTS[name](argument), argument)
            for flag in ("run", "opponents"):
                for path in [flags[flag]] if isinstance(flags.get(flag), str) else flags.get(flag, []):
                    self.assertTrue(is_run(path), path)
            self.assertContainsSubset(flags.get("strategy", []), dilemma_strategies.STRATEGIES)

    @parameterized.parameters("train", "compare", "evaluate", "league")
    def test_examples_bind_what_there_is(self, name):
        for words in examples(name):
            arguments, flags = parsed(MODULES[name], words)
            shipped = [flags.get("gin_file", []), [word for word in arguments if word.endswith(".gin")]]
            files = next(filter(None, shipped), ["league_ipd.gin" if name == "league" else "ipd.gin"])
            sweeps = [f"{parameter} = {values[0]}" for parameter, values in map(compare._sweep, flags.get("sweep", []))]
            for file in files:
                experiment = configs.Config([file], [*flags.get("gin_param", []), *sweeps], None).experiment
                self.assertNotEmpty(experiment.run.seeds)

    def test_a_wrong_example_is_seen(self):
        module = MODULES["league"]
        with mock.patch.object(module, "__doc__", "x\n\n    bin/league \\\n        --stratgy=tit_for_tat\n"):
            (words,) = examples("league")
            with self.assertRaises(module.flags.Error):
                parsed(module, words)
        self.assertFalse(is_run("runs/idp-1"))

    @parameterized.parameters(*COMMANDS)
    def test_help_fits_a_terminal(self, name):
        arguments = ["--help"] if name != "train" else ["--help", 0.0]
        with pseudo_terminal.opened(80) as said:
            MODULES[name].run([f"bin/{name}", arguments[0]], *arguments[1:])
        self.assertLessEqual(max(map(len, said.lines())), 80)
        plain = command_line.run_other(MODULES[name], "--help") if name != "train" else command_line.run("--help")
        self.assertEqual(said.lines(), plain.stdout.split("\n"))
        self.assertNotIn("\x1b", plain.stdout)
        # Flags stand in the order in which the command defines them, each with its own words.
        flags = [MODULES[name].FLAGS[flag] for flag in MODULES[name].FLAGS]
        positions = [plain.stdout.index(f"\n  --{'[no]' * flag.boolean}{flag.name}") for flag in flags]
        self.assertEqual(positions, sorted(positions))
        self.assertNotIn("repeat this option", plain.stdout)


@pytest.mark.slow
class ExamplesTest(tf.test.TestCase):

    def test_examples_run(self):
        """With small sizes, and but for those that train for long; one example needs what another has left."""
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.get_temp_dir())
        small = command_line.gin_params(*command_line.TINY, "train.n_evaluation_tasks = 4", "train.jit_compile = False")
        outcomes = [command_line.run("--gin_file=ipd_meta_pg.gin", *small)]
        outcomes += [command_line.run(*words, *small) for _, *words in examples("train")]
        for name in ("evaluate", "export"):
            outcomes += [command_line.run_other(MODULES[name], *words) for _, *words in examples(name)]
        self.assertEqual([(outcome.status, outcome.stderr) for outcome in outcomes], [(0, "")] * len(outcomes))
        self.assertTrue(os.path.exists("runs/five_seeds/summary.json"))


if __name__ == "__main__":
    tf.test.main()
