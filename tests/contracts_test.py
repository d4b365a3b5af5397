"""Proves that specs refuse what they cannot be, and that a Protocol tells those that keep it from those that do not."""

import dataclasses
import functools
import inspect
from typing import Protocol

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import snapshot_files
import tf_metamapg as mapg
from tf_metamapg import checks
from tf_metamapg import contracts

SPEC = {
    "name": "chess", "discount": 0.9, "dtype": "float32", "observations": (mapg.Discrete(3), mapg.Box((2,))),
    "actions": (mapg.Box((1, 2)), mapg.Discrete(4)),
}
SPACES = "a tuple, one space for each agent"
NUMBERED = "a finite number"


class SpacesTest(tf.test.TestCase, parameterized.TestCase):

    def test_what_they_are(self):
        self.assertEqual(mapg.Box([3, 4]), mapg.Box((3, 4)))
        self.assertEqual({mapg.Box([3]), mapg.Box((3,)), mapg.Discrete(3)}, {mapg.Discrete(3), mapg.Box((3,))})
        self.assertNotEqual(mapg.Box((3,)), mapg.Discrete(3))
        for dtype in ("float32", "float64"):
            self.assertEqual(mapg.Discrete(3).tensor_spec(dtype), tf.TensorSpec([], tf.int32))
            self.assertEqual(mapg.Box((3, 4)).tensor_spec(dtype), tf.TensorSpec([3, 4], dtype))


class GameSpecTest(tf.test.TestCase, parameterized.TestCase):

    def test_what_ends_may_have_any_discount_up_to_1(self):
        for discount in (0.0, 0.5, 1, 1.0):
            self.assertEqual(mapg.GameSpec(**{**SPEC, "discount": discount}, ends=True).discount, discount)
        for discount in (-0.1, 1.1):
            with self.assertRaises(checks.InvalidInputError) as caught:
                mapg.GameSpec(**{**SPEC, "discount": discount}, ends=True)
            self.assertEqual(str(caught.exception), f"GameSpec.discount = {discount}: must be in [0, 1]")

    def test_what_it_says(self):
        spec = mapg.GameSpec(**{**SPEC, "observations": [mapg.Discrete(3), mapg.Box((2,))]}, metrics=["share"])
        self.assertEqual(spec, mapg.GameSpec(**SPEC, metrics=("share",)))
        self.assertEqual((spec.n_agents, spec.ends), (2, False))
        self.assertEqual(spec.agent(0), mapg.AgentSpec(mapg.Discrete(3), mapg.Box((1, 2)), "float32"))
        self.assertEqual(spec.agent(1), mapg.AgentSpec(mapg.Box((2,)), mapg.Discrete(4), "float32"))
        for index in (-1, 2, "0", None, 0.0):
            with self.assertRaisesRegex(checks.InvalidInputError, r"^agent_index = .*: must be [^\n]*$"):
                spec.agent(index)
        with self.assertRaises(dataclasses.FrozenInstanceError):
            spec.name = "go"


class Measured(mapg.IteratedMatrixGame):
    """A game that measures something."""

    def metrics(self, tasks, state, joint_action):
        return {}


