"""Proves that sampled trajectories follow the game and the policies, and are constants with numbers of their own."""

import collections
import itertools
import math

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tests.small_batches import function_graphs
from tests.tiny_game import TinyGame
from tf_metamapg.contracts import Trajectory
from tf_metamapg.estimators import scoring
from tf_metamapg.estimators.dice import DiceEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.games import matrix
from tf_metamapg.numerics import random
from tf_metamapg.policies import tabular
from tf_metamapg.simulators.in_graph import InGraphSimulator
from tf_metamapg.simulators.in_graph import Uniforms

# The numbers of actions of the agents.
GAMES = ((2, 2), (3, 2), (2, 3, 2))
DISCOUNT = 0.8
BOOL = tf.bool.as_datatype_enum

MODES = (
    ("eager", lambda function: function),
    ("graph", lambda function: tf.function(function, autograph=False)),
    ("xla", lambda function: tf.function(function, autograph=False, jit_compile=True)),
)


class Setting:
    """A random game with random policies and tasks, a different one for every seed and task."""

    def __init__(self, n_actions, shape):
        rng = np.random.default_rng(0)
        self.n_actions, self.shape = n_actions, shape
        self.agents = range(len(n_actions))
        self.joint_actions = list(itertools.product(*map(range, n_actions)))
        self.game = matrix.IteratedMatrixGame(np.zeros([len(n_actions), *n_actions]), DISCOUNT, dtype="float64")
        self.policies = [tabular.tabular_policy(self.game, agent) for agent in self.agents]
        self.tables = rng.normal(size=[*shape, len(n_actions), *n_actions])
        self.logits = [rng.normal(size=[*shape, 1 + len(self.joint_actions), size - 1]) for size in n_actions]

    def draw_uniforms(self, n_trajectories, horizon, first_seed=0):
        """What decides all actions, [T, number of agents, S, N, K]."""
        n_seeds, n_tasks = self.shape
        keys = random.root_keys(range(first_seed, first_seed + n_seeds))
        uniforms = InGraphSimulator(self.game, self.policies, n_trajectories, horizon).draw_uniforms(keys, n_tasks)
        return uniforms.steps

    def play(self, uniforms, logits=None, tables=None):
        joint_params = tuple((tf.constant(own),) for own in (self.logits if logits is None else logits))
        tables = tf.constant(self.tables if tables is None else tables)
        return self.simulator(uniforms).play(joint_params, tables, self.all_uniforms(uniforms))

    def simulator(self, uniforms):
        """One of as many trajectories and steps as there are numbers for."""
        return InGraphSimulator(self.game, self.policies, uniforms.shape[-1], uniforms.shape[0])

    def all_uniforms(self, uniforms):
        """With those of the reset, which takes none."""
        return Uniforms(tf.convert_to_tensor(uniforms), tf.zeros([0, *uniforms.shape[2:]], tf.float64))

    def observation(self, joint_action, agent):
        """What an agent sees: the place of the joint action in the list with its own action first."""
        own_first = [agent] + [other for other in self.agents if other != agent]
        possible = list(itertools.product(*(range(self.n_actions[seen]) for seen in own_first)))
        return 1 + possible.index(tuple(joint_action[seen] for seen in own_first))

    def action_probs(self, agent, s, n, observation):
        exponentials = np.exp(np.append(self.logits[agent][s, n, observation], 0.0))
        return exponentials / exponentials.sum()

    def joint_action_probs(self, s, n, horizon):
        """P(a_t = a) for every joint action, step by step: array [T, number of joint actions]."""

        def probability(joint_action, observations):
            return math.prod(
                self.action_probs(agent, s, n, observations[agent])[joint_action[agent]] for agent in self.agents
            )

        start = [probability(after, [0 for _ in self.agents]) for after in self.joint_actions]
        seen = [[self.observation(before, agent) for agent in self.agents] for before in self.joint_actions]
        transitions = np.array(
            [[probability(after, observations) for after in self.joint_actions] for observations in seen]
        )
        distribution = [np.array(start)]
        for _ in range(horizon - 1):
            distribution.append(distribution[-1] @ transitions)
        return np.array(distribution)


class PlayTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(*GAMES)
    def test_trajectories_are_consistent(self, *n_actions):
        setting = Setting(n_actions, shape=(2, 3))
        uniforms = setting.draw_uniforms(n_trajectories=4, horizon=6).numpy()
        trajectory = setting.play(uniforms)
        self.assertIsInstance(trajectory, Trajectory)
        self.assertEqual([len(field) for field in trajectory], [*[len(n_actions)] * 3, 0, 0])
        self.assertEqual((trajectory.mask, trajectory.metrics), ((), ()))
        for field, dtype in zip(trajectory, (tf.int32, tf.int32, tf.float64)):
            for leaf in field:
                self.assertEqual(leaf.dtype, dtype)
                self.assertEqual(leaf.shape, [2, 3, 4, 6])
        observations, actions, rewards = (np.stack(field) for field in trajectory[:3])
        for s, n, k in np.ndindex(2, 3, 4):
            last = None
            for t in range(6):
                done = tuple(actions[:, s, n, k, t])
                for agent in setting.agents:
                    seen = 0 if last is None else setting.observation(last, agent)
                    self.assertEqual(observations[agent, s, n, k, t], seen)
                    # The action is the first whose cumulative probability exceeds this agent's uniform number.
                    cumulative = np.cumsum(setting.action_probs(agent, s, n, seen))
                    self.assertEqual(done[agent], np.argmax(cumulative > uniforms[t, agent, s, n, k]))
                    self.assertEqual(rewards[agent, s, n, k, t], setting.tables[(s, n, agent, *done)])
                last = done
        for agent, size in enumerate(n_actions):
            self.assertLen(np.unique(actions[agent]), size)
            self.assertLen(np.unique(observations[agent]), 1 + math.prod(n_actions))

    @parameterized.named_parameters(*MODES)
    def test_trajectories_are_a_function_of_the_uniforms(self, mode):
        setting = Setting((3, 2), shape=(2, 3))
        uniforms = setting.draw_uniforms(n_trajectories=10, horizon=6)
        expected, again = setting.play(uniforms), mode(setting.play)(uniforms)
        other = setting.play(setting.draw_uniforms(n_trajectories=10, horizon=6, first_seed=7))
        for field, field_again, field_other in zip(expected, again, other):
            for leaf, leaf_again, leaf_other in zip(field, field_again, field_other):
                self.assertAllEqual(leaf, leaf_again)
                self.assertNotAllEqual(leaf, leaf_other)

    @parameterized.parameters(*GAMES)
    def test_joint_actions_have_the_distribution_of_the_markov_chain(self, *n_actions):
        setting = Setting(n_actions, shape=(2, 2))
        n_trajectories, horizon, n_joint_actions = 4000, 5, math.prod(n_actions)
        trajectory = setting.play(setting.draw_uniforms(n_trajectories, horizon))
        index = np.ravel_multi_index(tuple(own.numpy() for own in trajectory.actions), n_actions)
        # S · N · T · (number of joint actions) ≤ 240 frequencies, all within z standard deviations
        # √(p(1 − p)/K) with confidence 99.9 %: z = Φ⁻¹(1 − 0.001 / 480) = 4.61.
        self.assertLessEqual(2 * 2 * horizon * n_joint_actions, 240)
        for s, n in np.ndindex(2, 2):
            expected = setting.joint_action_probs(s, n, horizon)
            for t in range(horizon):
                frequencies = np.bincount(index[s, n, :, t], minlength=n_joint_actions) / n_trajectories
                spread = np.sqrt(expected[t] * (1 - expected[t]) / n_trajectories)
                self.assertAllInRange(np.abs(frequencies - expected[t]) / spread, 0.0, 4.61)

    @parameterized.parameters(*GAMES)
    def test_discounted_returns_have_the_exact_mean(self, *n_actions):
        setting = Setting(n_actions, shape=(2, 2))
        n_trajectories, horizon = 2000, 60
        trajectory = setting.play(setting.draw_uniforms(n_trajectories, horizon))
        weights = DISCOUNT ** np.arange(horizon)
        # The closed form is for an endless game; what comes after 60 steps is at most this.
        cut_off = np.abs(setting.tables).max() * DISCOUNT**horizon / (1 - DISCOUNT)
        self.assertLess(cut_off, 1e-4)
        probs = tuple(policy.strategy((tf.constant(own),)) for policy, own in zip(setting.policies, setting.logits))
        closed_form = setting.game.exact_values(tf.constant(setting.tables), probs)
        # At most 12 means, all within z standard errors with confidence 99.9 %: z = Φ⁻¹(1 − 0.001 / 24) = 3.94.
        for s, n, agent in np.ndindex(2, 2, len(n_actions)):
            sampled = trajectory.rewards[agent][s, n].numpy() @ weights
            allowed = 3.94 * sampled.std(ddof=1) / np.sqrt(n_trajectories)
            table = setting.tables[s, n, agent].ravel()
            expected = weights @ (setting.joint_action_probs(s, n, horizon) @ table)
            self.assertLess(abs(sampled.mean() - expected), allowed)
            self.assertLess(abs(sampled.mean() - closed_form[agent][s, n]), allowed + cut_off)

    @parameterized.named_parameters(*MODES)
    def test_no_gradient_flows_to_the_parameters(self, mode):
        setting = Setting((2, 2), shape=(1, 2))
        uniforms = setting.draw_uniforms(n_trajectories=3, horizon=4)

        def run(first, second):
            tables, joint_params = tf.constant(setting.tables), ((first,), (second,))
            with tf.GradientTape(persistent=True) as tape:
                tape.watch([first, second])
                trajectory = setting.simulator(uniforms).play(joint_params, tables, setting.all_uniforms(uniforms))
                log_probs = scoring.score(setting.policies, joint_params, trajectory)
            dead = [tape.gradient(leaf, [first, second]) for field in trajectory for leaf in field]
            # The tape does see the log-probabilities of the same actions.
            return dead, [tape.gradient(log_probs[0], first), tape.gradient(log_probs[1], second)]

        dead, alive = mode(run)(*map(tf.constant, setting.logits))
        self.assertEqual(dead, [[None, None]] * 6)
        for gradient in alive:
            self.assertGreater(np.max(np.abs(gradient)), 0.1)

    def test_seeds_and_tasks_depend_on_their_own_uniforms_and_parameters_only(self):
        setting = Setting((3, 2), shape=(2, 3))
        uniforms = setting.draw_uniforms(n_trajectories=20, horizon=6).numpy()
        expected = setting.play(uniforms)
        own = (1, 2)

        def changed(array, change_own):
            """The array, leading axes [S, N], with other numbers for all but one seed and task, or for that alone."""
            result = array.copy() if change_own else np.flip(array, axis=0).copy()
            result[own] = np.flip(array[own]) if change_own else array[own]
            return result

        def play(change_own, what):
            others = np.moveaxis(changed(np.moveaxis(uniforms, [2, 3], [0, 1]), change_own), [0, 1], [2, 3])
            return setting.play(
                others if what == "uniforms" else uniforms,
                [changed(leaf, change_own) for leaf in setting.logits] if what == "logits" else None,
                changed(setting.tables, change_own) if what == "tables" else None,
            )

        fields = ("observations", "actions", "rewards")
        for what in ("uniforms", "logits", "tables"):
            others_changed, own_changed = play(False, what), play(True, what)
            for name in ("rewards",) if what == "tables" else fields:
                for agent in setting.agents:
                    leaf, other_leaf, own_leaf = (
                        getattr(trajectory, name)[agent].numpy()
                        for trajectory in (expected, others_changed, own_changed)
                    )
                    self.assertAllEqual(other_leaf[own], leaf[own])
                    self.assertNotAllEqual(other_leaf, leaf)
                    self.assertNotAllEqual(own_leaf[own], leaf[own])
                    untouched = [place for place in np.ndindex(2, 3) if place != own]
                    for place in untouched:
                        self.assertAllEqual(own_leaf[place], leaf[place])

    def test_one_step(self):
        setting = Setting((2, 2), shape=(1, 1))
        trajectory = setting.play(setting.draw_uniforms(n_trajectories=5, horizon=1))
        for leaf in tf.nest.flatten(trajectory):
            self.assertEqual(leaf.shape, [1, 1, 5, 1])
        self.assertAllEqual(trajectory.observations[1], np.zeros([1, 1, 5, 1]))


