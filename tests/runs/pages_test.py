"""Proves that pages say what they are given, as text, and mark the worst in words."""

import html
import pathlib
import re
import warnings

import numpy as np
import tensorflow as tf

from tf_metamapg.runs import pages
from tf_metamapg.runs.pages import Cell
from tf_metamapg.runs.pages import Figure
from tf_metamapg.runs.pages import Page
from tf_metamapg.runs.pages import Section
from tf_metamapg.runs.pages import Table

EVIL = "</pre><script>alert('x')</script>\"&amp;"


class PagesTest(tf.test.TestCase):

    def written(self, page):
        path = pathlib.Path(self.get_temp_dir()) / "page.html"
        pages.write(path, page)
        return path.read_text("utf-8")

    def test_all_texts_are_escaped(self):
        cell = Cell(EVIL, hint=EVIL, colours=("#ffffff", "#000000"), link=EVIL)
        table = Table(EVIL, [EVIL, EVIL], [[EVIL, cell], [cell, EVIL]])
        figure = Figure(EVIL, "<svg></svg>")
        text = self.written(Page(EVIL, EVIL, [0], [Section(EVIL, [EVIL], [[figure]], [table], EVIL)]))
        self.assertLen(re.findall("<script>", text), 1)
        self.assertNotIn(EVIL, text)
        self.assertIn(f"<p>{html.escape(EVIL).replace('&quot;', '&#34;').replace('&#x27;', '&#39;')}</p>", text)
        self.assertIn('href="%3C/pre%3E%3Cscript%3E', text)
        self.assertIn("<svg></svg>", text)

    def test_the_same_bytes(self):
        page = Page("title", "lead", range(3), [Section("section", ["text"])])
        self.assertEqual(self.written(page), self.written(page))

    def test_controls_are_of_seeds_that_have_lines(self):
        self.assertNotIn("<fieldset", self.written(Page("title", "lead", (), [])))
        for n_seeds, n_shown in ((50, 50), (70, 50)):
            text = self.written(Page("title", "lead", range(7, 7 + n_seeds), []))
            found = re.findall(r'data-seed="seed-(\d+)"', text)
            self.assertEqual([*map(int, found)], [*range(7, 7 + n_shown)])
            self.assertEqual("Only the first 50 seeds have lines." in text, n_seeds > 50)
            self.assertIn(f"all {n_seeds} seeds", text)

    def test_the_worst_seed_of_each_column_is_marked(self):
        columns = {"a": np.array([1.0, -2.0, 3.0]), "b": np.array([0.5, 0.25, -0.125])}
        table = pages.by_seed("caption", columns, [4, 5, 6], {6: "exported"}, least="worst")
        self.assertEqual(table, Table("caption", ["", "a", "b", "note"], [
            ["seed 4", "+1.000", "+0.500", ""], ["seed 5", "-2.000 (worst)", "+0.250", ""],
            ["seed 6", "+3.000", "-0.125 (worst)", "exported"],
        ]))
        self.assertEqual(pages.by_seed("caption", columns, [4, 5, 6], {}).rows[0], ["seed 4", "+1.000", "+0.500"])

    def test_what_is_not_defined_is_not_the_worst(self):
        columns = {"a": np.array([np.nan, -2.0, 3.0]), "b": np.full(3, np.nan)}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            rows = pages.by_seed("caption", columns, [4, 5, 6], {}, least="worst").rows
        self.assertEqual([*zip(*rows)][1:], [("not defined", "-2.000 (worst)", "+3.000"), ("not defined",) * 3])

    def test_colours_are_of_one_scale(self):
        values = np.array([[0.0, 1.0], [np.nan, 0.5]])
        table = pages.coloured("caption", "corner", ["r", "s"], ["c", "d"], values, [["1", "2"], ["", "3"]], (0.0, 1.0))
        self.assertEqual(table.header, ["corner", "c", "d"])
        (_, low, high), (_, absent, middle) = table.rows
        self.assertEqual((low.text, low.hint, low.colours), ("+0.000", "1", ("#440154", "#ffffff")))
        self.assertEqual((high.text, high.hint, high.colours), ("+1.000", "2", ("#fde725", "#000000")))
        self.assertEqual((absent, middle.text), ("", "+0.500"))

    def test_markdown(self):
        self.assertEqual(pages.as_markdown([["a", "b"], ["1", "2"]]), "| a | b |\n|---|---|\n| 1 | 2 |")


if __name__ == "__main__":
    tf.test.main()
