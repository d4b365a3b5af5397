"""Proves that the policies of the package are what they are said to be; `testing/policies_test` has all modes."""

import functools
import math

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests.policies import conformance
from tests.policies.conformance import constants
from tests.policies.conformance import features
from tests.policies.conformance import image_game
from tests.policies.conformance import Kind
from tests.policies.conformance import matrix_game
from tests.policies.conformance import N
from tests.policies.conformance import random_leaves
from tests.policies.conformance import S
from tests.policies.conformance import sigmoid
from tests.policies.conformance import vector_game
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.games import matrix
from tf_metamapg.games import payoffs
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.numerics import random
from tf_metamapg.policies import distributions
from tf_metamapg.policies import mlp
from tf_metamapg.policies import recurrent
from tf_metamapg.policies import tabular


def _table(leaves, observations):
    (table,) = leaves
    return np.concatenate([table, np.zeros([len(table), 1])], axis=-1)[observations]


def _perceptron(leaves, observations):
    """Dense layers with tanh in between."""
    hidden = features(observations)
    for kernel, bias in zip(leaves[:-2:2], leaves[1:-2:2]):
        hidden = np.tanh(hidden @ kernel + bias)
    return hidden @ leaves[-2] + leaves[-1]


def _long_short_term_memory(leaves, observations):
    """Gates in the order input, forget, candidate, output; and a dense layer behind."""
    kernel, recurrent_kernel, bias, last_kernel, last_bias = leaves
    hidden = cell = np.zeros(len(recurrent_kernel))
    outputs = []
    for seen in features(observations):
        enter, forget, candidate, leave = np.split(seen @ kernel + hidden @ recurrent_kernel + bias[0], 4)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
        hidden = sigmoid(leave) * np.tanh(cell)
        outputs.append(hidden @ last_kernel + last_bias[0])
    return np.stack(outputs)


def _with_constant(leaves, observations):
    """A perceptron, and numbers behind its outputs that are always the same."""
    *of_perceptron, constant = leaves
    outputs = _perceptron(of_perceptron, observations)
    return np.concatenate([outputs, np.broadcast_to(constant[0], [*outputs.shape[:-1], constant.shape[-1]])], axis=-1)


def _gated_recurrent_unit(leaves, observations):
    """Gates in the order keep, reset, candidate; and a dense layer behind."""
    kernel, recurrent_kernel, bias, last_kernel, last_bias = leaves
    hidden = np.zeros(len(recurrent_kernel))
    outputs = []
    for seen in features(observations):
        keep, reset, candidate = np.split(seen @ kernel + bias[0], 3)
        recurrent_keep, recurrent_reset, recurrent_candidate = np.split(hidden @ recurrent_kernel, 3)
        keep, reset = sigmoid(keep + recurrent_keep), sigmoid(reset + recurrent_reset)
        hidden = keep * hidden + (1.0 - keep) * np.tanh(candidate + reset * recurrent_candidate)
        outputs.append(hidden @ last_kernel + last_bias[0])
    return np.stack(outputs)


_mlp = functools.partial(mlp.mlp_policy, hidden_units=(5, 4))
_lstm = functools.partial(recurrent.lstm_policy, units=4)
_gru = functools.partial(recurrent.gru_policy, units=5)
# How a policy is made, what it computes, and its recurrent state.
NETWORKS = (
    (_mlp, _perceptron, ()), (_lstm, _long_short_term_memory, ("hidden", "cell")),
    (_gru, _gated_recurrent_unit, ("hidden",)),
)
KINDS = {
    "tabular": Kind(tabular.tabular_policy, matrix_game, _table),
    "mlp": Kind(_mlp, matrix_game, _perceptron),
    "linear": Kind(functools.partial(mlp.mlp_policy, hidden_units=()), matrix_game, _perceptron),
    "lstm": Kind(_lstm, matrix_game, _long_short_term_memory, ("hidden", "cell")),
    "gru": Kind(_gru, matrix_game, _gated_recurrent_unit, ("hidden",)),
    "gaussian_mlp": Kind(_mlp, vector_game, _perceptron),
    "shared_stddev": Kind(functools.partial(_mlp, shared_stddev=True), vector_game, _with_constant),
    "gaussian_lstm": Kind(_lstm, vector_game, _long_short_term_memory, ("hidden", "cell")),
    "image_mlp": Kind(_mlp, image_game, _perceptron),
}

ConformanceTest = conformance.of_kinds(KINDS)


