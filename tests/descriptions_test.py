"""Everything that a user of the library holds says what it is, in one short line."""

import copy
import functools
import inspect
import pickle

from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

from tests import snapshot_files
import tf_metamapg as mapg
from tf_metamapg import descriptions
from tf_metamapg.simulators.in_graph import InGraphSimulator
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer

GAME = (
    "IteratedMatrixGame(payoffs=float64 [2, 2, 2], discount=0.96, dtype='float32', name='iterated matrix game', "
    "metrics=())"
)
VECTOR_GAME = (
    "LinearQuadraticGame(dynamics=float64 [3, 3], controls=[float64 [3, 2], float64 [3, 1]], costs=float64 [2, 3, 3], "
    "start=float64 [3], action_cost=0.1, noise=0.0, discount=0.96, dtype='float32', name='linear-quadratic game')"
)
STATE = "AgentState(params=(float32 [1, 2, 5, 1],), extra=())"
ACTIONS = "(int32 [1, 2, 4, 3], int32 [1, 2, 4, 3])"
REWARDS = "(float32 [1, 2, 4, 3], float32 [1, 2, 4, 3])"
TRAJECTORY = f"Trajectory(observations={ACTIONS}, actions={ACTIONS}, rewards={REWARDS}, mask=(), metrics=())"
SPEC = (
    "GameSpec(name='iterated matrix game', discount=0.96, dtype='float32', "
    "observations=(Discrete(n=5), Discrete(n=5)), actions=(Discrete(n=2), Discrete(n=2)), ends=False, metrics=())"
)
BRIEF_SPEC = SPEC.replace("(n=5)", "").replace("(n=2)", "")
PROBLEM = (
    "Problem(game=IteratedMatrixGame, policies=(TabularPolicy by tabular_policy, TabularPolicy by tabular_policy), "
    "agents=(MetaMAPG, PolicyGradient), estimator=LoadedDiceEstimator, task_distribution=PayoffNoise, "
    "populations=(None, None))"
)
SETTINGS = (
    "TrainerSettings(chain_length=1, n_tasks=2, meta_learning_rate=0.1, update_meta_learning_rate=None, "
    "max_gradient_norm=None, share_initial_policy=False, n_blocks=1, "
    "jit_compile=False)"
)
META_PARAMS = "MetaParams(initial=(float32 [1, 5, 1],), update=float32 [1, 1])"
# Not objects that a user holds: functions, modules, classes to be subclassed, and what is raised.
RULES = (
    "CoinRules(name='coin game (LOLA)', two_coins=False, red_first=True, empty_cells=True, players_apart=True, "
    "can_stay=False, own_first=False, sees_last_rewards=False)"
)
FUNCTIONS = {
    name for name in mapg.__all__
    if not inspect.isclass(getattr(mapg, name)) or inspect.isabstract(getattr(mapg, name))
} | {"InvalidInputError"}


def one_table(seed):
    del seed
    return keras.Sequential([keras.Input((), dtype="int32"), keras.layers.Embedding(5, 2, "zeros")])


def one_cell(seed):
    del seed
    return keras.layers.SimpleRNNCell(2, kernel_initializer="zeros", recurrent_initializer="zeros")


