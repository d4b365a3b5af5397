"""Meta-trains agents as gin configs say, and leaves a run directory.

    bin/train --gin_file=gin_configs/ipd.gin
    bin/train --gin_file=gin_configs/ipd.gin --gin_param="train.n_seeds = 5" --run_dir=runs/five_seeds
    bin/train --gin_file=gin_configs/ipd.gin --gin_param="train.n_seeds = 5" --run_dir=runs/five_seeds --resume
"""

import pathlib
import sys

from absl import flags

from tf_metamapg import checks
from tf_metamapg import command
from tf_metamapg import configs
from tf_metamapg import run_directory

FLAGS = flags.FlagValues()
flags.DEFINE_multi_string(
    "gin_file", [], "A gin config; several are read in the order given.", flag_values=FLAGS
)
flags.DEFINE_multi_string(
    "gin_param", [], "A gin binding that comes after the files, such as 'train.n_seeds = 5'.", flag_values=FLAGS
)
flags.DEFINE_string(
    "run_dir", None, "Where the run's files go. By default runs/NAME-1, runs/NAME-2, … after the last gin file.",
    flag_values=FLAGS,
)
flags.DEFINE_bool("resume", False, "Go on with the run in --run_dir from its last checkpoint.", flag_values=FLAGS)
flags.DEFINE_bool(
    "allow_other_versions", False, "Resume a run though TensorFlow or another package has another version by now.",
    flag_values=FLAGS,
)


def run(argv, started):
    """Runs the command line.

    Args:
        argv: the program's name and its arguments.
        started: when the program started, in seconds since the epoch.

    Returns:
        exit status, see `command.run`.
    """
    return command.run(
        argv, sys.modules[__name__], lambda arguments: _run(arguments, started),
        "go on with the same command, --run_dir=DIRECTORY and --resume",
    )


def _run(arguments, started):
    checks.check(not arguments, "arguments", " ".join(arguments), "flags only; see --help")
    gin_files, run_dir = FLAGS.gin_file, FLAGS.run_dir
    if not gin_files:
        raise checks.InvalidInputError("--gin_file: name at least one, such as gin_configs/ipd.gin")
    checks.check(run_dir != "", "--run_dir", run_dir, "the name of a directory")
    if FLAGS.resume and run_dir is None:
        raise checks.InvalidInputError("--resume: name the run with --run_dir=DIRECTORY")
    if run_dir is None:
        claim = run_directory.claim_next("runs", pathlib.Path(gin_files[-1]).stem)
    else:
        claim = run_directory.claim(pathlib.Path(run_dir).expanduser(), FLAGS.resume)
    with claim as directory:
        configs.train(gin_files, FLAGS.gin_param, directory, FLAGS.resume, FLAGS.allow_other_versions, started)
