"""Gin configs: everything that one may name is registered here, the only file that calls gin."""

import logging
import os
import re
import tokenize

import gin

from tf_metamapg import checks
from tf_metamapg import critics
from tf_metamapg import experiment
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
from tf_metamapg.games.linear_quadratic import LinearQuadraticGame
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.matrix import MatrixGame
from tf_metamapg.games.stochastic import StochasticGame
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.policies.lstm import gaussian_lstm_policy
from tf_metamapg.policies.lstm import lstm_policy
from tf_metamapg.policies.mlp import gaussian_mlp_policy
from tf_metamapg.policies.mlp import mlp_policy
from tf_metamapg.policies.populations import NormalPolicies
from tf_metamapg.policies.populations import Personas
from tf_metamapg.policies.raw import raw_policy
from tf_metamapg.policies.tabular import tabular_policy

_CONFIGURABLES = (
    StochasticGame, MatrixGame, IteratedMatrixGame, LinearQuadraticGame, bilinear_game, tandem_game, PayoffNoise,
    tabular_policy, mlp_policy, lstm_policy, gaussian_mlp_policy, gaussian_lstm_policy, raw_policy,
    Personas, NormalPolicies,
    ExactEstimator, DiceEstimator, LoadedDiceEstimator, ScoreFunctionEstimator,
    Fixed, PolicyGradient, LookAhead, LOLAShaping, LOLATaylor, LOLADiCE, SOS, MetaPG, MetaMAPG, MaximumLikelihood,
    critics.no_baseline, critics.leave_one_out_baseline, critics.linear_feature_baseline,
    critics.ValueNetwork,
    theorem.mean_over_chain, theorem.last_link,
    payoffs.prisoners_dilemma, payoffs.stag_hunt, payoffs.chicken, payoffs.matching_pennies,
    payoffs.rock_paper_scissors, payoffs.public_goods,
)
for _configurable in _CONFIGURABLES:
    gin.external_configurable(_configurable, module="tf_metamapg")
_train = gin.external_configurable(experiment.train, "train", module="tf_metamapg")


def train(gin_files, bindings, directory, resume, allow_other_versions, started):
    """Runs the experiment that configs describe.

    Args:
        gin_files: paths; what a file includes is looked for beside it, too.
        bindings: texts that come after the files. Those that nothing uses are named on stdout.
        directory: the `RunDirectory`, claimed.
        resume: whether to go on with the run that is there.
        allow_other_versions: see `experiment.train`.
        started: when the run began, in seconds since the epoch.

    Returns:
        the summary, see `experiment.train`.

    Raises:
        InvalidInputError: if the configs cannot be read or run.
        MetaTrainingStopped: if a meta-gradient is NaN or infinite.
    """
    _parse_all(gin_files, bindings)

    def describe_config():
        config = gin.operative_config_str()
        for binding in bindings:
            for name in _unused(binding, config):
                print(f"note: nothing in this run uses {name}", flush=True)
        return config

    try:
        return _train(
            directory=directory, resume=resume, allow_other_versions=allow_other_versions,
            describe_config=describe_config, started=started,
        )
    except TypeError as error:
        # What a config leaves out, or calls too early, shows only in the call that misses it.
        message = str(error).splitlines()[0]
        if "No values supplied by Gin or caller" in message:
            raise checks.InvalidInputError(f"config: {message}") from error
        if "positional argument" in message:
            raise checks.InvalidInputError(
                f"config: {message}; is there a @name() that should be without parentheses?"
            ) from error
        raise


def _parse_all(gin_files, bindings):
    """Reads configs in place of what was read before."""
    gin.clear_config()
    for path in gin_files:
        if not os.path.isfile(path):
            raise checks.InvalidInputError(f"--gin_file={path}: there is no such file")
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
        # Python's parser of values says at which address in memory it has read them.
        lines = [re.sub(r": <ast\..*?>", "", line.strip()) for line in str(error).splitlines()]
        raise checks.InvalidInputError(f"{flag}: {' '.join(lines)[:300]}") from error
    finally:
        logging.disable(logging.NOTSET)


def _unused(config, operative_config):
    """What a text binds, and nothing has read according to the config that a run has used: a list of names."""
    used = [_scopes_and_name(bound) for bound in run_directory.bindings(operative_config)]

    def is_used(bound):
        scopes, name = _scopes_and_name(bound)
        # What is bound for a scope counts in those inside of it, too.
        return any(name == own and within[: len(scopes)] == scopes for within, own in used)

    return [bound for bound in run_directory.bindings(config.strip()) if not is_used(bound)]


def _scopes_and_name(bound):
    """Of [scope/..][module.]function.parameter or [scope/..]macro: (scopes, name without modules)."""
    *scopes, name = bound.split("/")
    return scopes, name.split(".")[-2:]
