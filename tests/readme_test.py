"""The Python examples of the README run as they stand, and its numbers are those of `results/`."""

import itertools
import os
import pathlib
import re

import numpy as np
import tensorflow as tf

from tests import command_line
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import tabular_policy

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
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


class ReadmeTest(tf.test.TestCase):

    def test_library_example(self):
        self.assertLen(EXAMPLES, 5)
        gradients = run(EXAMPLES[0])["terms"].total.initial[0]
        self.assertEqual(gradients.shape, (3, 5, 1))
        self.assertGreater(tf.norm(gradients), 0.0)

    def test_example_of_meta_training(self):
        names = run(EXAMPLES[0] + EXAMPLES[1])
        self.assertEqual(names["evaluation"].mean_reward.shape, (3, 4, 2))
        self.assertEqual(names["learned"][0].shape, (3, 5, 1))
        self.assertNotAllClose(names["learned"][0], names["policies"][0].initial_params([0, 1, 2])[0])

    def test_example_of_a_game_and_an_agent_of_ones_own(self):
        names = run(EXAMPLES[2])
        chain = names["chain"]
        self.assertLen(chain.links, 3)
        # Some episodes end, and what comes after does not count.
        self.assertLess(tf.reduce_mean(tf.cast(chain.links[0].sample.trajectory.mask[0], tf.float32)), 1.0)
        # The running means go on from link to link, and opponent-shaping passes through the steps that they make.
        first, second, last = (link.agent_states[1].extra[0] for link in chain.links)
        self.assertAllEqual(first, tf.zeros_like(first))
        self.assertNotAllClose(second, last)
        for term in (names["terms"].self_shaping, names["terms"].opponent_shaping):
            self.assertGreater(tf.linalg.global_norm(term.initial), 0.0)

    def test_example_of_a_run_that_is_loaded(self):
        directory = os.getcwd()
        try:
            os.chdir(self.get_temp_dir())
            command_line.run(
                "--gin_file=ipd_exact.gin", "--run_dir=runs/mine",
                *command_line.gin_params(*command_line.TINY, "train.agents = [@MetaPG(), @PolicyGradient()]"),
            )
            names = run(EXAMPLES[3])
            self.assertTrue(os.path.getsize("adaptation.png") > 0)
        finally:
            os.chdir(directory)
        self.assertEqual(names["evaluation"].mean_reward.shape, (2, 21, 2))
        self.assertEqual(names["trajectories"].rewards[0].shape, (2, 2, 4, 50))

    def test_example_of_an_agent_that_goes_on_learning(self):
        directory = os.getcwd()
        try:
            os.chdir(self.get_temp_dir())
            names = run(EXAMPLES[0] + EXAMPLES[4])
        finally:
            os.chdir(directory)
        self.assertEqual(int(names["state"]["n_updates"]), 1)
        before, after = (
            tf.nn.sigmoid(params) for params in (names["initial_params"][0][0][0, 0], names["state"]["params_0"])
        )
        # At the start, after CD and after DD it has learned to defect; of CC and DC it has seen nothing.
        self.assertAllEqual(tf.sign(after - before)[:, 0], [-1, 0, -1, 0, -1])

    def test_numbers_among_strangers(self):
        header, *_ = [row for row in rows(README) if row[1:3] == ["Meta-MAPG", "Meta-PG"]]
        shown = {row[0]: dict(zip(header[1:], row[1:])) for row in rows(README) if len(row) == len(header)}
        for game, name in (("prisoner's dilemma", "personas_ipd"), ("rock-paper-scissors", "personas_rps")):
            for policy, words in (("tabular", "tabular policy"), ("LSTM-64", "LSTM")):
                expected = {
                    method: f"{area} ({peak.split()[-1]})"
                    for row_policy, method, area, *_, peak, _, _, _ in result(name) if row_policy == policy
                }
                self.assertEqual(shown[f"{game}, {words}"], expected)

    def test_the_choice_of_personas_is_said_where_the_numbers_stand(self):
        after_table = " ".join(README.split("| rock-paper-scissors, LSTM |")[1].split("\n\n")[1].split())
        said = [
            row for row in result("personas_choice")[2:] if row[1] == "Meta-MAPG" or row[0] == "rock-paper-scissors"
        ]
        self.assertLen(said, 4)
        for _, _, area, deviation, _, _ in said:
            self.assertIn(area, after_table)
            self.assertIn(deviation, after_table)

    def test_numbers_of_lasting_cooperation(self):
        paragraph = next(part for part in README.split("\n\n") if part.startswith("**Cooperation that stays"))
        paragraph = " ".join(paragraph.split())
        said = {tuple(row[:3]): row for row in result("lasting_cooperation")}
        for values, inner_step in itertools.product(("exact", "sampled"), ("2", "0.5")):
            *_, mean, worst = said[values, inner_step, "100"]
            self.assertIn(mean, paragraph)
            if inner_step == "2":
                self.assertIn(worst, paragraph)

    def test_numbers_of_the_coin_game(self):
        paragraph = " ".join(next(part for part in README.split("\n\n") if part.startswith("**The coin game")).split())
        for learner, _, _, own_share, *_ in result("coin_game_exact")[2:]:
            if learner in ("Meta-MAPG", "Meta-PG", "LOLA (a)", "LOLA (b)", "LOLA-DiCE"):
                self.assertIn(own_share, paragraph)

    def test_numbers_among_naive_learners(self):
        paragraph = next(part for part in README.split("\n\n") if part.startswith("**Shaping a learner"))
        paragraph = " ".join(paragraph.split())
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
        paragraph = next(part for part in README.split("\n\n") if part.startswith("**Three to five"))
        paragraph = " ".join(paragraph.split())
        exact = {(row[0], row[2]): row for row in result("public_goods")[2:] if row[1] == "exact"}
        for group, columns in (
            ("naive", [5]), ("1 Meta-MAPG", [7, 8]), ("2 Meta-MAPG", [5]), ("all Meta-MAPG", [5]), ("all Meta-PG", [5]),
        ):
            for column in columns:
                self.assertIn(exact["3", group][column], paragraph)
        for n_players in ("4", "5"):
            self.assertIn(exact[n_players, "all Meta-MAPG"][5], paragraph)

    def test_numbers_of_the_cheetah(self):
        paragraph = next(part for part in README.split("\n\n") if part.startswith("**One cheetah"))
        paragraph = " ".join(paragraph.split())
        methods = result("half_cheetah")[2:]
        self.assertLen(methods, 4)
        for method, area, *_ in methods:
            self.assertRegex(paragraph, rf"{method}( agents| gets)? {area}")

    def test_words_are_defined_before_they_are_used(self):
        self.assertNotIn("reading", README)
        definitions = [README.index(f"**{kind} inner updates:**") for kind in ("Expected", "Sampled")]
        for kind, definition in zip(("expected", "sampled"), definitions):
            self.assertGreater(README.index(f"{kind} inner updates"), definition)

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
            self.assertIn(f"{expected}".replace("-", "−"), README)


if __name__ == "__main__":
    tf.test.main()
