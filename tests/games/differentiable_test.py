"""Proves the values and gradients of differentiable games, and the vectors that are their policies."""

import math
import os

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.games import differentiable
from tf_metamapg.games import tasks
from tf_metamapg.numerics import random
from tf_metamapg.runs import export

MODES = (
    ("eager", lambda function: function),
    ("graph", lambda function: tf.function(function, autograph=False)),
    ("xla", lambda function: tf.function(function, autograph=False, jit_compile=True)),
)

S, N = 2, 3


def _three_agents(dtype="float64"):
    """A game of three agents with vectors of one, two and three numbers; see `_three_by_hand`."""

    def values(x, y, z):
        return (
            x[..., 0] * (y[..., 0] + 2.0 * y[..., 1]),
            tf.reduce_sum(y * y, axis=-1) * z[..., 2],
            x[..., 0] * z[..., 0] - tf.sin(y[..., 1]) * z[..., 1],
        )

    return differentiable.DifferentiableGame(values, n_params=[1, 2, 3], dtype=dtype)


def _bilinear_by_hand(x, y):
    """Values, and the gradient of each in the vectors of all agents: [i][j] is ∂Vⁱ/∂θ^j."""
    return [x[0] * y[0], -x[0] * y[0]], [[y, x], [-y, -x]]


def _tandem_by_hand(x, y):
    shared = -2 * (x + y)
    values = [-((x[0] + y[0]) ** 2) + 2 * x[0], -((x[0] + y[0]) ** 2) + 2 * y[0]]
    return values, [[shared + 2, shared], [shared, shared + 2]]


def _three_by_hand(x, y, z):
    values = [x[0] * (y[0] + 2 * y[1]), (y[0] ** 2 + y[1] ** 2) * z[2], x[0] * z[0] - np.sin(y[1]) * z[1]]
    return values, [
        [[y[0] + 2 * y[1]], [x[0], 2 * x[0]], [0, 0, 0]],
        [[0], [2 * y[0] * z[2], 2 * y[1] * z[2]], [0, 0, y[0] ** 2 + y[1] ** 2]],
        [[z[0]], [0, -np.cos(y[1]) * z[1]], [x[0], -np.sin(y[1]), 0]],
    ]


# A name, the game, and its values and gradients by hand.
GAMES = (
    ("bilinear", differentiable.bilinear_game, _bilinear_by_hand),
    ("tandem", differentiable.tandem_game, _tandem_by_hand),
    ("three_agents", _three_agents, _three_by_hand),
)
GAMES_AND_MODES = (
    *((f"{name}_eager", make_game, by_hand, MODES[0][1]) for name, make_game, by_hand in GAMES[:2]),
    *((f"three_agents_{name}", *GAMES[2][1:], mode) for name, mode in MODES),
)


def _estimator(game):
    return ExactEstimator(game, [mapg.vector_policy(game, agent) for agent in range(game.spec.n_agents)])