class EndingTest(tf.test.TestCase, parameterized.TestCase):
    """Games that start at random and end: for all agents together, or for each at a time of its own."""

    def sample(self, tiny, n_trajectories, horizon, shape=(1, 1), mode=lambda function: function):
        joint_params = tiny.joint_params(list(map(tf.constant, tiny.logits)), shape)
        simulator = InGraphSimulator(tiny.game, tiny.policies, n_trajectories, horizon)
        return mode(simulator.sample)(joint_params, tiny.tasks(*shape), random.root_keys(range(shape[0])))

    @parameterized.product(mode=[0, 1, 2], ending=["together", "apart"], n_agents=[2, 3])
    def test_nothing_is_recorded_of_who_has_left(self, mode, ending, n_agents):
        tiny = TinyGame(n_agents, 6, DISCOUNT, ending)
        trajectory = self.sample(tiny, 20, 6, (2, 3), MODES[mode][1])
        for agent, mask in enumerate(trajectory.mask):
            self.assertEqual((mask.dtype, mask.shape), (tf.bool, [2, 3, 20, 6]))
            self.assertTrue(np.all(mask[..., 0]))
            # Who has left does not come back.
            self.assertFalse(np.any(~mask.numpy()[..., :-1] & mask.numpy()[..., 1:]))
            self.assertBetween(np.mean(mask), 0.2, 0.8)
            metrics = trajectory.metrics.values() if tiny.game.spec.metrics else ()
            for field in (trajectory.observations, trajectory.actions, trajectory.rewards, *metrics):
                leaf = field[agent].numpy()
                self.assertAllEqual(leaf[~mask.numpy()], np.zeros_like(leaf[~mask.numpy()]))
                self.assertTrue(np.all(np.isfinite(leaf)))
        if ending == "together":
            self.assertAllEqual(trajectory.mask[0], trajectory.mask[1])
        else:
            self.assertNotAllEqual(trajectory.mask[0], trajectory.mask[1])
            for rate, action, mask in zip(trajectory.metrics["first_action"], trajectory.actions, trajectory.mask):
                self.assertAllEqual(rate, (action.numpy() == 0) & mask.numpy())
        expected = self.sample(tiny, 20, 6, (2, 3))
        tf.nest.map_structure(self.assertAllEqual, trajectory, expected)

    @parameterized.product(ending=["together", "apart"], n_agents=[2, 3])
    def test_trajectories_have_their_probabilities(self, ending, n_agents):
        """Every one is among those that the oracle knows, and as often as it says, by χ² at confidence 99.9 %."""
        tiny, n_trajectories = TinyGame(n_agents, 2, DISCOUNT, ending), 20_000
        trajectory = self.sample(tiny, n_trajectories, 2)

        def keys(actions, rewards, present):
            """What tells trajectories apart: [M, T, n] each, of which rewards say what the state was."""
            return [
                (one_actions.tobytes(), np.round(one_rewards, 9).tobytes(), one_present.tobytes())
                for one_actions, one_rewards, one_present in zip(
                    actions.astype(np.int32), rewards + 0.0, present.astype(bool)
                )
            ]

        counts = collections.Counter(keys(*(
            np.stack(field, axis=-1)[0, 0] for field in (trajectory.actions, trajectory.rewards, trajectory.mask)
        )))
        own = tiny.oracle
        probs = collections.Counter()
        for key, prob in zip(keys(own.actions, own.rewards, own.present), own.probs(tiny.logits)):
            probs[key] += prob
        self.assertLen(probs, len(own.actions))
        self.assertEmpty(set(counts) - set(probs))
        expected = n_trajectories * np.array(list(probs.values()))
        actual = np.array([counts[key] for key in probs])
        statistic = np.sum((actual - expected) ** 2 / expected)
        quantile = tfp.distributions.Chi2(np.float64(len(probs) - 1)).quantile
        self.assertLess(statistic, quantile(0.999))

    def test_a_game_of_one_step(self):
        trajectory = self.sample(TinyGame(2, 1, DISCOUNT, "apart"), 5, 1)
        for mask in trajectory.mask:
            self.assertAllEqual(mask, np.ones([1, 1, 5, 1], bool))


