r"""Trains configs on the same seeds and tasks, and compares them.

    bin/compare ipd.gin ipd_meta_pg.gin --gin_param="train.n_seeds = 10"
    bin/compare ipd_exact.gin \
        --sweep="MetaMAPG.inner_learning_rate = [0.5, 1.0, 2.0]" \
        --sweep="train.chain_length = [1, 3]"

Runs go below --output_dir, and are not computed again if they are there; a
command that was killed goes on. Differences are paired, and have intervals.
Where the package is installed, tf-metamapg-compare is the same.
"""

import ast
import itertools
import pathlib
import sys

from absl import flags

from tf_metamapg import checks
from tf_metamapg import gin_reader
from tf_metamapg.commands import common
from tf_metamapg.commands import jobs
from tf_metamapg.commands.candidates import Candidate

FLAGS = flags.FlagValues()
flags.DEFINE_multi_string(
    "sweep", [], "A parameter and a list of its values, such as 'MetaMAPG.inner_learning_rate = [0.5, 1.0]'; each "
    "config is trained with each of them. With two, with each pair.", flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "gin_param", [], "A gin binding that comes after each config, such as 'train.n_seeds = 5'.", flag_values=FLAGS
)
flags.DEFINE_string(
    "output_dir", "runs/compared", "Where the runs, the table, the numbers and the figures go.", flag_values=FLAGS
)
jobs.define_flag(FLAGS, "runs")


def run(argv: list[str]) -> int:
    """Runs the command line; returns its exit status, see `common.run`."""
    return jobs.run(argv, sys.modules[__name__], _run, "the same command goes on with it")


def _run(arguments, processes):
    checks.check(len(arguments) > 0, "arguments", "", "one gin config or several; see --help")
    sweeps = [_sweep(text) for text in FLAGS.sweep]
    swept = [name for name, _ in sweeps]
    checks.check(len(sweeps) <= 2 and len(set(swept)) == len(swept), "--sweep", swept, "at most two parameters")
    candidates = [
        Candidate(
            "_".join([pathlib.Path(config).stem, *map(_for_file_name, values)]), config, values,
            [*FLAGS.gin_param, *(f"{name} = {value}" for (name, _), value in zip(sweeps, values))],
        )
        for config in arguments for values in itertools.product(*(values for _, values in sweeps))
    ]
    names = [candidate.name for candidate in candidates]
    checks.check(len(set(names)) == len(names), "arguments", " ".join(arguments), "configs of different names")
    for config in arguments:
        gin_reader.check_exists(common.path("config", config), f"config {config}")
    with common.importing():
        from tf_metamapg.commands import comparison
    experiments = [comparison.experiment(candidate, len(FLAGS.gin_param)) for candidate in candidates]
    checks.check(len(names) > 1, "arguments", " ".join(arguments), "two configs at least, or one and a --sweep")
    comparison.check_comparable(names, experiments)
    output = common.directory("--output_dir", FLAGS.output_dir)
    if FLAGS.jobs > 1:
        processes.run(comparison.jobs(output, candidates), FLAGS.jobs)
    comparison.compare(output, candidates, experiments, swept)


def _sweep(text):
    """(name, values as texts) of 'name = [value, …]', where a value may be a reference, such as @Adam()."""
    name, _, values = (part.strip() for part in text.partition("="))
    allowed = "NAME = [VALUE, VALUE, …], such as 'train.chain_length = [1, 3]'"
    try:
        # Python has no name that begins with these; what is as long leaves everything in its place.
        entries = ast.parse(values.replace("@", "_").replace("%", "_"), mode="eval").body
    except SyntaxError:
        entries = None
    is_list = values.isascii() and isinstance(entries, ast.List) and len(entries.elts) > 0
    checks.check(bool(name) and is_list, "--sweep", text, allowed)
    texts = [values[entry.col_offset : entry.end_col_offset] for entry in entries.elts]
    checks.check(len(set(texts)) == len(texts), "--sweep", text, "a list of different values")
    return name, texts


def _for_file_name(value):
    return "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in value)
