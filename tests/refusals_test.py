"""What no constructor takes: one table of (constructor, argument, values, what is allowed), with every argument in it.

Each value stands in place of an argument that is right, and is refused in one line that names the argument, shows the
value and says what is allowed.
"""

import functools
import inspect
import math

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import snapshot_files
import tf_metamapg as mapg
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.runs.callbacks import EarlyStopping
from tf_metamapg.runs.settings import EvaluationSettings
from tf_metamapg.runs.settings import RunSettings
from tf_metamapg.runs.settings import Stage
from tf_metamapg.training.settings import TrainerSettings

DILEMMA = mapg.IteratedMatrixGame(mapg.payoffs.prisoners_dilemma())
VECTORS = mapg.LinearQuadraticGame(
    0.5 * np.eye(2), [np.ones([2, 1])] * 2, np.stack([np.eye(2)] * 2), np.ones(2)
)
POLICIES = [mapg.tabular_policy(DILEMMA, agent) for agent in range(2)]
IN_DILEMMA, PLAYED = {"game": DILEMMA, "policies": POLICIES}, {"game": DILEMMA, "agent_index": 0}
CRITIC = {"spec": DILEMMA.spec, "policies": POLICIES}
GOODS = mapg.MatrixGame(mapg.payoffs.public_goods(3))
CRITIC_OF_THREE = {"spec": GOODS.spec, "policies": [mapg.tabular_policy(GOODS, agent) for agent in range(3)]}
PLAYED_BY_ENVS = mapg.ParallelEnvGame(functools.partial(mapg.to_parallel_env, DILEMMA))
SPACES = (contracts.Discrete(5),) * 2

# Arguments that must be given, by constructor.
GIVEN = {
    "Box": {"shape": (2,)},
    "CentralValueNetwork": CRITIC,
    "CoinGame": {"rules": mapg.lola_rules()},
    "CounterfactualBaseline": CRITIC,
    "CounterfactualDiceEstimator": IN_DILEMMA,
    "DefaultTasks": {"game": DILEMMA},
    "DiceEstimator": IN_DILEMMA,
    "DifferentiableGame": {"values": lambda x: (x[..., 0],), "n_params": [1]},
    "Discrete": {"n": 2},
    "ExactEstimator": IN_DILEMMA,
    "ExactCoinGame": {"rules": mapg.lola_rules()},
    "GameSpec": {
        "name": "game", "discount": 0.9, "dtype": "float32", "observations": SPACES, "actions": SPACES
    },
    "HostSimulator": {"game": PLAYED_BY_ENVS, "policies": POLICIES},
    "InGraphSimulator": IN_DILEMMA,
    "IteratedMatrixGame": {"payoffs": mapg.payoffs.prisoners_dilemma()},
    "LeaveOneOutBaseline": CRITIC,
    "LinearFeatureBaseline": CRITIC,
    "LinearQuadraticGame": {
        "dynamics": 0.5 * np.eye(2), "controls": [np.ones([2, 1])] * 2, "costs": np.stack([np.eye(2)] * 2),
        "start": np.ones(2),
    },
    "LoadedDiceEstimator": IN_DILEMMA,
    "MatrixGame": {"payoffs": mapg.payoffs.prisoners_dilemma()},
    "MeanFieldBaseline": CRITIC_OF_THREE,
    "NoBaseline": CRITIC,
    "NormalPolicies": {"policy": POLICIES[0]}, "PastSelves": {"policy": POLICIES[0]},
    "OpenSpielGame": {"game": "matrix_pd"}, "openspiel_payoffs": {"game": "matrix_pd"},
    "PayoffNoise": {"game": DILEMMA},
    "ParallelEnvGame": {"make_env": functools.partial(mapg.to_parallel_env, DILEMMA)},
    "Personas": {"policy": POLICIES[0]},
    "RecursiveReasoningBaseline": CRITIC,
    "ScoreFunctionEstimator": IN_DILEMMA,
    "LearnedPolicies": {
        "policy": POLICIES[1], "run_dir": snapshot_files.run_dir(POLICIES[1]), "agent_index": 1, **snapshot_files.SIZES,
    },
    "Snapshots": {"policy": POLICIES[1], "directory": snapshot_files.directory(POLICIES[1]), **snapshot_files.SIZES},
    "StochasticGame": {"payoffs": np.zeros([2, 2, 3]), "transitions": np.full([3, 2, 3, 3], 1 / 3)},
    "ValueNetwork": CRITIC,
    "pettingzoo_env": {"function": "tests.simulators.host_envs.Leaving"},
    "to_parallel_env": {"game": DILEMMA},
    "always_cooperate": {"rules": mapg.lola_rules()}, "always_defect": {"rules": mapg.lola_rules()},
    "carried_state_policy": PLAYED, "opponent_features_policy": PLAYED,
    "inferred_goal_policy": PLAYED, "embedding_policy": PLAYED, "OpponentEmbedding": {"agent": mapg.MetaPG()},
    "gru_policy": PLAYED, "lstm_policy": PLAYED, "mlp_policy": PLAYED, "tabular_policy": PLAYED,
    "vector_policy": {"game": mapg.tandem_game(), "agent_index": 0},
}

