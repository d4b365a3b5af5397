"""Proves that every policy keeps `contracts.StepPolicy`, in every mode of execution."""

from collections.abc import Callable
import functools
import itertools
import math
import os
import re
import statistics
from typing import Any
from typing import NamedTuple

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.games import linear_quadratic
from tf_metamapg.games import matrix
from tf_metamapg.games import payoffs
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.numerics import random
from tf_metamapg.policies import distributions
from tf_metamapg.policies import mlp
from tf_metamapg.policies import recurrent
from tf_metamapg.policies import tabular
from tf_metamapg.runs import export

S, N, K, T = 2, 3, 4, 5
# Seven observations; agent 0 has three actions and agent 1 two.
N_ACTIONS = (3, 2)


def _matrix_game(dtype="float64"):
    table = np.random.default_rng(0).normal(size=[2, *N_ACTIONS])
    return matrix.IteratedMatrixGame(table, dtype=dtype)


def _vector_game(dtype="float64"):
    """Observations are vectors of three coordinates; agent 0 acts with two of them and agent 1 with one."""
    rng = np.random.default_rng(0)
    return linear_quadratic.LinearQuadraticGame(
        0.5 * np.eye(3), [rng.normal(size=[3, size]) for size in (2, 1)], np.stack([np.eye(3)] * 2), np.ones(3),
        dtype=dtype,
    )


def _table(leaves, observations):
    (table,) = leaves
    return np.concatenate([table, np.zeros([len(table), 1])], axis=-1)[observations]


def _features(observations):
    return np.eye(7)[observations] if observations.ndim == 1 else observations


def _perceptron(leaves, observations):
    """Dense layers with tanh in between."""
    hidden = _features(observations)
    for kernel, bias in zip(leaves[:-2:2], leaves[1:-2:2]):
        hidden = np.tanh(hidden @ kernel + bias)
    return hidden @ leaves[-2] + leaves[-1]


def _long_short_term_memory(leaves, observations):
    """Gates in the order input, forget, candidate, output; and a dense layer behind."""
    kernel, recurrent_kernel, bias, last_kernel, last_bias = leaves
    hidden = cell = np.zeros(len(recurrent_kernel))
    outputs = []
    for features in _features(observations):
        enter, forget, candidate, leave = np.split(features @ kernel + hidden @ recurrent_kernel + bias[0], 4)
        cell = _sigmoid(forget) * cell + _sigmoid(enter) * np.tanh(candidate)
        hidden = _sigmoid(leave) * np.tanh(cell)
        outputs.append(hidden @ last_kernel + last_bias[0])
    return np.stack(outputs)


def _sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def _probs(logits):
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


class _Categorical:
    """What the outputs of a policy with finitely many actions mean."""

    @staticmethod
    def log_probs(outputs, actions):
        return np.log(np.take_along_axis(_probs(outputs), actions[..., np.newaxis], axis=-1))[..., 0]

    @staticmethod
    def quantile(outputs, uniforms):
        """The action whose interval of cumulative probabilities the one uniform number is in."""
        return np.sum(uniforms >= np.cumsum(_probs(outputs), axis=-1)[..., :-1], axis=-1)

    @staticmethod
    def named(outputs):
        return {"logits": outputs, "probabilities": _probs(outputs)}


class _Gaussian:
    """What the outputs of a policy mean that acts with vectors."""

    @staticmethod
    def log_probs(outputs, actions):
        mean, stddev = _mean_and_stddev(outputs)
        scaled = (actions - mean) / stddev
        return np.sum(-0.5 * scaled**2 - np.log(stddev) - 0.5 * math.log(2.0 * math.pi), axis=-1)

    @staticmethod
    def quantile(outputs, uniforms):
        mean, stddev = _mean_and_stddev(outputs)
        return mean + stddev * np.vectorize(statistics.NormalDist().inv_cdf)(uniforms)

    @staticmethod
    def named(outputs):
        return dict(zip(("mean", "stddev"), _mean_and_stddev(outputs)))


def _mean_and_stddev(outputs):
    mean, spread = np.split(outputs, 2, axis=-1)
    return mean, np.log1p(np.exp(spread))


class Kind(NamedTuple):
    """A kind of policy, and the same in NumPy."""

    make: Callable  # function (game, agent_index) → policy
    make_game: Callable
    outputs: Callable  # function (leaves of one seed and task, observations [T, ...]) → [T, n_outputs]
    meaning: Any
    state_names: tuple[str, ...] = ()


