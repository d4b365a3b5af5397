"""Proves what `bin/train` promises: its files, its refusals in one line, and the same bits twice."""

import csv
import json
import os
import pathlib
import shutil
import sys

from absl.testing import parameterized
import numpy as np
import pytest
import tensorflow as tf

from tests import command_line

IPD = command_line.GIN_CONFIGS / "ipd.gin"

# One meta-agent, which halves the time to build a run, and an ordinary agent.
MIXED = "train.agents = [@MetaMAPG(), @PolicyGradient()]"
NO_META_AGENT = "train.agents = [@PolicyGradient(), @PolicyGradient()]"

# name, binding, what the one line must contain: the parameter, its value, what is allowed.
BAD_BINDINGS = (
    ("unknown_configurable", "IteratedGame.discount = 0.5", ["IteratedGame"]),
    ("unknown_parameter", "IteratedMatrixGame.discounts = 0.5", ["IteratedMatrixGame", "discounts"]),
    ("unknown_reference", "train.estimator = @ExactEstimat", ["ExactEstimat"]),
    ("unknown_reference_in_list", "train.agents = [@MetaMAPG(), @MetaMPG()]", ["MetaMPG"]),
    ("unknown_macro", "train.n_seeds = %n_sedes", ["n_sedes"]),
    ("no_value", "train.n_seeds =", ["train.n_seeds"]),
    ("no_binding", "train.n_seeds", ["train.n_seeds"]),
    ("no_such_value", "train.n_seeds = five", ["train.n_seeds", "five"]),
    ("payoffs_without_agents", "IteratedMatrixGame.payoffs = [[-1, -3], [0, -2]]",
     ["IteratedMatrixGame.payoffs", "(2, 2)", "[n_agents, A_0, .., A_{n-1}]"]),
    ("payoffs_of_one_agent", "IteratedMatrixGame.payoffs = [[[-1, -3], [0, -2]]]",
     ["IteratedMatrixGame.payoffs", "(1, 2, 2)", "[n_agents, A_0, .., A_{n-1}]"]),
    ("ragged_payoffs", "IteratedMatrixGame.payoffs = [[[-1, -3], [0]], [[-1, -3], [0, -2]]]",
     ["IteratedMatrixGame.payoffs", "[0]", "[n_agents, A_0, .., A_{n-1}]"]),
    ("payoffs_of_words", "IteratedMatrixGame.payoffs = 'high'", ["IteratedMatrixGame.payoffs", "high", "numbers"]),
    ("payoff_of_400_digits", f"IteratedMatrixGame.payoffs = [[[{10**400}, -3], [0, -2]], [[-1, 0], [-3, -2]]]",
     ["IteratedMatrixGame.payoffs", "1000", "numbers"]),
    ("payoff_of_thousands_of_digits",
     f"IteratedMatrixGame.payoffs = [[[0x{'f' * 5000}, -3], [0, -2]], [[-1, 0], [-3, -2]]]",
     ["IteratedMatrixGame.payoffs", "numbers"]),
    ("infinite_payoff", "IteratedMatrixGame.payoffs = [[[-1, -3], [0, -1e999]], [[-1, 0], [-3, -2]]]",
     ["IteratedMatrixGame.payoffs", "-inf", "finite"]),
    ("discount_1", "IteratedMatrixGame.discount = 1.0", ["IteratedMatrixGame.discount", "1.0", "[0, 1)"]),
    ("discount_negative", "IteratedMatrixGame.discount = -0.1", ["IteratedMatrixGame.discount", "-0.1", "[0, 1)"]),
    ("discount_string", "IteratedMatrixGame.discount = '0.9'", ["IteratedMatrixGame.discount", "'0.9'", "number"]),
    ("dtype", "IteratedMatrixGame.dtype = 'float16'", ["IteratedMatrixGame.dtype", "float16", "float32"]),
    ("name_of_two_lines", "IteratedMatrixGame.name = 'a\\nb'", ["IteratedMatrixGame.name", "one line"]),
    ("long_name", f"IteratedMatrixGame.name = '{'a' * 101}'", ["IteratedMatrixGame.name", "100 characters"]),
    ("no_trajectories", "LoadedDiceEstimator.n_trajectories = 0", ["LoadedDiceEstimator.n_trajectories", "= 0", "1"]),
    (
        "half_a_trajectory", "LoadedDiceEstimator.n_trajectories = 0.5",
        ["LoadedDiceEstimator.n_trajectories", "0.5", "integer"],
    ),
    ("no_horizon", "LoadedDiceEstimator.horizon = 0", ["LoadedDiceEstimator.horizon", "= 0", "1"]),
    ("critic", "LoadedDiceEstimator.critic = 0.0", ["LoadedDiceEstimator.critic", "0.0", "function"]),
    ("chain_length", "train.chain_length = -1", ["train.chain_length", "-1", "0"]),
    ("n_inner_updates", "train.n_inner_updates = -1", ["train.n_inner_updates", "-1", "0"]),
    ("n_seeds", "train.n_seeds = 0", ["train.n_seeds", "= 0", "1"]),
    ("n_seeds_a_million", "train.n_seeds = 1000000", ["train.n_seeds", "1000000", "100000"]),
    ("chain_length_a_million", "train.chain_length = 1000000", ["train.chain_length", "1000000", "10000"]),
    ("n_seeds_true", "train.n_seeds = True", ["train.n_seeds", "True", "integer"]),
    ("first_seed", "train.first_seed = -1", ["train.first_seed", "-1", "0"]),
    ("first_seed_beyond_int64", "train.first_seed = 99999999999999999999", ["train.first_seed", "9999999999999999"]),
    ("n_tasks", "train.n_tasks = 0", ["train.n_tasks", "= 0", "1"]),
    ("n_evaluation_tasks", "train.n_evaluation_tasks = 0", ["train.n_evaluation_tasks", "= 0", "1"]),
    ("too_many_evaluation_tasks", "train.n_evaluation_tasks = 1000000000",
     ["train.n_evaluation_tasks", "1000000000", "smaller", "GB"]),
    ("too_many_tasks", "train.n_tasks = 2000000000", ["train.n_tasks", "2000000000", "GB"]),
    ("too_many_exact_tasks", "train.n_evaluation_tasks = 1000000000\ntrain.estimator = @ExactEstimator",
     ["train.n_evaluation_tasks", "1000000000", "GB"]),
    ("n_meta_updates", "train.n_meta_updates = -1", ["train.n_meta_updates", "-1", "0"]),
    ("checkpoint_every", "train.checkpoint_every = 0", ["train.checkpoint_every", "= 0", "1"]),
    ("meta_learning_rate", "train.meta_learning_rate = -0.1", ["train.meta_learning_rate", "-0.1", "0"]),
    ("meta_learning_rate_infinite", "train.meta_learning_rate = 1e999", ["train.meta_learning_rate", "inf", "finite"]),
    ("max_gradient_norm", "train.max_gradient_norm = 0.0", ["train.max_gradient_norm", "0.0", "> 0"]),
    ("update_rate", "train.update_meta_learning_rate = -1", ["train.update_meta_learning_rate", "-1", "0"]),
    ("inner_learning_rate", "MetaMAPG.inner_learning_rate = -1", ["MetaMAPG.inner_learning_rate", "-1", "0"]),
    ("payoff_noise", "PayoffNoise.width = -1", ["PayoffNoise.width", "-1", "0"]),
    ("initial_stddev", "tabular_policy.initial_stddev = -1", ["tabular_policy.initial_stddev", "-1", "0"]),
    ("jit_compile", "train.jit_compile = 'no'", ["train.jit_compile", "'no'", "True"]),
    ("export_all_seeds", "train.export_all_seeds = 'no'", ["train.export_all_seeds", "'no'", "True"]),
    ("one_agent_for_two", "train.agents = [@MetaMAPG()]", ["train.agents", "MetaMAPG", "2"]),
    ("one_policy_for_two", "train.policies = [@tabular_policy]", ["train.policies", "tabular_policy", "2"]),
    ("agents_by_name", "train.agents = ['MetaMAPG', 'MetaPG']", ["train.agents", "'MetaMAPG'"]),
    ("agents_not_made", "train.agents = [@MetaMAPG, @MetaMAPG]", ["train.agents", "MetaMAPG"]),
    ("policies_by_name", "train.policies = ['tabular', 'tabular']", ["train.policies", "'tabular'"]),
    ("game_not_made", "train.game = @IteratedMatrixGame", ["train.game", "IteratedMatrixGame"]),
    ("game_by_name", "train.game = 'ipd'", ["train.game", "'ipd'"]),
    ("estimator_by_name", "train.estimator = 'exact'", ["train.estimator", "'exact'"]),
    ("no_task_distribution", "train.task_distribution = None", ["train.task_distribution", "None"]),
    ("validate_every", "train.validate_every = 0", ["train.validate_every", "= 0", "1"]),
    ("one_population_for_two", "train.populations = [None]", ["train.populations", "None", "2"]),
    ("population_of_a_meta_agent", "train.populations = [None, @NormalPolicies]", ["train.populations[1]", "MetaMAPG"]),
    ("too_few_personas", """
train.agents = [@MetaMAPG(), @PolicyGradient()]
train.populations = [None, @Personas]
train.n_evaluation_tasks = 41
""", ["train.n_evaluation_tasks", "41", "40", "Personas.n_validation"]),
    ("task_distribution_for_a_population", """
train.agents = [@MetaMAPG(), @PolicyGradient()]
train.populations = [None, @PayoffNoise]
""", ["PayoffNoise.game", "TabularPolicy", "a game"]),
    ("macro_of_itself", "n = %n\ntrain.n_seeds = %n", ["%n", "itself"]),
    ("macros_of_each_other", "a = [%b]\nb = %a\ntrain.agents = %a", ["%a, %b", "itself"]),
    ("train_in_itself", "train.game = @train()", ["@train", "itself"]),
    ("game_of_itself", "IteratedMatrixGame.payoffs = @IteratedMatrixGame()", ["@IteratedMatrixGame", "itself"]),
    ("train_as_a_maker", "train.task_distribution = @train", ["@train: ", "positional argument"]),
    ("train_as_a_critic", "LoadedDiceEstimator.critic = @train", ["@train: ", "positional argument"]),
    ("what_the_command_decides", "train.resume = True", ["train", "resume"]),
    ("what_the_run_remembers", "train.stored_jit_compile = True", ["train", "stored_jit_compile"]),
    ("deep_value", f"train.agents = {'[' * 2000}{']' * 2000}", ["train.agents", "recursion"]),
    ("integer_of_thousands_of_digits", f"train.n_seeds = {'9' * 5000}", ["train.n_seeds", "5000 digits"]),
    ("hexadecimal_of_thousands_of_digits", f"train.n_seeds = 0x{'f' * 5000}", ["train.n_seeds", "100000"]),
    ("long_text", f"train.n_seeds = '{'a' * 100_000}'", ["train.n_seeds", "aaa", "integer"]),
    ("long_unknown_configurable", f"{'a' * 100_000}.b = 3", ["aaa", "No configurable matching"]),
    ("long_unknown_macro", f"train.n_seeds = %{'a' * 100_000}", ["aaa", "No bindings"]),
    ("singleton_of_nothing", "train.n_seeds = @gin.singleton()", ["singleton()", "missing"]),
    *(
        (f"{name.replace('.', '_')}_{value}", f"{name} = {value}", [name, "an integer ≤ "])
        for name in (
            "train.n_seeds", "train.n_meta_updates", "train.chain_length", "train.n_tasks", "train.validate_every",
            "train.n_inner_updates", "train.n_evaluation_tasks", "train.checkpoint_every",
            "LoadedDiceEstimator.n_trajectories", "LoadedDiceEstimator.horizon",
        )
        for value in (2**31, 10**18)
    ),
    ("personas", """
train.agents = [@MetaMAPG(), @PolicyGradient()]
train.populations = [None, @Personas]
Personas.n_test = 1_000_000_000
""", ["Personas", "1000000000", "memory"]),
    ("lookahead_steps", """
train.agents = [@MetaMAPG(), @LOLADiCE()]
LOLADiCE.n_lookahead_steps = 1000000000
""", ["LOLADiCE.n_lookahead_steps", "1000"]),
    ("public_goods", """
IteratedMatrixGame.payoffs = @public_goods()
public_goods.n_agents = 1000000000
""", ["public_goods.n_agents", "16"]),
    *(
        (f"{kind}_of_{size}", f"train.policies = [@{kind}, @tabular_policy]\n{kind}.{parameter} = {size}",
         [f"{kind}.{parameter}", size, allowed])
        for kind, parameter, size, allowed in (
            ("mlp_policy", "hidden_units", "[2000000000]", "memory"),
            ("mlp_policy", "hidden_units", "[100000, 100000]", "memory"),
            ("lstm_policy", "units", "2000000000", "memory"),
            ("lstm_policy", "units", "100000", "memory"),
            ("lstm_policy", "units", "3000000000", "2147483647"),
        )
    ),
    ("value_network", """
LoadedDiceEstimator.critic = @ValueNetwork
ValueNetwork.units = 2000000000
""", ["ValueNetwork.units", "2000000000", "memory"]),
    *(
        (f"activation_{activation.strip('@')}", f"""
train.policies = [@mlp_policy, @tabular_policy]
mlp_policy.activation = {activation!r}
""".replace("'@", "@").replace("@'", ""), ["mlp_policy.activation", activation.strip("@"), "activation"])
        # Halves the units, takes arguments, is no activation; functions of something else.
        for activation in ("glu", "threshold", "serialize", "", "@tabular_policy@", "@mean_over_chain@")
    ),
    *(
        (f"{name.replace('.', '_')}_is_{value}", f"{more}\n{name} = {value}", [name, "float32"])
        for name, more in (
            ("train.meta_learning_rate", ""), ("train.update_meta_learning_rate", ""),
            ("train.max_gradient_norm", ""), ("MetaMAPG.inner_learning_rate", ""),
            ("LearnedRates.learning_rate", "MetaMAPG.inner_learning_rate = @LearnedRates()"),
            ("tabular_policy.initial_stddev", ""), ("PayoffNoise.width", ""),
            ("LOLADiCE.assumed_learning_rate", "train.agents = [@MetaMAPG(), @LOLADiCE()]"),
            ("ValueNetwork.learning_rate", "LoadedDiceEstimator.critic = @ValueNetwork"),
            ("LinearFeatureBaseline.ridge", "LoadedDiceEstimator.critic = @LinearFeatureBaseline"),
            ("NormalPolicies.stddev", f"{MIXED}\ntrain.populations = [None, @NormalPolicies]"),
            ("prisoners_dilemma.temptation", ""),
        )
        for value in ("1e39", "1" + 39 * "0")
    ),
    *(
        (f"{name.replace('.', '_')}_is_0_as_float32", f"{more}\n{name} = 1e-46", [name, "1e-46", "> 0"])
        for name, more in (
            ("train.max_gradient_norm", ""),
            ("LearnedRates.learning_rate", "MetaMAPG.inner_learning_rate = @LearnedRates()"),
            ("ValueNetwork.learning_rate", "LoadedDiceEstimator.critic = @ValueNetwork"),
            ("SOS.radius", "train.agents = [@MetaMAPG(), @SOS()]"),
        )
    ),
    ("agents_for_policies", "train.policies = [@PolicyGradient, @PolicyGradient]",
     ["PolicyGradient.inner_learning_rate", "IteratedMatrixGame", "number"]),
    ("critic_made", "LoadedDiceEstimator.critic = @ValueNetwork()", ["ValueNetwork", "missing", "'spec'"]),
    ("rates_not_made", "MetaMAPG.inner_learning_rate = @LearnedRates",
     ["MetaMAPG.inner_learning_rate", "LearnedRates", "number"]),
    ("optimizer_not_made", "MetaMAPG.optimizer = @Adam", ["MetaMAPG.optimizer", "Adam", "such as Adam()"]),
    ("exact_and_recurrent", """
train.policies = [@lstm_policy, @tabular_policy]
train.estimator = @ExactEstimator
""", ["ExactEstimator.policies[0]", "not recurrent"]),
)

