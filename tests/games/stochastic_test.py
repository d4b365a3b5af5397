"""Proves the exact values, transitions, views and rewards of finite stochastic games and of matrix games."""

import itertools
import math

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.games import matrix
from tf_metamapg.games import payoffs
from tf_metamapg.games import stochastic
from tf_metamapg.games import tasks
from tf_metamapg.numerics import random
from tf_metamapg.policies import tabular
from tf_metamapg.simulators.in_graph import InGraphSimulator
from tf_metamapg.simulators.in_graph import Uniforms

# The numbers of actions of the agents, and the number of states.
GAMES = (((2, 2), 3), ((3, 2), 4), ((2, 3, 2), 3), ((4,), 2), ((2, 2), 1), ((1, 3), 2))

MODES = (
    ("eager", lambda function: function),
    ("graph", lambda function: tf.function(function, autograph=False)),
    ("xla", lambda function: tf.function(function, autograph=False, jit_compile=True)),
)


class Setting:
    """A random game: some transitions are impossible, and the agents mix up different states.

    With `episodes` they also start and end at random, but for a state in which none starts, and joint actions that
    surely end the game or, where the discount is below 1, never do.
    """

    def __init__(self, n_actions, n_states, discount=0.9, payoffs_of_states=True, seed=0, episodes=False):
        rng = np.random.default_rng(seed)
        self.n_actions, self.n_states, self.discount = n_actions, n_states, discount
        self.n_agents = len(n_actions)
        self.joint_actions = list(itertools.product(*map(range, n_actions)))
        self.transitions = rng.dirichlet(np.ones(n_states), size=[n_states, *n_actions])
        # One next state cannot be reached from here, another one from there.
        for index in np.ndindex(n_states, *n_actions):
            if n_states > 2:
                self.transitions[index][rng.integers(n_states)] = 0.0
        self.transitions /= self.transitions.sum(axis=-1, keepdims=True)
        # Each agent sees one observation less than there are states, with numbers of its own.
        n_seen = max(n_states - 1, 1)
        self.views = np.array([rng.permutation(np.arange(n_states) % n_seen) for _ in n_actions])
        self.n_observations = n_seen
        self.table_shape = (self.n_agents, n_states, *n_actions) if payoffs_of_states else (self.n_agents, *n_actions)
        self.table = rng.normal(size=self.table_shape)
        self.start, self.ends = np.eye(n_states)[0], np.zeros([n_states, *n_actions])
        self.arguments = {}
        if episodes:
            self.start = np.append(rng.dirichlet(np.ones(n_states - 1)), 0.0)
            self.ends = np.maximum(rng.uniform(-0.3, 0.7, size=self.ends.shape), 0.05 if discount == 1.0 else 0.0)
            self.ends[(0, *[0] * self.n_agents)] = 1.0
            self.arguments = {"start": self.start, "ends": self.ends}
        self.game = self.make()

    def make(self, dtype="float64"):
        return stochastic.StochasticGame(
            self.table, self.transitions, self.views, self.discount, dtype, **self.arguments
        )

    def reward(self, table, agent, state, joint_action):
        """The reward in one payoff table, with or without an axis of states."""
        has_states = table.ndim == 2 + self.n_agents
        return table[(agent, state, *joint_action) if has_states else (agent, *joint_action)]

    def random_probs(self, batch_shape, seed=1):
        """Action probabilities of each agent: arrays [*batch_shape, n_observations, A_i]."""
        rng = np.random.default_rng(seed)
        return [rng.dirichlet(np.ones(size), size=[*batch_shape, self.n_observations]) for size in self.n_actions]

    def joint_action_prob(self, probs, state, joint_action):
        """Π_i π^i(a^i|o^i) of one seed and task."""
        return math.prod(
            probs[agent][self.views[agent, state], action] for agent, action in enumerate(joint_action)
        )

    def values(self, table, probs):
        """Σ_t γ^t E[r_t] of one seed and task, step by step until γ^t or what has not ended is nothing."""
        states = range(self.n_states)
        kind = np.result_type(table, *probs)
        chain = np.zeros([self.n_states, self.n_states], kind)
        rewards = np.zeros([self.n_agents, self.n_states], kind)
        for state, joint_action in itertools.product(states, self.joint_actions):
            probability = self.joint_action_prob(probs, state, joint_action)
            goes_on = probability * (1.0 - self.ends[(state, *joint_action)])
            chain[state] += goes_on * self.transitions[(state, *joint_action)]
            for agent in range(self.n_agents):
                rewards[agent, state] += probability * self.reward(table, agent, state, joint_action)
        values, distribution, weight = 0.0, self.start, 1.0
        while weight * np.sum(np.abs(distribution)) > 1e-18:
            values = values + weight * (rewards @ distribution)
            distribution, weight = distribution @ chain, weight * self.discount
        return values


def _next_states(game, states, joint_action, uniforms):
    """The states after some joint actions, of one seed and task: arrays [K] → int32 tensor [K]."""
    return _next_states_of_tasks(
        game, *(tf.convert_to_tensor(own)[tf.newaxis, tf.newaxis] for own in (states, uniforms)),
        [tf.convert_to_tensor(action)[tf.newaxis, tf.newaxis] for action in joint_action],
    )[0, 0]


def _next_states_of_tasks(game, states, uniforms, joint_action):
    """Arrays [S, N, K] → int32 tensor [S, N, K]."""
    tasks = np.broadcast_to(game.default_tasks, [*states.shape[:2], *game.default_tasks.shape])
    states, uniforms, *joint_action = map(tf.convert_to_tensor, (states, uniforms, *joint_action))
    next_states, _, continues = game.step(
        tf.constant(tasks, game.spec.dtype), states, tuple(joint_action), uniforms[tf.newaxis]
    )
    assert continues == ()
    return next_states


