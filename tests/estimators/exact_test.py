"""Proves that exact objectives and their derivatives are those of the value, by power series."""

import decimal
import functools
import itertools
import pathlib
import re

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import oracle
from tests.trajectory_sets import tape_derivatives
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.stochastic import StochasticGame
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import tabular_policy


def _endless_values(payoffs, logits, discount=0.8):
    """V of two agents with two actions, the sum over time until γ^t is nothing; for complex logits, too."""
    joint_actions = list(itertools.product(range(2), repeat=2))
    cooperate = 1 / (1 + np.exp(-logits))

    def probability(joint_action, first_sees, second_sees):
        first, second = cooperate[0, first_sees], cooperate[1, second_sees]
        return (second if joint_action[1] == 0 else 1 - second) * (first if joint_action[0] == 0 else 1 - first)

    distribution = np.array([probability(after, 0, 0) for after in joint_actions])
    # The second agent sees CD and DC swapped.
    transitions = np.array(
        [[probability(after, 1 + 2 * a + b, 1 + 2 * b + a) for after in joint_actions] for a, b in joint_actions]
    )
    values, weight = 0.0, 1.0
    while weight > 1e-18:
        values = values + weight * (payoffs.reshape(2, 4) @ distribution)
        distribution, weight = distribution @ transitions, weight * discount
    return values


# Rows of a table among the results: γ, largest relative errors, what is left of the value after 50 steps.
RESULTS = (pathlib.Path(__file__).parents[2] / "docs" / "results.md").read_text("utf-8")
ERRORS = [
    [float(cell) for cell in row.replace("%", "").strip("| ").split("|")]
    for row in re.findall(r"^\| 0\.9+6? \|.*e-.*\|$", RESULTS, re.MULTILINE)
]


@functools.cache
def _in_fifty_digits(discount, stddev, n_policies=200):
    """The prisoner's dilemma between pairs of tabular policies θ ~ N(0, σ²).

    Returns:
        payoffs [2, 2, 2], logits [2, n_policies, 5] that float32 has, values V¹ [n_policies] and their gradients in the
        logits of agent 0 [n_policies, 5].
    """
    table = np.array([[[-1.0, -3.0], [0.0, -2.0]], [[-1.0, 0.0], [-3.0, -2.0]]])
    logits = np.random.default_rng(0).normal(0, stddev, [2, n_policies, 5]).astype(np.float32)
    with decimal.localcontext(prec=50):
        exact = [_exact_value_and_gradient(table[0].ravel(), *pair, discount) for pair in logits.swapaxes(0, 1)]
    values, gradients = zip(*exact)
    return table, logits, np.array(values, np.float64), np.array(gradients, np.float64)


def _exact_value_and_gradient(payoffs, own_logits, other_logits, discount):
    number = np.vectorize(decimal.Decimal, otypes=[object])
    payoffs, discount = number(payoffs), decimal.Decimal(discount)
    # [2, 5]: the probabilities of both actions, without cancellation, and the own one's derivatives in the logits.
    own, other = (
        np.array([[1 / (1 + (-sign * logit).exp()) for logit in number(logits)] for sign in (1, -1)])
        for logits in (own_logits.astype(float), other_logits.astype(float)[[0, 1, 3, 2, 4]])
    )
    slopes = np.array([own[0] * own[1], -own[0] * own[1]])

    def joint(first):
        return (first[:, np.newaxis] * other[np.newaxis]).reshape([4, 5]).T

    transitions = np.concatenate([number(np.zeros([5, 1])), joint(own)], axis=1)
    system = number(np.eye(5)) - discount * transitions
    values = _solve(system, joint(own) @ payoffs)
    visits = _solve(system.T, number([1, 0, 0, 0, 0]))
    return values[0], visits * (joint(slopes) @ (payoffs + discount * values[1:]))


def _solve(matrix, vector):
    """Gaussian elimination; without pivots, as these matrices are diagonally dominant."""
    rows = np.concatenate([matrix, vector[:, np.newaxis]], axis=1)
    for pivot in range(len(rows)):
        rows[pivot] /= rows[pivot, pivot]
        others = np.arange(len(rows)) != pivot
        rows[others] -= rows[others, pivot, np.newaxis] * rows[pivot]
    return rows[:, -1]


def _prisoners_dilemma(table, logits, discount, dtype):
    """(estimator, joint params with leaves [S, 1, 5, 1], tasks) for logits [2, S, 5]."""
    game = IteratedMatrixGame(table, discount, dtype=dtype)
    estimator = ExactEstimator(game, [tabular_policy(game, agent) for agent in range(2)])
    joint_params = tuple((tf.constant(own[:, np.newaxis, :, np.newaxis], dtype),) for own in logits)
    tasks = tf.constant(np.broadcast_to(table, [logits.shape[1], 1, *table.shape]), dtype)
    return estimator, joint_params, tasks


