"""What is printed fits a terminal and has colour there; where there is none, it stands as it was given."""

import contextlib
import io

from absl.testing import parameterized
import tensorflow as tf

from tests import pseudo_terminal
from tf_metamapg.runs import progress
from tf_metamapg.runs import terminal

RED, BOLD = "\x1b[31m", "\x1b[1m"
TABLE = terminal.Table(
    "plain", ["inner updates", "agent 0: MetaMAPG", "agent 1: PolicyGradient", "mean of all agents", "worst seed"],
    [
        ["0", "-1.415 ± 0.021", "-1.400 ± 0.021", "-1.410 ± 0.021", "-2.000"],
        ["1", "-1.018 ± 0.003", "-1.900 ± 0.003", "-1.500 ± 0.003", "-2.000"],
        ["10", "-1.100 ± 0.003", "-1.800 ± 0.003", "-1.400 ± 0.003", "-2.000"],
    ],
)
MARKDOWN = """
## A title

A paragraph of two lines, the first of which is long enough to be more than a whole line of a terminal is, and the
second short.

| run | before | after one inner update | score less that of first |
|---|---|---|---|
| first | −1.0 ± 0.1 | −1.5 ± 0.1 | |
| second with a long name that goes on and on and on, and for longer than anybody would like | −1.0 ± 0.2 | +1.5 | 3 |

written: runs/a/comparison.csv, runs/a/comparison.png, runs/a/comparison.md, runs/a/comparison.txt
"""


def on_a_terminal(function, *arguments, columns=80, environment=(), **keywords):
    with pseudo_terminal.opened(columns, **dict(environment)) as said:
        function(*arguments, **keywords)
    return said


def elsewhere(function, *arguments, **keywords):
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        function(*arguments, **keywords)
    return stdout.getvalue()


def pieces(said, style):
    """What is printed in a style."""
    return [piece.partition("\x1b[0m")[0].strip() for piece in said.text.split(style)[1:]]


class TerminalTest(tf.test.TestCase, parameterized.TestCase):

    def test_plain_where_there_is_none(self):
        self.assertEqual(elsewhere(terminal.report, "a\n", TABLE, "\nb ", better=max), "a\nplain\nb \n")
        self.assertEqual(elsewhere(terminal.markdown, MARKDOWN, better=max), f"{MARKDOWN}\n")
        self.assertEqual(elsewhere(terminal.say, "x" * 200), f"{'x' * 200}\n")
        self.assertEqual(elsewhere(terminal.heading, "a\nb"), "a\nb\n")

    @parameterized.parameters(40, 80, 120)
    def test_lines_fit(self, columns):
        for function, arguments in (
            (terminal.report, ["a\n\n", TABLE, "\n\nb"]), (terminal.markdown, [MARKDOWN]),
            (terminal.say, ["many words " * 50]), (terminal.heading, ["many words " * 50]),
        ):
            lines = on_a_terminal(function, *arguments, columns=columns).lines()
            self.assertLessEqual(max(map(len, lines)), columns)
            # As wide as it may be.
            self.assertGreater(max(map(len, lines)), columns * 0.7)

    def test_columns(self):
        lines = on_a_terminal(terminal.report, "a\n\n", TABLE, "\n\nb", columns=120).lines()
        self.assertEqual([line.rstrip() for line in lines], [
            "a", "",
            "inner updates  agent 0: MetaMAPG  agent 1: PolicyGradient  mean of all agents  worst seed",
            "            0     -1.415 ± 0.021           -1.400 ± 0.021      -1.410 ± 0.021      -2.000",
            "            1     -1.018 ± 0.003           -1.900 ± 0.003      -1.500 ± 0.003      -2.000",
            "           10     -1.100 ± 0.003           -1.800 ± 0.003      -1.400 ± 0.003      -2.000",
            "", "b", "",
        ])

    def test_best_and_worst(self):
        said = on_a_terminal(terminal.report, TABLE, better=max, columns=120)
        # Of a column of one number, none is better.
        self.assertEqual(pieces(said, BOLD)[-3:], ["-1.400 ± 0.021", "-1.018 ± 0.003", "-1.400 ± 0.003"])
        self.assertEqual(pieces(said, RED), ["-1.415 ± 0.021", "-1.900 ± 0.003", "-1.500 ± 0.003"])
        said = on_a_terminal(terminal.report, TABLE, better=min, columns=120)
        self.assertEqual(pieces(said, RED), ["-1.400 ± 0.021", "-1.018 ± 0.003", "-1.400 ± 0.003"])
        self.assertNotIn(RED, on_a_terminal(terminal.report, TABLE).text)

    def test_markdown(self):
        said = on_a_terminal(terminal.markdown, MARKDOWN, better=max, columns=80)
        self.assertIn("## A title", pieces(said, BOLD))
        self.assertIn("+1.5", pieces(said, BOLD))
        self.assertEqual(pieces(said, RED), ["−1.5 ± 0.1"])
        words = " ".join(said.lines()).split()
        self.assertNotIn("|", words)
        self.assertContainsSubset(MARKDOWN.replace("|---", "").replace("|", "").split(), words)
        # A paragraph's lines are as long as the terminal is wide.
        start = next(number for number, line in enumerate(said.lines()) if line.startswith("A paragraph"))
        self.assertEqual(said.lines()[start : start + 2], [
            "A paragraph of two lines, the first of which is long enough to be more than a",
            "whole line of a terminal is, and the second short.",
        ])

    def test_no_colour(self):
        for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            text = on_a_terminal(terminal.markdown, MARKDOWN, better=max, environment=environment).text
            self.assertNotIn(RED, text)
        self.assertNotIn("\x1b", text)

    def test_variable_columns(self):
        lines = on_a_terminal(terminal.say, "many words " * 50, environment={"COLUMNS": "33"}).lines()
        self.assertLessEqual(max(map(len, lines)), 33)
        lines = on_a_terminal(terminal.say, "many words " * 50, columns=0).lines()
        self.assertBetween(max(map(len, lines)), 70, 80)

    def test_paths_stay_whole(self):
        path = "runs/" + "a" * 100
        self.assertIn(path, on_a_terminal(terminal.say, f"numbers: {path}").lines())

    def test_cells_are_no_markup(self):
        table = terminal.Table("", ["[red]a[/red]", ":smile:"], [["[bold]b", "https://example.com"]])
        text = on_a_terminal(terminal.report, table).text
        for cell in ("[red]a[/red]", ":smile:", "[bold]b", "https://example.com"):
            self.assertIn(cell, text)


class ProgressTest(tf.test.TestCase):

    def show(self):
        bar = progress.Bar(3)
        for step in range(3):
            bar.step(f"mean reward per step {step:+.3f} of a very long text that does not fit any terminal at all")
        bar.close()

    def test_bar(self):
        said = on_a_terminal(self.show)
        self.assertIn("meta-update: 100%", said.text)
        self.assertIn("\x1b[32m", said.text)
        self.assertLessEqual(max(map(len, said.lines())), 80)
        self.assertNotIn("\x1b[32m", on_a_terminal(self.show, environment={"NO_COLOR": "1"}).text)

    def test_plain_lines(self):
        text = elsewhere(self.show)
        self.assertStartsWith(text, "meta-update 3/3: mean reward per step +2.000")
        self.assertNotIn("\x1b", text)


if __name__ == "__main__":
    tf.test.main()
