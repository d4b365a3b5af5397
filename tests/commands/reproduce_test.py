"""Proves that `bin/reproduce` leaves figures, raw numbers and tables, and that the small ones say what is known."""

import contextlib
import csv
import functools
import importlib
import io
import itertools
import json
import os
import pathlib
import tempfile
from unittest import mock

from absl.testing import parameterized
import numpy as np
import pytest
import tensorflow as tf

from tests import command_line
import tf_metamapg as mapg
from tf_metamapg.commands import reproduce
from tf_metamapg.reproductions import catalogue
from tf_metamapg.reproductions import coala_ipd
from tf_metamapg.reproductions import coin_game
from tf_metamapg.reproductions import coin_game_exact
from tf_metamapg.reproductions import coin_game_exact_learners
from tf_metamapg.reproductions import coin_game_learners
from tf_metamapg.reproductions import critics
from tf_metamapg.reproductions import dice_ipd
from tf_metamapg.reproductions import exact_ipd
from tf_metamapg.reproductions import figure_1
from tf_metamapg.reproductions import figure_2
from tf_metamapg.reproductions import figure_3
from tf_metamapg.reproductions import first_order
from tf_metamapg.reproductions import gradient_quality
from tf_metamapg.reproductions import half_cheetah
from tf_metamapg.reproductions import lasting_cooperation
from tf_metamapg.reproductions import later_ipd
from tf_metamapg.reproductions import m_fos_ipd
from tf_metamapg.reproductions import meva_ipd
from tf_metamapg.reproductions import personas
from tf_metamapg.reproductions import personas_choice
from tf_metamapg.reproductions import personas_ipd
from tf_metamapg.reproductions import personas_rps
from tf_metamapg.reproductions import public_goods
from tf_metamapg.reproductions import results
from tf_metamapg.reproductions import shape_naive_learner
from tf_metamapg.reproductions import stationary
from tf_metamapg.reproductions import two_quadratics
from tf_metamapg.runs import statistics
from tf_metamapg.runs.settings import Stage

ROOT = pathlib.Path(__file__).parents[2]
RESULTS = ROOT / "results"


