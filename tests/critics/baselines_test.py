"""Critics say what plain loops say, know nothing of the trajectory they are asked about, and lower the variance."""

import itertools
import math

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import theorem
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.contracts import Trajectory
from tf_metamapg.critics import baselines
from tf_metamapg.estimators.dice import DiceEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.matrix import MatrixGame
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.numerics import random
from tf_metamapg.policies.lstm import lstm_policy
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.training.trainer import MetaTrainer

SHAPE = (2, 3, 4, 5)  # S, N, K, T
N_FEATURES = 2


def _values(shape=SHAPE):
    return np.random.default_rng(0).normal(size=shape)


def _features(shape=SHAPE):
    return np.random.default_rng(1).normal(size=[*shape, N_FEATURES])


class BaselinesTest(tf.test.TestCase, parameterized.TestCase):

    def test_no_baseline(self):
        baseline = baselines.no_baseline(None, tf.constant(_values(), tf.float32), 0)
        self.assertEqual(baseline.dtype, tf.float32)
        self.assertAllEqual(baseline, np.zeros(SHAPE))

    def test_leave_one_out_baseline_is_the_mean_of_the_other_trajectories(self):
        values = _values()
        baseline = baselines.leave_one_out_baseline(None, tf.constant(values), 0)
        self.assertEqual(baseline.shape, SHAPE)
        for k in range(SHAPE[2]):
            others = [values[:, :, other] for other in range(SHAPE[2]) if other != k]
            self.assertAllClose(baseline[:, :, k], sum(others) / 3, 1e-13, 1e-13)

    @parameterized.product(ridge=[1e-3, 0.2], n_trajectories=[4, 5, 2])
    def test_linear_feature_baseline_is_least_squares_over_the_other_half(self, ridge, n_trajectories):
        shape = (*SHAPE[:2], n_trajectories, SHAPE[3])
        values, features = _values(shape), _features(shape)
        baseline = baselines.linear_feature_baseline(tf.constant(features), tf.constant(values), 0, ridge)
        self.assertEqual(baseline.shape, shape)
        for s, n, k in np.ndindex(shape[:3]):
            inputs = [
                np.stack(
                    [np.concatenate([of_step, of_step**2, (t / 5) ** np.arange(4)]) for t, of_step in enumerate(one)]
                )
                for one in features[s, n]
            ]
            others = [other for other in range(n_trajectories) if other % 2 != k % 2]
            stacked = np.concatenate([inputs[other] for other in others])
            targets = np.concatenate([values[s, n, other] for other in others])
            # Ridge regression as ordinary least squares with one more row for each weight.
            size = stacked.shape[1]
            strength = ridge * np.mean(stacked**2) * len(targets)
            extended = np.concatenate([stacked, np.sqrt(strength) * np.eye(size)])
            weights, *_ = np.linalg.lstsq(extended, np.concatenate([targets, np.zeros(size)]), rcond=None)
            self.assertAllClose(baseline[s, n, k], inputs[k] @ weights, rtol=1e-8, atol=1e-8)

    def test_what_is_not_finite_is_nan_for_its_seed_and_task_alone(self):
        values, features = tf.constant(_values()), _features()
        expected = baselines.linear_feature_baseline(tf.constant(features), values, 0).numpy()
        features[1, 0, :, 2] = 1e200
        baseline = baselines.linear_feature_baseline(tf.constant(features), values, 0).numpy()
        self.assertTrue(np.all(np.isnan(baseline[1, 0])))
        baseline[1, 0] = expected[1, 0]
        self.assertAllEqual(baseline, expected)

    @parameterized.parameters(baselines.leave_one_out_baseline, baselines.linear_feature_baseline)
    def test_a_baseline_is_independent_of_its_own_trajectory(self, baseline):
        shape = (1, 1, 3, 2)
        values = tf.constant(_values(shape))
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(values)
            result = baseline(tf.constant(_features(shape)), values, 0)
        jacobian = tape.jacobian(result, values, experimental_use_pfor=False).numpy()[0, 0, :, :, 0, 0]
        for k, other in np.ndindex(3, 3):
            if k == other:
                self.assertAllEqual(jacobian[k, :, other], np.zeros([2, 2]))
            elif k % 2 != other % 2:
                self.assertGreater(np.max(np.abs(jacobian[k, :, other])), 0.01)

    @parameterized.parameters(baselines.leave_one_out_baseline, baselines.linear_feature_baseline)
    def test_a_baseline_of_one_trajectory_is_zero(self, baseline):
        shape = (2, 3, 1, 5)
        result = baseline(tf.constant(_features(shape)), tf.constant(_values(shape)), 0)
        self.assertAllEqual(result, np.zeros(shape))

    @parameterized.parameters(0.0, 1e-12, -1.0, "1")
    def test_bad_ridge_is_rejected(self, ridge):
        with self.assertRaisesRegex(checks.InvalidInputError, "^linear_feature_baseline.ridge = .*: must be"):
            baselines.linear_feature_baseline(tf.constant(_features()), tf.constant(_values()), 0, ridge)