NUMBERS = (math.nan, math.inf, -math.inf, "1", None, True, [[0.1]])  # that are none
COUNTS = (0, -1, 1.5, 2.0, "1", None, True, [[2]], math.inf)
OTHERS = (3, "x", None, {}, [3], True)
NETWORK_CRITICS = (
    "CentralValueNetwork", "CounterfactualBaseline", "MeanFieldBaseline", "RecursiveReasoningBaseline", "ValueNetwork",
)
ACTOR_CRITICS = ("AdvantageActorCritic", "PPO")
CHAIN_CRITICS = (*ACTOR_CRITICS, "COMA", "RecursiveReasoning")
ADVANTAGE_SHAPING = ("AdvantageAlignment", "LOQA")
LOOKING_AHEAD = (
    "CompetitiveGradientDescent", "Extragradient", "HOLA", "LOLADiCE", "LOLAShaping", "LOLATaylor", "LookAhead", "POLA",
    "SOS",
)
INFORMED = (*LOOKING_AHEAD, "ConsensusOptimization", "SymplecticGradientAdjustment")
META_AGENTS = ("FirstOrderMetaMAPG", "FirstOrderMetaPG", "MetaMAPG", "MetaPG")
JOINT_ACTION_LEARNERS = ("JointActionActorCritic", "MultiagentSoftQLearning")
LEARNERS = (
    *CHAIN_CRITICS, *ADVANTAGE_SHAPING, *INFORMED, *META_AGENTS, "JointActionPolicyGradient", "PolicyGradient",
)
OPTIMIZERS = ("Adam", "Momentum", "RMSProp", "SGD")
SAMPLED_ESTIMATORS = ("CounterfactualDiceEstimator", "DiceEstimator", "LoadedDiceEstimator", "ScoreFunctionEstimator")
ESTIMATORS = ("ExactEstimator", *SAMPLED_ESTIMATORS)
MATRIX_GAMES = ("IteratedMatrixGame", "MatrixGame")
TABLES = (*MATRIX_GAMES, "StochasticGame")
COIN_GAMES, COIN_PLAYERS = ("CoinGame", "ExactCoinGame"), ("always_cooperate", "always_defect")
ENDING = ("OpenSpielGame", "PublicGoodsGame")
DISCOUNTED = (
    *COIN_GAMES, "ExchangeGame", "HalfCheetahGame", "IteratedMatrixGame", "LinearQuadraticGame", "NavigationGame",
    "StochasticGame",
)
NAMED = (
    "DifferentiableGame", "ExchangeGame", "HalfCheetahGame", "LinearQuadraticGame", "MaxOfTwoQuadratics",
    "NavigationGame", "PublicGoodsGame", *TABLES,
)
CARRYING = ("carried_state_policy", "embedding_policy", "inferred_goal_policy", "opponent_features_policy")
POLICY_MAKERS = (*CARRYING, "gru_policy", "lstm_policy", "mlp_policy", "tabular_policy", "vector_policy")


def in_table(shape, index, row):
    """Numbers that are right, but for one row."""
    table = np.full(shape, 1.0 / shape[-1])
    table[index] = row
    return table