KINDS = {
    "tabular": Kind(tabular.tabular_policy, _matrix_game, _table, _Categorical),
    "mlp": Kind(functools.partial(mlp.mlp_policy, hidden_units=(5, 4)), _matrix_game, _perceptron, _Categorical),
    "linear": Kind(functools.partial(mlp.mlp_policy, hidden_units=()), _matrix_game, _perceptron, _Categorical),
    "lstm": Kind(
        functools.partial(recurrent.lstm_policy, units=4), _matrix_game, _long_short_term_memory, _Categorical,
        ("hidden", "cell"),
    ),
    "gaussian_mlp": Kind(
        functools.partial(mlp.mlp_policy, hidden_units=(5, 4)), _vector_game, _perceptron, _Gaussian
    ),
    "gaussian_lstm": Kind(
        functools.partial(recurrent.lstm_policy, units=4), _vector_game, _long_short_term_memory, _Gaussian,
        ("hidden", "cell"),
    ),
}
MODES = {
    "eager": lambda function: function,
    "graph": lambda function: tf.function(function, autograph=False),
    "xla": lambda function: tf.function(function, autograph=False, jit_compile=True),
}
EVERY_KIND = tuple(zip(KINDS, KINDS.values()))
EVERY_KIND_AND_MODE = tuple(
    (f"{kind}_{mode}", KINDS[kind], MODES[mode]) for kind, mode in itertools.product(KINDS, MODES)
)


def _random_leaves(policy, shape=(S, N), seed=1):
    """Params in NumPy, with leaves [S, N, ...]."""
    rng = np.random.default_rng(seed)
    return [0.7 * rng.normal(size=[*shape, *leaf.shape]) for leaf in policy.reference_params]


def _constants(leaves):
    return tuple(map(tf.constant, leaves))


def _random_steps(kind, agent_index=0, shape=(S, N, K, T), seed=2):
    """Observations and actions, arrays [S, N, K, T, ...]."""
    rng = np.random.default_rng(seed)
    spec = kind.make_game().spec.agent(agent_index)
    return tuple(_random_members(space, shape, rng) for space in (spec.observation, spec.action))


def _random_members(space, shape, rng):
    """Members of a space: array [*shape, ...]."""
    if isinstance(space, contracts.Discrete):
        return rng.integers(space.n, size=shape, dtype=np.int32)
    return rng.normal(size=[*shape, *space.shape])


def _oracle_outputs(kind, leaves, observations):
    """[S, N, K, T, n_outputs]."""
    return np.stack([
        np.stack([
            np.stack([kind.outputs([leaf[s, n] for leaf in leaves], one) for one in observations[s, n]])
            for n in range(observations.shape[1])
        ])
        for s in range(observations.shape[0])
    ])


def _oracle_log_probs(kind, leaves, observations, actions):
    return kind.meaning.log_probs(_oracle_outputs(kind, leaves, observations), actions)


class ConformanceTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.named_parameters(*EVERY_KIND_AND_MODE)
    def test_log_probs(self, kind, mode):
        # Any batch shape.
        for agent_index, shape in ((0, (S, N, K, T)), (1, (1, 1, 1, 1)), (1, (1, 2, 3, 1)), (0, (3, 1, 1, 4))):
            policy = kind.make(kind.make_game(), agent_index)
            leaves = _random_leaves(policy, shape[:2])
            observations, actions = _random_steps(kind, agent_index, shape)

            def run(params, observations, actions, policy=policy):
                distribution = policy.distribution(params, observations)
                return (
                    policy.log_probs(params, observations, actions), distribution.log_prob(actions),
                    policy.log_likelihood(observations, actions)(params),
                )

            log_probs, same, mean = mode(run)(_constants(leaves), *map(tf.constant, (observations, actions)))
            expected = _oracle_log_probs(kind, leaves, observations, actions)
            self.assertAllClose(log_probs, expected, rtol=1e-12, atol=1e-12)
            self.assertAllClose(same, expected, rtol=1e-12, atol=1e-12)
            self.assertAllClose(mean, expected.mean(axis=(2, 3)), rtol=1e-12, atol=1e-12)

    @parameterized.named_parameters(*EVERY_KIND_AND_MODE)
    def test_first_and_second_derivatives(self, kind, mode):
        # Of f = Σ w π² + log π, which mixes all orders, along random directions u, v:
        # against central differences of f in NumPy, of fourth order, so that h⁴ is below the rounding.
        policy = kind.make(kind.make_game(), 0)
        leaves = _random_leaves(policy)
        observations, actions = _random_steps(kind)
        weights = np.random.default_rng(3).normal(size=[S, N, K, T])
        u, v = _random_leaves(policy, seed=4), _random_leaves(policy, seed=5)

        def oracle(along_u, along_v):
            moved = [leaf + along_u * leaf_u + along_v * leaf_v for leaf, leaf_u, leaf_v in zip(leaves, u, v)]
            log_probs = _oracle_log_probs(kind, moved, observations, actions)
            return np.sum(weights * np.exp(2 * log_probs) + log_probs)

        def difference(function, h=2e-3):
            return (8 * (function(h) - function(-h)) - function(2 * h) + function(-2 * h)) / (12 * h)

        first = difference(lambda x: oracle(x, 0.0))
        second = difference(lambda y: difference(lambda x: oracle(x, y)))

        def run(params):
            with tf.GradientTape() as outer_tape:
                outer_tape.watch(params)
                with tf.GradientTape() as inner_tape:
                    inner_tape.watch(params)
                    log_probs = policy.log_probs(params, tf.constant(observations), tf.constant(actions))
                    value = tf.reduce_sum(weights * tf.exp(2.0 * log_probs) + log_probs)
                gradients = inner_tape.gradient(value, params)
                along_u = tf.add_n([tf.reduce_sum(leaf * leaf_u) for leaf, leaf_u in zip(gradients, u)])
            products = outer_tape.gradient(along_u, params)
            return along_u, tf.add_n([tf.reduce_sum(leaf * leaf_v) for leaf, leaf_v in zip(products, v)])

        along_u, along_uv = mode(run)(_constants(leaves))
        self.assertGreater(abs(first), 1.0)
        self.assertGreater(abs(second), 1.0)
        self.assertAllClose(along_u, first, rtol=1e-7, atol=0.0)
        self.assertAllClose(along_uv, second, rtol=1e-6, atol=0.0)

    @parameterized.named_parameters(*EVERY_KIND)
    def test_distribution_has_the_same_derivatives(self, kind):
        policy = kind.make(kind.make_game(), 0)
        params = _constants(_random_leaves(policy))
        observations, actions = map(tf.constant, _random_steps(kind))
        weights = np.random.default_rng(3).normal(size=[S, N, K, T])
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(params)
            stored = tf.reduce_sum(weights * policy.log_probs(params, observations, actions))
            distribution = policy.distribution(params, observations)
            scored = tf.reduce_sum(weights * distribution.log_prob(actions))
        self.assertIsInstance(distribution, tfp.distributions.Distribution)
        self.assertEqual(distribution.batch_shape, [S, N, K, T])
        for one, other in zip(tape.gradient(stored, params), tape.gradient(scored, params)):
            self.assertGreater(np.abs(one).max(), 0.1)
            self.assertAllClose(one, other, rtol=1e-12, atol=1e-12)

    @parameterized.named_parameters(*EVERY_KIND)
    def test_seeds_and_tasks_have_parameters_of_their_own(self, kind):
        policy = kind.make(kind.make_game(), 0)
        params = _constants(_random_leaves(policy))
        observations, actions = map(tf.constant, _random_steps(kind))
        with tf.GradientTape() as tape:
            tape.watch(params)
            log_probs = policy.log_probs(params, observations, actions)[1, 2]
        for gradient in tape.gradient(log_probs, params):
            for s, n in itertools.product(range(S), range(N)):
                if (s, n) == (1, 2):
                    self.assertNotAllEqual(gradient[s, n], np.zeros(gradient.shape[2:]))
                else:
                    self.assertAllEqual(gradient[s, n], np.zeros(gradient.shape[2:]))

    @parameterized.named_parameters(*EVERY_KIND)
    def test_the_models_own_variables_are_not_touched(self, kind):
        policy = kind.make(kind.make_game(), 0)
        params = _constants(_random_leaves(policy))
        observations, actions = map(tf.constant, _random_steps(kind))
        own = policy._model.trainable_variables
        before = [variable.numpy() for variable in own]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(params)
            results = (
                policy.log_probs(params, observations, actions),
                policy.distribution(params, observations).log_prob(actions),
            )
            read = tape.watched_variables()
        self.assertEmpty(read)
        for result in results:
            self.assertEqual(tape.gradient(result, own), [None] * len(own))
            self.assertNotIn(None, tape.gradient(result, params))
        self.assertNotEmpty(own)
        for variable, value in zip(own, before):
            self.assertAllEqual(variable, value)
        # The same tape would have seen them if the model had been called as it is.
        with tf.GradientTape() as tape:
            result = policy.signatures(policy._model)["serving_default"][0](
                observations[0, 0, :, 0], *policy.initial_state([K])
            )
        self.assertNotIn(None, tape.gradient([*result.values()], own))

    @parameterized.named_parameters(*EVERY_KIND_AND_MODE)
    def test_sampler(self, kind, mode):
        """Actions are quantiles of the distributions, and the recurrent state is carried from step to step."""
        policy = kind.make(kind.make_game(), 0)
        leaves = _random_leaves(policy)
        observations, actions = _random_steps(kind)
        n_uniforms = 1 if kind.meaning is _Categorical else actions.shape[-1]
        self.assertEqual(policy.n_uniforms, n_uniforms)
        uniforms = np.random.default_rng(6).uniform(size=[S, N, K, T, n_uniforms])

        def run(params, observations, uniforms):
            sampler, state = policy.sampler(params), policy.initial_state([S, N, K])
            steps = []
            for seen, numbers in zip(tf.unstack(observations, axis=3), tf.unstack(uniforms, axis=3)):
                action, state = sampler(seen, state, tf.stack(tf.unstack(numbers, axis=-1)))
                steps.append(action)
            return tf.stack(steps, axis=3)

        sampled = mode(run)(_constants(leaves), tf.constant(observations), tf.constant(uniforms))
        expected = kind.meaning.quantile(_oracle_outputs(kind, leaves, observations), uniforms)
        self.assertEqual(sampled.dtype, actions.dtype)
        self.assertAllClose(sampled, expected, rtol=1e-10, atol=1e-10)
        self.assertGreater(np.std(expected), 0.3)

    @parameterized.named_parameters(*EVERY_KIND)
    def test_saved_model(self, kind):
        """An exported policy acts as the policy does, with its recurrent state in the signature."""
        policy = kind.make(kind.make_game(), 0)
        leaves = _random_leaves(policy)
        path = os.path.join(self.get_temp_dir(), "policy")
        export.export_policy(path, policy, tuple(tf.constant(leaf[1, 2]) for leaf in leaves))
        loaded = tf.saved_model.load(path)
        observations, _ = _random_steps(kind)
        expected = kind.meaning.named(_oracle_outputs(kind, leaves, observations)[1, 2])
        state = {}
        self.assertEqual("initial_state" in loaded.signatures, bool(kind.state_names))
        if kind.state_names:
            state = loaded.signatures["initial_state"](batch_size=tf.constant(K))
            self.assertCountEqual(state, kind.state_names)
        for t in range(T):
            seen = tf.constant(observations[1, 2, :, t])
            result = loaded.signatures["serving_default"](observations=seen, **state)
            sampled = loaded.signatures["sample"](observations=seen, seed=tf.constant([1, t]), **state)
            self.assertCountEqual(result, [*expected, *kind.state_names])
            self.assertCountEqual(sampled, ["actions", *kind.state_names])
            self.assertEqual(sampled["actions"].shape[0], K)
            for name in expected:
                self.assertAllClose(result[name], expected[name][:, t], rtol=1e-12, atol=1e-12)
            state = {name: result[name] for name in kind.state_names}
            for name in kind.state_names:
                self.assertAllClose(sampled[name], state[name], rtol=1e-12, atol=1e-12)

    @parameterized.named_parameters(*EVERY_KIND)
    def test_models_have_variables_of_their_own(self, kind):
        policy = kind.make(kind.make_game(), 1)
        model = policy.model()
        self.assertIsNot(model, policy.model())
        self.assertEmpty(model.non_trainable_variables)
        self.assertLen(model.trainable_variables, len(policy.reference_params))

    @parameterized.named_parameters(*EVERY_KIND)
    def test_initial_params_of_a_seed_depend_on_that_seed_alone(self, kind):
        policy = kind.make(kind.make_game(), 0)
        together = policy.initial_params(range(5))
        alone, reordered = policy.initial_params([3]), policy.initial_params([8, 3, 1])
        tf.random.set_seed(99)
        another_policy = kind.make(kind.make_game(), 0).initial_params([3])
        for leaf, leaf_alone, leaf_reordered, again in zip(together, alone, reordered, another_policy):
            self.assertEqual(leaf.dtype, tf.float64)
            self.assertAllEqual(leaf[3], leaf_alone[0])
            self.assertAllEqual(leaf[3], leaf_reordered[1])
            self.assertAllEqual(leaf[1], leaf_reordered[2])
            self.assertAllEqual(leaf[3], again[0])

    @parameterized.named_parameters(*EVERY_KIND)
    def test_initial_params_of_seeds_and_agents_differ(self, kind):
        game = kind.make_game("float32")
        for agents in ([0, 0], [0, 1]):
            leaves = [
                kind.make(game, agent).initial_params([seed, seed + 10])[0]
                for seed, agent in enumerate(agents)
            ]
            self.assertEqual(leaves[0].dtype, tf.float32)
            values = np.concatenate([np.ravel(leaf) for leaf in leaves])
            self.assertLen(np.unique(values), values.size)

    @parameterized.named_parameters(*EVERY_KIND)
    def test_there_must_be_such_an_agent(self, kind):
        for agent_index in (-1, 2, "0"):
            with self.assertRaisesRegex(checks.InvalidInputError, r"\.agent_index = .*: must be"):
                kind.make(kind.make_game(), agent_index)

    @parameterized.named_parameters(*EVERY_KIND)
    def test_it_knows_what_it_is_made_for(self, kind):
        game = kind.make_game()
        for agent_index in range(2):
            policy = kind.make(game, agent_index)
            self.assertIsInstance(policy, contracts.StepPolicy)
            self.assertEqual(policy.spec, game.spec.agent(agent_index))

    @parameterized.named_parameters(*EVERY_KIND)
    def test_there_must_be_a_game(self, kind):
        for game, hint in (
            (None, "; see contracts.AnyGame"), (matrix.IteratedMatrixGame, "; this is a class"),
            (kind.make(kind.make_game(), 0), "; this lacks default_tasks; see contracts.AnyGame"),
        ):
            with self.assertRaises(checks.InvalidInputError) as caught:
                kind.make(game, 0)
            self.assertRegex(str(caught.exception), rf"^\w+_policy\.game = [^\n]+: must be a game{re.escape(hint)}$")


class CategoricalPolicyTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters("tabular", "mlp", "linear")
    def test_strategy(self, name):
        kind = KINDS[name]
        policy = kind.make(_matrix_game(), 0)
        self.assertEqual((policy.n_observations, policy.n_actions), (7, 3))
        leaves = _random_leaves(policy)
        every_observation = np.broadcast_to(np.arange(7), [S, N, 1, 7])
        expected = _oracle_outputs(kind, leaves, every_observation)[:, :, 0]
        self.assertAllClose(policy.logits(_constants(leaves)), expected, rtol=1e-12, atol=1e-12)
        self.assertAllClose(policy.strategy(_constants(leaves)), _probs(expected), rtol=1e-12, atol=1e-12)


class TabularTest(tf.test.TestCase, parameterized.TestCase):

    def test_the_game_must_be_finite(self):
        with self.assertRaises(checks.InvalidInputError) as caught:
            tabular.tabular_policy(_vector_game(), 0)
        self.assertEqual(
            str(caught.exception),
            "tabular_policy.game = LinearQuadraticGame: must be a game with finitely many observations and actions",
        )

    @parameterized.parameters((2, 2), (3, 2), (2, 4), (2, 3, 2))
    def test_number_of_parameters(self, *n_actions):
        game = matrix.IteratedMatrixGame(np.zeros([len(n_actions), *n_actions]))
        for agent_index, size in enumerate(n_actions):
            (leaf,) = tabular.tabular_policy(game, agent_index).initial_params([0, 1])
            self.assertEqual(leaf.shape, [2, 1 + math.prod(n_actions), size - 1])

    def test_five_logits_of_cooperating_in_the_prisoners_dilemma(self):
        game = matrix.IteratedMatrixGame(payoffs.prisoners_dilemma(), dtype="float64")
        logits = np.array([0.3, -2.0, 0.0, 1.5, 4.0])
        params = (tf.constant(logits[np.newaxis, np.newaxis, :, np.newaxis]),)
        probs = tabular.tabular_policy(game, 0).strategy(params)
        self.assertAllClose(probs[0, 0, :, 0], 1.0 / (1.0 + np.exp(-logits)), rtol=1e-13, atol=0.0)

    def test_large_logits_stay_finite(self):
        game = matrix.IteratedMatrixGame(payoffs.prisoners_dilemma())
        policy = tabular.tabular_policy(game, 0)
        params = (tf.constant([200.0, -200.0, 200.0, -200.0, 0.0])[tf.newaxis, tf.newaxis, :, tf.newaxis],)
        observations, actions = tf.constant([[[[0, 1, 0, 1]]]]), tf.constant([[[[0, 0, 1, 1]]]])
        with tf.GradientTape() as tape:
            tape.watch(params)
            log_probs = policy.log_probs(params, observations, actions)
        self.assertAllClose(log_probs[0, 0, 0], [0.0, -200.0, -200.0, 0.0], rtol=1e-6, atol=1e-30)
        # d log π(a|o) / d logit is 1[a = 0] − π(0|o): 0 and −1 at the first, 1 and 0 at the second observation.
        gradient = tape.gradient(log_probs, params)[0][0, 0, :, 0]
        self.assertAllClose(gradient, [-1.0, 1.0, 0.0, 0.0, 0.0], rtol=1e-6, atol=1e-30)

    @parameterized.parameters(0.5, 1.0, 3)
    def test_initial_stddev(self, initial_stddev):
        game = matrix.IteratedMatrixGame(np.zeros([2, 20, 20]), dtype="float64")
        (leaf,) = tabular.tabular_policy(game, 0, initial_stddev).initial_params(range(2))
        n_draws = leaf.numpy().size
        self.assertEqual(n_draws, 2 * 401 * 19)
        # Mean, mean square and mean fourth power of N(0, σ²) within z standard deviations, σ/√n, σ²√(2/n)
        # and σ⁴√(96/n), with confidence 99.9 %: z = Φ⁻¹(1 − 0.001 / 6) = 3.59. The last one tells a
        # normal distribution from a truncated one.
        scaled = leaf.numpy() / initial_stddev
        self.assertLess(abs(scaled.mean()), 3.59 * math.sqrt(1 / n_draws))
        self.assertLess(abs(np.mean(scaled**2) - 1), 3.59 * math.sqrt(2 / n_draws))
        self.assertLess(abs(np.mean(scaled**4) - 3), 3.59 * math.sqrt(96 / n_draws))

    @parameterized.product(dtype=["float32", "float64"], kept=[(0.3, 0.2, 0.5), (0.9, 0.1, 0.0), (0.0, 0.0, 1.0)])
    def test_params_of_certain_actions(self, dtype, kept):
        """What is certain is as certain as the dtype can say, and finite; other observations do not feel it."""
        game = _matrix_game(dtype)
        policy = tabular.tabular_policy(game, 0)
        probs = np.array([kept, [1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0], [0, 0.25, 0.75], kept])
        (leaf,) = policy.params_of(np.stack([probs, probs[::-1]])[:, np.newaxis])
        self.assertEqual((leaf.dtype, leaf.shape), (dtype, (2, 1, 7, 2)))
        params = (tf.constant(leaf),)
        # A logit of 87 has an error of 4e-6 in float32, one of 708 of 1e-13 in float64.
        rtol = 2e-5 if dtype == "float32" else 1e-12
        self.assertAllClose(policy.strategy(params)[0, 0], probs, rtol=rtol, atol=1e-37)
        observations = tf.range(7)[tf.newaxis, tf.newaxis, tf.newaxis] + tf.zeros([2, 1, 1, 1], tf.int32)
        for action in range(3):
            actions = tf.fill(observations.shape, action)
            with tf.GradientTape() as outer_tape:
                outer_tape.watch(params)
                with tf.GradientTape() as tape:
                    tape.watch(params)
                    log_probs = policy.log_probs(params, observations, actions)
                gradients = tape.gradient(log_probs, params)[0]
            for values in (log_probs, gradients, outer_tape.gradient(gradients, params)[0]):
                self.assertAllEqual(np.isfinite(values), np.ones(values.shape, bool))
            impossible = probs[:, action] == 0.0
            log_probs = log_probs[0, 0, 0].numpy()
            self.assertAllClose(np.exp(log_probs[~impossible]), probs[~impossible, action], rtol=rtol, atol=0.0)
            self.assertAllLess(log_probs[impossible], -86.0 if dtype == "float32" else -707.0)

    @parameterized.parameters("float32", "float64")
    def test_games_between_certain_policies(self, dtype):
        """Tit for tat against who always defects, sampled and exact: C D D D.. and D D D D.., gradients of nothing."""
        game = matrix.IteratedMatrixGame(payoffs.prisoners_dilemma(), discount=0.5, dtype=dtype)
        policies = [tabular.tabular_policy(game, agent) for agent in range(2)]
        tit_for_tat = np.array([[1, 0], [1, 0], [0, 1], [1, 0], [0, 1]])
        leaves = [own.params_of(probs)[0] for own, probs in zip(policies, (tit_for_tat, [[0.0, 1.0]] * 5))]
        joint_params = tuple((tf.constant(leaf[np.newaxis, np.newaxis]),) for leaf in leaves)
        tasks = PayoffNoise(game, width=0.0).sample(random.root_keys([0]), 1)
        # −3 once, then −2 for ever: of all time, and of four steps.
        for estimator, expected in (
            (ExactEstimator(game, policies), (-3.0 - 2.0, 0.0 - 2.0)),
            (LoadedDiceEstimator(game, policies, n_trajectories=4, horizon=4), (-3.0 - 1.75, -1.75)),
        ):
            link = links.sample_link(
                estimator, tuple(map(contracts.AgentState, joint_params)), tasks, random.root_keys([0])
            )
            values = estimator.values(joint_params, tasks, link.sample)
            self.assertAllClose(values, [[[value]] for value in expected], rtol=1e-6, atol=0.0)
            objectives = links.Objectives(estimator, tasks, link)
            for agent in range(2):
                self.assertAllClose(objectives.gradients(agent, agent)[0], np.zeros([1, 1, 5, 1]), rtol=0.0, atol=1e-6)

    @parameterized.parameters(
        ([[0.5, 0.25, 0.25]] * 6, r"array of shape \(6, 3\)"), ([[0.5, 0.5]] * 7, r"array of shape \(7, 2\)"),
        ([0.5, 0.25, 0.25], "array of shape"), (1.0, "array of shape"), ([[1.2, -0.1, -0.1]] * 7, r"\[\[1.2"),
        ([[0.5, 0.25, 0.2]] * 7, r"\[\[0.5"), ([[0.0, 0.0, 0.0]] * 7, r"\[\[0.0"), ([[math.nan, 0.5, 0.5]] * 7, "nan"),
        ([[math.inf, 0.0, 0.0]] * 7, "inf"), ([[2.0, 0.0, 0.0]] * 7, r"\[\[2.0"), ([["a", "b", "c"]] * 7, "'a'"),
        (np.full([7, 3], 1 / 3 + 0j), ""), (None, "None"), ([[1, 0, 0], [1, 0]], r"\[\[1, 0"),
    )
    def test_other_than_probabilities_have_no_params(self, action_probs, shown):
        policy = tabular.tabular_policy(_matrix_game(), 0)
        with self.assertRaises(checks.InvalidInputError) as caught:
            policy.params_of(action_probs)
        self.assertRegex(str(caught.exception), f"^action_probs = .*{shown}.*: must be [^\n]*$")

    def test_initial_stddev_is_one_by_default(self):
        game = _matrix_game()
        self.assertAllEqual(
            tabular.tabular_policy(game, 1).initial_params([4])[0],
            tabular.tabular_policy(game, 1, initial_stddev=1.0).initial_params([4])[0],
        )

    def test_initial_stddev_zero(self):
        (leaf,) = tabular.tabular_policy(_matrix_game(), 1, initial_stddev=0.0).initial_params([4])
        self.assertAllEqual(leaf, np.zeros([1, 7, 1]))

    @parameterized.parameters(-1.0, math.nan, math.inf, "1", None, True)
    def test_bad_initial_stddev_is_rejected(self, initial_stddev):
        with self.assertRaises(checks.InvalidInputError) as caught:
            tabular.tabular_policy(_matrix_game(), 0, initial_stddev)
        self.assertEqual(
            str(caught.exception),
            f"tabular_policy.initial_stddev = {initial_stddev!r}: must be a finite number ≥ 0.0",
        )