class ValueNetworkTest(tf.test.TestCase, parameterized.TestCase):

    def game(self):
        return IteratedMatrixGame(payoffs.prisoners_dilemma(), discount=0.8, dtype="float64")

    @parameterized.parameters(("units", 0), ("units", 1.5), ("learning_rate", 0.0), ("learning_rate", "1"))
    def test_bad_input_is_rejected(self, parameter, value):
        with self.assertRaisesRegex(checks.InvalidInputError, rf"^ValueNetwork\.{parameter} = .*: must be"):
            baselines.ValueNetwork(**{parameter: value})

    def test_it_must_be_built(self):
        with self.assertRaisesRegex(checks.InvalidInputError, "^baseline = 'ValueNetwork': must be built"):
            baselines.ValueNetwork()(tf.constant(_features()), tf.constant(_values()), 0)

    def test_it_learns_what_to_expect(self):
        """Recurrent where the policy is, it learns the first observation of a trajectory; else it cannot."""
        game = self.game()
        policies = [lstm_policy(game, 0, units=2), tabular_policy(game, 1)]
        critic = baselines.ValueNetwork(units=8, learning_rate=0.02)
        critic.build(game, policies, [0, 1])
        first = np.random.default_rng(0).integers(2, size=[2, 3, 20])
        observations = np.full([2, 3, 20, 4], 4)
        observations[..., 0] = first
        features = tf.one_hot(observations, game.n_observations, dtype=tf.float64)
        returns = tf.constant(np.repeat(first[..., np.newaxis] * 5.0, 4, axis=-1))

        def errors():
            return [np.mean((critic(features, returns, agent) - returns) ** 2) for agent in range(2)]

        before = errors()
        fit = tf.function(
            lambda: critic.apply([critic.gradients(agent, features, returns) for agent in range(2)]), autograph=False
        )
        for _ in range(300):
            fit()
        with_memory, without = errors()
        self.assertGreater(min(before), 5.0)
        self.assertLess(with_memory, 0.1)
        # Three of four steps look the same to it: of their variance, 25/4, three quarters remain.
        self.assertBetween(without, 4.0, 5.0)

    def test_it_starts_from_what_there_is_to_get_within_the_horizon(self):
        """Networks say what is expected per step, of Σ_t γ^t steps, and not of 1 / (1 − γ) that nobody plays."""
        features = tf.one_hot(np.zeros([1, 1, 1, 4], np.int32), 5, dtype=tf.float64)
        values = []
        for discount in (0.5, 1 - 1e-12):
            game = IteratedMatrixGame(payoffs.prisoners_dilemma(), discount, dtype="float64")
            critic = baselines.ValueNetwork()
            critic.build(game, [tabular_policy(game, agent) for agent in range(2)], [0])
            values.append(critic(features, tf.zeros([1, 1, 1, 4], tf.float64), 0))
        self.assertAllClose(values[1], values[0] * 4.0 / 1.875, rtol=1e-9, atol=0.0)
        for value in (-1, 2, None):
            with self.assertRaisesRegex(checks.InvalidInputError, "^agent_index = "):
                critic(features, tf.zeros([1, 1, 1, 4], tf.float64), value)

    def test_seeds_and_agents_have_networks_of_their_own(self):
        game = self.game()
        policies = [tabular_policy(game, agent) for agent in range(2)]
        together, alone = baselines.ValueNetwork(units=3), baselines.ValueNetwork(units=3)
        together.build(game, policies, [0, 1])
        alone.build(game, policies, [1])
        features = tf.one_hot(np.zeros([2, 1, 1, 1], np.int32), game.n_observations, dtype=tf.float64)
        returns = tf.zeros([2, 1, 1, 1], tf.float64)
        values = [together(features, returns, agent).numpy() for agent in range(2)]
        self.assertLen(np.unique(values), 4)
        self.assertAllClose(alone(features[1:], returns[1:], 0), values[0][1:], rtol=1e-14, atol=0.0)

    def test_what_it_says_is_constant(self):
        game = self.game()
        critic = baselines.ValueNetwork()
        critic.build(game, [tabular_policy(game, agent) for agent in range(2)], [0])
        features = tf.one_hot(np.zeros([1, 1, 1, 3], np.int32), game.n_observations, dtype=tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(features)
            values = critic(features, tf.zeros([1, 1, 1, 3], tf.float64), 0)
        self.assertEqual(values.shape, [1, 1, 1, 3])
        learned = [variable.value for variable in critic.state["params"][0]]
        self.assertEqual(tape.gradient(values, [features, *learned]), [None] * 5)

    def test_the_trainer_lets_it_learn(self):
        game = self.game()
        policies = [tabular_policy(game, agent) for agent in range(2)]
        critic = baselines.ValueNetwork(units=4, learning_rate=0.05)
        estimator = LoadedDiceEstimator(game, policies, n_trajectories=8, horizon=4, baseline=critic)
        trainer = MetaTrainer(
            game, policies, [MetaMAPG(0.1), PolicyGradient(0.1)], estimator, PayoffNoise(game), range(2),
            chain_length=1, n_tasks=4, meta_learning_rate=0.0, jit_compile=False,
        )
        keys = random.root_keys([7, 8])
        joint_params = adaptation.for_each_task(trainer.param_values(), 4)
        tasks = PayoffNoise(game).sample(keys, 4)
        sample = estimator.sample(joint_params, tasks, keys)

        def error():
            features, returns = estimator.features_and_returns(sample.trajectory, 1)
            return np.mean((critic(features, returns, 1) - returns) ** 2)

        before = error()
        for _ in range(15):
            trainer.step()
        trainer.best.keep(np.zeros(2))
        at_best = error()
        for _ in range(15):
            trainer.step()
        self.assertLess(error(), 0.5 * before)
        self.assertNotAllClose(error(), at_best)
        # The critic goes back with the policies that it knows.
        trainer.best.restore()
        self.assertAllClose(error(), at_best, rtol=1e-14, atol=0.0)
        self.assertIs(trainer.state["critic"], critic.state)


class VarianceTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(estimator_class=[DiceEstimator, LoadedDiceEstimator])
    def test_every_critic_lowers_the_variance(self, estimator_class):
        """Of the policy gradient, from 200 batches of K = 16; no difference of means exceeds 99.9% of chance."""
        game = IteratedMatrixGame(payoffs.prisoners_dilemma(), discount=0.9, dtype="float64")
        policies = [tabular_policy(game, agent) for agent in range(2)]
        n_tasks, keys = 200, random.root_keys([0])
        joint_params = adaptation.for_each_task(tuple(policy.initial_params([0]) for policy in policies), n_tasks)
        tasks = PayoffNoise(game, width=0.0).sample(keys, n_tasks)
        network = baselines.ValueNetwork(units=16, learning_rate=0.02)
        network.build(game, policies, [0])

        def estimator(baseline):
            return estimator_class(game, policies, n_trajectories=16, horizon=20, baseline=baseline)

        # It learns from other trajectories than those that it is tried with.
        plain = estimator(baselines.no_baseline)
        earlier = plain.sample(joint_params, tasks, random.fold_in(keys, 1)).trajectory
        questions = [plain.features_and_returns(earlier, agent) for agent in range(2)]
        fit = tf.function(
            lambda: network.apply([network.gradients(agent, *question) for agent, question in enumerate(questions)]),
            autograph=False,
        )
        for _ in range(150):
            fit()

        gradients = []
        plain = (baselines.no_baseline, baselines.leave_one_out_baseline, baselines.linear_feature_baseline)
        for baseline in (*plain, network):
            one = estimator(baseline)
            link = adaptation.sample_link(one, joint_params, tasks, keys)
            objectives = adaptation.Objectives(one, tasks, link)
            gradients.append(objectives.gradients(0, with_respect_to=0)[0].numpy()[0, :, :, 0])
        variances = [gradient.var(axis=0).sum() for gradient in gradients]
        for variance in variances[1:]:
            self.assertLess(variance, 0.1 * variances[0])
        # Fifteen means of 200 differences, all within z standard errors: z = Φ⁻¹(1 − 0.001 / 30) = 3.99.
        for gradient in gradients[1:]:
            difference = gradient - gradients[0]
            error = difference.std(axis=0, ddof=1) / np.sqrt(n_tasks)
            self.assertAllInRange(np.abs(difference.mean(axis=0)) / error, 0.0, 3.99)


class OneShotDilemmaTest(tf.test.TestCase, parameterized.TestCase):
    """What a critic changes of a meta-gradient: the prisoner's dilemma played once, θ = 0, inner steps of 1."""

    payoffs = payoffs.prisoners_dilemma()
    joint_actions = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])

    def trajectory(self, sets):
        """Sets of joint actions by their numbers, [S, K], as a Trajectory with fields [S, 1, K, 1]."""
        actions = self.joint_actions[sets][:, np.newaxis, :, np.newaxis]
        own_actions = [tf.constant(actions[..., agent], tf.int32) for agent in range(2)]
        rewards = [tf.constant(table[actions[..., 0], actions[..., 1]]) for table in self.payoffs]
        return Trajectory(tuple(map(tf.zeros_like, own_actions)), tuple(own_actions), tuple(rewards))

    def expected_meta_gradient(self, estimator_class, critic, size):
        """Agent 0's, by the estimator's own code on every set of K joint actions and every one after the update."""
        game = MatrixGame(self.payoffs, dtype="float64")
        policies = [tabular_policy(game, agent) for agent in range(2)]
        estimator = estimator_class(game, policies, n_trajectories=size, horizon=1, baseline=critic)
        sets = np.array(list(itertools.combinations_with_replacement(range(4), size)))
        n_orders = np.array([
            math.factorial(size) / np.prod([math.factorial(list(one).count(action)) for action in range(4)])
            for one in sets
        ])
        n_chains, last = 4 * len(sets), np.tile(np.arange(4), len(sets))
        sets, n_orders = np.repeat(sets, 4, axis=0), np.repeat(n_orders, 4)
        keys = tf.zeros([n_chains, 2], tf.int64)  # nothing more is drawn
        tasks = tf.broadcast_to(tf.constant(self.payoffs), [n_chains, 1, 2, 2, 2])
        initial_params = tuple((tf.zeros([n_chains, 1, 1, 1], tf.float64),) for _ in range(2))
        first = adaptation.Link(initial_params, estimator.make_sample(self.trajectory(sets)), keys)
        agents = (PolicyGradient(1.0), PolicyGradient(1.0))
        rates = adaptation.constant_rates(agents, n_chains, 1, tf.float64)
        updated = adaptation.inner_update(
            adaptation.Objectives(estimator, tasks, first), agents, [of_agent[:, 0] for of_agent in rates]
        )
        second = adaptation.Link(updated, estimator.make_sample(self.trajectory(last[:, np.newaxis])), keys)
        cooperation = [_sigmoid(leaf.numpy()[:, 0, 0, 0]) for leaf, in updated]
        probs = n_orders / 4**size
        for agent, prob in enumerate(cooperation):
            probs = probs * np.where(self.joint_actions[last, agent] == 0, prob, 1.0 - prob)
        self.assertAllClose(np.sum(probs), 1.0, rtol=1e-12, atol=0.0)
        chain = adaptation.Chain(agents, rates, tasks, (first, second), adaptation.identity)
        terms = theorem.meta_gradients(estimator, chain, 0, (0.0, 1.0))
        return probs @ terms.total.initial_params[0].numpy()[:, 0, 0]

    def sampled_meta_gradient(self, leave_one_out, size=4):
        """d/dθ⁰ of E[V⁰(φ)] by complex steps, where φ is a function of K sampled joint actions."""
        step = 1e-30
        theta, total = np.array([1j * step, 0.0]), 0.0
        prob = _sigmoid(theta)
        for one in itertools.product(self.joint_actions, repeat=size):
            actions, rewards = np.array(one), self.payoffs[:, np.array(one)[:, 0], np.array(one)[:, 1]].T
            baselines = (rewards.sum(axis=0) - rewards) / (size - 1) if leave_one_out else 0.0
            phi = theta + np.mean(((actions == 0) - prob) * (rewards - baselines), axis=0)
            (own, other), (payoff, _) = ([(p, 1.0 - p) for p in _sigmoid(phi)], self.payoffs)
            total += np.prod(np.where(actions == 0, prob, 1.0 - prob)) * (np.array(own) @ payoff @ np.array(other))
        return total.imag / step

    def test_of_sampled_inner_updates_it_is_part(self):
        """φ is computed with the critic, so that the meta-value of every critic is another function."""
        for leave_one_out, critic, expected in (
            (False, baselines.no_baseline, -0.23595), (True, baselines.leave_one_out_baseline, -0.24089)
        ):
            gradient = self.expected_meta_gradient(ScoreFunctionEstimator, critic, 4)
            self.assertAllClose(gradient, self.sampled_meta_gradient(leave_one_out), rtol=1e-12, atol=0.0)
            self.assertAllClose(gradient, expected, rtol=0.0, atol=5e-6)
        gradient = self.expected_meta_gradient(ScoreFunctionEstimator, baselines.linear_feature_baseline, 4)
        self.assertAllClose(gradient, -0.24303, rtol=0.0, atol=5e-6)

    @parameterized.parameters(DiceEstimator, LoadedDiceEstimator)
    def test_of_expected_inner_updates_it_changes_the_bias(self, estimator_class):
        """It falls as 1/K with every critic, to the same meta-gradient."""
        step = 1e-30
        theta = np.array([1j * step, 0.0])
        # To cooperate costs −1, whatever the other does.
        phi = theta - _sigmoid(theta) * (1.0 - _sigmoid(theta))
        (own, other), payoff = ([np.array([p, 1.0 - p]) for p in _sigmoid(phi)], self.payoffs[0])
        limit = (own @ payoff @ other).imag / step
        self.assertAllClose(limit, -0.24613, rtol=0.0, atol=5e-6)
        for critic, of_four in (
            (baselines.no_baseline, -0.24058), (baselines.leave_one_out_baseline, -0.24089),
            (baselines.linear_feature_baseline, -0.24303),
        ):
            gradients = [self.expected_meta_gradient(estimator_class, critic, size) for size in (4, 8, 16)]
            self.assertAllClose(gradients[0], of_four, rtol=0.0, atol=5e-6)
            biases = np.array(gradients) - limit
            self.assertAllInRange(biases[:-1] / biases[1:], 1.7, 3.1)


def _sigmoid(logits):
    return 1.0 / (1.0 + np.exp(-logits))


if __name__ == "__main__":
    tf.test.main()
