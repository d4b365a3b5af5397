"""Reproduces results of the literature: the figure, the raw numbers behind it and a table, for each name.

    bin/reproduce --list
    bin/reproduce figure_3
    bin/reproduce figure_1 exact_ipd --output_dir=results

The last line replaces what the repository holds in results/; without --output_dir nothing there is touched.
Where the package is installed, tf-metamapg-reproduce is the same.
"""

import sys

from absl import flags

from tf_metamapg import checks
from tf_metamapg.commands import common
from tf_metamapg.reproductions import coin_game
from tf_metamapg.reproductions import coin_game_exact
from tf_metamapg.reproductions import dice_ipd
from tf_metamapg.reproductions import exact_ipd
from tf_metamapg.reproductions import figure_1
from tf_metamapg.reproductions import figure_2
from tf_metamapg.reproductions import figure_3
from tf_metamapg.reproductions import gradient_quality
from tf_metamapg.reproductions import half_cheetah
from tf_metamapg.reproductions import lasting_cooperation
from tf_metamapg.reproductions import personas_choice
from tf_metamapg.reproductions import personas_ipd
from tf_metamapg.reproductions import personas_rps
from tf_metamapg.reproductions import public_goods
from tf_metamapg.reproductions import shape_naive_learner
from tf_metamapg.runs import files

REPRODUCTIONS = {
    module.__name__.rpartition(".")[-1]: module
    for module in (
        figure_1, figure_2, figure_3, exact_ipd, dice_ipd, gradient_quality, personas_ipd, personas_rps,
        personas_choice, shape_naive_learner, lasting_cooperation, coin_game_exact, coin_game, public_goods,
        half_cheetah,
    )
}

FLAGS = flags.FlagValues()
flags.DEFINE_bool("list", False, "Say what each result is, how long it takes and where it is from.", flag_values=FLAGS)
flags.DEFINE_string(
    "output_dir", "runs/reproduced",
    "Where a directory for each result, and RESULTS.md about all of them, go; what is there already is replaced.",
    flag_values=FLAGS,
)


def run(argv: list[str]) -> int:
    """Runs the command line.

    Args:
        argv: the program's name and its arguments.

    Returns:
        exit status, see `common.run`.
    """
    return common.run(
        argv, sys.modules[__name__], _run, lambda: "the same command goes on with it; short results begin again"
    )


def _run(names):
    if FLAGS.list:
        print(_listing())
        return
    allowed = f"one of {', '.join(REPRODUCTIONS)}"
    if not names:
        raise checks.InvalidInputError(f"name what to reproduce, {allowed}; see --list")
    for name in names:
        checks.check(name in REPRODUCTIONS, "name", name, allowed)
    output_dir = common.directory("--output_dir", FLAGS.output_dir)
    for name in names:
        common.directory("--output_dir", str(output_dir / name))
    for name in names:
        print(f"{name}: {REPRODUCTIONS[name].TITLE}, about {REPRODUCTIONS[name].DURATION}", flush=True)
        REPRODUCTIONS[name].reproduce(output_dir / name)
        print(f"\n{(output_dir / name / 'table.md').read_text('utf-8')}")
        files.write_text(output_dir / "RESULTS.md", _report(output_dir))
        print(f"figure, numbers and table: {output_dir / name}; all results: {output_dir / 'RESULTS.md'}", flush=True)


def _listing():
    return "\n".join(
        f"{name:<22}{module.TITLE}\n{'':<22}about {module.DURATION} on two cores; {module.SOURCE}"
        for name, module in REPRODUCTIONS.items()
    )


def _report(output_dir):
    """RESULTS.md: everything that has been reproduced so far, in the order of the list."""
    sections = ["# Results\n\nWritten by `bin/reproduce`, and by nothing else.\n"]
    for name, module in REPRODUCTIONS.items():
        table = output_dir / name / "table.md"
        if table.exists():
            sections.append(
                f"## {module.TITLE}\n\n`bin/reproduce {name} --output_dir={output_dir}`. Source: {module.SOURCE}.\n\n"
                f"{table.read_text('utf-8')}\n![{module.TITLE}]({name}/figure.png)\n\n"
                f"Raw numbers: [{name}/numbers.csv]({name}/numbers.csv)\n"
            )
    return "\n".join(sections)
