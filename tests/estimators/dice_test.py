"""Proves that the derivatives of both DiCE estimators are those of the value, by enumerating all trajectories."""

import itertools
import math

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import oracle
from tests.trajectory_sets import DICE_ESTIMATORS
from tests.trajectory_sets import DISCOUNT
from tests.trajectory_sets import discounted
from tests.trajectory_sets import loaded_dice_weights
from tests.trajectory_sets import tape_derivatives
from tests.trajectory_sets import TrajectorySets
from tf_metamapg.estimators import scoring
from tf_metamapg.estimators.dice import dice_surrogates
from tf_metamapg.estimators.dice import DiceEstimator
from tf_metamapg.estimators.dice import magic_box
from tf_metamapg.estimators.loaded_dice import loaded_dice_surrogates
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator


class DiceTest(tf.test.TestCase, parameterized.TestCase):

    def test_magic_box(self):
        x = tf.constant([-700.0, -1.5, 0.0, 3.0], tf.float64)
        with tf.GradientTape(persistent=True) as outer_tape:
            outer_tape.watch(x)
            with tf.GradientTape() as inner_tape:
                inner_tape.watch(x)
                y = x**2
                box = magic_box(y)
            first = inner_tape.gradient(box, x)
        # □(y)' = □(y) y' and □(y)'' = □(y) (y'² + y'').
        self.assertAllEqual(box, np.ones(4))
        self.assertAllClose(first, 2 * x, rtol=1e-14, atol=0.0)
        self.assertAllClose(outer_tape.gradient(first, x), 4 * x**2 + 2, rtol=1e-14, atol=0.0)

    def test_the_value_is_zero(self):
        rng = np.random.default_rng(0)
        log_probs, advantages = tf.constant(-rng.exponential(size=[2, 3, 4, 5])), rng.normal(size=[2, 3, 4, 5])
        surrogate, = loaded_dice_surrogates(log_probs, [tf.constant(loaded_dice_weights(advantages))])
        self.assertAllEqual(surrogate, np.zeros([2, 3]))
        setting = TrajectorySets()
        estimator = setting.estimator(LoadedDiceEstimator)
        for objective in setting.expected_objectives(estimator, setting.leaves()):
            self.assertAllEqual(objective, 0.0)

    def test_step_weights_are_constants(self):
        log_probs = tf.constant([[[[-0.5, -0.2]]]])
        # Of the advantages 1 and 2.
        step_weights = tf.constant([[[[1.0 - 0.9 * 2.0, 0.9 * 2.0]]]])
        with tf.GradientTape() as tape:
            tape.watch([log_probs, step_weights])
            surrogate, = loaded_dice_surrogates(log_probs, [step_weights])
        score, weight_gradient = tape.gradient(surrogate, [log_probs, step_weights])
        self.assertIsNone(weight_gradient)
        self.assertAllClose(score, [[[[1.0, 0.9 * 2.0]]]], rtol=1e-6, atol=0.0)

    def test_derivatives_in_the_log_probs(self):
        # The first is γ^t A_t / K, and the second γ^m A_m / K with m the later of the two time steps: the
        # advantage at a step is credited to what was done until then, which keeps the variance low.
        rng = np.random.default_rng(0)
        log_probs, advantages = tf.constant(-rng.exponential(size=[2, 4])), rng.normal(size=[2, 4])
        step_weights = tf.constant(loaded_dice_weights(advantages)[np.newaxis, np.newaxis])
        with tf.GradientTape(persistent=True) as outer_tape:
            outer_tape.watch(log_probs)
            with tf.GradientTape() as inner_tape:
                inner_tape.watch(log_probs)
                surrogate, = loaded_dice_surrogates(log_probs[tf.newaxis, tf.newaxis], [step_weights])
            gradient = inner_tape.gradient(surrogate, log_probs)
            entries = [tf.unstack(row) for row in tf.unstack(gradient)]
        for k, t in np.ndindex(2, 4):
            self.assertAllClose(gradient[k, t], DISCOUNT**t * advantages[k, t] / 2, rtol=1e-13, atol=0.0)
            expected = np.zeros([2, 4])
            for other in range(4):
                later = max(t, other)
                expected[k, other] = DISCOUNT**later * advantages[k, later] / 2
            self.assertAllClose(outer_tape.gradient(entries[k][t], log_probs), expected, rtol=1e-12, atol=1e-14)

    @parameterized.product(
        estimator_class=DICE_ESTIMATORS,
        case=[(3, 1, "none"), (3, 1, "time"), (2, 2, "none"), (2, 2, "leave_one_out"), (2, 2, "time")],
    )
    def test_first_and_second_derivatives_are_those_of_the_value(self, estimator_class, case):
        horizon, size, baseline = case
        setting = TrajectorySets(horizon=horizon, size=size)
        self.assertAllClose(setting.probs.sum(), 1.0, rtol=1e-12, atol=0.0)
        estimator = setting.estimator(estimator_class, baseline)
        gradients, hessians = tape_derivatives(
            lambda leaves: setting.expected_objectives(estimator, leaves), setting.leaves()
        )
        expected_gradients, expected_hessians = oracle.derivatives(setting.oracle.values, setting.logits)
        for value, agent in itertools.product(range(2), repeat=2):
            self.assertAllClose(gradients[value][agent], expected_gradients[value, agent], rtol=0.0, atol=1e-12)
            for other in range(2):
                expected = expected_hessians[value, agent, :, other]
                self.assertGreater(np.abs(expected).max(), 1e-3)
                self.assertAllClose(hessians[value][agent][other], expected, rtol=0.0, atol=1e-9)

    @parameterized.product(
        estimator_class=DICE_ESTIMATORS, case=[(2, 3, "none"), (3, 2, "none"), (3, 2, "time")]
    )
    def test_third_derivatives_are_those_of_the_value(self, estimator_class, case):
        n_agents, horizon, baseline = case
        # Along a random direction in the parameters of all agents, f(x) = V(θ + x d). The oracle's f is
        # analytic, so Cauchy's integral over a circle, an average over its points, gives f^(m) / m!.
        setting = TrajectorySets(n_agents, horizon)
        direction = np.random.default_rng(1).normal(size=setting.logits.shape)
        estimator = setting.estimator(estimator_class, baseline)
        radius, n_points = 0.3, 64
        points = radius * np.exp(2j * np.pi * np.arange(n_points) / n_points)
        values = np.array([setting.oracle.values(setting.logits + x * direction) for x in points])
        expected = [
            math.factorial(order) * np.mean(values * points[:, np.newaxis] ** -order, axis=0).real
            for order in (1, 2, 3)
        ]

        for agent in range(n_agents):
            x = tf.constant(0.0, tf.float64)
            with tf.GradientTape() as third_tape:
                third_tape.watch(x)
                with tf.GradientTape() as second_tape:
                    second_tape.watch(x)
                    with tf.GradientTape() as first_tape:
                        first_tape.watch(x)
                        leaves = [leaf + x * own for leaf, own in zip(setting.leaves(), direction)]
                        objective = setting.expected_objectives(estimator, leaves)[agent]
                    first = first_tape.gradient(objective, x)
                second = second_tape.gradient(first, x)
            third = third_tape.gradient(second, x)
            for order, derivative in enumerate((first, second, third)):
                self.assertGreater(abs(expected[order][agent]), 1e-2)
                self.assertAllClose(derivative, expected[order][agent], rtol=1e-9, atol=0.0)

    @parameterized.product(baseline=["none", "leave_one_out", "time", "linear"], n_agents=[2, 3])
    def test_the_value_of_the_original_is_the_mean_return(self, baseline, n_agents):
        # □ is one, so the baseline is nowhere to be seen.
        setting = TrajectorySets(n_agents, horizon=2, size=2 if n_agents == 2 else 1)
        estimator = setting.estimator(DiceEstimator, baseline)
        sample = setting.sample(estimator, setting.members[np.newaxis])
        joint_params = setting.joint_params(setting.leaves(), [1, len(setting.members)])
        objectives = estimator.objectives(joint_params, None, sample)
        expected = setting.oracle.values(setting.logits)
        for agent, objective in enumerate(objectives):
            rewards = setting.oracle.rewards[setting.members][..., agent]
            returns_of_sets = (rewards[..., 0] + DISCOUNT * rewards[..., 1]).mean(axis=1)
            self.assertAllClose(objective[0], returns_of_sets, rtol=1e-12, atol=1e-12)
            self.assertAllClose(setting.probs @ objective[0].numpy(), expected[agent], rtol=1e-12, atol=0.0)

    def test_rewards_and_baselines_of_the_original_are_constants(self):
        # γ^t times the rewards 1 and 2, and γ^t times the baselines 3 and −1.
        constants = [
            tf.constant([[[[-0.5, -0.2]]]]), tf.constant([[[[1.0, 0.9 * 2.0]]]]), tf.constant([[[[3.0, 0.9 * -1.0]]]])
        ]
        with tf.GradientTape() as tape:
            tape.watch(constants)
            surrogate, = dice_surrogates(constants[0], [constants[1:]])
        score, reward_gradient, baseline_gradient = tape.gradient(surrogate, constants)
        self.assertIsNone(reward_gradient)
        self.assertIsNone(baseline_gradient)
        # Returns to go, 1 + 0.9 · 2 and 0.9 · 2, less γ^t times the baselines.
        self.assertAllClose(score, [[[[2.8 - 3.0, 1.8 + 0.9]]]], rtol=1e-5, atol=0.0)

    def test_derivatives_of_the_original_in_the_log_probs(self):
        # The first is γ^t (R_t − b_t) / K. The second, at two time steps with m the later of the two, is
        # γ^m R_m / K, which the baseline leaves as it is but for m = both.
        rng = np.random.default_rng(0)
        log_probs, rewards, baselines = rng.normal(size=[3, 2, 4])
        to_go = [[sum(DISCOUNT ** (s - t) * row[s] for s in range(t, 4)) for t in range(4)] for row in rewards]
        log_probs = tf.constant(log_probs)
        with tf.GradientTape(persistent=True) as outer_tape:
            outer_tape.watch(log_probs)
            with tf.GradientTape() as inner_tape:
                inner_tape.watch(log_probs)
                step_weights = [tf.constant(discounted(values)[None, None]) for values in (rewards, baselines)]
                surrogate, = dice_surrogates(log_probs[tf.newaxis, tf.newaxis], [step_weights])
            gradient = inner_tape.gradient(surrogate, log_probs)
            entries = [tf.unstack(row) for row in tf.unstack(gradient)]
        for k, t in np.ndindex(2, 4):
            advantage = to_go[k][t] - baselines[k, t]
            self.assertAllClose(gradient[k, t], DISCOUNT**t * advantage / 2, rtol=1e-12, atol=0.0)
            expected = np.zeros([2, 4])
            for other in range(4):
                later = max(t, other)
                subtracted = baselines[k, t] if other == t else 0.0
                expected[k, other] = DISCOUNT**later * (to_go[k][later] - subtracted) / 2
            self.assertAllClose(outer_tape.gradient(entries[k][t], log_probs), expected, rtol=1e-12, atol=1e-14)

    @parameterized.product(
        estimator_class=DICE_ESTIMATORS, agent=[0, 1], baseline=["leave_one_out", "linear", "network"]
    )
    def test_baselines_change_the_variance_and_not_the_expectation(self, estimator_class, agent, baseline):
        setting = TrajectorySets(horizon=2, size=2)
        estimates = {
            name: setting.set_gradients(setting.estimator(estimator_class, name), agent) for name in ("none", baseline)
        }
        for order in range(2):
            plain, other = estimates["none"][order], estimates[baseline][order]
            means = [np.tensordot(setting.probs, estimate, axes=1) for estimate in (plain, other)]
            self.assertAllClose(*means, rtol=0.0, atol=1e-12)
            self.assertGreater(np.max(np.abs(means[0])), 0.05)
        # The first derivatives, and of Loaded DiCE the second ones, too. A line through the one other trajectory, and a
        # network that has learned nothing, are another matter: `critics_test` lets them learn.
        plain, other = (
            [setting.variances(estimate).sum() for estimate in estimates[name]] for name in ("none", baseline)
        )
        self.assertGreater(abs(other[0] - plain[0]), 0.01 * plain[0])
        if baseline == "leave_one_out":
            self.assertLess(other[0], 0.7 * plain[0])
            if estimator_class is LoadedDiceEstimator:
                self.assertLess(other[1], 0.7 * plain[1])

    def test_loaded_dice_has_less_variance_in_second_derivatives(self):
        setting = TrajectorySets(horizon=2, size=2)
        variances = []
        for agent in range(2):
            gradients, hessians = zip(*(
                setting.set_gradients(setting.estimator(estimator_class, "leave_one_out"), agent)
                for estimator_class in DICE_ESTIMATORS
            ))
            # The first derivatives are the same for every single set.
            self.assertAllClose(*gradients, rtol=0.0, atol=1e-12)
            variances.append([setting.variances(hessian) for hessian in hessians])
            original, loaded = variances[-1]
            self.assertLess(loaded.sum(), original.sum())
        original, loaded = np.sum(variances, axis=0)
        self.assertLess(loaded.sum(), 0.8 * original.sum())
        # Across agents, where opponent-shaping is.
        n = setting.oracle.n_observations
        self.assertLess(loaded[:n, n:].sum(), 0.9 * original[:n, n:].sum())

    def test_without_a_baseline_the_two_differ_by_a_constant(self):
        setting = TrajectorySets(horizon=2, size=1)
        estimates = [setting.set_gradients(setting.estimator(each, "none"), 1) for each in DICE_ESTIMATORS]
        for original, loaded in zip(*estimates):
            self.assertAllClose(original, loaded, rtol=0.0, atol=1e-12)
            self.assertGreater(np.max(np.abs(loaded)), 0.1)

    def test_own_log_probs_alone_would_lose_opponent_shaping(self):
        # The derivative of agent 1's gradient with respect to agent 0's parameters, with the
        # log-probabilities of agent 1 alone and with those of both.
        setting = TrajectorySets()
        trajectory = setting.trajectory(setting.members[np.newaxis])
        # Without a baseline A_t = R_t, and γ^t R_t − γ^(t+1) R_(t+1) = γ^t r_t.
        step_weights = tf.constant(discounted(trajectory.rewards[1].numpy()))

        def surrogate(leaves, dependencies):
            joint_params = setting.joint_params(leaves, [1, len(setting.members)])
            log_probs = scoring.score(setting.policies, joint_params, trajectory)
            joint_log_probs = tf.add_n([log_probs[agent] for agent in dependencies])
            return [tf.reduce_sum(setting.probs * loaded_dice_surrogates(joint_log_probs, [step_weights])[0])]

        own_gradients, own_hessians = tape_derivatives(lambda leaves: surrogate(leaves, [1]), setting.leaves())
        gradients, hessians = tape_derivatives(lambda leaves: surrogate(leaves, [0, 1]), setting.leaves())
        expected = oracle.derivatives(setting.oracle.values, setting.logits)[1][1, 1, :, 0]
        self.assertGreater(np.abs(expected).max(), 0.01)
        # Agent 1's own gradient is the same, so nothing but the cross derivative would tell.
        self.assertAllClose(own_gradients[0][1], gradients[0][1], rtol=1e-12, atol=1e-12)
        self.assertIsNone(own_gradients[0][0])
        self.assertIsNone(own_hessians[0][1][0])
        self.assertAllClose(hessians[0][1][0], expected, rtol=0.0, atol=1e-9)

    @parameterized.parameters(*DICE_ESTIMATORS)
    def test_current_policy_surrogate_is_zero(self, estimator_class):
        setting = TrajectorySets(horizon=1, size=1)
        leaves = setting.leaves()
        later_values = tf.constant(np.random.default_rng(0).normal(size=[1, 4]))
        estimator = setting.estimator(estimator_class)
        with tf.GradientTape() as tape:
            tape.watch(leaves)
            objective = estimator.current_policy_objective(
                setting.joint_params(leaves, [1, 4]), setting.sample(estimator, setting.members[np.newaxis]), 0,
                later_values,
            )
        self.assertEqual(objective.dtype, tf.float64)
        self.assertAllEqual(objective, np.zeros([1, 4]))
        self.assertEqual(tape.gradient(objective, leaves), [None, None])


if __name__ == "__main__":
    tf.test.main()