# (constructors, arguments, values, what is allowed: a regular expression that the line ends with).
TABLE = (
    # Sizes and numbers, of all that has some.
    ("Discrete", "n", COUNTS, "an integer ≥ 1"),
    ("HostSimulator InGraphSimulator", "n_trajectories horizon", COUNTS, "an integer ≥ 1"),
    ("HostSimulator", "n_workers", COUNTS, "an integer ≥ 1"),
    ("HostSimulator", "n_workers", (1001,), "an integer ≤ 1000"),
    ("to_parallel_env", "horizon", COUNTS, "an integer ≥ 1"),
    (SAMPLED_ESTIMATORS, "n_trajectories horizon", COUNTS, "an integer ≥ 1"),
    ("Personas LearnedPolicies Snapshots", "n_train n_validation n_test", COUNTS, "an integer ≥ 1"),
    ("LearnedPolicies", "run_dir", (3, None, "", "nowhere", "tests"), "the directory of a run that has ended; .*"),
    ("LearnedPolicies", "agent_index", (-1, 0.5, None), "an integer ≥ 0"),
    ("Personas LearnedPolicies Snapshots", "seed", (-1, 1.5, "1", None, True), "an integer ≥ 0"),
    ("gru_policy lstm_policy", "units", COUNTS, "an integer ≥ 1"),
    (NETWORK_CRITICS, "units", COUNTS, "an integer ≥ 1"),
    ("carried_state_policy", "n_trajectories", COUNTS, "an integer ≥ 1"),
    ("embedding_policy", "size units", COUNTS, "an integer ≥ 1"),
    ("OpponentEmbedding", "agent", (3, None, "x", mapg.MetaPG), "an agent, such as .*"),
    ("OpponentEmbedding", "n_steps", COUNTS, "an integer ≥ 1"),
    ("OpponentEmbedding", "n_steps", (101,), "an integer ≤ 100"),
    ("OpponentEmbedding", "learning_rate", (0.0, -1.0), "> 0"),
    ("OpponentEmbedding", "learning_rate", NUMBERS, "a finite number"),
    ("inferred_goal_policy", "size n_steps", COUNTS, "an integer ≥ 1"),
    ("inferred_goal_policy", "n_steps", (101,), "an integer ≤ 100"),
    ("inferred_goal_policy", "step_size", (0.0, -1.0), "> 0"),
    ("inferred_goal_policy", "step_size", NUMBERS, "a finite number"),
    (CARRYING, "make_policy", OTHERS, r"a function \(game, agent_index\) → policy"),
    ("ValueNetwork", "units", COUNTS, "an integer ≥ 1"),
    ("MaximumLikelihood", "max_iterations", COUNTS, "an integer ≥ 1"),
    (CHAIN_CRITICS, "n_epochs critic_units", COUNTS, "an integer ≥ 1"),
    (CHAIN_CRITICS, "n_epochs", (101,), "an integer ≤ 100"),
    (("LOLADiCE", "POLA"), "n_lookahead_steps", (-1, 1.5, "1", None, True), "an integer ≥ 0"),
    (("LOLADiCE", "POLA"), "n_lookahead_steps", (1001,), "an integer ≤ 1000"),
    ("POLA", "n_epochs", COUNTS, "an integer ≥ 1"),
    ("POLA", "n_epochs", (101,), "an integer ≤ 100"),
    ("HOLA", "order", (-1, 1.5, "1", None, True), "an integer ≥ 0"),
    ("HOLA", "order", (11,), "an integer ≤ 10"),
    ("public_goods", "n_agents", (1, *COUNTS), "an integer ≥ 2"),
    ("public_goods", "n_agents", (17,), "≤ 16, as the table has .* entries"),
    ("public_goods", "multiplier", NUMBERS, "a finite number"),
    ("prisoners_dilemma", "reward sucker temptation punishment", NUMBERS, "a finite number"),
    (LEARNERS, "inner_learning_rate entropy_bonus", (-1.0, *NUMBERS), "a finite number ≥ 0.0.*"),
    (JOINT_ACTION_LEARNERS, "inner_learning_rate", (-1.0, *NUMBERS), "a finite number ≥ 0.0.*"),
    (JOINT_ACTION_LEARNERS, "critic_units n_critic_steps n_joint_actions", COUNTS, "an integer ≥ 1"),
    (JOINT_ACTION_LEARNERS, "n_critic_steps", (101,), "an integer ≤ 100"),
    (JOINT_ACTION_LEARNERS, "critic_learning_rate action_bound", (0.0, -1.0), "> 0"),
    (JOINT_ACTION_LEARNERS, "critic_learning_rate action_bound", NUMBERS, "a finite number"),
    ("MultiagentSoftQLearning", "temperature cooling final_temperature", (0.0, -1.0), "> 0"),
    ("MultiagentSoftQLearning", "temperature cooling final_temperature", NUMBERS, "a finite number"),
    ("MultiagentSoftQLearning", "cooling", (1.1,), r"in \(0, 1\]"),
    ("MFOS", "units", COUNTS, "an integer ≥ 1"),
    ("MFOS Shaper", "n_perturbations", COUNTS, "an integer ≥ 1"),
    ("MFOS Shaper", "stddev", (0.0, -1.0), "> 0"),
    ("MFOS Shaper", "stddev", NUMBERS, "a finite number"),
    ("MeVa", "inner_learning_rate discount trace_decay", (-1.0, *NUMBERS), "a finite number ≥ 0.0"),
    ("MeVa", "discount", (1.0, 2.0), r"in \[0, 1\)"),
    ("MeVa", "trace_decay", (1.1,), r"in \[0, 1\]"),
    ("MeVa", "units", COUNTS, "an integer ≥ 1"),
    (LOOKING_AHEAD, "assumed_learning_rate", (-1.0, *NUMBERS), "a finite number ≥ 0.0"),
    (ACTOR_CRITICS, "gae_lambda", (-0.1, *NUMBERS), "a finite number ≥ 0.0"),
    (ACTOR_CRITICS, "gae_lambda", (1.1,), r"in \[0, 1\]"),
    (CHAIN_CRITICS, "critic_learning_rate", (0.0, -1.0), "> 0"),
    ("PPO", "clip", (0.0, -1.0), "> 0"),
    (ADVANTAGE_SHAPING, "weight", (-1.0, *NUMBERS), "a finite number ≥ 0.0"),
    (ADVANTAGE_SHAPING, "critic_units n_critic_steps", COUNTS, "an integer ≥ 1"),
    (ADVANTAGE_SHAPING, "n_critic_steps", (101,), "an integer ≤ 100"),
    (ADVANTAGE_SHAPING, "gae_lambda", (-0.1, *NUMBERS), "a finite number ≥ 0.0"),
    (ADVANTAGE_SHAPING, "gae_lambda", (1.1,), r"in \[0, 1\]"),
    (ADVANTAGE_SHAPING, "critic_learning_rate", (0.0, -1.0), "> 0"),
    (("ConsensusOptimization", "POLA"), "penalty", (-1.0, *NUMBERS), "a finite number ≥ 0.0"),
    ("SymplecticGradientAdjustment", "adjustment", (-1.0, *NUMBERS), "a finite number ≥ 0.0"),
    ("SOS", "alignment radius", (1.0, 2.0), r"in \(0, 1\)"),
    ("SOS", "alignment radius", (0.0, -1.0), "> 0"),
    ("MaximumLikelihood", "tolerance", (0.0, -1e-5), "> 0"),
    ("MaximumLikelihood", "tolerance", NUMBERS, "a finite number"),
    ("ConstantRate", "learning_rate", (-1.0, *NUMBERS), "a finite number ≥ 0.0"),
    ("LearnedRates", "learning_rate", (0.0,), "> 0"),
    ("LearnedRatesPerParameter", "learning_rate", (-1.0, *NUMBERS), "a finite number ≥ 0.0"),
    (OPTIMIZERS, "max_gradient_norm", (0.0, -1.0), "> 0"),
    (OPTIMIZERS, "max_gradient_norm", (math.nan, "1", True), "a finite number"),
    ("Momentum RMSProp", "decay", (1.0, 1.5), r"in \[0, 1\)"),
    ("Momentum RMSProp", "decay", (-0.1, *NUMBERS), "a finite number ≥ 0.0"),
    ("Adam", "beta_1 beta_2", (1.0, 1.5), r"in \[0, 1\)"),
    ("Adam", "beta_1 beta_2", (-0.1, *NUMBERS), "a finite number ≥ 0.0"),
    ("Adam RMSProp", "epsilon", (0.0, -1e-8), "> 0"),
    ("LoadedDiceEstimator ScoreFunctionEstimator", "gae_lambda", (-0.1, 1.5, "1", None, math.nan), ".*"),
    ("LinearFeatureBaseline", "ridge", (0.0, 1e-12, -1.0, "1", None), "a finite number ≥ 1e-05"),
    (NETWORK_CRITICS, "learning_rate", (0.0, -1.0), "> 0"),
    (NETWORK_CRITICS, "learning_rate", NUMBERS, "a finite number"),
    ("PayoffNoise", "width", (-0.1, *NUMBERS), "a finite number ≥ 0.0"),
    ("tabular_policy vector_policy", "initial_stddev", (-1.0, *NUMBERS), "a finite number ≥ 0.0"),
    ("vector_policy", "initial_mean", NUMBERS, "a finite number"),
    ("NormalPolicies", "mean", NUMBERS, "a finite number"),
    ("NormalPolicies", "stddev", (-1.0, *NUMBERS), "a finite number ≥ 0.0"),
    ("LinearQuadraticGame", "action_cost", NUMBERS, "a finite number"),
    ("LinearQuadraticGame", "noise", (-0.1, *NUMBERS), "a finite number ≥ 0.0"),
    (DISCOUNTED, "discount", (-0.1, 1.0, 1, 1.5), r"in \[0, 1\)"),
    ((*ENDING, "ParallelEnvGame"), "discount", (-0.1, 1.1, 2), r"in \[0, 1\]"),
    ((*DISCOUNTED, *ENDING, "ParallelEnvGame"), "discount", NUMBERS, "a finite number"),
    ("pola_prisoners_dilemma", "contribution_factor", NUMBERS, "a finite number"),
    ("pola_prisoners_dilemma", "contribution_factor", (0.5, 1.0, 2.0, 3), r"in \(1, 2\), for a dilemma"),
    ("PublicGoodsGame", "n_agents n_levels", (1, *COUNTS), "an integer ≥ 2"),
    ("PublicGoodsGame", "n_agents n_levels", (11, 2**31 - 1), "such that there are at most 1024 joint actions"),
    ("PublicGoodsGame", "multiplier endowment end_probability", (0.0, -0.1), "> 0"),
    ("PublicGoodsGame", "multiplier endowment end_probability", NUMBERS, "a finite number"),
    ("PublicGoodsGame", "end_probability", (1.1, 2), r"in \(0, 1\]"),
    ("HalfCheetahGame", "direction", NUMBERS, "a finite number"),
    ("HalfCheetahGame", "direction", (0, 0.5, -2.0), "1 or -1"),
    ("NavigationGame", "n_agents", COUNTS, "an integer ≥ 1"),
    ("NavigationGame", "goal", (None, "there", {}), "an array of numbers"),
    ("NavigationGame", "goal", (0.5, (0.5,), [[0.5, 0.5]], (0.5, 0.5, 0.5)), "a vector of two numbers"),
    ("NavigationGame", "goal", ((math.nan, 0.0), (0.0, math.inf)), "finite"),
    ("NavigationGame", "radius step_size", (0.0, -0.1), "> 0"),
    ("NavigationGame", "radius step_size", NUMBERS, "a finite number"),
    ("NavigationGame", "action_cost", (-0.1, *NUMBERS), "a finite number ≥ 0.0"),
    ("OpenSpielGame", "max_states", COUNTS, "an integer ≥ 1"),
    ("OpenSpielGame openspiel_payoffs", "game", (3, None, ["matrix_pd"]), "the name of a game of OpenSpiel, such .*"),
    ("OpenSpielGame openspiel_payoffs", "game", ("", "matrix_PD"), "a game that OpenSpiel has; see .*"),
    ("OpenSpielGame openspiel_payoffs", "game", ("kuhn_poker", "chess"), "a game of simultaneous moves, .*"),
    ("OpenSpielGame", "game", ("goofspiel",), "of at most 2000 states; see max_states"),
    ("openspiel_payoffs", "game", ("goofspiel",), "a game of one step, such as 'matrix_pd'; see also OpenSpielGame"),
    # Texts.
    (NAMED, "name", (None, 3, ["name"]), "a text"),
    ("ParallelEnvGame", "name", (3, ["name"]), "a text"),
    ("pettingzoo_env", "function", (3, None, "", "a b", "pettingzoo", "pettingzoo.Nothing"), "the full name of .*"),
    ("pettingzoo_env", "arguments", (3, "x", [1], {1: 2}), "None or a dict of values by name"),
    ("to_parallel_env", "render_mode", ("rgb_array", 3, []), "'ansi', 'human' or None"),
    ((*NAMED, *COIN_GAMES, "OpenSpielGame", "ParallelEnvGame", "bilinear_game", "tandem_game"), "dtype",
     ("float16", "int32", "double", "", None, 64, np.float32), "'float32' or 'float64'"),
    ("mlp_policy", "shared_stddev", (1, None, "yes"), "True or False"),
    ("mlp_policy", "shared_stddev", (True,), "False, as actions of this agent are finitely many"),
    ("mlp_policy", "activation", ("tanhh", 3, []), "the name of a Keras activation"),
    # Parts: games, policies, optimisers and what makes them.
    (("DefaultTasks", "PayoffNoise", *POLICY_MAKERS, *ESTIMATORS), "game", (*OTHERS, mapg.MatrixGame),
     "a game.*; (see contracts|this is a class|this lacks).*"),
    (POLICY_MAKERS, "agent_index", (-1, 1.0, "0", None, True), "an integer ≥ 0"),
    (POLICY_MAKERS, "agent_index", (2,), "in 0..1"),
    (("HostSimulator", "InGraphSimulator", *ESTIMATORS), "policies", (3, None, POLICIES[:1], POLICIES * 2),
     "a list of 2, one for each agent of the game"),
    ("HostSimulator InGraphSimulator to_parallel_env", "game", (*OTHERS, mapg.MatrixGame), "a game.*"),
    ("ParallelEnvGame", "make_env", OTHERS, "a function that makes a pettingzoo.ParallelEnv, such as .*"),
    ("to_parallel_env", "task", (3.0, np.zeros([2, 2]), {"a": 1.0}), ".*, (with axes|as many seeds).*"),
    (SAMPLED_ESTIMATORS, "critic simulator", OTHERS, "a function that makes a (critic|simulator).*"),
    ("Snapshots", "directory", (3, None, ["a"]), "the name of a directory"),
    ("Snapshots", "directory", ("", "nowhere", "tests"), "a directory of snapshots of one agent, .*snapshot_every"),
    ("PastSelves", "n_policies every", COUNTS, "an integer ≥ 1"),
    ("PastSelves", "agent_index", (-1, 0.5, None), "an integer ≥ 0"),
    ("NormalPolicies LearnedPolicies PastSelves Snapshots", "policy", OTHERS, "a policy; see contracts.Policy"),
    ("Personas", "policy", (*OTHERS, mapg.mlp_policy(DILEMMA, 0)), "a tabular policy"),
    ((*LEARNERS, *JOINT_ACTION_LEARNERS), "optimizer", (*OTHERS[:2], mapg.Adam),
     r"an optimiser, such as Adam\(\); (see|this is).*"),
    ([name for name in (*LEARNERS, *JOINT_ACTION_LEARNERS) if name not in META_AGENTS], "inner_learning_rate",
     (mapg.LearnedRates(), mapg.LearnedRatesPerParameter()), "a constant, as this agent meta-learns nothing"),
    ((*INFORMED, *META_AGENTS), "opponent_model", (mapg.MaximumLikelihood, "mle", 0, False, {}),
     r"None or an opponent model, such as MaximumLikelihood\(\); (this is a class|see contracts.OpponentModel)"),
    ((*META_AGENTS, "MFOS"), "value_weights", OTHERS, "a function of the chain length"),
    ("DifferentiableGame", "values", (None, 3, "values", [abs]), "a function of the vectors of all agents"),
    ((*COIN_GAMES, *COIN_PLAYERS), "rules", (*OTHERS, mapg.lola_rules), r"CoinRules, such as lola_rules\(\)"),
    ("CoinGame", "view", ("pixels", 3, None, ["image"], ["image", "pixels"], ["image", 3]),
     "one of 'image', 'vector', 'board', 'board_and_takers', or a pair of them"),
    ("ExactCoinGame", "view", ("image", "vector", 3, None), "'board' or 'board_and_takers', as only .*"),
    (COIN_PLAYERS, "view", ("image", "vector", 3, None), "'board' or 'board_and_takers'"),
    ("StochasticGame", "metrics", (3, "share", [1]), "a dict of arrays by name"),
    ("StochasticGame", "metrics", ({"share": np.zeros([2, 2, 3])},), r"of shape \(2, 3, 2, 3\)"),
    # Sequences of sizes.
    ("Box", "shape", ((), [], 3, "ab", None, {2}), "a tuple of sizes, such as .* for vectors of three numbers"),
    ("Box", "shape", tuple((2, size) for size in (0, -1, 1.0, "3", None, True)), "an integer ≥ 1"),
    ("DifferentiableGame", "n_params", (None, 2, [], (), "11", {1: 1}), "a list of sizes, one for each agent"),
    ("DifferentiableGame", "n_params", tuple((2, size) for size in COUNTS), "an integer ≥ 1"),
    ("mlp_policy", "hidden_units", (64, "64", None), "a list of sizes"),
    ("mlp_policy", "hidden_units", ((0, 4), (1.5,), ("4",)), "an integer ≥ 1"),
    # Tables of numbers.
    (MATRIX_GAMES, "payoffs", tuple(map(np.zeros, (
        (), (0,), (3,), (2, 2), (2, 2, 2, 2), (3, 2, 2), (1, 2, 2), (3, 2, 2, 2, 2), (0, 2)
    ))), r"numbers of shape \[n_agents, A_0, .., A_{n-1}\], with one axis of actions for each agent"),
    (MATRIX_GAMES, "payoffs", (np.zeros([2, 2, 0]),), "such that every agent has an action"),
    ("StochasticGame", "payoffs", tuple(map(np.zeros, (
        (), (2,), (2, 2), (2, 2, 2), (3, 2, 3), (2, 2, 2, 3), (2, 3, 3, 2), (1, 2, 3), (2, 3, 2, 3, 1), (0, 2, 3)
    ))), r"of shape \(2, 2, 3\) or \(2, 3, 2, 3\), as there are transitions for.*"),
    (TABLES, "payoffs", ("payoffs", None, {1: 2}, [["x", "y"]], [[[1, 2], [3]]]), ".*numbers.*"),
    (TABLES, "payoffs", (math.nan, in_table([2, 2, 2], (0, 1, 0), math.inf)), "finite"),
    ("StochasticGame", "transitions", tuple(map(np.ones, ((), (3,), (3, 3), (3, 2, 3, 2), (2, 2, 3, 3)))),
     r"probabilities of shape \[M, A_0, .., A_{n-1}, M\]"),
    ("StochasticGame", "transitions", tuple(map(np.ones, ((0, 2, 0), (3, 2, 0, 3), (3, 0, 3)))),
     "such that there are states and actions"),
    ("StochasticGame", "transitions", (None, "table", [[["x"]]], [[[1.0, 0.0], [0.0]]], {1: 2}), ".*probabilities.*"),
    ("StochasticGame", "transitions", tuple(
        in_table([2, 2, 3, 2], (1, 0, 2), row) for row in ([1.5, -0.5], [0.5, 0.4], [0.5, 0.5 + 2e-6], [0.0, 0.0])
    ), "probabilities that sum to 1 over the last axis"),
    ("StochasticGame", "transitions", tuple(
        in_table([2, 2, 3, 2], (1, 0, 2), row) for row in ([math.nan, 1.0], [math.inf, 0.0])
    ), "finite"),
    ("StochasticGame", "views", (
        7, "abc", [], [0, 1, 2], [[0, 1, 2]], [[0, 1], [0, 1]], [[0, 1, 2]] * 3, [[0, 1, 2], [0, 1, -1]],
        [[0.0, 1.0, 2.0]] * 2, [[True, False, True]] * 2, [["a", "b", "c"]] * 2, [[0, 1, 2], [0, 1, None]],
        [[0, 1, 2], [0, 1]], *([[0, 1, 2**power], [0, 1, 2]] for power in (31, 32, 40)),
    ), r"integers in 0..2 of shape \(2, 3\)"),
    ("StochasticGame", "start", ([0.5, 0.5], [0.25] * 4, [[1.0, 0.0, 0.0]], 1.0, []), r"of shape \(3,\)"),
    ("StochasticGame", "start", ([0.5, 0.6, -0.1], [0.5, 0.4, 0.0], [0.0] * 3, [0.5, 0.5, 2e-6]),
     "probabilities that sum to 1 over the last axis"),
    ("StochasticGame", "start ends", ("abc", ["x", "y", "z"], {0: 1}, [[1.0], [0.0, 0.0]], [1j] * 3),
     "an array of numbers"),
    ("StochasticGame", "start", ([math.nan, 0.0, 1.0], [math.inf, 0.0, 0.0]), "finite"),
    ("StochasticGame", "ends", tuple(map(np.zeros, ((), (3,), (2, 3), (3, 6), (3, 3, 2), (3, 2, 3, 1)))),
     r"of shape \(3, 2, 3\)"),
    ("StochasticGame", "ends", tuple(in_table([3, 2, 3], -1, entry) for entry in (math.nan, math.inf)), "finite"),
    ("StochasticGame", "ends", tuple(in_table([3, 2, 3], (1, 0, 2), entry) for entry in (-0.1, 1.1, -1e-9, 2.0)),
     "probabilities"),
    ("LinearQuadraticGame", "dynamics costs start", (None, "A", {}), "an array of numbers"),
    ("LinearQuadraticGame", "dynamics costs start", (math.nan, [None]), "finite"),
    ("LinearQuadraticGame", "start", (1.0,), "a vector"),
    ("LinearQuadraticGame", "dynamics", (np.eye(3),), r"of shape \(2, 2\)"),
    ("LinearQuadraticGame", "costs", (np.eye(2),), r"of shape \(2, 2, 2\)"),
    ("LinearQuadraticGame", "controls", (None, 3, (), "B"), "a list of matrices, one for each agent"),
    ("LinearQuadraticGame", "controls", (
        (np.ones([3, 1]), np.ones([2, 1])), (np.ones([2, 0]), np.ones([2, 1])), (np.ones(2), np.ones([2, 1]))
    ), ".*"),
    # Specs and settings.
    ("GameSpec", "name", (None, 3, ["name"]), "a text"),
    ("GameSpec", "discount", (-0.1, 1.0, 1.1), r"in \[0, 1\)"),
    ("GameSpec", "discount", NUMBERS, "a finite number"),
    ("GameSpec", "dtype", ("float16", None, 64), "'float32' or 'float64'"),
    ("GameSpec", "observations", (None, (), SPACES[0], {0: SPACES[0]}), "a tuple, one space for each agent"),
    ("GameSpec", "actions", (SPACES[:1], SPACES[0]), "a list of 2, one for each agent of the game"),
    ("GameSpec", "observations actions", tuple(
        (SPACES[0], other) for other in (3, (3,), None, contracts.Box, tf.TensorSpec([], "int32"))
    ), "a Discrete or a Box"),
    ("GameSpec", "ends", (1, None), "True or False"),
    ("GameSpec", "metrics", ("share", (1,), None), "a tuple of names"),
    ("GameSpec", "metrics", (("a", "b", "a"),), "different names"),
    ("GameSpec", "metrics", tuple(("share", name) for name in ("", "two words", "a/b", "1st", "a\nb")),
     "names of letters, digits and underscores"),
    ("TrainerSettings", "chain_length", (-1, 1.5, None), "an integer ≥ 0"),
    ("TrainerSettings", "chain_length", (10_001,), "an integer ≤ 10000"),
    ("TrainerSettings", "n_tasks n_blocks", COUNTS, "an integer ≥ 1"),
    ("TrainerSettings", "meta_learning_rate", (-0.1, *NUMBERS), "a finite number ≥ 0.0"),
    ("TrainerSettings", "update_meta_learning_rate", (-0.1, math.nan, "a"), "a finite number ≥ 0.0"),
    ("TrainerSettings", "max_gradient_norm", (0.0, -1.0), "> 0"),
    ("TrainerSettings", "jit_compile share_initial_policy", (1, None), "True or False"),
    ("EvaluationSettings", "n_inner_updates", (-1, 1.5, None), "an integer ≥ 0"),
    ("EvaluationSettings", "n_evaluation_tasks", COUNTS, "an integer ≥ 1"),
    ("EvaluationSettings", "validate_every", (0, -1, 1.5, "1"), "an integer ≥ 1"),
    ("RunSettings", "n_seeds checkpoint_every", COUNTS, "an integer ≥ 1"),
    ("RunSettings", "n_seeds", (100_001,), "an integer ≤ 100000"),
    ("RunSettings", "first_seed", (-1, 1.5, None), "an integer ≥ 0"),
    ("RunSettings", "first_seed", (2**31 - 19,), "such that all seeds are below 2³¹"),
    ("RunSettings", "n_meta_updates", (-1, 1.5, None), "an integer ≥ 0"),
    ("RunSettings", "export_all_seeds export_learning", (1, None), "True or False"),
    ("RunSettings", "earlier_stages callbacks", (None, 3, {}), "a list"),
    ("RunSettings", "earlier_stages", ((3,), (Stage,)), r"a Stage, such as @Stage\(\) with parentheses"),
    ("RunSettings", "callbacks", ((3,), (print,)), r"a callback, such as @EarlyStopping\(\) with parentheses"),
    ("RunSettings", "export_tasks", (None, 3), "a list"),
    ("RunSettings", "export_tasks", ((-1,), (0.5,)), "an integer ≥ 0"),
    ("RunSettings", "init_from", (3, (), True), "the directory of a run"),
    ("Stage", "chain_length n_meta_updates", (-1, 1.5, None), "an integer ≥ 0"),
    ("Stage", "meta_learning_rate", (-0.1, math.nan, "a"), "a finite number ≥ 0.0"),
    ("EarlyStopping", "patience", COUNTS, "an integer ≥ 1"),
    ("EarlyStopping", "min_improvement", (-0.1, *NUMBERS), "a finite number ≥ 0.0"),
    ("IteratedMatrixGame", "metrics", (None, 3, "cooperation", ("welfare",)), "a tuple of 'cooperation' and 'coop.*"),
    ("RunSettings", "snapshot_every", (0, -1, 1.5, "1"), "an integer ≥ 1"),
)

