"""What all estimators that sample have in common: means, weights, compiled gradients and refusals."""


from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import oracle
from tests.trajectory_sets import DISCOUNT
from tests.trajectory_sets import discounted
from tests.trajectory_sets import loaded_dice_weights
from tests.trajectory_sets import SAMPLED_ESTIMATORS
from tests.trajectory_sets import TIME_BASELINE
from tests.trajectory_sets import TrajectorySets
import tf_metamapg as mapg
from tf_metamapg import checks
from tf_metamapg.contracts import Trajectory
from tf_metamapg.critics.baselines import LeaveOneOutBaseline
from tf_metamapg.estimators.dice import DiceEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.numerics import random


class SampledTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(*SAMPLED_ESTIMATORS)
    def test_values_and_mean_rewards_of_given_trajectories(self, estimator_class):
        setting = TrajectorySets()
        rewards = np.random.default_rng(0).normal(size=[2, 2, 3, 4, 3])  # agent, S, N, K, T
        estimator = setting.estimator(estimator_class)
        seen = (tf.zeros([2, 3, 4, 3], tf.int32),) * 2
        joint_params = ((tf.zeros([2, 3, 5, 1]),), (tf.zeros([2, 3, 4]), tf.zeros([2, 3, 1])))
        sample = estimator.make_sample(Trajectory(seen, (), tuple(map(tf.constant, rewards))), joint_params)
        values = estimator.values(joint_params, None, sample)
        mean_rewards = estimator.mean_rewards(joint_params, None, sample)
        for agent, s, n in np.ndindex(2, 2, 3):
            own = rewards[agent, s, n]
            expected = sum(DISCOUNT**t * own[k, t] for k in range(4) for t in range(3)) / 4
            self.assertAllClose(values[agent][s, n], expected, rtol=1e-12, atol=0.0)
            self.assertAllClose(mean_rewards[agent][s, n], own.sum() / 12, rtol=1e-12, atol=0.0)
        for value in (np.nan, np.inf):
            with self.subTest("a policy that is no longer finite", value=value):
                bad = np.zeros([2, 3, 4], np.float32)
                bad[1, 2, 3] = value
                joint_params = (joint_params[0], (tf.constant(bad), joint_params[1][1]))
                for function, by_agent in ((estimator.mean_rewards, mean_rewards), (estimator.values, values)):
                    for mean, finite in zip(function(joint_params, None, sample), by_agent):
                        self.assertTrue(np.isnan(mean[1, 2]))
                        self.assertAllEqual(np.isnan(mean).sum(), 1)
                        self.assertAllEqual(mean[0], finite[0])

    def test_step_weights(self):
        rewards = np.random.default_rng(0).normal(size=[2, 1, 2, 4, 3])  # agent, S, N, K, T
        to_go = np.stack(
            [sum(DISCOUNT ** (s - t) * rewards[..., s] for s in range(t, 3)) for t in range(3)], axis=-1
        )
        advantages, baselines = to_go - TIME_BASELINE, np.broadcast_to(TIME_BASELINE, rewards.shape)
        setting = TrajectorySets()
        trajectory = Trajectory((tf.zeros([1, 2, 4, 3], tf.int32),) * 2, (), tuple(map(tf.constant, rewards)))
        for estimator_class, expected in (
            (DiceEstimator, np.stack([discounted(rewards), discounted(baselines)], axis=1)),
            (LoadedDiceEstimator, loaded_dice_weights(advantages)),
            (ScoreFunctionEstimator, discounted(advantages)),
        ):
            joint_params = setting.joint_params(setting.leaves(), [1, 2])
            sample = setting.estimator(estimator_class, "time").make_sample(trajectory, joint_params)
            self.assertIs(sample.trajectory, trajectory)
            self.assertLen(sample.step_weights, 2)
            for step_weight, expected_weight in zip(sample.step_weights, expected):
                self.assertAllClose(step_weight, expected_weight, rtol=0.0, atol=1e-13)

    @parameterized.parameters(*SAMPLED_ESTIMATORS)
    def test_a_sample_has_the_step_weights_of_its_trajectory(self, estimator_class):
        setting = TrajectorySets()
        estimator = setting.estimator(estimator_class)
        joint_params = setting.joint_params(setting.leaves(), [2, 4])
        sample = estimator.sample(joint_params, setting.tasks(2, 4), random.root_keys(range(2)))
        tf.nest.map_structure(self.assertAllEqual, sample, estimator.make_sample(sample.trajectory, joint_params))

    @parameterized.product(estimator_class=SAMPLED_ESTIMATORS, n_agents=(2, 3))
    def test_values_and_mean_rewards_have_the_exact_mean(self, estimator_class, n_agents):
        setting = TrajectorySets(n_agents, horizon=2)
        n_trajectories, n_tasks = 4000, 3
        estimator = estimator_class(setting.game, setting.policies, n_trajectories, horizon=2)
        logits = np.random.default_rng(2).normal(size=[2, n_tasks, *setting.logits.shape])
        joint_params = tuple((tf.constant(logits[:, :, agent, :, np.newaxis]),) for agent in range(n_agents))
        tasks = setting.tasks(2, n_tasks)
        sample = estimator.sample(joint_params, tasks, random.root_keys(range(2)))
        self.assertEqual(sample.trajectory.actions[0].shape, [2, n_tasks, n_trajectories, 2])
        values = estimator.values(joint_params, tasks, sample)
        mean_rewards = estimator.mean_rewards(joint_params, tasks, sample)
        # The mean and the variance over all trajectories, by enumeration.
        probs = setting.oracle.probs(logits)
        # 2 · 6 · n_agents ≤ 36 means, all within z standard errors with confidence 99.9 %:
        # z = Φ⁻¹(1 − 0.001 / 72) = 4.19.
        for weights, estimates in ((setting.oracle.discounts, values), (np.full(2, 0.5), mean_rewards)):
            trajectory_rewards = np.einsum("mti,t->mi", setting.oracle.rewards, weights)
            mean = probs @ trajectory_rewards
            standard_error = np.sqrt((probs @ trajectory_rewards**2 - mean**2) / n_trajectories)
            for agent in range(n_agents):
                distance = np.abs(estimates[agent] - mean[..., agent]) / standard_error[..., agent]
                self.assertAllInRange(distance, 0.0, 4.19)

    @parameterized.parameters(*SAMPLED_ESTIMATORS)
    def test_sampled_policy_gradients_have_the_exact_mean(self, estimator_class):
        # The whole path, uniforms, rollout, leave-one-out baseline, surrogate: gradients of 1000 independent
        # tasks of 4 trajectories.
        setting = TrajectorySets()
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
        setting = TrajectorySets(horizon=2, size=2)
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
        setting = TrajectorySets()
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

    @parameterized.parameters(*SAMPLED_ESTIMATORS)
    def test_a_critic_is_made_by_a_function(self, estimator_class):
        setting = TrajectorySets(horizon=1)
        parameter = f"{estimator_class.__name__}.critic"
        function = "a function that makes a critic, such as LeaveOneOutBaseline; without parentheses"
        for critic, message in (
            (None, f"{parameter} = None: must be {function}"),
            ("leave_one_out", f"{parameter} = 'leave_one_out': must be {function}"),
            (
                lambda spec, policies: None,
                f"{parameter}(...) = None: must be a critic, such as LeaveOneOutBaseline; see contracts.Critic",
            ),
            (
                lambda spec, policies: LeaveOneOutBaseline,
                f"{parameter}(...) = <class 'tf_metamapg.critics.baselines.LeaveOneOutBaseline'>: must be a critic, "
                "such as LeaveOneOutBaseline; this is a class",
            ),
        ):
            with self.assertRaises(checks.InvalidInputError) as caught:
                estimator_class(setting.game, setting.policies, critic=critic)
            self.assertEqual(str(caught.exception), message)
        with self.assertRaisesRegex(checks.InvalidInputError, f"^{parameter} = LeaveOneOut.*: must be {function}$"):
            estimator_class(
                setting.game, setting.policies, critic=LeaveOneOutBaseline(setting.game.spec, setting.policies)
            )

    @parameterized.parameters(*SAMPLED_ESTIMATORS)
    def test_values_of_a_critic_have_the_shape_of_rewards(self, estimator_class):
        class Flat(LeaveOneOutBaseline):
            def values(self, params, joint_params, trajectory, agent_index):
                return trajectory.rewards[agent_index][..., 0]

        game = mapg.IteratedMatrixGame(mapg.payoffs.prisoners_dilemma())
        policies = [mapg.tabular_policy(game, agent) for agent in range(2)]
        estimator = estimator_class(game, policies, n_trajectories=3, horizon=4, critic=Flat)
        joint_params = mapg.for_each_task(tuple(policy.initial_params([0]) for policy in policies), n_tasks=2)
        keys = mapg.random.root_keys([0])
        message = (
            rf"^{estimator_class.__name__}\.critic = Flat.*: must be one whose values have the shape of the rewards, "
            r"\[1, 2, 3, 4\], not float32 \[1, 2, 3\]$"
        )
        with self.assertRaisesRegex(checks.InvalidInputError, message):
            estimator.sample(joint_params, mapg.DefaultTasks(game).sample(keys, 2), keys)

    @parameterized.parameters(*SAMPLED_ESTIMATORS)
    def test_a_simulator_is_made_by_a_function(self, estimator_class):
        setting = TrajectorySets(horizon=1)
        with self.assertRaises(checks.InvalidInputError) as caught:
            estimator_class(setting.game, setting.policies, simulator="gym")
        self.assertEqual(
            str(caught.exception),
            f"{estimator_class.__name__}.simulator = 'gym': must be a function that makes a simulator, such as "
            "InGraphSimulator; without parentheses",
        )


if __name__ == "__main__":
    tf.test.main()
