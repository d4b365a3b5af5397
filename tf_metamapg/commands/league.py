"""A league: learners, runs, exported policies and strategies meet, everybody everybody, in both places of a game.

    bin/league
    bin/league --learner=PolicyGradient --learner=MetaMAPG --strategy=tit_for_tat --best_responses
    bin/league --run=runs/ipd-1 --strategy=extortion_3 --gin_param="train.n_seeds = 5"

Without entrants all of this package's learners and strategies take part. Meta-agents are trained in self-play first,
below --output_dir, once; matches are played at each start. Where the package is installed, tf-metamapg-league is the
same.
"""

import csv
import pathlib
import sys

from absl import flags
import numpy as np

from tf_metamapg import checks
from tf_metamapg import configs
from tf_metamapg import loading
from tf_metamapg.commands import common
from tf_metamapg.games import dilemma_strategies
from tf_metamapg.league import Entrant
from tf_metamapg.league import League
from tf_metamapg.runs import figures
from tf_metamapg.runs import files
from tf_metamapg.runs import statistics

LEARNERS = (
    "PolicyGradient", "LookAhead", "LOLAShaping", "LOLATaylor", "LOLADiCE", "SOS", "MetaPG", "MetaMAPG",
)
FLAGS = flags.FlagValues()
flags.DEFINE_string(
    "gin_file", "league_ipd.gin", "What describes the game, the tasks, the estimator and how meta-agents are trained.",
    flag_values=FLAGS,
)
flags.DEFINE_multi_string("gin_param", [], "A gin binding that comes after it.", flag_values=FLAGS)
flags.DEFINE_multi_string(
    "learner", [], "An agent by the name that gin knows it by, such as MetaMAPG or fast/MetaMAPG; it is trained in "
    "self-play if it meta-learns.", flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "strategy", [], f"One of {', '.join(dilemma_strategies.STRATEGIES)}, or axelrod:NAME; in the prisoner's "
    "dilemma.", flag_values=FLAGS
)
flags.DEFINE_multi_string(
    "run", [], "The directory of a run that has ended, with agents of one kind and as many seeds as the league, at "
    "least; by NAME=DIRECTORY it takes part as NAME.", flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "policy", [], "An exported policy, such as runs/ipd-1/initial_policies/agent_0, which does not learn; by NAME=PATH "
    "it takes part as NAME.",
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "best_responses", False, "Also learn a best response to what each entrant starts from: what it gets says how far "
    "that can be exploited.", flag_values=FLAGS,
)
flags.DEFINE_string("output_dir", "runs/league", "Where runs, numbers and figures go.", flag_values=FLAGS)


def run(argv: list[str]) -> int:
    """Runs the command line; returns its exit status, see `common.run`."""
    return common.run(argv, sys.modules[__name__], _run, lambda: "the same command goes on with it")


def _run(arguments):
    checks.check(not arguments, "arguments", " ".join(arguments), "flags only; see --help")
    gin_file = common.path("--gin_file", FLAGS.gin_file)
    league = League(configs.Config([gin_file], FLAGS.gin_param, None))
    anybody = FLAGS.learner or FLAGS.strategy or FLAGS.run or FLAGS.policy
    learners = FLAGS.learner or ([] if anybody else LEARNERS)
    strategies = FLAGS.strategy or ([] if anybody else dilemma_strategies.STRATEGIES)
    # What cannot take part is known before anybody is trained.
    known = [league.strategy(name) for name in strategies]
    known += [league.exported(path, name) for name, path in map(_named, FLAGS.policy)]
    for name, path in map(_named, FLAGS.run):
        loaded = loading.load_run(path)
        known.append(league.run(loaded, name))
        common.note_other_game(path, loaded.game, league.game)
    names = [*(entrant.name for entrant in known), *learners]
    checks.check(len(set(names)) == len(names), "entrants", ", ".join(names), "of different names")
    described = {name: configs.Config([gin_file], _bindings(name), None) for name in learners}
    output = common.directory("--output_dir", FLAGS.output_dir)
    entrants = [_learner(league, name, config, gin_file, output) for name, config in described.items()] + known
    matches = league.matches(entrants, lambda text: print(text, flush=True))
    if FLAGS.best_responses:
        print("best responses", flush=True)
        matches += league.best_responses(entrants)
    _publish(output, matches)


def _named(text):
    """(what somebody takes part as, a path) of NAME=PATH, or of a path alone."""
    name, _, path = text.rpartition("=")
    path = common.path("entrant", path)
    return name or pathlib.Path(path).name, path


def _bindings(name):
    return [*FLAGS.gin_param, f"train.agents = [@{name}(), @{name}()]"]


def _learner(league, name, config, gin_file, output) -> Entrant:
    """Who learns, with what it has learned in self-play if it meta-learns."""
    if not config.experiment.has_meta_agents:
        return league.learner(config, name)
    path = output / "runs" / name.replace("/", "_")
    print(f"{name} in self-play: {path}", flush=True)
    configs.train_once(path, [gin_file], _bindings(name))
    return league.run(loading.load_run(str(path)), name)


def _publish(output, matches):
    """Writes the numbers and figures, and prints tables."""
    with files.atomic(output / "league.csv") as aside, open(aside, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([
            "who_adapts", "row", "column", "seed_index", "row_is_agent", "inner_updates", "average_reward_of_row",
            "average_reward_of_column",
        ])
        for match in matches:
            for seed, place, update in np.ndindex(match.mean_reward.shape[:3]):
                rewards = match.mean_reward[seed, place, update]
                writer.writerow([match.who_adapts, match.row, match.column, seed, place, update, *rewards])
    written, texts = [output / "league.csv"], []
    for who_adapts, title in (("both", "both adapt"), ("row", "only the row adapts")):
        own = [match for match in matches if match.who_adapts == who_adapts]
        if own:
            written.append(output / f"league_{who_adapts}.png")
            figures.save(written[-1], _figure(own, title))
            texts.append(f"## After inner updates: {title}\n\n{_table(own)}")
    text = "\n".join(texts) + """
Mean rewards per step, the mean of both places of the row, with 95% intervals over its seeds, each of which meets
another seed of the column; the least over seeds; and what the column gets.
"""
    files.write_text(output / "league.md", text)
    print(f"\n{text}\nwritten: {', '.join(map(str, [*written, output / 'league.md']))}")


def _figure(matches, title):
    """What the row gets after the last inner update."""
    rows, columns = (list(dict.fromkeys(getattr(match, which) for match in matches)) for which in ("row", "column"))
    values = np.full([len(rows), len(columns)], np.nan)
    for match in matches:
        values[rows.index(match.row), columns.index(match.column)] = match.mean_reward[:, :, -1, 0].mean()
    return figures.heat_map(
        values, rows, columns, title=f"After inner updates, {title}", row_label="who gets it",
        column_label="who is met", value_label="mean reward per step",
    )


def _table(matches):
    """A Markdown table of rows against columns, before adaptation and at its end."""
    lines = [
        "| row | column | before | after one inner update | at the end | worst seed | the column at the end |",
        "|---|---|---|---|---|---|---|",
    ]
    for match in matches:
        by_seed = match.mean_reward.mean(axis=1)
        last = by_seed.shape[1] - 1
        cells = [_with_interval(by_seed[:, update, 0]) for update in (0, min(1, last), last)]
        cells += [f"{by_seed[:, last, 0].min():+.3f}", _with_interval(by_seed[:, last, 1])]
        lines.append(f"| {match.row} | {match.column} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _with_interval(values):
    mean, half_width = statistics.mean_and_interval(values)
    return f"{mean:+.3f} ± {half_width:.3f}"
