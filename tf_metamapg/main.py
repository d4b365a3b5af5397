"""Meta-trains agents as gin configs say, and leaves a run directory.

    bin/train --gin_file=gin_configs/ipd.gin
    bin/train --gin_file=gin_configs/ipd.gin --gin_param="train.n_seeds = 5" --run_dir=runs/five_seeds
    bin/train --gin_file=gin_configs/ipd.gin --run_dir=runs/five_seeds --resume

This is the only file that knows of gin: everything that a config may name is registered here.
"""

import logging
import os
import pathlib
import sys
import tokenize

from absl import flags
import gin

from tf_metamapg import checks
from tf_metamapg import experiment
from tf_metamapg import returns
from tf_metamapg import run_directory
from tf_metamapg.agents import theorem
from tf_metamapg.agents.fixed import Fixed
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.lola_shaping import LOLAShaping
from tf_metamapg.agents.lola_taylor import LOLATaylor
from tf_metamapg.agents.look_ahead import LookAhead
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.meta_pg import MetaPG
from tf_metamapg.agents.opponent_modelling import MaximumLikelihood
from tf_metamapg.agents.policy_gradient import PolicyGradient
from tf_metamapg.agents.sos import SOS
from tf_metamapg.estimators.dice import DiceEstimator
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.differentiable import bilinear_game
from tf_metamapg.games.differentiable import tandem_game
from tf_metamapg.games.finite import FiniteGame
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.matrix import MatrixGame
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.policies.raw import raw_policy
from tf_metamapg.policies.tabular import tabular_policy

flags.DEFINE_multi_string("gin_file", [], "A gin config; several are read in the order given.")
flags.DEFINE_multi_string(
    "gin_param", [], "A gin binding that comes after the files, such as 'train.n_seeds = 5'."
)
flags.DEFINE_string(
    "run_dir", None, "Where the run's files go. By default runs/NAME-1, runs/NAME-2, … after the last gin file."
)
flags.DEFINE_bool("resume", False, "Go on with the run in --run_dir from its last checkpoint.")

_CONFIGURABLES = (
    FiniteGame, MatrixGame, IteratedMatrixGame, bilinear_game, tandem_game, PayoffNoise,
    tabular_policy, raw_policy,
    ExactEstimator, DiceEstimator, LoadedDiceEstimator, ScoreFunctionEstimator,
    Fixed, PolicyGradient, LookAhead, LOLAShaping, LOLATaylor, LOLADiCE, SOS, MetaPG, MetaMAPG, MaximumLikelihood,
    returns.no_baseline, returns.leave_one_out_baseline,
    theorem.mean_over_chain, theorem.last_link,
    payoffs.prisoners_dilemma, payoffs.stag_hunt, payoffs.chicken, payoffs.matching_pennies,
    payoffs.rock_paper_scissors, payoffs.public_goods,
)
for _configurable in _CONFIGURABLES:
    gin.external_configurable(_configurable, module="tf_metamapg")
_train = gin.external_configurable(experiment.train, "train", module="tf_metamapg")


def run(argv, started):
    """Runs the command line.

    Args:
        argv: the program's name and its arguments.
        started: when the program started, in seconds since the epoch.

    Returns:
        exit status: 0, 1 if a run had to stop, 2 for input that cannot be used, 130 if interrupted.
    """
    try:
        if {"--help", "-h"} & set(argv):
            print(f"{__doc__}\n{flags.FLAGS.module_help(sys.modules[__name__])}")
            return 0
        _run(argv, started)
    except (checks.InvalidInputError, flags.Error) as error:
        # Gin appends where it was when a configurable raised; the first line says it all.
        print(f"error: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    except experiment.MetaTrainingStopped as error:
        print(f"stopped: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: go on with the same command, --run_dir=DIRECTORY and --resume", file=sys.stderr)
        return 130
    return 0


def _run(argv, started):
    unused = flags.FLAGS(argv)[1:]
    checks.check(not unused, "arguments", " ".join(unused), "flags only; see --help")
    gin_files, run_dir = flags.FLAGS.gin_file, flags.FLAGS.run_dir
    if not gin_files:
        raise checks.InvalidInputError("--gin_file: name at least one, such as gin_configs/ipd.gin")
    checks.check(run_dir != "", "--run_dir", run_dir, "the name of a directory")
    if flags.FLAGS.resume and run_dir is None:
        raise checks.InvalidInputError("--resume: name the run with --run_dir=DIRECTORY")
    _parse_config(gin_files, flags.FLAGS.gin_param)
    try:
        _train(
            run_directory=run_dir or run_directory.next_run_directory("runs", pathlib.Path(gin_files[-1]).stem),
            resume=flags.FLAGS.resume,
            describe_config=gin.operative_config_str,
            started=started,
        )
    except TypeError as error:
        # What a config leaves out shows only in the call that misses it.
        if "No values supplied by Gin or caller" not in str(error):
            raise
        raise checks.InvalidInputError(f"config: {str(error).splitlines()[0]}") from error


def _parse_config(gin_files, bindings):
    for path in gin_files:
        if not os.path.isfile(path):
            raise checks.InvalidInputError(f"--gin_file={path}: there is no such file")
        # What a file includes is looked for beside it.
        gin.add_config_file_search_path(os.path.dirname(path))
        _parse(gin.parse_config_file, f"--gin_file={path}", path)
    for binding in bindings:
        _parse(gin.parse_config, f"--gin_param={binding!r}", binding)
    _parse(lambda _: gin.finalize(), "config", None)


def _parse(parse, flag, config):
    # Gin reports every place where an included file is not, before it finds the file.
    logging.disable(logging.ERROR)
    try:
        parse(config)
    except (ValueError, SyntaxError, TypeError, OSError, ImportError, RecursionError, tokenize.TokenError) as error:
        lines = [line.strip() for line in str(error).splitlines()]
        raise checks.InvalidInputError(f"{flag}: {' '.join(lines)[:300]}") from error
    finally:
        logging.disable(logging.NOTSET)
