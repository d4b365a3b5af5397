"""Proves that opponents are estimated from what they did, and that whoever differentiates reaches themselves."""

import functools
import math

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import links
from tf_metamapg.agents.competitive_gradient_descent import CompetitiveGradientDescent
from tf_metamapg.agents.consensus_optimization import ConsensusOptimization
from tf_metamapg.agents.extragradient import Extragradient
from tf_metamapg.agents.hola import HOLA
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.lola_shaping import LOLAShaping
from tf_metamapg.agents.lola_taylor import LOLATaylor
from tf_metamapg.agents.look_ahead import LookAhead
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.meta_pg import MetaPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.opponent_models import MaximumLikelihood
from tf_metamapg.agents.pola import POLA
from tf_metamapg.agents.sos import SOS
from tf_metamapg.agents.symplectic_gradient_adjustment import SymplecticGradientAdjustment
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import Trajectory
from tf_metamapg.estimators.dice import DiceEstimator
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.games import matrix
from tf_metamapg.games import payoffs
from tf_metamapg.games import stochastic
from tf_metamapg.numerics import random
from tf_metamapg.policies import mlp
from tf_metamapg.policies import opponent_features
from tf_metamapg.policies import recurrent
from tf_metamapg.policies import tabular

MODES = (
    ("eager", lambda function: function),
    ("graph", lambda function: tf.function(function, autograph=False)),
    ("xla", lambda function: tf.function(function, autograph=False, jit_compile=True)),
)

# Far enough for the closed form.
PRECISE = MaximumLikelihood(max_iterations=300, tolerance=1e-8)


class Setting:
    """A random game with random tabular policies of every agent, other ones for every seed and task.

    Each agent has numbers of its own for what it sees of the states.
    """

    def __init__(
        self, n_actions, n_states=3, shape=(2, 2), n_trajectories=200, horizon=8, dtype="float64", ends=None
    ):
        rng = np.random.default_rng(0)
        self.n_actions, self.shape, self.n_agents = n_actions, shape, len(n_actions)
        self.game = stochastic.StochasticGame(
            payoffs=rng.normal(size=[self.n_agents, *n_actions]),
            transitions=rng.dirichlet(np.full(n_states, 3.0), size=[n_states, *n_actions]),
            views=[rng.permutation(n_states) for _ in n_actions], discount=0.9, dtype=dtype,
            ends=ends,
        )
        self.policies = [tabular.tabular_policy(self.game, agent) for agent in range(self.n_agents)]
        self.estimator = DiceEstimator(self.game, self.policies, n_trajectories, horizon)
        self.tasks = tf.constant(
            self.game.default_tasks + rng.normal(size=[*shape, self.n_agents, *n_actions]), dtype
        )
        self.logits = [
            0.5 * rng.normal(size=[*shape, self.game.n_states, size - 1]) for size in n_actions
        ]
        self.joint_params = tuple((tf.constant(own, dtype),) for own in self.logits)

    def link(self):
        """A Link at the policies."""
        keys = random.root_keys(range(self.shape[0]))
        return links.sample_link(self.estimator, states(self.joint_params), self.tasks, keys)

    def by_hand(self, agent, s, n, observations, actions):
        """Where to find the maximum: the log ratios of counts, or the logits of the reference policy.

        Returns:
            array [n_observations, A − 1], and whether each observation occurred.
        """
        logits = self.policies[agent].reference_params[0].numpy().astype(np.float64)
        occurred = np.zeros([len(logits)], bool)
        for observation in range(len(logits)):
            done = actions[s, n][observations[s, n] == observation]
            if done.size:
                counts = [np.sum(done == action) for action in range(self.n_actions[agent])]
                logits[observation] = [math.log(count / counts[-1]) for count in counts[:-1]]
                occurred[observation] = True
        return logits, occurred


def estimated(model, estimator, link, agent_index):
    """The first link of a chain as one agent sees it."""
    known = model.init(estimator, agent_index, link.joint_params[agent_index][0].shape[:2])
    return model.estimate(estimator, link, agent_index, known)[0]


def states(joint_params):
    """Those of agents that are nothing but their parameters."""
    return tuple(map(AgentState, joint_params))