def cells(table, *first):
    """The cells of the row of a Markdown table that begins with these."""
    row = next(line for line in table.splitlines() if line.startswith("| " + " | ".join(first) + " |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


def eagerly(test):
    """A test of what is computed few times, which takes less than compiling it."""
    @functools.wraps(test)
    def run(self):
        tf.config.run_functions_eagerly(True)
        self.addCleanup(tf.config.run_functions_eagerly, False)
        test(self)

    return run


class ReproduceTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir()))

    def reproduced(self, reproduction, **sizes):
        """Runs a reproduction and returns its raw numbers as a list of dicts, and its table as text."""
        with contextlib.redirect_stdout(io.StringIO()):
            reproduction.reproduce(self.directory, **sizes)
        self.assertStartsWith((self.directory / "figure.png").read_bytes(), b"\x89PNG")
        with open(self.directory / "numbers.csv", newline="", encoding="utf-8") as file:
            numbers = list(csv.DictReader(file))
        return numbers, (self.directory / "table.md").read_text("utf-8")

    def test_figure_1(self):
        numbers, table = self.reproduced(figure_1, n_updates=3)
        self.assertLen(numbers, len(figure_1.AGENTS) * 4)
        last = {row["agent"]: np.hypot(float(row["x"]), float(row["y"])) for row in numbers}
        # Naive agents turn and grow by √(1 + α²) with each step; the others come closer.
        self.assertAllClose(last["naive"], np.sqrt(2) * (1 + figure_1.STEP**2) ** 1.5, rtol=1e-12, atol=0)
        for name in set(figure_1.AGENTS) - {"naive"}:
            self.assertLess(last[name], np.sqrt(2))
        # What the step's matrix gives and the closed form agree in every printed digit.
        for line in table.splitlines()[-len(figure_1.AGENTS) :]:
            _, measured, closed_form, _ = [cell.strip() for cell in line.strip("|").split("|")]
            self.assertEqual(measured, closed_form)

    @pytest.mark.slow
    @eagerly
    def test_figure_2(self):
        numbers, _ = self.reproduced(figure_2, n_trajectories=8, horizon=5)
        self.assertLen(numbers, len(figure_2.CANDIDATES))
        arrows = {(row["from"], row["to"]) for row in numbers if float(row["derivative"]) > 0.0}
        self.assertEqual(arrows, {
            ("θⁱ", "τ_θ"), ("θ⁻ⁱ", "τ_θ"), ("θⁱ", "φⁱ"), ("θ⁻ⁱ", "φ⁻ⁱ"), ("τ_θ", "φⁱ"), ("τ_θ", "φ⁻ⁱ"),
            ("φⁱ", "τ_φ"), ("φ⁻ⁱ", "τ_φ"),
        })
        own = {("θⁱ", "τ_θ"), ("θⁱ", "φⁱ"), ("τ_θ", "φⁱ"), ("φⁱ", "τ_φ")}
        through_opponent = {("τ_θ", "φ⁻ⁱ"), ("φ⁻ⁱ", "τ_φ")}
        for name, expected in (("Meta-PG", own), ("Meta-MAPG", own | through_opponent)):
            column = f"change of the {name} gradient if closed"
            carried = {(row["from"], row["to"]) for row in numbers if float(row[column]) > 0.0}
            self.assertEqual(carried, expected)

    @pytest.mark.slow
    @eagerly
    def test_exact_ipd(self):
        numbers, table = self.reproduced(exact_ipd, n_runs=3, n_updates=2)
        self.assertLen(numbers, len(exact_ipd.AGENTS) * 3)
        # What it is compared with has been computed again, and was not published.
        self.assertIn("| recomputed from the closed form, 400 runs |", table)
        self.assertNotIn("published,", table)
        for name in exact_ipd.AGENTS:
            self.assertIn(f"| {name} |", table)
            own_rows = [row for row in numbers if row["agent"] == name]
            self.assertEqual([row["seed"] for row in own_rows], ["0", "1", "2"])
            mean = np.mean([float(row[f"reward_of_agent_{agent}"]) for row in own_rows for agent in range(2)])
            self.assertIn(f"| {mean:.3f} (".replace("-", "−"), table)

    @pytest.mark.slow
    def test_dice_ipd(self):
        numbers, table = self.reproduced(
            dice_ipd, n_seeds=2, n_updates=9, n_trajectories=4, horizon=5, jit_compile=False
        )
        self.assertLen(numbers, len(dice_ipd.RELEASED) * 2)
        for steps in dice_ipd.RELEASED:
            values = [float(row["average_reward_last_10"]) for row in numbers if row["lookahead_steps"] == str(steps)]
            self.assertIn(f"| {steps} | {np.mean(values):.3f} ± ".replace("-", "−"), table)
            self.assertAllInRange(values, -3.0, 0.0)

    @pytest.mark.slow
    @eagerly
    def test_critics(self):
        numbers, table = self.reproduced(critics, n_policies=2, n_batches=20, n_fits=2, horizon=3)
        names = [(game, name) for game in critics.GAMES for name in critics.CRITICS]
        names.remove(("prisoner's dilemma, n = 2", "mean field"))
        self.assertLen(numbers, len(names) * len(critics.QUANTITIES) * 2)
        for row in numbers:
            self.assertGreater(float(row["variance"]), 0.0)
            if row["critic"] == critics.REFERENCE:
                self.assertEqual(float(row["relative_variance"]), 1.0)
        for game, name in names:
            self.assertIn(f"| {game} | {name} |", table)

    @pytest.mark.slow
    def test_later_ipd(self):
        numbers, table = self.reproduced(later_ipd, n_seeds=2, n_updates=9, n_trajectories=4)
        self.assertLen(numbers, len(later_ipd.LEARNERS) * 2)
        for name in later_ipd.LEARNERS:
            own_rows = [row for row in numbers if row["agent"] == name]
            values = [float(row["average_reward_last_10"]) for row in own_rows]
            self.assertIn(f" | {np.mean(values):.3f} ± ".replace("-", "−"), table)
            self.assertAllInRange(values, -0.335, 0.665)
            for row in own_rows:
                self.assertAllInRange([float(value) for key, value in row.items() if "cooperation" in key], 0.0, 1.0)

    @pytest.mark.slow
    @eagerly
    def test_gradient_quality(self):
        numbers, table = self.reproduced(
            gradient_quality, n_policies=2, n_samples=300, n_draws=2, meta_sample_sizes=(4, 8), horizon=5,
            jit_compile=False,
        )
        counts = {}
        for row in numbers:
            counts[row["estimator"], row["quantity"]] = counts.get((row["estimator"], row["quantity"]), 0) + 1
            self.assertBetween(float(row["correlation_or_cosine"]), -1.0 - 1e-6, 1.0 + 1e-6)
        for name in gradient_quality.ESTIMATORS:
            # Two policies, sample sizes 100 and 300; two draws, two K.
            self.assertEqual(counts[name, "first order"], 4)
            if name != "score function":
                self.assertEqual((counts[name, "second order"], counts[name, "meta-gradient"]), (4, 4))
        self.assertNotIn(("score function", "second order"), counts)
        self.assertIn("| score function |", table)

    def test_trajectories_needed_for_a_cosine(self):
        cosines = np.array([[0.5, 0.9, 1.0], [0.7, 0.9, 1.0]])
        # Half-way between 10 and 100 on a logarithmic scale.
        self.assertAllClose(gradient_quality._needed(np.array([1, 10, 100]), cosines), 10**1.5)
        self.assertEqual(gradient_quality._needed(np.array([1, 10, 100]), cosines + 0.4), 1.0)
        self.assertIsNone(gradient_quality._needed(np.array([1, 10, 100]), cosines - 0.2))

    # `configs_test` runs all configs.
    @mock.patch.object(figure_3, "METHODS", {name: figure_3.METHODS[name] for name in ("LOLA-DiCE", "Meta-MAPG")})
    @pytest.mark.slow
    def test_figure_3_and_what_was_killed_goes_on(self):
        bindings = [
            binding for binding in command_line.TINY if "n_meta_updates" not in binding
        ] + ["train.n_meta_updates = 1"]
        numbers, table = self.reproduced(figure_3, bindings=bindings)
        self.assertLen(numbers, len(figure_3.METHODS) * 2 * 2)
        for name in figure_3.METHODS:
            rewards = [
                float(row[f"reward_of_agent_{agent}"])
                for row in numbers if row["method"] == name and row["inner_updates"] == "1" for agent in range(2)
            ]
            row = next(line for line in table.splitlines() if line.startswith(f"| {name} |"))
            self.assertStartsWith(row.split("|")[3].strip(), f"{np.mean(rewards):.3f}".replace("-", "−"))
        again, _ = self.reproduced(figure_3, bindings=bindings)
        self.assertEqual(again, numbers)

    @pytest.mark.slow
    def test_lasting_cooperation(self):
        stages = [
            Stage(chain_length=1, n_meta_updates=2, meta_learning_rate=0.2),
            Stage(chain_length=3, n_meta_updates=1, meta_learning_rate=0.1),
        ]
        bindings = [
            "train.n_seeds = 2", "train.n_inner_updates = 4", "train.n_evaluation_tasks = 2",
            "LoadedDiceEstimator.n_trajectories = 4", "LoadedDiceEstimator.horizon = 3",
        ]
        arguments = {"inner_steps": [2.0], "stages": stages, "bindings": bindings}
        numbers, table = self.reproduced(lasting_cooperation, **arguments)
        self.assertLen(numbers, 2 * 2 * 2 * 5)
        for kind in ("exact", "sampled"):
            # The second stage starts from what the first has learned.
            start, end = (
                np.load(self.directory / "runs" / f"{kind}_2_{length}" / name)
                for length, name in ((3, "checkpoints/ckpt-0.npz"), (1, "learned.npz"))
            )
            self.assertAllEqual(start["variables/meta_params/0/0"], end["agent_0/initial/0"])
            over_chain = np.mean([
                float(row[f"reward_of_agent_{agent}"]) for row in numbers for agent in range(2)
                if row["values"] == kind and row["trained_for"] == "3" and row["inner_updates"] != "0"
            ])
            self.assertIn(f"| {results.signed(over_chain)} ± ", table)
        again, _ = self.reproduced(lasting_cooperation, **arguments)
        self.assertEqual(again, numbers)

    @pytest.mark.slow
    def test_stationary(self):
        bindings = [
            "train.n_seeds = 2", "train.n_meta_updates = 1", "train.n_evaluation_tasks = 2",
            "train.n_inner_updates = 3",
            "train.n_tasks = 1", "train.chain_length = 1", "LoadedDiceEstimator.n_trajectories = 4",
            "LoadedDiceEstimator.horizon = 3", "ScoreFunctionEstimator.n_trajectories = 4",
            "ScoreFunctionEstimator.horizon = 3",
        ]
        methods = ["own critic (A2C)", "opponent features", "modelled, LookAhead", "Meta-PG"]
        numbers, table = self.reproduced(stationary, methods=methods, rates=(0.5, 1.0), bindings=bindings)
        self.assertLen(numbers, len(stationary.SETTINGS) * len(methods) * 2 * 4)
        for setting, method in itertools.product(stationary.SETTINGS, methods):
            ends = [
                float(row["average_reward"]) for row in numbers
                if (row["setting"], row["method"], row["inner_updates"]) == (setting, method, "3")
            ]
            row = next(line for line in table.splitlines() if line.startswith(f"| {setting} | {method} |"))
            self.assertIn(f"| {results.signed(np.mean(ends))} ± ", row)
            self.assertIn(" (3) |", row)

    @pytest.mark.slow
    def test_first_order(self):
        bindings = [
            "train.n_seeds = 2", "train.n_meta_updates = 1", "train.n_evaluation_tasks = 2",
            "LoadedDiceEstimator.n_trajectories = 4", "LoadedDiceEstimator.horizon = 3", "train.n_inner_updates = 2",
        ]
        numbers, table = self.reproduced(first_order, lengths=[1], bindings=bindings)
        self.assertLen(numbers, len(first_order.AGENTS) * 2 * 3)
        for name in first_order.AGENTS:
            rewards = [
                float(row[f"reward_of_agent_{agent}"]) for row in numbers for agent in range(2)
                if (row["agent"], row["inner_updates"]) == (name, "1")
            ]
            self.assertIn(f"| {results.signed(np.mean(rewards))} ± ", table)
            self.assertIn(f"| {name} | 1 | ", table)

    @mock.patch.object(coin_game_exact_learners, "LEARNERS", {
        "LOLA (a)": coin_game_exact_learners.Learner(
            [(agent, 1) for agent, _ in coin_game_exact_learners.LEARNERS["LOLA (a)"].phases], "LOLA"
        ),
        "Meta-MAPG": coin_game_exact_learners.Learner(
            [(mapg.MetaMAPG(1000.0), 1)], "LOLA", n_meta_updates=1, chain_length=1
        ),
    })
    @pytest.mark.slow
    def test_coin_game_exact_and_what_was_computed_stays(self):
        numbers, table = self.reproduced(coin_game_exact, learners=[*coin_game_exact_learners.LEARNERS], n_seeds=2)
        self.assertLen(numbers, 2 * (3 + 2))
        for name, updates in (("LOLA (a)", "2"), ("Meta-MAPG", "1")):
            last = [row for row in numbers if row["learner"] == name and row["updates"] == updates]
            row = cells(table, name)
            self.assertStartsWith(row[3], f"{np.mean([float(entry['own_share']) for entry in last]):.3f}")
            rewards = [float(entry[f"reward_of_agent_{agent}"]) for entry in last for agent in range(2)]
            self.assertStartsWith(row[5], results.signed(np.mean(rewards)))
        before = {path: path.stat().st_mtime_ns for path in (self.directory / "runs").iterdir()}
        again, _ = self.reproduced(coin_game_exact, learners=[*coin_game_exact_learners.LEARNERS], n_seeds=2)
        self.assertEqual(again, numbers)
        self.assertEqual({path: path.stat().st_mtime_ns for path in before}, before)

    def test_whom_players_take_from(self):
        """Who takes the other's coin just if the other has taken the last one of its own colour."""
        rules = coin_game_exact_learners.RULES["LOLA"]
        cooperate, defect = (
            fixed(rules, coin_game_exact_learners.VIEW) for fixed in (mapg.always_cooperate, mapg.always_defect)
        )
        n_taken = np.arange(1152) // 3 % 3
        strategy = np.where((n_taken == 2)[:, np.newaxis], defect, cooperate)
        np.testing.assert_allclose(coin_game_exact_learners.takes(rules, strategy[np.newaxis]), [[0.0, 0.0, 1.0]])

    @mock.patch.object(coin_game_learners, "LEARNERS", {
        key: coin_game_learners.LEARNERS[key]._replace(
            n_updates=2, n_meta_updates=n_meta_updates, chain_length=n_meta_updates, n_trajectories=4, n_seeds=2
        )
        for key, n_meta_updates in (
            (("LOLA-DiCE", "tabular"), 0), (("LOQA", "tabular"), 0), (("Meta-MAPG", "recurrent"), 1)
        )
    })
    @mock.patch.object(coin_game_learners, "N_PLAYED", 16)
    @pytest.mark.slow
    def test_coin_game_and_what_was_computed_stays(self):
        numbers, table = self.reproduced(coin_game, names=[*coin_game_learners.LEARNERS])
        # Before each of two updates or after the only chain and before each of two updates, and in the end.
        for name, kind, n_points, n_rollouts in (
            ("LOLA-DiCE", "tabular", 3, 2 * 3), ("LOQA", "tabular", 3, 2), ("Meta-MAPG", "recurrent", 4, 2 + 2)
        ):
            rows = [row for row in numbers if row["learner"] == name and row["policy"] == kind]
            self.assertLen(rows, 2 * n_points)
            n_steps = n_rollouts * 4 * coin_game_learners.HORIZON
            last = [row for row in rows if int(row["environment_steps"]) == n_steps]
            self.assertLen(last, 2)
            row = cells(table, name, kind)
            self.assertEqual(row[3], coin_game._scientific(n_steps))
            self.assertStartsWith(row[4], f"{np.mean([float(entry['own_share']) for entry in last]):.3f}")
            self.assertStartsWith(row[6], results.signed(np.mean([float(entry["average_reward"]) for entry in last])))
        before = {path: path.stat().st_mtime_ns for path in (self.directory / "runs").iterdir()}
        again, _ = self.reproduced(coin_game, names=[*coin_game_learners.LEARNERS])
        self.assertEqual(again, numbers)
        self.assertEqual({path: path.stat().st_mtime_ns for path in before}, before)

    @mock.patch.object(coin_game_learners, "N_PLAYED", 1000)
    def test_who_never_learns_in_the_place_of_the_learner(self):
        """Always cooperating and always defecting are worth what they are in the exact game."""
        rules, view = mapg.lola_rules(), "board_and_takers"
        game, exact = mapg.CoinGame(rules, view), mapg.ExactCoinGame(rules, "board", discount=0.99)
        policies = [mapg.tabular_policy(game, agent) for agent in range(2)]
        tasks, exact_tasks = (mapg.DefaultTasks(one).sample(mapg.random.root_keys([0]), 1) for one in (game, exact))

        def mean_rewards(*pair):
            strategies = tuple(tf.constant(make(rules)[np.newaxis, np.newaxis]) for make in pair)
            return 0.01 * np.array(exact.exact_values(exact_tasks, strategies))[:, 0, 0]

        for make in coin_game_learners.FIXED.values():
            params = tuple(map(tf.constant, policies[0].params_of(make(rules, view)[np.newaxis, np.newaxis])))
            share, rewards, against = coin_game_learners._measured(view, policies, [params] * 2, tasks, [0])
            self.assertEqual(share[0] == 1.0, make is mapg.always_cooperate)
            self.assertAllClose(rewards[0], mean_rewards(make, make), rtol=0.0, atol=0.02)
            for fixed, measured in zip(coin_game_learners.FIXED.values(), against[0]):
                expected = (mean_rewards(make, fixed) + mean_rewards(fixed, make)[::-1]) / 2
                self.assertAllClose(measured, expected, rtol=0.0, atol=0.02)

    @mock.patch.object(
        shape_naive_learner, "SHAPERS", {name: shape_naive_learner.SHAPERS[name] for name in ("LOLA (b)", "Meta-MAPG")}
    )
    @pytest.mark.slow
    def test_shape_naive_learner(self):
        numbers, table = self.reproduced(shape_naive_learner, bindings=(*command_line.TINY, "train.validate_every = 1"))
        self.assertLen(numbers, 2 * 2 * 2)
        # LOLA is the full Taylor gradient there.
        self.assertIn("| 2 | −1.304 / −1.526 |", next(line for line in table.splitlines() if "LOLA (b) |" in line))
        # What learns nothing in meta-training has a new initial policy in every task, as in what is published.
        config = (self.directory / "runs" / "lola_b" / "config.gin").read_text("utf-8")
        self.assertIn("@NormalPolicies, @NormalPolicies", " ".join(config.split()))
        self.assertIn("train.agents = [@LOLATaylor(), @PolicyGradient()]", config)
        for name in shape_naive_learner.SHAPERS:
            # Before the only update.
            own_rows = [row for row in numbers if row["shaper"] == name and row["updates"] == "0"]
            row = cells(table, name)
            for cell, column in ((row[1], "reward_of_shaper"), (row[3], "reward_of_learner")):
                mean = np.mean([float(entry[column]) for entry in own_rows])
                self.assertStartsWith(cell, f"{mean:.3f}".replace("-", "−"))

    @pytest.mark.slow
    def test_coala_ipd(self):
        numbers, table = self.reproduced(coala_ipd, bindings=command_line.TINY[:4] + command_line.TINY[5:6])
        # Seeds, and links of a chain of one update.
        self.assertLen(numbers, 3 * 2 * 2)
        for name in coala_ipd.SHAPERS:
            rows = [row for row in numbers if row["agent"] == name]
            row = cells(table, name)
            mean = np.mean([float(entry["reward_of_agent"]) for entry in rows])
            self.assertStartsWith(row[1], f"{mean:.3f}".replace("-", "−"))
            last = np.mean([float(entry["reward_of_learner"]) for entry in rows if entry["updates"] == "1"])
            self.assertStartsWith(row[5], f"{last:.3f}".replace("-", "−"))

    @pytest.mark.slow
    @mock.patch.object(public_goods, "PROTOCOL", ("train.n_meta_updates = 1",))
    def test_public_goods(self):
        bindings = [binding for binding in command_line.TINY if "meta_updates" not in binding]
        numbers, table = self.reproduced(public_goods, players=[3], bindings=bindings)
        groups, n_seeds = public_goods.GROUPS, len({row["seed"] for row in numbers})
        self.assertLen(numbers, 2 * len(groups) * n_seeds * 2 * 3)
        for estimator, (group, agents) in itertools.product(public_goods.ESTIMATORS, groups.items()):
            own_rows = [
                row for row in numbers
                if (row["estimator"], row["group"], row["inner_updates"]) == (estimator, group, "1")
            ]
            row = cells(table, "3", estimator, group)
            for cell, members in (
                (row[5], range(3)), (row[7], [i for i, agent in enumerate(agents(3)) if agent != public_goods.NAIVE]),
            ):
                rewards = [float(entry["average_reward"]) for entry in own_rows if int(entry["player"]) in members]
                self.assertStartsWith(cell, results.signed(np.mean(rewards)) if rewards else "")
            config = (self.directory / "runs" / f"3_{estimator}_{group.replace(' ', '_')}" / "config.gin")
            for agent in agents(3):
                self.assertIn(f"{agent}.inner_learning_rate = 2.0", config.read_text("utf-8"))

    @pytest.mark.slow
    @mock.patch.object(personas, "RATES", (0.1, 3.0))
    @mock.patch.object(personas, "META_AGENTS", {
        name: (*bindings, "train.n_meta_updates = 1") for name, bindings in personas.META_AGENTS.items()
    })
    def test_personas(self):
        bindings = [binding for binding in command_line.TINY if "meta_updates" not in binding]
        numbers, table = self.reproduced(personas, configs={"tabular": "personas_rps_tabular"}, bindings=bindings)
        self.assertLen(numbers, 4 * 2 * 2)
        for method in personas.METHODS:
            rewards = [
                float(row["average_reward"])
                for row in numbers if row["method"] == method and row["inner_updates"] != "0"
            ]
            row = cells(table, "tabular", method)
            self.assertStartsWith(row[2], results.signed(np.mean(rewards)))
            curve = [
                np.mean([
                    float(row["average_reward"])
                    for row in numbers if row["method"] == method and row["inner_updates"] == update
                ]) for update in ("0", "1")
            ]
            self.assertEqual(row[5], f"{results.signed(max(curve))} at {np.argmax(curve)}")
            self.assertIn(row[6], ("learned",) if method.startswith("Meta") else ("0.1", "3"))
        # The inner step is the one that was best in meta-validation.
        areas = {}
        for rate in personas.RATES:
            run = mapg.load_run(str(self.directory / "runs" / f"tabular_naive_{rate}"))
            areas[rate] = run.evaluate(phase=mapg.random.META_VALIDATION).mean_reward[:, 1:, 0].mean()
        best = max(areas, key=areas.get)
        row = next(line for line in table.splitlines() if line.startswith("| tabular | naive |"))
        self.assertIn(f"| {best:g} |", row)

    @pytest.mark.slow
    @mock.patch.object(half_cheetah, "RATES", (0.001, 0.01))
    @mock.patch.object(personas, "META_AGENTS", {
        name: (*bindings, "train.n_meta_updates = 1") for name, bindings in personas.META_AGENTS.items()
    })
    def test_half_cheetah(self):
        bindings = [binding for binding in command_line.TINY if "meta_updates" not in binding]
        few = [f"Snapshots.{size} = 2" for size in ("n_train", "n_validation", "n_test")]
        teammates_bindings = (*command_line.TINY, "train.snapshot_every = 1")
        numbers, table = self.reproduced(
            half_cheetah, bindings=(*bindings, *few), teammates_bindings=teammates_bindings
        )
        self.assertLen(numbers, 4 * 2 * 2)
        for method in personas.METHODS:
            for update in ("0", "1"):
                rewards = [
                    float(row["average_reward"]) for row in numbers
                    if row["method"] == method and row["inner_updates"] == update
                ]
                self.assertStartsWith(cells(table, method)[2 + int(update)], results.signed(np.mean(rewards)))
            self.assertIn(cells(table, method)[4], ("learned",) if method.startswith("Meta") else ("0.001", "0.01"))
        # All of them meet snapshots of the same teammates.
        for config in (self.directory / "runs").glob("mlp_*/config.gin"):
            self.assertIn("runs/teammates/snapshots/agent_1", config.read_text("utf-8"))

    @mock.patch.object(personas_choice, "CONFIGS", {"rock-paper-scissors": "personas_rps_tabular"})
    @pytest.mark.slow
    def test_personas_choice(self):
        bindings = [
            binding for binding in command_line.TINY if "n_seeds" not in binding and "meta_updates" not in binding
        ] + ["train.n_meta_updates = 1"]
        numbers, table = self.reproduced(personas_choice, n_populations=2, n_seeds=2, bindings=bindings)
        self.assertLen(numbers, 2 * 2 * 2)
        areas = {
            method: np.array([
                float(row["average_reward"])
                for row in numbers if row["method"] == method and row["inner_updates"] == "1"
            ]) for method in personas.META_AGENTS
        }
        areas["Meta-MAPG less Meta-PG"] = areas["Meta-MAPG"] - areas["Meta-PG"]
        for name, by_population in areas.items():
            self.assertLen(np.unique(by_population), 2)
            row = cells(table, "rock-paper-scissors", name)
            self.assertEqual(row[2], results.with_interval(by_population))
            self.assertEqual(row[3], f"{np.std(by_population, ddof=1):.3f}")
        # Of each population, the mean of the seeds.
        curves = json.loads((
            self.directory / "runs" / "personas_rps_tabular_1_meta_pg" / "summary.json"
        ).read_text("utf-8"))["meta_test"]["average_reward"]
        self.assertAllClose(areas["Meta-PG"][1], np.mean(np.array(curves)[:, 1, 0]), rtol=1e-6, atol=0.0)

    @pytest.mark.slow
    def test_two_quadratics(self):
        numbers, table = self.reproduced(two_quadratics, n_seeds=2, n_updates=2)
        self.assertLen(numbers, len(two_quadratics.AGENTS) * 2)
        for name in two_quadratics.AGENTS:
            self.assertEqual(cells(table, name)[1:3], ["0 of 2", "0 of 2"])

    def assert_meta_training_is_stored(self, cases, n_seeds, n_meta_updates):
        """What the figure shows of it: by seed and meta-update, what both agents get."""
        with open(self.directory / "meta_training.csv", newline="", encoding="utf-8") as file:
            stored = list(csv.DictReader(file))
        expected = itertools.product(cases, range(n_seeds), range(1, n_meta_updates + 1))
        found = [(row["case"], int(row["seed"]), int(row["meta_update"])) for row in stored]
        self.assertEqual(found, list(expected))
        for row in stored:
            for agent in range(2):
                self.assertBetween(float(row[f"reward_of_agent_{agent}"]), -3.0, 0.0)

    @pytest.mark.slow
    def test_m_fos_ipd(self):
        numbers, table = self.reproduced(m_fos_ipd, n_seeds=2, n_meta_updates=2, n_warm=1)
        self.assert_meta_training_is_stored(m_fos_ipd.CASES, n_seeds=2, n_meta_updates=2)
        self.assertLen(numbers, len(m_fos_ipd.CASES) * 2)
        for name in m_fos_ipd.CASES:
            rewards = [float(row["reward_of_agent_0"]) for row in numbers if row["case"] == name]
            self.assertEqual(cells(table, name)[1], results.with_interval(np.array(rewards)))

    @pytest.mark.slow
    def test_meva_ipd(self):
        numbers, table = self.reproduced(meva_ipd, n_seeds=2, n_meta_updates=2)
        self.assert_meta_training_is_stored(meva_ipd.CASES, n_seeds=2, n_meta_updates=2)
        names = [*meva_ipd.CASES, *(f"taught by itself, {name}" for name in list(meva_ipd.CASES)[:2])]
        self.assertEqual([row["case"] for row in numbers], np.repeat(names, 2).tolist())
        for name in names:
            for column, place in (("reward_of_agent_0", 1), ("last_reward_of_agent_1", 4)):
                rewards = [float(row[column]) for row in numbers if row["case"] == name]
                self.assertEqual(cells(table, name)[place], results.with_interval(np.array(rewards)))

    def test_updates_needed(self):
        values = np.array([[-2.0, -1.5, -1.0], [-2.0, -1.0, -1.0]])
        self.assertIn("needs 2 updates", figure_3._needed(values, -1.0))
        self.assertIn("2 of 2 seeds do at some time, after 1 in the median", figure_3._needed(values, -1.0))
        self.assertIn("does not reach that in 2 updates; no seed does", figure_3._needed(values, -0.5))


