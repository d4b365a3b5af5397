"""The Python examples of the README run as they stand; numbers there and among the results are those of `results/`."""

import itertools
import os
import pathlib
import re

import numpy as np
import tensorflow as tf

from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import tabular_policy

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text("utf-8")
CONVENTIONS = (ROOT / "docs" / "guide" / "conventions.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def rows(text):
    """The rows of all Markdown tables in a text, as lists of cells."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]


def result(name):
    """The rows of the table of a result."""
    return rows((ROOT / "results" / name / "table.md").read_text("utf-8"))


def run(example):
    """The names that an example binds."""
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    return names


def section(title):
    """What stands below a heading of the results, in one line."""
    return " ".join(RESULTS.split(f"## {title}")[1].split("\n## ")[0].split())


class ReadmeTest(tf.test.TestCase):

    def test_it_is_short(self):
        self.assertLessEqual(len(README.splitlines()), 150)

    def test_links(self):
        links = re.findall(r"\]\(((?!http)[\w./]+)\)", README)
        self.assertGreater(len(links), 10)
        for link in links:
            self.assertTrue((ROOT / link).exists(), link)

    def test_library_example(self):
        self.assertLen(EXAMPLES, 2)
        gradients = run(EXAMPLES[0])["terms"].total.initial[0]
        self.assertEqual(gradients.shape, (3, 5, 1))
        self.assertGreater(tf.norm(gradients), 0.0)

    def test_example_of_an_agent_that_goes_on_learning(self):
        directory = os.getcwd()
        try:
            os.chdir(self.get_temp_dir())
            run(EXAMPLES[0] + EXAMPLES[1])
            signatures = tf.saved_model.load("served").signatures
        finally:
            os.chdir(directory)
        self.assertContainsSubset(["initial_state", "act", "learn"], signatures)

    def test_numbers_of_lasting_cooperation(self):
        *_, mean, worst = next(row for row in result("lasting_cooperation") if row[:3] == ["exact", "2", "100"])
        paragraph = next(part for part in README.split("\n\n") if part.startswith("**Cooperation that stays"))
        for number in (mean, worst):
            self.assertIn(number, paragraph)


class ResultsTest(tf.test.TestCase):

    def test_numbers_among_strangers(self):
        header, *_ = [row for row in rows(RESULTS) if row[1:3] == ["Meta-MAPG", "Meta-PG"]]
        shown = {row[0]: dict(zip(header[1:], row[1:])) for row in rows(RESULTS) if len(row) == len(header)}
        for game, name in (("prisoner's dilemma", "personas_ipd"), ("rock-paper-scissors", "personas_rps")):
            for policy, words in (("tabular", "tabular policy"), ("LSTM-64", "LSTM")):
                expected = {
                    method: f"{area} ({peak.split()[-1]})"
                    for row_policy, method, area, *_, peak, _, _, _ in result(name) if row_policy == policy
                }
                self.assertEqual(shown[f"{game}, {words}"], expected)

    def test_the_choice_of_personas_is_said_where_the_numbers_stand(self):
        after_table = " ".join(RESULTS.split("| rock-paper-scissors, LSTM |")[1].split("\n\n")[1].split())
        said = [
            row for row in result("personas_choice")[2:] if row[1] == "Meta-MAPG" or row[0] == "rock-paper-scissors"
        ]
        self.assertLen(said, 4)
        for _, _, area, deviation, _, _ in said:
            self.assertIn(area, after_table)
            self.assertIn(deviation, after_table)

    def test_numbers_of_who_takes_others_for_stationary(self):
        paragraph = section("Who takes the others for stationary")
        means = {tuple(row[:2]): row[-1] for row in result("stationary")}
        others = ("recursive reasoning", "modelled, LookAhead", "LOLA-DiCE", "Meta-MAPG", "Meta-PG", "naive")
        for method in others[:5]:
            self.assertIn(means["a learning persona", method], paragraph)
        values = {key: float(mean.split()[0].replace("−", "-")) for key, mean in list(means.items())[2:]}
        stationary = {name: value for (setting, name), value in values.items() if setting == "a learning persona"}
        self.assertEqual(stationary["Meta-PG"], stationary["naive"])
        for method in ("LOLA-DiCE", "Meta-MAPG", "Meta-PG"):
            del stationary[method]
        self.assertEqual(min(stationary, key=stationary.get), "recursive reasoning")
        self.assertEqual(max(stationary, key=stationary.get), "modelled, LookAhead")
        for row in result("stationary"):
            if row[0] == "IPD, self-play" and row[1] != "Meta-MAPG":
                for cell in row[3:]:
                    self.assertLess(float(cell.split()[0].replace("−", "-")), -1.2)

    def test_numbers_of_lasting_cooperation(self):
        paragraph = section("Cooperation that stays")
        said = {tuple(row[:3]): row for row in result("lasting_cooperation")}
        for values, inner_step in itertools.product(("exact", "sampled"), ("2", "0.5")):
            *_, mean, worst = said[values, inner_step, "100"]
            self.assertIn(mean, paragraph)
            if inner_step == "2":
                self.assertIn(worst, paragraph)

    def test_numbers_of_the_coin_game(self):
        paragraph = section("The coin game")
        for learner, _, _, own_share, *_ in result("coin_game_exact")[2:]:
            self.assertIn(own_share, paragraph, learner)
        sampled = [row for row in result("coin_game")[2:] if row[1] == "tabular"]
        for learner, _, _, n_steps, own_share, *_ in sampled:
            if learner != "naive":
                self.assertIn(own_share, paragraph, learner)
            if learner in ("LOLA (a)", "Advantage Alignment", "LOQA"):
                self.assertIn(n_steps, paragraph)

    def test_numbers_among_naive_learners(self):
        paragraph = section("Shaping a learner for long")
        shapers = result("shape_naive_learner")[2:]
        self.assertContainsSubset(
            ["LOLA (a)", "LOLA (b)", "Meta-MAPG, initial policy alone", "Meta-MAPG"], [row[0] for row in shapers]
        )
        for shaper, own, _, learner, peak, _, published in shapers:
            if shaper.startswith("Meta-MAPG"):
                self.assertIn(own, paragraph)
            if shaper.startswith("LOLA"):
                self.assertIn(own, paragraph)
                self.assertIn(published.split(" / ")[0], paragraph)
            if shaper == "Meta-MAPG":
                self.assertIn(learner, paragraph)
                self.assertIn(f"{peak.replace(' at ', ' after update ')}", paragraph)

    def test_numbers_of_public_goods(self):
        paragraph = section("Three to five at once")
        exact = {(row[0], row[2]): row for row in result("public_goods")[2:] if row[1] == "exact"}
        for group, columns in (
            ("naive", [5]), ("1 Meta-MAPG", [7, 8]), ("2 Meta-MAPG", [5]), ("all Meta-MAPG", [5]), ("all Meta-PG", [5]),
        ):
            for column in columns:
                self.assertIn(exact["3", group][column], paragraph)
        for n_players in ("4", "5"):
            self.assertIn(exact[n_players, "all Meta-MAPG"][5], paragraph)

    def test_numbers_of_the_cheetah(self):
        paragraph = section("One cheetah, two agents")
        methods = result("half_cheetah")[2:]
        self.assertLen(methods, 4)
        for method, area, *_ in methods:
            self.assertRegex(paragraph, rf"{method}( agents| gets)? {area}")

    def test_conventions(self):
        """Tit for tat against always defecting, by the logits of cooperating at the start and after CC, CD, DC, DD."""
        game = IteratedMatrixGame(payoffs.prisoners_dilemma(), discount=0.96, dtype="float64")
        policies = [tabular_policy(game, agent) for agent in range(2)]
        logits = 50.0 * np.array([[1, 1, -1, 1, -1], [-1, -1, -1, -1, -1]], np.float64)
        joint_params = tuple((tf.constant(table[np.newaxis, np.newaxis, :, np.newaxis]),) for table in logits)
        tasks = tf.constant(game.default_tasks, tf.float64)[tf.newaxis, tf.newaxis]
        for estimator, expected in (
            (ExactEstimator(game, policies), -2.04), (LoadedDiceEstimator(game, policies, 2, 50), -2.02)
        ):
            sample = estimator.sample(joint_params, tasks, random.root_keys([0]))
            mean_rewards = estimator.mean_rewards(joint_params, tasks, sample)[0]
            self.assertAllClose(mean_rewards, [[expected]], rtol=1e-12, atol=0.0)
            self.assertIn(f"{expected}".replace("-", "−"), CONVENTIONS)


if __name__ == "__main__":
    tf.test.main()