BAD_FLAGS = (
    ("no_such_flag", ["--gin_fiel=ipd.gin"], ["gin_fiel"]),
    ("argument", ["ipd.gin"], ["ipd.gin"]),
    ("resume_maybe", ["--resume=maybe"], ["resume", "maybe"]),
    ("missing_gin_file", ["--gin_file=no/such.gin"], ["--gin_file", "no/such.gin"]),
    ("gin_file_is_a_directory", ["--gin_file=."], ["--gin_file", "."]),
    ("resume_nothing", ["--resume"], ["--resume", "--run_dir", "run", "no run"]),
    ("no_gin_file", ["--gin_file="], ["--gin_file"]),
    ("no_run_dir", ["--run_dir="], ["--run_dir"]),
    ("long_unknown_flag", [f"--{'a' * 10_000}"], ["flag"]),
    ("long_value", [f"--resume={'a' * 10_000}"], ["resume", "aaa"]),
    ("long_argument", ["a" * 10_000], ["arguments", "aaa"]),
    ("long_gin_file", [f"--gin_file={'a' * 10_000}"], ["--gin_file=aaa", "too long"]),
    ("long_run_dir", [f"--run_dir={'a' * 10_000}"], ["--run_dir", "aaa", "too long"]),
    ("long_run_dir_to_resume", [f"--run_dir={'a' * 10_000}", "--resume"], ["--resume", "aaa", "no run"]),
    ("gin_file_at_home", ["--gin_file=~/no_such.gin"], [os.path.expanduser("~/no_such.gin")]),
    ("run_dir_at_home", ["--run_dir=~/no_such_run", "--resume"], [os.path.expanduser("~/no_such_run")]),
    ("missing_flagfile", ["--flagfile=no_such"], ["no_such"]),
    ("flagfile_is_a_directory", ["--flagfile=."], ["."]),
    ("flagfile_is_no_text", [f"--flagfile={sys.executable}"], ["utf-8"]),
)

