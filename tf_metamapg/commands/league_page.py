"""The page of a league: who gets what from whom, as tables with colours, and all of their numbers."""

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from tf_metamapg.league import Match
from tf_metamapg.runs import files
from tf_metamapg.runs import pages
from tf_metamapg.runs.pages import Cell
from tf_metamapg.runs.pages import Section
from tf_metamapg.runs.pages import Table


def write(
    path: files.PathLike, title: str, lead: str, *, tables: Mapping[str, Sequence[Sequence[str]]],
    matches: Mapping[str, Sequence[Match]], links: Mapping[str, str],
) -> None:
    """Writes the page.

    Args:
        path: of the file.
        title: above it.
        lead: what numbers are of.
        tables: {who adapts: the table that is printed, what columns are first}.
        matches: {who adapts: matches}.
        links: {what: a path beside the page}.
    """
    sections = [
        Section(f"{who_adapts[0].upper()}{who_adapts[1:]}", [
            "What the row gets from the column, yellow for much and dark blue for little; where a number is pointed "
            "at, its interval and the worst seed, which stand in the last table, too.",
        ], tables=[
            *_matrices(matches[who_adapts]), Table("All numbers", table[0], table[1:]),
        ])
        for who_adapts, table in tables.items()
    ]
    sections.append(Section("Files", tables=[Table("Beside this page", ["file"], [
        [Cell(what, link=link)] for what, link in links.items()
    ])]))
    pages.write(path, pages.Page(title, lead, (), sections))


def _matrices(matches):
    """What rows get from columns before inner updates and after the last, with colours of one scale."""
    rows, columns = (list(dict.fromkeys(getattr(match, which) for match in matches)) for which in ("row", "column"))
    values = np.full([2, len(rows), len(columns)], np.nan)
    hints = [[[""] * len(columns) for _ in rows] for _ in range(2)]
    for match in matches:
        row, column = rows.index(match.row), columns.index(match.column)
        for index, update in enumerate((0, -1)):
            by_seed = match.mean_reward[:, :, update].mean(axis=1)
            values[index, row, column] = by_seed[:, 0].mean()
            hints[index][row][column] = (
                f"{match.row} from {match.column}: {pages.with_interval(by_seed[:, 0])}, worst seed "
                f"{by_seed[:, 0].min():+.3f}; {match.column} gets {pages.with_interval(by_seed[:, 1])}"
            )
    between = float(np.nanmin(values)), float(np.nanmax(values))
    captions = ("Before inner updates", "After the last inner update")
    return [
        pages.coloured(caption, "row \\ column", rows, columns, own_values, own_hints, between)
        for caption, own_values, own_hints in zip(captions, values, hints)
    ]
