"""Meta-trains agents as gin configs say, and leaves a run directory.

    bin/train --gin_file=gin_configs/ipd.gin
    bin/train --gin_file=gin_configs/ipd.gin --gin_param="train.n_seeds = 5" --run_dir=runs/five_seeds
    bin/train --gin_file=gin_configs/ipd.gin --gin_param="train.n_seeds = 5" --run_dir=runs/five_seeds --resume
"""

import os
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


def run(argv, started):
    """Runs the command line.

    Args:
        argv: the program's name and its arguments.
        started: when the program started, in seconds since the epoch.

    Returns:
        exit status, see `command.run`.
    """
    run_directories = []

    def opened(path, unused):
        run_directories.append(run_directory.RunDirectory(path))
        print(f"run directory: {path}", flush=True)
        for text in unused:
            print(f"note: nothing in this run uses {text}", flush=True)

    def hint():
        if not any(os.path.exists(directory.config) for directory in run_directories):
            return "nothing was written; start again"
        return f"go on with the same command, --run_dir={run_directories[0].path} and --resume"

    return command.run(argv, sys.modules[__name__], lambda arguments: _run(arguments, started, opened), hint)


def _run(arguments, started, opened):
    checks.check(not arguments, "arguments", " ".join(arguments), "flags only; see --help")
    gin_files = [command.path("--gin_file", path) for path in FLAGS.gin_file]
    if not gin_files:
        raise checks.InvalidInputError("--gin_file: name at least one, such as gin_configs/ipd.gin")
    checks.check(FLAGS.run_dir != "", "--run_dir", FLAGS.run_dir, "the name of a directory")
    run_dir = None if FLAGS.run_dir is None else command.path("--run_dir", FLAGS.run_dir)
    if FLAGS.resume:
        if run_dir is None:
            raise checks.InvalidInputError("--resume: name the run with --run_dir=DIRECTORY")
        # Before anything is made, which takes time.
        if not os.path.exists(run_directory.RunDirectory(run_dir).config):
            raise checks.InvalidInputError(
                f"--resume with --run_dir={run_dir}: there is no run; leave --resume out to start one"
            )
    default = run_directory.next_run_directory("runs", pathlib.Path(gin_files[-1]).stem)
    configs.train(gin_files, FLAGS.gin_param, run_dir or default, FLAGS.resume, started, opened)