def _random_vectors(game, shape=(S, N), seed=0):
    """One array [*shape, P_i] for each agent."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=[*shape, *action.shape]) for action in game.spec.actions]


class ValuesTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.named_parameters(*GAMES_AND_MODES)
    def test_values_and_gradients(self, make_game, by_hand, mode):
        game = make_game()
        estimator = _estimator(game)
        vectors = _random_vectors(game)

        def run(vectors):
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(vectors)
                values = estimator.objectives(tuple((vector,) for vector in vectors), None, ())
            return values, [tape.gradient(value, vectors, unconnected_gradients="zero") for value in values]

        values, gradients = mode(run)([tf.constant(vector) for vector in vectors])
        self.assertLen(values, game.spec.n_agents)
        for value in values:
            self.assertEqual(value.shape, [S, N])
        for s, n in np.ndindex(S, N):
            expected_values, expected_gradients = by_hand(*(vector[s, n] for vector in vectors))
            self.assertAllClose([value[s, n] for value in values], expected_values, rtol=1e-13, atol=1e-13)
            for own_gradients, expected in zip(gradients, expected_gradients):
                for gradient, expected_gradient in zip(own_gradients, expected):
                    self.assertAllClose(gradient[s, n], expected_gradient, rtol=1e-13, atol=1e-13)

    @parameterized.parameters(
        (differentiable.bilinear_game, [[0, 1], [1, 0]], [[0, -1], [-1, 0]]),
        (differentiable.tandem_game, [[-2, -2], [-2, -2]], [[-2, -2], [-2, -2]]),
    )
    def test_second_derivatives(self, make_game, *expected):
        game = make_game()
        estimator = _estimator(game)
        vectors = [tf.constant(vector) for vector in _random_vectors(game, [1, 1])]
        for agent, hessian in enumerate(expected):
            with tf.GradientTape(persistent=True) as outer_tape:
                outer_tape.watch(vectors)
                with tf.GradientTape() as inner_tape:
                    inner_tape.watch(vectors)
                    value = estimator.objectives(tuple((vector,) for vector in vectors), None, ())[agent]
                gradients = inner_tape.gradient(value, vectors)
            for gradient, row in zip(gradients, hessian):
                seconds = outer_tape.gradient(gradient, vectors, unconnected_gradients="zero")
                self.assertAllClose(tf.reshape(seconds, [2]), row, rtol=1e-14, atol=0.0)

    @parameterized.named_parameters(*GAMES)
    def test_attributes(self, make_game, by_hand):
        del by_hand
        for dtype in ("float32", "float64"):
            game = make_game(dtype=dtype)
            spec = game.spec
            self.assertEqual((spec.dtype, spec.discount, spec.ends, spec.metrics), (dtype, 0.0, False, ()))
            # It is played once, by agents that see nothing.
            self.assertEqual(spec.observations, (contracts.Discrete(1),) * spec.n_agents)
            self.assertEqual(game.default_tasks, ())
            estimator = _estimator(game)
            joint_params = tuple((tf.ones([S, N, *action.shape], dtype),) for action in spec.actions)
            values = estimator.objectives(joint_params, None, ())
            self.assertEqual([value.dtype for value in values], [dtype] * spec.n_agents)
            # Played once: what is got per step is the value.
            for value, average in zip(values, estimator.mean_rewards(joint_params, None, ())):
                self.assertAllEqual(average, value)
                self.assertGreater(abs(value[0, 0]), 0.1)
            strategies = tuple(params[0] for params in joint_params)
            for length in game.exact_lengths((), strategies):
                self.assertEqual(length.dtype, dtype)
                self.assertAllEqual(length, np.ones([S, N]))

    def test_values_that_are_none(self):
        for told, name in (
            (None, ""), ([0.0, 0.0], r"\[0\]"), ([tf.zeros([1, 1], tf.float64)], ""),
            ([tf.zeros([1, 1, 2], tf.float64)] * 2, r"\[0\]"),
            ([tf.zeros([1, 1], tf.float64), tf.zeros([1, 1])], r"\[1\]"),
        ):
            game = differentiable.DifferentiableGame(lambda *_, told=told: told, n_params=[2, 2])
            with self.assertRaisesRegex(
                checks.InvalidInputError, rf"^DifferentiableGame\.values\(\.\.\.\){name} = .*: must [^\n]*$"
            ):
                game.exact_values((), (tf.zeros([1, 1, 2], tf.float64),) * 2)

    def test_names(self):
        self.assertEqual(differentiable.bilinear_game().spec.name, "bilinear zero-sum game")
        self.assertEqual(differentiable.tandem_game().spec.name, "tandem game")
        self.assertEqual(differentiable.bilinear_game().spec.actions, (contracts.Box((1,)), contracts.Box((1,))))
        self.assertEqual(_three_agents().spec.name, "differentiable game")
        self.assertEqual(_three_agents().spec.actions, tuple(contracts.Box((size,)) for size in (1, 2, 3)))


class DynamicsTest(tf.test.TestCase, parameterized.TestCase):

    def test_inner_updates_of_the_bilinear_game(self):
        # x ← x + αy and y ← y − βx.
        game = differentiable.bilinear_game()
        agents = [PolicyGradient(0.5), PolicyGradient(0.25)]
        x, y = (vector[:, 0] for vector in _random_vectors(game))
        chain = adaptation.adapt(
            _estimator(game), agents, adaptation.for_each_task(((tf.constant(x),), (tf.constant(y),)), N),
            tasks.PayoffNoise(game).sample(random.root_keys(range(S)), N),
            [random.root_keys(range(S))] * 4,
        )
        self.assertLen(chain.links, 4)
        for link in chain.links:
            for (leaf,), expected in zip(link.joint_params, (x, y)):
                self.assertAllClose(leaf, np.repeat(expected[:, np.newaxis], N, axis=1), rtol=1e-13, atol=1e-13)
            x, y = x + 0.5 * y, y - 0.25 * x

    def test_fixed_points_of_the_tandem_game(self):
        # The line x + y = 1, and nothing else: away from it both gradients are 2 − 2(x + y).
        game = differentiable.tandem_game()
        vectors = [np.array([[[3.0], [0.25]]]), np.array([[[-2.0], [0.0]]])]
        states = tuple(contracts.AgentState((tf.constant(vector),)) for vector in vectors)
        link = links.Link(states, (), random.root_keys([0]))
        objectives = links.Objectives(_estimator(game), None, link)
        for agent in range(2):
            (gradient,) = objectives.gradients(agent, with_respect_to=agent)
            self.assertAllEqual(gradient, [[[0.0], [1.5]]])

    @parameterized.named_parameters(*MODES)
    def test_meta_gradient_of_the_bilinear_game(self, mode):
        # V⁰(x + αy, y − βx): through the own parameters y − βx, through the opponent's −β(x + αy).
        game = differentiable.bilinear_game()
        estimator = _estimator(game)
        agents = [MetaMAPG(0.5), PolicyGradient(0.25)]
        x, y = (vector[:, 0] for vector in _random_vectors(game))
        keys = random.root_keys(range(S))

        def run(x, y):
            sampled = tasks.PayoffNoise(game).sample(keys, N)
            chain = adaptation.adapt(
                estimator, agents, adaptation.for_each_task(((x,), (y,)), N), sampled, [keys] * 2
            )
            return agents[0].meta_gradients(chain, agent_index=0)

        terms = mode(run)(tf.constant(x), tf.constant(y))
        self.assertAllEqual(terms.current_policy.initial[0], np.zeros([S, 1]))
        self.assertAllClose(terms.self_shaping.initial[0], y - 0.25 * x, rtol=1e-13, atol=1e-13)
        self.assertAllClose(
            terms.opponent_shaping.initial[0], -0.25 * (x + 0.5 * y), rtol=1e-13, atol=1e-13
        )


class PayoffNoiseTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters("float32", "float64")
    def test_tasks_are_nothing(self, dtype):
        game = _three_agents(dtype)
        sampled = tasks.PayoffNoise(game).sample(random.root_keys(range(4)), n_tasks=5)
        self.assertEqual(sampled, ())
        # The initial parameters say how many seeds and tasks there are to a chain.
        agents = [PolicyGradient()] * 3
        estimator = _estimator(game)
        keys = [random.root_keys(range(4))] * 2
        initial_params = tuple(policy.initial_params(range(4)) for policy in estimator.policies)
        initial_params = adaptation.for_each_task(initial_params, n_tasks=5)
        chain = adaptation.adapt(estimator, agents, initial_params, sampled, keys)
        values = estimator.values(chain.links[-1].joint_params, sampled, ())
        self.assertEqual([value.shape for value in values], [[4, 5]] * 3)
        # No task differs from another one; seeds do.
        self.assertAllEqual(values[0], np.repeat(values[0][:, :1], 5, axis=1))
        self.assertLen(np.unique(values[0]), 4)


class VectorPolicyTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.named_parameters(*MODES)
    def test_the_strategy_is_the_vector(self, mode):
        game = _three_agents()
        for agent, vector in enumerate(_random_vectors(game)):
            policy = mapg.vector_policy(game, agent)

            def run(params, policy=policy):
                with tf.GradientTape() as tape:
                    tape.watch(params)
                    strategy = policy.strategy(params)
                    total = tf.reduce_sum(strategy**3)
                return strategy, tape.gradient(total, params)

            strategy, (gradient,) = mode(run)((tf.constant(vector),))
            self.assertAllEqual(strategy, vector)
            self.assertAllClose(gradient, 3 * vector**2, rtol=1e-14, atol=0.0)

    def test_the_models_own_variables_are_not_touched(self):
        game = _three_agents()
        policy = mapg.vector_policy(game, 2)
        (own,) = policy._model.trainable_variables
        before = own.numpy()
        params = (tf.constant(_random_vectors(game)[2]),)
        with tf.GradientTape() as tape:
            strategy = policy.strategy(params)
        self.assertEmpty(tape.watched_variables())
        self.assertNotAllClose(strategy[0, 0], before)
        self.assertAllEqual(own, before)
        # The same tape would have seen it if the model had been called as it is.
        with tf.GradientTape() as tape:
            vector = tf.convert_to_tensor(policy._model(()))
        self.assertAllEqual(vector, before)
        self.assertLen(tape.watched_variables(), 1)

    @parameterized.parameters((0.0, 1.0), (0.0, 0.5), (-3.0, 2), (10, 0.1))
    def test_initial_mean_and_stddev(self, mean, stddev):
        game = differentiable.DifferentiableGame(lambda x: (x[..., 0],), n_params=[5000])
        (leaf,) = mapg.vector_policy(game, 0, mean, stddev).initial_params(range(4))
        n_draws = 20000
        self.assertEqual(leaf.shape, [4, 5000])
        self.assertEqual(leaf.dtype, tf.float64)
        # Mean, mean square and mean fourth power of N(0, 1) within z standard deviations, 1/√n, √(2/n) and
        # √(96/n), with confidence 99.9 %: z = Φ⁻¹(1 − 0.001 / 6) = 3.59. The last one tells a normal
        # distribution from a truncated one.
        scaled = (leaf.numpy() - mean) / stddev
        self.assertLess(abs(scaled.mean()), 3.59 * math.sqrt(1 / n_draws))
        self.assertLess(abs(np.mean(scaled**2) - 1), 3.59 * math.sqrt(2 / n_draws))
        self.assertLess(abs(np.mean(scaled**4) - 3), 3.59 * math.sqrt(96 / n_draws))

    def test_defaults(self):
        game = _three_agents()
        self.assertAllEqual(
            mapg.vector_policy(game, 2).initial_params([4])[0],
            mapg.vector_policy(game, 2, initial_mean=0.0, initial_stddev=1.0).initial_params([4])[0],
        )

    def test_stddev_zero_gives_the_mean(self):
        (leaf,) = mapg.vector_policy(_three_agents("float32"), 1, 2.5, 0.0).initial_params([4, 5])
        self.assertEqual(leaf.dtype, tf.float32)
        self.assertAllEqual(leaf, np.full([2, 2], 2.5))

    def test_initial_params_of_a_seed_depend_on_that_seed_alone(self):
        game = _three_agents()
        together = mapg.vector_policy(game, 1).initial_params(range(5))[0]
        reordered = mapg.vector_policy(game, 1).initial_params([8, 3, 1])[0]
        tf.random.set_seed(99)
        self.assertAllEqual(mapg.vector_policy(game, 1).initial_params([3])[0], together[3:4])
        self.assertAllEqual(reordered[1:], tf.stack([together[3], together[1]]))
        self.assertLen(np.unique(together), 10)

    def test_agents_differ(self):
        # Agents of a game that is the same for both.
        game = differentiable.bilinear_game()
        drawn = np.stack([mapg.vector_policy(game, agent).initial_params(range(10))[0] for agent in range(2)])
        self.assertLen(np.unique(drawn), 20)

    def test_export(self):
        game = _three_agents()
        for agent, vector in enumerate(_random_vectors(game, shape=())):
            path = os.path.join(self.get_temp_dir(), f"agent_{agent}")
            policy = mapg.vector_policy(game, agent)
            export.export_policy(path, policy, (tf.constant(vector),))
            loaded = tf.saved_model.load(path)
            self.assertCountEqual(loaded.signatures, ["serving_default"])
            self.assertEqual(loaded.signatures["serving_default"].structured_input_signature, ((), {}))
            self.assertEqual(
                loaded.signatures["serving_default"].structured_outputs,
                {"vector": tf.TensorSpec([agent + 1], tf.float64, name="vector")},
            )
            outputs = loaded.signatures["serving_default"]()
            self.assertCountEqual(outputs, ["vector"])
            self.assertAllEqual(outputs["vector"], vector)

    def test_export_of_one_seed(self):
        game = differentiable.tandem_game("float32")
        policies = [mapg.vector_policy(game, agent) for agent in range(2)]
        joint_params = tuple(policy.initial_params([5, 6, 7]) for policy in policies)
        directory = os.path.join(self.get_temp_dir(), "exported")
        export.export_policies(directory, policies, joint_params, seed_index=1)
        for agent in range(2):
            loaded = tf.saved_model.load(os.path.join(directory, f"agent_{agent}"))
            self.assertAllEqual(loaded.signatures["serving_default"]()["vector"], joint_params[agent][0][1])


if __name__ == "__main__":
    tf.test.main()