@functools.cache
def held():
    """What there is to hold, and what it says: by name."""
    game = mapg.IteratedMatrixGame(mapg.payoffs.prisoners_dilemma())
    policies = [mapg.tabular_policy(game, agent) for agent in range(2)]
    rng = np.random.default_rng(0)
    vector_game = mapg.LinearQuadraticGame(
        np.eye(3), [rng.normal(size=[3, size]) for size in (2, 1)], np.stack([np.eye(3)] * 2), np.ones(3)
    )
    bilinear = mapg.bilinear_game()
    estimator = mapg.LoadedDiceEstimator(game, policies, n_trajectories=4, horizon=3)
    agents = [mapg.MetaMAPG(mapg.LearnedRates(0.5)), mapg.PolicyGradient(2)]
    keys = mapg.random.root_keys([0])
    initial_params = mapg.for_each_task(tuple(policy.initial_params([0]) for policy in policies), n_tasks=2)
    tasks = mapg.PayoffNoise(game).sample(keys, n_tasks=2)
    chain = mapg.adapt(estimator, agents, initial_params, tasks, [keys] * 2)
    problem = Problem(
        game=game, policies=policies, agents=agents, estimator=estimator, task_distribution=mapg.PayoffNoise(game)
    )
    settings = TrainerSettings(n_tasks=2, jit_compile=False)
    trainer = MetaTrainer(problem, settings, [7])
    names = "[TabularPolicy by tabular_policy, TabularPolicy by tabular_policy]"
    first, second = (
        f"TabularPolicy by tabular_policy(game=IteratedMatrixGame, agent_index={agent}, initial_stddev=1.0)"
        for agent in range(2)
    )
    sampled = "n_trajectories=64, horizon=150, critic=LeaveOneOutBaseline"
    assuming = "inner_learning_rate=1.0, assumed_learning_rate=1.0"
    link = chain.links[0]
    goods = mapg.MatrixGame(mapg.payoffs.public_goods(3))
    parallel_env_game = mapg.ParallelEnvGame(functools.partial(mapg.to_parallel_env, game))
    env_game = "ParallelEnvGame(make_env=to_parallel_env, discount=0.99, dtype='float32', name=None)"
    return {
        "IteratedMatrixGame": (game, GAME),
        "MatrixGame": (
            mapg.MatrixGame([[[1, 2]] * 3] * 2),
            "MatrixGame(payoffs=[[[1, 2], [1, 2], [1, 2]], [[1, 2], [1, 2], [1, 2]]], dtype='float32', "
            "name='matrix game')",
        ),
        "StochasticGame": (
            mapg.StochasticGame(np.ones([2, 2, 2]), np.full([3, 2, 2, 3], 1 / 3)),
            "StochasticGame(payoffs=float64 [2, 2, 2], transitions=float64 [3, 2, 2, 3], views=None, discount=0.96, "
            "dtype='float32', name='stochastic game', start=None, ends=None, metrics=None)",
        ),
        "CoinGame": (
            mapg.CoinGame(mapg.lola_rules()), f"CoinGame(rules={RULES}, view='image', discount=0.96, dtype='float32')"
        ),
        "ExactCoinGame": (
            mapg.ExactCoinGame(mapg.lola_rules(), "board"),
            f"ExactCoinGame(rules={RULES}, view='board', discount=0.96, dtype='float64')",
        ),
        "ExchangeGame": (
            mapg.ExchangeGame(), "ExchangeGame(discount=0.96, dtype='float32', name='exchange game')",
        ),
        "MaxOfTwoQuadratics": (
            mapg.MaxOfTwoQuadratics(), "MaxOfTwoQuadratics(dtype='float32', name='max of two quadratics')",
        ),
        "NavigationGame": (
            mapg.NavigationGame(3),
            "NavigationGame(n_agents=3, goal=(0.5, 0.0), radius=0.1, step_size=0.1, action_cost=0.01, discount=0.96, "
            "dtype='float32', name='navigation')",
        ),
        "PublicGoodsGame": (
            mapg.PublicGoodsGame(2),
            "PublicGoodsGame(n_agents=2, multiplier=1.6, end_probability=0.1, n_levels=3, endowment=1.0, discount=1.0, "
            "dtype='float32', name='public goods game')",
        ),
        "OpenSpielGame": (
            mapg.OpenSpielGame("matrix_pd"),
            "OpenSpielGame(game='matrix_pd', discount=1.0, dtype='float64', max_states=2000)",
        ),
        "LinearQuadraticGame": (vector_game, VECTOR_GAME),
        "ParallelEnvGame": (parallel_env_game, env_game),
        "HalfCheetahGame": (
            mapg.HalfCheetahGame(-1),
            "HalfCheetahGame(direction=-1, discount=0.95, dtype='float32', name='two-agent HalfCheetah')",
        ),
        "HostSimulator": (
            mapg.HostSimulator(parallel_env_game, policies, n_workers=1),
            f"HostSimulator(game={env_game}, policies=[{first}, {second}], n_trajectories=64, horizon=150, "
            "n_workers=1)",
        ),
        "DifferentiableGame": (
            bilinear,
            "DifferentiableGame(values=values, n_params=[1, 1], dtype='float64', name='bilinear zero-sum game')",
        ),
        "tabular_policy": (
            policies[1], f"TabularPolicy by tabular_policy(game={GAME}, agent_index=1, initial_stddev=1.0)",
        ),
        "mlp_policy": (
            mapg.mlp_policy(game, 0, [8] * 6),
            f"CategoricalPolicy by mlp_policy(game={GAME}, agent_index=0, hidden_units=[8, 8, 8, 8, … of 6], "
            "activation='tanh', shared_stddev=False)",
        ),
        "carried_state_policy": (
            mapg.carried_state_policy(game, 0),
            f"CarriedStatePolicy by carried_state_policy(game={GAME}, agent_index=0, n_trajectories=64, "
            "make_policy=lstm_policy)",
        ),
        "embedding_policy": (
            mapg.embedding_policy(game, 0),
            f"EmbeddingPolicy by embedding_policy(game={GAME}, agent_index=0, make_policy=mlp_policy, size=4, "
            "units=16)",
        ),
        "OpponentEmbedding": (
            mapg.OpponentEmbedding(mapg.Fixed()), "OpponentEmbedding(agent=Fixed(), n_steps=4, learning_rate=0.01)",
        ),
        "inferred_goal_policy": (
            mapg.inferred_goal_policy(game, 0),
            f"InferredGoalPolicy by inferred_goal_policy(game={GAME}, agent_index=0, make_policy=mlp_policy, size=2, "
            "n_steps=3, step_size=1.0)",
        ),
        "opponent_features_policy": (
            mapg.opponent_features_policy(game, 0),
            f"OpponentFeaturesPolicy by opponent_features_policy(game={GAME}, agent_index=0, make_policy=mlp_policy)",
        ),
        "gru_policy": (
            mapg.gru_policy(game, 0, units=3), f"NetworkPolicy by gru_policy(game={GAME}, agent_index=0, units=3)",
        ),
        "lstm_policy": (
            mapg.lstm_policy(game, 0, units=3), f"NetworkPolicy by lstm_policy(game={GAME}, agent_index=0, units=3)",
        ),
        "mlp_policy of vectors": (
            mapg.mlp_policy(vector_game, 0),
            f"NetworkPolicy by mlp_policy(game={VECTOR_GAME}, agent_index=0, hidden_units=(64,), "
            "activation='tanh', shared_stddev=False)",
        ),
        "keras_policy": (
            mapg.keras_policy(game, 0, one_table),
            f"CategoricalPolicy by keras_policy(game={GAME}, agent_index=0, make_model=one_table)",
        ),
        "keras_recurrent_policy": (
            mapg.keras_recurrent_policy(game, 0, one_cell),
            f"NetworkPolicy by keras_recurrent_policy(game={GAME}, agent_index=0, make_cell=one_cell)",
        ),
        "vector_policy": (
            mapg.vector_policy(bilinear, 0),
            f"VectorPolicy by vector_policy(game={bilinear}, agent_index=0, initial_mean=0.0, initial_stddev=1.0)",
        ),
        "TabularPolicy": (
            policies[0], f"TabularPolicy by tabular_policy(game={GAME}, agent_index=0, initial_stddev=1.0)",
        ),
        "ExactEstimator": (
            mapg.ExactEstimator(game, policies), f"ExactEstimator(game={GAME}, policies=[{first}, {second}])",
        ),
        **{
            kind.__name__: (
                kind(game, policies),
                f"{kind.__name__}(game={GAME}, policies=[{first}, … of 2], {sampled}, simulator=InGraphSimulator)",
            )
            for kind in (mapg.DiceEstimator, mapg.CounterfactualDiceEstimator)
        },
        **{
            kind.__name__: (
                kind(game, policies),
                f"{kind.__name__}(game={GAME}, policies=[{first}, … of 2], {sampled}, gae_lambda=1.0, "
                "simulator=InGraphSimulator)",
            )
            for kind in (mapg.LoadedDiceEstimator, mapg.ScoreFunctionEstimator)
        },
        "Fixed": (mapg.Fixed(), "Fixed()"),
        "PolicyGradient": (agents[1], "PolicyGradient(inner_learning_rate=2, optimizer=None, entropy_bonus=0.0)"),
        "MetaMAPG": (
            agents[0],
            "MetaMAPG(inner_learning_rate=LearnedRates(learning_rate=0.5), optimizer=None, "
            "value_weights=mean_over_chain, opponent_model=None, entropy_bonus=0.0)",
        ),
        "MetaPG": (
            mapg.MetaPG(0.5, opponent_model=mapg.MaximumLikelihood(7)),
            "MetaPG(inner_learning_rate=0.5, optimizer=None, value_weights=mean_over_chain, "
            "opponent_model=MaximumLikelihood(max_iterations=7, tolerance=1e-05), entropy_bonus=0.0)",
        ),
        **{
            kind.__name__: (
                kind(),
                f"{kind.__name__}(inner_learning_rate=1.0, optimizer=None, value_weights=mean_over_chain, "
                "opponent_model=None, entropy_bonus=0.0)",
            )
            for kind in (mapg.FirstOrderMetaPG, mapg.FirstOrderMetaMAPG)
        },
        "COALAPG": (mapg.COALAPG(), "COALAPG()"),
        "LookAhead": (
            mapg.LookAhead(), f"LookAhead({assuming}, optimizer=None, entropy_bonus=0.0, opponent_model=None)",
        ),
        "LOLAShaping": (
            mapg.LOLAShaping(), f"LOLAShaping({assuming}, optimizer=None, entropy_bonus=0.0, opponent_model=None)",
        ),
        "LOLATaylor": (
            mapg.LOLATaylor(), f"LOLATaylor({assuming}, optimizer=None, entropy_bonus=0.0, opponent_model=None)",
        ),
        "LOLADiCE": (
            mapg.LOLADiCE(),
            f"LOLADiCE({assuming}, n_lookahead_steps=1, opponent_model=None, optimizer=None, entropy_bonus=0.0)",
        ),
        "AdvantageActorCritic": (
            mapg.AdvantageActorCritic(critic_units=7),
            "AdvantageActorCritic(inner_learning_rate=1.0, optimizer=None, entropy_bonus=0.0, n_epochs=1, "
            "gae_lambda=0.95, critic_units=7, critic_learning_rate=0.01)",
        ),
        "AdvantageAlignment": (
            mapg.AdvantageAlignment(weight=2),
            "AdvantageAlignment(inner_learning_rate=1.0, weight=2, optimizer=None, entropy_bonus=0.0, gae_lambda=0.95, "
            "critic_units=32, critic_learning_rate=0.01, n_critic_steps=1)",
        ),
        "LOQA": (
            mapg.LOQA(critic_units=7),
            "LOQA(inner_learning_rate=1.0, weight=1.0, optimizer=None, entropy_bonus=0.0, gae_lambda=0.95, "
            "critic_units=7, critic_learning_rate=0.01, n_critic_steps=1)",
        ),
        **{
            kind.__name__: (
                kind(critic_units=7),
                f"{kind.__name__}(inner_learning_rate=1.0, optimizer=None, entropy_bonus=0.0, n_epochs=1, "
                "critic_units=7, critic_learning_rate=0.01)",
            )
            for kind in (mapg.COMA, mapg.RecursiveReasoning)
        },
        "PPO": (
            mapg.PPO(clip=0.1),
            "PPO(inner_learning_rate=1.0, optimizer=None, entropy_bonus=0.0, n_epochs=4, gae_lambda=0.95, "
            "critic_units=32, critic_learning_rate=0.01, clip=0.1)",
        ),
        "SOS": (
            mapg.SOS(radius=0.2),
            f"SOS({assuming}, alignment=0.5, radius=0.2, optimizer=None, entropy_bonus=0.0, opponent_model=None)",
        ),
        "Extragradient": (
            mapg.Extragradient(), f"Extragradient({assuming}, optimizer=None, entropy_bonus=0.0, opponent_model=None)",
        ),
        "ConsensusOptimization": (
            mapg.ConsensusOptimization(penalty=2),
            "ConsensusOptimization(inner_learning_rate=1.0, penalty=2, optimizer=None, entropy_bonus=0.0, "
            "opponent_model=None)",
        ),
        "SymplecticGradientAdjustment": (
            mapg.SymplecticGradientAdjustment(),
            "SymplecticGradientAdjustment(inner_learning_rate=1.0, adjustment=1.0, optimizer=None, entropy_bonus=0.0, "
            "opponent_model=None)",
        ),
        "CompetitiveGradientDescent": (
            mapg.CompetitiveGradientDescent(),
            f"CompetitiveGradientDescent({assuming}, optimizer=None, entropy_bonus=0.0, opponent_model=None)",
        ),
        "HOLA": (
            mapg.HOLA(order=3), f"HOLA({assuming}, order=3, optimizer=None, entropy_bonus=0.0, opponent_model=None)",
        ),
        "JointActionPolicyGradient": (
            mapg.JointActionPolicyGradient(),
            "JointActionPolicyGradient(inner_learning_rate=1.0, optimizer=None, entropy_bonus=0.0)",
        ),
        "JointActionActorCritic": (
            mapg.JointActionActorCritic(),
            "JointActionActorCritic(inner_learning_rate=1.0, optimizer=None, critic_units=32, "
            "critic_learning_rate=0.01, n_critic_steps=1, n_joint_actions=256, action_bound=10.0)",
        ),
        "MultiagentSoftQLearning": (
            mapg.MultiagentSoftQLearning(cooling=0.9),
            "MultiagentSoftQLearning(inner_learning_rate=1.0, optimizer=None, critic_units=32, "
            "critic_learning_rate=0.01, n_critic_steps=1, n_joint_actions=256, action_bound=10.0, temperature=1.0, "
            "cooling=0.9, final_temperature=0.1)",
        ),
        "POLA": (
            mapg.POLA(penalty=0.5),
            f"POLA({assuming}, n_lookahead_steps=1, n_epochs=2, penalty=0.5, opponent_model=None, optimizer=None, "
            "entropy_bonus=0.0)",
        ),
        "MFOS": (
            mapg.MFOS(units=8),
            "MFOS(units=8, n_perturbations=16, stddev=0.1, value_weights=mean_over_chain)",
        ),
        "MeVa": (
            mapg.MeVa(0.5, units=8), "MeVa(inner_learning_rate=0.5, discount=0.9, trace_decay=0.9, units=8)",
        ),
        "Shaper": (mapg.Shaper(8), "Shaper(n_perturbations=8, stddev=0.1)"),
        "ConstantRate": (mapg.ConstantRate(2), "ConstantRate(learning_rate=2)"),
        "LearnedRates": (mapg.LearnedRates(), "LearnedRates(learning_rate=1.0)"),
        "LearnedRatesPerParameter": (
            mapg.LearnedRatesPerParameter(0.1), "LearnedRatesPerParameter(learning_rate=0.1)",
        ),
        "SGD": (mapg.SGD(), "SGD(max_gradient_norm=None)"),
        "Momentum": (mapg.Momentum(0.5), "Momentum(decay=0.5, max_gradient_norm=None)"),
        "RMSProp": (mapg.RMSProp(0.5, 1e-4), "RMSProp(decay=0.5, epsilon=0.0001, max_gradient_norm=None)"),
        "Adam": (
            mapg.Adam(0.5, 0.6, 1e-4, 3), "Adam(beta_1=0.5, beta_2=0.6, epsilon=0.0001, max_gradient_norm=3)",
        ),
        "MaximumLikelihood": (mapg.MaximumLikelihood(), "MaximumLikelihood(max_iterations=100, tolerance=1e-05)"),
        **{
            kind.__name__: (
                kind(game.spec, policies), f"{kind.__name__}(spec={BRIEF_SPEC}, policies=[{first}, {second}]{rest})",
            )
            for kind, rest in (
                (mapg.NoBaseline, ""), (mapg.LeaveOneOutBaseline, ""), (mapg.LinearFeatureBaseline, ", ridge=0.001"),
            )
        },
        **{
            kind.__name__: (
                kind(game.spec, policies, units=3),
                f"{kind.__name__}(spec={BRIEF_SPEC.replace(', Discrete', ', … of 2')}, policies=[{first}, … of 2], "
                "units=3, learning_rate=0.01)",
            )
            for kind in (
                mapg.ValueNetwork, mapg.CentralValueNetwork, mapg.CounterfactualBaseline,
                mapg.RecursiveReasoningBaseline,
            )
        },
        "MeanFieldBaseline": (
            mapg.MeanFieldBaseline(goods.spec, [mapg.tabular_policy(goods, agent) for agent in range(3)], units=3),
            "MeanFieldBaseline(spec=GameSpec(name='matrix game', discount=0.0, dtype='float32', "
            "observations=(Discrete, … of 3), actions=(Discrete, … of 3), ends=False, metrics=()), policies=["
            "TabularPolicy by tabular_policy(game=MatrixGame, agent_index=0, initial_stddev=1.0), … of 3], units=3, "
            "learning_rate=0.01)",
        ),
        "InGraphSimulator": (
            InGraphSimulator(game, policies, 4, 3),
            f"InGraphSimulator(game={GAME}, policies=[{first}, {second}], n_trajectories=4, horizon=3)",
        ),
        "GameSpec": (game.spec, SPEC),
        "AgentSpec": (
            vector_game.spec.agent(0),
            "AgentSpec(observation=Box(shape=(3,)), action=Box(shape=(2,)), dtype='float32')",
        ),
        "Discrete": (mapg.Discrete(3), "Discrete(n=3)"),
        "Box": (mapg.Box([3, 4]), "Box(shape=(3, 4))"),
        "DefaultTasks": (mapg.DefaultTasks(game), f"DefaultTasks(game={GAME})"),
        "PayoffNoise": (mapg.PayoffNoise(game, 0.2), f"PayoffNoise(game={GAME}, width=0.2)"),
        "Personas": (
            mapg.Personas(policies[0], seed=3),
            f"Personas(policy={policies[0]}, n_train=200, n_validation=20, n_test=20, seed=3)",
        ),
        "PastSelves": (
            mapg.PastSelves(policies[0], every=2),
            f"PastSelves(policy={policies[0]}, agent_index=0, n_policies=10, every=2)",
        ),
        "NormalPolicies": (
            mapg.NormalPolicies(policies[0], stddev=2), f"NormalPolicies(policy={policies[0]}, mean=0.0, stddev=2)",
        ),
        "LearnedPolicies": (
            snapshot_files.learned_policies(policies[0]),
            f"LearnedPolicies(policy={policies[0]}, run_dir='{snapshot_files.run_dir(policies[0])}', agent_index=1, "
            "n_train=2, n_validation=1, n_test=1, seed=0)",
        ),
        "Snapshots": (
            snapshot_files.population(policies[0]),
            f"Snapshots(policy={policies[0]}, directory='{snapshot_files.directory(policies[0])}', n_train=2, "
            "n_validation=1, n_test=1, seed=0)",
        ),
        "Trajectory": (link.sample.trajectory, TRAJECTORY),
        "Sample": (link.sample, f"Sample(trajectory={TRAJECTORY}, step_weights={REWARDS})"),
        "AgentState": (link.agent_states[0], STATE),
        "Link": (
            link,
            f"Link(agent_states=({STATE}, {STATE}), sample=Sample(trajectory=Trajectory, step_weights={REWARDS}), "
            "keys=int64 [1, 2], critic_params=())",
        ),
        "Chain": (
            chain,
            "Chain(estimator=LoadedDiceEstimator, agents=(MetaMAPG, PolicyGradient), "
            "update_params=(float32 [1, 1], ()), tasks=float32 [1, 2, 2, 2, 2], links=(Link, Link), "
            "compile_fn=identity)",
        ),
        "Objectives": (
            mapg.Objectives(mapg.ExactEstimator(game, policies), tasks, link._replace(sample=())),
            f"Objectives(estimator=ExactEstimator(game=IteratedMatrixGame, policies={names}), "
            f"tasks=float32 [1, 2, 2, 2, 2], link=Link(agent_states=(AgentState, AgentState), sample=(), "
            "keys=int64 [1, 2], critic_params=()))",
        ),
        "MetaParams": (agents[0].meta_gradients(chain, 0).total, META_PARAMS),
        "MetaGradients": (
            agents[0].meta_gradients(chain, 0),
            f"MetaGradients(current_policy={META_PARAMS}, self_shaping={META_PARAMS}, opponent_shaping={META_PARAMS})",
        ),
        "MetaTrainer": (
            trainer,
            # Deeper would be longer than a line.
            "MetaTrainer(problem=Problem, settings=TrainerSettings, seeds=[7], workers=Alone)",
        ),
        "Problem": (problem, PROBLEM),
        "TrainerSettings": (settings, SETTINGS),
        "Metrics": (
            trainer.step(),
            "Metrics(mean_reward=float32 [1, 2, 2], term_norms=float32 [1, 2, 3], game_metrics={})",
        ),
    }


