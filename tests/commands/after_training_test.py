"""Proves what can be done with runs that have ended: loaded, evaluated again, exported, compared, and met by others."""

import csv
import itertools
import json
import pathlib

from absl.testing import parameterized
import numpy as np
import pytest
import tensorflow as tf

from tests import command_line
import tf_metamapg as mapg
from tf_metamapg import checks
from tf_metamapg.commands import compare
from tf_metamapg.commands import evaluate
from tf_metamapg.commands import export
from tf_metamapg.commands import league
from tf_metamapg.runs import publication

SETTINGS = (
    *command_line.TINY, "train.n_inner_updates = 3", "train.n_evaluation_tasks = 3", "train.chain_length = 2",
    "MetaPG.inner_learning_rate = @LearnedRates()",
)
META = (*SETTINGS, "train.agents = [@MetaPG(), @PolicyGradient()]")
NAIVE = (*SETTINGS, "train.agents = [@LOLATaylor(), @PolicyGradient()]")


def train(run_dir, *bindings):
    outcome = command_line.run("--gin_file=ipd_exact.gin", f"--run_dir={run_dir}", *command_line.gin_params(*bindings))
    assert outcome.status == 0, outcome.stderr


def rewards(summary, name="meta_test"):
    return np.array(summary[name]["average_reward"], np.float32)


