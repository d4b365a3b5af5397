r"""Evaluates what a run has learned: on other tasks, for longer, among others.

    bin/evaluate runs/ipd-1 --n_inner_updates=50
    bin/evaluate runs/ipd-1 --n_tasks=64 --task_draw=1 \
        --gin_param="PayoffNoise.width = 0.5"
    bin/evaluate runs/ipd-1 --opponents=runs/ipd_meta_pg-1
    bin/evaluate runs/ipd-1 runs/ipd_meta_pg-1 --jobs=2

Without flags the numbers of the run's own summary.json come out again. Where
the package is installed, tf-metamapg-evaluate is the same.
"""

import contextlib
import sys

from absl import flags

from tf_metamapg import checks
from tf_metamapg.commands import common
from tf_metamapg.commands import jobs
from tf_metamapg.runs import claims
from tf_metamapg.runs import files
from tf_metamapg.runs import progress
from tf_metamapg.runs import terminal

FLAGS = flags.FlagValues()
flags.DEFINE_integer(
    "n_inner_updates", None, "How often all agents learn; by default as in the run.", flag_values=FLAGS
)
flags.DEFINE_integer("n_tasks", None, "Tasks for each seed; by default as in the run.", flag_values=FLAGS)
flags.DEFINE_integer(
    "task_draw", 0, "Which tasks of meta-testing: 0 are those of the run itself, any other number others.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "opponents", None, "The directory of a run whose agents take the places of all but --agent, seed by seed.",
    flag_values=FLAGS,
)
flags.DEFINE_integer("agent", 0, "Who stays, where there are --opponents.", flag_values=FLAGS)
flags.DEFINE_string(
    "output_dir", None, "Where evaluation.json and the figure go. By default RUN/evaluations/evaluation-1, -2, …",
    flag_values=FLAGS
)
jobs.define_flag(FLAGS, "runs")
flags.DEFINE_multi_string(
    "gin_param", [], "A gin binding that comes after the run's config, such as 'PayoffNoise.width = 0.5'.",
    flag_values=FLAGS,
)


def run(argv: list[str]) -> int:
    """Runs the command line; returns its exit status, see `common.run`."""
    return jobs.run(argv, sys.modules[__name__], _run, "what is not said to be written was not; start again")


def _run(arguments, processes):
    if len(arguments) > 1:
        directories = [common.run_directory([argument]) for argument in arguments]
        checks.check(FLAGS.output_dir is None, "--output_dir", FLAGS.output_dir, "left out, as there are several runs")
        processes.run([jobs.Job(path, ["evaluate", path, *_flags_for_each()]) for path in directories], FLAGS.jobs)
    else:
        _evaluate(common.run_directory(arguments))


def _flags_for_each():
    given = [FLAGS[name] for name in FLAGS if name != "jobs" and FLAGS[name].present]
    return [text for flag in given for text in flag.serialize().splitlines()]


def _evaluate(directory):
    with common.importing():
        from tf_metamapg import loading
        from tf_metamapg.runs import figures
        from tf_metamapg.runs import publication
        from tf_metamapg.runs import report
    loaded = loading.load_run(directory, FLAGS.gin_param)
    with common.naming(directory="--opponents"):
        opponents = None if FLAGS.opponents is None else loading.load_run(common.path("--opponents", FLAGS.opponents))
    if loaded.summary is None:
        terminal.say("note: this run has not ended; it is evaluated as its last checkpoint has it")
    if opponents is None:
        checks.check(FLAGS.agent == 0, "--agent", FLAGS.agent, "left out, or together with --opponents")
    else:
        allowed = f"a run of {len(loaded.agents)} agents"
        checks.check(len(opponents.agents) == len(loaded.agents), "--opponents", FLAGS.opponents, allowed)
        common.note_other_game(FLAGS.opponents, opponents.game, loaded.game)
    own = loaded.experiment.evaluation.n_inner_updates
    n_inner_updates = own if FLAGS.n_inner_updates is None else FLAGS.n_inner_updates
    names = [
        type((loaded if opponents is None or index == FLAGS.agent else opponents).agents[index]).__name__
        for index in range(len(loaded.agents))
    ]
    flags_by_parameter = {name: f"--{name}" for name in ("n_inner_updates", "n_tasks", "task_draw")}
    with (
        common.naming(**flags_by_parameter, agent_index="--agent"),
        _output_directory(loaded.directory.path) as output,
    ):
        evaluation = loaded.evaluate(
            n_inner_updates, FLAGS.n_tasks, FLAGS.task_draw, opponents=opponents, agent_index=FLAGS.agent,
            report=progress.inner_updates(n_inner_updates, loaded.experiment.compared),
        )
        files.write_json(output / "evaluation.json", {
            "run": str(loaded.directory.path), "opponents": FLAGS.opponents, "agent": names,
            "seeds": list(loaded.seeds), "task_draw": FLAGS.task_draw,
            "n_tasks": int(evaluation.joint_params[0][0].shape[1]), "gin_params": FLAGS.gin_param,
            "axes": publication.AXES, **publication.as_lists(evaluation),
        })
        title = publication.labels(loaded.experiment.problem)[0]
        figures.save_adaptation_figure(output / "adaptation.png", evaluation.mean_reward, title, names)
    compared = loaded.experiment.compared_agents if opponents is None else [FLAGS.agent]
    terminal.report(
        f"\nMean reward per step, mean and 95% interval over {len(loaded.seeds)} seeds:\n\n",
        report.adaptation_table(report.REWARD, evaluation.mean_reward, names, compared),
        f"\n\nnumbers: {output / 'evaluation.json'}; figure: {output / 'adaptation.png'}",
        better=max,
    )


@contextlib.contextmanager
def _output_directory(run_path):
    """The directory that the flag names, or a new one below that of the run, which goes again if nothing is written."""
    if FLAGS.output_dir is None:
        with claims.claim_next(run_path / "evaluations", "evaluation") as claimed:
            yield claimed.path
    else:
        yield common.directory("--output_dir", FLAGS.output_dir)