class MLPTest(tf.test.TestCase, parameterized.TestCase):

    def test_initial_params(self):
        policy = mlp.mlp_policy(_matrix_game(), 0, hidden_units=(16, 8))
        params = policy.initial_params([3, 4])
        self.assertEqual([leaf.shape[1:] for leaf in params], [[7, 16], [1, 16], [16, 8], [1, 8], [8, 3], [1, 3]])
        for kernel, bias in zip(params[::2], params[1::2]):
            self.assertAllEqual(bias, np.zeros_like(bias))
            # Glorot's bound for uniform numbers, which some of them come near to.
            bound = math.sqrt(6 / (kernel.shape[1] + kernel.shape[2]))
            self.assertAllInRange(kernel, -bound, bound)
            self.assertGreater(np.max(np.abs(kernel)), 0.9 * bound)
            self.assertNotAllClose(kernel[0], kernel[1], atol=0.01)

    def test_activation(self):
        policy = mlp.mlp_policy(_matrix_game(), 0, hidden_units=(4,), activation="relu")
        leaves = _random_leaves(policy)
        kernel, bias, last_kernel, last_bias = (leaf[1, 2] for leaf in leaves)
        expected = np.maximum(kernel + bias, 0.0) @ last_kernel + last_bias
        self.assertAllClose(policy.logits(_constants(leaves))[1, 2], expected, rtol=1e-12, atol=1e-12)

    @parameterized.parameters(
        ("hidden_units", 64, "a list of sizes"), ("hidden_units", "64", "a list of sizes"),
        ("activation", "tanhh", "the name of a Keras activation"), ("activation", 3, "the name of a Keras activation"),
    )
    def test_bad_input_is_rejected(self, parameter, value, allowed):
        with self.assertRaises(checks.InvalidInputError) as caught:
            mlp.mlp_policy(_matrix_game(), 0, **{parameter: value})
        self.assertEqual(str(caught.exception), f"mlp_policy.{parameter} = {value!r}: must be {allowed}")

    def test_number_of_parameters(self):
        for policy, n_params in (
            (mlp.mlp_policy(_matrix_game(), 0, hidden_units=(16, 8)), mlp.MLP.n_params(7, 3, (16, 8))),
            (mlp.mlp_policy(_matrix_game(), 0, hidden_units=()), mlp.MLP.n_params(7, 3, ())),
            (
                recurrent.lstm_policy(_matrix_game(), 0, units=5),
                recurrent.Recurrent.n_params(recurrent.LSTMCell, 7, 3, 5),
            ),
        ):
            self.assertEqual(sum(leaf.shape.num_elements() for leaf in policy.reference_params), n_params)

    def test_bad_size_is_rejected(self):
        with self.assertRaisesRegex(checks.InvalidInputError, r"mlp_policy.hidden_units\[1\] = 0: must be"):
            mlp.mlp_policy(_matrix_game(), 0, hidden_units=(4, 0))


