"""Proves that every policy honours the interface in `policies/categorical.py`, in every mode of execution."""

import functools
import itertools
import math

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tf_metamapg import checks
from tf_metamapg.games import matrix
from tf_metamapg.games import payoffs
from tf_metamapg.policies import distributions
from tf_metamapg.policies import mlp
from tf_metamapg.policies import tabular


def _tabular_logits(leaves):
    """The logits of a tabular policy: leaves of one seed and task → array [n_observations, A]."""
    (table,) = leaves
    return np.concatenate([table, np.zeros([len(table), 1])], axis=-1)


def _mlp_logits(leaves):
    """The logits of a multilayer perceptron with tanh in between."""
    hidden = np.eye(len(leaves[0]))
    for kernel, bias in zip(leaves[:-2:2], leaves[1:-2:2]):
        hidden = np.tanh(hidden @ kernel + bias)
    return hidden @ leaves[-2] + leaves[-1]


# Every kind of policy: its name, the function (game, agent_index) that makes it, and its logits in NumPy.
POLICIES = (
    ("tabular", tabular.tabular_policy, _tabular_logits),
    ("mlp", functools.partial(mlp.mlp_policy, hidden_units=(5, 4)), _mlp_logits),
    ("linear", functools.partial(mlp.mlp_policy, hidden_units=()), _mlp_logits),
)

MODES = (
    ("eager", lambda function: function),
    ("graph", lambda function: tf.function(function, autograph=False)),
    ("xla", lambda function: tf.function(function, autograph=False, jit_compile=True)),
)

POLICIES_AND_MODES = tuple(
    (f"{policy[0]}_{mode[0]}", *policy[1:], mode[1]) for policy, mode in itertools.product(POLICIES, MODES)
)

# Seven observations; agent 0 has three actions and agent 1 two.
N_ACTIONS = (3, 2)
S, N, K, T = 2, 3, 4, 5


def _game(dtype="float64"):
    table = np.random.default_rng(0).normal(size=[2, *N_ACTIONS])
    return matrix.IteratedMatrixGame(table, dtype=dtype)


