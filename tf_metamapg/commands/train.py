r"""Meta-trains agents as gin configs say, and leaves a run directory.

    bin/train --gin_file=ipd.gin
    bin/train --gin_file=ipd.gin --gin_param="train.n_seeds = 5" \
        --run_dir=runs/five_seeds
    bin/train --gin_file=ipd.gin --gin_param="train.n_seeds = 5" \
        --run_dir=runs/five_seeds --resume
    bin/train --gin_file=ipd.gin --workers=2

The first line trains twenty seeds in less than a minute; the third goes on
with a run that was killed; the last lets two processes share the work. Where
the package is installed, tf-metamapg-train is the same.
"""

import contextlib
import os
import pathlib
import sys

from absl import flags

from tf_metamapg import checks
from tf_metamapg import gin_messages
from tf_metamapg import gin_reader
from tf_metamapg.commands import cluster
from tf_metamapg.commands import common
from tf_metamapg.commands import endings
from tf_metamapg.runs import claims
from tf_metamapg.runs.run_directory import RunDirectory

FLAGS = flags.FlagValues()
flags.DEFINE_multi_string(
    "gin_file", [],
    "A gin config; several are read in the order given. Those of this package are found by name: "
    f"{', '.join(sorted(path.name for path in gin_reader.SHIPPED.glob('*.gin')))}",
    flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "gin_param", [], "A gin binding that comes after the files, such as 'train.n_seeds = 5'.", flag_values=FLAGS
)
flags.DEFINE_string(
    "run_dir", None, "Where the run's files go. By default runs/NAME-1, runs/NAME-2, … after the last gin file.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "workers", 1, "How many processes work on the run, each on its share of this machine's cores. Seeds, and where "
    "they are too few tasks, are cut into as many blocks, unless train.n_blocks says otherwise. On several machines, "
    "TF_CONFIG says who works with whom.", flag_values=FLAGS,
)
flags.DEFINE_bool("resume", False, "Go on with the run in --run_dir from its last checkpoint.", flag_values=FLAGS)
flags.DEFINE_string(
    "init_from", None, "The directory of a run: each seed starts from what the same seed has learned there, as "
    "train.init_from says in a config.", flag_values=FLAGS,
)
flags.DEFINE_bool(
    "allow_other_versions", False, "Resume a run though TensorFlow or another package has another version by now.",
    flag_values=FLAGS,
)


def run(argv: list[str], started: float) -> int:
    """Runs the command line.

    Args:
        argv: the program's name and its arguments.
        started: when the program started, in seconds since the epoch.

    Returns:
        exit status, see `common.run`.
    """
    with contextlib.ExitStack() as claimed:
        directories: list[RunDirectory] = []
        local = cluster.LocalWorkers()
        claimed.callback(local.kill)

        def hint():
            local.kill()
            if any(directory.config.exists() for directory in directories):
                return f"go on with the same command, --run_dir={directories[0].path} and --resume"
            claimed.close()
            return "nothing was written; start again"

        def work(arguments):
            directories.append(claimed.enter_context(_claim(arguments)))
            # Before `importing` turns stderr away.
            errors = claimed.enter_context(open(os.dup(2), "wb", buffering=0))
            if FLAGS.workers > 1:
                local.start(
                    FLAGS.workers, _arguments_of_workers(directories[0]),
                    lambda what: endings.end(f"stopped: {what}; {hint()}", 1, errors),
                )
            with common.importing():
                from tf_metamapg import starts
                from tf_metamapg.training import workers
                # Before TensorFlow computes anything.
                who = workers.of_cluster(*cluster.place())
            bindings = list(FLAGS.gin_param)
            if FLAGS.init_from is not None:
                bindings.append(f"train.init_from = {common.path('--init_from', FLAGS.init_from)!r}")
            with local.heard():
                starts.train(
                    [common.path("--gin_file", path) for path in FLAGS.gin_file], bindings, directories[0],
                    FLAGS.resume, FLAGS.allow_other_versions, started, gin_messages.tell_unused, who,
                )

        return common.run(argv, sys.modules[__name__], work, hint)


def _arguments_of_workers(directory):
    """What the workers of a run are told: the same, and where it is."""
    init_from = [] if FLAGS.init_from is None else [f"--init_from={FLAGS.init_from}"]
    switches = [f"--{name}" for name in ("resume", "allow_other_versions") if FLAGS[name].value]
    config = [*(f"--gin_file={path}" for path in FLAGS.gin_file), *(f"--gin_param={text}" for text in FLAGS.gin_param)]
    return ["train", *config, *init_from, *switches, f"--run_dir={directory.path}"]


def _claim(arguments):
    """Of the run directory that the flags name, after a look at all flags."""
    checks.check(not arguments, "arguments", " ".join(arguments), "flags only; see --help")
    checks.check_integer("--workers", FLAGS.workers, minimum=1)
    place = cluster.place()
    allowed = "1, as TF_CONFIG says who works on the run"
    checks.check(FLAGS.workers == 1 or not os.environ.get("TF_CONFIG"), "--workers", FLAGS.workers, allowed)
    if not FLAGS.gin_file:
        raise checks.InvalidInputError("--gin_file: name at least one, such as ipd.gin")
    for gin_file in FLAGS.gin_file:
        path = common.path("--gin_file", gin_file)
        gin_reader.check_exists(path, f"--gin_file={path}")
    if place.n_workers > 1 and FLAGS.run_dir is None:
        raise checks.InvalidInputError("--run_dir: name the directory of the run, as TF_CONFIG names several workers")
    if FLAGS.run_dir is not None:
        checks.check(FLAGS.run_dir != "", "--run_dir", FLAGS.run_dir, "the name of a directory")
        path = common.path("--run_dir", FLAGS.run_dir)
        return contextlib.nullcontext(RunDirectory(path)) if place.position else claims.claim(path, FLAGS.resume)
    if FLAGS.resume:
        raise checks.InvalidInputError("--resume: name the run with --run_dir=DIRECTORY")
    return claims.claim_next("runs", pathlib.Path(FLAGS.gin_file[-1]).stem)