class Play:
    """Trajectories of a setting with random tabular policies; seeds and tasks have their own."""

    def __init__(self, setting, shape, n_trajectories, horizon, mode=lambda function: function):
        rng = np.random.default_rng(5)
        self.setting, self.shape = setting, shape
        self.tables = rng.normal(size=[*shape, *setting.table_shape])
        self.logits = [rng.normal(size=[*shape, setting.n_observations, size - 1]) for size in setting.n_actions]
        keys = random.root_keys(range(shape[0]))
        policies = [tabular.tabular_policy(setting.game, agent) for agent in range(setting.n_agents)]
        simulator = InGraphSimulator(setting.game, policies, n_trajectories, horizon)
        uniforms = simulator.draw_uniforms(keys, shape[1])
        self.step_uniforms, self.reset_uniforms = uniforms
        trajectory = mode(
            lambda logits, tables, uniforms: simulator.play(tuple((own,) for own in logits), tables, uniforms)
        )([tf.constant(own) for own in self.logits], tf.constant(self.tables), uniforms)
        # Arrays [n, S, N, K, T].
        self.observations, self.actions, self.rewards = (np.stack(field) for field in trajectory[:3])
        assert bool(trajectory.mask) == setting.game.spec.ends and trajectory.metrics == ()
        self.mask = np.stack(trajectory.mask or [np.ones(rewards.shape, bool) for rewards in trajectory.rewards])

    def probs(self, s, n):
        """The probabilities of the policies: one array [n_observations, A_i] for each agent."""
        result = []
        for own in self.logits:
            exponentials = np.exp(np.concatenate([own[s, n], np.zeros([len(own[s, n]), 1])], axis=-1))
            result.append(exponentials / exponentials.sum(axis=-1, keepdims=True))
        return result

    def states(self, s, n):
        """The states as the rewards and actions of agent 0 imply them: array [K, T].

        No two payoffs are the same, so a reward says where it was paid.
        """
        setting = self.setting
        implied = np.full(self.rewards.shape[-2:], -1)
        for state, joint_action in itertools.product(range(setting.n_states), setting.joint_actions):
            reward = setting.reward(self.tables[s, n], 0, state, joint_action)
            implied[self.rewards[0, s, n] == reward] = state
        return implied


class ExactValuesTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(*itertools.product(GAMES, (True, False), (0.0, 0.9)))
    def test_random_games_and_policies(self, of_game, payoffs_of_states, discount):
        setting = Setting(*of_game, discount, payoffs_of_states)
        # Seeds and tasks with payoffs and policies of their own.
        tables = np.random.default_rng(3).normal(size=[2, 3, *setting.table_shape])
        probs = setting.random_probs([2, 3])
        values = setting.game.exact_values(tf.constant(tables), tuple(map(tf.constant, probs)))
        self.assertLen(values, setting.n_agents)
        for s, n in np.ndindex(2, 3):
            expected = setting.values(tables[s, n], [own[s, n] for own in probs])
            self.assertAllClose([value[s, n] for value in values], expected, rtol=1e-12, atol=1e-12)

    def test_every_agent_sees_the_state_by_default(self):
        setting = Setting((2, 3), 4)
        game = stochastic.StochasticGame(setting.table, setting.transitions, discount=0.9, dtype="float64")
        self.assertEqual(game.spec.observations, (contracts.Discrete(4),) * 2)
        setting.views, setting.n_observations = np.stack([np.arange(4)] * 2), 4
        probs = setting.random_probs([1, 1])
        values = game.exact_values(tf.constant(setting.table[np.newaxis, np.newaxis]), tuple(map(tf.constant, probs)))
        expected = setting.values(setting.table, [own[0, 0] for own in probs])
        self.assertAllClose([value[0, 0] for value in values], expected, rtol=1e-12, atol=1e-12)

    def test_float32(self):
        # A well-conditioned 4 × 4 system loses a few of 24 bits.
        setting = Setting((3, 2), 4)
        probs = setting.random_probs([1, 1])
        values = setting.make("float32").exact_values(
            tf.constant(setting.table[np.newaxis, np.newaxis], tf.float32),
            tuple(tf.constant(own, tf.float32) for own in probs),
        )
        self.assertEqual(values[0].dtype, tf.float32)
        expected = setting.values(setting.table, [own[0, 0] for own in probs])
        self.assertAllClose([value[0, 0] for value in values], expected, rtol=1e-5, atol=1e-5)

    @parameterized.parameters(
        ((2, 2), 3, True), ((3, 2), 4, False), ((2, 3, 2), 3, True), ((2, 3, 2), 3, False)
    )
    def test_derivatives(self, n_actions, n_states, payoffs_of_states):
        # Of every agent's value along random directions in all payoffs and probabilities: the first by a
        # complex step of the oracle, the second by central differences (fourth order) of that.
        setting = Setting(n_actions, n_states, discount=0.8, payoffs_of_states=payoffs_of_states)
        inputs = [setting.table] + setting.random_probs([])
        rng = np.random.default_rng(4)
        first, second = [[rng.normal(size=leaf.shape) for leaf in inputs] for _ in range(2)]

        def oracle_first(step):
            moved = [leaf + step * v + 1e-30j * u for leaf, u, v in zip(inputs, first, second)]
            return setting.values(moved[0], moved[1:]).imag / 1e-30

        h = 1e-4
        expected_first = oracle_first(0.0)
        near, far = oracle_first(h) - oracle_first(-h), oracle_first(2 * h) - oracle_first(-2 * h)
        expected_second = (8 * near - far) / (12 * h)

        leaves = [tf.constant(leaf[np.newaxis, np.newaxis]) for leaf in inputs]
        for agent in range(setting.n_agents):
            with tf.GradientTape() as outer_tape:
                outer_tape.watch(leaves)
                with tf.GradientTape() as inner_tape:
                    inner_tape.watch(leaves)
                    value = setting.game.exact_values(leaves[0], leaves[1:])[agent]
                gradients = inner_tape.gradient(value, leaves)
                along_first = tf.add_n([tf.reduce_sum(leaf * u) for leaf, u in zip(gradients, first)])
            along_second = tf.add_n(
                [tf.reduce_sum(leaf * v) for leaf, v in zip(outer_tape.gradient(along_first, leaves), second)]
            )
            self.assertGreater(abs(expected_first[agent]), 1e-2)
            self.assertGreater(abs(expected_second[agent]), 1e-2)
            self.assertAllClose(along_first, expected_first[agent], rtol=1e-10, atol=0.0)
            self.assertAllClose(along_second, expected_second[agent], rtol=1e-9, atol=0.0)

    def test_values_of_other_seeds_and_tasks_survive_nan(self):
        setting = Setting((3, 2), 3)
        tables = np.random.default_rng(3).normal(size=[2, 2, *setting.table_shape])
        probs = setting.random_probs([2, 2])

        def values_and_gradients(probs):
            leaves = [tf.constant(own) for own in probs]
            with tf.GradientTape() as tape:
                tape.watch(leaves)
                values = setting.game.exact_values(tf.constant(tables), leaves)
                total = tf.add_n(values)
            return [*values, *tape.gradient(total, leaves)]

        expected = values_and_gradients(probs)
        probs[1][1, 0, 1, 0] = np.nan
        for result, as_before in zip(values_and_gradients(probs), expected):
            for s, n in np.ndindex(2, 2):
                if (s, n) == (1, 0):
                    self.assertTrue(np.isnan(result[s, n].numpy()).any())
                else:
                    self.assertAllClose(result[s, n], as_before[s, n], rtol=1e-13, atol=0.0)


class TransitionsTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(*GAMES)
    def test_uniforms_that_are_equally_spaced_give_the_probabilities(self, n_actions, n_states):
        setting = Setting(n_actions, n_states)
        n_draws = 10000
        midpoints = tf.constant((np.arange(n_draws) + 0.5) / n_draws)
        for state, joint_action in itertools.product(range(n_states), setting.joint_actions):
            next_state = _next_states(
                setting.game, tf.fill([n_draws], state), [tf.fill([n_draws], action) for action in joint_action],
                midpoints,
            )
            self.assertEqual(next_state.dtype, tf.int32)
            counts = np.bincount(next_state, minlength=n_states)
            expected = setting.transitions[(state, *joint_action)]
            # Each state has as many midpoints as its probability says, but for one at either end.
            self.assertAllClose(counts / n_draws, expected, rtol=0.0, atol=1.0 / n_draws)
            self.assertAllEqual(counts[expected == 0.0], np.zeros([np.sum(expected == 0.0)]))

    @parameterized.parameters("float32", "float64")
    def test_states_of_probability_zero_are_never_next(self, dtype):
        # The last uniform number is the largest below 1.
        numpy_dtype = np.dtype(dtype).type
        uniforms = np.array([0.0, 0.25, np.nextafter(numpy_dtype(1.0), numpy_dtype(0.0))], dtype)
        possible = np.zeros([5, 1, 5])
        possible[0, 0, [1, 3]] = 0.25, 0.75
        possible[1, 0, [0, 4]] = 0.25, 0.75
        possible[2, 0, 2] = 1.0
        # Rounding may leave such sums below 1.
        possible[3, 0, :4] = [0.1, 0.2, 0.3, 0.4]
        possible[4, 0, :4] = [0.7, 0.1, 0.1, 0.1]
        game = stochastic.StochasticGame(np.zeros([1, 1]), possible, dtype=dtype)
        for state, expected in enumerate([[1, 3, 3], [0, 4, 4], [2, 2, 2], [0, 1, 3], [0, 0, 3]]):
            next_state = _next_states(game, tf.fill([3], state), [tf.zeros([3], tf.int32)], uniforms)
            self.assertAllEqual(next_state, expected)

    def test_states_of_many_seeds_tasks_and_trajectories(self):
        setting = Setting((3, 2), 4)
        self.assertEqual((setting.game.n_reset_uniforms, setting.game.n_step_uniforms), (0, 1))
        start = setting.game.reset(None, tf.zeros([0, 2, 3, 5], tf.float64))
        self.assertAllEqual(start, np.zeros([2, 3, 5]))
        self.assertEqual(start.dtype, tf.int32)
        rng = np.random.default_rng(6)
        states, uniforms = rng.integers(4, size=[2, 3, 5], dtype=np.int32), rng.uniform(size=[2, 3, 5])
        actions = [rng.integers(size, size=[2, 3, 5], dtype=np.int32) for size in (3, 2)]
        next_states = _next_states_of_tasks(setting.game, states, uniforms, actions)
        for index in np.ndindex(2, 3, 5):
            probs = setting.transitions[states[index], actions[0][index], actions[1][index]]
            self.assertEqual(next_states[index], np.argmax(np.cumsum(probs) > uniforms[index]))
        for agent in range(2):
            seen = setting.game.observe(None, tf.constant(states), agent)
            self.assertEqual(seen.dtype, tf.int32)
            self.assertAllEqual(seen, setting.views[agent][states])

    def test_probabilities_are_normalised(self):
        # They may miss 1 by what a table with seven digits does.
        table = np.array([[[1.0 / 3.0, 2.0 / 3.0 + 9e-7]], [[0.5, 0.5]]])
        game = stochastic.StochasticGame(np.zeros([1, 1]), table, discount=0.9, dtype="float64")
        values = game.exact_values(tf.ones([1, 1, 1, 1], tf.float64), (tf.ones([1, 1, 2, 1], tf.float64),))
        self.assertAllClose(values[0], [[10.0]], rtol=1e-13, atol=0.0)


class RolloutTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(((3, 2), 4, True), ((2, 2), 3, False), ((2, 3, 2), 3, True))
    def test_trajectories_are_a_function_of_the_uniforms(self, n_actions, n_states, payoffs_of_states):
        setting = Setting(n_actions, n_states, payoffs_of_states=payoffs_of_states)
        play = Play(setting, (2, 2), n_trajectories=6, horizon=7)
        n_agents = setting.n_agents
        # One uniform number for each action and one for the transition.
        self.assertEqual(play.step_uniforms.shape, [7, n_agents + 1, 2, 2, 6])
        self.assertEqual(play.reset_uniforms.shape, [0, 2, 2, 6])
        for s, n, k in np.ndindex(2, 2, 6):
            probs, state = play.probs(s, n), 0
            for t in range(7):
                uniforms = play.step_uniforms[t, :, s, n, k].numpy()
                observations = [setting.views[agent, state] for agent in range(n_agents)]
                self.assertAllEqual(play.observations[:, s, n, k, t], observations)
                joint_action = tuple(
                    np.argmax(np.cumsum(probs[agent][observations[agent]]) > uniforms[agent])
                    for agent in range(n_agents)
                )
                self.assertAllEqual(play.actions[:, s, n, k, t], joint_action)
                rewards = [setting.reward(play.tables[s, n], agent, state, joint_action) for agent in range(n_agents)]
                self.assertAllEqual(play.rewards[:, s, n, k, t], rewards)
                state = np.argmax(np.cumsum(setting.transitions[(state, *joint_action)]) > uniforms[n_agents])

    @parameterized.parameters(((3, 2), 4), ((2, 3, 2), 3))
    def test_rewards_observations_and_actions_agree_on_the_state(self, n_actions, n_states):
        setting = Setting(n_actions, n_states)
        play = Play(setting, (2, 2), n_trajectories=50, horizon=7)
        for s, n in np.ndindex(2, 2):
            states = play.states(s, n)
            self.assertAllEqual(states[:, 0], np.zeros([50]))
            self.assertAllEqual(np.unique(states), np.arange(n_states))
            for agent in range(setting.n_agents):
                self.assertAllEqual(play.observations[agent, s, n], setting.views[agent][states])
            for k, t in np.ndindex(50, 7):
                joint_action = tuple(play.actions[:, s, n, k, t])
                rewards = [
                    setting.reward(play.tables[s, n], agent, states[k, t], joint_action)
                    for agent in range(setting.n_agents)
                ]
                self.assertAllEqual(play.rewards[:, s, n, k, t], rewards)
                if t < 6:
                    self.assertGreater(setting.transitions[(states[k, t], *joint_action)][states[k, t + 1]], 0.0)

    @parameterized.parameters(((3, 2), 4), ((2, 3, 2), 3))
    def test_transitions_have_their_probabilities(self, n_actions, n_states):
        setting = Setting(n_actions, n_states)
        n_trajectories, horizon = 10000, 4
        play = Play(setting, (1, 2), n_trajectories, horizon)
        n_joint_actions = len(setting.joint_actions)
        # P(s_t = s, a_t = a, s_{t+1} = s') at every step. The trajectories are independent, so that by
        # Bernstein's inequality a frequency is within √(2p(1 − p)L/K) + L/(3K) of p; for all of at most 650
        # frequencies with confidence 99.9 % if L = ln(2 · 650 / 0.001).
        log_term = math.log(2 * 650 / 0.001)
        n_frequencies = 0
        for n in range(2):
            probs, states = play.probs(0, n), play.states(0, n)
            actions = np.ravel_multi_index(tuple(play.actions[:, 0, n]), n_actions)
            distribution = np.eye(n_states)[0]
            for t in range(horizon - 1):
                expected = np.zeros([n_states, n_joint_actions, n_states])
                for state, (index, joint_action) in itertools.product(
                    range(n_states), enumerate(setting.joint_actions)
                ):
                    expected[state, index] = (
                        distribution[state] * setting.joint_action_prob(probs, state, joint_action)
                        * setting.transitions[(state, *joint_action)]
                    )
                flat = np.ravel_multi_index((states[:, t], actions[:, t], states[:, t + 1]), expected.shape)
                frequencies = np.bincount(flat, minlength=expected.size) / n_trajectories
                p = expected.ravel()
                self.assertAllEqual(frequencies[p == 0.0], np.zeros([np.sum(p == 0.0)]))
                allowed = np.sqrt(2 * p * (1 - p) * log_term / n_trajectories) + log_term / (3 * n_trajectories)
                self.assertAllLessEqual(np.abs(frequencies - p) / allowed, 1.0)
                n_frequencies += np.sum(p > 0.0)
                distribution = expected.sum(axis=(0, 1))
        self.assertLessEqual(n_frequencies, 650)

    @parameterized.parameters(((3, 2), 4, True), ((2, 3, 2), 3, False))
    def test_discounted_returns_have_the_exact_mean(self, n_actions, n_states, payoffs_of_states):
        setting = Setting(n_actions, n_states, discount=0.8, payoffs_of_states=payoffs_of_states)
        n_trajectories, horizon = 2000, 60
        play = Play(setting, (2, 2), n_trajectories, horizon)
        # The closed form is for an endless game; what comes after 60 steps is at most this.
        cut_off = np.abs(play.tables).max() * 0.8**horizon / (1 - 0.8)
        self.assertLess(cut_off, 1e-4)
        closed_form = setting.game.exact_values(
            tf.constant(play.tables),
            [tf.constant([[play.probs(s, n)[agent] for n in range(2)] for s in range(2)])
             for agent in range(setting.n_agents)],
        )
        # At most 12 means, all within z standard errors with confidence 99.9 %: z = Φ⁻¹(1 − 0.001 / 24) = 3.94.
        for agent, s, n in np.ndindex(setting.n_agents, 2, 2):
            sampled = play.rewards[agent, s, n] @ 0.8 ** np.arange(horizon)
            allowed = 3.94 * sampled.std(ddof=1) / math.sqrt(n_trajectories)
            self.assertLess(abs(sampled.mean() - closed_form[agent][s, n]), allowed + cut_off)

    @parameterized.named_parameters(*MODES[1:])
    def test_modes(self, mode):
        setting = Setting((3, 2), 4)
        expected = Play(setting, (2, 3), n_trajectories=10, horizon=6)
        again = Play(setting, (2, 3), n_trajectories=10, horizon=6, mode=mode)
        for name in ("observations", "actions", "rewards"):
            self.assertAllEqual(getattr(again, name), getattr(expected, name))
        self.assertNotAllEqual(expected.rewards[:, :, :, 0], expected.rewards[:, :, :, 1])

    def test_payoff_noise_in_every_state(self):
        setting = Setting((3, 2), 4)
        sampled = tasks.PayoffNoise(setting.game, 0.1).sample(random.root_keys([0, 1]), 3)
        self.assertEqual(sampled.shape, [2, 3, *setting.table_shape])
        self.assertAllLess(np.abs(sampled - setting.table), 0.1)
        self.assertLen(np.unique(sampled - setting.table), 6 * setting.table.size)


