"""Reproduces results: a figure, the raw numbers behind it and a table for each.

    bin/reproduce --list
    bin/reproduce figure_3
    bin/reproduce personas_ipd --jobs=2
    bin/reproduce figure_1 exact_ipd --output_dir=results

The first line says what there is and how long it takes; the last replaces what
the repository holds in results/. Without --output_dir nothing there is
touched. RESULTS.md has all that was reproduced. With --jobs=2, two of the runs
that a result is made of are trained at once, each on half of the cores: times
are other ones then, and so may be last digits where networks are not compiled.
Where the package is installed, tf-metamapg-reproduce is the same.
"""

import importlib
import sys

from absl import flags

from tf_metamapg import checks
from tf_metamapg.commands import common
from tf_metamapg.commands import jobs
from tf_metamapg.reproductions.catalogue import REPRODUCTIONS
from tf_metamapg.runs import files
from tf_metamapg.runs import terminal

FLAGS = flags.FlagValues()
flags.DEFINE_bool("list", False, "Say what each result is, how long it takes and where it is from.", flag_values=FLAGS)
flags.DEFINE_string(
    "output_dir", "runs/reproduced",
    "Where a directory for each result, and RESULTS.md about all of them, go; what is there already is replaced.",
    flag_values=FLAGS,
)
jobs.define_flag(FLAGS, "independent runs of results, or results that have none,")


def run(argv: list[str]) -> int:
    """Runs the command line.

    Args:
        argv: the program's name and its arguments.

    Returns:
        exit status, see `common.run`.
    """
    return jobs.run(argv, sys.modules[__name__], _run, "the same command goes on with it; short results begin again")


def _run(names, processes):
    if FLAGS.list:
        terminal.say(_listing())
        return
    allowed = f"one of {', '.join(REPRODUCTIONS)}"
    if not names:
        raise checks.InvalidInputError(f"name what to reproduce, {allowed}; see --list")
    names = [*dict.fromkeys(names)]
    for name in names:
        checks.check(name in REPRODUCTIONS, "name", name, allowed)
    output_dir = common.directory("--output_dir", FLAGS.output_dir)
    for name in names:
        common.directory("--output_dir", str(output_dir / name))
    for name in names:
        terminal.say(f"{name}: {REPRODUCTIONS[name].title}, about {REPRODUCTIONS[name].duration}")
    if FLAGS.jobs > 1:
        processes.run([job for name in names for job in _jobs(name, output_dir)], FLAGS.jobs)
        names = [name for name in names if REPRODUCTIONS[name].has_independent_runs]
    for name in names:
        _module(name).reproduce(output_dir / name)
        terminal.markdown(f"\n{(output_dir / name / 'table.md').read_text('utf-8')}")
        # Of processes that end at the same time the last one knows of all.
        with files.locked(output_dir, wait=True):
            files.write_text(output_dir / "RESULTS.md", _report(output_dir))
        terminal.say(f"figure, numbers and table: {output_dir / name}; all results: {output_dir / 'RESULTS.md'}")


def _module(name):
    with common.importing():
        return importlib.import_module(f"tf_metamapg.reproductions.{name}")


def _jobs(name, output_dir):
    """The independent runs of a result; if it has none, all of it."""
    if not REPRODUCTIONS[name].has_independent_runs:
        return [jobs.Job(name, ["reproduce", name, f"--output_dir={output_dir}"])]
    return [
        job for run in _module(name).runs().values()
        for job in jobs.training(f"{name}, {run.name}", str(run.gin_file()), run.bindings, run.path(output_dir / name))
    ]


def _listing():
    return "\n".join(
        f"{name:<22}{result.title}\n{'':<22}about {result.duration} on two cores"
        f"{', runs side by side with --jobs' if result.has_independent_runs else ''}; {result.source}"
        for name, result in REPRODUCTIONS.items()
    )


def _links(output_dir, name):
    """To the raw numbers of a result, in Markdown."""
    files_of_drawn = sorted({path.name for path in (output_dir / name).glob("*.csv")} - {"numbers.csv"})
    paths = [f"{name}/{file}" for file in ("numbers.csv", *files_of_drawn)]
    return ", ".join(f"[{path}]({path})" for path in paths)


def _report(output_dir):
    """RESULTS.md: everything that has been reproduced so far, in the order of the list."""
    sections = ["# Results\n\nWritten by `bin/reproduce`, and by nothing else.\n"]
    for name, result in REPRODUCTIONS.items():
        table = output_dir / name / "table.md"
        if table.exists():
            sections.append(
                f"## {result.title}\n\n`bin/reproduce {name} --output_dir={output_dir}`. Source: {result.source}.\n\n"
                f"{table.read_text('utf-8')}\n![{result.title}]({name}/figure.png)\n\n"
                f"Raw numbers: {_links(output_dir, name)}\n"
            )
    return "\n".join(sections)