class DiscountsCloseToOneTest(tf.test.TestCase, parameterized.TestCase):

    def errors(self, discount, stddev, dtype):
        """Relative errors of V⁰ and of its gradients in the agent's own logits: arrays [n_policies]."""
        table, logits, exact_values, exact_gradients = _in_fifty_digits(discount, stddev)
        estimator, joint_params, tasks = _prisoners_dilemma(table, logits, discount, dtype)
        with tf.GradientTape() as tape:
            tape.watch(joint_params)
            values = estimator.objectives(joint_params, tasks, ())[0]
        self.assertEqual(values.dtype, dtype)
        gradients = tape.gradient(values, joint_params[0])[0][:, 0, :, 0].numpy().astype(np.float64)
        distances = np.linalg.norm(gradients - exact_gradients, axis=-1)
        return (
            np.abs(values[:, 0].numpy().astype(np.float64) / exact_values - 1.0),
            distances / np.linalg.norm(exact_gradients, axis=-1), distances,
        )

    @parameterized.parameters(*ERRORS)
    def test_the_table_of_the_readme(self, discount, *expected):
        errors = [self.errors(discount, 4.0, dtype)[:2] for dtype in ("float32", "float64")]
        value_errors, gradient_errors = (np.max(by_dtype, axis=-1) for by_dtype in zip(*errors))
        for error, bound in zip((*value_errors, *gradient_errors), expected[:4]):
            self.assertLess(error, bound)
        self.assertAllClose(100 - expected[4], 100 * (1 - discount**50), rtol=0.05, atol=0.0)

    def test_the_table_is_there(self):
        self.assertEqual([row[0] for row in ERRORS], [0.96, 0.999, 0.99999, 0.9999999])

    @parameterized.product(discount=[0.96, 0.9999, 0.9999999], dtype=["float32", "float64"])
    def test_gradients_of_policies_that_are_all_but_deterministic(self, discount, dtype):
        """Of the worst the gradient is 10⁻¹⁰ of others, so what is bounded is the error itself; of most, relative."""
        _, relative, absolute = self.errors(discount, 16.0, dtype)
        self.assertLess(np.median(relative), 1e-7)
        *_, gradients = _in_fifty_digits(discount, 16.0)
        rounding = 6e-8 * np.linalg.norm(gradients, axis=-1) if dtype == "float32" else 0.0
        self.assertAllLess(absolute - rounding, 1e-14 / (1 - discount) ** 2)

    @parameterized.product(discount=[0.0, 0.96, 0.99999, 0.9999999], stddev=[1.0, 16.0])
    def test_a_game_that_always_pays_the_same(self, discount, stddev):
        logits = np.random.default_rng(1).normal(0, stddev, [2, 200, 5]).astype(np.float32)
        estimator, joint_params, tasks = _prisoners_dilemma(np.full([2, 2, 2], -1.0), logits, discount, "float32")
        for mean_reward in estimator.mean_rewards(joint_params, tasks, ()):
            self.assertAllClose(mean_reward, np.full([200, 1], -1.0), rtol=0.0, atol=1e-6)

    def test_probabilities_in_float32(self):
        """What was rounded before the game sees it is made to sum to one: errors of P do not become errors of V."""
        rng = np.random.default_rng(0)
        n_states = 7
        transitions = rng.dirichlet(np.ones(n_states), size=[n_states, 2, 3])
        game = StochasticGame(np.full([2, 2, 3], -1.0), transitions, discount=0.99999)
        probs = tuple(tf.constant(rng.dirichlet(np.ones(size), [2, 3, n_states]), tf.float32) for size in (2, 3))
        tasks = tf.constant(np.broadcast_to(game.default_tasks, [2, 3, 2, 2, 3]), tf.float32)
        for values in game.exact_values(tasks, probs):
            self.assertEqual(values.dtype, tf.float32)
            self.assertAllClose((1 - 0.99999) * values, np.full([2, 3], -1.0), rtol=0.0, atol=1e-6)

    def test_second_derivatives(self):
        """∇₀∇₁V⁰ of a float32 game is that of the float64 game, and that is the difference of gradients."""
        table, logits, *_ = _in_fifty_digits(0.9999, 4.0)

        def gradients(dtype, logits, with_hessians=True):
            estimator, joint_params, tasks = _prisoners_dilemma(table, logits, 0.9999, dtype)
            with tf.GradientTape() as outer_tape:
                outer_tape.watch(joint_params)
                with tf.GradientTape() as tape:
                    tape.watch(joint_params)
                    values = estimator.objectives(joint_params, tasks, ())
                gradient = tape.gradient(values[0], joint_params[1])[0][:, 0, :, 0]
            if not with_hessians:
                return gradient.numpy()
            hessians = outer_tape.batch_jacobian(gradient, joint_params[0][0])[:, :, 0, :, 0]
            return hessians.numpy().astype(np.float64)

        def relative_errors(hessians, expected):
            return np.linalg.norm(hessians - expected, axis=(1, 2)) / np.linalg.norm(expected, axis=(1, 2))

        expected = gradients("float64", logits)
        self.assertAllLess(relative_errors(gradients("float32", logits), expected), 1e-6)
        differences = []
        for observation in range(5):
            step = np.zeros([2, 1, 5])
            step[0, 0, observation] = 1e-3
            after, before = (gradients("float64", logits + shift, with_hessians=False) for shift in (step, -step))
            differences.append((after - before) / 2e-3)
        self.assertAllLess(relative_errors(np.stack(differences, axis=-1), expected), 1e-4)


class ExactTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(0)
        self.tables, self.logits = rng.normal(size=[2, 3, 2, 2, 2]), rng.normal(size=[2, 3, 2, 5])
        game = IteratedMatrixGame(self.tables[0, 0], 0.8, dtype="float64")
        self.estimator = ExactEstimator(game, [tabular_policy(game, agent) for agent in range(2)])
        self.joint_params = tuple((tf.constant(self.logits[:, :, agent, :, np.newaxis]),) for agent in range(2))

    def test_objectives_and_values_are_the_values_of_the_game(self):
        tasks = tf.constant(self.tables)
        objectives = self.estimator.objectives(self.joint_params, tasks, ())
        values = self.estimator.values(self.joint_params, tasks, ())
        mean_rewards = self.estimator.mean_rewards(self.joint_params, tasks, ())
        for s, n in np.ndindex(2, 3):
            expected = _endless_values(self.tables[s, n], self.logits[s, n])
            for agent in range(2):
                self.assertAllClose(objectives[agent][s, n], expected[agent], rtol=1e-12, atol=0.0)
                self.assertAllClose(values[agent][s, n], expected[agent], rtol=1e-12, atol=0.0)
                self.assertAllClose(mean_rewards[agent][s, n], (1 - 0.8) * expected[agent], rtol=1e-12, atol=0.0)

    def test_first_and_second_derivatives(self):
        table, logits = self.tables[1, 2], self.logits[1, 2]

        def objectives(leaves):
            joint_params = tuple((leaf[tf.newaxis, tf.newaxis, :, tf.newaxis],) for leaf in leaves)
            tasks = tf.constant(table[np.newaxis, np.newaxis])
            return [value[0, 0] for value in self.estimator.objectives(joint_params, tasks, ())]

        gradients, hessians = tape_derivatives(objectives, [tf.constant(own) for own in logits])
        expected_gradients, expected_hessians = oracle.derivatives(lambda moved: _endless_values(table, moved), logits)
        for value, agent, other in itertools.product(range(2), repeat=3):
            self.assertAllClose(gradients[value][agent], expected_gradients[value, agent], rtol=0.0, atol=1e-12)
            expected = expected_hessians[value, agent, :, other]
            self.assertGreater(np.abs(expected).max(), 0.01)
            self.assertAllClose(hessians[value][agent][other], expected, rtol=0.0, atol=1e-9)

    def test_mean_rewards_of_the_prisoners_dilemma(self):
        table = np.array([[[-1.0, -3.0], [0.0, -2.0]], [[-1.0, 0.0], [-3.0, -2.0]]])
        game = IteratedMatrixGame(table, dtype="float64")
        estimator = ExactEstimator(game, [tabular_policy(game, agent) for agent in range(2)])
        for logits, expected in (
            ([0, 0, 0, 0, 0], -1.5), ([-999] * 5, -2), ([999, 999, -999, 999, -999], -1)  # tit for tat
        ):
            params = (tf.constant(logits, tf.float64)[tf.newaxis, tf.newaxis, :, tf.newaxis],)
            for mean_reward in estimator.mean_rewards((params, params), tf.constant(table[None, None]), ()):
                self.assertAllClose(mean_reward, [[expected]], rtol=1e-12, atol=0.0)

    def test_nothing_is_sampled(self):
        keys = random.root_keys(range(2))
        self.assertEqual(self.estimator.sample(self.joint_params, tf.constant(self.tables), keys), ())
        self.assertEqual(self.estimator.n_steps, 0)

    def test_current_policy_objective_is_zero(self):
        later_values = tf.constant(np.random.default_rng(1).normal(size=[2, 3]))
        objective = self.estimator.current_policy_objective(self.joint_params, (), 0, later_values)
        self.assertEqual(objective.dtype, tf.float64)
        self.assertAllEqual(objective, np.zeros([2, 3]))


if __name__ == "__main__":
    tf.test.main()