class EpisodesTest(tf.test.TestCase, parameterized.TestCase):
    """Games whose episodes start and end at random."""

    @parameterized.parameters(*itertools.product(GAMES[:3], (True, False), (0.0, 0.9, 1.0)))
    def test_exact_values_lengths_and_entropies(self, of_game, payoffs_of_states, discount):
        setting = Setting(*of_game, discount, payoffs_of_states, episodes=True)
        tables = np.random.default_rng(3).normal(size=[2, 3, *setting.table_shape])
        probs = setting.random_probs([2, 3])
        arguments = tf.constant(tables), tuple(map(tf.constant, probs))
        values, lengths, entropies = (
            exact(*arguments)
            for exact in (setting.game.exact_values, setting.game.exact_lengths, setting.game.exact_entropies)
        )
        self.assertEqual(list(map(len, (values, lengths, entropies))), [setting.n_agents] * 3)
        for s, n in np.ndindex(2, 3):
            own_probs = [own[s, n] for own in probs]
            for actual, expected in (
                (values, setting.values(tables[s, n], own_probs)),
                (lengths, setting.values(np.ones(setting.table_shape), own_probs)),
                (entropies, self.entropies(setting, own_probs)),
            ):
                self.assertAllClose([own[s, n] for own in actual], expected, rtol=1e-12, atol=1e-12)
            # A step ends the game with a probability of 0.05 at least, or is worth 0.9 of the one before.
            self.assertBetween(lengths[0][s, n], 1.0 - 1e-12, 20.0)

    def entropies(self, setting, probs):
        """The values of a game whose rewards are the entropies of the agents' actions."""
        by_observation = [-np.sum(own * np.log(own), axis=-1) for own in probs]
        table = np.zeros([setting.n_agents, setting.n_states, *setting.n_actions], by_observation[0].dtype)
        for agent, state in np.ndindex(*table.shape[:2]):
            table[agent, state] = by_observation[agent][setting.views[agent, state]]
        return setting.values(table, probs)

    @parameterized.parameters("exact_values", "exact_lengths", "exact_entropies")
    def test_derivatives(self, name):
        # As of `ExactValuesTest`.
        setting = Setting((3, 2), 4, discount=1.0, episodes=True)
        inputs = setting.random_probs([])
        rng = np.random.default_rng(4)
        first, second = [[rng.normal(size=leaf.shape) for leaf in inputs] for _ in range(2)]
        oracle = {
            "exact_values": lambda probs: setting.values(setting.table, probs),
            "exact_lengths": lambda probs: setting.values(np.ones(setting.table_shape), probs),
            "exact_entropies": lambda probs: self.entropies(setting, probs),
        }[name]

        def oracle_first(step):
            return oracle([leaf + step * v + 1e-30j * u for leaf, u, v in zip(inputs, first, second)]).imag / 1e-30

        h = 1e-4
        near, far = oracle_first(h) - oracle_first(-h), oracle_first(2 * h) - oracle_first(-2 * h)
        table = tf.constant(setting.table[np.newaxis, np.newaxis])
        leaves = [tf.constant(leaf[np.newaxis, np.newaxis]) for leaf in inputs]
        for agent in range(setting.n_agents):
            with tf.GradientTape() as outer_tape:
                outer_tape.watch(leaves)
                with tf.GradientTape() as inner_tape:
                    inner_tape.watch(leaves)
                    value = getattr(setting.game, name)(table, leaves)[agent]
                gradients = inner_tape.gradient(value, leaves)
                along_first = tf.add_n([tf.reduce_sum(leaf * u) for leaf, u in zip(gradients, first)])
            along_second = tf.add_n(
                [tf.reduce_sum(leaf * v) for leaf, v in zip(outer_tape.gradient(along_first, leaves), second)]
            )
            self.assertGreater(abs(oracle_first(0.0)[agent]), 1e-2)
            self.assertAllClose(along_first, oracle_first(0.0)[agent], rtol=1e-10, atol=0.0)
            self.assertAllClose(along_second, ((8 * near - far) / (12 * h))[agent], rtol=1e-8, atol=0.0)

    def test_lengths_and_entropies_of_games_that_do_not_end(self):
        setting = Setting((3, 2), 4)
        probs = setting.random_probs([1, 1])
        arguments = None, tuple(map(tf.constant, probs))
        self.assertAllClose(setting.game.exact_lengths(*arguments), np.full([2, 1, 1], 10.0), rtol=1e-14, atol=0.0)
        expected = self.entropies(setting, [own[0, 0] for own in probs])
        entropies = setting.game.exact_entropies(*arguments)
        self.assertAllClose([own[0, 0] for own in entropies], expected, rtol=1e-12, atol=0.0)

    @parameterized.named_parameters(*MODES)
    def test_trajectories_are_a_function_of_the_uniforms(self, mode):
        setting, horizon = Setting((3, 2), 4, episodes=True), 7
        self.assertEqual((setting.game.n_reset_uniforms, setting.game.n_step_uniforms), (1, 2))
        play = Play(setting, (2, 2), 20, horizon, mode)
        self.assertEqual(play.step_uniforms.shape, [horizon, 4, 2, 2, 20])
        self.assertEqual(play.reset_uniforms.shape, [1, 2, 2, 20])
        for s, n, k in np.ndindex(2, 2, 20):
            probs, is_there = play.probs(s, n), True
            state = np.argmax(np.cumsum(setting.start) > play.reset_uniforms[0, s, n, k])
            for t in range(horizon):
                seen, actions, rewards, mask = (
                    field[:, s, n, k, t] for field in (play.observations, play.actions, play.rewards, play.mask)
                )
                self.assertAllEqual(mask, [is_there] * 2)
                if not is_there:
                    # Nothing is written there.
                    for field in (seen, actions, rewards):
                        self.assertAllEqual(field, np.zeros([2]))
                    continue
                uniforms = play.step_uniforms[t, :, s, n, k].numpy()
                self.assertAllEqual(seen, setting.views[:, state])
                joint_action = tuple(
                    np.argmax(np.cumsum(probs[agent][seen[agent]]) > uniforms[agent]) for agent in range(2)
                )
                self.assertAllEqual(actions, joint_action)
                self.assertAllEqual(
                    rewards, [setting.reward(play.tables[s, n], agent, state, joint_action) for agent in range(2)]
                )
                is_there = uniforms[3] >= setting.ends[(state, *joint_action)]
                state = np.argmax(np.cumsum(setting.transitions[(state, *joint_action)]) > uniforms[2])
        self.assertBetween(play.mask[..., -1].mean(), 0.02, 0.5)

    def test_sampled_starts_and_lengths_have_the_exact_means(self):
        setting, horizon, n_trajectories = Setting((2, 2), 3, discount=1.0, episodes=True), 200, 4000
        play = Play(setting, (1, 1), n_trajectories, horizon)
        self.assertAllEqual(play.mask[..., -1], np.zeros([2, 1, 1, n_trajectories], bool))
        lengths = play.mask[0, 0, 0].sum(axis=-1)
        states = play.states(0, 0)[:, 0]
        returns = play.rewards[0, 0, 0].sum(axis=-1)
        probs = [tf.constant(own[np.newaxis, np.newaxis]) for own in play.probs(0, 0)]
        length, value = (
            exact(tf.constant(play.tables), probs)[0][0, 0].numpy()
            for exact in (setting.game.exact_lengths, setting.game.exact_values)
        )
        # Four means, all within z standard errors with confidence 99.9 %: z = Φ⁻¹(1 − 0.001 / 8) = 3.66.
        for sampled, expected in (
            (lengths, length), (returns, value), *((states == state, setting.start[state]) for state in range(2))
        ):
            allowed = 3.66 * sampled.std(ddof=1) / math.sqrt(n_trajectories)
            self.assertLess(abs(sampled.mean() - expected), allowed)
        self.assertNotIn(2, states)


