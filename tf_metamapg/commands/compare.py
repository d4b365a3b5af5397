r"""Trains and compares configs: the same seeds, the same held-out tasks, differences with intervals.

    bin/compare ipd.gin ipd_meta_pg.gin --gin_param="train.n_seeds = 10"
    bin/compare ipd_exact.gin --sweep="MetaMAPG.inner_learning_rate = [0.5, 1.0, 2.0]" \
        --sweep="train.chain_length = [1, 3]"

Runs go below --output_dir, and are not computed again if they are there; a command that was killed goes on. Where the
package is installed, tf-metamapg-compare is the same.
"""

import ast
import csv
import itertools
import pathlib
import sys
from typing import NamedTuple

from absl import flags
import numpy as np

from tf_metamapg import checks
from tf_metamapg import configs
from tf_metamapg.commands import common
from tf_metamapg.runs import figures
from tf_metamapg.runs import files
from tf_metamapg.runs import statistics
from tf_metamapg.runs.settings import Experiment

FLAGS = flags.FlagValues()
flags.DEFINE_multi_string(
    "gin_param", [], "A gin binding that comes after each config, such as 'train.n_seeds = 5'.", flag_values=FLAGS
)
flags.DEFINE_multi_string(
    "sweep", [], "A parameter and a list of its values, such as 'MetaMAPG.inner_learning_rate = [0.5, 1.0]'; each "
    "config is trained with each of them. With two, with each pair.", flag_values=FLAGS,
)
flags.DEFINE_string(
    "output_dir", "runs/compared", "Where the runs, the table, the numbers and the figures go.", flag_values=FLAGS
)


class Candidate(NamedTuple):
    """A config with its bindings."""

    name: str  # of its run
    config: str
    values: tuple[str, ...]  # of what is swept over, as texts
    bindings: list[str]


def run(argv: list[str]) -> int:
    """Runs the command line; returns its exit status, see `common.run`."""
    return common.run(argv, sys.modules[__name__], _run, lambda: "the same command goes on with it")


def _run(arguments):
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
    experiments = [_experiment(candidate) for candidate in candidates]
    checks.check(len(names) > 1, "arguments", " ".join(arguments), "two configs at least, or one and a --sweep")
    for candidate, experiment in zip(candidates, experiments):
        for what, own, first in zip(_WHAT, _comparable(experiment), _comparable(experiments[0])):
            checks.check(own == first, f"{what} of {candidate.name}", own, f"{first}, as of {names[0]}")
    output = common.directory("--output_dir", FLAGS.output_dir)
    curves = {}
    for number, candidate in enumerate(candidates, 1):
        print(f"\n{candidate.name}, {number} of {len(candidates)}", flush=True)
        path = output / "runs" / candidate.name
        summary = configs.train_once(path, [common.path("config", candidate.config)], candidate.bindings)
        curves[candidate.name] = np.array(summary["meta_test"]["average_reward"])
    _publish(output, candidates, experiments, curves, swept)


_WHAT = "game", "seeds", "n_evaluation_tasks"


def _comparable(experiment):
    """What those have in common that can be compared."""
    seeds = experiment.run.seeds
    return experiment.problem.game.spec.name, f"{seeds[0]} to {seeds[-1]}", experiment.evaluation.n_evaluation_tasks


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


def _experiment(candidate) -> Experiment:
    """What a config describes; what is wrong with it is known before anything is trained."""
    return configs.Config([common.path("config", candidate.config)], candidate.bindings, None).experiment


def _publish(output, candidates, experiments, curves, swept):
    """Writes and prints what has come of all of them."""
    who = {"the meta-agents" if experiment.has_meta_agents else "all agents" for experiment in experiments}
    compared = {
        candidate.name: experiment.compared(curves[candidate.name])
        for candidate, experiment in zip(candidates, experiments)
    }
    scores = {
        candidate.name: experiment.scores(curves[candidate.name], experiment.trainer.chain_length)
        for candidate, experiment in zip(candidates, experiments)
    }
    rows = [
        [name, seed, update, values[index, update]]
        for name, values in compared.items() for index, seed in enumerate(experiments[0].run.seeds)
        for update in range(values.shape[1])
    ]
    with files.atomic(output / "comparison.csv") as aside, open(aside, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([["run", "seed", "inner_updates", "average_reward"], *rows])
    title = f"{experiments[0].problem.game.spec.name}, held-out tasks"
    written = [output / "comparison.csv", output / "comparison.png", output / "comparison.md"]
    figures.save(
        written[1], figures.comparison_figure(compared, title, "mean reward per step", "inner updates")
    )
    if swept:
        for config in dict.fromkeys(candidate.config for candidate in candidates):
            own = [candidate for candidate in candidates if candidate.config == config]
            written.append(output / f"sweep_{pathlib.Path(config).stem}.png")
            figures.save(written[-1], _sweep_figure(own, scores, swept))
    text = _table(compared, scores, " or, where nobody meta-learns, of ".join(sorted(who, reverse=True)))
    files.write_text(written[2], text)
    print(f"\n{text}\nwritten: {', '.join(map(str, written))}")


def _sweep_figure(candidates, scores, swept):
    """A heat map of mean scores: one row for each value of the first parameter, one column for each of the second."""
    rows = list(dict.fromkeys(candidate.values[0] for candidate in candidates))
    columns = list(dict.fromkeys(candidate.values[1] for candidate in candidates)) if len(swept) > 1 else ["score"]
    means = np.reshape([scores[candidate.name].mean() for candidate in candidates], [len(rows), len(columns)])
    return figures.heat_map(
        means, rows, columns, title=pathlib.Path(candidates[0].config).stem, row_label=swept[0],
        column_label=swept[1] if len(swept) > 1 else "", value_label="score, mean reward per step",
    )


def _table(compared, scores, who):
    """A Markdown table: mean rewards with intervals over seeds, and differences of scores from the first, paired."""
    first = next(iter(scores))
    lines = [
        f"| run | before | after one inner update | at the end | score | worst seed | score less that of {first} |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, values in compared.items():
        cells = [_with_interval(values[:, min(update, values.shape[1] - 1)]) for update in (0, 1, values.shape[1] - 1)]
        difference = "" if name == first else _with_interval(scores[name] - scores[first])
        cells += [_with_interval(scores[name]), f"{scores[name].min():+.3f}", difference]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + f"""

Mean rewards per step of {who}, on held-out tasks, with 95% intervals over {len(scores[first])} seeds. A
score is the mean over the inner updates that meta-agents are trained for; where nobody meta-learns, what is got at the
end. Differences are of the same seeds and tasks.
"""


def _with_interval(values):
    mean, half_width = statistics.mean_and_interval(values)
    return f"{mean:+.3f} ± {half_width:.3f}"
