"""Proves that pages can be looked at: in a browser, without a network, on a desk and on a phone."""

import json
import pathlib
import re
import shutil

from absl.testing import parameterized
import pytest
import tensorflow as tf

from tests import browser
from tests import command_line
import tf_metamapg as mapg
from tf_metamapg.commands import compare
from tf_metamapg.commands import league

NAME = '<script>document.title = "run"</script>'
SEEDS = ("train.n_seeds = 3", "train.first_seed = 4")
NAMED = f"IteratedMatrixGame.name = {NAME!r}"
META = ('IteratedMatrixGame.metrics = ("cooperation",)', "train.agents = [@MetaMAPG(), @PolicyGradient()]")
RECURRENT = ("train.policies = [@lstm_policy, @tabular_policy]", "lstm_policy.units = 2")
PAGES = {
    "meta": "meta/report.html", "naive": "naive/report.html", "compared": "compared/comparison.html",
    "league": "league/league.html",
}


def train(run_dir, gin_file, *bindings, resume=False):
    params = command_line.gin_params(*command_line.TINY, *SEEDS, NAMED, *bindings)
    return command_line.run(f"--gin_file={gin_file}", f"--run_dir={run_dir}", *params, *["--resume"] * resume)


@pytest.mark.slow
class ReportPageTest(browser.BrowserTests, tf.test.TestCase, parameterized.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = pathlib.Path(tf.compat.v1.test.get_temp_dir()) / "report_page_test"
        for outcome in (
            train(cls.root / "meta", "ipd_exact.gin", *META),
            train(cls.root / "naive", "ipd_naive.gin", *RECURRENT),
        ):
            assert outcome.status == 0, outcome.stderr
        params = command_line.gin_params(*command_line.TINY, *SEEDS, NAMED)
        sweep = "--sweep=MetaMAPG.inner_learning_rate = [0.5, 1.0]"
        entrants = ["--learner=PolicyGradient", "--learner=LookAhead", "--strategy=tit_for_tat"]
        for outcome in (
            command_line.run_other(compare, "ipd_exact.gin", sweep, f"--output_dir={cls.root / 'compared'}", *params),
            command_line.run_other(league, *entrants, f"--output_dir={cls.root / 'league'}", *params),
        ):
            assert outcome.status == 0, outcome.stderr

    @parameterized.product(name=[*PAGES], width=[browser.DESKTOP, browser.PHONE])
    def test_opens(self, name, width):
        opened = self.open(self.root / PAGES[name], width)
        self.assertEqual((opened.errors, opened.overflow), ([], 0))
        self.assertEqual(opened.requests, [opened.page.url])
        self.assertStartsWith(opened.page.url, "file://")
        # What is called like a script is a text.
        self.assertIn(NAME, opened.page.inner_text("header"))
        self.assertNotEqual(opened.page.title(), "run")
        # Numbers of what is shown are of what is there.
        paths = "links => links.map(link => decodeURIComponent(link.pathname))"
        for path in opened.page.eval_on_selector_all("td a, th a", paths):
            self.assertTrue(pathlib.Path(path).exists(), path)
        unnamed = "elements => elements.filter(e => !(e.ariaLabel || e.labels?.length)).length"
        self.assertEqual(opened.page.eval_on_selector_all("svg, input, .scroll[role]", unnamed), 0)

    @parameterized.parameters("meta", "naive", "compared")
    def test_lines_of_seeds_are_hidden_in_all_figures(self, name):
        page = self.open(self.root / PAGES[name]).page
        n_figures = page.locator("figure").count()
        self.assertGreater(n_figures, 2)

        def shown():
            # A level line has no height, by which Playwright would tell.
            is_shown = "lines => lines.filter(line => getComputedStyle(line).display !== 'none').length"
            return [page.locator(f"figure .seed-{seed}").evaluate_all(is_shown) for seed in (4, 5, 6)]

        self.assertEqual(shown(), [n_figures] * 3)
        boxes = [page.get_by_label(f"seed {seed}", exact=True) for seed in (4, 5, 6)]
        all_seeds = page.get_by_label("all / none", exact=True)
        boxes[1].uncheck()
        self.assertEqual(shown(), [n_figures, 0, n_figures])
        self.assertTrue(all_seeds.evaluate("box => box.indeterminate"))
        all_seeds.check()
        self.assertEqual(shown(), [n_figures] * 3)
        all_seeds.uncheck()
        self.assertEqual((shown(), [box.is_checked() for box in boxes]), ([0] * 3, [False] * 3))
        # Means stay.
        self.assertEqual(page.locator("figure:has(svg use:visible)").count(), n_figures)
        boxes[2].check()
        self.assertEqual(shown(), [0, 0, n_figures])
        boxes[2].hover()
        self.assertEqual(page.locator(".seed.pointed").evaluate_all("lines => lines.map(line => line.classList[1])"),
                         ["seed-6"] * page.locator(".seed-6").count())

    def test_says_what_the_run_has_come_to(self):
        page = self.open(self.root / PAGES["meta"]).page
        summary = json.loads((self.root / "meta" / "summary.json").read_text("utf-8"))
        after = [rewards[-1][0] for rewards in summary["meta_test"]["average_reward"]]
        worst = summary["seeds"][after.index(min(after))]
        lead = page.inner_text(".lead")
        self.assertIn(f"the worst seed at the end is seed {worst} with {min(after):+.3f}", lead)
        table = page.locator("table", has_text="All seeds: agent 0's mean reward per step")
        rows = [row.split("\t") for row in table.locator("tbody tr").all_inner_texts()]
        for seed, value, row in zip(summary["seeds"], after, rows, strict=True):
            mark = " (worst)" if seed == worst else ""
            self.assertEqual((row[0], row[2]), (f"seed {seed}", f"{value:+.3f}{mark}"))
        text = page.inner_text("main")
        self.assertIn("Agent 1, PolicyGradient, does not meta-learn and has no terms.", text)
        self.assertIn("The current-policy term is zero throughout.", text)
        self.assertIn("Agent 0: MetaMAPG, opponent-shaping term", text)
        self.assertIn("cooperation, on held-out tasks", text)
        config = (self.root / "meta" / "config.gin").read_text("utf-8")
        self.assertEqual(page.locator("pre").text_content(), config)
        naive = self.open(self.root / PAGES["naive"]).page.inner_text("main")
        self.assertIn("Agent 0 is recurrent: what it does at the first step is drawn", naive)
        self.assertNotIn("Meta-training", naive)

    def test_a_run_without_its_page(self):
        run_dir = self.root / "without"
        shutil.copytree(self.root / "meta", run_dir)
        report, learned = run_dir / "report.html", run_dir / "learned.npz"
        summaries, before = [json.loads((run_dir / "summary.json").read_text("utf-8"))], self.untimed(report)
        report.unlink()
        # As runs of earlier versions have none.
        self.assertIsNotNone(mapg.load_run(str(run_dir)).summary)
        # A page that cannot be written leaves all else as it is.
        report.mkdir()
        learned.unlink()
        outcome = train(run_dir, "ipd_exact.gin", *META, resume=True)
        self.assertEqual(outcome.status, 1)
        self.assertRegex(outcome.stderr, "^report: .*\nstopped: report could not be written; the results are in ")
        self.assertTrue(learned.exists())
        summaries.append(json.loads((run_dir / "summary.json").read_text("utf-8")))
        report.rmdir()
        outcome = train(run_dir, "ipd_exact.gin", *META, resume=True)
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        self.assertEqual(self.untimed(report), before)
        summaries.append(json.loads((run_dir / "summary.json").read_text("utf-8")))
        for summary in summaries[1:]:
            self.assertEqual(json.dumps(summary["meta_test"]), json.dumps(summaries[0]["meta_test"]))

    def untimed(self, path):
        """A page without how long the run took."""
        return re.sub(r"\d+ s, (not )?compiled", "", path.read_text("utf-8"))


if __name__ == "__main__":
    tf.test.main()
