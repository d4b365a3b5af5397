"""Proves that drawings have every seed's values in lines of its own, and are small."""

import re
import xml.etree.ElementTree as ElementTree

from absl.testing import parameterized
import matplotlib
import numpy as np
import tensorflow as tf

from tf_metamapg.runs import drawings

SEEDS = range(3, 6)


def curves(values, seeds=SEEDS, **kwargs):
    is_log = kwargs.get("is_log", False)
    return drawings.curves(
        values, range(values.shape[1]), seeds, label="label", what="what", counted="counted",
        between=drawings.limits([values], is_log), **kwargs,
    )


def points(path):
    """The points of a path of steps, without where it begins anew."""
    steps = re.findall(r"([ml]?) ?(-?\d+) ?(-?\d+)", path)
    return np.cumsum([(int(x), int(y)) for _, x, y in steps], axis=0)


def lines(svg):
    """{class: points of the seed's line}."""
    groups = [element for element in ElementTree.fromstring(svg).iter("g") if "class" in element.attrib]
    return {group.attrib["class"]: points(group.find("path").attrib["d"]) for group in groups}


class DrawingsTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        self.values = np.random.default_rng(0).normal(size=[len(SEEDS), 7]).cumsum(axis=1)

    def test_lines_are_values_on_one_scale(self):
        found = lines(curves(self.values))
        self.assertEqual([*found], [f"seed seed-{seed}" for seed in SEEDS])
        drawn = np.stack([*found.values()])
        self.assertAllEqual(np.ptp(drawn[..., 0], axis=0), np.zeros(7))
        # Down is much; a unit is a tenth of one of the drawing's.
        low, high = drawn[..., 1].max(), drawn[..., 1].min()
        expected = low + (high - low) * (self.values - self.values.min()) / np.ptp(self.values)
        self.assertAllClose(drawn[..., 1], expected, rtol=0, atol=1.5)

    def test_logarithms(self):
        values = np.array([[1e-3, 1.0, 1e3], [1.0, 0.0, 1.0], [1e3, 1.0, 1e-3]])
        first, second, third = (own[:, 1] for own in lines(curves(values, is_log=True)).values())
        self.assertAllClose(np.diff(first), [first[1] - first[0]] * 2, rtol=0, atol=1.5)
        self.assertAllClose(first, third[::-1], rtol=0, atol=1)
        # What is not positive is left out.
        self.assertAllEqual(second, [first[1]] * 2)

    def test_pairs_join_what_is_of_a_seed(self):
        first, second = np.array([[0.0, 0.2], [1.0, 0.5]]), np.array([[1.0, 0.2], [1.0, 0.0]])
        svg = drawings.pairs(
            first, second, ["a", "b"], range(2), label="label", what="what", counted="", between=(0.0, 1.0)
        )
        found = lines(svg)
        zero, one = found["seed seed-1"][3, 1], found["seed seed-1"][0, 1]
        for own, before, after in zip(found.values(), first, second):
            expected = np.stack([before, after], axis=-1).ravel()
            self.assertAllClose((own[:, 1] - zero) / (one - zero), expected, rtol=0, atol=2e-3)

    def test_texts_are_texts(self):
        svg = drawings.curves(
            self.values, range(7), SEEDS, label='"><script>', what="<script>$x", counted="&amp;", between=(0.0, 1.0)
        )
        root = ElementTree.fromstring(svg)
        self.assertEqual(root.attrib["aria-label"], '"><script>')
        self.assertContainsSubset(["<script>$x", "&amp;"], [text.text for text in root.iter("text")])
        self.assertEmpty([*root.iter("script")])
        self.assertEqual([title.text for title in root.iter("title")], [f"seed {seed}" for seed in SEEDS])

    def test_same_bytes(self):
        svg = curves(self.values)
        with matplotlib.rc_context({"lines.linewidth": 7.0, "font.size": 20.0, "text.usetex": True}):
            self.assertEqual(curves(self.values), svg)
        for absent in ("dc:date", "xmlns", "font-family", "clip", "id=\"line"):
            self.assertNotIn(absent, svg)

    def test_small(self):
        values = np.random.default_rng(0).normal(size=[20, 300])
        self.assertLess(len(curves(values, range(20))), 60_000)
        many = np.random.default_rng(0).normal(size=[drawings.MOST_SEEDS + 10, 2])
        self.assertLen(lines(curves(many, range(len(many)))), drawings.MOST_SEEDS)

    @parameterized.parameters((1, [0]), (3, [0, 1, 2]), (300, [*range(300)]))
    def test_all_points_are_shown(self, n_points, expected):
        self.assertAllEqual(drawings.shown_points(n_points), expected)

    def test_of_many_points_some_are_shown(self):
        shown = drawings.shown_points(12345)
        self.assertEqual((len(shown), shown[0], shown[-1]), (drawings.MOST_POINTS, 0, 12344))
        self.assertAllInRange(np.diff(shown), 41, 42)

    def test_values_that_are_all_one_can_be_drawn(self):
        for value in (0.0, -3.0, np.nan):
            curves(np.full([1, 1], value), [0])

    @parameterized.parameters(*np.linspace(-1.0, 1.0, 41).tolist())
    def test_text_can_be_read_on_its_colour(self, value):
        def luminance(colour):
            parts = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255.0
            linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
            return linear @ [0.2126, 0.7152, 0.0722]

        darker, lighter = sorted(map(luminance, drawings.colours(value, (-1.0, 1.0))))
        self.assertGreaterEqual((lighter + 0.05) / (darker + 0.05), 4.5)


if __name__ == "__main__":
    tf.test.main()