# Whoever calls these has looked at their arguments by then: makers of policies, estimators, meta-agents.
CALLED_BY_OTHERS = {
    "TabularPolicy": {"build_model", "spec"}, "last_link": {"chain_length"}, "mean_over_chain": {"chain_length"},
    "sum_over_chain": {"chain_length"},
    **{critic: {"spec", "policies"} for critic in mapg.critics.__all__},
}
# A test of their own has what Keras models are refused for.
TRIED = {"keras_policy", "keras_recurrent_policy"}


def constructors():
    """All that a config can name, specs and settings, by name."""
    members = {name: getattr(folder, name) for folder in mapg.MEMBERS for name in folder.__all__}
    others = (
        mapg.Box, mapg.Discrete, mapg.GameSpec, EvaluationSettings, RunSettings, Stage, TrainerSettings, EarlyStopping
    )
    return {
        **{name: one for name, one in members.items() if not inspect.isabstract(one)},
        **{one.__name__: one for one in others},
    }


def rows():
    """(constructor, argument, values, allowed), one constructor and argument each."""
    for names, arguments, values, allowed in TABLE:
        for name in names.split() if isinstance(names, str) else names:
            for argument in arguments.split():
                yield name, argument, values, allowed


class RefusalsTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.named_parameters(
        (f"{number}_{name}_{argument}", name, argument, values, allowed)
        for number, (name, argument, values, allowed) in enumerate(rows())
    )
    def test_refused_in_one_line(self, name, argument, values, allowed):
        make, given = constructors()[name], GIVEN.get(name, {})
        make(**given)  # All else is right.
        for value in values:
            with self.subTest(value=value), self.assertRaises(checks.InvalidInputError) as caught:
                make(**{**given, argument: value})
            # Of settings the arguments of `train` are named, and of makers of games those of what they make.
            self.assertRegex(str(caught.exception), rf"^(\w+\.)?{argument}(\[[^]]+\])* [^\n]*: must be {allowed}$")

    def test_every_argument_is_in_the_table(self):
        arguments = {
            (name, argument)
            for name, make in constructors().items() if name not in TRIED
            for argument in inspect.signature(make).parameters if argument not in CALLED_BY_OTHERS.get(name, ())
        }
        self.assertCountEqual(arguments, {(name, argument) for name, argument, *_ in rows()})


if __name__ == "__main__":
    tf.test.main()