class QuantileTest(tf.test.TestCase, parameterized.TestCase):
    """Action a has the half-open interval [F(a − 1), F(a)) of uniform numbers, F the cumulative probabilities."""

    # Probabilities that float32 holds exactly.
    @parameterized.parameters("float32", "float64")
    def test_edges(self, dtype):
        numpy_dtype = np.dtype(dtype).type
        distribution = distributions.Categorical(probs=tf.constant([0.25, 0.25, 0.5], dtype))

        def below(value):
            return np.nextafter(numpy_dtype(value), numpy_dtype(0))

        uniforms = np.array([0, below(0.25), 0.25, below(0.5), 0.5, below(1)], dtype)
        actions = distribution.quantile(tf.constant(uniforms))
        self.assertEqual(actions.dtype, tf.int32)
        self.assertAllEqual(actions, [0, 0, 1, 1, 2, 2])

    @parameterized.parameters(
        ([0.0, 1.0], [1, 1, 1]),
        ([1.0, 0.0], [0, 0, 0]),
        ([0.0, 0.5, 0.0, 0.5, 0.0], [1, 3, 3]),
        ([0.5, 0.0, 0.0, 0.5], [0, 3, 3]),
        ([1.0], [0, 0, 0]),
    )
    def test_actions_of_probability_zero_are_never_chosen(self, probs, expected):
        distribution = distributions.Categorical(probs=tf.constant(probs, tf.float64))
        self.assertAllEqual(distribution.quantile(tf.constant([0.0, 0.5, 1.0 - 2.0**-53], tf.float64)), expected)

    def test_random_probabilities(self):
        rng = np.random.default_rng(7)
        probs, uniforms = rng.dirichlet(np.ones(5), size=[4, 3]), rng.uniform(size=[4, 3])
        by_probs = distributions.Categorical(probs=tf.constant(probs)).quantile(tf.constant(uniforms))
        by_logits = distributions.Categorical(logits=tf.constant(np.log(probs) + 2.0)).quantile(tf.constant(uniforms))
        expected = np.zeros([4, 3], np.int32)
        for index in np.ndindex(4, 3):
            cumulative = 0.0
            for action in range(5):
                cumulative += probs[index][action]
                if uniforms[index] < cumulative:
                    expected[index] = action
                    break
        self.assertAllEqual(by_probs, expected)
        self.assertAllEqual(by_logits, expected)
        self.assertLen(np.unique(expected), 5)

    def test_uniforms_that_are_equally_spaced_give_the_probabilities(self):
        # Each action has as many of n midpoints as its probability says, but for one at either end.
        probs = np.random.default_rng(8).dirichlet(np.ones(4))
        midpoints = (np.arange(10000) + 0.5) / 10000
        actions = distributions.Categorical(probs=tf.constant(probs)).quantile(tf.constant(midpoints)).numpy()
        self.assertAllClose(np.bincount(actions, minlength=4) / 10000, probs, rtol=0.0, atol=1e-4)
        self.assertAllEqual(actions, np.sort(actions))


if __name__ == "__main__":
    tf.test.main()