class IteratedMatrixGameTest(tf.test.TestCase, parameterized.TestCase):
    """An iterated matrix game, written out as tables, is the same game."""

    def games(self, n_actions):
        """The game with memory one, and its tables."""
        rng = np.random.default_rng(7)
        joint_actions = list(itertools.product(*map(range, n_actions)))
        n_agents, n_states = len(n_actions), 1 + len(joint_actions)
        transitions = np.zeros([n_states, *n_actions, n_states])
        views = np.zeros([n_agents, n_states], int)
        for index, joint_action in enumerate(joint_actions):
            transitions[(slice(None), *joint_action, 1 + index)] = 1.0
            for agent in range(n_agents):
                # What it sees is numbered by the own action first, then by the others' in their order.
                own_first = sorted(joint_actions, key=lambda other, agent=agent: (other[agent], other))
                views[agent, 1 + index] = 1 + own_first.index(joint_action)
        table = rng.normal(size=[n_agents, *n_actions])
        return (
            matrix.IteratedMatrixGame(table, discount=0.9, dtype="float64"),
            stochastic.StochasticGame(table, transitions, views, discount=0.9, dtype="float64"),
        )

    @parameterized.parameters((2, 2), (3, 2), (2, 3, 2))
    def test_exact_values_and_observations(self, *n_actions):
        game, written_out = self.games(n_actions)
        self.assertEqual(written_out.spec.observations, game.spec.observations)
        self.assertEqual(written_out.spec.actions, game.spec.actions)
        states = tf.range(game.n_states)
        rng = np.random.default_rng(8)
        tables = tf.constant(rng.normal(size=[2, 3, *game.default_tasks.shape]))
        probs = [
            tf.constant(rng.dirichlet(np.ones(size), size=[2, 3, 1 + np.prod(n_actions)])) for size in n_actions
        ]
        pairs = zip(game.exact_values(tables, probs), written_out.exact_values(tables, probs))
        for agent, (value, other) in enumerate(pairs):
            self.assertAllEqual(written_out.observe(None, states, agent), game.observe(None, states, agent))
            self.assertAllClose(value, other, rtol=1e-12, atol=1e-12)
            self.assertGreater(np.ptp(value), 0.1)

    @parameterized.parameters((2, 2), (3, 2), (2, 3, 2))
    def test_behaviour(self, *n_actions):
        games = self.games(n_actions)
        n_agents = len(n_actions)
        rng = np.random.default_rng(9)
        n_observations = 1 + math.prod(n_actions)
        logits = [rng.normal(size=[2, 3, n_observations, size - 1]) for size in n_actions]
        tables = tf.constant(rng.normal(size=[2, 3, n_agents, *n_actions]))
        # Memory needs no uniform number, a table of transitions one; the numbers for the actions are the same.
        policies = [tabular.tabular_policy(games[1], agent) for agent in range(n_agents)]
        simulators = [InGraphSimulator(game, policies, n_trajectories=20, horizon=6) for game in games]
        uniforms = simulators[1].draw_uniforms(random.root_keys([0, 1]), 3)
        self.assertEqual([game.n_step_uniforms for game in games], [0, 1])
        trajectories = []
        for simulator, numbers in zip(simulators, (uniforms.steps[:, :n_agents], uniforms.steps)):
            joint_params = tuple((tf.constant(own),) for own in logits)
            trajectories.append(simulator.play(joint_params, tables, Uniforms(numbers, uniforms.reset)))
        for leaf, other in zip(*map(tf.nest.flatten, trajectories)):
            self.assertAllEqual(leaf, other)
        for observations in trajectories[0].observations:
            self.assertLen(np.unique(observations), n_observations)