class StoredResultsTest(tf.test.TestCase, parameterized.TestCase):
    """What `results/` holds is what the commands make of its raw numbers."""

    def test_report(self):
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(ROOT)
        report = (RESULTS / "RESULTS.md").read_text("utf-8")
        self.assertEqual(report, reproduce._report(pathlib.Path("results")))
        for name in reproduce.REPRODUCTIONS:
            self.assertIn(f"`bin/reproduce {name} --output_dir=results`", report)

    @parameterized.parameters((personas_ipd, "personas_ipd"), (personas_rps, "personas_rps"))
    def test_personas(self, module, name):
        with open(RESULTS / name / "numbers.csv", newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        self.assertEqual(header, list(personas.HEADER))
        directory = pathlib.Path(self.get_temp_dir())
        personas.write(directory, module.CONFIGS, rows)
        for file in ("table.md", "numbers.csv"):
            self.assertEqual((directory / file).read_bytes(), (RESULTS / name / file).read_bytes())

    @parameterized.parameters(
        (exact_ipd, "exact_ipd", "agent", ("reward_of_agent_0", "reward_of_agent_1"), 1, (400, 200)),
        (shape_naive_learner, "shape_naive_learner", "shaper", ("reward_of_shaper", "reward_of_learner"), 101, ()),
        (coala_ipd, "coala_ipd", "agent", ("reward_of_agent", "reward_of_learner"), 8, ()),
    )
    def test_tables(self, module, name, column, columns, n_links, sizes):
        with open(RESULTS / name / "numbers.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        numbers = {}
        for row in rows:
            numbers.setdefault(row[column], []).append([float(row[name]) for name in columns])
        curves = {agent: np.reshape(values, [-1, n_links, 2]) for agent, values in numbers.items()}
        self.assertEqual(module._text(curves, *sizes), (RESULTS / name / "table.md").read_text("utf-8"))

    def test_two_quadratics(self):
        """What stands in the table is counted from the mean actions; and who reaches what."""
        with open(RESULTS / "two_quadratics" / "numbers.csv", newline="", encoding="utf-8") as file:
            numbers = list(csv.DictReader(file))
        table, reached = (RESULTS / "two_quadratics" / "table.md").read_text("utf-8"), {}
        for name in two_quadratics.AGENTS:
            means = np.array([
                [float(row["mean_action_0"]), float(row["mean_action_1"])] for row in numbers if row["agent"] == name
            ])
            reached[name], wide = (np.all(np.abs(means - top) < 1.0, axis=1).sum() for top in (5.0, -5.0))
            self.assertEqual(cells(table, name)[1:3], [f"{reached[name]} of 50", f"{wide} of 50"])
        self.assertLess(reached["naive"], 10)
        self.assertLess(reached["joint-action form"], 10)
        self.assertGreater(reached["soft Q-learning"], 40)

    def test_m_fos_meets_what_is_published(self):
        """By Lu et al. 2022, of its reward against naive learners, or better."""
        with open(RESULTS / "m_fos_ipd" / "numbers.csv", newline="", encoding="utf-8") as file:
            numbers = list(csv.DictReader(file))
        against_naive, itself, _ = (
            np.array([float(row["reward_of_agent_0"]) for row in numbers if row["case"] == name])
            for name in m_fos_ipd.CASES
        )
        self.assertLess(abs(against_naive.mean() + 0.51), 0.03)
        self.assertLess(itself.mean(), -1.9)

    def test_meva_exploits_naive_learners_and_cooperates_with_itself(self):
        """The table is made of the raw numbers, and what the documentation says of them is true."""
        with open(RESULTS / "meva_ipd" / "numbers.csv", newline="", encoding="utf-8") as file:
            numbers = list(csv.DictReader(file))
        table = (RESULTS / "meva_ipd" / "table.md").read_text("utf-8")
        _, text = (ROOT / "docs" / "results.md").read_text("utf-8").split("## Where learning will lead\n")
        columns = [f"{when}_of_agent_{index}" for when in ("reward", "last_reward") for index in range(2)]
        rewards = {}
        for name in (*meva_ipd.CASES, "taught by itself, against naive learners", "taught by itself, against LOLA (c)"):
            own = [[float(row[column]) for column in columns] for row in numbers if row["case"] == name]
            rewards[name] = np.array(own)
            self.assertLen(own, 10)
            self.assertEqual(cells(table, name)[1:], [*map(results.with_interval, rewards[name].T)])
        naive, lola, itself, to_naive, to_lola = rewards.values()
        for values in (*naive.T[:2], *lola.T[:2], *itself.T[2:], *to_naive.T[:2], *to_lola.T[:2]):
            self.assertIn(results.with_interval(values), text.partition("## ")[0])
        self.assertGreater(naive[:, 0].min(), -0.95)
        self.assertGreater(itself[:, 2:].min(), -1.15)

    def test_naive_learner_meets_what_is_published(self):
        """By Lu et al. 2022, of the reward of naive agents and of LOLA, and of the learner that meets LOLA."""
        with open(RESULTS / "shape_naive_learner" / "numbers.csv", newline="", encoding="utf-8") as file:
            numbers = list(csv.DictReader(file))
        for name, column, published, digits in (
            ("naive", "reward_of_shaper", -1.98, 2), ("LOLA (b)", "reward_of_shaper", -1.304, 3),
            ("LOLA (b)", "reward_of_learner", -1.526, 3),
        ):
            rewards = [float(row[column]) for row in numbers if row["shaper"] == name and row["updates"] != "100"]
            mean, half_width = statistics.mean_and_interval(np.reshape(rewards, [-1, 100]).mean(axis=1))
            self.assertLess(half_width, 0.02)
            self.assertLess(abs(mean - published), half_width + 0.5 * 10**-digits)
        self.assertGreater(len({row["seed"] for row in numbers if row["shaper"] == "LOLA (a)"}), 10)


class CommandTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir()))

    def run_command(self, *arguments):
        for name in ("list", "output_dir", "jobs"):
            reproduce.FLAGS[name].unparse()
        with (
            contextlib.redirect_stdout(io.StringIO()) as stdout, contextlib.redirect_stderr(io.StringIO()) as stderr
        ):
            status = reproduce.run(["bin/reproduce", *map(str, arguments)])
        return command_line.Outcome(status, stdout.getvalue(), stderr.getvalue())

    def test_list(self):
        outcome = self.run_command("--list")
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        for name, result in reproduce.REPRODUCTIONS.items():
            for part in (name, result.title, result.source, result.duration):
                self.assertIn(part, outcome.stdout)

    def test_help(self):
        outcome = self.run_command("--help")
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        for part in ("bin/reproduce --list", "--output_dir", "RESULTS.md"):
            self.assertIn(part, outcome.stdout)

    def test_what_is_tracked_is_replaced_only_when_told_so(self):
        ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
        first, *_ = pathlib.Path(reproduce.FLAGS["output_dir"].default).parts
        self.assertIn(f"/{first}/", ignored)

    def test_results_are_collected(self):
        output_dir = self.directory / "results"
        small = mock.patch.object(figure_1, "reproduce", functools.partial(figure_1.reproduce, n_updates=1))
        with small, mock.patch.dict(os.environ, HOME=str(self.directory)):
            outcome = self.run_command("figure_1", "--output_dir=~/results")
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        table = (output_dir / "figure_1" / "table.md").read_text("utf-8")
        self.assertIn(table, outcome.stdout)
        report = (output_dir / "RESULTS.md").read_text("utf-8")
        self.assertIn(table, report)
        self.assertIn("(figure_1/figure.png)", report)
        self.assertIn(f"`bin/reproduce figure_1 --output_dir={output_dir}`", report)
        self.assertIn(f"## {catalogue.REPRODUCTIONS['figure_1'].title}", report)
        self.assertNotIn(catalogue.REPRODUCTIONS["figure_2"].title, report)

    def test_what_is_made_of_runs(self):
        for name, result in catalogue.REPRODUCTIONS.items():
            module = importlib.import_module(f"tf_metamapg.reproductions.{name}")
            self.assertEqual(hasattr(module, "runs"), result.has_independent_runs, name)
            if result.has_independent_runs:
                runs = [*module.runs().values()]
                self.assertGreater(len(runs), 1)
                self.assertLen({run.name for run in runs}, len(runs))
                for run in runs:
                    self.assertTrue(run.gin_file().exists())

    @mock.patch.object(figure_3, "METHODS", {"LOLA-DiCE": "ipd_lola", "Meta-MAPG": "ipd_exact"})
    @mock.patch.object(figure_3, "BINDINGS", (*command_line.TINY, "train.jit_compile = False"))
    @pytest.mark.slow
    def test_runs_of_a_result_side_by_side(self):
        """They are what the result is made of, bit for bit, and a result that is not made of runs is one job."""
        numbers = []
        for n_jobs in (1, 2):
            output_dir = self.directory / f"{n_jobs}"
            outcome = self.run_command("figure_3", "figure_1", f"--output_dir={output_dir}", f"--jobs={n_jobs}")
            self.assertEqual((outcome.status, outcome.stderr), (0, ""))
            numbers.append([(output_dir / name / "numbers.csv").read_bytes() for name in ("figure_3", "figure_1")])
            report = (output_dir / "RESULTS.md").read_text("utf-8")
            for name in ("figure_3", "figure_1"):
                self.assertIn(f"({name}/figure.png)", report)
        self.assertEqual(*numbers)
        for job in (*(f"figure_3, {config}" for config in figure_3.METHODS.values()), "figure_1"):
            self.assertIn(f"\n{job}: ", f"\n{outcome.stdout}")
        # After the jobs there is nothing left to train.
        self.assertEqual(outcome.stdout.count("\nthis run has ended; nothing is computed\n"), 2)

    @parameterized.parameters(
        ((), "name what to reproduce, one of figure_1"), (("figure_9",), "name = 'figure_9': must be one of figure_1"),
        (("figure_1", "figure_9"), "name = 'figure_9'"), (("--no_such_flag",), "Unknown command line flag"),
    )
    def test_bad_names(self, arguments, part):
        outcome = self.run_command(*arguments, f"--output_dir={self.directory / 'results'}")
        self.assertEqual((outcome.status, outcome.stdout), (2, ""))
        self.assertStartsWith(outcome.stderr, "error: ")
        self.assertIn(part, outcome.stderr)
        self.assertLen(outcome.stderr.splitlines(), 1)
        self.assertFalse((self.directory / "results").exists())

    @parameterized.parameters("", "{}/taken")
    def test_output_directory_that_cannot_be_used(self, output_dir):
        (self.directory / "taken").mkdir()
        (self.directory / "taken" / "figure_1").write_text("years of work")
        outcome = self.run_command("figure_1", f"--output_dir={output_dir.format(self.directory)}")
        self.assertEqual((outcome.status, outcome.stdout), (2, ""))
        self.assertStartsWith(outcome.stderr, "error: --output_dir")
        self.assertLen(outcome.stderr.splitlines(), 1)
        self.assertEqual((self.directory / "taken" / "figure_1").read_text(), "years of work")

    def test_output_directory_that_is_a_file(self):
        path = self.directory / "thesis.tex"
        path.write_text("years of work")
        outcome = self.run_command("figure_1", f"--output_dir={path}")
        self.assertEqual((outcome.status, outcome.stdout), (2, ""))
        self.assertStartsWith(outcome.stderr, f"error: --output_dir={path}: cannot be written")
        self.assertEqual(path.read_text(), "years of work")


if __name__ == "__main__":
    tf.test.main()