def _random_leaves(policy, seed=1):
    """Params in NumPy, with leaves [S, N, ...]."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=[S, N, *leaf.shape[1:]]) for leaf in policy.initial_params([0])]


def _constants(leaves, dtype=tf.float64):
    return tuple(tf.constant(leaf, dtype) for leaf in leaves)


def _random_steps(policy, seed=2):
    """Observations and actions, int32 arrays [S, N, K, T]."""
    rng = np.random.default_rng(seed)
    return tuple(
        rng.integers(n_values, size=[S, N, K, T], dtype=np.int32)
        for n_values in (policy.n_observations, policy.n_actions)
    )


def _oracle_logits(logits, leaves):
    """The logits of all seeds and tasks: array [S, N, n_observations, A]."""
    return np.array([[logits([leaf[s, n] for leaf in leaves]) for n in range(N)] for s in range(S)])


def _oracle_probs(logits, leaves):
    exponentials = np.exp(_oracle_logits(logits, leaves))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def _oracle_log_probs(logits, leaves, observations, actions):
    table = np.log(_oracle_probs(logits, leaves))
    result = np.zeros([S, N, K, T])
    for index in np.ndindex(S, N, K, T):
        result[index] = table[index[:2]][observations[index], actions[index]]
    return result


class ConformanceTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.named_parameters(*POLICIES_AND_MODES)
    def test_log_probs(self, make_policy, logits, mode):
        for agent_index, n_actions in enumerate(N_ACTIONS):
            policy = make_policy(_game(), agent_index)
            self.assertEqual((policy.n_observations, policy.n_actions), (7, n_actions))
            leaves = _random_leaves(policy)
            observations, actions = _random_steps(policy)

            def run(params, observations, actions, policy=policy):
                distribution = policy.distribution(params, observations)
                return (
                    policy.log_probs(params, observations, actions), distribution.log_prob(actions),
                    policy.logits(params), policy.behaviour(params), distribution.probs_parameter(),
                )

            log_probs, same, all_logits, all_probs, probs = mode(run)(
                _constants(leaves), tf.constant(observations), tf.constant(actions)
            )
            expected = _oracle_log_probs(logits, leaves, observations, actions)
            self.assertAllClose(log_probs, expected, rtol=1e-12, atol=1e-12)
            self.assertAllClose(same, expected, rtol=1e-12, atol=1e-12)
            self.assertAllClose(all_logits, _oracle_logits(logits, leaves), rtol=1e-12, atol=1e-12)
            table = _oracle_probs(logits, leaves)
            self.assertAllClose(all_probs, table, rtol=1e-12, atol=1e-12)
            for index in np.ndindex(S, N, K, T):
                self.assertAllClose(probs[index], table[index[:2]][observations[index]], rtol=1e-12, atol=1e-12)

    @parameterized.named_parameters(*POLICIES_AND_MODES)
    def test_first_and_second_derivatives(self, make_policy, logits, mode):
        # Of f = Σ w π² + log π, which mixes all orders, along random directions u, v:
        # against central differences of f in NumPy, of fourth order, so that h⁴ is below the rounding.
        policy = make_policy(_game(), 0)
        leaves = _random_leaves(policy)
        observations, actions = _random_steps(policy)
        weights = np.random.default_rng(3).normal(size=[S, N, K, T])
        u, v = _random_leaves(policy, seed=4), _random_leaves(policy, seed=5)

        def oracle(along_u, along_v):
            moved = [leaf + along_u * leaf_u + along_v * leaf_v for leaf, leaf_u, leaf_v in zip(leaves, u, v)]
            log_probs = _oracle_log_probs(logits, moved, observations, actions)
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
        self.assertAllClose(along_u, first, rtol=1e-8, atol=0.0)
        self.assertAllClose(along_uv, second, rtol=1e-7, atol=0.0)

    @parameterized.named_parameters(*POLICIES)
    def test_distribution_has_the_same_derivatives(self, make_policy, logits):
        del logits
        policy = make_policy(_game(), 0)
        params = _constants(_random_leaves(policy))
        observations, actions = map(tf.constant, _random_steps(policy))
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

    @parameterized.named_parameters(*POLICIES)
    def test_seeds_and_tasks_have_parameters_of_their_own(self, make_policy, logits):
        del logits
        policy = make_policy(_game(), 0)
        params = _constants(_random_leaves(policy))
        observations, actions = map(tf.constant, _random_steps(policy))
        with tf.GradientTape() as tape:
            tape.watch(params)
            log_probs = policy.log_probs(params, observations, actions)[1, 2]
        for gradient in tape.gradient(log_probs, params):
            for s, n in itertools.product(range(S), range(N)):
                if (s, n) == (1, 2):
                    self.assertNotAllEqual(gradient[s, n], np.zeros(gradient.shape[2:]))
                else:
                    self.assertAllEqual(gradient[s, n], np.zeros(gradient.shape[2:]))

    @parameterized.named_parameters(*POLICIES)
    def test_the_models_own_variables_are_not_touched(self, make_policy, logits):
        del logits
        policy = make_policy(_game(), 0)
        params = _constants(_random_leaves(policy))
        observations, actions = _random_steps(policy)
        own = policy._model.trainable_variables
        before = [variable.numpy() for variable in own]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(params)
            results = (
                policy.log_probs(params, observations, actions),
                policy.distribution(params, observations).log_prob(actions),
                policy.behaviour(params),
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
            result = policy._model(tf.range(policy.n_observations))
        self.assertNotIn(None, tape.gradient(result, own))

    @parameterized.named_parameters(*POLICIES)
    def test_model_with_the_parameters_is_the_policy(self, make_policy, logits):
        policy = make_policy(_game(), 1)
        leaves = _random_leaves(policy)
        model = policy.model()
        self.assertIsNot(model, policy.model())
        self.assertEmpty(model.non_trainable_variables)
        model.set_weights([leaf[1, 2] for leaf in leaves])
        result = model(tf.range(policy.n_observations))
        self.assertAllClose(result, logits([leaf[1, 2] for leaf in leaves]), rtol=1e-12, atol=1e-12)
        self.assertAllClose(result, policy.logits(_constants(leaves))[1, 2], rtol=1e-12, atol=1e-12)

    @parameterized.named_parameters(*POLICIES)
    def test_initial_params_of_a_seed_depend_on_that_seed_alone(self, make_policy, logits):
        del logits
        policy = make_policy(_game(), 0)
        together = policy.initial_params(range(5))
        alone, reordered = policy.initial_params([3]), policy.initial_params([8, 3, 1])
        tf.random.set_seed(99)
        another_policy = make_policy(_game(), 0).initial_params([3])
        for leaf, leaf_alone, leaf_reordered, again in zip(together, alone, reordered, another_policy):
            self.assertEqual(leaf.dtype, tf.float64)
            self.assertAllEqual(leaf[3], leaf_alone[0])
            self.assertAllEqual(leaf[3], leaf_reordered[1])
            self.assertAllEqual(leaf[1], leaf_reordered[2])
            self.assertAllEqual(leaf[3], again[0])

    @parameterized.named_parameters(*POLICIES)
    def test_initial_params_of_seeds_and_agents_differ(self, make_policy, logits):
        del logits
        # Agents of a game that is the same for both.
        game = matrix.IteratedMatrixGame(payoffs.prisoners_dilemma())
        first_leaves = [make_policy(game, agent_index).initial_params(range(10))[0] for agent_index in range(2)]
        self.assertEqual(first_leaves[0].dtype, tf.float32)
        values = np.stack(first_leaves)
        self.assertLen(np.unique(values), values.size)

    @parameterized.named_parameters(*POLICIES_AND_MODES)
    def test_sampler(self, make_policy, logits, mode):
        policy = make_policy(_game(), 0)
        leaves = _random_leaves(policy)
        rng = np.random.default_rng(6)
        # Every observation comes n_draws times.
        n_draws = 3000
        observations = np.tile(np.repeat(np.arange(7, dtype=np.int32), n_draws), [S, N, 1])
        uniforms = rng.uniform(size=observations.shape)

        def run(params, observations, uniforms):
            return policy.sampler(params)(observations, policy.initial_memory(observations.shape), [uniforms])[0]

        actions = mode(run)(_constants(leaves), tf.constant(observations), tf.constant(uniforms))
        self.assertEqual(actions.dtype, tf.int32)
        self.assertEqual(actions.shape, observations.shape)
        by_observation = actions.numpy().reshape([S, N, 7, n_draws])
        frequencies = np.stack([np.mean(by_observation == action, axis=-1) for action in range(3)], axis=-1)
        probs = _oracle_probs(logits, leaves)
        # 126 frequencies, all within z standard deviations √(p(1 − p)/n) with confidence 99.9 %:
        # z = Φ⁻¹(1 − 0.001 / 252) = 4.47.
        self.assertEqual(probs.size, 126)
        self.assertAllInRange(
            np.abs(frequencies - probs) / np.sqrt(probs * (1 - probs) / n_draws), 0.0, 4.47
        )


class TabularTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters((2, 2), (3, 2), (2, 4), (2, 3, 2))
    def test_number_of_parameters(self, *n_actions):
        game = matrix.IteratedMatrixGame(np.zeros([len(n_actions), *n_actions]))
        for agent_index, size in enumerate(n_actions):
            (leaf,) = tabular.tabular_policy(game, agent_index).initial_params([0, 1])
            self.assertEqual(leaf.shape, [2, game.n_observations, size - 1])

    def test_five_logits_of_cooperating_in_the_prisoners_dilemma(self):
        game = matrix.IteratedMatrixGame(payoffs.prisoners_dilemma(), dtype="float64")
        logits = np.array([0.3, -2.0, 0.0, 1.5, 4.0])
        params = (tf.constant(logits[np.newaxis, np.newaxis, :, np.newaxis]),)
        probs = tabular.tabular_policy(game, 0).behaviour(params)
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

    def test_initial_stddev_is_one_by_default(self):
        game = _game()
        self.assertAllEqual(
            tabular.tabular_policy(game, 1).initial_params([4])[0],
            tabular.tabular_policy(game, 1, initial_stddev=1.0).initial_params([4])[0],
        )

    def test_initial_stddev_zero(self):
        (leaf,) = tabular.tabular_policy(_game(), 1, initial_stddev=0.0).initial_params([4])
        self.assertAllEqual(leaf, np.zeros([1, 7, 1]))

    @parameterized.parameters(-1.0, math.nan, math.inf, "1", None, True)
    def test_bad_initial_stddev_is_rejected(self, initial_stddev):
        with self.assertRaises(checks.InvalidInputError) as caught:
            tabular.tabular_policy(_game(), 0, initial_stddev)
        self.assertEqual(
            str(caught.exception),
            f"tabular_policy.initial_stddev = {initial_stddev!r}: must be a finite number ≥ 0.0",
        )


class MLPTest(tf.test.TestCase, parameterized.TestCase):

    def test_initial_params(self):
        policy = mlp.mlp_policy(_game(), 0, hidden_units=(16, 8))
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
        policy = mlp.mlp_policy(_game(), 0, hidden_units=(4,), activation="relu")
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
            mlp.mlp_policy(_game(), 0, **{parameter: value})
        self.assertEqual(str(caught.exception), f"mlp_policy.{parameter} = {value!r}: must be {allowed}")

    def test_bad_size_is_rejected(self):
        with self.assertRaisesRegex(checks.InvalidInputError, r"mlp_policy.hidden_units\[1\] = 0: must be"):
            mlp.mlp_policy(_game(), 0, hidden_units=(4, 0))


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