class MatrixGameTest(tf.test.TestCase, parameterized.TestCase):

    def test_attributes(self):
        game = matrix.MatrixGame(payoffs.chicken().tolist())
        self.assertEqual(game.spec, contracts.GameSpec(
            name="matrix game", discount=0.0, dtype="float32", observations=(contracts.Discrete(1),) * 2,
            actions=(contracts.Discrete(2),) * 2,
        ))
        self.assertEqual((game.n_states, game.n_reset_uniforms, game.n_step_uniforms), (1, 0, 0))
        self.assertAllEqual(game.default_tasks, payoffs.chicken())
        tasks, no_uniforms = tf.constant(payoffs.chicken()[np.newaxis, np.newaxis], tf.float32), tf.zeros([0, 1, 1, 3])
        state = game.reset(tasks, no_uniforms)
        self.assertAllEqual(state, np.zeros([1, 1, 3]))
        next_state, rewards, continues = game.step(tasks, state, (tf.ones([1, 1, 3], tf.int32),) * 2, no_uniforms)
        self.assertAllEqual(next_state, np.zeros([1, 1, 3]))
        self.assertAllEqual(rewards, np.full([2, 1, 1, 3], -100.0))
        self.assertEqual(continues, ())
        self.assertAllEqual(game.observe(tasks, state, 1), np.zeros([1, 1, 3]))

    @parameterized.parameters((2, 2), (3, 2), (2, 3, 2), (4,))
    def test_exact_values_are_expected_payoffs(self, *n_actions):
        rng = np.random.default_rng(10)
        n_agents = len(n_actions)
        game = matrix.MatrixGame(np.zeros([n_agents, *n_actions]), dtype="float64")
        tables = rng.normal(size=[2, 3, n_agents, *n_actions])
        logits = [rng.normal(size=[2, 3, 1, size - 1]) for size in n_actions]
        estimator = ExactEstimator(game, [tabular.tabular_policy(game, agent) for agent in range(n_agents)])
        joint_params = tuple((tf.constant(own),) for own in logits)
        values = estimator.objectives(joint_params, tf.constant(tables), ())
        mean_rewards = estimator.mean_rewards(joint_params, tf.constant(tables), ())
        for s, n, agent in np.ndindex(2, 3, n_agents):
            expected = tables[s, n, agent]
            # Sums out the agents one by one, the first axis first.
            for own in logits:
                exponentials = np.exp(np.append(own[s, n, 0], 0.0))
                expected = np.tensordot(exponentials / exponentials.sum(), expected, axes=1)
            self.assertAllClose(values[agent][s, n], expected, rtol=1e-12, atol=1e-12)
            # The only step there is.
            self.assertAllClose(mean_rewards[agent][s, n], expected, rtol=1e-12, atol=1e-12)

    def test_derivatives(self):
        # Two actions each: V = Σ p(a) q(b) r(a, b), with p = σ(x) and q = σ(y) the probabilities of action 0.
        table = np.random.default_rng(11).normal(size=[2, 2, 2])
        game = matrix.MatrixGame(table, dtype="float64")
        estimator = ExactEstimator(game, [tabular.tabular_policy(game, agent) for agent in range(2)])
        x, y = tf.constant(0.3, tf.float64), tf.constant(-0.7, tf.float64)
        p, q = 1 / (1 + np.exp(-0.3)), 1 / (1 + np.exp(0.7))
        for agent in range(2):
            with tf.GradientTape() as outer_tape:
                outer_tape.watch([x, y])
                with tf.GradientTape() as inner_tape:
                    inner_tape.watch([x, y])
                    joint_params = tuple((tf.reshape(logit, [1, 1, 1, 1]),) for logit in (x, y))
                    value = estimator.objectives(joint_params, tf.constant(table[np.newaxis, np.newaxis]), ())[agent]
                gradients = inner_tape.gradient(value, [x, y])
            r = table[agent]
            slope_x = p * (1 - p) * (q * (r[0, 0] - r[1, 0]) + (1 - q) * (r[0, 1] - r[1, 1]))
            slope_y = q * (1 - q) * (p * (r[0, 0] - r[0, 1]) + (1 - p) * (r[1, 0] - r[1, 1]))
            mixed = p * (1 - p) * q * (1 - q) * (r[0, 0] - r[1, 0] - r[0, 1] + r[1, 1])
            self.assertAllClose(gradients, [slope_x, slope_y], rtol=1e-12, atol=0.0)
            self.assertAllClose(
                outer_tape.gradient(gradients[0], [x, y]), [slope_x * (1 - 2 * p), mixed], rtol=1e-12, atol=0.0
            )

    def test_one_step(self):
        n_actions, n_trajectories = (3, 2), 5000
        rng = np.random.default_rng(12)
        game = matrix.MatrixGame(np.zeros([2, *n_actions]), dtype="float64")
        policies = [tabular.tabular_policy(game, agent) for agent in range(2)]
        tables = rng.normal(size=[1, 2, 2, *n_actions])
        joint_params = tuple((tf.constant(rng.normal(size=[1, 2, 1, size - 1])),) for size in n_actions)
        simulator = InGraphSimulator(game, policies, n_trajectories, horizon=1)
        uniforms = simulator.draw_uniforms(random.root_keys([0]), 2)
        self.assertEqual(uniforms.steps.shape, [1, 2, 1, 2, n_trajectories])
        trajectory = simulator.play(joint_params, tf.constant(tables), uniforms)
        for leaf in tf.nest.flatten(trajectory):
            self.assertEqual(leaf.shape, [1, 2, n_trajectories, 1])
        first, second = (own.numpy() for own in trajectory.actions)
        values = ExactEstimator(game, policies).objectives(joint_params, tf.constant(tables), ())
        # Four means, all within z standard errors with confidence 99.9 %: z = Φ⁻¹(1 − 0.001 / 8) = 3.66.
        for agent, n in np.ndindex(2, 2):
            self.assertAllEqual(trajectory.observations[agent], np.zeros([1, 2, n_trajectories, 1]))
            rewards = trajectory.rewards[agent][0, n].numpy()
            self.assertAllEqual(rewards, tables[0, n, agent][first[0, n], second[0, n]])
            allowed = 3.66 * rewards.std(ddof=1) / math.sqrt(n_trajectories)
            self.assertLess(abs(rewards.mean() - values[agent][0, n]), allowed)

    def test_is_the_finite_game_of_one_state(self):
        table = np.random.default_rng(13).normal(size=[2, 3, 2])
        game = matrix.MatrixGame(table, dtype="float64")
        written_out = stochastic.StochasticGame(table, np.ones([1, 3, 2, 1]), discount=0.0, dtype="float64")
        self.assertEqual(written_out.spec.observations, game.spec.observations)
        self.assertEqual(written_out.n_states, 1)
        probs = [tf.constant([[[[0.2, 0.3, 0.5]]]], tf.float64), tf.constant([[[[0.9, 0.1]]]], tf.float64)]
        task = tf.constant(table[np.newaxis, np.newaxis])
        self.assertAllClose(game.exact_values(task, probs), written_out.exact_values(task, probs), rtol=1e-14)
        # Whatever the uniform number, there is no other state.
        nexts = _next_states(
            written_out, tf.zeros([2], tf.int32), (tf.constant([0, 2]), tf.constant([1, 0])),
            tf.constant([0.0, 1.0 - 2.0**-53], tf.float64),
        )
        self.assertAllEqual(nexts, [0, 0])


