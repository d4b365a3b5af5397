"""Drawings for pages: small SVG in which the lines of every seed have a class of their own.

Lines of seed 3 have the class `seed-3`, by which a page hides them, and say which seed they are where they are pointed
at. The same values give the same bytes, whatever a user's matplotlibrc says.
"""

from collections.abc import Sequence
import io
import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import matplotlib.figure
import matplotlib.style
import matplotlib.ticker
import numpy as np

from tf_metamapg.runs import statistics

# Of how many seeds there are lines, and how many points a line has, at most.
MOST_SEEDS, MOST_POINTS = 50, 300
_WIDTH, _HEIGHT, _WIDER = 4.4, 2.9, 9.0  # Inches of 72 units.
_SEED, _MEAN = "#767676", "#0b5fa5"
_STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "tf_metamapg", "font.size": 9, "axes.spines.top": False,
    "axes.spines.right": False, "axes.edgecolor": "#444444", "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "#e2e2e2", "grid.linewidth": 0.6, "xtick.bottom": False, "ytick.left": False,
    "ytick.minor.left": False,
}

_FAMILY = re.compile(r" ?font-family:[^;]*;?")
_SMALL_DIGITS = re.compile(r"-?\d+\.\d{3,}")
_LINES = re.compile(r"(?:[ML] -?[\d.]+ -?[\d.]+\s*)+")


def shown_points(n_points: int) -> np.ndarray:
    """Indices of the points that lines have, the first and the last among them, evenly spread."""
    return np.unique(np.linspace(0, n_points - 1, min(n_points, MOST_POINTS)).round().astype(int))


def limits(values: Sequence[np.ndarray], is_log: bool = False) -> tuple[float, float]:
    """Between what an axis goes on which all of several arrays are drawn."""
    flat = np.concatenate([np.ravel(one) for one in values])
    flat = flat[np.isfinite(flat) & ((flat > 0.0) | (not is_log))]
    low, high = (float(flat.min()), float(flat.max())) if flat.size else (1.0, 1.0)
    if is_log:
        margin = max((high / low) ** 0.05, 1.1)
        return low / margin, high * margin
    margin = 0.05 * (high - low) or 0.05 * max(abs(high), 1.0)
    return low - margin, high + margin


def curves(
    values: np.ndarray, x: Sequence[int] | np.ndarray, seeds: Sequence[int], *, label: str, what: str, counted: str,
    between: tuple[float, float], is_log: bool = False,
) -> str:
    """Every seed as a thin line, the mean over seeds as a strong one, with its 95% interval.

    Args:
        values: array [S, X]; NaN is what there is not.
        x: X numbers.
        seeds: the S seeds.
        label: what is drawn, in words.
        what: what the values are.
        counted: what is counted along x.
        between: the limits of the axis of values.
        is_log: whether it is logarithmic; what is not positive is left out then.

    Returns:
        an SVG element, as text.
    """
    with matplotlib.style.context(["default", _STYLE]):
        figure, panel = _panel(what, counted, between)
        if is_log:
            panel.set_yscale("log")
            panel.set_ylim(between)
            digits = (1.0,) if between[1] > 100.0 * between[0] else (1.0, 2.0, 5.0)
            panel.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=digits, numticks=8))
            panel.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
            panel.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
        mean, half_width = statistics.mean_and_interval(values)
        low, high = (np.clip(mean + sign * half_width, *between) for sign in (-1.0, 1.0))
        values, mean = (np.where((drawn > 0.0) | (not is_log), drawn, np.nan) for drawn in (values, mean))
        panel.fill_between(x, low, high, color=_MEAN, alpha=0.2, linewidth=0)
        for seed, line in list(zip(seeds, values))[:MOST_SEEDS]:
            panel.plot(x, line, gid=f"seed-{seed}", color=_SEED, marker=_lone_marker(line), markersize=3)
        panel.plot(x, mean, color=_MEAN, linewidth=1.8, marker="o", markersize=3.5 if len(mean) <= 20 else 0)
        panel.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        if len(x) == 1:
            panel.set_xticks(x)
        return _svg(figure, label)


