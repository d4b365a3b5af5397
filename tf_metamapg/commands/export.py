"""Exports policies of a run that has ended, as SavedModels in its directory.

    bin/export runs/ipd-1 --all_seeds
    bin/export runs/ipd-1 --task=0 --task=3
    bin/export runs/ipd-1 --learning

The first line writes the learned initial policies of all seeds,
initial_policies/seed_0/agent_0, …; the second what these adapt to within two
tasks of meta-testing, adapted_policies/task_0/agent_0, …, of the best seed;
the third agents that go on learning where they are served. Where the package
is installed, tf-metamapg-export is the same.
"""

import sys

from absl import flags

from tf_metamapg import checks
from tf_metamapg.commands import common
from tf_metamapg.runs import progress
from tf_metamapg.runs import terminal

FLAGS = flags.FlagValues()
flags.DEFINE_bool(
    "all_seeds", False, "Export every seed's policies beside those of the best. Each call replaces what another has "
    "exported, but for what the run's config asks for.", flag_values=FLAGS,
)
flags.DEFINE_multi_integer(
    "task", [], "A task of meta-testing; the policies that agents have adapted to it are exported. By default none; "
    "task 0 of a run without meta-agents.", flag_values=FLAGS,
)
flags.DEFINE_bool(
    "learning", False, "Export agents that go on learning where they are served, into learning_agents.",
    flag_values=FLAGS,
)


def run(argv: list[str]) -> int:
    """Runs the command line; returns its exit status, see `common.run`."""
    return common.run(argv, sys.modules[__name__], _run, lambda: "what was there before is still there; start again")


def _run(arguments):
    named = common.run_directory(arguments)
    with common.importing():
        from tf_metamapg import loading
        from tf_metamapg.runs import exports
        from tf_metamapg.runs import serving
    loaded = loading.load_run(named)
    experiment, directory = loaded.experiment, loaded.directory
    if loaded.summary is None:
        raise checks.InvalidInputError(f"run = {directory.path}: must be a run that has ended; go on with --resume")
    n_tasks = experiment.evaluation.n_evaluation_tasks
    for task in FLAGS.task:
        checks.check(0 <= task < n_tasks, "--task", task, f"from 0 to {n_tasks - 1}, as the run has {n_tasks}")
    # Beside what the run itself has exported.
    tasks = sorted({*FLAGS.task, *exports.tasks_to_export(experiment)})
    all_seeds = FLAGS.all_seeds or experiment.run.export_all_seeds
    seeds = exports.seeds_to_export(experiment, loaded.summary, all_seeds)
    adapted_params = loaded.adapted_params
    if tasks and experiment.has_meta_agents:
        show = progress.inner_updates(experiment.evaluation.n_inner_updates, experiment.compared)
        adapted_params = loaded.evaluate(report=show).joint_params
    with loaded.known():
        if FLAGS.learning:
            serving.check_agents(experiment.problem)
        written = exports.export_initial(directory, experiment, loaded.trainer, seeds)
        written += exports.export_adapted(directory, experiment, adapted_params, seeds, tasks)
        if FLAGS.learning:
            written += exports.export_learning(directory, experiment, loaded.trainer, seeds, adapted_params)
    terminal.say("\n".join(f"written: {path}" for path in written))
