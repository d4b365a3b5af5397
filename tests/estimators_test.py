"""Proves that the estimators' values and derivatives are right, by enumerating all trajectories of small games."""

import itertools
import math

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import oracle
from tests.tiny_game import TinyGame
from tf_metamapg import checks
from tf_metamapg import critics
from tf_metamapg import random
from tf_metamapg import scoring
from tf_metamapg.estimators import dice
from tf_metamapg.estimators import loaded_dice
from tf_metamapg.estimators import score_function
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import loaded_dice_surrogates
from tf_metamapg.games import matrix
from tf_metamapg.policies import tabular
from tf_metamapg.types import Trajectory

DISCOUNT = 0.9
TIME_BASELINE = np.array([3.0, -2.0, 0.7])
CRITIC = "a function, such as @leave_one_out_baseline, or @ValueNetwork() with parentheses"
BASELINES = {
    "none": critics.no_baseline,
    "leave_one_out": critics.leave_one_out_baseline,
    # Depends on the time step only.
    "time": lambda features, to_go, agent_index: (
        tf.zeros_like(to_go) + tf.constant(TIME_BASELINE[: to_go.shape[-1]], to_go.dtype)
    ),
    "linear": critics.linear_feature_baseline,
    "network": critics.ValueNetwork(units=3),
}
DICE_ESTIMATORS = (dice.DiceEstimator, loaded_dice.LoadedDiceEstimator)
SAMPLED_ESTIMATORS = (*DICE_ESTIMATORS, score_function.ScoreFunctionEstimator)


class Enumeration(TinyGame):
    """All sets of joint trajectories of a tiny game, and what the estimators make of them."""

    def __init__(self, n_agents=2, horizon=3, size=1):
        super().__init__(n_agents, horizon, DISCOUNT)
        # All sets of `size` trajectories, each with the probability that it is what is sampled.
        self.members = self.oracle.all_sets(size)
        self.probs = self.oracle.set_probs(self.logits, self.members)

    def estimator(self, estimator_class, baseline="none"):
        return estimator_class(
            self.game, self.policies, n_trajectories=self.members.shape[1],
            horizon=self.oracle.actions.shape[1], baseline=BASELINES[baseline],
        )

    def leaves(self):
        """One tensor [n_observations] for each agent."""
        return [tf.constant(table) for table in self.logits]

    def joint_params(self, leaves, shape):
        """The same parameters for all seeds and tasks: JointParams with leaves [S, N, n_observations, 1]."""
        return tuple((tf.broadcast_to(leaf[:, tf.newaxis], [*shape, len(leaf), 1]),) for leaf in leaves)

    def expected_objectives(self, estimator, leaves):
        """E[objective] of every agent: the set of trajectories is another one in every task."""
        sample = self.sample(estimator, self.members[np.newaxis])
        joint_params = self.joint_params(leaves, [1, len(self.members)])
        objectives = estimator.objectives(joint_params, None, sample)
        return [tf.reduce_sum(self.probs * objective) for objective in objectives]

    def of_each_set(self, estimator, of_agent):
        """What each set says of the derivatives of one agent's value.

        Returns:
            gradients [Z, n · n_observations], Hessians with as many rows and columns.
        """
        leaves = self.leaves()
        joint_params = self.joint_params(leaves, [1, len(self.members)])
        params = [leaf for leaf, in joint_params]
        sample = self.sample(estimator, self.members[np.newaxis])
        with tf.GradientTape(persistent=True) as outer_tape:
            outer_tape.watch(params)
            with tf.GradientTape() as inner_tape:
                inner_tape.watch(params)
                objectives = estimator.objectives(joint_params, None, sample)
            gradients = tf.concat(inner_tape.gradient(objectives[of_agent], params), axis=2)[0, :, :, 0]
            entries = tf.unstack(gradients, axis=1)
        hessians = [
            tf.concat(outer_tape.gradient(entry, params), axis=2)[0, :, :, 0] for entry in entries
        ]
        return gradients.numpy(), np.stack(hessians, axis=1)

    def variances(self, estimates):
        """The variance of each entry over the sets, [Z, ...] → [...]."""
        mean = np.tensordot(self.probs, estimates, axes=1)
        return np.tensordot(self.probs, (estimates - mean) ** 2, axes=1)