def pairs(
    first: np.ndarray, second: np.ndarray, names: Sequence[str], seeds: Sequence[int], *, label: str, what: str,
    counted: str, between: tuple[float, float],
) -> str:
    """Two values of each seed at each of several places, joined by a thin line; means as dots, with 95% intervals.

    Args:
        first, second: arrays [S, X].
        names: of the X places.
        seeds: the S seeds.
        label, what, counted, between: see `curves`.

    Returns:
        an SVG element, as text. Dots of `first` are hollow, on the left, those of `second` are full, on the right.
    """
    with matplotlib.style.context(["default", _STYLE]):
        places = np.arange(len(names))
        # Names of a sweep differ at their ends.
        short = [name if len(name) <= 18 else f"…{name[-17:]}" for name in names]
        longest = max(map(len, short))
        is_turned = longest > 4
        room = 0.15 + 0.045 * longest if is_turned else 0.48
        figure, panel = _panel(what, counted, between, is_wide(len(names)), room)
        ends = np.stack([places - 0.2, places + 0.2, np.full(len(names), np.nan)], axis=-1).ravel()
        joined = np.stack([first, second, np.full(first.shape, np.nan)], axis=-1).reshape(len(first), -1)
        for seed, line in list(zip(seeds, joined))[:MOST_SEEDS]:
            panel.plot(ends, line, gid=f"seed-{seed}")
        for values, shift, face in ((first, -0.2, "white"), (second, 0.2, _MEAN)):
            mean, half_width = statistics.mean_and_interval(values)
            below = mean - np.maximum(mean - half_width, between[0])
            above = np.minimum(mean + half_width, between[1]) - mean
            panel.errorbar(
                places + shift, mean, yerr=[below, above], fmt="o", color=_MEAN, markerfacecolor=face, markersize=4.5,
                linewidth=1.2, zorder=4,
            )
        every = -(-len(names) // 32)
        turned = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if is_turned else {}
        panel.set_xticks(places[::every], short[::every], parse_math=False, **turned)
        panel.grid(axis="x", visible=False)
        return _svg(figure, label)


def is_wide(n_places: int) -> bool:
    """Whether `pairs` at so many places are wider than other drawings."""
    return n_places > 12


def colours(value: float, between: tuple[float, float]) -> tuple[str, str]:
    """(the colour of a number between two others, that of text upon it): dark blue is little, yellow is much."""
    low, high = between
    red, green, blue, _ = matplotlib.colormaps["viridis"]((value - low) / (high - low) if high > low else 0.5)
    # Relative luminance, as contrast between colours is defined by.
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
    luminance = float(np.dot([0.2126, 0.7152, 0.0722], linear))
    text = "#ffffff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "#000000"
    return matplotlib.colors.to_hex((red, green, blue)), text


def _panel(what, counted, between, is_wider=False, room=0.48):
    """A figure and its axes, with room for what stands below them."""
    figure = matplotlib.figure.Figure(figsize=(_WIDER if is_wider else _WIDTH, _HEIGHT))
    # Room for labels, in inches; to compute it takes as long as all of the drawing.
    width, height = figure.get_size_inches()
    panel = figure.add_axes((0.72 / width, room / height, 1.0 - 0.76 / width, 1.0 - (room + 0.06) / height))
    panel.set_ylim(between)
    panel.set_xlabel(counted, parse_math=False)
    panel.set_ylabel(what, parse_math=False, fontsize=min(9.0, 340.0 / max(len(what), 1)))
    return figure, panel


def _lone_marker(line):
    """What has no neighbour has no line."""
    return "o" if np.sum(np.isfinite(line)) == 1 else None


def _svg(figure, label):
    """What matplotlib writes, with less of it: an element that can stand in a page."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ElementTree.fromstring(text.getvalue())
    _strip(root, within_definitions=False)
    box = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update({"viewBox": box, "role": "img", "aria-label": label})
    return ElementTree.tostring(root, encoding="unicode")


def _strip(element, within_definitions):
    """Leaves out names of namespaces, ids but of what is used again, styles of pages, and digits that nobody sees."""
    element.tag = _local(element.tag)
    within_definitions = within_definitions or element.tag == "defs"
    attributes = {_local(name): _SMALL_DIGITS.sub(_rounded, value) for name, value in element.attrib.items()}
    gid = attributes.get("id", "")
    if not within_definitions:
        attributes.pop("id", None)
    attributes.pop("clip-path", None)  # Axes are made for all that is drawn.
    if "style" in attributes:
        attributes["style"] = _FAMILY.sub("", attributes["style"])  # The page has one.
    element.attrib.clear()
    element.attrib.update(attributes)
    element.text = element.text and element.text.strip()
    element.tail = None
    for child in [*element]:
        if _local(child.tag) in ("metadata", "style", "clipPath"):
            element.remove(child)
        else:
            _strip(child, within_definitions)
    if gid.startswith("seed-"):
        _mark(element, gid)


def _mark(element, gid):
    """Makes a group a seed's: how its lines look is a matter of the page."""
    element.attrib["class"] = f"seed {gid}"
    for path in element.iter("path"):
        points = path.attrib.get("d", "").strip()  # There are none of what is nowhere a number.
        if _LINES.fullmatch(points):
            path.attrib.clear()
            path.attrib.update({"d": _steps(points), "transform": "scale(.1)"})
    title = ElementTree.Element("title")
    title.text = gid.replace("-", " ")
    element.insert(0, title)


def _local(name):
    """A name without its namespace."""
    return name.rpartition("}")[2]


def _rounded(found):
    return f"{float(found.group()):.2f}".rstrip("0").rstrip(".")


def _steps(path):
    """A path of moves and lines by what there is from point to point, in tenths of a unit."""
    tokens = path.split()
    written, last_x, last_y, last_command = [], 0, 0, ""
    for command, x, y in zip(tokens[::3], tokens[1::3], tokens[2::3]):
        x, y = round(float(x) * 10), round(float(y) * 10)
        step = f"{x - last_x} {y - last_y}".replace(" -", "-")
        if command != "L" or last_command != "L":
            step = command.lower() + step
        elif not step.startswith("-"):
            step = " " + step
        written.append(step)
        last_x, last_y, last_command = x, y, command
    return "".join(written)