class EstimateTest(tf.test.TestCase, parameterized.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.setting = Setting((2, 3, 2))
        cls.link = cls.setting.link()

    def estimate(self, link, agent_index):
        return estimated(PRECISE, self.setting.estimator, link, agent_index).joint_params

    @parameterized.parameters(0, 1, 2)
    def test_every_opponent_is_estimated_by_its_counts(self, agent_index):
        estimates = self.estimate(self.link, agent_index)
        self.assertLen(estimates, 3)
        for agent in range(3):
            (estimate,) = estimates[agent]
            self.assertEqual(estimate.dtype, tf.float64)
            if agent == agent_index:
                self.assertAllEqual(estimate, self.setting.logits[agent])
                continue
            observations = self.link.sample.trajectory.observations[agent].numpy()
            actions = self.link.sample.trajectory.actions[agent].numpy()
            for s, n in np.ndindex(2, 2):
                expected, occurred = self.setting.by_hand(agent, s, n, observations, actions)
                # So that an estimate of the others' or the true logits would show.
                self.assertTrue(occurred.all())
                self.assertAllGreater(np.abs(expected - self.setting.logits[agent][s, n]), 1e-5)
                # Derivatives are f(p − p̂), with f the frequency of an observation, so that at a tolerance of
                # 1e-8 a logit is within 1e-8/(f p(1 − p)) < 1e-6; frequencies have the 24 bits of float32.
                self.assertAllClose(estimate[s, n], expected, rtol=0.0, atol=1e-5)

    def test_the_rest_of_the_link_is_as_it_was(self):
        setting = Setting((2, 2), shape=(1, 1), n_trajectories=20, horizon=4)
        link = setting.link()
        seen = estimated(MaximumLikelihood(max_iterations=3), setting.estimator, link, agent_index=1)
        self.assertAllEqual(seen.joint_params[1][0], link.joint_params[1][0])
        self.assertIs(seen.sample, link.sample)
        self.assertIs(seen.keys, link.keys)
        self.assertNotAllClose(seen.joint_params[0][0], link.joint_params[0][0], atol=1e-3)
        # The link that was passed in still has its own.
        self.assertAllEqual(link.joint_params[0][0], setting.logits[0])

    def test_the_true_parameters_matter_through_the_trajectory_alone(self):
        expected = self.estimate(self.link, 0)
        rng = np.random.default_rng(1)
        others = tuple((tf.constant(3.0 * rng.normal(size=leaf.shape)),) for (leaf,) in self.link.joint_params)
        estimates = self.estimate(self.link.with_joint_params(others), 0)
        for agent in (1, 2):
            # The parameters are added and subtracted again, which rounds.
            self.assertAllClose(estimates[agent][0], expected[agent][0], rtol=0.0, atol=1e-14)
        self.assertAllEqual(estimates[0][0], others[0][0])
        # Another trajectory has another estimate.
        flipped = self.link._replace(sample=tf.nest.map_structure(
            lambda leaf: tf.reverse(leaf, axis=[0]), self.link.sample
        ))
        mirrored = self.estimate(flipped, 0)
        for agent in (1, 2):
            self.assertAllClose(mirrored[agent][0], tf.reverse(expected[agent][0], axis=[0]), rtol=0.0, atol=1e-5)
            self.assertNotAllClose(expected[agent][0][0], expected[agent][0][1], atol=1e-2)

    def test_derivatives_are_those_of_the_parameters(self):
        rng = np.random.default_rng(2)
        weights = [tf.constant(rng.normal(size=leaf.shape)) for (leaf,) in self.link.joint_params]
        with tf.GradientTape(persistent=True) as outer_tape:
            outer_tape.watch(self.link.joint_params)
            with tf.GradientTape(persistent=True) as inner_tape:
                inner_tape.watch(self.link.joint_params)
                estimates = [leaf for (leaf,) in self.estimate(self.link, 1)]
                sums = [tf.reduce_sum(weight * leaf) for weight, leaf in zip(weights, estimates)]
                cubes = [tf.reduce_sum(weight * leaf**3) for weight, leaf in zip(weights, estimates)]
            gradients = [inner_tape.gradient(cube, self.link.joint_params) for cube in cubes]
        for agent in range(3):
            sum_gradients = inner_tape.gradient(sums[agent], self.link.joint_params)
            slope_gradients = outer_tape.gradient(gradients[agent][agent], self.link.joint_params)
            for other in range(3):
                if other == agent:
                    # The estimate moves as its parameters do, and is taken where it is, not where they are.
                    self.assertAllEqual(sum_gradients[other][0], weights[agent])
                    self.assertAllClose(
                        gradients[agent][other][0], 3 * weights[agent] * estimates[agent] ** 2, rtol=1e-13, atol=0.0
                    )
                    self.assertAllClose(
                        slope_gradients[other][0], 6 * weights[agent] * estimates[agent], rtol=1e-13, atol=0.0
                    )
                else:
                    for nothing in (sum_gradients, gradients[agent], slope_gradients):
                        leaf = nothing[other][0]
                        self.assertAllEqual(tf.zeros_like(weights[other]) if leaf is None else leaf, 0 * weights[other])

    def test_consistency(self):
        # The log ratio of counts over m visits has the variance 1/(m p(1 − p)) for large m, so that the sum
        # of z² over M logits has the distribution χ² with M degrees of freedom. Both sums are below the
        # quantile of 99.95 %, which is confidence 99.9 % for both, and the larger one above that of 0.05 %.
        quantile = tfp.distributions.Chi2(np.float64(12)).quantile
        errors = []
        for n_trajectories in (100, 10000):
            setting = Setting((2, 2), n_trajectories=n_trajectories)
            link = setting.link()
            estimate = estimated(PRECISE, setting.estimator, link, agent_index=0).joint_params[1][0][..., 0].numpy()
            visits = np.stack([
                np.sum(link.sample.trajectory.observations[1] == observation, axis=(2, 3)) for observation in range(3)
            ], axis=-1)
            truth = setting.logits[1][..., 0]
            probability = 1 / (1 + np.exp(-truth))
            scores = (estimate - truth) * np.sqrt(visits * probability * (1 - probability))
            self.assertEqual(scores.size, 12)
            self.assertBetween(np.sum(scores**2), quantile(0.0005), quantile(0.9995))
            # Every observation is seen in a tenth of the 8K steps or more, and p(1 − p) is 0.15 or more.
            smallest = 8 * n_trajectories * 0.1 * 0.15
            self.assertGreater((visits * probability * (1 - probability)).min(), smallest)
            errors.append(np.abs(estimate - truth).max())
            self.assertLess(errors[-1], math.sqrt(quantile(0.9995) / smallest))
        # As 1/√K it shrinks to a tenth; the errors of two samples leave some room.
        self.assertLess(errors[1], errors[0] / 3)


class EndingTest(tf.test.TestCase):

    def test_what_is_done_counts_until_the_end(self):
        """What stands in later steps, the first observation and the first action, would be most of what is seen."""
        setting = Setting((2, 3), ends=np.full([3, 2, 3], 0.6))
        link = setting.link()
        trajectory = link.sample.trajectory
        estimates = estimated(PRECISE, setting.estimator, link, agent_index=0).joint_params
        mask = trajectory.mask[1].numpy()
        self.assertLess(np.mean(mask), 0.3)
        actions = np.where(mask, trajectory.actions[1], -1)
        observations = np.where(mask, trajectory.observations[1], -1)
        for s, n in np.ndindex(2, 2):
            expected, occurred = setting.by_hand(1, s, n, observations, actions)
            self.assertTrue(occurred.all())
            self.assertAllClose(estimates[1][0][s, n], expected, rtol=0.0, atol=1e-5)
        policy = setting.policies[1]
        mean = policy.log_likelihood(trajectory.observations[1], trajectory.actions[1], trajectory.mask[1])
        log_probs = policy.log_probs(setting.joint_params[1], trajectory.observations[1], trajectory.actions[1]).numpy()
        expected = np.sum(log_probs * mask, axis=(2, 3)) / np.sum(mask, axis=(2, 3))
        self.assertAllClose(mean(setting.joint_params[1]), expected, rtol=1e-6, atol=0.0)


class UnvisitedTest(tf.test.TestCase, parameterized.TestCase):
    """Five observations of which some never occurred, K = 2 trajectories of T = 6 steps."""

    # What agent 1 saw and did: after observations 0 and 3 it did both; task 1 has another order of its own.
    OBSERVATIONS = [[[0, 3, 3, 3, 0, 0], [0, 3, 3, 3, 3, 3]], [[0, 2, 2, 2, 2, 0], [0, 0, 0, 0, 2, 2]]]
    ACTIONS = [[[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]], [[0, 0, 1, 0, 0, 1], [0, 0, 0, 1, 1, 0]]]

    def link(self, setting):
        own = tuple(np.array([array], np.int32) for array in (self.OBSERVATIONS, self.ACTIONS))
        observations, actions = ((tf.zeros_like(array), tf.constant(array)) for array in own)
        nothing = tf.zeros([1, 2, 2, 6], setting.game.spec.dtype)
        trajectory = Trajectory(observations, actions, (nothing, nothing))
        sample = setting.estimator.make_sample(trajectory, setting.joint_params)
        return links.Link(states(setting.joint_params), sample, ())

    @parameterized.named_parameters(*MODES)
    def test_keep_the_logits_of_the_reference_policy(self, mode):
        setting = Setting((2, 2), n_states=5, shape=(1, 2))
        link = self.link(setting)
        run = mode(lambda link: estimated(PRECISE, setting.estimator, link, agent_index=0).joint_params[1][0])
        estimate = run(link)
        reference = setting.policies[1].reference_params[0]
        for n, n_seen in ((0, (0, 3)), (1, (0, 2))):
            observations, actions = (field[1].numpy() for field in link.sample.trajectory[:2])
            expected, occurred = setting.by_hand(1, 0, n, observations, actions)
            self.assertAllEqual(np.flatnonzero(occurred), n_seen)
            self.assertAllClose(estimate[0, n][occurred], expected[occurred], rtol=0.0, atol=1e-6)
            self.assertAllClose(estimate[0, n][~occurred], reference[~occurred], rtol=0.0, atol=1e-14)
        # Neither the true logits nor zero.
        self.assertAllGreater(np.abs(setting.logits[1] - reference), 1e-3)
        self.assertAllGreater(np.abs(reference), 1e-3)
        # The counts of the first task by hand: 1 against 3, and 2 against 6.
        self.assertAllClose(estimate[0, 0, 0, 0], math.log(1 / 3), rtol=0.0, atol=1e-6)
        self.assertAllClose(estimate[0, 0, 3, 0], math.log(2 / 6), rtol=0.0, atol=1e-6)

    def test_reference_is_that_of_the_policy_not_of_a_seed(self):
        setting = Setting((2, 2), n_states=5, shape=(1, 2))
        again = tabular.tabular_policy(setting.game, 1)
        self.assertAllEqual(again.reference_params[0], setting.policies[1].reference_params[0])
        self.assertEqual(again.reference_params[0].shape, [5, 1])

    def test_float32(self):
        # A derivative of 1e-4 is as near as the line search comes; the rarest of two observations has the
        # frequency 4/12, so that a logit is within 1e-4/(1/3 · 3/16) < 2e-3.
        setting = Setting((2, 2), n_states=5, shape=(1, 2), dtype="float32")
        link = self.link(setting)
        estimate = estimated(MaximumLikelihood(), setting.estimator, link, agent_index=0).joint_params[1][0]
        self.assertEqual(estimate.dtype, tf.float32)
        self.assertAllClose(estimate[0, 0, 0, 0], math.log(1 / 3), rtol=0.0, atol=2e-3)
        self.assertAllClose(estimate[0, 0, 3, 0], math.log(2 / 6), rtol=0.0, atol=2e-3)

    @parameterized.parameters("float32", "float64")
    def test_an_opponent_without_a_choice(self, dtype):
        setting = Setting((2, 1), shape=(1, 2), n_trajectories=4, horizon=3, dtype=dtype)
        (estimate,) = estimated(MaximumLikelihood(), setting.estimator, setting.link(), agent_index=0).joint_params[1]
        self.assertEqual(estimate.shape, [1, 2, 3, 0])
        self.assertEqual(estimate.dtype, dtype)

    @parameterized.parameters("float32", "float64")
    def test_what_was_always_done_is_likely_and_finite(self, dtype):
        # The likelihood has no maximum then; where BFGS stops is finite, and of the right sign.
        setting = Setting((2, 2), n_states=5, shape=(1, 2), dtype=dtype)
        link = self.link(setting)
        always = tf.constant(np.stack([np.zeros([2, 6]), np.ones([2, 6])])[np.newaxis], tf.int32)
        trajectory = link.sample.trajectory
        trajectory = trajectory._replace(actions=(trajectory.actions[0], always))
        link = link._replace(sample=setting.estimator.make_sample(trajectory, setting.joint_params))
        estimate = estimated(MaximumLikelihood(), setting.estimator, link, agent_index=0).joint_params[1][0]
        self.assertTrue(np.isfinite(estimate).all())
        self.assertAllGreater(tf.gather(estimate[0, 0, :, 0], [0, 3]), 5.0)
        self.assertAllLess(tf.gather(estimate[0, 1, :, 0], [0, 2]), -5.0)

    def test_max_iterations(self):
        # One iteration leaves the reference policy, and does not arrive.
        setting = Setting((2, 2), n_states=5, shape=(1, 2))
        link = self.link(setting)
        after_one, after_many = (
            estimated(MaximumLikelihood(n_iterations, 1e-8), setting.estimator, link, 0).joint_params[1][0].numpy()
            for n_iterations in (1, 300)
        )
        reference = setting.policies[1].reference_params[0].numpy()
        for n, n_seen in ((0, [0, 3]), (1, [0, 2])):
            self.assertAllGreater(np.abs(after_one[0, n, n_seen] - reference[n_seen]), 1e-3)
            self.assertGreater(np.abs(after_one[0, n, n_seen] - after_many[0, n, n_seen]).max(), 1e-3)

    def test_tolerance(self):
        # No derivative is larger than 10, not even at the start.
        setting = Setting((2, 2), n_states=5, shape=(1, 2))
        estimate = estimated(MaximumLikelihood(tolerance=10.0), setting.estimator, self.link(setting), 0)
        expected = np.broadcast_to(setting.policies[1].reference_params[0], [1, 2, 5, 1])
        self.assertAllClose(estimate.joint_params[1][0], expected, rtol=0.0, atol=1e-14)

    def test_it_goes_on_where_it_was(self):
        """Where nothing is seen now, what has been seen before; where it arrived, it stays."""
        setting = Setting((2, 2), n_states=5, shape=(1, 2))
        link = self.link(setting)
        known = PRECISE.init(setting.estimator, 0, (1, 2))
        self.assertAllEqual(known[0][0], np.broadcast_to(setting.policies[1].reference_params[0], [1, 2, 5, 1]))
        _, known = PRECISE.estimate(setting.estimator, link, 0, known)
        _, again = PRECISE.estimate(setting.estimator, link, 0, known)
        self.assertAllEqual(again[0][0], known[0][0])
        # Each task sees what the other one saw: 0 and 2 in place of 0 and 3, so that 3 and 2 stay as they were.
        mirrored = link._replace(sample=tf.nest.map_structure(
            lambda leaf: tf.reverse(leaf, axis=[1]), link.sample
        ))
        _, then = PRECISE.estimate(setting.estimator, mirrored, 0, known)
        self.assertAllEqual(then[0][0][0, 0, 3], known[0][0][0, 0, 3])
        self.assertAllEqual(then[0][0][0, 1, 2], known[0][0][0, 1, 2])
        self.assertAllClose(then[0][0][0, 0, 2], known[0][0][0, 1, 2], rtol=0.0, atol=1e-5)
        # Nobody is reached through what is known.
        with tf.GradientTape() as tape:
            tape.watch(known)
            _, following = MaximumLikelihood(max_iterations=2).estimate(setting.estimator, mirrored, 0, known)
        self.assertEqual(tape.gradient(following, known), ((None,),))


class NetworkTest(tf.test.TestCase, parameterized.TestCase):
    """Policies whose likelihood has more than one maximum, with more parameters than a square of them could be kept."""

    def setting(self, make_policy):
        game = matrix.IteratedMatrixGame(payoffs.prisoners_dilemma(), dtype="float64")
        policies = [tabular.tabular_policy(game, 0), make_policy(game)]
        estimator = DiceEstimator(game, policies, n_trajectories=64, horizon=12)
        params = adaptation.for_each_task(tuple(policy.initial_params([5]) for policy in policies), 1)
        # So that it does something else than a new policy does.
        params = (params[0], tuple(3.0 * leaf for leaf in params[1]))
        tasks = tf.constant(game.default_tasks)[None, None]
        return estimator, links.sample_link(estimator, states(params), tasks, random.root_keys([0]))

    @parameterized.named_parameters(
        ("mlp", lambda game: mlp.mlp_policy(game, 1, hidden_units=(40, 40))),
        ("lstm", lambda game: recurrent.lstm_policy(game, 1, units=20)),
        ("gru", lambda game: recurrent.gru_policy(game, 1, units=20)),
    )
    def test_what_was_done_is_as_likely_as_under_the_true_policy(self, make_policy):
        """By as much as there is noise to be fitted: estimates of one link, and of the same with more iterations."""
        estimator, link = self.setting(make_policy)
        policy, trajectory = estimator.policies[1], link.sample.trajectory
        log_likelihood = policy.log_likelihood(trajectory.observations[1], trajectory.actions[1], None)
        n_params = sum(leaf.shape.num_elements() for leaf in policy.reference_params)
        self.assertGreater(n_params, 1000)
        model = MaximumLikelihood(max_iterations=40)
        known = model.init(estimator, 0, (1, 1))
        reached = [float(log_likelihood(known[0])[0, 0])]
        run = tf.function(lambda known: model.estimate(estimator, link, 0, known)[1], autograph=False)
        for _ in range(2):
            known = run(known)
            reached.append(float(log_likelihood(known[0])[0, 0]))
        truth = float(log_likelihood(link.joint_params[1])[0, 0])
        self.assertGreater(truth - reached[0], 0.02)
        self.assertGreater(reached[1], reached[0] + 0.5 * (truth - reached[0]))
        self.assertGreater(reached[2], max(reached[1], truth))

    def test_two_models_of_recurrent_policies_among_three_agents(self):
        """They are part of one compiled meta-gradient, in which each shapes the others at its estimates."""
        game = matrix.IteratedMatrixGame(payoffs.public_goods(3), dtype="float64")
        policies = [recurrent.gru_policy(game, agent, units=2) for agent in range(3)]
        estimator = LoadedDiceEstimator(game, policies, 4, 3)
        model = MaximumLikelihood(max_iterations=2)
        agents = MetaMAPG(opponent_model=model), MetaMAPG(opponent_model=model), PolicyGradient()
        params = adaptation.for_each_task(tuple(policy.initial_params([0]) for policy in policies), 2)
        tasks = tf.broadcast_to(tf.constant(game.default_tasks), [1, 2, *game.default_tasks.shape])
        keys = [random.fold_in(random.root_keys([0]), link) for link in range(2)]

        @functools.partial(tf.function, autograph=False)
        def gradients():
            chain = adaptation.adapt(estimator, agents, params, tasks, keys)
            return [agents[agent].meta_gradients(chain, agent).opponent_shaping.initial for agent in range(2)]

        for own in gradients():
            self.assertTrue(all(np.isfinite(leaf).all() for leaf in own))
            self.assertGreater(max(np.abs(leaf).max() for leaf in own), 1e-6)


class RecordingModel:
    """An opponent model that knows the truth, and notes what it was asked."""

    def __init__(self, shift=0.0):
        self.asked = []
        self._shift = shift

    def init(self, estimator, agent_index, batch_shape):
        del agent_index
        return tf.zeros(batch_shape, estimator.spec.dtype)

    def estimate(self, estimator, link, agent_index, known):
        del estimator
        self.asked.append((link, agent_index, known))
        seen = link.with_joint_params(tuple(
            params if index == agent_index else tuple(leaf + self._shift for leaf in params)
            for index, params in enumerate(link.joint_params)
        ))
        return seen, known + 1.0


class AgentsTest(tf.test.TestCase, parameterized.TestCase):

    def chain(self, setting, agents):
        keys = random.root_keys(range(setting.shape[0]))
        link_keys = [random.fold_in(keys, index) for index in range(2)]
        return adaptation.adapt(setting.estimator, agents, setting.joint_params, setting.tasks, link_keys)

    @parameterized.parameters(MetaMAPG, MetaPG)
    def test_meta_agents_see_every_link_through_the_model(self, kind):
        setting = Setting((2, 2), n_trajectories=8, horizon=3)
        chain = self.chain(setting, [PolicyGradient(0.3), PolicyGradient(0.3)])
        plain = kind().meta_gradients(chain, agent_index=1)
        truthful, wrong = RecordingModel(), RecordingModel(shift=0.5)
        self.assertAllClose(
            tf.nest.flatten(kind(opponent_model=truthful).meta_gradients(chain, agent_index=1)),
            tf.nest.flatten(plain), rtol=1e-13, atol=1e-13,
        )
        self.assertLen(truthful.asked, 2)
        for step, ((asked_link, agent_index, known), link) in enumerate(zip(truthful.asked, chain.links)):
            self.assertIs(asked_link, link)
            self.assertEqual(agent_index, 1)
            # It is told what it knew after the link before.
            self.assertAllEqual(known, np.full(setting.shape, step))
        # What it says of the opponent is what the chain is differentiated at.
        shifted = chain._replace(links=tuple(
            link.with_joint_params(((link.joint_params[0][0] + 0.5,), link.joint_params[1])) for link in chain.links
        ))
        wrong_gradients = kind(opponent_model=wrong).meta_gradients(chain, agent_index=1)
        expected = kind().meta_gradients(shifted, agent_index=1)
        self.assertAllClose(tf.nest.flatten(wrong_gradients), tf.nest.flatten(expected), rtol=1e-13, atol=1e-13)
        # DiCE's own surrogate has other weights for the opponent's actions then.
        if kind is MetaMAPG:
            self.assertNotAllClose(
                wrong_gradients.opponent_shaping.initial[0], plain.opponent_shaping.initial[0], rtol=1e-3
            )

    @parameterized.parameters(
        LOLADiCE, LOLAShaping, LOLATaylor, LookAhead, SOS, Extragradient, ConsensusOptimization,
        SymplecticGradientAdjustment, CompetitiveGradientDescent, HOLA, POLA,
    )
    def test_who_looks_ahead_sees_its_link_through_the_model(self, kind):
        setting = Setting((2, 2), n_trajectories=8, horizon=3)
        truthful, wrong = RecordingModel(), RecordingModel(shift=0.5)
        (link, *_) = self.chain(setting, [kind(0.3, 0.3), PolicyGradient(0.3)]).links

        def gradients(model, link):
            agent = kind(0.3, 0.3, opponent_model=model)
            self.assertEqual(agent.reads_others, model is None)
            state = agent.init(link.joint_params[0], setting.estimator, agent_index=0)
            objectives = links.Objectives(setting.estimator, setting.tasks, link)
            following = agent.update(state, objectives, 0, ())
            if model is not None:
                _, known = following.extra
                self.assertAllEqual(known, np.ones(setting.shape))
            return (following.params[0] - state.params[0]) / 0.3

        plain = gradients(None, link)
        self.assertAllClose(gradients(truthful, link), plain, rtol=1e-13, atol=1e-13)
        self.assertLen(truthful.asked, 1)
        tf.nest.map_structure(self.assertAllEqual, truthful.asked[0][0], link)
        self.assertEqual(truthful.asked[0][1], 0)
        shifted = link.with_joint_params((link.joint_params[0], (link.joint_params[1][0] + 0.5,)))
        wrong_gradients = gradients(wrong, link)
        self.assertAllClose(wrong_gradients, gradients(None, shifted), rtol=1e-13, atol=1e-13)
        self.assertNotAllClose(wrong_gradients, plain, rtol=1e-3)

    def test_maximum_likelihood_in_a_meta_gradient(self):
        # Opponent-shaping at the estimates, by estimating before.
        setting = Setting((2, 2), shape=(1, 2), n_trajectories=8, horizon=3)
        chain = self.chain(setting, [PolicyGradient(0.3), PolicyGradient(0.3)])
        model = MaximumLikelihood(max_iterations=2)
        terms = MetaMAPG(opponent_model=model).meta_gradients(chain, agent_index=0)
        seen, known = [], model.init(setting.estimator, 0, setting.shape)
        for link in chain.links:
            link, known = model.estimate(setting.estimator, link, 0, known)
            seen.append(tf.nest.map_structure(tf.stop_gradient, link))
        expected = MetaMAPG().meta_gradients(chain._replace(links=tuple(seen)), agent_index=0)
        self.assertAllClose(tf.nest.flatten(terms), tf.nest.flatten(expected), rtol=1e-12, atol=1e-12)
        # The path through the opponent is alive.
        self.assertAllGreater(np.abs(terms.opponent_shaping.initial[0]).max(), 1e-3)


class ConstructionTest(tf.test.TestCase, parameterized.TestCase):

    def assert_message(self, caught, message):
        self.assertEqual(str(caught.exception), message)
        self.assertNotIn("\n", message)

    def test_what_it_starts_from_is_nobody_s_policy(self):
        setting = Setting((2, 2))
        for policy in setting.policies:
            initial = policy.initial_params(range(50))[0].numpy()
            self.assertAllGreater(np.max(np.abs(initial - policy.reference_params[0]), axis=(1, 2)), 0.1)

    @parameterized.parameters(MetaMAPG, LOLADiCE, LOLAShaping)
    def test_exact_values_have_nothing_to_estimate_from(self, kind):
        setting = Setting((2, 2))
        estimator = ExactEstimator(setting.game, setting.policies)
        keys = random.root_keys(range(setting.shape[0]))
        link = links.sample_link(estimator, states(setting.joint_params), setting.tasks, keys)
        message = (
            "estimator = ExactEstimator: must be one that samples, such as LoadedDiceEstimator, for agents with an "
            "opponent model; this lacks simulator, critic, make_sample; see contracts.PlayingEstimator"
        )
        with self.assertRaises(checks.InvalidInputError) as caught:
            estimated(MaximumLikelihood(), estimator, link, agent_index=0)
        self.assert_message(caught, message)
        agent = kind(opponent_model=MaximumLikelihood())
        with self.assertRaises(checks.InvalidInputError) as caught:
            if not agent.is_meta_agent:
                state = agent.init(link.joint_params[0], estimator, agent_index=0)
                agent.update(state, links.Objectives(estimator, setting.tasks, link), 0, ())
            else:
                agents = (agent, PolicyGradient())
                chain = adaptation.Chain(estimator, agents, ((), ()), setting.tasks, (link,), adaptation.identity)
                agent.meta_gradients(chain, agent_index=0)
        self.assert_message(caught, message)

    def test_policies_that_carry_something_are_refused(self):
        game = matrix.IteratedMatrixGame(payoffs.prisoners_dilemma())
        policies = [tabular.tabular_policy(game, 0), opponent_features.opponent_features_policy(game, 1)]
        estimator = ScoreFunctionEstimator(game, policies, 4, 3)
        with self.assertRaisesRegex(
            checks.InvalidInputError, r"^policies\[1\] = .*: must be one that carries nothing over updates, for others"
        ):
            MaximumLikelihood().init(estimator, 0, (1, 1))
        self.assertLen(MaximumLikelihood().init(estimator, 1, (1, 1)), 1)

    @parameterized.parameters(MetaMAPG, MetaPG, LOLADiCE, LOLAShaping, SOS)
    def test_opponent_models_that_are_allowed(self, kind):
        for opponent_model in (None, MaximumLikelihood(), RecordingModel()):
            self.assertIsInstance(kind(opponent_model=opponent_model), kind)


if __name__ == "__main__":
    tf.test.main()
