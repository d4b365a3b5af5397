"""Stochastic games whose episodes start and end at random: their steps, and their exact values by power series."""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import oracle
from tests.trajectory_sets import tape_derivatives
from tf_metamapg import checks
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.stochastic import StochasticGame
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import tabular_policy

N_STATES = 3
VIEWS = np.array([[0, 1, 2], [0, 1, 1], [1, 0, 1]])


class Setting:
    """A random game of two actions and three states."""

    def __init__(self, n_agents, discount, starts=True, ends=True, payoffs_by_state=True):
        generator = np.random.default_rng(n_agents)
        actions = [2] * n_agents
        self.payoffs = generator.normal(size=[n_agents, *[N_STATES] * payoffs_by_state, *actions])
        self.transitions = generator.dirichlet([1.0] * N_STATES, size=[N_STATES, *actions])
        self.start = generator.dirichlet([1.0] * N_STATES) if starts else np.eye(N_STATES)[0]
        self.ends = generator.uniform(0.1, 0.6, size=[N_STATES, *actions]) if ends else np.zeros([N_STATES, *actions])
        self.views, self.discount = VIEWS[:n_agents], discount
        self.logits = generator.normal(size=[n_agents, N_STATES])
        self.game = StochasticGame(
            self.payoffs, self.transitions, self.views, discount, dtype="float64", start=self.start if starts else None,
            ends=self.ends if ends else None,
        )
        self.policies = [tabular_policy(self.game, agent) for agent in range(n_agents)]
        self.estimator = ExactEstimator(self.game, self.policies)

    def joint_params(self, leaves, shape=(1, 1)):
        return tuple((tf.broadcast_to(leaf[:, tf.newaxis], [*shape, N_STATES, 1]),) for leaf in leaves)

    def series(self, logits, payoffs=None):
        """(values [n], E Σ γᵗ) of logits [n, 3], complex ones, too: the sums over time until nothing is left."""
        n_agents = len(logits)
        payoffs = self.payoffs if payoffs is None else payoffs
        if payoffs.ndim == 1 + n_agents:
            payoffs = np.broadcast_to(payoffs[:, None], [n_agents, N_STATES, *[2] * n_agents])
        cooperate = 1 / (1 + np.exp(-logits))
        distribution, weight = self.start.astype(logits.dtype), 1.0
        values, length = np.zeros(n_agents, logits.dtype), 0.0
        while weight * np.abs(distribution).sum() > 1e-18:
            following = np.zeros_like(distribution)
            for state, joint_action in itertools.product(range(N_STATES), itertools.product(range(2), repeat=n_agents)):
                prob = distribution[state]
                for agent, action in enumerate(joint_action):
                    p = cooperate[agent, self.views[agent, state]]
                    prob = prob * (p if action == 0 else 1 - p)
                values = values + weight * prob * payoffs[(slice(None), state, *joint_action)]
                length = length + weight * prob
                at = (state, *joint_action)
                following = following + prob * (1 - self.ends[at]) * self.transitions[at]
            distribution, weight = following, weight * self.discount
        return values, length


class ExactValuesTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(
        n_agents=[1, 2, 3], case=[(0.9, True, True), (1.0, True, True), (1.0, False, True), (0.8, True, False)],
        payoffs_by_state=[True, False],
    )
    def test_values_lengths_and_mean_rewards(self, n_agents, case, payoffs_by_state):
        discount, starts, ends = case
        setting = Setting(n_agents, discount, starts, ends, payoffs_by_state)
        leaves = list(map(tf.constant, setting.logits))
        joint_params = setting.joint_params(leaves, (2, 3))
        tasks = PayoffNoise(setting.game, width=0.5).sample(random.root_keys([0, 1]), 3)
        values = setting.estimator.values(joint_params, tasks, ())
        mean_rewards = setting.estimator.mean_rewards(joint_params, tasks, ())
        strategies = tuple(policy.strategy(params) for policy, params in zip(setting.policies, joint_params))
        lengths = setting.game.exact_lengths(tasks, strategies)
        for s, n in np.ndindex(2, 3):
            expected, length = setting.series(setting.logits, tasks[s, n].numpy())
            for agent in range(n_agents):
                self.assertAllClose(values[agent][s, n], expected[agent], rtol=1e-12, atol=1e-12)
                self.assertAllClose(lengths[agent][s, n], length, rtol=1e-12, atol=0.0)
                self.assertAllClose(mean_rewards[agent][s, n], expected[agent] / length, rtol=1e-12, atol=1e-12)

    @parameterized.product(n_agents=[2, 3], discount=[0.9, 1.0], which=["values", "lengths", "mean_rewards"])
    def test_first_and_second_derivatives(self, n_agents, discount, which):
        setting = Setting(n_agents, discount)

        def function(leaves):
            joint_params = setting.joint_params(leaves)
            tasks = tf.constant(setting.payoffs)[tf.newaxis, tf.newaxis]
            if which == "lengths":
                strategies = tuple(policy.strategy(own) for policy, own in zip(setting.policies, joint_params))
                return [setting.game.exact_lengths(tasks, strategies)[0][0, 0]]
            return [value[0, 0] for value in getattr(setting.estimator, which)(joint_params, tasks, ())]

        def expected(logits):
            values, length = setting.series(logits)
            return {"values": values, "lengths": np.array([length]), "mean_rewards": values / length}[which]

        gradients, hessians = tape_derivatives(function, list(map(tf.constant, setting.logits)))
        expected_gradients, expected_hessians = oracle.derivatives(expected, setting.logits)
        for value, agent in itertools.product(range(len(gradients)), range(n_agents)):
            self.assertAllClose(gradients[value][agent], expected_gradients[value, agent], rtol=0.0, atol=1e-12)
            for other in range(n_agents):
                hessian = expected_hessians[value, agent, :, other]
                self.assertGreater(np.abs(hessian).max(), 1e-4)
                self.assertAllClose(hessians[value][agent][other], hessian, rtol=0.0, atol=1e-8)

    def test_sampled_episodes_have_the_exact_mean(self):
        """With γ = 1, from episodes of which next to none is cut off."""
        setting, n_trajectories = Setting(2, 1.0), 4000
        estimator = ScoreFunctionEstimator(setting.game, setting.policies, n_trajectories, horizon=60)
        joint_params = setting.joint_params(list(map(tf.constant, setting.logits)))
        tasks = tf.constant(setting.payoffs)[tf.newaxis, tf.newaxis]
        sample = estimator.sample(joint_params, tasks, random.root_keys([0]))
        self.assertFalse(np.any(sample.trajectory.mask[0][..., -1]))
        expected, length = setting.series(setting.logits)
        # Three means, all within z standard errors with confidence 99.9 %: z = Φ⁻¹(1 − 0.001 / 6) = 3.59.
        steps = tf.cast(sample.trajectory.mask[0], tf.float64)
        for per_step, mean in zip((*sample.trajectory.rewards, steps), (*expected, length)):
            totals = np.sum(per_step, axis=-1)[0, 0]
            self.assertLess(abs(totals.mean() - mean), 3.59 * totals.std(ddof=1) / np.sqrt(n_trajectories))
        for value, total in zip(estimator.values(joint_params, tasks, sample), sample.trajectory.rewards):
            self.assertAllClose(value, np.sum(total, axis=-1).mean(axis=-1), rtol=1e-12, atol=0.0)

    def test_values_of_a_discount_of_one_are_those_of_one_that_nears_it(self):
        near, at = Setting(2, 1 - 1e-9), Setting(2, 1.0)
        leaves = list(map(tf.constant, at.logits))
        tasks = tf.constant(at.payoffs)[tf.newaxis, tf.newaxis]
        for one, other in zip(*(each.estimator.values(each.joint_params(leaves), tasks, ()) for each in (near, at))):
            self.assertAllClose(one, other, rtol=1e-7, atol=1e-8)