@functools.cache
def members():
    """{name: (a member of the package, the Protocols that it keeps)}."""
    game = mapg.IteratedMatrixGame(mapg.prisoners_dilemma())
    vectors = mapg.LinearQuadraticGame(np.eye(2), [np.ones([2, 1])] * 2, np.stack([np.eye(2)] * 2), np.ones(2))
    bilinear = mapg.bilinear_game()
    tabular = [mapg.tabular_policy(game, agent) for agent in range(2)]
    policies = {"Policy", "ExportablePolicy"}
    steps, finite = policies | {"StepPolicy"}, policies | {"StepPolicy", "ExactPolicy"}
    # Protocols go by the names that a member has: whatever samples could sample tasks, and an estimator knows a game.
    game_of_steps = {"AnyGame", "Game", "Environments"}
    finite_game = game_of_steps | {"MeasuredGame", "ExactGame", "MeasuredExactGame", "EntropyGame", "JointActionGame"}
    samplers = {"TaskDistribution"}
    exact = mapg.ExactEstimator(game, tabular)
    env_game = mapg.ParallelEnvGame(functools.partial(mapg.to_parallel_env, game))
    table = {
        "MatrixGame": (mapg.MatrixGame(mapg.chicken()), finite_game),
        "IteratedMatrixGame": (game, finite_game),
        "StochasticGame": (mapg.StochasticGame(np.ones([1, 1, 1]), np.ones([1, 1, 1])), finite_game),
        "CoinGame": (mapg.CoinGame(mapg.pola_rules()), game_of_steps | {"MeasuredGame"}),
        "ExactCoinGame": (mapg.ExactCoinGame(mapg.pola_rules(), "board"), finite_game),
        "ExchangeGame": (mapg.ExchangeGame(), game_of_steps | {"MeasuredGame"}),
        "MaxOfTwoQuadratics": (mapg.MaxOfTwoQuadratics(), game_of_steps | {"MeasuredGame"}),
        "NavigationGame": (mapg.NavigationGame(), game_of_steps | {"MeasuredGame"}),
        "PublicGoodsGame": (mapg.PublicGoodsGame(), finite_game),
        "OpenSpielGame": (mapg.OpenSpielGame("matrix_pd"), finite_game),
        "LinearQuadraticGame": (vectors, game_of_steps),
        "DifferentiableGame": (bilinear, {"AnyGame", "ExactGame"}),
        "ParallelEnvGame": (env_game, {"AnyGame", "HostGame"}),
        "HalfCheetahGame": (mapg.HalfCheetahGame(), {"AnyGame", "HostGame"}),
        "environments": (env_game.make_environments(1), {"Environments"}),
        "DefaultTasks": (mapg.DefaultTasks(game), samplers),
        "PayoffNoise": (mapg.PayoffNoise(game), samplers),
        "TabularPolicy": (tabular[0], finite),
        "a perceptron of whole numbers": (mapg.mlp_policy(game, 0), finite),
        "a perceptron of vectors": (mapg.mlp_policy(vectors, 0), steps),
        "an LSTM": (mapg.lstm_policy(game, 0), steps),
        "one given what others did": (mapg.opponent_features_policy(game, 0), steps | {"CarryingPolicy"}),
        "one that remembers": (mapg.carried_state_policy(game, 0), steps | {"CarryingPolicy"}),
        "one that learns of others": (mapg.OpponentEmbedding(mapg.MetaPG()), {"Agent"}),
        "a vector": (mapg.vector_policy(bilinear, 0), policies | {"ExactPolicy"}),
        "Personas": (mapg.Personas(tabular[0]), {"Population", *samplers}),
        "PastSelves": (mapg.PastSelves(tabular[0]), {"GrowingPopulation"}),
        "NormalPolicies": (mapg.NormalPolicies(tabular[0]), {"Population", *samplers}),
        "LearnedPolicies": (snapshot_files.learned_policies(tabular[0]), {"Population", *samplers}),
        "Snapshots": (snapshot_files.population(tabular[0]), {"Population", *samplers}),
        "InGraphSimulator": (mapg.InGraphSimulator(game, tabular), {"Simulator", *samplers}),
        "HostSimulator": (mapg.HostSimulator(env_game, tabular), {"Simulator", *samplers}),
        "ExactEstimator": (exact, {"Estimator", "JointActionEstimator", "AnyGame", *samplers}),
        "MFOS": (mapg.MFOS(), {"Agent"}),
        "MeVa": (mapg.MeVa(), {"Agent"}),
        "Shaper": (mapg.Shaper(), {"Agent"}),
        "MaximumLikelihood": (mapg.MaximumLikelihood(), {"OpponentModel"}),
        "a text": ("chess", set()), "None": (None, set()), "a tensor": (tf.zeros([2]), set()),
    }
    # Some are for three agents or more.
    three = mapg.IteratedMatrixGame(mapg.public_goods(3))
    three_policies = [mapg.tabular_policy(three, agent) for agent in range(3)]
    for name in mapg.critics.__all__:
        if not inspect.isabstract(getattr(mapg, name)):
            table[name] = getattr(mapg, name)(three.spec, three_policies), {"Critic"}
    for name in mapg.estimators.__all__:
        if name != "ExactEstimator" and not inspect.isabstract(getattr(mapg, name)):
            kept = {"Estimator", "PlayingEstimator", "AnyGame", *samplers}
            table[name] = getattr(mapg, name)(game, tabular), kept
    for name in mapg.agents.__all__:
        kind = getattr(mapg, name)
        if inspect.isclass(kind) and issubclass(kind, mapg.GradientAgent) and not inspect.isabstract(kind):
            table[name] = kind(), {"Agent"}
        for base, protocol in ((mapg.SGD, "InnerOptimizer"), (mapg.ConstantRate, "InnerLearningRate")):
            if inspect.isclass(kind) and issubclass(kind, base):
                table[name] = kind(), {protocol}
    return table


PROTOCOLS = {
    name: value for name, value in vars(contracts).items()
    if inspect.isclass(value) and issubclass(value, Protocol) and value.__module__.startswith(contracts.__name__)
}


