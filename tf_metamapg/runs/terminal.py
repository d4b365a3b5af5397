"""All that is printed: plain text where stdout is no terminal; colour, and columns that fit it, where it is one."""

from collections.abc import Callable
from collections.abc import Sequence
import itertools
import os
import re
import sys
import textwrap
from typing import NamedTuple

import rich.console
import rich.table
import rich.text

_DEFAULT_WIDTH = 80
_NUMBER = re.compile(r"[-+−]?\d+(\.\d+)?")

# Styles of rich, which leaves out the colours where NO_COLOR is set.
_BEST, _WORST = "bold", "red"


class Bold(str):
    """A piece of a text."""


class Table(NamedTuple):
    """A table of a report; its first column names the rows."""

    plain: str  # what stands where there is no terminal
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    is_ranked: bool = True  # whether a number can be the best or the worst of its column

    def __str__(self) -> str:
        return self.plain


def say(text: str) -> None:
    """Prints lines at once."""
    report(text)


def heading(text: str) -> None:
    """Prints lines at once, which are bold on a terminal."""
    report(Bold(text))


def report(*parts: str | Table, better: Callable[[Sequence[float]], float] | None = None) -> None:
    """Prints a text with tables in it.

    Args:
        *parts: pieces of the text, printed one after the other, and then the end of a line.
        better: `max` or `min`: which number of a column is the best, to be bold; the worst is red. By default neither
            is marked.
    """
    if is_one():
        # The width and the streams are those of now.
        console = rich.console.Console(file=sys.stdout, width=width(), highlight=False, markup=False, emoji=False)
        parts = tuple(_shown(console, part, better) for part in parts)
    print("".join(map(str, parts)), flush=True)


def markdown(text: str, better: Callable[[Sequence[float]], float] | None = None) -> None:
    """Prints Markdown as it stands, or on a terminal with its tables as columns and its paragraphs filled.

    Args:
        text: the Markdown.
        better: see `report`.
    """
    report(*(_of_markdown(text) if is_one() else [text]), better=better)


def is_one() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout.isatty()


def width() -> int:
    """How many columns the terminal has, by the variable COLUMNS if it is set."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or _DEFAULT_WIDTH
    except OSError:
        return _DEFAULT_WIDTH


def bar_colour() -> str | None:
    """The colour of a progress bar; None where nobody wants any."""
    return None if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else "green"


def _shown(console, part, better):
    """What a terminal is sent for a part."""
    with console.capture() as sent:
        if isinstance(part, Table):
            console.print(_columns(part, better if part.is_ranked else None))
        else:
            for line in part.split("\n"):
                style = "bold" if isinstance(part, Bold) or line.startswith("#") else ""
                console.print(rich.text.Text(_wrapped(line, console.width), style), soft_wrap=True)
    return sent.get().removesuffix("\n")


def _wrapped(line, columns):
    """The line in pieces that fit; a path that is too long the terminal wraps itself, so that it can be copied."""
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.fill(
        line, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _columns(table, better):
    """What rich makes columns of, with cells of several lines where the terminal is narrow."""
    shown = rich.table.Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    columns = list(zip(*table.rows))
    for name, cells in zip(table.header, columns):
        is_number = all(not cell or _NUMBER.match(cell) for cell in cells)
        shown.add_column(rich.text.Text(name), justify="right" if is_number else "left", overflow="fold")
    styles = [[""] * len(table.rows), *(_styles(cells, better) for cells in columns[1:])]
    for cells, own in zip(table.rows, zip(*styles)):
        shown.add_row(*map(rich.text.Text, cells, own))
    return shown


def _styles(cells, better):
    """The styles of a column's cells, by the number that each begins with."""
    numbers = [_NUMBER.match(cell) for cell in cells]
    values = [None if number is None else float(number[0].replace("−", "-")) for number in numbers]
    known = [value for value in values if value is not None]
    if better is None or len(set(known)) < 2:
        return [""] * len(cells)
    best, worst = better(known), min(known) if better is max else max(known)
    return [_BEST if value == best else _WORST if value == worst else "" for value in values]


def _of_markdown(text):
    """Its tables as `Table`s, and what stands between them with one line for each paragraph."""
    parts: list[str | Table] = []
    for is_table, group in itertools.groupby(text.split("\n"), lambda line: line.startswith("|")):
        lines = list(group)
        if is_table:
            header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
            parts += [Table("\n".join(lines), header, rows), "\n"]
        else:
            parts += [_filled(lines), "\n"]
    return parts[:-1]


def _filled(lines):
    """The lines with one for each paragraph."""
    paragraphs: list[str] = []
    for is_blank, group in itertools.groupby(lines, lambda line: not line):
        own = list(group)
        paragraphs += own if is_blank else [" ".join(own)]
    return "\n".join(paragraphs)