def cycle(ends, discount=1.0, start=None, **transitions):
    """A game of two agents with two actions in three states; from state s it goes on to s + 1 and back to 0.

    Args:
        ends: array that broadcasts to [3, 2, 2].
        discount: γ.
        start: as `StochasticGame` takes it.
        transitions: state_s=array that broadcasts to [2, 2, 3], in place of those from state s.
    """
    table = np.broadcast_to(np.roll(np.eye(3), 1, axis=1)[:, None, None], [3, 2, 2, 3]).copy()
    for state, rows in transitions.items():
        table[int(state[-1])] = rows
    ends = np.broadcast_to(ends, [3, 2, 2])
    return StochasticGame(np.ones([2, 2, 2]), table, discount=discount, dtype="float64", start=start, ends=ends)


BY_STATE = np.array([0.0, 0.0, 0.5])[:, None, None]
ONE_JOINT_ACTION = np.where(np.arange(4).reshape(2, 2) == 3, 0.0, 0.5)


class DiscountOfOneTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.named_parameters(
        ("everywhere", lambda: cycle(0.3)),
        ("at the end of a cycle", lambda: cycle(BY_STATE)),
        ("surely", lambda: cycle(np.array([0.0, 1.0, 0.0])[:, None, None])),
        ("but in a state that is never reached", lambda: cycle(
            BY_STATE, state_0=np.eye(3)[2], state_1=np.eye(3)[1], state_2=np.eye(3)[0])),
        ("but where it is already over", lambda: cycle(
            np.array([1.0, 0.0, 0.0])[:, None, None], state_1=np.eye(3)[1], state_2=np.eye(3)[2])),
        ("but where another start would lead to", lambda: cycle(
            np.array([0.5, 0.5, 0.0])[:, None, None], start=[0.5, 0.5, 0.0], state_1=np.eye(3)[0],
            state_2=np.eye(3)[2])),
    )
    def test_a_game_that_surely_ends(self, make_game):
        game = make_game()
        estimator = ExactEstimator(game, [tabular_policy(game, agent) for agent in range(2)])
        generator = np.random.default_rng(0)
        joint_params = tuple((tf.constant(generator.normal(size=[20, 1, 3, 1])),) for _ in range(2))
        tasks = tf.ones([20, 1, 2, 2, 2], tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(joint_params)
            values = estimator.values(joint_params, tasks, ())
        # Every step pays 1, so that the value is the length, and the mean reward 1.
        self.assertAllInRange(values[0], 1.0, 1e3)
        self.assertTrue(np.all(np.isfinite(tape.gradient(values, joint_params[0])[0])))
        for mean_reward in estimator.mean_rewards(joint_params, tasks, ()):
            self.assertAllClose(mean_reward, np.ones([20, 1]), rtol=1e-12, atol=0.0)

    @parameterized.named_parameters(
        ("never", lambda: cycle(0.0), 0),
        ("not after one joint action", lambda: cycle(ONE_JOINT_ACTION), 0),
        ("not where it can stay", lambda: cycle(
            BY_STATE, state_1=np.where(np.arange(2)[:, None, None] == 0, np.eye(3)[1], np.eye(3)[2])), 1),
        ("not where chance may lead", lambda: cycle(
            np.array([0.5, 0.5, 0.0])[:, None, None], state_1=[0.9, 0.0, 0.1], state_2=np.eye(3)[2]), 2),
        ("not where it may start", lambda: cycle(
            np.array([0.5, 0.5, 0.0])[:, None, None], start=[0.9, 0.0, 0.1], state_1=np.eye(3)[0],
            state_2=np.eye(3)[2]), 2),
    )
    def test_a_game_that_may_go_on_forever_is_refused(self, make_game, state):
        with self.assertRaises(checks.InvalidInputError) as caught:
            make_game()
        self.assertEqual(
            str(caught.exception),
            f"StochasticGame.discount = 1.0: must be < 1, as some joint actions never end the game once it is in state "
            f"{state}",
        )

    def test_a_game_without_end_is_refused(self):
        for make_game in (
            lambda: StochasticGame(np.ones([2, 2, 2]), np.ones([1, 2, 2, 1]), discount=1.0),
            lambda: IteratedMatrixGame(np.ones([2, 2, 2]), discount=1.0),
        ):
            with self.assertRaisesRegex(checks.InvalidInputError, r"Game\.discount = 1\.0: must be in \[0, 1\)$"):
                make_game()


class StepTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(2, 3)
    def test_reset_and_step(self, n_agents):
        """The start from its own uniform number, the next state from the first of a step's, the end from the last."""
        setting = Setting(n_agents, 0.9)
        game = setting.game
        self.assertEqual((game.n_reset_uniforms, game.n_step_uniforms), (1, 2))
        self.assertTrue(game.spec.ends)
        generator = np.random.default_rng(0)
        tasks = PayoffNoise(game, width=0.5).sample(random.root_keys([0, 1]), 3)
        uniforms = generator.uniform(size=[1, 2, 3, 50])
        state = game.reset(tasks, tf.constant(uniforms))
        self.assertAllEqual(state, np.searchsorted(np.cumsum(setting.start), uniforms[0], side="right"))
        self.assertLen(np.unique(state), N_STATES)
        actions = generator.integers(2, size=[n_agents, 2, 3, 50])
        uniforms = generator.uniform(size=[2, 2, 3, 50])
        following, rewards, continues = game.step(
            tasks, state, tuple(tf.constant(own, tf.int32) for own in actions), tf.constant(uniforms)
        )
        self.assertLen(continues, n_agents)
        for at in np.ndindex(2, 3, 50):
            row = (int(state[at]), *actions[(slice(None), *at)])
            self.assertEqual(following[at], np.searchsorted(np.cumsum(setting.transitions[row]), uniforms[(0, *at)]))
            for agent in range(n_agents):
                self.assertEqual(continues[agent][at], uniforms[(1, *at)] >= setting.ends[row])
                self.assertEqual(rewards[agent][at], tasks.numpy()[(*at[:2], agent, *row)])
        self.assertBetween(np.mean(continues[0]), 0.3, 0.9)

    def test_without_start_and_end_it_takes_no_more_numbers(self):
        game = Setting(2, 0.9, starts=False, ends=False).game
        self.assertEqual((game.n_reset_uniforms, game.n_step_uniforms), (0, 1))
        self.assertFalse(game.spec.ends)
        tasks = PayoffNoise(game).sample(random.root_keys([0]), 2)
        state = game.reset(tasks, tf.zeros([0, 1, 2, 5], tf.float64))
        self.assertAllEqual(state, np.zeros([1, 2, 5]))
        *_, continues = game.step(tasks, state, (tf.zeros_like(state),) * 2, tf.zeros([1, 1, 2, 5], tf.float64))
        self.assertEqual(continues, ())

    @parameterized.parameters(
        ("start", [0.5, 0.5], "array of shape (2,): must be of shape (3,)"),
        ("start", [0.5, 0.4, 0.0], "[0.5, 0.4, 0.0]: must be probabilities that sum to 1 over the last axis"),
        ("start", [1.5, -0.5, 0.0], "[1.5, -0.5, 0.0]: must be probabilities that sum to 1 over the last axis"),
        ("start", "first", "'first': must be an array of numbers"),
        ("ends", [0.1, 0.2, 0.3], "array of shape (3,): must be of shape (3, 2, 2)"),
        ("ends", np.full([3, 2, 2], np.nan).tolist(), ": must be finite"),
        ("ends", np.full([3, 2, 2], 1.5).tolist(), ": must be probabilities"),
        ("ends", np.full([3, 2, 2], -0.5).tolist(), ": must be probabilities"),
        ("ends", 0.5, "array of shape (): must be of shape (3, 2, 2)"),
    )
    def test_bad_tables_are_rejected(self, parameter, value, message):
        tables = {"payoffs": np.ones([2, 2, 2]), "transitions": np.full([3, 2, 2, 3], 1 / 3)}
        with self.assertRaises(checks.InvalidInputError) as caught:
            StochasticGame(**tables, **{parameter: value})
        text = str(caught.exception)
        self.assertStartsWith(text, f"StochasticGame.{parameter} = ")
        self.assertEndsWith(text, message)
        self.assertNotIn("\n", text)


if __name__ == "__main__":
    tf.test.main()
