"""Proves the order of states and views, the rewards, and the exact values of iterated matrix games."""

import functools
import itertools
import math

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import contracts
from tf_metamapg.games import matrix
from tf_metamapg.games import payoffs
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer

C, D = 0, 1
# The numbers of actions of the agents.
GAMES = ((2, 2), (3, 3), (2, 3), (3, 2), (2, 2, 2), (2, 3, 2), (3, 1, 2), (4,), (2, 2, 2, 2, 2))


def _random_table(n_actions, seed=0):
    return np.random.default_rng(seed).normal(size=[len(n_actions), *n_actions])


def _random_probs(n_actions, batch_shape, seed=1):
    """Action probabilities of each agent after each observation: arrays [*batch_shape, n_observations, A_i]."""
    rng = np.random.default_rng(seed)
    n_observations = 1 + math.prod(n_actions)
    return [rng.dirichlet(np.ones(size), size=[*batch_shape, n_observations]) for size in n_actions]


def _observation(joint_action, agent, n_actions):
    """What an agent sees after a joint action: its place in the list that has the agent's own action first."""
    own_first = [agent] + [other for other in range(len(n_actions)) if other != agent]
    possible = list(itertools.product(*(range(n_actions[seen]) for seen in own_first)))
    return 1 + possible.index(tuple(joint_action[seen] for seen in own_first))


def _oracle_values(table, probs, discount):
    """Σ_t γ^t Σ_a P(a_t = a) r(a), step by step until γ^t is nothing, for one seed and task."""
    n_actions = table.shape[1:]
    joint_actions = list(itertools.product(*map(range, n_actions)))
    agents = range(len(n_actions))

    def probability(joint_action, observations):
        return math.prod(probs[agent][observations[agent]][joint_action[agent]] for agent in agents)

    start = np.array([probability(after, [0 for _ in agents]) for after in joint_actions])
    seen = [[_observation(before, agent, n_actions) for agent in agents] for before in joint_actions]
    transitions = np.array([[probability(after, observations) for after in joint_actions] for observations in seen])
    rewards = np.array([[table[(agent, *joint_action)] for joint_action in joint_actions] for agent in agents])
    values, distribution, weight = 0.0, start, 1.0
    while weight > 1e-18:
        values = values + weight * (rewards @ distribution)
        distribution, weight = distribution @ transitions, weight * discount
    return values


def _exact_values(game, table, probs):
    """The package's values for one seed and one task."""
    values = game.exact_values(table[np.newaxis, np.newaxis], [own[np.newaxis, np.newaxis] for own in probs])
    return np.array([value[0, 0] for value in values])


def _start(game):
    """The state before the first step, of one trajectory: int32 tensor [1]."""
    return game.reset(_default_tasks(game), tf.zeros([0, 1, 1, 1], game.spec.dtype))[0, 0]


def _next_states(game, states, joint_action):
    """The states after some joint actions, of one seed and task: arrays [K] → int32 tensor [K]."""
    joint_action = tuple(tf.constant(action, tf.int32)[tf.newaxis, tf.newaxis] for action in joint_action)
    uniforms = tf.zeros([0, *joint_action[0].shape], game.spec.dtype)
    states = tf.convert_to_tensor(states)[tf.newaxis, tf.newaxis]
    next_states, _, _ = game.step(_default_tasks(game), states, joint_action, uniforms)
    return next_states[0, 0]


def _default_tasks(game):
    """The game as it is by itself, [1, 1, ...]."""
    return tf.constant(game.default_tasks[np.newaxis, np.newaxis], game.spec.dtype)