class ProtocolsTest(tf.test.TestCase, parameterized.TestCase):

    def test_every_protocol_is_kept_by_somebody(self):
        self.assertEqual(set().union(*(kept for _, kept in members().values())), set(PROTOCOLS))

    def test_every_kind_of_member_is_in_the_table(self):
        kinds = {type(member) for member, _ in members().values()}
        for folder in (mapg.games, mapg.policies, mapg.simulators, mapg.critics, mapg.estimators, mapg.agents):
            held = [
                getattr(mapg, name) for name in folder.__all__
                if inspect.isclass(getattr(mapg, name)) and not inspect.isabstract(getattr(mapg, name))
            ]
            self.assertLessEqual({*held}, kinds)

    @parameterized.parameters(*PROTOCOLS)
    def test_members_are_accepted_and_others_refused(self, name):
        for member_name, (member, kept) in members().items():
            if name in kept:
                self.assertIsInstance(member, PROTOCOLS[name], member_name)
                self.assertIsNone(contracts.check_kind("it", member, PROTOCOLS[name], "such a thing"))
            else:
                self.assertNotIsInstance(member, PROTOCOLS[name], member_name)
                with self.assertRaises(checks.InvalidInputError, msg=member_name) as caught:
                    contracts.check_kind("it", member, PROTOCOLS[name], "such a thing")
                self.assertRegex(
                    str(caught.exception),
                    rf"^it = [^\n]+: must be such a thing; (this lacks [\w, …]+; )?see contracts\.{name}$",
                )

    @parameterized.parameters(*PROTOCOLS)
    def test_what_makes_a_member_is_told_what_it_is(self, name):
        for member, _ in members().values():
            with self.assertRaises(checks.InvalidInputError) as caught:
                contracts.check_kind("it", type(member), PROTOCOLS[name], "such a thing")
            self.assertEndsWith(str(caught.exception), ": must be such a thing; this is a class")
        with self.assertRaises(checks.InvalidInputError) as caught:
            contracts.check_kind("it", mapg.tabular_policy, PROTOCOLS[name], "such a thing")
        self.assertEndsWith(str(caught.exception), ": must be such a thing; this is a function")


class Half:
    """Has something of a game that is played step by step."""

    default_tasks = ()

    def __init__(self, spec, **members):
        self.spec = spec
        vars(self).update(members)

    def __repr__(self):
        return "Half()"


class CheckKindTest(tf.test.TestCase, parameterized.TestCase):

    def message(self, value, contract):
        with self.assertRaises(checks.InvalidInputError) as caught:
            contracts.check_kind("it", value, contract, "a game")
        return str(caught.exception)

    def test_it_names_what_is_missing(self):
        spec, nothing = mapg.GameSpec(**SPEC), lambda *_: None
        self.assertEqual(
            self.message(Half(spec), contracts.Game),
            "it = Half(): must be a game; this lacks n_reset_uniforms, n_step_uniforms, reset, …; see contracts.Game",
        )
        most = Half(spec, n_reset_uniforms=0, n_step_uniforms=1, observe=nothing)
        self.assertEqual(
            self.message(most, contracts.Game),
            "it = Half(): must be a game; this lacks reset, step; see contracts.Game",
        )
        every = Half(spec, n_reset_uniforms=0, n_step_uniforms=1, observe=nothing, reset=nothing, step=nothing)
        self.assertIsNone(contracts.check_kind("it", every, contracts.Game, "a game"))
        self.assertEqual(
            self.message(every, contracts.MeasuredGame),
            "it = Half(): must be a game; this lacks metrics; see contracts.MeasuredGame",
        )
        # What has nothing of it is something else.
        self.assertEqual(self.message(3, contracts.Game), "it = 3: must be a game; see contracts.Game")

    def test_it_looks_at_specs(self):
        for spec in (None, {"name": "chess"}, mapg.GameSpec, mapg.GameSpec(**SPEC).agent(0)):
            shown = checks.brief(spec)
            self.assertEqual(
                self.message(Half(spec), contracts.AnyGame), f"it.spec = {shown}: must be of contracts.GameSpec"
            )


class ValuesTest(tf.test.TestCase):

    def test_masks_of_trajectories(self):
        own = tf.constant([[[[True, False]]]])
        trajectory = mapg.Trajectory((), (), (), (own, tf.logical_not(own)))
        self.assertAllEqual(trajectory.agent_mask(1), [[[[False, True]]]])
        self.assertIsNone(trajectory._replace(mask=()).agent_mask(1))

    def test_the_total_of_terms(self):
        terms = [
            mapg.MetaParams((tf.fill([2], scale), tf.fill([3, 1], 2.0 * scale)), {"rate": tf.fill([1], 3.0 * scale)})
            for scale in (1.0, 10.0, 100.0)
        ]
        total = mapg.MetaGradients(*terms).total
        self.assertAllEqual(total.initial[0], [111.0] * 2)
        self.assertAllEqual(total.initial[1], [[222.0]] * 3)
        self.assertAllEqual(total.update["rate"], [333.0])
        self.assertEqual(mapg.MetaGradients(*(term._replace(update=()) for term in terms)).total.update, ())


if __name__ == "__main__":
    tf.test.main()