class OperationsTest(tf.test.TestCase, parameterized.TestCase):
    """Of a game that does not end, nothing is computed for masks."""

    def graph(self, ending, estimator_class):
        """The graph of all that an estimator computes, with derivatives, for sizes that are all different."""
        tiny = TinyGame(2, 2, DISCOUNT, ending)
        estimator = estimator_class(tiny.game, tiny.policies, n_trajectories=5, horizon=7)
        later = tf.ones([2, 3], tf.float64)

        def everything(joint_params, tasks, keys):
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(joint_params)
                sample = estimator.sample(joint_params, tasks, keys)
                objectives = estimator.objectives(joint_params, tasks, sample)
                through_samples = estimator.current_policy_objective(joint_params, sample, 0, later)
                entropies = estimator.entropies(joint_params, tasks, sample)
            return [tape.gradient(each, joint_params) for each in (objectives, through_samples, entropies)], [
                sample, estimator.values(joint_params, tasks, sample),
                estimator.mean_rewards(joint_params, tasks, sample), estimator.metrics(joint_params, tasks, sample),
            ]

        joint_params = tiny.joint_params(list(map(tf.constant, tiny.logits)), [2, 3])
        function = tf.function(everything, autograph=False)
        return function.get_concrete_function(joint_params, tiny.tasks(2, 3), random.root_keys([0, 1])).graph

    def mask_operations(self, graph):
        """What there is only for masks: lists of bools, bools of every step, and bools in other shapes."""
        found = []
        for inner in function_graphs(graph):
            for operation in inner.get_operations():
                attributes = operation.node_def.attr
                is_of_lists = operation.type.startswith("TensorList") and attributes["element_dtype"].type == BOOL
                bools = [out for out in operation.outputs if out.dtype == tf.bool]
                is_of_steps = any(out.shape.rank == 4 and out.shape[2:] == [5, 7] for out in bools)
                is_expanded = operation.type == "Reshape" and operation.inputs[0].dtype == tf.bool
                if is_of_lists or is_of_steps or is_expanded:
                    found.append(operation.type)
        return found

    @parameterized.parameters(DiceEstimator, LoadedDiceEstimator, ScoreFunctionEstimator)
    def test_masks_are_for_games_that_end(self, estimator_class):
        self.assertEmpty(self.mask_operations(self.graph("endless", estimator_class)))
        found = self.mask_operations(self.graph("together", estimator_class))
        self.assertContainsSubset(["TensorListReserve", "Reshape", "Transpose"], found)


class DrawUniformsTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters("float32", "float64")
    def test_shape_and_dtype(self, dtype):
        game = matrix.IteratedMatrixGame(np.zeros([3, 2, 2, 2]), dtype=dtype)
        policies = [tabular.tabular_policy(game, agent) for agent in range(3)]
        simulator = InGraphSimulator(game, policies, n_trajectories=5, horizon=6)
        uniforms = simulator.draw_uniforms(random.root_keys(range(2)), n_tasks=4)
        self.assertEqual(uniforms.steps.shape, [6, 3, 2, 4, 5])
        self.assertEqual(uniforms.reset.shape, [0, 2, 4, 5])
        for numbers in uniforms:
            self.assertEqual(numbers.dtype, dtype)
        self.assertAllInRange(uniforms.steps, 0.0, 1.0, open_upper_bound=True)

    def test_every_action_has_a_number_of_its_own(self):
        uniforms = Setting((2, 2), shape=(3, 4)).draw_uniforms(n_trajectories=5, horizon=6)
        self.assertLen(np.unique(uniforms), 6 * 2 * 3 * 4 * 5)

    def test_seeds_are_independent_of_each_other(self):
        together = Setting((2, 2), shape=(5, 4)).draw_uniforms(n_trajectories=3, horizon=6)
        for seed in range(5):
            alone = Setting((2, 2), shape=(1, 4)).draw_uniforms(n_trajectories=3, horizon=6, first_seed=seed)
            self.assertAllEqual(together[:, :, seed], alone[:, :, 0])


if __name__ == "__main__":
    tf.test.main()
