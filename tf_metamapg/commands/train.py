r"""Meta-trains agents as gin configs say, and leaves a run directory.

    bin/train --gin_file=ipd.gin
    bin/train --gin_file=ipd.gin --gin_param="train.n_seeds = 5" \
        --run_dir=runs/five_seeds
    bin/train --gin_file=ipd.gin --gin_param="train.n_seeds = 5" \
        --run_dir=runs/five_seeds --resume

The first line trains twenty seeds in less than a minute; the last goes on
with a run that was killed. Where the package is installed, tf-metamapg-train
is the same.
"""

import contextlib
import pathlib
import sys

from absl import flags

from tf_metamapg import checks
from tf_metamapg import gin_messages
from tf_metamapg import gin_reader
from tf_metamapg.commands import common
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

        def hint():
            if any(directory.config.exists() for directory in directories):
                return f"go on with the same command, --run_dir={directories[0].path} and --resume"
            claimed.close()
            return "nothing was written; start again"

        def work(arguments):
            claim = _claim(arguments)
            directories.append(claimed.enter_context(claim))
            with common.importing():
                from tf_metamapg import configs
            bindings = list(FLAGS.gin_param)
            if FLAGS.init_from is not None:
                bindings.append(f"train.init_from = {common.path('--init_from', FLAGS.init_from)!r}")
            configs.train(
                [common.path("--gin_file", path) for path in FLAGS.gin_file], bindings, directories[0], FLAGS.resume,
                FLAGS.allow_other_versions, started, gin_messages.tell_unused,
            )

        return common.run(argv, sys.modules[__name__], work, hint)


def _claim(arguments):
    """Of the run directory that the flags name, after a look at all flags."""
    checks.check(not arguments, "arguments", " ".join(arguments), "flags only; see --help")
    if not FLAGS.gin_file:
        raise checks.InvalidInputError("--gin_file: name at least one, such as ipd.gin")
    for gin_file in FLAGS.gin_file:
        path = common.path("--gin_file", gin_file)
        gin_reader.check_exists(path, f"--gin_file={path}")
    if FLAGS.run_dir is not None:
        checks.check(FLAGS.run_dir != "", "--run_dir", FLAGS.run_dir, "the name of a directory")
        return claims.claim(common.path("--run_dir", FLAGS.run_dir), FLAGS.resume)
    if FLAGS.resume:
        raise checks.InvalidInputError("--resume: name the run with --run_dir=DIRECTORY")
    return claims.claim_next("runs", pathlib.Path(FLAGS.gin_file[-1]).stem)