class SpacesTest(tf.test.TestCase, parameterized.TestCase):
    """Policies choose how they see and act by the specs of a game."""

    @parameterized.product(
        observation=[contracts.Discrete(7), contracts.Box((3,)), contracts.Box((3, 4, 2))],
        action=[contracts.Discrete(3), contracts.Box((2,)), contracts.Box((2, 3))], network=NETWORKS,
    )
    def test_every_observation_and_action(self, observation, action, network):
        make, outputs, state_names = network
        kind = Kind(make, lambda: conformance.SpacesGame(observation, action), outputs, state_names)
        policy = kind.make(kind.make_game(), 1)
        self.assertEqual(policy.spec, contracts.AgentSpec(observation, action, "float64"))
        leaves = random_leaves(policy)
        observations, actions = conformance.random_steps(kind, 1)
        log_probs = policy.log_probs(constants(leaves), tf.constant(observations), tf.constant(actions))
        expected = conformance.oracle_log_probs(kind, leaves, observations, actions)
        self.assertAllClose(log_probs, expected, rtol=1e-12, atol=1e-12)
        # At the first step, and the action that comes of its uniform numbers.
        uniforms = np.random.default_rng(3).uniform(size=[*observations.shape[:3], policy.n_uniforms])
        sampled, state = policy.sampler(constants(leaves))(
            tf.constant(observations[:, :, :, 0]), policy.initial_state(uniforms.shape[:3]),
            tf.constant(np.moveaxis(uniforms, -1, 0)),
        )
        self.assertLen(state, len(state_names))
        first = conformance.oracle_outputs(kind, leaves, observations)[:, :, :, 0]
        self.assertAllClose(sampled, kind.meaning().quantile(first, uniforms), rtol=1e-10, atol=1e-10)


class CategoricalPolicyTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters("tabular", "mlp", "linear")
    def test_strategy(self, name):
        kind = KINDS[name]
        policy = kind.make(matrix_game(), 0)
        self.assertEqual((policy.n_observations, policy.n_actions), (7, 3))
        leaves = random_leaves(policy)
        every_observation = np.broadcast_to(np.arange(7), [S, N, 1, 7])
        expected = conformance.oracle_outputs(kind, leaves, every_observation)[:, :, 0]
        self.assertAllClose(policy.logits(constants(leaves)), expected, rtol=1e-12, atol=1e-12)
        self.assertAllClose(policy.strategy(constants(leaves)), conformance.probs(expected), rtol=1e-12, atol=1e-12)


class TabularTest(tf.test.TestCase, parameterized.TestCase):

    def test_the_game_must_be_finite(self):
        with self.assertRaises(checks.InvalidInputError) as caught:
            tabular.tabular_policy(vector_game(), 0)
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
        game = matrix_game(dtype)
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
        policy = tabular.tabular_policy(matrix_game(), 0)
        with self.assertRaises(checks.InvalidInputError) as caught:
            policy.params_of(action_probs)
        self.assertRegex(str(caught.exception), f"^action_probs = .*{shown}.*: must be [^\n]*$")

    def test_initial_stddev_is_one_by_default(self):
        game = matrix_game()
        self.assertAllEqual(
            tabular.tabular_policy(game, 1).initial_params([4])[0],
            tabular.tabular_policy(game, 1, initial_stddev=1.0).initial_params([4])[0],
        )

    def test_initial_stddev_zero(self):
        (leaf,) = tabular.tabular_policy(matrix_game(), 1, initial_stddev=0.0).initial_params([4])
        self.assertAllEqual(leaf, np.zeros([1, 7, 1]))


class MLPTest(tf.test.TestCase, parameterized.TestCase):

    def test_initial_params(self):
        policy = mlp.mlp_policy(matrix_game(), 0, hidden_units=(16, 8))
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
        policy = mlp.mlp_policy(matrix_game(), 0, hidden_units=(4,), activation="relu")
        leaves = random_leaves(policy)
        kernel, bias, last_kernel, last_bias = (leaf[1, 2] for leaf in leaves)
        expected = np.maximum(kernel + bias, 0.0) @ last_kernel + last_bias
        self.assertAllClose(policy.logits(constants(leaves))[1, 2], expected, rtol=1e-12, atol=1e-12)

    def test_number_of_parameters(self):
        for policy, n_params in (
            (mlp.mlp_policy(matrix_game(), 0, hidden_units=(16, 8)), mlp.MLP.n_params(7, 3, (16, 8))),
            (mlp.mlp_policy(matrix_game(), 0, hidden_units=()), mlp.MLP.n_params(7, 3, ())),
            (
                recurrent.lstm_policy(matrix_game(), 0, units=5),
                recurrent.Recurrent.n_params(recurrent.LSTMCell, 7, 3, 5),
            ),
        ):
            self.assertEqual(sum(leaf.shape.num_elements() for leaf in policy.reference_params), n_params)


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
