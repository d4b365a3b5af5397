r"""A league: everybody meets everybody, in both places of a game.

    bin/league
    bin/league --learner=PolicyGradient --learner=MetaMAPG \
        --strategy=tit_for_tat --best_responses
    bin/league --run=runs/ipd-1 --strategy=extortion_3 \
        --gin_param="train.n_seeds = 5"

Learners, runs, exported policies and strategies take part; without any of
these, eight learners, from PolicyGradient to MetaMAPG, and all of this
package's strategies. Meta-agents are trained in self-play first, below
--output_dir. What was trained or played there is not again: a league that was
killed goes on, and a new entrant alone has to meet the others. Where the
package is installed, tf-metamapg-league is the same.
"""

import sys

from absl import flags

from tf_metamapg import checks
from tf_metamapg import gin_reader
from tf_metamapg.commands import common
from tf_metamapg.commands import jobs

FLAGS = flags.FlagValues()
flags.DEFINE_multi_string(
    "learner", [], "An agent by the name that gin knows it by, such as MetaMAPG or fast/MetaMAPG; it is trained in "
    "self-play if it meta-learns.", flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "strategy", [], "A strategy for the prisoner's dilemma, such as tit_for_tat, or axelrod:NAME; what is wrong with "
    "a name says which there are.", flag_values=FLAGS
)
flags.DEFINE_multi_string(
    "run", [], "The directory of a run that has ended, with agents of one kind and as many seeds as the league, at "
    "least; by NAME=DIRECTORY it takes part as NAME.", flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "policy", [], "An exported policy, such as runs/ipd-1/initial_policies/agent_0, which does not learn; by NAME=PATH "
    "it takes part as NAME.",
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "best_responses", False, "Also learn a best response to what each entrant starts from: what it gets says how far "
    "that can be exploited.", flag_values=FLAGS,
)
flags.DEFINE_string("output_dir", "runs/league", "Where runs, numbers and figures go.", flag_values=FLAGS)
flags.DEFINE_string(
    "gin_file", "league_ipd.gin", "What describes the game, the tasks, the estimator and how meta-agents are trained.",
    flag_values=FLAGS,
)
jobs.define_flag(FLAGS, "meta-agents are trained")
flags.DEFINE_multi_string("gin_param", [], "A gin binding that comes after the config.", flag_values=FLAGS)


def run(argv: list[str]) -> int:
    """Runs the command line; returns its exit status, see `common.run`."""
    return jobs.run(argv, sys.modules[__name__], _run, "the same command goes on with it")


def _run(arguments, processes):
    checks.check(not arguments, "arguments", " ".join(arguments), "flags only; see --help")
    gin_reader.check_exists(common.path("--gin_file", FLAGS.gin_file), f"--gin_file={FLAGS.gin_file}")
    with common.importing():
        from tf_metamapg.commands import tournament
    tournament.play(FLAGS, processes)
