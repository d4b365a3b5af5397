"""The page of a comparison of configs."""

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from tf_metamapg.runs import drawings
from tf_metamapg.runs import files
from tf_metamapg.runs import pages
from tf_metamapg.runs.pages import Cell
from tf_metamapg.runs.pages import Figure
from tf_metamapg.runs.pages import Section
from tf_metamapg.runs.pages import Table

_REWARD = "mean reward per step"


def write(
    path: files.PathLike, title: str, lead: str, *, table: Sequence[Sequence[str]], curves: Mapping[str, np.ndarray],
    scores: Mapping[str, np.ndarray], moments: Mapping[str, Mapping[str, np.ndarray]], seeds: Sequence[int],
    sweeps: Sequence[Table], links: Mapping[str, str],
) -> None:
    """Writes the page.

    Args:
        path: of the file.
        title: above it.
        lead: what numbers are of.
        table: the table that is printed, what columns are first.
        curves: {run: mean rewards against inner updates, [S, L + 1]}.
        scores: {run: [S]}.
        moments: {when: {run: mean rewards [S] then}}, by which runs are compared.
        seeds: the S seeds.
        sweeps: tables of scores by what is swept over.
        links: {what: a path beside the page}.
    """
    names, first = [*curves], next(iter(curves))
    others, rewards = [name for name in names if name != first], drawings.limits([*curves.values()])

    def pairs(when: str, by_run: Mapping[str, np.ndarray]) -> Figure:
        drawn = drawings.pairs(
            np.stack([by_run[first]] * len(others), axis=1), np.stack([by_run[name] for name in others], axis=1),
            others, seeds, label=f"{_REWARD} of each run {when}, beside that of {first}", what=_REWARD, counted="",
            between=drawings.limits([*by_run.values()]),
        )
        return Figure(f"{when[0].upper()}{when[1:]}, beside {first}", drawn, drawings.is_wide(len(others)))

    def differences(when: str, by_run: Mapping[str, np.ndarray]) -> Table:
        caption = f"Mean rewards {when} less those of {first}; the least of each column is the worst"
        return pages.by_seed(caption, {name: by_run[name] - by_run[first] for name in others}, seeds, {}, least="worst")

    pages.write(path, pages.Page(title, lead, seeds, [
        Section("Runs", tables=[Table("Means and 95% intervals over seeds", table[0], table[1:])]),
        *([Section("Sweep", tables=sweeps)] if sweeps else []),
        Section("Against inner updates", figures=[[Figure(name, drawings.curves(
            curves[name][:, points], points, seeds, label=f"{name}: {_REWARD} against inner updates", what=_REWARD,
            counted="inner updates", between=rewards,
        )) for name in names for points in [drawings.shown_points(curves[name].shape[1])]]]),
        Section(
            "Paired differences",
            [f"Each line joins what a seed gets in {first}, on the left, with what it gets in another run, on the "
             "right; a hollow and a full dot are the means."],
            [[pairs(when, by_run) for when, by_run in moments.items()]],
            [*(differences(when, by_run) for when, by_run in moments.items()),
             pages.by_seed(
                 "Scores of all seeds; the least of each column is the worst", dict(scores), seeds, {}, least="worst"
             )],
        ),
        Section("Files", tables=[Table("Beside this page", ["file"], [
            [Cell(what, link=link)] for what, link in links.items()
        ])]),
    ]))
