"""Gin configs: everything that one may name is registered here, and runs are started as configs say."""

import collections

import gin

from tf_metamapg import checks
from tf_metamapg import gin_reader
from tf_metamapg import theorem
from tf_metamapg.agents.fixed import Fixed
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.lola_shaping import LOLAShaping
from tf_metamapg.agents.lola_taylor import LOLATaylor
from tf_metamapg.agents.look_ahead import LookAhead
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.meta_pg import MetaPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.opponent_models import MaximumLikelihood
from tf_metamapg.agents.sos import SOS
from tf_metamapg.critics import baselines
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
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.policies.vector import vector_policy
from tf_metamapg.runs import experiment
from tf_metamapg.runs import run_directory

_CONFIGURABLES = (
    StochasticGame, MatrixGame, IteratedMatrixGame, LinearQuadraticGame, bilinear_game, tandem_game, PayoffNoise,
    tabular_policy, mlp_policy, lstm_policy, gaussian_mlp_policy, gaussian_lstm_policy, vector_policy,
    Personas, NormalPolicies,
    ExactEstimator, DiceEstimator, LoadedDiceEstimator, ScoreFunctionEstimator,
    Fixed, PolicyGradient, LookAhead, LOLAShaping, LOLATaylor, LOLADiCE, SOS, MetaPG, MetaMAPG, MaximumLikelihood,
    baselines.no_baseline, baselines.leave_one_out_baseline, baselines.linear_feature_baseline,
    baselines.ValueNetwork,
    theorem.mean_over_chain, theorem.last_link,
    payoffs.prisoners_dilemma, payoffs.stag_hunt, payoffs.chicken, payoffs.matching_pennies,
    payoffs.rock_paper_scissors, payoffs.public_goods,
)
for _configurable in _CONFIGURABLES:
    gin.external_configurable(_configurable, module="tf_metamapg")
_train = gin.external_configurable(
    experiment.train, "train", module="tf_metamapg",
    denylist=["directory", "resume", "allow_other_versions", "describe_config", "opened", "started"],
)


def train(
    gin_files, bindings, directory, resume, allow_other_versions, started, tell_unused=lambda unused: None
):
    """Runs the experiment that configs describe. A caller's own gin bindings are neither seen nor changed.

    Args:
        gin_files: paths; what a file includes or imports is looked for beside it, too.
        bindings: texts that come after the files.
        directory: the `RunDirectory`, claimed.
        resume: whether to go on with the run that is there.
        allow_other_versions: see `experiment.train`.
        started: when the run began, in seconds since the epoch.
        tell_unused: called when the run begins, with what is bound though nothing uses it, a list of texts.

    Returns:
        the summary, see `experiment.train`.

    Raises:
        InvalidInputError: if the configs cannot be read or run.
        MetaTrainingStopped: if a meta-gradient is NaN or infinite.
    """
    is_running = False
    with gin_reader.fresh_state():
        of_files = [(path, gin_reader.read_file(path)) for path in gin_files]
        of_bindings = [name for text in bindings for name in gin_reader.read_binding(text)]
        gin_reader.finalize()

        def describe_config():
            nonlocal is_running
            config = gin.operative_config_str()
            is_running = True
            return config

        try:
            return _train(
                directory=directory, resume=resume, allow_other_versions=allow_other_versions,
                describe_config=describe_config, started=started,
                opened=lambda: tell_unused(list(_unused(gin.operative_config_str(), of_files, of_bindings))),
            )
        except Exception as error:
            cause = gin_reader.cause(error)
            if is_running or isinstance(cause, checks.InvalidInputError):
                raise cause from None
            raise checks.InvalidInputError(f"config: {_what_is_wrong(error)}") from error


def _what_is_wrong(error):
    """What a user learns from an exception in a function that a config names, whatever has raised it."""
    text = str(error)
    first_line = text.partition("\n")[0]
    # What a config leaves out, or calls too early, shows only in the call that misses it.
    if "No values supplied by Gin or caller" in text:
        return first_line
    if isinstance(error, TypeError) and "positional argument" in first_line:
        return f"{first_line}; is there a @name() that should be without parentheses?"
    calls = gin_reader.calls(error)
    again = [name for name, times in collections.Counter(calls).items() if times > 1]
    if isinstance(error, RecursionError) and again:
        return f"{', '.join(again)}: refers to itself"
    return f"{calls[-1]}: {gin_reader.message(gin_reader.cause(error))}"


def _unused(config, of_files, of_bindings):
    """What is bound, and nothing has read according to the config that a run has used: a text for each file and name.

    What a file includes may leave much unused, as it was written for something else.
    """
    used = [_scopes_and_name(bound) for bound in run_directory.bindings(config)]

    def is_unused(bound):
        scopes, name = _scopes_and_name(bound)
        # What is bound for a scope counts in those inside of it, too.
        return not any(name == own and within[: len(scopes)] == scopes for within, own in used)

    for path, names in of_files:
        if unused := dict.fromkeys(filter(is_unused, names)):
            yield checks.one_line(f"{', '.join(unused)} of {path}")
    yield from filter(is_unused, of_bindings)


def _scopes_and_name(bound):
    """Of [scope/..][module.]function.parameter or [scope/..]macro: (scopes, name without modules)."""
    *scopes, name = bound.split("/")
    return scopes, name.split(".")[-2:]