class ConstructionTest(tf.test.TestCase, parameterized.TestCase):

    def assert_rejects(self, parameter, kind=stochastic.StochasticGame, **kwargs):
        """Checks the message of a game whose other arguments are right: two agents, three states."""
        if kind is stochastic.StochasticGame:
            kwargs = {"payoffs": np.zeros([2, 2, 3]), "transitions": np.full([3, 2, 3, 3], 1 / 3), **kwargs}
        with self.assertRaises(checks.InvalidInputError) as caught:
            kind(**kwargs)
        message = str(caught.exception)
        self.assertStartsWith(message, f"{kind.__name__}.{parameter} = ")
        self.assertIn(": must be ", message)
        self.assertNotIn("\n", message)
        return message

    def test_what_ends_may_have_a_discount_of_1_if_it_surely_does(self):
        kwargs = {"payoffs": np.zeros([2, 2, 3]), "transitions": np.full([3, 2, 3, 3], 1 / 3), "discount": 1.0}
        some = np.zeros([3, 2, 3])
        self.assertTrue(stochastic.StochasticGame(**kwargs, ends=some + 0.01).spec.ends)
        # Whatever is done in state 1, some other state follows at last, and there it ends.
        some[[0, 2]] = 0.5
        self.assertEqual(stochastic.StochasticGame(**kwargs, ends=some).spec.discount, 1.0)
        # One joint action that leads back, and does not end it, is enough to go on for ever.
        stays = np.full([3, 2, 3, 3], 1 / 3)
        stays[1, 0, 2] = [0, 1, 0]
        message = self.assert_rejects("discount", **{**kwargs, "transitions": stays}, ends=some)
        allowed = "< 1, as some joint actions never end the game once it is in state 1"
        self.assertEqual(message, f"StochasticGame.discount = 1.0: must be {allowed}")
        # So are two that lead from one state to the other.
        circle = np.full([3, 2, 3, 3], 1 / 3)
        circle[1, 0, 2], circle[2, 1, 1] = [0, 0, 1], [0, 1, 0]
        some[2, 1, 1] = 0.0
        message = self.assert_rejects("discount", **{**kwargs, "transitions": circle}, ends=some)
        self.assertEqual(message, f"StochasticGame.discount = 1.0: must be {allowed}")
        # But not if nobody ever comes there.
        circle[0] = [1, 0, 0]
        self.assertTrue(stochastic.StochasticGame(**{**kwargs, "transitions": circle}, ends=some).spec.ends)
        message = self.assert_rejects("discount", **{**kwargs, "transitions": circle}, ends=some, start=[0.5, 0, 0.5])
        self.assertEqual(message, f"StochasticGame.discount = 1.0: must be {allowed}")

    @parameterized.parameters(1.5, -0.5)
    def test_discounts_of_games_that_end(self, discount):
        message = self.assert_rejects("discount", discount=discount, ends=np.ones([3, 2, 3]))
        self.assertEqual(message, f"StochasticGame.discount = {discount}: must be in [0, 1]")

    def test_what_is_right_is_accepted(self):
        game = stochastic.StochasticGame(
            np.zeros([2, 2, 3]).tolist(), np.full([3, 2, 3, 3], 1 / 3).tolist(), [[0, 2, 1]] * 2
        )
        self.assertEqual(game.spec, contracts.GameSpec(
            name="stochastic game", discount=0.96, dtype="float32", observations=(contracts.Discrete(3),) * 2,
            actions=(contracts.Discrete(2), contracts.Discrete(3)),
        ))
        self.assertEqual(game.n_states, 3)

    def test_payoffs_are_a_copy(self):
        table = np.ones([1, 2])
        game = stochastic.StochasticGame(table, np.ones([1, 2, 1]))
        table[:] = 0.0
        self.assertAllEqual(game.default_tasks, np.ones([1, 2]))


if __name__ == "__main__":
    tf.test.main()
