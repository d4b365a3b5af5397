"""The report at the end of a run has the right numbers in the right columns."""

import pathlib
import warnings

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg.runs import report
from tf_metamapg.runs.run_directory import RunDirectory

# Two seeds, one inner update, three agents; the seeds differ in agent 1 alone.
AVERAGE_REWARD = np.array([
    [[-1.0, -2.0, -3.0], [0.5, 1.0, 1.5]],
    [[-1.0, -4.0, -3.0], [0.5, 2.0, 1.5]],
])
# Of two values that are one apart: Student's t for one degree of freedom, times the standard error of their mean.
ONE_APART = 12.7062 * 0.5


def _summary(average_reward):
    return {
        "agent": ["MetaMAPG", "MetaPG", "PolicyGradient"], "n_seeds": 2, "meta_updates": 7, "jit_compile": True,
        "wall_seconds": 12.4, "exported_seed": 1,
        "meta_validation": {}, "meta_test": {"average_reward": average_reward.tolist()},
    }


def _text(summary, compared, exported=("initial",)):
    """As it is printed where there is no terminal."""
    places = {f"{what} policies": pathlib.Path("run") / f"{what}_policies" for what in exported}
    return "".join(map(str, report.parts(RunDirectory("run"), summary, compared, places)))


def _rows(compared, average_reward=AVERAGE_REWARD):
    return _table(_text(_summary(average_reward), compared), "Mean reward per step")


def _table(text, title):
    """The lines of the table with a title."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(title)) + 2
    return lines[start : lines.index("", start)]


class ReportTest(tf.test.TestCase, parameterized.TestCase):

    def test_what_is_not_defined(self):
        values = AVERAGE_REWARD.copy()
        values[0, :, 0] = values[:, 1, 2] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _, before, after = str(
                report.adaptation_table(report.REWARD, values, ["A", "B", "C"], [0, 2])
            ).splitlines()
        self.assertEqual(before.split()[1:4] + before.split()[-1:], ["-1.000", "±", "nan", "-3.000"])
        self.assertEqual(after.split()[7:9] + after.split()[-1:], ["not", "defined", "+0.500"])

    @parameterized.parameters(
        ([0], ["agent 0, worst seed"], ["-1.000"], ["+0.500"]),
        ([1], ["agent 1, worst seed"], ["-4.000"], ["+1.000"]),
        ([0, 1], ["mean of meta-agents", "worst seed"], ["-2.000", "±", "6.353", "-2.500"],
         ["+1.000", "±", "3.177", "+0.750"]),
        ([0, 1, 2], ["mean of all agents", "worst seed"], ["-2.333", "±", "4.235", "-2.667"],
         ["+1.167", "±", "2.118", "+1.000"]),
    )
    def test_table(self, compared, names, before, after):
        header, *rows = _rows(compared)
        position = 0
        for name in ("agent 0: MetaMAPG", "agent 1: MetaPG", "agent 2: PolicyGradient", *names):
            position = header.index(name, position) + len(name)
        self.assertEqual(position, len(header))
        by_agent = (
            ["-1.000", "±", "0.000", "-3.000", "±", f"{2 * ONE_APART:.3f}", "-3.000", "±", "0.000"],
            ["+0.500", "±", "0.000", "+1.500", "±", f"{ONE_APART:.3f}", "+1.500", "±", "0.000"],
        )
        for update, (row, own, others) in enumerate(zip(rows, by_agent, (before, after), strict=True)):
            self.assertEqual(row.split(), [str(update), *own, *others])
            self.assertLen(row, len(header))

    def test_of_long_chains_some_updates_and_the_last_are_shown(self):
        rows = _rows([0], np.zeros([2, 78, 3]))[1:]
        self.assertEqual([int(row.split()[0]) for row in rows], [0, 1, 2, 3, 4, 5, 10, 20, 30, 50, 77])

    def test_each_metric_of_the_game_has_a_table(self):
        summary = _summary(AVERAGE_REWARD)
        summary["meta_test"]["own_coins"] = (AVERAGE_REWARD + 10.0).tolist()
        text = _text(summary, [1])
        self.assertEqual(_table(text, "Mean reward per step"), _rows([1]))
        header, *rows = _table(text, "Mean of own_coins per step on held-out tasks")
        self.assertEqual(header.split(), _rows([1])[0].replace("worst seed", "least of seeds").split())
        self.assertEqual([row.split()[-1] for row in rows], ["+6.000", "+11.000"])
        self.assertEqual([row.split()[1:4] for row in rows], [["+9.000", "±", "0.000"], ["+10.500", "±", "0.000"]])

    def test_says_where_everything_is(self):
        text = _text(_summary(AVERAGE_REWARD), [0])
        self.assertIn("over 2 seeds", text)
        self.assertIn("7 meta-updates, 12 s, compiled with XLA", text)
        self.assertIn("of seed 1, the best in meta-validation", text)
        for name in (
            "report.html", "figures/adaptation.png", "summary.json", "metrics.csv", "initial_policies", "config.gin",
        ):
            self.assertIn(str(pathlib.Path("run") / name), text)
        self.assertNotIn("adapted_policies", text)
        tasks = _text(_summary(AVERAGE_REWARD), [0], ["initial", "adapted"])
        self.assertIn("initial policies  run/initial_policies, of seed 1", tasks)
        self.assertIn("adapted policies  run/adapted_policies, of seed 1", tasks)
        naive = _summary(AVERAGE_REWARD)
        del naive["meta_validation"]
        text = _text(naive, [0], ["adapted"])
        self.assertIn("1 inner update, 12 s", text)
        self.assertIn("adapted policies  run/adapted_policies, of seed 1, the best at the end", text)
        self.assertNotIn("initial_policies", text)
        self.assertIn("policies          none", _text(_summary(AVERAGE_REWARD), [0], []))

    def test_of_a_metric_nobody_knows_what_is_best(self):
        for name, header, is_ranked in ((report.REWARD, "worst seed", True), ("distance", "least of seeds", False)):
            table = report.adaptation_table(name, AVERAGE_REWARD, ["A", "B", "C"], [0, 2])
            self.assertEqual((table.header[-1], table.is_ranked), (header, is_ranked))


if __name__ == "__main__":
    tf.test.main()
