"""Proves the score-function estimator's derivatives, by enumerating all trajectories of small games."""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import oracle
from tests.trajectory_sets import DISCOUNT
from tests.trajectory_sets import discounted
from tests.trajectory_sets import TrajectorySets
from tf_metamapg.estimators.score_function import score_function_surrogate
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator


class ScoreFunctionTest(tf.test.TestCase, parameterized.TestCase):

    def test_surrogate(self):
        rng = np.random.default_rng(0)
        log_probs, advantages = rng.normal(size=[2, 2, 3, 4, 5])
        log_probs, step_weights = tf.constant(log_probs), tf.constant(discounted(advantages))
        with tf.GradientTape() as tape:
            tape.watch([log_probs, step_weights])
            surrogate = score_function_surrogate(log_probs, step_weights)
        self.assertEqual(surrogate.shape, [2, 3])
        score, weight_gradient = tape.gradient(surrogate, [log_probs, step_weights])
        self.assertIsNone(weight_gradient)
        for s, n, k, t in np.ndindex(2, 3, 4, 5):
            expected = DISCOUNT**t * advantages[s, n, k, t] / 4
            self.assertAllClose(score[s, n, k, t], expected, rtol=1e-13, atol=0.0)

    @parameterized.parameters(
        (2, 3, 1, "none"), (2, 3, 1, "time"), (2, 2, 2, "none"), (2, 2, 2, "leave_one_out"), (3, 2, 1, "time")
    )
    def test_first_derivative_is_the_policy_gradient_of_the_agent(self, n_agents, horizon, size, baseline):
        setting = TrajectorySets(n_agents, horizon, size)
        estimator = setting.estimator(ScoreFunctionEstimator, baseline)
        leaves = setting.leaves()
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(leaves)
            objectives = setting.expected_objectives(estimator, leaves)
        expected = oracle.complex_step(setting.oracle.values, setting.logits)
        for agent in range(n_agents):
            for other, gradient in enumerate(tape.gradient(objectives[agent], leaves)):
                if other == agent:
                    self.assertAllClose(gradient, expected[agent, agent], rtol=0.0, atol=1e-12)
                else:
                    self.assertIsNone(gradient)

    def test_current_policy_surrogate_sums_over_trajectories_and_leaves_out_the_task(self):
        rng = np.random.default_rng(0)
        log_probs, later_values = tf.constant(rng.normal(size=[2, 3, 4, 5])), tf.constant(rng.normal(size=[2, 3]))
        estimator = TrajectorySets(horizon=1).estimator(ScoreFunctionEstimator)
        with tf.GradientTape() as tape:
            tape.watch([log_probs, later_values])
            surrogate = estimator.current_policy_surrogate(log_probs, later_values)
        gradient, later_gradient = tape.gradient(surrogate, [log_probs, later_values])
        self.assertIsNone(later_gradient)
        for s, n in np.ndindex(2, 3):
            baseline = sum(later_values[s, other] for other in range(3) if other != n) / 2
            advantage = later_values[s, n] - baseline
            score = sum(log_probs[s, n, k, t] for k in range(4) for t in range(5))
            self.assertAllClose(surrogate[s, n], score * advantage, rtol=1e-12, atol=0.0)
            self.assertAllClose(gradient[s, n], np.full([4, 5], advantage), rtol=1e-12, atol=0.0)

    def test_current_policy_surrogate_of_one_task_has_no_baseline(self):
        estimator = TrajectorySets(horizon=1).estimator(ScoreFunctionEstimator)
        surrogate = estimator.current_policy_surrogate(
            tf.constant([[[[-1.0, -2.0], [-0.5, 0.0]]]]), tf.constant([[10.0]])
        )
        self.assertAllClose(surrogate, [[-35.0]], rtol=1e-6, atol=0.0)

    @parameterized.parameters((0, 1), (1, 1), (0, 2), (1, 2))
    def test_current_policy_objective_is_what_the_samples_do_to_the_later_value(self, agent, n_tasks):
        # For later values f that are any function of a task's own set of two trajectories:
        # E[∇ objective] = ∇ E[Σ_n f(set_n)]. Every seed has another combination of sets.
        setting = TrajectorySets(horizon=2 if n_tasks == 1 else 1, size=2)
        n_sets = len(setting.members)
        later_values = np.random.default_rng(0).normal(size=[n_tasks, n_sets]) + 5.0
        combinations = np.array(list(itertools.product(range(n_sets), repeat=n_tasks)))  # [S, N]
        weights = np.prod(setting.probs[combinations], axis=1)
        self.assertAllClose(weights.sum(), 1.0, rtol=1e-12, atol=0.0)

        leaves, estimator = setting.leaves(), setting.estimator(ScoreFunctionEstimator)
        with tf.GradientTape() as tape:
            tape.watch(leaves)
            objective = estimator.current_policy_objective(
                setting.joint_params(leaves, combinations.shape),
                setting.sample(estimator, setting.members[combinations]), agent,
                tf.constant(later_values[np.arange(n_tasks), combinations]),
            )
            expected_objective = tf.reduce_sum(weights * tf.reduce_sum(objective, axis=1))
        gradients = tape.gradient(expected_objective, leaves)

        def later_value(logits):
            return np.sum(later_values @ setting.oracle.set_probs(logits, setting.members))

        expected = oracle.complex_step(later_value, setting.logits)
        self.assertGreater(np.abs(expected[agent]).max(), 0.01)
        self.assertAllClose(gradients[agent], expected[agent], rtol=0.0, atol=1e-11)
        self.assertIsNone(gradients[1 - agent])


if __name__ == "__main__":
    tf.test.main()