# name, content of a config, what the one line must contain.
BAD_FILES = (
    ("open_parenthesis", "train.game = @IteratedMatrixGame(\n", ["bad.gin"]),
    ("not_a_config", "Dear gin,\n", ["bad.gin"]),
    ("missing_include", "include 'no_such.gin'\n", ["no_such.gin", "bad.gin"]),
    ("includes_itself", "include 'bad.gin'\n", ["bad.gin"]),
    ("not_text", b"\x89PNG\r\n\x1a\n\xff", ["bad.gin"]),
    ("unknown_parameter", "train.n_seed = 3\n", ["train", "n_seed", "bad.gin"]),
    ("empty", "", ["game", "policies", "agents", "estimator", "task_distribution"]),
)


class MainTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.get_temp_dir())
        self.run_dir = pathlib.Path(self.get_temp_dir()) / "run"

    def arguments(self, *bindings):
        return [
            f"--gin_file={IPD}", f"--run_dir={self.run_dir}",
            *command_line.gin_params(*command_line.TINY, MIXED, *bindings),
        ]

    def assert_refused(self, outcome, parts=()):
        self.assertEqual(outcome.status, 2, outcome.stderr)
        self.assertEqual(outcome.stdout, "")
        self.assertRegex(outcome.stderr, r"^error: [^\n]+\n$")
        # One line that a person reads, not a whole config on one line.
        self.assertLess(len(outcome.stderr), 400)
        for part in parts:
            self.assertIn(part, outcome.stderr)

    @parameterized.named_parameters(*BAD_BINDINGS)
    def test_bad_binding(self, binding, parts):
        # The last binding wins.
        bindings = [] if binding.startswith("train.agents") else ["train.agents = [@MetaMAPG(), @MetaMAPG()]"]
        self.assert_refused(command_line.run(*self.arguments(*bindings, binding)), parts)
        self.assertEmpty(os.listdir("."))

    @parameterized.named_parameters(*BAD_FLAGS)
    def test_bad_flag(self, bad_arguments, parts):
        self.assert_refused(command_line.run(*self.arguments(NO_META_AGENT), *bad_arguments), parts)
        self.assertEmpty(os.listdir("."))

    @parameterized.named_parameters(*BAD_FILES)
    def test_bad_file(self, content, parts):
        directory = pathlib.Path(self.get_temp_dir()) / "configs"
        directory.mkdir()
        (directory / "bad.gin").write_bytes(content if isinstance(content, bytes) else content.encode())
        outcome = command_line.run("--gin_file=configs/bad.gin", f"--run_dir={self.run_dir}")
        self.assert_refused(outcome, parts)
        self.assertEqual(os.listdir("."), ["configs"])

    def test_gin_file_is_needed(self):
        self.assert_refused(command_line.run(f"--run_dir={self.run_dir}"), ["--gin_file"])
        self.assert_refused(command_line.run(f"--gin_file={IPD}", "--resume"), ["--resume", "--run_dir"])
        self.assertEmpty(os.listdir("."))

    @parameterized.parameters("thesis.tex/run", "folder")
    def test_bad_run_directory(self, run_dir):
        pathlib.Path("thesis.tex").write_text("years of work")
        os.mkdir("folder")
        pathlib.Path("folder/thesis.tex").write_text("years of work")
        outcome = command_line.run(*self.arguments(NO_META_AGENT), f"--run_dir={run_dir}")
        self.assert_refused(outcome, ["--run_dir", run_dir])
        self.assertCountEqual(os.listdir("."), ["folder", "thesis.tex"])
        self.assertEqual(os.listdir("folder"), ["thesis.tex"])
        self.assertEqual(pathlib.Path("thesis.tex").read_text(), "years of work")

    @parameterized.parameters("--help", "-h")
    def test_help(self, flag):
        outcome = command_line.run(flag)
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        configs = [path.name for path in command_line.GIN_CONFIGS.iterdir()]
        for name in ("--gin_file", "--gin_param", "--run_dir", "resume", *configs):
            self.assertIn(name, outcome.stdout)

    @pytest.mark.slow
    def test_ends_quietly_when_nobody_reads(self):
        process = command_line.start("--help")
        process.stdout.close()
        with process.stderr:
            self.assertEqual(process.stderr.read(), "")
        self.assertEqual(process.wait(), 1)

    @pytest.mark.slow
    def test_order_of_bindings_and_numbered_run_directory(self):
        """Without meta-updates, which need not be compiled."""
        pathlib.Path("first.gin").write_text(
            f"include '{IPD}'\ntrain.n_meta_updates = 0\nPayoffNoise.width = 0.5\ntrain.first_seed = 3\n"
        )
        pathlib.Path("second.gin").write_text("""
PayoffNoise.width = 0.25
IteratedMatrixGame.discount = 0.5
seeds = 7
SOS:
    radius = 0.25
    alignment = 0.25
""")
        os.makedirs("runs/second-1")
        bindings = [binding for binding in (*command_line.TINY, NO_META_AGENT) if "n_meta_updates" not in binding]
        outcome = command_line.run(
            "--gin_file=first.gin", "--gin_file", "second.gin", *command_line.gin_params(*bindings),
            "--gin_param", "IteratedMatrixGame.discount = 0.125", "--gin_param", "IteratedMatrixGame.discount = 0.75",
            # What nothing uses, and what is used under another name.
            "--gin_param", "n_seeds = 7", "--gin_param", "MetaMAPG.inner_learning_rate=3.0\ntrain.n_tasks = 1",
            "--gin_param", "owm/PolicyGradient.inner_learning_rate = 3.0",
            "--gin_param", "train.agents = [@own/PolicyGradient(), @one/own/PolicyGradient()]",
            "--gin_param", "own/PolicyGradient.inner_learning_rate = 3.0",
            "--gin_param", "one/PolicyGradient.inner_learning_rate = 2.0",
            "--gin_param", "tf_metamapg.PolicyGradient.inner_learning_rate = 1.0",
        )
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        self.assertEqual(
            [line for line in outcome.stdout.splitlines() if line.startswith("note: ")],
            # In files, what they bind themselves.
            [f"note: nothing in this run uses {name}" for name in (
                "seeds, SOS.radius, SOS.alignment of second.gin",
                "n_seeds", "MetaMAPG.inner_learning_rate", "owm/PolicyGradient.inner_learning_rate",
            )],
        )
        self.assertStartsWith(outcome.stdout, "run directory: runs/second-2\n")
        self.assertCountEqual(os.listdir("runs"), ["second-1", "second-2"])
        self.assertEmpty(os.listdir("runs/second-1"))
        self.assertIn("runs/second-2/summary.json", outcome.stdout)
        config = pathlib.Path("runs/second-2/config.gin").read_text("utf-8")
        for line in ("IteratedMatrixGame.discount = 0.75", "PayoffNoise.width = 0.25", "train.first_seed = 3"):
            self.assertIn(f"{line}\n", config)
        summary = json.loads(pathlib.Path("runs/second-2/summary.json").read_text("utf-8"))
        self.assertEqual((summary["seeds"], summary["meta_updates"]), ([3, 4], 0))

    def test_include_is_looked_for_beside_the_file(self):
        os.makedirs("configs")
        pathlib.Path("configs/base.gin").write_text("train.n_seeds = -2\n")
        pathlib.Path("configs/top.gin").write_text("include 'base.gin'\n")
        outcome = command_line.run(f"--gin_file={IPD}", "--gin_file=configs/top.gin")
        self.assert_refused(outcome, ["train.n_seeds = -2"])

    @parameterized.parameters(
        ("raise KeyError('x')", "config: @Broken: KeyError: 'x'"),
        ("assert False", "config: @Broken: AssertionError"),
        ("self.__init__()", "config: @Broken: refers to itself"),
        ("def f(): f()\nglobals().update(f=f)\nf()", "config: @Broken: RecursionError: maximum recursion depth"),
        ("open('no_such_file')", "config: @Broken: [Errno 2] No such file or directory: 'no_such_file'"),
        ("import gin; gin.get_configurable('MetaMAPG')(-1)", "MetaMAPG.inner_learning_rate = -1: must be"),
        ("raise ValueError('a\\nb' * 1000)", "config: @Broken: a ba b"),
        ("import numpy; numpy.zeros(10**13)", "config: @Broken: MemoryError: Unable to allocate"),
    )
    def test_a_game_of_ones_own_that_fails(self, text, expected):
        pathlib.Path("own_game.py").write_text("""
import gin

@gin.configurable
class Broken:
    def __init__(self, text):
        exec(text)
""")
        pathlib.Path("own_game.gin").write_text(f"import own_game\ntrain.game = @Broken()\nBroken.text = {text!r}\n")
        outcome = command_line.run(*self.arguments(), "--gin_file=own_game.gin")
        self.assert_refused(outcome, [f"error: {expected}"])

    def test_a_game_of_ones_own_that_fails_when_it_is_played(self):
        pathlib.Path("own_failing_game.py").write_text("""
import gin
import tf_metamapg as mapg

@gin.configurable
class FailsLater(mapg.IteratedMatrixGame):
    def step(self, tasks, state, joint_action, uniforms):
        raise KeyError("x")
""")
        pathlib.Path("own_failing_game.gin").write_text(
            "import own_failing_game\ntrain.game = @FailsLater()\nFailsLater.payoffs = @prisoners_dilemma()\n"
        )
        outcome = command_line.run(*self.arguments(), "--gin_file=own_failing_game.gin")
        expected = "error: FailsLater.step(...) = KeyError: must be possible with (float32 [2, "
        self.assert_refused(outcome, [expected, "('x' (own_failing_game.py, line 8))"])

    def assert_stopped(self, outcome, *parts):
        self.assertEqual(outcome.status, 1, outcome.stderr)
        self.assertRegex(outcome.stderr, r"^stopped: [^\n]+\n$")
        for part in parts:
            self.assertIn(part, outcome.stderr)

    @pytest.mark.slow
    def test_stops_at_a_meta_gradient_that_is_not_finite(self):
        absurd = "IteratedMatrixGame.payoffs = [[[1e38, 1e38], [0, 1]], [[1e38, 1e38], [0, 1]]]"
        outcome = command_line.run(*self.arguments(absurd))
        self.assert_stopped(outcome, "meta-update 1 ", "seeds 0, 1", "checkpoint")
        self.assertFalse((self.run_dir / "summary.json").exists())

    @pytest.mark.slow
    def test_stop_names_the_last_checkpoint(self):
        # The third step finds parameters beyond the largest float32.
        outcome = command_line.run(
            *self.arguments("train.n_meta_updates = 5", "train.checkpoint_every = 1", "train.meta_learning_rate = 3e38")
        )
        self.assert_stopped(outcome, "meta-update 3 ", "for seed", f"{self.run_dir}/checkpoints/ckpt-2.npz")
        with open(self.run_dir / "metrics.csv", newline="", encoding="utf-8") as file:
            self.assertEqual({row["meta_update"] for row in csv.DictReader(file)}, {"1", "2"})

    @pytest.mark.slow
    def test_a_policy_that_has_become_infinite_is_not_measured(self):
        # Its actions would all be the first one: to cooperate.
        outcome = command_line.run(*self.arguments("train.n_meta_updates = 2", "train.meta_learning_rate = 3e38"))
        self.assert_stopped(outcome, "a mean reward in evaluation is NaN", f"{self.run_dir}/checkpoints/ckpt-2")
        self.assertFalse((self.run_dir / "summary.json").exists())

    @parameterized.named_parameters(
        ("score_function", [
            "train.estimator = @ScoreFunctionEstimator", "ScoreFunctionEstimator.n_trajectories = 4",
            "ScoreFunctionEstimator.horizon = 3", "train.n_seeds = 1",
        ]),
        ("integers", [
            "train.meta_learning_rate = 1", "train.update_meta_learning_rate = 0",
            "LoadedDiceEstimator.critic = @ValueNetwork", "ValueNetwork.learning_rate = 1",
        ]),
        ("no_inner_updates", [NO_META_AGENT, "train.chain_length = 0"]),
        # Trained for a longer chain than is evaluated.
        ("no_meta_agent", [NO_META_AGENT, "train.n_inner_updates = 0"]),
    )
    @pytest.mark.slow
    def test_runs(self, bindings):
        outcome = command_line.run(*self.arguments("train.n_meta_updates = 1", *bindings))
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        summary = json.loads((self.run_dir / "summary.json").read_text("utf-8"))
        self.assertAllInRange(np.array(summary["meta_test"]["average_reward"]), -3.1, 0.1)

    @pytest.mark.slow
    def test_files_in_the_way(self):
        """A run goes on where some of its directory has been replaced."""
        arguments = self.arguments(
            "train.agents = [@MetaPG(), @PolicyGradient()]", "train.estimator = @ExactEstimator",
            "train.n_meta_updates = 1", "train.n_inner_updates = 0",
        )
        self.assertEqual(command_line.run(*arguments)[::2], (0, ""))
        for name, path in (
            ("summary.json", "summary.json: Is a directory"),
            ("tensorboard", "Not a directory"), ("metrics.csv", "metrics.csv: Is a directory"),
        ):
            with self.subTest(name):
                in_the_way = self.run_dir / name
                if in_the_way.is_dir():
                    shutil.rmtree(in_the_way)
                    in_the_way.write_text("years of work")
                else:
                    in_the_way.unlink()
                    (in_the_way / "years of work").mkdir(parents=True)
                outcome = command_line.run(*arguments, "--resume")
                self.assert_stopped(outcome, path, f"; go on with the same command, --run_dir={self.run_dir} and")
        # Nothing is made before it is clear that there is a run.
        (self.run_dir / "config.gin").unlink()
        outcome = command_line.run(*arguments, "--resume", "--gin_param=import no_such_module")
        self.assert_refused(outcome, ["--resume with --run_dir", "there is no run"])

    @pytest.mark.slow
    def test_run_from_end_to_end(self):
        """One run, what it leaves, who may use its directory, and the same run again."""
        every_seed = "train.export_all_seeds = True"
        outcome = command_line.run(*self.arguments(every_seed))
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        # The same in another process, from nothing but the config that the run left.
        again_dir = pathlib.Path(self.get_temp_dir()) / "again"
        again = command_line.start(f"--gin_file={self.run_dir / 'config.gin'}", f"--run_dir={again_dir}", cwd="/")
        self.check_files(outcome)
        self.check_metrics()
        self.check_refusals(every_seed)
        outcome = command_line.finish(again)
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        for path in ("metrics.csv", "config.gin"):
            self.assertEqual((again_dir / path).read_bytes(), (self.run_dir / path).read_bytes())
        info, other = (json.loads((path / "run.json").read_text("utf-8")) for path in (self.run_dir, again_dir))
        # Other tests in this process may have imported what games are made of.
        versions = {name: version for name, version in info["versions"].items() if name in other["versions"]}
        self.assertEqual({**info, "versions": versions}, other)
        summaries = [json.loads((path / "summary.json").read_text("utf-8")) for path in (self.run_dir, again_dir)]
        for summary in summaries:
            self.assertGreater(summary.pop("wall_seconds"), 0.0)
        # As text: TensorFlow compares the numbers of two dicts only roughly.
        self.assertEqual(*map(json.dumps, summaries))
        self.check_refusals_of_the_command()

    def check_files(self, outcome):
        self.assertCountEqual(
            os.listdir(self.run_dir),
            ["checkpoints", "config.gin", "figures", "initial_policies", "learned.npz", "metrics.csv", "report.html",
             "run.json", "summary.json", "tensorboard"],
        )
        self.assertEqual((self.run_dir / "figures" / "adaptation.png").read_bytes()[:4], b"\x89PNG")
        agents = ["agent_0", "agent_1"]
        exported = [*agents, *(f"{agent}.npz" for agent in agents)]
        policies = self.run_dir / "initial_policies"
        self.assertCountEqual(os.listdir(policies), [*exported, "seed_0", "seed_1"])
        for seed in (0, 1):
            self.assertCountEqual(os.listdir(policies / f"seed_{seed}"), exported)
        config = (self.run_dir / "config.gin").read_text("utf-8")
        for line in (
            MIXED, "train.n_seeds = 2", "LoadedDiceEstimator.horizon = 3", "MetaMAPG.inner_learning_rate = 2.0",
        ):
            self.assertIn(f"{line}\n", config)
        run = json.loads((self.run_dir / "run.json").read_text("utf-8"))
        self.assertEqual(run["seeds"], [0, 1])
        self.assertEqual(run["versions"]["tensorflow"], tf.__version__)
        summary = json.loads((self.run_dir / "summary.json").read_text("utf-8"))
        expected = [
            ("agent", ["MetaMAPG", "PolicyGradient"]), ("game", "iterated prisoner's dilemma"), ("n_seeds", 2),
            ("seeds", [0, 1]), ("meta_updates", 2), ("chain_length", 1), ("estimator", "LoadedDiceEstimator"),
            ("jit_compile", False),
        ]
        self.assertEqual([(name, summary[name]) for name, _ in expected], expected)
        for phase in ("meta_validation", "meta_test"):
            average_reward = np.array(summary[phase]["average_reward"])
            self.assertEqual(average_reward.shape, (2, 2, 2))
            self.assertAllInRange(average_reward, -3.1, 0.1)
        self.assertIn("not compiled with XLA", outcome.stdout)
        # The report has the mean over the seeds of every inner update and agent.
        for mean in average_reward.mean(axis=0).ravel():
            self.assertIn(f"{mean:+.3f} ± ", outcome.stdout)
        # The best seed is the one whose meta-agent, agent 0, ends best in meta-validation.
        scores = np.array(summary["meta_validation"]["average_reward"])[:, 1, 0]
        self.assertEqual(summary["exported_seed"], np.argmax(scores))
        for agent in agents:
            best, same = (
                tf.saved_model.load(str(directory / agent)).signatures["serving_default"](observations=tf.range(5))
                for directory in (policies, policies / f"seed_{summary['exported_seed']}")
            )
            self.assertAllEqual(best["probabilities"], same["probabilities"])

    def check_metrics(self):
        with open(self.run_dir / "metrics.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(
            [(row["meta_update"], row["seed"], row["agent"]) for row in rows],
            [(update, seed, agent) for update in "12" for seed in "01" for agent in "01"],
        )
        for row in rows:
            # Agent 0 is a meta-agent; with expected inner updates it has two of the three terms.
            self.assertEqual(float(row["current_policy_norm"]), 0.0)
            for term in ("self_shaping_norm", "opponent_shaping_norm"):
                self.assertEqual(float(row[term]) > 0.0, row["agent"] == "0")
        (events,) = (self.run_dir / "tensorboard").iterdir()
        steps = [tf.compat.v1.Event.FromString(record.numpy()).step for record in tf.data.TFRecordDataset(str(events))]
        self.assertEqual(set(steps), {0, 1, 2})

    def check_refusals(self, every_seed):
        before = [(path, path.stat().st_mtime_ns) for path in sorted(self.run_dir.rglob("*"))]
        self.assert_refused(command_line.run(*self.arguments(every_seed)), [str(self.run_dir), "--resume"])
        self.assert_refused(
            command_line.run(*self.arguments(every_seed, "train.n_tasks = 3"), "--resume"),
            [str(self.run_dir), "train.n_tasks = 2", "this config has 3"],
        )
        self.assertEqual([(path, path.stat().st_mtime_ns) for path in sorted(self.run_dir.rglob("*"))], before)

    def check_refusals_of_the_command(self):
        """In processes of their own, since TensorFlow says more when it starts and when it ends."""
        config = self.run_dir / "config.gin"
        config.write_text(config.read_text("utf-8").replace("train.n_seeds = 2", "train.n_seeds = 3"), "utf-8")
        shutil.copy(config, "three_seeds.gin")
        # As if somebody had edited the config of the run.
        misfit = command_line.start("--gin_file=three_seeds.gin", f"--run_dir={self.run_dir}", "--resume")
        bad_value = command_line.start(*self.arguments("train.n_seeds = 0"), f"--run_dir={self.run_dir}-2")
        self.assertEqual(command_line.finish(bad_value), (2, "", "error: train.n_seeds = 0: must be an integer ≥ 1\n"))
        self.assert_refused(command_line.finish(misfit), [f"{self.run_dir}/checkpoints/ckpt-2.npz", "another run"])


if __name__ == "__main__":
    tf.test.main()
