"""The expectation of each sampled estimator, by its own code on every possible trajectory set."""

import itertools
import math

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import oracle as oracle_lib
from tests.tiny_game import TinyGame
from tf_metamapg import adaptation
from tf_metamapg import returns
from tf_metamapg.agents import theorem
from tf_metamapg.agents.policy_gradient import PolicyGradient
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator

DISCOUNT = 0.8


class Enumeration(TinyGame):
    """A tiny game whose agents adapt once."""

    def __init__(self, n_agents, horizon):
        super().__init__(n_agents, horizon, DISCOUNT)
        self.rates = np.linspace(0.7, 1.3, n_agents)
        self.learners = [PolicyGradient(rate) for rate in self.rates]

    def expected_terms(self, make_estimator, first_sets, first_probs, agent):
        """E of the three terms of Theorem 1 for L = 1, weighted over all sets of both links.

        Args:
            make_estimator: an estimator class.
            first_sets: all trajectory sets of link 0, [Z, N, K]; their first task is looked at.
            first_probs: their probabilities, [Z].
            agent: whose meta-gradient.
        """
        estimator = make_estimator(self.game, self.policies)
        # One trajectory stands for link 1, whose contribution to the estimate is a mean over trajectories.
        n_first, n_last = len(first_sets), len(self.oracle.actions)
        n_tasks = first_sets.shape[1]
        first = np.repeat(first_sets, n_last, axis=0)
        last = np.tile(np.arange(n_last)[:, None, None], [n_first, n_tasks, 1])
        tasks = tf.constant(np.broadcast_to(self.payoffs, (n_first * n_last, n_tasks, *self.payoffs.shape)))
        joint_params = tuple(
            (tf.constant(np.broadcast_to(table[:, None], (n_first * n_last, n_tasks, len(table), 1))),)
            for table in self.logits
        )
        nothing = ((),) * len(self.learners)
        links = [adaptation.Link(joint_params, self.trajectory(first), nothing)]
        rates = adaptation.constant_rates(self.learners, len(first), 1, tf.float64)
        updated = adaptation.inner_update(
            estimator, self.learners, [of_agent[:, 0] for of_agent in rates], tasks, links[0]
        )
        links.append(adaptation.Link(updated, self.trajectory(last), nothing))
        chain = adaptation.Chain(tuple(self.learners), rates, tasks, tuple(links))
        adapted = np.stack([params[0].numpy()[:, 0, :, 0] for params in updated], axis=1)
        last_probs = self.oracle.probs(adapted)[np.arange(len(last)), last[:, 0, 0]]
        weights = np.repeat(first_probs, n_last) * last_probs
        terms = theorem.meta_gradients(estimator, chain, agent, (0.0, 1.0))
        return [np.einsum("s,so->o", weights, term.initial_params[0].numpy()[..., 0]) for term in terms]


def estimator_class(base, baseline):
    return lambda game, policies: base(game, policies, n_trajectories=1, horizon=1, baseline=baseline)


class EnumerationTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(
        (2, 1, 1, False), (2, 1, 3, True), (2, 2, 2, False), (2, 2, 2, True), (2, 3, 1, False), (3, 1, 2, True)
    )
    def test_sampled_reading_is_unbiased(self, n_agents, horizon, size, leave_one_out):
        setting = Enumeration(n_agents, horizon)
        baseline = returns.leave_one_out_baseline if leave_one_out else returns.no_baseline
        members = setting.oracle.all_sets(size)
        probs = setting.oracle.set_probs(setting.logits, members)
        for agent in range(n_agents):
            terms = setting.expected_terms(
                estimator_class(ScoreFunctionEstimator, baseline), members[:, None], probs, agent
            )
            expected = oracle_lib.own_gradient(
                lambda logits, agent=agent: setting.oracle.sampled_meta_value(
                    logits, setting.rates, size, agent, leave_one_out
                ),
                setting.logits, agent,
            )
            self.assertLess(np.max(np.abs(sum(terms) - expected)), 1e-9)
            self.assertAllEqual(terms[2], np.zeros_like(expected))
            self.assertGreater(np.max(np.abs(terms[0])), 1e-3)
            self.assertGreater(np.max(np.abs(terms[1])), 1e-3)

    def test_baseline_of_the_current_policy_term_is_the_other_tasks(self):
        """With two tasks of independent sets, each is the other's baseline, and the mean stays."""
        setting = Enumeration(n_agents=2, horizon=1)
        members = setting.oracle.all_sets(2)
        probs = setting.oracle.set_probs(setting.logits, members)
        pairs = np.stack(
            [np.repeat(members, len(members), axis=0), np.tile(members, [len(members), 1])], axis=1
        )
        estimator = estimator_class(ScoreFunctionEstimator, returns.no_baseline)
        alone = setting.expected_terms(estimator, members[:, None], probs, 0)[0]
        # Both tasks end with the same trajectory here, so the baseline is compared on fixed later values.
        later_values = np.random.default_rng(0).normal(size=len(members))
        later = tf.constant(np.stack([np.repeat(later_values, len(members)), np.tile(later_values, len(members))], 1))
        log_probs = tf.Variable(np.zeros([*pairs.shape, 1]))
        instance = estimator(setting.game, setting.policies)
        with tf.GradientTape() as tape:
            surrogate = instance.current_policy_surrogate(log_probs, later)
        advantages = tape.gradient(surrogate, log_probs).numpy()[..., 0, 0]
        self.assertAllClose(advantages[:, 0], later[:, 0] - later[:, 1])
        self.assertAllClose(advantages[:, 1], later[:, 1] - later[:, 0])
        self.assertGreater(np.max(np.abs(alone)), 1e-3)

    @parameterized.product(agent=[0, 1], baseline=[returns.no_baseline, returns.leave_one_out_baseline])
    def test_bias_of_the_expected_reading_falls_as_one_over_k(self, agent, baseline):
        """DiCE, from every multiset of K trajectories of one step: the bias halves when K doubles."""
        setting = Enumeration(n_agents=2, horizon=1)
        expected = oracle_lib.own_gradient(
            lambda logits: setting.oracle.expected_meta_value(logits, setting.rates, agent), setting.logits, agent
        )
        biases = []
        for size in (4, 8, 16):
            members = np.array(list(itertools.combinations_with_replacement(range(4), size)))
            counts = np.stack([np.sum(members == m, axis=1) for m in range(4)], axis=1)
            orders = [math.factorial(size) / math.prod(map(math.factorial, row)) for row in counts.tolist()]
            probs = np.array(orders) * setting.oracle.set_probs(setting.logits, members)
            self.assertAllClose(np.sum(probs), 1.0, rtol=1e-12, atol=1e-15)
            make_estimator = estimator_class(LoadedDiceEstimator, baseline)
            terms = setting.expected_terms(make_estimator, members[:, None], probs, agent)
            self.assertAllEqual(terms[0], np.zeros_like(expected))
            biases.append(np.max(np.abs(sum(terms) - expected)))
        self.assertGreater(biases[0], 1e-4)
        self.assertBetween(biases[0] / biases[1], 1.6, 2.6)
        self.assertBetween(biases[1] / biases[2], 1.8, 2.3)

    def test_mixing_the_readings_counts_opponent_shaping_twice(self):
        """DiCE's surrogate with the other reading's current-policy term is far from both meta-values."""
        setting = Enumeration(n_agents=2, horizon=1)
        members = setting.oracle.all_sets(3)
        probs = setting.oracle.set_probs(setting.logits, members)

        class Mixed(LoadedDiceEstimator):
            current_policy_surrogate = ScoreFunctionEstimator.current_policy_surrogate

        mixed, dice, score_function = (
            setting.expected_terms(estimator_class(base, returns.no_baseline), members[:, None], probs, 0)
            for base in (Mixed, LoadedDiceEstimator, ScoreFunctionEstimator)
        )
        self.assertAllClose(sum(mixed), sum(dice) + mixed[0], rtol=1e-12, atol=1e-15)
        # What is added is the other reading's account of the same effect.
        self.assertAllClose(mixed[0], score_function[0], rtol=1e-9, atol=1e-15)
        excess = np.linalg.norm(sum(mixed) - sum(score_function))
        self.assertGreater(excess, 0.5 * np.linalg.norm(mixed[0]))


if __name__ == "__main__":
    tf.test.main()
