"""Everybody in a league: who takes part, what they play, and what has come of it."""

import csv
import pathlib
import re

from absl import flags
import numpy as np

from tf_metamapg import checks
from tf_metamapg import configs
from tf_metamapg import loading
from tf_metamapg import starts
from tf_metamapg.commands import common
from tf_metamapg.commands import league_page
from tf_metamapg.commands.jobs import Jobs
from tf_metamapg.commands.jobs import training
from tf_metamapg.games import dilemma_strategies
from tf_metamapg.league import BEST_RESPONSE_NAME
from tf_metamapg.league import BEST_RESPONSE_UPDATES
from tf_metamapg.league import Entrant
from tf_metamapg.league import League
from tf_metamapg.runs import figures
from tf_metamapg.runs import files
from tf_metamapg.runs import pages
from tf_metamapg.runs import terminal
from tf_metamapg.runs.matches import Matches

LEARNERS = (
    "PolicyGradient", "LookAhead", "LOLAShaping", "LOLATaylor", "LOLADiCE", "SOS", "MetaPG", "MetaMAPG",
)


def play(flag_values: flags.FlagValues, jobs: Jobs) -> None:
    """Lets everybody play that the flags of `bin/league` name, and publishes.

    Args:
        flag_values: those of `bin/league`.
        jobs: what runs several trainings at once.

    Raises:
        InvalidInputError: if somebody cannot take part.
    """
    gin_file = common.path("--gin_file", flag_values.gin_file)
    output = pathlib.Path(common.path("--output_dir", flag_values.output_dir))
    league = League(configs.Config([gin_file], flag_values.gin_param, None), Matches(output / "matches"))
    anybody = flag_values.learner or flag_values.strategy or flag_values.run or flag_values.policy
    learners = flag_values.learner or ([] if anybody else LEARNERS)
    strategies = flag_values.strategy or ([] if anybody else dilemma_strategies.STRATEGIES)
    # What cannot take part is known before anybody is trained.
    known = []
    for name in strategies:
        with common.naming(strategy="--strategy", payoffs=f"--strategy={name}: payoffs"):
            known.append(league.strategy(name))
    with common.naming(policy="--policy"):
        known += [league.exported(path, name) for name, path in _named("--policy", flag_values.policy)]
    with common.naming(directory="--run", run="--run"):
        for name, path in _named("--run", flag_values.run):
            loaded = loading.load_run(path)
            known.append(league.run(loaded, name))
            common.note_other_game(path, loaded.game, league.game)
    names = [*(entrant.name for entrant in known), *learners]
    checks.check(len(set(names)) == len(names), "entrants", ", ".join(names), "of different names")
    described = {name: _described(gin_file, flag_values.gin_param, name) for name in learners}
    common.directory("--output_dir", flag_values.output_dir)
    if flag_values.jobs > 1:
        jobs.run([
            job for name, config in described.items() if config.experiment.has_meta_agents
            for job in training(name, gin_file, _bindings(flag_values.gin_param, name), _run_path(output, name))
        ], flag_values.jobs)
    entrants = [
        _learner(league, name, config, gin_file, flag_values.gin_param, output) for name, config in described.items()
    ] + known
    matches = league.matches(entrants, terminal.say)
    if flag_values.best_responses:
        terminal.say("best responses")
        matches += league.best_responses(entrants)
    _publish(output, league.game.spec.name, matches)


def _named(flag, texts):
    """(what somebody takes part as, a path) for each NAME=PATH, or path alone."""
    for text in texts:
        name, _, path = text.rpartition("=")
        path = common.path(flag, path)
        yield name or pathlib.Path(path).name, path


def _bindings(gin_params, name):
    return [*gin_params, f"train.agents = [@{name}(), @{name}()]"]


def _described(gin_file, gin_params, name):
    """A league's config, whose agents are learners of a name."""
    allowed = "the name of an agent as gin knows it, such as MetaMAPG or fast/MetaMAPG"
    checks.check(re.fullmatch(r"[\w./]+", name), "--learner", name, allowed)
    *_, binding = _bindings(gin_params, name)
    try:
        return configs.Config([gin_file], _bindings(gin_params, name), None)
    except checks.InvalidInputError as error:
        # Without a learner there was nothing wrong with the config.
        reason = str(error).removeprefix(f"--gin_param={binding!r}: ").partition(" In bindings string")[0]
        raise checks.InvalidInputError(f"--learner = {name!r}: must be {allowed} ({reason})") from error


def _learner(league, name, config, gin_file, gin_params, output) -> Entrant:
    """Who learns, with what it has learned in self-play if it meta-learns."""
    if not config.experiment.has_meta_agents:
        return league.learner(config, name)
    path = _run_path(output, name)
    terminal.say(f"{name} in self-play: {path}")
    starts.train_once(path, [gin_file], _bindings(gin_params, name))
    return league.run(loading.load_run(str(path)), name)


def _run_path(output, name):
    return output / "runs" / name.replace("/", "_")


def _publish(output, game, matches):
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
    written, tables, by_who = [output / "league.csv"], {}, {}
    for who_adapts, title in (("both", "both adapt"), ("row", "only the row adapts")):
        own = [match for match in matches if match.who_adapts == who_adapts]
        if own:
            written.append(output / f"league_{who_adapts}.png")
            figures.save(written[-1], _figure(own, title))
            tables[title], by_who[title] = _table(own), own
    texts = [f"## After inner updates: {title}\n\n{pages.as_markdown(table)}\n" for title, table in tables.items()]
    explanation = _EXPLANATION
    if any(match.row == BEST_RESPONSE_NAME for match in matches):
        explanation += _BEST_RESPONSES
    text = "\n".join(texts) + f"\n{explanation}\n"
    written.append(output / "league.md")
    files.write_text(written[-1], text)
    terminal.markdown(f"\n{text}", better=max)
    links = {path.name: path.name for path in written}
    links |= {
        f"{path.parent.name} in self-play: report": path.relative_to(output).as_posix()
        for path in sorted(output.glob("runs/*/report.html"))
    }
    written.append(output / "league.html")
    league_page.write(written[-1], f"League: {game}", explanation, tables=tables, matches=by_who, links=links)
    terminal.say(f"written: {', '.join(map(str, written))}")


_EXPLANATION = """Mean rewards per step, the mean of both places of the row, with 95% intervals over its seeds, each of
which meets another seed of the column; the least over seeds; and what the column gets."""
_BEST_RESPONSES = f" A best response is what {BEST_RESPONSE_UPDATES} updates with Adam make of a policy as it is drawn."


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
    """Texts: what rows get from columns, before adaptation and at its end."""
    rows = [["row", "column", "before", "after one inner update", "at the end", "worst seed", "the column at the end"]]
    for match in matches:
        by_seed = match.mean_reward.mean(axis=1)
        last = by_seed.shape[1] - 1
        cells = [pages.with_interval(by_seed[:, update, 0]) for update in (0, min(1, last), last)]
        cells += [f"{by_seed[:, last, 0].min():+.3f}", pages.with_interval(by_seed[:, last, 1])]
        rows.append([match.row, match.column, *cells])
    return rows
