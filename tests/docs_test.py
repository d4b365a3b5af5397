"""The documentation is built without a warning, with all of its code run, and its pages are looked at in a browser."""

import html.parser
import importlib
import importlib.util
import inspect
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.parse

import numpy as np
import pytest
import tensorflow as tf

from tests import browser
from tf_metamapg import configs

ROOT = pathlib.Path(__file__).parent.parent
# What Sphinx makes beside the pages that somebody has written.
GENERATED = ("genindex", "py-modindex", "search", "_modules")


class Anchors(html.parser.HTMLParser):
    """What a page links to, and what in it may be linked to."""

    def __init__(self, text):
        super().__init__()
        self.links, self.names = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.names.add(attributes.get("id"))
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])


@pytest.mark.slow
@pytest.mark.timeout(3600)  # The tutorials train.
class DocumentationTest(browser.BrowserTests, tf.test.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.built = pathlib.Path(directory.name) / "html"
        command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", str(ROOT / "docs"), str(cls.built)]
        built = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        if built.returncode:
            raise AssertionError(f"{' '.join(command)}:\n{built.stderr[-8000:]}")
        cls.pages = [
            path for path in sorted(cls.built.rglob("*.html"))
            if path.relative_to(cls.built).parts[0].removesuffix(".html") not in GENERATED
        ]

    def test_pages_by_name(self):
        names = {str(path.relative_to(self.built)) for path in self.pages}
        self.assertContainsSubset(["index.html", "theory/theorem.html", "reference/agents.html", "results.html"], names)

    def test_links_lead_somewhere(self):
        anchors = {path.resolve(): Anchors(path.read_text("utf-8")) for path in self.built.rglob("*.html")}
        for page in self.pages:
            for link in anchors[page.resolve()].links:
                target = urllib.parse.urlsplit(link)
                if target.scheme or link.startswith("//"):
                    continue
                path = (page.parent / urllib.parse.unquote(target.path)).resolve() if target.path else page.resolve()
                self.assertTrue(path.exists(), f"{page.name}: {link}")
                if target.fragment and path in anchors:
                    self.assertIn(urllib.parse.unquote(target.fragment), anchors[path].names, f"{page.name}: {link}")

    def test_pages_at_the_width_of_a_desktop_and_of_a_phone(self):
        for page in self.pages:
            for width in (browser.DESKTOP, browser.PHONE):
                with self.subTest(page=page.name, width=width):
                    opened = self.open(page, width)
                    self.assertEmpty(opened.errors)
                    for request in opened.requests:
                        self.assertTrue(request.startswith(("file:", "data:")), request)
                    self.assertLessEqual(opened.overflow, 0)
                    self._check_formulas(opened.page)
                    self._check_figures(opened.page, width)
                    opened.page.close()

    def _check_formulas(self, page):
        n_formulas = page.locator("article .math").count()
        if n_formulas:
            page.evaluate("MathJax.startup.promise.then(() => null)")
            self.assertEqual(page.locator("article .math mjx-container").count(), n_formulas)
            self.assertEqual(page.locator("mjx-merror").count(), 0)

    def _check_figures(self, page, width):
        for figure in page.locator("article img").all():
            shown = figure.evaluate("image => [image.naturalWidth, image.getBoundingClientRect().width, image.alt]")
            self.assertGreater(shown[0], 0, "a figure that is not there")
            self.assertGreaterEqual(shown[1], min(shown[0], 0.7 * width if width == browser.PHONE else 300))
            self.assertNotEmpty(shown[2], "a figure without words for who does not see it")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def slope(x):
    return sigmoid(x) * (1 - sigmoid(x))


def reference():
    """The extension of the documentation that makes the reference."""
    path = ROOT / "docs" / "_extensions" / "reference.py"
    spec = importlib.util.spec_from_file_location("reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def undescribed(values: tf.Tensor):
    return values


def without_shapes(values: tf.Tensor):
    """Values as they are."""
    return values


class FromNowhere:
    """An agent of which nobody knows where it is from."""

    def update(self, params: tf.Tensor):
        return params


class ReferenceTest(tf.test.TestCase):

    def test_all_that_is_public_is_described(self):
        checked = reference()
        for page, modules in checked.pages().items():
            for module, names in modules.items():
                for name in names:
                    self.assertEmpty(list(checked.lacks(page, module, name)))

    def test_all_that_train_is_bound_with_is_described(self):
        described = "".join(
            getattr(importlib.import_module(module), name).__doc__ or ""
            for page in ("runs", "training") for module, names in reference().pages()[page].items() for name in names
        )
        # Without what no config can bind.
        parameters = {*inspect.signature(configs.make_experiment).parameters} - {"stored_jit_compile"}
        self.assertEmpty([name for name in parameters if not re.search(rf"^ +{name}: ", described, re.MULTILINE)])

    def test_what_descriptions_lack_is_found(self):
        for page, name, expected in (
            ("games", "undescribed", ["has no docstring", "does not say the shapes"]),
            ("games", "without_shapes", ["does not say the shapes"]),
            ("agents", "FromNowhere", ["publication", "update: has no docstring", "update: does not say the shapes"]),
        ):
            found = list(reference().lacks(page, __name__, name))
            self.assertLen(found, len(expected))
            for line, text in zip(found, expected):
                self.assertIn(text, line)


class WordsTest(tf.test.TestCase):

    def test_numbers_of_the_dilemma_that_is_played_once(self):
        """By its closed forms: V¹ = 2q − p − 2, from θ = 0, with steps of 1."""
        text = (ROOT / "docs" / "theory" / "inner_updates.md").read_text("utf-8").replace("−", "-")
        self.assertIn(f"{-slope(-0.25):.5f}", text)
        rewards = {"CC": (-1, -1), "CD": (-3, 0), "DC": (0, -3), "DD": (-2, -2)}
        scores = {"C": 0.5, "D": -0.5}
        current_policy = self_shaping = 0.0
        for (own, other), (reward, others_reward) in rewards.items():
            phi, others_phi = scores[own] * reward, scores[other] * others_reward
            value, factor = 2 * sigmoid(others_phi) - sigmoid(phi) - 2, 1 - reward / 4
            current_policy += scores[own] * value / 4
            self_shaping -= slope(phi) * factor / 4
            row = next(line for line in text.splitlines() if line.startswith(f"| {own}{other} |"))
            numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", row)]
            expected = [reward, others_reward, phi, others_phi, value, scores[own], factor]
            self.assertAllClose(numbers, expected, atol=6e-6)
        for number in (current_policy, self_shaping, current_policy + self_shaping):
            self.assertIn(f"{number:.5f}", text)


if __name__ == "__main__":
    tf.test.main()