class ViewsTest(tf.test.TestCase, parameterized.TestCase):

    def test_order_of_states_and_observations(self):
        game = matrix.IteratedMatrixGame(payoffs.prisoners_dilemma())
        spec = game.spec
        self.assertEqual((spec.n_agents, spec.ends, spec.metrics, game.n_states), (2, False, (), 5))
        self.assertEqual(spec.observations, (contracts.Discrete(5),) * 2)
        self.assertEqual(spec.actions, (contracts.Discrete(2),) * 2)
        states = [_start(game)[0]] + [
            _next_states(game, _start(game), ([first], [second]))[0]
            for first, second in [(C, C), (C, D), (D, C), (D, D)]
        ]
        self.assertAllEqual(states, [0, 1, 2, 3, 4])
        self.assertAllEqual(game.observe(None, tf.stack(states), 0), [0, 1, 2, 3, 4])
        # What is CD to the first agent is DC to the second.
        self.assertAllEqual(game.observe(None, tf.stack(states), 1), [0, 1, 3, 2, 4])

    def test_views_of_three_agents(self):
        game = matrix.IteratedMatrixGame(_random_table((2, 2, 2)))
        self.assertEqual(game.spec.observations, (contracts.Discrete(9),) * 3)
        # Only agent 1 defected: state CDC. Each agent reads its own action first, then the others' in their
        # order: CDC for agent 0, DCC for agent 1, CCD for agent 2.
        state = _next_states(game, _start(game), ([C], [D], [C]))
        self.assertAllEqual(state, [1 + 0b010])
        self.assertAllEqual(game.observe(None, state, 0), [1 + 0b010])
        self.assertAllEqual(game.observe(None, state, 1), [1 + 0b100])
        self.assertAllEqual(game.observe(None, state, 2), [1 + 0b001])

    @parameterized.parameters(*GAMES)
    def test_views(self, *n_actions):
        game = matrix.IteratedMatrixGame(_random_table(n_actions))
        joint_actions = list(itertools.product(*map(range, n_actions)))
        n_observations = 1 + len(joint_actions)
        self.assertEqual(game.spec.observations, (contracts.Discrete(n_observations),) * len(n_actions))
        self.assertEqual(game.spec.actions, tuple(map(contracts.Discrete, n_actions)))
        # Whatever was before.
        before = np.random.default_rng(0).integers(n_observations, size=len(joint_actions), dtype=np.int32)
        states = _next_states(game, before, tuple(zip(*joint_actions)))
        self.assertAllEqual(states, 1 + np.arange(len(joint_actions)))
        for agent in range(len(n_actions)):
            seen = game.observe(None, states, agent)
            self.assertEqual(seen.dtype, tf.int32)
            self.assertAllEqual(seen, [_observation(joint_action, agent, n_actions) for joint_action in joint_actions])
            self.assertAllEqual(game.observe(None, _start(game), agent), [0])

    def test_states_of_many_seeds_tasks_and_trajectories(self):
        game = matrix.IteratedMatrixGame(payoffs.prisoners_dilemma())
        self.assertEqual((game.n_reset_uniforms, game.n_step_uniforms), (0, 0))
        tasks = tf.constant(np.broadcast_to(payoffs.prisoners_dilemma(), [2, 3, 2, 2, 2]), tf.float32)
        no_uniforms = tf.zeros([0, 2, 3, 4])
        start = game.reset(tasks, no_uniforms)
        self.assertEqual(start.dtype, tf.int32)
        self.assertAllEqual(start, np.zeros([2, 3, 4]))
        actions = tuple(np.random.default_rng(agent).integers(2, size=[2, 3, 4], dtype=np.int32) for agent in range(2))
        state, rewards, continues = game.step(tasks, start, tuple(map(tf.constant, actions)), no_uniforms)
        self.assertAllEqual(state, 1 + 2 * actions[0] + actions[1])
        self.assertAllEqual(game.observe(tasks, state, 1), 1 + 2 * actions[1] + actions[0])
        self.assertAllEqual(rewards, payoffs.prisoners_dilemma()[:, actions[0], actions[1]])
        # It never ends.
        self.assertEqual(continues, ())


class RewardsTest(tf.test.TestCase, parameterized.TestCase):

    def test_prisoners_dilemma(self):
        table = payoffs.prisoners_dilemma()
        self.assertAllEqual(table[:, C, C], [-1, -1])
        self.assertAllEqual(table[:, C, D], [-3, 0])
        self.assertAllEqual(table[:, D, C], [0, -3])
        self.assertAllEqual(table[:, D, D], [-2, -2])

    @parameterized.parameters(*GAMES)
    def test_rewards(self, *n_actions):
        game = matrix.IteratedMatrixGame(_random_table(n_actions), dtype="float64")
        rng = np.random.default_rng(2)
        tables = rng.normal(size=[2, 3, len(n_actions), *n_actions])
        actions = tuple(rng.integers(size, size=[2, 3, 20], dtype=np.int32) for size in n_actions)
        # Whatever the state.
        states = rng.integers(game.n_states, size=[2, 3, 20], dtype=np.int32)
        _, rewards, _ = game.step(
            tf.constant(tables), tf.constant(states), tuple(map(tf.constant, actions)), tf.zeros([0, 2, 3, 20])
        )
        self.assertLen(rewards, len(n_actions))
        for agent in range(len(n_actions)):
            expected = np.zeros([2, 3, 20])
            for s, n, k in np.ndindex(2, 3, 20):
                expected[s, n, k] = tables[(s, n, agent, *(own[s, n, k] for own in actions))]
            self.assertAllEqual(rewards[agent], expected)


class ExactValuesTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(*itertools.product(GAMES, (0.0, 0.7, 0.96)))
    def test_random_games_and_policies(self, n_actions, discount):
        game = matrix.IteratedMatrixGame(_random_table(n_actions), discount, dtype="float64")
        # Seeds and tasks with payoffs and policies of their own.
        tables = np.random.default_rng(3).normal(size=[2, 2, len(n_actions), *n_actions])
        probs = _random_probs(n_actions, [2, 2])
        values = game.exact_values(tf.constant(tables), tuple(map(tf.constant, probs)))
        self.assertLen(values, len(n_actions))
        for s, n in np.ndindex(2, 2):
            expected = _oracle_values(tables[s, n], [own[s, n] for own in probs], discount)
            self.assertAllClose([value[s, n] for value in values], expected, rtol=1e-12, atol=1e-12)

    def test_float32(self):
        # 40 is the order of the values; solving a well-conditioned 4 × 4 system loses a few of 24 bits.
        game = matrix.IteratedMatrixGame(payoffs.prisoners_dilemma())
        probs = _random_probs((2, 2), [])
        values = game.exact_values(
            tf.constant(game.default_tasks[np.newaxis, np.newaxis], tf.float32),
            tuple(tf.constant(own[np.newaxis, np.newaxis], tf.float32) for own in probs),
        )
        self.assertEqual(values[0].dtype, tf.float32)
        expected = _oracle_values(game.default_tasks, probs, 0.96)
        self.assertAllClose([value[0, 0] for value in values], expected, rtol=1e-5, atol=0.0)

    # The probabilities of cooperating at the start and after CC, CD, DC, DD, and the average rewards.
    @parameterized.named_parameters(
        ("all_logits_zero", [0.5] * 5, [0.5] * 5, [-1.5, -1.5]),
        ("always_defect", [0] * 5, [0] * 5, [-2, -2]),
        ("always_cooperate", [1] * 5, [1] * 5, [-1, -1]),
        ("tit_for_tat", [1, 1, 0, 1, 0], [1, 1, 0, 1, 0], [-1, -1]),
        ("cooperate_against_defect", [1] * 5, [0] * 5, [-3, 0]),
        # Fooled at the first step alone, which has the weight 1 − γ.
        (
            "tit_for_tat_against_defect", [1, 1, 0, 1, 0], [0] * 5,
            [0.04 * -3 + 0.96 * -2, 0.04 * 0 + 0.96 * -2],
        ),
        # CD, DC, CD, ..: −3, 0, −3, .. for one and 0, −3, 0, .. for the other, who is one step ahead.
        (
            "tit_for_tat_out_of_step", [1, 1, 0, 1, 0], [0, 1, 0, 1, 0],
            [-3 / 1.96, -3 * 0.96 / 1.96],
        ),
    )
    def test_known_pairs(self, first, second, mean_rewards):
        game = matrix.IteratedMatrixGame(payoffs.prisoners_dilemma(), discount=0.96, dtype="float64")
        probs = [np.stack([cooperating, np.subtract(1.0, cooperating)], axis=-1) for cooperating in (first, second)]
        values = _exact_values(game, game.default_tasks, probs)
        self.assertAllClose((1 - 0.96) * values, mean_rewards, rtol=1e-12, atol=1e-12)

    @parameterized.parameters(((2, 2),), ((2, 3),), ((2, 3, 2),), ((2,) * 5,))
    def test_derivatives(self, n_actions):
        # Of every agent's value along random directions in all payoffs and probabilities: the first by a
        # complex step of the oracle, the second by central differences (fourth order) of that.
        n_agents, discount = len(n_actions), 0.8
        game = matrix.IteratedMatrixGame(_random_table(n_actions), discount, dtype="float64")
        inputs = [game.default_tasks] + _random_probs(n_actions, [])
        rng = np.random.default_rng(4)
        first, second = [[rng.normal(size=leaf.shape) for leaf in inputs] for _ in range(2)]

        def oracle_first(step):
            moved = [leaf + step * v + 1e-30j * u for leaf, u, v in zip(inputs, first, second)]
            return _oracle_values(moved[0], moved[1:], discount).imag / 1e-30

        h = 1e-4
        expected_first = oracle_first(0.0)
        near, far = oracle_first(h) - oracle_first(-h), oracle_first(2 * h) - oracle_first(-2 * h)
        expected_second = (8 * near - far) / (12 * h)

        leaves = [tf.constant(leaf[np.newaxis, np.newaxis]) for leaf in inputs]
        for agent in range(n_agents):
            with tf.GradientTape() as outer_tape:
                outer_tape.watch(leaves)
                with tf.GradientTape() as inner_tape:
                    inner_tape.watch(leaves)
                    value = game.exact_values(leaves[0], leaves[1:])[agent]
                gradients = inner_tape.gradient(value, leaves)
                along_first = tf.add_n([tf.reduce_sum(leaf * u) for leaf, u in zip(gradients, first)])
            along_second = tf.add_n(
                [tf.reduce_sum(leaf * v) for leaf, v in zip(outer_tape.gradient(along_first, leaves), second)]
            )
            self.assertAllClose(along_first, expected_first[agent], rtol=1e-10, atol=0.0)
            self.assertAllClose(along_second, expected_second[agent], rtol=1e-10, atol=0.0)


class ConstructionTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(0.0, 0, 0.999, np.float32(0.5))
    def test_discounts_that_are_allowed(self, discount):
        game = matrix.IteratedMatrixGame(payoffs.prisoners_dilemma(), discount=discount)
        self.assertEqual(game.spec.discount, float(discount))

    def test_defaults(self):
        game = matrix.IteratedMatrixGame(payoffs.prisoners_dilemma().tolist())
        self.assertEqual((game.spec.discount, game.spec.dtype), (0.96, "float32"))
        self.assertAllEqual(game.default_tasks, payoffs.prisoners_dilemma())

    def test_payoffs_are_a_copy(self):
        table = payoffs.prisoners_dilemma()
        game = matrix.IteratedMatrixGame(table)
        table[:] = 0.0
        self.assertAllEqual(game.default_tasks, payoffs.prisoners_dilemma())


class CooperationTest(tf.test.TestCase, parameterized.TestCase):

    def test_rate(self):
        """Against what is played: the discounted share of cooperation of tit for tat and who cooperates at random."""
        game = mapg.IteratedMatrixGame(
            mapg.payoffs.prisoners_dilemma(), discount=0.5, dtype="float64", metrics=("cooperation",)
        )
        policies = [mapg.tabular_policy(game, agent) for agent in range(2)]
        probs = np.array([[1.0, 1.0, 0.0, 1.0, 0.0], [0.3] * 5])
        tables = [policy.params_of(np.stack([own, 1 - own], axis=-1))[0] for policy, own in zip(policies, probs)]
        params = tuple((tf.constant(table)[tf.newaxis, tf.newaxis],) for table in tables)
        tasks = tf.constant(game.default_tasks)[tf.newaxis, tf.newaxis]
        exact = mapg.ExactEstimator(game, policies).metrics(params, tasks, ())
        # Tit for tat cooperates at first, and then as often as the other did.
        self.assertAllClose([one[0, 0] for one in exact["cooperation"]], [0.5 + 0.5 * 0.3, 0.3], atol=1e-9)
        sampled = mapg.DiceEstimator(game, policies, 2000, 2)
        sample = sampled.sample(params, tasks, mapg.random.root_keys([0]))
        found = [float(one[0, 0]) for one in sampled.metrics(params, tasks, sample)["cooperation"]]
        # Five standard deviations of means of 2,000 at least.
        self.assertAllClose(found, [(1 + 0.3) / 2, 0.3], atol=5 * 0.5 / 2000**0.5)

    def setting(self, n_agents, metrics, probs):
        """(the game, policies of some probabilities of cooperation [1 + 2ⁿ], their parameters, the tasks)."""
        game = mapg.IteratedMatrixGame(payoffs.public_goods(n_agents), discount=0.8, dtype="float64", metrics=metrics)
        policies = [mapg.tabular_policy(game, agent) for agent in range(n_agents)]
        tables = [policy.params_of(np.stack([own, 1 - own], axis=-1))[0] for policy, own in zip(policies, probs)]
        params = tuple((tf.constant(table)[tf.newaxis, tf.newaxis],) for table in tables)
        return game, policies, params, tf.constant(game.default_tasks)[tf.newaxis, tf.newaxis]

    def test_names(self):
        game = mapg.IteratedMatrixGame(payoffs.prisoners_dilemma(), metrics=["cooperation", "cooperation_by_state"])
        names = [f"cooperation{end}" for end in ("", "_at_start", "_after_cc", "_after_cd", "_after_dc", "_after_dd")]
        self.assertEqual(game.spec.metrics, tuple(names))
        names = mapg.IteratedMatrixGame(payoffs.public_goods(3), metrics=["cooperation_by_state"]).spec.metrics
        self.assertEqual((names[0], names[2], len(names)), ("cooperation_at_start", "cooperation_after_ccd", 9))
        with self.assertRaisesRegex(mapg.InvalidInputError, r"must be \('cooperation',\), as not every agent has two"):
            mapg.IteratedMatrixGame(_random_table((2, 3)), metrics=("cooperation_by_state",))
        with self.assertRaisesRegex(mapg.InvalidInputError, "IteratedMatrixGame.metrics = .*: must be a tuple of "):
            mapg.IteratedMatrixGame(payoffs.prisoners_dilemma(), metrics=("cooperation", "cooperation"))

    @parameterized.parameters(2, 3)
    def test_rates_by_state(self, n_agents):
        """They are the policies themselves, exactly; and of samples what a loop over all of their steps counts."""
        probs = np.random.default_rng(n_agents).uniform(0.1, 0.9, size=[n_agents, 1 + 2**n_agents])
        setting = self.setting(n_agents, ("cooperation", "cooperation_by_state"), probs)
        game, policies, params, tasks = setting
        exact = mapg.ExactEstimator(game, policies).metrics(params, tasks, ())
        estimator = mapg.DiceEstimator(game, policies, 3, 6)
        sample = estimator.sample(params, tasks, mapg.random.root_keys([0]))
        sampled = estimator.metrics(params, tasks, sample)
        actions = [own[0, 0].numpy() for own in sample.trajectory.actions]
        for observation, name in enumerate(game.spec.metrics[1:]):
            last = name.rpartition("_")[2]
            for agent in range(n_agents):
                self.assertAllClose(exact[name][agent], [[probs[agent, observation]]], rtol=1e-12, atol=0.0)
                order = [agent, *(other for other in range(n_agents) if other != agent)]
                found = [
                    actions[agent][k, t] == C for k in range(3) for t in range(6)
                    if (last == "start" if t == 0 else last == "".join("cd"[actions[i][k, t - 1]] for i in order))
                ]
                self.assertAllEqual(sampled[name][agent], [[np.mean(found) if found else np.nan]])

    def test_states_that_never_are(self):
        """Two that always cooperate are never anywhere else."""
        game, policies, params, tasks = self.setting(2, ("cooperation_by_state",), np.ones([2, 5]))
        exact = mapg.ExactEstimator(game, policies).metrics(params, tasks, ())
        self.assertEqual({name: float(own[1][0, 0]) for name, own in exact.items() if not np.isnan(own[1][0, 0])},
                         {"cooperation_at_start": 1.0, "cooperation_after_cc": 1.0})
        with tf.GradientTape() as tape:
            tape.watch(params)
            rate = mapg.ExactEstimator(game, policies).metrics(params, tasks, ())["cooperation_after_dd"]
        for own in tape.gradient(rate, params):
            self.assertAllEqual(own[0], np.zeros([1, 1, 5, 1]))

    @parameterized.parameters(mapg.ExactEstimator, functools.partial(mapg.DiceEstimator, n_trajectories=4, horizon=2))
    def test_what_is_not_defined_reaches_nothing_else(self, make_estimator):
        steps = []
        for metrics in ((), ("cooperation_by_state",)):
            game, policies, _, _ = self.setting(2, metrics, np.ones([2, 5]))
            problem = Problem(
                game=game, policies=tuple(policies), agents=(mapg.MetaMAPG(1.0),) * 2,
                estimator=make_estimator(game, policies), task_distribution=mapg.DefaultTasks(game),
            )
            trainer = MetaTrainer(problem, TrainerSettings(n_tasks=2, jit_compile=False), [0])
            steps.append((trainer.step(), trainer.meta_param_values()))
        (without, params), (with_metrics, other_params) = steps
        self.assertAllEqual(without.mean_reward, with_metrics.mean_reward)
        self.assertAllEqual(without.term_norms, with_metrics.term_norms)
        tf.nest.map_structure(self.assertAllEqual, params, other_params)
        if make_estimator is not mapg.ExactEstimator:  # With four trajectories of two steps, some state is in no task.
            self.assertTrue(any(np.any(np.isnan(own)) for own in with_metrics.game_metrics.values()))


if __name__ == "__main__":
    tf.test.main()