@pytest.mark.slow
class AfterTrainingTest(tf.test.TestCase, parameterized.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = pathlib.Path(tf.compat.v1.test.get_temp_dir()) / "after_training_test"
        cls.meta, cls.naive = cls.root / "meta", cls.root / "naive"
        train(cls.meta, *META)
        train(cls.naive, *NAIVE)
        cls.files = sorted(cls.meta.rglob("*"))
        cls.runs = {name: mapg.load_run(str(cls.root / name)) for name in ("meta", "naive")}

    @parameterized.parameters("meta", "naive")
    def test_a_run_is_loaded(self, name):
        run = self.runs[name]
        self.assertEqual(run.summary, json.loads((self.root / name / "summary.json").read_text("utf-8")))
        self.assertEqual((run.game.spec.name, list(run.seeds)), ("iterated prisoner's dilemma", [0, 1]))
        self.assertIsInstance(run.estimator, mapg.ExactEstimator)
        self.assertEqual(run.experiment.evaluation.n_inner_updates, 3)
        # What it has learned gives the same numbers, bit for bit, and changes nothing in its directory.
        evaluation = run.evaluate()
        self.assertAllEqual(evaluation.mean_reward, rewards(run.summary))
        self.assertEqual(publication.as_lists(evaluation), run.summary["meta_test"])
        self.assertEqual(sorted(self.meta.rglob("*")), self.files)
        for params, policy in zip(evaluation.joint_params, run.policies):
            self.assertEqual([leaf.shape for leaf in params], [(2, 3, *leaf.shape) for leaf in policy.reference_params])

    def test_what_was_learned(self):
        run = self.runs["meta"]
        for agent in range(2):
            exported = self.meta / "initial_policies" / f"agent_{agent}.npz"
            with np.load(exported) as arrays:
                (table,) = (arrays[name] for name in arrays.files)
            self.assertAllEqual(run.meta_params[agent].initial[0][run.summary["exported_seed"]], table)
        self.assertEqual(run.meta_params[0].update.shape, (2, 2))
        self.assertEqual(run.adapted_params, ())
        naive = self.runs["naive"]
        for params, expected in zip(naive.adapted_params, naive.evaluate().joint_params):
            self.assertAllEqual(params[0], expected[0])

    def test_other_sizes(self):
        run = self.runs["meta"]
        longer = run.evaluate(n_inner_updates=5, n_tasks=3).mean_reward
        self.assertAllEqual(longer[:, :4], rewards(run.summary))
        self.assertEqual(run.evaluate(1, 7).mean_reward.shape, (2, 2, 2))
        # Other tasks.
        self.assertNotAllClose(run.evaluate(task_draw=1).mean_reward, rewards(run.summary), atol=1e-4)

    def test_other_tasks(self):
        quiet = mapg.load_run(str(self.meta), ["PayoffNoise.width = 0.0"]).evaluate(n_tasks=2)
        self.assertAllEqual(quiet.joint_params[0][0][:, 0], quiet.joint_params[0][0][:, 1])

    def test_plays(self):
        """With the probabilities of its policies: how often each cooperates on the first step."""
        run = self.runs["meta"]
        actions = run.play(n_trajectories=4000, horizon=1).actions
        for agent in range(2):
            probs = tf.nn.sigmoid(run.meta_params[agent].initial[0][:, 0, 0])
            found = 1.0 - np.mean(actions[agent][:, 0, :, 0], axis=1)
            # Five standard deviations, at most.
            self.assertAllClose(found, probs, atol=5 * 0.5 / 4000**0.5)
        adapted = run.evaluate().joint_params
        for name, arguments in (
            ("joint_params", [3]), ("joint_params", [adapted[:1]]),
            ("joint_params", [((tf.zeros([2, 3, 4, 1]),),) * 2]),
            ("joint_params", [tf.nest.map_structure(lambda leaf: leaf[:1], adapted)]), ("task_draw", [None, 1, 1, -1]),
            ("InGraphSimulator.n_trajectories", [None, 0]), ("InGraphSimulator.horizon", [None, 1, "long"]),
        ):
            with self.assertRaisesRegex(checks.InvalidInputError, rf"^{name}[^\n]*: must [^\n]*$"):
                run.play(*arguments)
        self.assertEqual(run.play(adapted, 2, 5).rewards[1].shape, (2, 3, 2, 5))

    def test_draws(self):
        figure = self.runs["naive"].figure()
        figure.savefig(self.root / "figure.png")
        self.assertEqual(figure.texts[0].get_text(), "iterated prisoner's dilemma, held-out tasks")

    def test_opponents(self):
        """The meta-agent stays what it is, and the other is that of another run, seed by seed."""
        meta, naive = self.runs["meta"], self.runs["naive"]
        # Of agent 1 the first run has what its seeds draw, as the second had when it began.
        trained = self.root / "other_meta"
        train(trained, *META, "train.n_meta_updates = 1", "train.first_seed = 1")
        other = mapg.load_run(str(trained))
        met = other.evaluate(opponents=meta, agent_index=1, n_inner_updates=0).mean_reward
        tasks = other.trainer.tasks(mapg.random.META_TEST, 3)
        for row, seed, theirs in ((0, 1, 1), (1, 2, 0)):  # Seed 2 is not among 0 and 1, and meets 2 modulo 2.
            params = meta.meta_params[0].initial[0][theirs], other.meta_params[1].initial[0][row]
            probs = tuple(
                policy.strategy((tf.broadcast_to(own, [1, 3, 5, 1]),)) for policy, own in zip(meta.policies, params)
            )
            values = meta.game.exact_values(tasks[row : row + 1], probs)
            expected = [0.04 * np.mean(value) for value in values]
            self.assertAllClose(met[row, 0], expected, rtol=1e-5, msg=f"seed {seed}")
        # A run without meta-agents is met with what it has come to.
        mixed = meta.evaluate(opponents=naive, n_inner_updates=0)
        before = naive.evaluate(n_inner_updates=0).mean_reward
        self.assertNotAllClose(mixed.mean_reward[:, 0, 1], before[:, 0, 1], atol=1e-2)

    def test_opponents_of_a_run_that_shares_its_policy(self):
        """What two have learned together each plays alone, against whom ever."""
        both = self.root / "shared"
        train(both, *SETTINGS, "train.agents = [@MetaMAPG(), @MetaMAPG()]", "train.share_initial_policy = True")
        shared = mapg.load_run(str(both))
        met = shared.evaluate(opponents=self.runs["naive"], n_inner_updates=0).mean_reward
        self.assertNotAllClose(met, shared.evaluate(n_inner_updates=0).mean_reward, atol=1e-3)

    def test_refusals(self):
        for directory, bindings, message in (
            (self.root, [], "directory = '.*': must be that of a run; it has a config.gin"),
            (self.meta, ["train.policies = [@tabular_policy]"], "train.policies = .*"),
            (self.meta, ["PayoffNoise.depth = 3"], "--gin_param='PayoffNoise.depth = 3': .*"),
            (self.meta, ["train.first_seed = 'a'"], "train.first_seed = 'a': must be an integer ≥ 0"),
            (self.meta, ["train.n_seeds = 3"], r"seeds = \[0, 1, 2\]: must be \[0, 1\], as the run in .* has"),
            (self.meta, ["train.policies = [@lstm_policy, @tabular_policy]", "train.estimator = @DiceEstimator"],
             "directory = .*: does not fit: agent_0/initial/0 is .*"),
        ):
            with self.assertRaisesRegex(checks.InvalidInputError, f"^{message}$"):
                mapg.load_run(str(directory), bindings)
        run = self.runs["meta"]
        for name, value in (("n_inner_updates", -1), ("n_tasks", 0), ("task_draw", 0.5), ("agent_index", 2)):
            with self.assertRaisesRegex(checks.InvalidInputError, f"^{name} = "):
                run.evaluate(**{name: value})

    def test_evaluate(self):
        outcome = command_line.run_other(evaluate, self.meta)
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        output = self.meta / "evaluations" / "evaluation-1"
        results = json.loads((output / "evaluation.json").read_text("utf-8"))
        summary = self.runs["meta"].summary
        self.assertEqual(results["average_reward"], summary["meta_test"]["average_reward"])
        self.assertEqual(results["axes"], summary["axes"])
        self.assertEqual((output / "adaptation.png").read_bytes()[:4], b"\x89PNG")
        outcome = command_line.run_other(
            evaluate, self.meta, f"--opponents={self.naive}", "--n_inner_updates=1", "--n_tasks=2", "--task_draw=2",
            "--gin_param=PayoffNoise.width = 0.2", f"--output_dir={self.root / 'named'}",
        )
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        self.assertIn("agent 0: MetaPG", outcome.stdout)
        results = json.loads((self.root / "named" / "evaluation.json").read_text("utf-8"))
        self.assertEqual(np.shape(results["average_reward"]), (2, 2, 2))
        self.assertEqual((results["agent"], results["n_tasks"]), (["MetaPG", "PolicyGradient"], 2))

    def test_export(self):
        run_dir = self.root / "exported"
        train(run_dir, *META)
        outcome = command_line.run_other(export, run_dir, "--all_seeds", "--task=2")
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        adapted = mapg.load_run(str(run_dir)).evaluate().joint_params
        for seed in (0, 1):
            for agent in range(2):
                self.assertTrue((run_dir / "initial_policies" / f"seed_{seed}" / f"agent_{agent}").is_dir())
                path = run_dir / "adapted_policies" / f"seed_{seed}" / "task_2" / f"agent_{agent}.npz"
                with np.load(path) as arrays:
                    self.assertAllEqual(arrays[arrays.files[0]], adapted[agent][0][seed, 2])

    def test_export_of_learners(self):
        """Of a run without meta-agents, from samples: policies after other tasks, and agents that go on learning."""
        run_dir = self.root / "exported_learners"
        bindings = command_line.gin_params(*command_line.TINY, "train.agents = [@PolicyGradient(), @PolicyGradient()]")
        outcome = command_line.run("--gin_file=ipd.gin", f"--run_dir={run_dir}", *bindings)
        self.assertEqual(outcome.status, 0, outcome.stderr)
        outcome = command_line.run_other(export, run_dir, "--task=1", "--learning")
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        run = mapg.load_run(str(run_dir))
        seed = run.summary["exported_seed"]
        for agent, task in itertools.product(range(2), repeat=2):
            path = run_dir / "adapted_policies" / f"task_{task}" / f"agent_{agent}"
            with np.load(f"{path}.npz") as arrays:
                self.assertAllEqual(arrays[arrays.files[0]], run.adapted_params[agent][0][seed, task])
            probs = tf.saved_model.load(str(path)).signatures["serving_default"](observations=tf.range(5))
            expected = run.policies[agent].strategy(run.adapted_params[agent])[seed, task]
            self.assertAllClose(probs["probabilities"], expected)
        learning_agent = tf.saved_model.load(str(run_dir / "learning_agents" / "agent_1"))
        self.assertContainsSubset(["initial_state", "act", "learn"], learning_agent.signatures)
        self.assertFalse((run_dir / "initial_policies").exists())

    @parameterized.parameters(
        (evaluate, [], "arguments = '': must be the directory of one run, and flags; see --help"),
        (evaluate, ["nowhere"], "directory = 'nowhere': must be that of a run; it has a config.gin"),
        (evaluate, ["RUN", "--n_tasks=0"], "--n_tasks = 0: must be an integer ≥ 1"),
        (evaluate, ["RUN", "--opponents=nowhere"], "--opponents = 'nowhere': must be that of a run; .*"),
        (evaluate, ["RUN", "--opponents=RUN", "--agent=2"], "--agent = 2: must be in 0..1"),
        (export, ["RUN", "--task=3"], "--task = 3: must be from 0 to 2, as the run has 3"),
        (export, ["RUN", "--learning"], "train.estimator = ExactEstimator.*: must be one from trajectories, .*"),
        (compare, [], "arguments = '': must be one gin config or several; see --help"),
        (compare, ["ipd.gin"], "arguments = 'ipd.gin': must be two configs at least, or one and a --sweep"),
        (compare, ["ipd.gin", "--sweep=train.n_tasks"], "--sweep = 'train.n_tasks': must be NAME = .*"),
        (compare, ["ipd.gin", "nowhere.gin"], "config nowhere.gin: No such file or directory"),
        (compare, ["ipd.gin", "--sweep=Foo.x = [1]"], "--sweep, Foo.x = 1: No configurable matching 'Foo'.*"),
        (compare, ["ipd.gin", "--sweep=train.n_tasks = [1, 0]"], "train.n_tasks = 0: must be an integer ≥ 1"),
        (compare, ["ipd.gin", "coin_game.gin"], "game of coin_game = .*: must be iterated prisoner's dilemma, as .*"),
        (compare, ["ipd.gin", "ipd_exact.gin"], "n_evaluation_tasks of ipd_exact = 1024: must be 32, as of ipd"),
        (league, ["ipd.gin"], "arguments = 'ipd.gin': must be flags only; see --help"),
        (league, ["--strategy=grim"], "--strategy = 'grim': must be one of always_cooperate, .*"),
        (league, ["--strategy=random", "--gin_param=IteratedMatrixGame.payoffs = @stag_hunt()"],
         "--strategy=random: payoffs = .*: must be those of a prisoner's dilemma, the same for both"),
        (league, ["--learner=Genius"], r"--learner = 'Genius': must be the name of an agent as gin knows it, such as "
         r"MetaMAPG or fast/MetaMAPG \(No configurable matching reference '@Genius\(\)'\.\)"),
        (league, ["--learner=MetaMAPG()"], r"--learner = 'MetaMAPG\(\)': must be the name of an agent .*fast/MetaMAPG"),
        (league, ["--learner=MatrixGame"], "--learner = 'MatrixGame': must be the name of an agent .*"),
        (league, ["--run=nowhere"], "--run = 'nowhere': must be that of a run; it has a config.gin"),
        (league, ["--run=RUN"], "--run = '.*': must be of a game for two agents of one kind, as an entrant .*"),
        (league, ["--gin_param=train.n_seeds = 1"], "train.n_seeds = 1: must be 2 at least, as each meets another"),
        (league, ["--policy=nowhere"],
         "--policy = 'nowhere': must be an exported policy, with its .npz file beside it"),
        (league, ["--policy=DAMAGED"], ".*agent_0.npz: cannot be read, or is damaged"),
        (league, ["--gin_file=public_goods_five.gin"], "train.game = .*: must be a game for two, not 5"),
        (league, ["--strategy=random", "--strategy=random"], "entrants = 'random, random': must be of different names"),
    )
    def test_bad_input(self, command, arguments, message):
        damaged = pathlib.Path(self.get_temp_dir()) / "agent_0"
        damaged.with_suffix(".npz").write_bytes(b"PK\x03\x04 and no more")
        places = {"RUN": str(self.meta), "DAMAGED": str(damaged)}
        for name, place in places.items():
            arguments = [argument.replace(name, place) for argument in arguments]
        outcome = command_line.run_other(command, *arguments)
        self.assertEqual(outcome.status, 2, outcome.stderr)
        self.assertRegex(outcome.stderr, f"^error: {message}\n$")

    @parameterized.parameters(evaluate, export, compare, league)
    def test_help(self, command):
        outcome = command_line.run_other(command, "--help")
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        name = command.__name__.rpartition(".")[2]
        self.assertIn(f"bin/{name} ", outcome.stdout)
        for flag in command.FLAGS:
            self.assertIn(f"--{flag}" if not command.FLAGS[flag].boolean else f"--[no]{flag}", outcome.stdout)

    def test_compare(self):
        output = self.root / "compared"
        arguments = [
            compare, "ipd_exact.gin", f"--output_dir={output}", *command_line.gin_params(*META),
            "--sweep=LOLATaylor.assumed_learning_rate = [1.0]",
            "--sweep=PolicyGradient.inner_learning_rate = [0.5, 2.0]",
        ]
        outcome = command_line.run_other(*arguments)
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        before = {path: path.stat().st_mtime_ns for path in (output / "runs").rglob("*")}
        again = command_line.run_other(*arguments)
        self.assertEqual({path: path.stat().st_mtime_ns for path in (output / "runs").rglob("*")}, before)
        self.assertEqual(outcome.stdout.split("\n| run")[1], again.stdout.split("\n| run")[1])
        names = ["ipd_exact_1.0_0.5", "ipd_exact_1.0_2.0"]
        self._check_differences(output, names, outcome.stdout)
        with open(output / "comparison.csv", newline="", encoding="utf-8") as file:
            self.assertLen(list(csv.DictReader(file)), 2 * 2 * 4)
        for name in ("comparison.png", "sweep_ipd_exact.png"):
            self.assertEqual((output / name).read_bytes()[:4], b"\x89PNG")

    def test_compare_on_other_tasks(self):
        output = self.root / "widths"
        outcome = command_line.run_other(
            compare, "ipd_exact.gin", f"--output_dir={output}", *command_line.gin_params(*NAIVE),
            "--sweep=PayoffNoise.width = [0.1, 0.2]",
        )
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        self.assertIn("but not of the same tasks", " ".join(outcome.stdout.split()))

    def test_compare_who_meta_learns_with_who_does_not(self):
        output = self.root / "mixed"
        agents = "[@MetaPG(), @PolicyGradient()], [@LOLATaylor(), @PolicyGradient()]"
        outcome = command_line.run_other(
            compare, "ipd_exact.gin", f"--output_dir={output}", *command_line.gin_params(*META),
            "--sweep=LOLATaylor.assumed_learning_rate = [1.0]", f"--sweep=train.agents = [{agents}]",
        )
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        self.assertIn("per step of agent 0 in every run", " ".join(outcome.stdout.split()))
        self.assertIn("of the same agents, seeds, tasks and updates", " ".join(outcome.stdout.split()))
        names = sorted((path.name for path in (output / "runs").iterdir()), key=lambda name: "LOLA" in name)
        self._check_differences(output, names, outcome.stdout)

    def _check_differences(self, output, names, text):
        """Agent 0 less agent 0, after one inner update and at the end."""
        first, second = (
            rewards(json.loads((output / "runs" / name / "summary.json").read_text("utf-8")))[..., 0] for name in names
        )
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {names[1]} ")]
        for cell, update in zip(row.split("|")[-3:-1], (1, -1)):
            self.assertStartsWith(cell.strip(), f"{(second - first)[:, update].mean():+.3f} ± ")

    def test_league(self):
        output = self.root / "league"
        policy, runs = self.meta / "initial_policies" / "agent_0", []
        for number in range(2):
            runs.append(self.root / f"entrant_{number}")
            train(
                runs[-1], *SETTINGS, "train.agents = [@MetaPG(), @MetaPG()]", "train.n_seeds = 3",
                f"train.n_meta_updates = {5 * number}",
            )
        outcome = command_line.run_other(
            league, "--learner=PolicyGradient", "--strategy=tit_for_tat", "--strategy=always_defect",
            f"--run=meta={runs[1]}", f"--run={runs[0]}", f"--policy={policy}", "--best_responses",
            f"--output_dir={output}",
            *command_line.gin_params("train.n_seeds = 2", "train.n_inner_updates = 3", "train.n_evaluation_tasks = 2"),
        )
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        with open(output / "league.csv", newline="", encoding="utf-8") as file:
            found = list(csv.DictReader(file))
        pairs = {(row["who_adapts"], row["row"], row["column"]) for row in found}
        entrants = ["PolicyGradient", "tit_for_tat", "always_defect", "meta", "entrant_0", "agent_0"]
        adapting = ["PolicyGradient", "meta", "entrant_0"]
        expected = {("both", row, column) for row in adapting for column in adapting}
        expected |= {("row", row, column) for row in [*adapting, "best response"] for column in entrants}
        self.assertEqual(pairs, expected)

        def mean(row, column, update, who_adapts="row", name="average_reward_of_row"):
            return np.mean([
                float(one[name]) for one in found
                if (one["row"], one["column"], one["who_adapts"]) == (row, column, who_adapts)
                and int(one["inner_updates"]) == update
            ])

        # A best response to who always defects is to defect, and to tit for tat to cooperate.
        self.assertAllClose(mean("best response", "always_defect", 100), -2.0, atol=0.06)
        self.assertAllClose(mean("best response", "tit_for_tat", 100), -1.0, atol=0.06)
        # Against those who are kept from it, side by side: each of them alone.
        loaded = {name: mapg.load_run(str(path)) for name, path in (("meta", runs[1]), ("entrant_0", runs[0]))}
        game = mapg.IteratedMatrixGame(mapg.payoffs.prisoners_dilemma(), discount=0.96)
        for row, column in itertools.product(("meta", "entrant_0"), repeat=2):
            for place in range(2):
                own, others = (loaded[name].meta_params for name in (row, column))
                for seed in range(2):
                    params = [None, None]
                    params[place] = own[place].initial[0][seed]
                    params[1 - place] = others[1 - place].initial[0][(seed + 1) % 2]
                    probs = tuple(
                        policy.strategy((one[tf.newaxis, tf.newaxis],))
                        for policy, one in zip(loaded["meta"].policies, params)
                    )
                    values = game.exact_values(tf.constant(game.default_tasks[None, None], tf.float32), probs)
                    (written,) = [
                        float(one["average_reward_of_row"]) for one in found
                        if (one["row"], one["column"], one["who_adapts"]) == (row, column, "row")
                        and (one["seed_index"], one["row_is_agent"]) == (str(seed), str(place))
                        and one["inner_updates"] == "0"
                    ]
                    # Noise on the payoffs of ±0.1, the mean of two tasks.
                    self.assertAllClose(written, 0.04 * float(values[place][0, 0]), atol=0.1)
        for name in ("league_both.png", "league_row.png"):
            self.assertEqual((output / name).read_bytes()[:4], b"\x89PNG")

    def test_matches_are_kept(self):
        """As of a league that was killed, what is missing is played again, and nothing else; what changes, is, too."""
        output = self.root / "kept"

        def play(*arguments):
            outcome = command_line.run_other(
                league, "--learner=PolicyGradient", f"--output_dir={output}", *arguments, *command_line.gin_params(
                    "train.n_seeds = 2", "train.n_inner_updates = 1", "train.n_evaluation_tasks = 1",
                ),
            )
            self.assertEqual((outcome.status, outcome.stderr), (0, ""))
            times = {path.name: path.stat().st_mtime_ns for path in (output / "matches").iterdir()}
            return times, (output / "league.csv").read_text("utf-8")

        times, numbers = play("--strategy=tit_for_tat")
        # With itself, where both adapt; with both, where it alone does, in both places.
        self.assertLen(times, 1 + 2 * 2)
        self.assertEqual(play("--strategy=tit_for_tat"), (times, numbers))
        lost, damaged = sorted(times)[:2]
        (output / "matches" / lost).unlink()
        (output / "matches" / damaged).write_bytes(b"half")
        more, more_numbers = play("--strategy=tit_for_tat", "--strategy=random")
        self.assertEqual({name for name in times if more[name] != times[name]}, {lost, damaged})
        self.assertLen(more, len(times) + 2)
        # Side by side with others or not, and so rounded otherwise.
        same_numbers = [line for line in more_numbers.splitlines() if "random" not in line]
        for own, first in zip(same_numbers[1:], numbers.splitlines()[1:], strict=True):
            self.assertAllClose(*(np.array(line.split(",")[-2:], np.float64) for line in (own, first)), rtol=1e-5)
        others, _ = play("--gin_param=PolicyGradient.inner_learning_rate = 0.1")
        self.assertEqual({name: others[name] for name in more}, more)
        self.assertLen(others, len(more) + 1 + 2)

    def test_seeds_meet_crosswise(self):
        """Against numbers by hand: seed i of the one that is agent 0 plays with seed i + 1 of the other."""
        output = self.root / "crosswise"
        outcome = command_line.run_other(
            league, "--learner=PolicyGradient", f"--output_dir={output}", *command_line.gin_params(
                "train.n_seeds = 3", "train.n_inner_updates = 1", "train.n_evaluation_tasks = 1",
                "PayoffNoise.width = 0.0",
            ),
        )
        self.assertEqual(outcome.status, 0, outcome.stderr)
        with open(output / "league.csv", newline="", encoding="utf-8") as file:
            found = [row for row in csv.DictReader(file) if row["inner_updates"] == "0" and row["who_adapts"] == "both"]
        game = mapg.IteratedMatrixGame(mapg.payoffs.prisoners_dilemma(), discount=0.96)
        policies = [mapg.tabular_policy(game, agent, 0.5) for agent in range(2)]
        tables = [policy.initial_params([0, 1, 2])[0].numpy() for policy in policies]
        for row in found:
            seed, place = int(row["seed_index"]), int(row["row_is_agent"])
            seeds = (seed, (seed + 1) % 3) if place == 0 else ((seed - 1) % 3, seed)
            params = tuple((tf.constant(table[None, None, own]),) for table, own in zip(tables, seeds))
            probs = tuple(policy.strategy(own) for policy, own in zip(policies, params))
            values = game.exact_values(tf.constant(game.default_tasks[None, None], tf.float32), probs)
            self.assertAllClose(float(row["average_reward_of_row"]), 0.04 * float(values[place][0, 0]), rtol=1e-4)


if __name__ == "__main__":
    tf.test.main()
