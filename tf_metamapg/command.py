"""What the command lines have in common: help, one-line errors and exit statuses."""

import os
import sys

from absl import flags

from tf_metamapg import checks
from tf_metamapg import experiment


def run(argv, module, work, hint):
    """Runs a command line.

    Args:
        argv: the program's name and its arguments.
        module: the command's module; its docstring and its FLAGS are what `--help` shows.
        work: function of the arguments that are not flags.
        hint: how to go on after an interruption.

    Returns:
        exit status: 0, 1 if a run had to stop or nobody reads what it says, 2 for input that cannot be used, 130 if
        interrupted.
    """
    try:
        if {"--help", "-h"} & set(argv):
            print(f"{module.__doc__}\n{module.FLAGS.module_help(module.__name__)}")
            return 0
        work(module.FLAGS(argv)[1:])
        sys.stdout.flush()
    except (checks.InvalidInputError, flags.Error) as error:
        # Gin appends where it was when a configurable raised; the first line says it all.
        print(f"error: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    except experiment.MetaTrainingStopped as error:
        print(f"stopped: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read has gone, as `head` does; what Python writes as it ends must go somewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print(f"interrupted: {hint}", file=sys.stderr)
        return 130
    return 0
