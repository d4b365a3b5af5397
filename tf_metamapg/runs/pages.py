"""Pages to look at: one HTML file each, which asks for nothing else, so that it opens anywhere.

What is said on it is text, whatever stands in it: the template escapes it, and no script runs but the page's own.
"""

import base64
from collections.abc import Sequence
import hashlib
import pathlib
from typing import NamedTuple
import urllib.parse

import jinja2
import markupsafe
import numpy as np

from tf_metamapg.runs import drawings
from tf_metamapg.runs import files
from tf_metamapg.runs import statistics

_TEMPLATES = pathlib.Path(__file__).parent / "templates"


class Figure(NamedTuple):
    """A drawing with what stands above it."""

    caption: str
    svg: str
    is_wide: bool = False


class Cell(NamedTuple):
    """A cell of a table that is more than a text.

    Attributes:
        text: what stands in it.
        hint: what is said where it is pointed at.
        colours: its own and that of the text.
        link: a path that it leads to.
    """

    text: str
    hint: str = ""
    colours: tuple[str, str] | None = None
    link: str = ""


class Table(NamedTuple):
    """Texts or Cells in rows, whose first cells name them."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]


class Section(NamedTuple):
    """A part of a page: what there is of these comes in this order, figures in rows."""

    title: str
    texts: Sequence[str] = ()
    figures: Sequence[Sequence[Figure]] = ()
    tables: Sequence[Table] = ()
    code: str = ""


class Page(NamedTuple):
    """All that a page says.

    Attributes:
        title: above it.
        lead: the result, in a paragraph.
        seeds: whose lines can be hidden; () where there are no lines.
        sections: its parts.
    """

    title: str
    lead: str
    seeds: Sequence[int]
    sections: Sequence[Section]


def write(path: files.PathLike, page: Page) -> None:
    """Writes a page, whole."""
    style, script = ((_TEMPLATES / name).read_text("utf-8") for name in ("page.css", "page.js"))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    files.write_text(path, environment.get_template("page.html").render(
        page=page, style=markupsafe.Markup(style), script=markupsafe.Markup(script), script_digest=digest,
        svg=markupsafe.Markup, link=urllib.parse.quote, most_seeds=drawings.MOST_SEEDS, Cell=Cell,
        is_cell=lambda cell: isinstance(cell, Cell),
    ))


def with_interval(values: np.ndarray) -> str:
    """The mean of [S] and its 95% interval, as text."""
    mean, half_width = statistics.mean_and_interval(values)
    return f"{mean:+.3f} ± {half_width:.3f}"


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table of texts, what columns are first, as Markdown."""
    header, *others = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([header, "|" + "---|" * len(rows[0]), *others])


def by_seed(
    caption: str, columns: dict[str, np.ndarray], seeds: Sequence[int], notes: dict[int, str], *, least: str = ""
) -> Table:
    """A table of all seeds.

    Args:
        caption: above it.
        columns: {name: array [S]}, NaN where something is not defined.
        seeds: the S seeds.
        notes: what else is said of a seed.
        least: what the least of each column is marked by, if it is.
    """
    def cell(values, row):
        if np.isnan(values[row]):
            return "not defined"
        is_least = least and row == np.nanargmin(values)
        return f"{values[row]:+.3f}{f' ({least})' if is_least else ''}"

    rows = []
    for row, seed in enumerate(seeds):
        cells = [cell(values, row) for values in columns.values()]
        rows.append([f"seed {seed}", *cells, *([notes.get(seed, "")] if notes else [])])
    return Table(caption, ["", *columns, *(["note"] if notes else [])], rows)


def coloured(
    caption: str, corner: str, rows: Sequence[str], columns: Sequence[str], values: np.ndarray,
    hints: Sequence[Sequence[str]], between: tuple[float, float],
) -> Table:
    """A table of numbers with colours; where there is none, NaN, nothing stands.

    Args:
        caption: above it.
        corner: what rows and columns are.
        rows, columns: their names.
        values: array [rows, columns].
        hints: what is said where a number is pointed at.
        between: the numbers that have the first and the last colour.
    """
    cells = [
        [
            Cell(f"{value:+.3f}", hint, drawings.colours(value, between)) if np.isfinite(value) else ""
            for value, hint in zip(row_values, row_hints)
        ]
        for row_values, row_hints in zip(values, hints)
    ]
    return Table(caption, [corner, *columns], [[name, *row] for name, row in zip(rows, cells)])