class HeldTest(tf.test.TestCase):

    def test_everything_public_is_here(self):
        makers = {name for name in FUNCTIONS if name.endswith("_policy")}
        self.assertLessEqual({*mapg.__all__} - FUNCTIONS | makers, set(held()))

    def test_it_says_what_it_is(self):
        for name, (value, expected) in held().items():
            with self.subTest(name):
                self.assertEqual(repr(value), expected)
                self.assertEqual(str(value), expected)

    def test_in_one_short_line(self):
        for name, (value, _) in held().items():
            self.assertLessEqual(len(repr(value)), 400, name)
            self.assertNotIn("\n", repr(value))

    def test_types_keep_their_names(self):
        for name, (value, _) in held().items():
            if "_policy" not in name:
                self.assertEqual(type(value).__name__, name)

    def test_copies_say_the_same(self):
        for name in ("IteratedMatrixGame", "SOS", "PayoffNoise", "Link", "MaximumLikelihood"):
            value, expected = held()[name]
            self.assertEqual(repr(copy.copy(value)), expected)
        for name in ("SOS", "IteratedMatrixGame"):
            value, expected = held()[name]
            self.assertEqual(repr(pickle.loads(pickle.dumps(value))), expected)

    def test_long_chains_and_large_policies(self):
        (chain, _), (terms, _) = held()["Chain"], held()["MetaGradients"]
        self.assertIn("links=(Link, Link, Link, Link, … of 101)", repr(chain._replace(links=chain.links[:1] * 101)))
        params = terms.total._replace(initial=(tf.zeros([20, 64, 64]),) * 9)
        network_leaves = "(float32 [20, 64, 64], … of 9)"
        self.assertIn(f"self_shaping=MetaParams(initial={network_leaves}", repr(type(terms)(*[params] * 3)))

    def test_specs_of_many_agents(self):
        spec = mapg.GameSpec(
            name="crowd", discount=0.9, dtype="float32", observations=[mapg.Box([3])] * 50,
            actions=[mapg.Discrete(2)] * 50,
        )
        shown = "observations=(Box(shape=(3,)), Box(shape=(3,)), Box(shape=(3,)), Box(shape=(3,)), … of 50)"
        self.assertIn(shown, repr(spec))
        self.assertLessEqual(len(repr(spec)), 400)

    def test_subclasses_and_wrong_arguments(self):
        class Own(mapg.PolicyGradient):
            def __init__(self, temperature, *others, **named):
                super().__init__(0.25)

        self.assertEqual(repr(Own(3, 4, key="x")), "Own(temperature=3, others=(4,), named={'key': 'x'})")
        with self.assertRaisesRegex(TypeError, "temperature"):
            Own()
        with self.assertRaisesRegex(TypeError, "unexpected keyword argument 'units'"):
            mapg.PolicyGradient(units=3)


class DescribeTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(
        (None, "None"), ("a\nb", r"'a\nb'"), (1.5, "1.5"), (np.float32(1.5), "np.float32(1.5)"), ([], "[]"), ((), "()"),
        ((1,), "(1,)"), ([1, (2, "x")], "[1, (2, 'x')]"), ([0] * 5, "[0, 0, 0, 0, … of 5]"), (len, "len"), (int, "int"),
        (functools.partial(sorted, key=len), "sorted"), (np.zeros([]), "float64 []"),
        (np.zeros([2, 0]), "float64 [2, 0]"),
        (tf.Variable([1]), "int32 [1]"), (range(3), "range(0, 3)"), ({"a": 1}, "{'a': 1}"),
    )
    def test_values(self, value, expected):
        self.assertEqual(descriptions.describe(value), expected)

    def test_what_does_not_fit(self):
        self.assertEqual(descriptions.describe("a" * 100, longest=10), "'aaaaaa...")
        self.assertEqual(descriptions.describe(held()["Link"][0], longest=10), "Link")
        self.assertEqual(descriptions.describe([["a" * 100] * 9] * 9, longest=10), "[['aaaa...")

    def test_sizes_that_are_not_known(self):
        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, 3])])
        def check(value):
            self.assertEqual(descriptions.describe(value), "float32 [None, 3]")
            return value

        check(tf.zeros([2, 3]))


if __name__ == "__main__":
    tf.test.main()