def _derivatives(function, leaves):
    """The same of scalars by gradient tapes: lists [value][agent] and [value][agent][other], None if unconnected."""
    with tf.GradientTape(persistent=True) as outer_tape:
        outer_tape.watch(leaves)
        with tf.GradientTape(persistent=True) as inner_tape:
            inner_tape.watch(leaves)
            values = function(leaves)
        gradients = [inner_tape.gradient(value, leaves) for value in values]
        entries = [[None if leaf is None else tf.unstack(leaf) for leaf in gradient] for gradient in gradients]
    hessians = []
    for of_value in entries:
        rows = [None if row is None else [outer_tape.gradient(entry, leaves) for entry in row] for row in of_value]
        hessians.append([None if row is None else [_stack(column) for column in zip(*row)] for row in rows])
    return gradients, hessians


def _stack(tensors):
    return None if all(tensor is None for tensor in tensors) else np.stack(tensors)


def _discounted(values):
    """γ^t x_t of an array [.., T]."""
    return values * DISCOUNT ** np.arange(values.shape[-1])


def _loaded_dice_credits(advantages):
    """γ^t A_t − γ^(t+1) A_(t+1) of an array [.., T]; after the last step there is nothing."""
    return -np.diff(_discounted(advantages), append=0.0)


class DiceTest(tf.test.TestCase, parameterized.TestCase):

    def test_magic_box(self):
        x = tf.constant([-700.0, -1.5, 0.0, 3.0], tf.float64)
        with tf.GradientTape(persistent=True) as outer_tape:
            outer_tape.watch(x)
            with tf.GradientTape() as inner_tape:
                inner_tape.watch(x)
                y = x**2
                box = dice.magic_box(y)
            first = inner_tape.gradient(box, x)
        # □(y)' = □(y) y' and □(y)'' = □(y) (y'² + y'').
        self.assertAllEqual(box, np.ones(4))
        self.assertAllClose(first, 2 * x, rtol=1e-14, atol=0.0)
        self.assertAllClose(outer_tape.gradient(first, x), 4 * x**2 + 2, rtol=1e-14, atol=0.0)

    def test_the_value_is_zero(self):
        rng = np.random.default_rng(0)
        log_probs, advantages = tf.constant(-rng.exponential(size=[2, 3, 4, 5])), rng.normal(size=[2, 3, 4, 5])
        surrogate, = loaded_dice_surrogates(log_probs, [tf.constant(_loaded_dice_credits(advantages))])
        self.assertAllEqual(surrogate, np.zeros([2, 3]))
        setting = Enumeration()
        estimator = setting.estimator(loaded_dice.LoadedDiceEstimator)
        for objective in setting.expected_objectives(estimator, setting.leaves()):
            self.assertAllEqual(objective, 0.0)

    def test_credits_are_constants(self):
        log_probs = tf.constant([[[[-0.5, -0.2]]]])
        # Of the advantages 1 and 2.
        credits = tf.constant([[[[1.0 - 0.9 * 2.0, 0.9 * 2.0]]]])
        with tf.GradientTape() as tape:
            tape.watch([log_probs, credits])
            surrogate, = loaded_dice_surrogates(log_probs, [credits])
        of_log_probs, of_credits = tape.gradient(surrogate, [log_probs, credits])
        self.assertIsNone(of_credits)
        self.assertAllClose(of_log_probs, [[[[1.0, 0.9 * 2.0]]]], rtol=1e-6, atol=0.0)

    def test_derivatives_in_the_log_probs(self):
        # The first is γ^t A_t / K, and the second γ^m A_m / K with m the later of the two time steps: the
        # advantage at a step is credited to what was done until then, which keeps the variance low.
        rng = np.random.default_rng(0)
        log_probs, advantages = tf.constant(-rng.exponential(size=[2, 4])), rng.normal(size=[2, 4])
        credits = tf.constant(_loaded_dice_credits(advantages)[np.newaxis, np.newaxis])
        with tf.GradientTape(persistent=True) as outer_tape:
            outer_tape.watch(log_probs)
            with tf.GradientTape() as inner_tape:
                inner_tape.watch(log_probs)
                surrogate, = loaded_dice_surrogates(log_probs[tf.newaxis, tf.newaxis], [credits])
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
        setting = Enumeration(horizon=horizon, size=size)
        self.assertAllClose(setting.probs.sum(), 1.0, rtol=1e-12, atol=0.0)
        estimator = setting.estimator(estimator_class, baseline)
        gradients, hessians = _derivatives(
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
        setting = Enumeration(n_agents, horizon)
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
        setting = Enumeration(n_agents, horizon=2, size=2 if n_agents == 2 else 1)
        estimator = setting.estimator(dice.DiceEstimator, baseline)
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
            surrogate, = dice.dice_surrogates(constants[0], [constants[1:]])
        of_log_probs, of_rewards, of_baselines = tape.gradient(surrogate, constants)
        self.assertIsNone(of_rewards)
        self.assertIsNone(of_baselines)
        # Returns to go, 1 + 0.9 · 2 and 0.9 · 2, less γ^t times the baselines.
        self.assertAllClose(of_log_probs, [[[[2.8 - 3.0, 1.8 + 0.9]]]], rtol=1e-5, atol=0.0)

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
                credits = [tf.constant(_discounted(of_steps)[None, None]) for of_steps in (rewards, baselines)]
                surrogate, = dice.dice_surrogates(log_probs[tf.newaxis, tf.newaxis], [credits])
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
        setting = Enumeration(horizon=2, size=2)
        if baseline == "network":
            BASELINES[baseline].build(setting.game, setting.policies, [0])
        estimates = {
            name: setting.of_each_set(setting.estimator(estimator_class, name), agent) for name in ("none", baseline)
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
            if estimator_class is loaded_dice.LoadedDiceEstimator:
                self.assertLess(other[1], 0.7 * plain[1])

    def test_loaded_dice_has_less_variance_in_second_derivatives(self):
        setting = Enumeration(horizon=2, size=2)
        variances = []
        for agent in range(2):
            gradients, hessians = zip(*(
                setting.of_each_set(setting.estimator(estimator_class, "leave_one_out"), agent)
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
        setting = Enumeration(horizon=2, size=1)
        estimates = [setting.of_each_set(setting.estimator(each, "none"), 1) for each in DICE_ESTIMATORS]
        for original, loaded in zip(*estimates):
            self.assertAllClose(original, loaded, rtol=0.0, atol=1e-12)
            self.assertGreater(np.max(np.abs(loaded)), 0.1)

    def test_own_log_probs_alone_would_lose_opponent_shaping(self):
        # The derivative of agent 1's gradient with respect to agent 0's parameters, with the
        # log-probabilities of agent 1 alone and with those of both.
        setting = Enumeration()
        trajectory = setting.trajectory(setting.members[np.newaxis])
        # Without a baseline A_t = R_t, and γ^t R_t − γ^(t+1) R_(t+1) = γ^t r_t.
        credits = tf.constant(_discounted(trajectory.rewards[1].numpy()))

        def surrogate(leaves, dependencies):
            joint_params = setting.joint_params(leaves, [1, len(setting.members)])
            log_probs = scoring.score(setting.policies, joint_params, trajectory)
            joint_log_probs = tf.add_n([log_probs[agent] for agent in dependencies])
            return [tf.reduce_sum(setting.probs * loaded_dice_surrogates(joint_log_probs, [credits])[0])]

        own_gradients, own_hessians = _derivatives(lambda leaves: surrogate(leaves, [1]), setting.leaves())
        gradients, hessians = _derivatives(lambda leaves: surrogate(leaves, [0, 1]), setting.leaves())
        expected = oracle.derivatives(setting.oracle.values, setting.logits)[1][1, 1, :, 0]
        self.assertGreater(np.abs(expected).max(), 0.01)
        # Agent 1's own gradient is the same, so nothing but the cross derivative would tell.
        self.assertAllClose(own_gradients[0][1], gradients[0][1], rtol=1e-12, atol=1e-12)
        self.assertIsNone(own_gradients[0][0])
        self.assertIsNone(own_hessians[0][1][0])
        self.assertAllClose(hessians[0][1][0], expected, rtol=0.0, atol=1e-9)

    @parameterized.parameters(*DICE_ESTIMATORS)
    def test_current_policy_surrogate_is_zero(self, estimator_class):
        setting = Enumeration(horizon=1, size=1)
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


class ScoreFunctionTest(tf.test.TestCase, parameterized.TestCase):

    def test_surrogate(self):
        rng = np.random.default_rng(0)
        log_probs, advantages = rng.normal(size=[2, 2, 3, 4, 5])
        log_probs, credits = tf.constant(log_probs), tf.constant(_discounted(advantages))
        with tf.GradientTape() as tape:
            tape.watch([log_probs, credits])
            surrogate = score_function.score_function_surrogate(log_probs, credits)
        self.assertEqual(surrogate.shape, [2, 3])
        of_log_probs, of_credits = tape.gradient(surrogate, [log_probs, credits])
        self.assertIsNone(of_credits)
        for s, n, k, t in np.ndindex(2, 3, 4, 5):
            expected = DISCOUNT**t * advantages[s, n, k, t] / 4
            self.assertAllClose(of_log_probs[s, n, k, t], expected, rtol=1e-13, atol=0.0)

    @parameterized.parameters(
        (2, 3, 1, "none"), (2, 3, 1, "time"), (2, 2, 2, "none"), (2, 2, 2, "leave_one_out"), (3, 2, 1, "time")
    )
    def test_first_derivative_is_the_policy_gradient_of_the_agent(self, n_agents, horizon, size, baseline):
        setting = Enumeration(n_agents, horizon, size)
        estimator = setting.estimator(score_function.ScoreFunctionEstimator, baseline)
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
        estimator = Enumeration(horizon=1).estimator(score_function.ScoreFunctionEstimator)
        with tf.GradientTape() as tape:
            tape.watch([log_probs, later_values])
            surrogate = estimator.current_policy_surrogate(log_probs, later_values)
        of_log_probs, of_later_values = tape.gradient(surrogate, [log_probs, later_values])
        self.assertIsNone(of_later_values)
        for s, n in np.ndindex(2, 3):
            baseline = sum(later_values[s, other] for other in range(3) if other != n) / 2
            advantage = later_values[s, n] - baseline
            score = sum(log_probs[s, n, k, t] for k in range(4) for t in range(5))
            self.assertAllClose(surrogate[s, n], score * advantage, rtol=1e-12, atol=0.0)
            self.assertAllClose(of_log_probs[s, n], np.full([4, 5], advantage), rtol=1e-12, atol=0.0)

    def test_current_policy_surrogate_of_one_task_has_no_baseline(self):
        estimator = Enumeration(horizon=1).estimator(score_function.ScoreFunctionEstimator)
        surrogate = estimator.current_policy_surrogate(
            tf.constant([[[[-1.0, -2.0], [-0.5, 0.0]]]]), tf.constant([[10.0]])
        )
        self.assertAllClose(surrogate, [[-35.0]], rtol=1e-6, atol=0.0)

    @parameterized.parameters((0, 1), (1, 1), (0, 2), (1, 2))
    def test_current_policy_objective_is_what_the_samples_do_to_the_later_value(self, agent, n_tasks):
        # For later values f that are any function of a task's own set of two trajectories:
        # E[∇ objective] = ∇ E[Σ_n f(set_n)]. Every seed has another combination of sets.
        setting = Enumeration(horizon=2 if n_tasks == 1 else 1, size=2)
        n_sets = len(setting.members)
        later_values = np.random.default_rng(0).normal(size=[n_tasks, n_sets]) + 5.0
        combinations = np.array(list(itertools.product(range(n_sets), repeat=n_tasks)))  # [S, N]
        weights = np.prod(setting.probs[combinations], axis=1)
        self.assertAllClose(weights.sum(), 1.0, rtol=1e-12, atol=0.0)

        leaves, estimator = setting.leaves(), setting.estimator(score_function.ScoreFunctionEstimator)
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


class ExactTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(0)
        self.tables, self.logits = rng.normal(size=[2, 3, 2, 2, 2]), rng.normal(size=[2, 3, 2, 5])
        game = matrix.IteratedMatrixGame(self.tables[0, 0], 0.8, dtype="float64")
        self.estimator = ExactEstimator(game, [tabular.tabular_policy(game, agent) for agent in range(2)])
        self.joint_params = tuple((tf.constant(self.logits[:, :, agent, :, np.newaxis]),) for agent in range(2))

    def test_objectives_and_values_are_the_values_of_the_game(self):
        tasks = tf.constant(self.tables)
        objectives = self.estimator.objectives(self.joint_params, tasks, ())
        values = self.estimator.values(self.joint_params, tasks, ())
        average_rewards = self.estimator.average_rewards(self.joint_params, tasks, ())
        for s, n in np.ndindex(2, 3):
            expected = _endless_values(self.tables[s, n], self.logits[s, n])
            for agent in range(2):
                self.assertAllClose(objectives[agent][s, n], expected[agent], rtol=1e-12, atol=0.0)
                self.assertAllClose(values[agent][s, n], expected[agent], rtol=1e-12, atol=0.0)
                self.assertAllClose(average_rewards[agent][s, n], (1 - 0.8) * expected[agent], rtol=1e-12, atol=0.0)

    def test_first_and_second_derivatives(self):
        table, logits = self.tables[1, 2], self.logits[1, 2]

        def objectives(leaves):
            joint_params = tuple((leaf[tf.newaxis, tf.newaxis, :, tf.newaxis],) for leaf in leaves)
            tasks = tf.constant(table[np.newaxis, np.newaxis])
            return [value[0, 0] for value in self.estimator.objectives(joint_params, tasks, ())]

        gradients, hessians = _derivatives(objectives, [tf.constant(own) for own in logits])
        expected_gradients, expected_hessians = oracle.derivatives(lambda moved: _endless_values(table, moved), logits)
        for value, agent, other in itertools.product(range(2), repeat=3):
            self.assertAllClose(gradients[value][agent], expected_gradients[value, agent], rtol=0.0, atol=1e-12)
            expected = expected_hessians[value, agent, :, other]
            self.assertGreater(np.abs(expected).max(), 0.01)
            self.assertAllClose(hessians[value][agent][other], expected, rtol=0.0, atol=1e-9)

    def test_average_rewards_of_the_prisoners_dilemma(self):
        table = np.array([[[-1.0, -3.0], [0.0, -2.0]], [[-1.0, 0.0], [-3.0, -2.0]]])
        game = matrix.IteratedMatrixGame(table, dtype="float64")
        estimator = ExactEstimator(game, [tabular.tabular_policy(game, agent) for agent in range(2)])
        for logits, expected in (
            ([0, 0, 0, 0, 0], -1.5), ([-999] * 5, -2), ([999, 999, -999, 999, -999], -1)  # tit for tat
        ):
            params = (tf.constant(logits, tf.float64)[tf.newaxis, tf.newaxis, :, tf.newaxis],)
            for average_reward in estimator.average_rewards((params, params), tf.constant(table[None, None]), ()):
                self.assertAllClose(average_reward, [[expected]], rtol=1e-12, atol=0.0)

    def test_nothing_is_sampled(self):
        keys = random.root_keys(range(2))
        self.assertEqual(self.estimator.sample(self.joint_params, tf.constant(self.tables), keys), ())
        self.assertEqual(self.estimator.n_steps, 0)

    def test_current_policy_objective_is_zero(self):
        later_values = tf.constant(np.random.default_rng(1).normal(size=[2, 3]))
        objective = self.estimator.current_policy_objective(self.joint_params, (), 0, later_values)
        self.assertEqual(objective.dtype, tf.float64)
        self.assertAllEqual(objective, np.zeros([2, 3]))


class SampledTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(*SAMPLED_ESTIMATORS)
    def test_values_and_average_rewards_of_given_trajectories(self, estimator_class):
        setting = Enumeration()
        rewards = np.random.default_rng(0).normal(size=[2, 2, 3, 4, 3])  # agent, S, N, K, T
        estimator = setting.estimator(estimator_class)
        seen = (tf.zeros([2, 3, 4, 3], tf.int32),) * 2
        sample = estimator.credited(Trajectory(seen, (), tuple(map(tf.constant, rewards))))
        values = estimator.values(None, None, sample)
        joint_params = ((tf.zeros([2, 3, 5, 1]),), (tf.zeros([2, 3, 4]), tf.zeros([2, 3, 1])))
        average_rewards = estimator.average_rewards(joint_params, None, sample)
        for agent, s, n in np.ndindex(2, 2, 3):
            own = rewards[agent, s, n]
            expected = sum(DISCOUNT**t * own[k, t] for k in range(4) for t in range(3)) / 4
            self.assertAllClose(values[agent][s, n], expected, rtol=1e-12, atol=0.0)
            self.assertAllClose(average_rewards[agent][s, n], own.sum() / 12, rtol=1e-12, atol=0.0)
        for value in (np.nan, np.inf):
            with self.subTest("a policy that is no longer finite", value=value):
                bad = np.zeros([2, 3, 4], np.float32)
                bad[1, 2, 3] = value
                joint_params = (joint_params[0], (tf.constant(bad), joint_params[1][1]))
                for average, finite in zip(estimator.average_rewards(joint_params, None, sample), average_rewards):
                    self.assertTrue(np.isnan(average[1, 2]))
                    self.assertAllEqual(np.isnan(average).sum(), 1)
                    self.assertAllEqual(average[0], finite[0])

    def test_credits(self):
        rewards = np.random.default_rng(0).normal(size=[2, 1, 2, 4, 3])  # agent, S, N, K, T
        to_go = np.stack(
            [sum(DISCOUNT ** (s - t) * rewards[..., s] for s in range(t, 3)) for t in range(3)], axis=-1
        )
        advantages, baselines = to_go - TIME_BASELINE, np.broadcast_to(TIME_BASELINE, rewards.shape)
        setting = Enumeration()
        trajectory = Trajectory((tf.zeros([1, 2, 4, 3], tf.int32),) * 2, (), tuple(map(tf.constant, rewards)))
        for estimator_class, expected in (
            (dice.DiceEstimator, np.stack([_discounted(rewards), _discounted(baselines)], axis=1)),
            (loaded_dice.LoadedDiceEstimator, _loaded_dice_credits(advantages)),
            (score_function.ScoreFunctionEstimator, _discounted(advantages)),
        ):
            sample = setting.estimator(estimator_class, "time").credited(trajectory)
            self.assertIs(sample.trajectory, trajectory)
            self.assertLen(sample.credits, 2)
            for credit, expected_credit in zip(sample.credits, expected):
                self.assertAllClose(credit, expected_credit, rtol=0.0, atol=1e-13)

    @parameterized.parameters(*SAMPLED_ESTIMATORS)
    def test_a_sample_has_the_credits_of_its_trajectory(self, estimator_class):
        setting = Enumeration()
        estimator = setting.estimator(estimator_class)
        sample = estimator.sample(
            setting.joint_params(setting.leaves(), [2, 4]), setting.tasks(2, 4),
            random.root_keys(range(2)),
        )
        tf.nest.map_structure(self.assertAllEqual, sample, estimator.credited(sample.trajectory))

    @parameterized.product(estimator_class=SAMPLED_ESTIMATORS, n_agents=(2, 3))
    def test_values_and_average_rewards_have_the_exact_mean(self, estimator_class, n_agents):
        setting = Enumeration(n_agents, horizon=2)
        n_trajectories, n_tasks = 4000, 3
        estimator = estimator_class(setting.game, setting.policies, n_trajectories, horizon=2)
        logits = np.random.default_rng(2).normal(size=[2, n_tasks, *setting.logits.shape])
        joint_params = tuple((tf.constant(logits[:, :, agent, :, np.newaxis]),) for agent in range(n_agents))
        tasks = setting.tasks(2, n_tasks)
        sample = estimator.sample(joint_params, tasks, random.root_keys(range(2)))
        self.assertEqual(sample.trajectory.actions[0].shape, [2, n_tasks, n_trajectories, 2])
        values = estimator.values(joint_params, tasks, sample)
        average_rewards = estimator.average_rewards(joint_params, tasks, sample)
        # The mean and the variance over all trajectories, by enumeration.
        probs = setting.oracle.probs(logits)
        # 2 · 6 · n_agents ≤ 36 means, all within z standard errors with confidence 99.9 %:
        # z = Φ⁻¹(1 − 0.001 / 72) = 4.19.
        for weights, estimates in ((setting.oracle.discounts, values), (np.full(2, 0.5), average_rewards)):
            of_trajectory = np.einsum("mti,t->mi", setting.oracle.rewards, weights)
            mean = probs @ of_trajectory
            standard_error = np.sqrt((probs @ of_trajectory**2 - mean**2) / n_trajectories)
            for agent in range(n_agents):
                distance = np.abs(estimates[agent] - mean[..., agent]) / standard_error[..., agent]
                self.assertAllInRange(distance, 0.0, 4.19)

    @parameterized.parameters(*SAMPLED_ESTIMATORS)
    def test_sampled_policy_gradients_have_the_exact_mean(self, estimator_class):
        # The whole path, noise, rollout, leave-one-out baseline, surrogate: gradients of 1000 independent
        # tasks of 4 trajectories.
        setting = Enumeration()
        n_tasks = 1000
        estimator = estimator_class(setting.game, setting.policies, n_trajectories=4, horizon=3)
        joint_params = setting.joint_params(setting.leaves(), [1, n_tasks])
        tasks = setting.tasks(1, n_tasks)
        sample = estimator.sample(joint_params, tasks, random.root_keys([0]))
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(joint_params)
            objectives = estimator.objectives(joint_params, tasks, sample)
        expected = oracle.complex_step(setting.oracle.values, setting.logits)
        # 5 means, all within z standard errors with confidence 99.9 %: z = Φ⁻¹(1 − 0.001 / 10) = 3.72. The
        # second agent never makes the third observation.
        for agent in range(2):
            gradients = tape.gradient(objectives[agent], joint_params[agent])[0].numpy()[0, :, :, 0]
            made = np.unique(setting.oracle.observations[..., agent])
            distance = np.abs(gradients.mean(axis=0) - expected[agent, agent])
            standard_error = gradients.std(axis=0, ddof=1) / np.sqrt(n_tasks)
            self.assertAllInRange(distance[made] / standard_error[made], 0.0, 3.72)
            self.assertAllEqual(np.delete(gradients, made, axis=1), np.zeros([n_tasks, 3 - len(made)]))

    @parameterized.parameters(*SAMPLED_ESTIMATORS)
    def test_leave_one_out_baseline_is_the_default(self, estimator_class):
        setting = Enumeration(horizon=2, size=2)
        estimator = setting.estimator(estimator_class, "leave_one_out")
        default = estimator_class(setting.game, setting.policies)
        joint_params = setting.joint_params(setting.leaves(), [1, 1])
        sample = default.sample(joint_params, setting.tasks(1, 1), random.root_keys([0]))
        self.assertEqual(sample.trajectory.rewards[0].shape, [1, 1, 64, 150])
        self.assertEqual(default.n_steps, 64 * 150)
        gradients = []
        for either in (estimator, default):
            leaves = setting.leaves()
            with tf.GradientTape() as tape:
                tape.watch(leaves)
                objective = setting.expected_objectives(either, leaves)[0]
            gradients.append(tape.gradient(objective, leaves)[0])
        self.assertAllEqual(*gradients)

    @parameterized.product(estimator_class=SAMPLED_ESTIMATORS, jit_compile=(False, True))
    def test_compiled_gradients_are_the_same(self, estimator_class, jit_compile):
        setting = Enumeration()
        estimator = estimator_class(setting.game, setting.policies, n_trajectories=5, horizon=4)
        logits = np.random.default_rng(3).normal(size=[2, 3, *setting.logits.shape])
        joint_params = tuple((tf.constant(logits[:, :, agent, :, np.newaxis]),) for agent in range(2))
        tasks = setting.tasks(2, 3)
        keys = random.root_keys(range(2))

        def own_gradients(joint_params, tasks, keys):
            sample = estimator.sample(joint_params, tasks, keys)
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(joint_params)
                objectives = estimator.objectives(joint_params, tasks, sample)
            return [tape.gradient(objectives[agent], joint_params[agent])[0] for agent in range(2)]

        compiled = tf.function(own_gradients, autograph=False, jit_compile=jit_compile)(joint_params, tasks, keys)
        for gradient, expected in zip(compiled, own_gradients(joint_params, tasks, keys)):
            self.assertGreater(np.abs(expected).max(), 0.1)
            self.assertAllClose(gradient, expected, rtol=1e-12, atol=1e-12)

    @parameterized.parameters(
        ("n_trajectories", 0, "an integer ≥ 1"), ("n_trajectories", 2.0, "an integer ≥ 1"),
        ("n_trajectories", True, "an integer ≥ 1"), ("n_trajectories", None, "an integer ≥ 1"),
        ("horizon", 0, "an integer ≥ 1"), ("horizon", -5, "an integer ≥ 1"), ("horizon", "150", "an integer ≥ 1"),
        ("horizon", math.inf, "an integer ≥ 1"), ("baseline", None, CRITIC), ("baseline", 0.0, CRITIC),
        ("baseline", "leave_one_out", CRITIC), ("baseline", critics.ValueNetwork, CRITIC),
    )
    def test_bad_input_is_rejected(self, parameter, value, allowed):
        setting = Enumeration(horizon=1)
        for estimator_class in SAMPLED_ESTIMATORS:
            with self.assertRaises(checks.InvalidInputError) as caught:
                estimator_class(setting.game, setting.policies, **{parameter: value})
            self.assertEqual(
                str(caught.exception), f"{estimator_class.__name__}.{parameter} = {value!r}: must be {allowed}"
            )

    @parameterized.product(
        estimator_class=[loaded_dice.LoadedDiceEstimator, score_function.ScoreFunctionEstimator],
        gae_lambda=[-0.1, 1.5, "1"],
    )
    def test_bad_lambda_is_rejected(self, estimator_class, gae_lambda):
        setting = Enumeration(horizon=1)
        name = estimator_class.__name__
        with self.assertRaisesRegex(checks.InvalidInputError, rf"^{name}\.gae_lambda = .*: must be"):
            estimator_class(setting.game, setting.policies, gae_lambda=gae_lambda)


if __name__ == "__main__":
    tf.test.main()
