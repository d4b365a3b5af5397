"""The expectation of each sampled estimator, by its own code on every possible trajectory set."""

import inspect

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import oracle as oracle_lib
from tests.tiny_game import TinyGame
from tests.trajectory_sets import TimeBaseline
import tf_metamapg
from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import links
from tf_metamapg import theorem
from tf_metamapg.agents.competitive_gradient_descent import CompetitiveGradientDescent
from tf_metamapg.agents.consensus_optimization import ConsensusOptimization
from tf_metamapg.agents.extragradient import Extragradient
from tf_metamapg.agents.hola import HOLA
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.lola_shaping import LOLAShaping
from tf_metamapg.agents.lola_taylor import LOLATaylor
from tf_metamapg.agents.look_ahead import LookAhead
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.pola import POLA
from tf_metamapg.agents.sos import SOS
from tf_metamapg.agents.symplectic_gradient_adjustment import SymplecticGradientAdjustment
from tf_metamapg.contracts import AgentState
from tf_metamapg.critics.baselines import LeaveOneOutBaseline
from tf_metamapg.critics.baselines import NoBaseline
from tf_metamapg.estimators.dice import DiceEstimator
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.sample import Sample
from tf_metamapg.estimators.sampled import SampledEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator

DISCOUNT = 0.8
ENDINGS = ("together", "apart")
CRITICS = {False: NoBaseline, True: LeaveOneOutBaseline}
ESTIMATORS = [
    member for _, member in inspect.getmembers(tf_metamapg, inspect.isclass)
    if "inner_update" in dir(member) and not inspect.isabstract(member)
]


class Enumeration(TinyGame):
    """A tiny game whose agents adapt, and all chains of sets that can be sampled."""

    def __init__(self, n_agents, horizon, discount=DISCOUNT, ending="endless", by_coin_toss=False):
        super().__init__(n_agents, horizon, discount, ending, by_coin_toss)
        self.rates = np.linspace(0.7, 1.3, n_agents)
        self.agents = [PolicyGradient(rate) for rate in self.rates]
        self.nothing_learned = ((),) * n_agents  # of the updates

    def estimator(self, estimator_class, leave_one_out=False):
        if estimator_class is ExactEstimator:
            return ExactEstimator(self.game, self.policies)
        return estimator_class(
            self.game, self.policies, n_trajectories=1, horizon=1, critic=CRITICS[leave_one_out]
        )

    def sample(self, estimator, members):
        """As that of a tiny game, but for an exact estimator nothing."""
        return () if isinstance(estimator, ExactEstimator) else super().sample(estimator, members)

    def link(self, estimator, members):
        """The initial policies with one K-set for each seed, [Z, K]."""
        joint_params = self.joint_params(list(map(tf.constant, self.logits)), [len(members), 1])
        keys = tf.zeros([len(members), 2], tf.int64)  # nothing more is drawn
        return links.Link(tuple(map(AgentState, joint_params)), self.sample(estimator, members[:, None]), keys)

    def last_link(self, estimator, agent_states):
        """A link of all trajectories, of which means are expectations over what the agents do.

        To a critic each is a set of its own. What an estimator makes of a set is a mean over its trajectories, linear
        in their rewards and in the weights of their steps: both are multiplied by how likely the trajectory is.
        """
        each = self.sample(estimator, np.arange(len(self.oracle.actions))[:, None, None])
        logits = np.stack([state.params[0].numpy()[:, 0, :, 0] for state in agent_states], axis=1)
        probs = self.oracle.probs(logits)
        np.testing.assert_allclose(probs.sum(axis=1), 1.0, rtol=1e-11)
        weights = (probs.shape[1] * probs)[:, None, :, None]
        sample = tf.nest.map_structure(
            lambda leaf: np.repeat(np.swapaxes(leaf, 0, 2), len(probs), axis=0), each
        )
        rewards, step_weights = tf.nest.map_structure(
            lambda leaf: leaf * weights, (sample.trajectory.rewards, sample.step_weights)
        )
        sample = Sample(sample.trajectory._replace(rewards=rewards), step_weights)
        keys = tf.zeros([len(probs), 2], tf.int64)
        return links.Link(agent_states, tf.nest.map_structure(tf.constant, sample), keys)

    def all_chains(self, estimator, members, orders, chain_length=1):
        """Every combination of K-sets along a chain.

        Args:
            estimator: one of `estimators/`.
            members: the sets of every link but the last, [Z, K].
            orders: in how many orders each is sampled, [Z].
            chain_length: L.

        Returns:
            Chain with one seed for each combination, and their probabilities [S].
        """
        chosen = np.unravel_index(np.arange(len(members) ** chain_length), [len(members)] * chain_length)
        tasks, probs = self.tasks(len(chosen[0]), 1), np.ones(len(chosen[0]))
        states, all_links = None, []
        for choice in chosen:
            link = self.link(estimator, members[choice])
            link = link if states is None else link._replace(agent_states=states)
            all_links.append(link)
            states = self.updated(estimator, tasks, link)
            logits = np.stack([params[0].numpy()[:, 0, :, 0] for params in link.joint_params], axis=1)
            probs = probs * orders[choice] * self.oracle.probs_at(logits, members[choice])
        return self.chain(estimator, tasks, (*all_links, self.last_link(estimator, states))), probs

    def updated(self, estimator, tasks, link):
        """The agents' states after one update."""
        return adaptation.inner_update(links.Objectives(estimator, tasks, link), self.agents, self.nothing_learned)

    def chain(self, estimator, tasks, links):
        """Links as a Chain."""
        return adaptation.Chain(
            estimator, tuple(self.agents), self.nothing_learned, tasks, tuple(links), adaptation.identity
        )


def expected_terms(chain, probs, agent, weights=(0.0, 1.0)):
    """E of the three terms of Theorem 1, each [n_observations]."""
    terms = theorem.meta_gradients(chain, agent, weights)
    return [np.einsum("s,so->o", probs, term.initial[0].numpy()[..., 0]) for term in terms]


class OracleTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(2, 3)
    def test_policies_of_coins_by_hand(self, n_agents):
        """With all logits zero every joint action is as likely, and the states follow a chain of three."""
        setting = Enumeration(n_agents, horizon=2)
        probs = setting.oracle.probs(np.zeros_like(setting.logits))
        self.assertLen(probs, 2**n_agents * 2 * 2**n_agents)
        self.assertAllClose(probs.sum(), 1.0, rtol=1e-12, atol=0.0)
        after = setting.transitions[0].reshape([-1, 3]).mean(axis=0)
        rewards = setting.payoffs.reshape([n_agents, 3, -1]).mean(axis=2)
        expected = rewards[:, 0] + DISCOUNT * rewards @ after
        self.assertAllClose(setting.oracle.values(np.zeros_like(setting.logits)), expected, rtol=1e-12, atol=0.0)

    def test_sets_without_order_stand_for_those_with(self):
        oracle, logits = Enumeration(2, 2).oracle, Enumeration(2, 2).logits
        members, orders = oracle.multisets(3)
        self.assertEqual(orders.sum(), 32**3)
        probs = oracle.set_probs(logits, members)
        self.assertAllClose(orders @ probs, 1.0, rtol=1e-12, atol=0.0)
        repeated = np.broadcast_to(logits, [len(members), *logits.shape])
        self.assertAllClose(oracle.probs_at(repeated, members), probs, rtol=1e-12, atol=0.0)

    @parameterized.parameters(2, 3)
    def test_it_is_the_same_game_as_that_of_the_package(self, n_agents):
        """What the game without end adds to the oracle's three steps is of order γ³."""
        discount = 0.01
        setting = Enumeration(n_agents, 3, discount)
        estimator = setting.estimator(ExactEstimator)
        link = setting.link(estimator, np.zeros([1, 1], int))
        values = estimator.objectives(link.joint_params, setting.tasks(1, 1), link.sample)
        remainder = discount**3 / (1 - discount) * np.abs(setting.payoffs).max()
        for value, expected in zip(values, setting.oracle.values(setting.logits)):
            self.assertLess(abs(value.numpy()[0, 0] - expected), remainder)


class SampledUpdatesTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(
        (2, 1, 1, False), (2, 1, 3, True), (2, 2, 2, False), (2, 2, 2, True), (2, 2, 3, True), (2, 3, 1, False),
        (3, 1, 2, True), (3, 1, 3, False), (3, 2, 1, False),
        *((2, 2, size, leave_one_out, ending) for size, leave_one_out in ((1, False), (2, True)) for ending in ENDINGS),
        *((3, 2, 1, False, ending) for ending in ENDINGS),
    )
    def test_it_is_unbiased_and_so_is_each_term(self, n_agents, horizon, size, leave_one_out, ending="endless"):
        setting = Enumeration(n_agents, horizon, ending=ending)
        estimator = setting.estimator(ScoreFunctionEstimator, leave_one_out)
        chain, probs = setting.all_chains(estimator, *setting.oracle.multisets(size))
        self.assertAllClose(probs.sum(), 1.0, rtol=1e-12, atol=0.0)
        for agent in range(n_agents):
            terms = expected_terms(chain, probs, agent)
            arguments = (setting.rates, size, agent, leave_one_out)
            expected = oracle_lib.own_gradient(
                lambda logits, arguments=arguments: setting.oracle.sampled_meta_value(logits, *arguments),
                setting.logits, agent,
            )
            current_policy, self_shaping = setting.oracle.sampled_terms(setting.logits, *arguments)
            self.assertLess(np.max(np.abs(sum(terms) - expected)), 1e-9)
            self.assertLess(np.max(np.abs(terms[0] - current_policy)), 1e-9)
            self.assertLess(np.max(np.abs(terms[1] - self_shaping)), 1e-9)
            self.assertAllEqual(terms[2], np.zeros_like(expected))
            # Far above the tolerance, so that no term is right for being nothing.
            self.assertGreater(np.max(np.abs(terms[0])), 1e-5)
            self.assertGreater(np.max(np.abs(terms[1])), 1e-3)

    @parameterized.parameters((2, 1, False), (2, 2, True))
    def test_the_order_of_the_trajectories_does_not_matter(self, horizon, size, leave_one_out):
        setting = Enumeration(2, horizon)
        estimator = setting.estimator(ScoreFunctionEstimator, leave_one_out)
        members = setting.oracle.all_sets(size)
        by_order, by_set = (
            expected_terms(*setting.all_chains(estimator, *sets), agent=1)
            for sets in ((members, np.ones(len(members))), setting.oracle.multisets(size))
        )
        self.assertAllClose(by_order, by_set, rtol=0.0, atol=1e-12)

    @parameterized.parameters(
        (2, 1, 1, False), (2, 1, 2, True), (2, 2, 1, False), (3, 1, 1, False), (2, 2, 1, False, "together"),
        (2, 2, 1, False, "apart"),
    )
    def test_a_chain_of_two_updates_is_unbiased(self, n_agents, horizon, size, leave_one_out, ending="endless"):
        """Each link before a valued one has a score term; link 1 is valued and sampled from."""
        setting = Enumeration(n_agents, horizon, ending=ending)
        estimator = setting.estimator(ScoreFunctionEstimator, leave_one_out)
        chain, probs = setting.all_chains(estimator, *setting.oracle.multisets(size), chain_length=2)
        self.assertAllClose(probs.sum(), 1.0, rtol=1e-12, atol=0.0)
        for agent, weights in ((0, (0.0, 0.5, 0.5)), (n_agents - 1, (0.3, -0.4, 0.9))):
            terms = expected_terms(chain, probs, agent, weights)
            expected = oracle_lib.own_gradient(
                lambda logits, agent=agent, weights=weights: setting.oracle.sampled_meta_value(
                    logits, setting.rates, size, agent, leave_one_out, weights
                ),
                setting.logits, agent,
            )
            self.assertLess(np.max(np.abs(sum(terms) - expected)), 1e-9)
            self.assertAllEqual(terms[2], np.zeros_like(expected))
            self.assertGreater(np.max(np.abs(terms[0])), 1e-3)
            self.assertGreater(np.max(np.abs(terms[1])), 1e-3)

    def test_a_baseline_of_the_inner_update_changes_the_variance_of_the_estimate(self):
        """The two meta-values differ, as φ is another function of the samples; here the noise of φ is compared."""
        setting = Enumeration(2, 2)
        members, orders = setting.oracle.multisets(2)
        probs = orders * setting.oracle.set_probs(setting.logits, members)
        means, variances = [], []
        for leave_one_out in (False, True):
            estimator = setting.estimator(ScoreFunctionEstimator, leave_one_out)
            updated = setting.updated(estimator, setting.tasks(len(members), 1), setting.link(estimator, members))
            adapted = np.stack([state.params[0].numpy()[:, 0, :, 0] for state in updated], axis=1)
            means.append(np.einsum("z,zjo->jo", probs, adapted))
            variances.append(np.sum(probs[:, None, None] * (adapted - means[-1]) ** 2))
        self.assertAllClose(*means, rtol=0.0, atol=1e-12)
        self.assertAllClose(
            means[0], setting.oracle.expected_update(setting.logits, setting.rates), rtol=0.0, atol=1e-12
        )
        self.assertLess(variances[1], 0.8 * variances[0])

    def test_baseline_of_the_current_policy_term_is_the_other_tasks(self):
        """With two tasks of independent sets, each is the other's baseline: less variance, and the same mean."""
        setting = Enumeration(n_agents=2, horizon=1)
        members = setting.oracle.all_sets(2)
        probs = setting.oracle.set_probs(setting.logits, members)
        adapted = setting.logits + setting.rates[:, None] * setting.oracle.score_gradients(
            setting.logits, members, False
        )
        later_values = setting.oracle.values(adapted)[:, 0]
        first, second = np.divmod(np.arange(len(members) ** 2), len(members))
        pairs = np.stack([first, second], axis=1)
        estimator = setting.estimator(ScoreFunctionEstimator)
        joint_params = setting.joint_params(list(map(tf.constant, setting.logits)), [len(pairs), 2])
        with tf.GradientTape() as tape:
            tape.watch(joint_params)
            objective = estimator.current_policy_objective(
                joint_params, setting.sample(estimator, members[pairs]), 0, tf.constant(later_values[pairs])
            )
        with_baseline = tape.gradient(objective, joint_params[0])[0].numpy()[:, :, 0, 0]  # the first observation
        scores = setting.oracle.scores(setting.logits)[members][:, :, 0, 0, 0].sum(axis=1)
        without = scores[pairs] * later_values[pairs]
        pair_probs = probs[first] * probs[second]
        self.assertAllClose(pair_probs @ with_baseline, pair_probs @ without, rtol=0.0, atol=1e-12)
        self.assertAllClose(with_baseline[:, 0], scores[first] * (later_values[first] - later_values[second]))
        self.assertGreater(np.max(np.abs(pair_probs @ without)), 1e-3)
        self.assertTrue(np.all(pair_probs @ with_baseline**2 < 0.8 * (pair_probs @ without**2)))


class ExpectedUpdatesTest(tf.test.TestCase, parameterized.TestCase):

    # Without a baseline the two differ by a constant.
    @parameterized.parameters((DiceEstimator, False), (DiceEstimator, True), (LoadedDiceEstimator, True))
    def test_bias_of_each_term_falls_as_one_over_k(self, base, leave_one_out):
        """From every multiset of K trajectories of one step: the bias halves when K doubles."""
        setting = Enumeration(n_agents=2, horizon=1)
        estimator = setting.estimator(base, leave_one_out)
        biases = []
        for size in (8, 16, 32):
            chain, probs = setting.all_chains(estimator, *setting.oracle.multisets(size))
            self.assertAllClose(np.sum(probs), 1.0, rtol=1e-11, atol=0.0)
            for agent in range(2):
                terms = expected_terms(chain, probs, agent)
                limits = setting.oracle.expected_terms(setting.logits, setting.rates, agent)
                total = oracle_lib.own_gradient(
                    lambda logits, agent=agent: setting.oracle.expected_meta_value(logits, setting.rates, agent),
                    setting.logits, agent,
                )
                self.assertAllClose(sum(limits), total, rtol=0.0, atol=1e-10)
                self.assertAllEqual(terms[0], np.zeros_like(total))
                biases.append([np.max(np.abs(term - limit)) for term, limit in zip(terms[1:], limits)])
        biases = np.reshape(biases, [3, 2, 2])  # of K, agent and term
        self.assertAllInRange(biases[0], 1e-4, 1.0)
        self.assertAllInRange(biases[0] / biases[1], 1.4, 2.6)
        self.assertAllInRange(biases[1] / biases[2], 1.7, 2.3)

    @parameterized.product(
        base=[DiceEstimator, LoadedDiceEstimator], n_agents=[2, 3], ending=["endless", *ENDINGS],
        critic=[NoBaseline, TimeBaseline],
    )
    def test_terms_of_a_set_with_the_expected_frequencies_have_no_bias(self, base, n_agents, ending, critic):
        """Where every trajectory is there as often as expected, an estimated inner update is the expected one."""
        setting = Enumeration(n_agents, horizon=2, ending=ending, by_coin_toss=True)
        estimator = base(setting.game, setting.policies, n_trajectories=1, horizon=1, critic=critic)
        tasks, first = setting.tasks(1, 1), setting.link(estimator, setting.exact_set()[None])
        updated = setting.updated(estimator, tasks, first)
        adapted = np.stack([state.params[0].numpy()[0, 0, :, 0] for state in updated])
        self.assertAllClose(
            adapted, setting.oracle.expected_update(setting.logits, setting.rates), rtol=0.0, atol=1e-12
        )
        chain = setting.chain(estimator, tasks, (first, setting.last_link(estimator, updated)))
        for agent in range(n_agents):
            terms = expected_terms(chain, np.ones(1), agent)
            limits = setting.oracle.expected_terms(setting.logits, setting.rates, agent)
            self.assertAllEqual(terms[0], np.zeros_like(terms[0]))
            for term, limit in zip(terms[1:], limits):
                self.assertAllClose(term, limit, rtol=0.0, atol=1e-9)
                self.assertGreater(np.max(np.abs(limit)), 1e-3)

    @parameterized.product(agent=[0, 2], base=[DiceEstimator, LoadedDiceEstimator])
    def test_shaping_of_two_opponents_nears_its_limit(self, agent, base):
        setting = Enumeration(n_agents=3, horizon=1)
        limits = np.array(setting.oracle.expected_terms(setting.logits, setting.rates, agent))
        self.assertGreater(np.max(np.abs(limits[1])), 1e-3)
        estimator = setting.estimator(base)
        biases = []
        for size in (2, 4):
            chain, probs = setting.all_chains(estimator, *setting.oracle.multisets(size))
            biases.append(np.array(expected_terms(chain, probs, agent)[1:]) - limits)
        # With the leading term of the bias gone (2 · half − whole), what is left is of second order.
        for whole, half in zip(*biases):
            self.assertGreater(np.max(np.abs(whole)), 1e-4)
            self.assertLess(np.max(np.abs(half)), 0.65 * np.max(np.abs(whole)))
            self.assertLess(np.max(np.abs(2 * half - whole)), 0.5 * np.max(np.abs(half)))

    @parameterized.parameters(2, 3)
    def test_exact_terms_of_a_game_without_end_are_those_of_the_oracle_when_the_future_does_not_count(self, n_agents):
        """With γ = 0 the oracle's H = 1 is all there is."""
        setting = Enumeration(n_agents, horizon=1, discount=0.0)
        estimator = setting.estimator(ExactEstimator)
        tasks, first = setting.tasks(1, 1), setting.link(estimator, np.zeros([1, 1], int))
        updated = setting.updated(estimator, tasks, first)
        chain = setting.chain(estimator, tasks, (first, first._replace(agent_states=updated)))
        for agent in range(n_agents):
            terms = expected_terms(chain, np.ones(1), agent)
            limits = setting.oracle.expected_terms(setting.logits, setting.rates, agent)
            self.assertAllEqual(terms[0], np.zeros_like(terms[0]))
            self.assertAllClose(terms[1], limits[0], rtol=0.0, atol=1e-10)
            self.assertAllClose(terms[2], limits[1], rtol=0.0, atol=1e-10)
            self.assertGreater(np.max(np.abs(limits)), 1e-2)


class MixingTest(tf.test.TestCase, parameterized.TestCase):

    def test_mixing_the_two_kinds_of_inner_updates_counts_opponent_shaping_twice(self):
        """DiCE's surrogate with the current-policy term of sampled inner updates is far from both meta-values."""
        setting = Enumeration(n_agents=2, horizon=1)

        class Mixed(LoadedDiceEstimator):
            current_policy_surrogate = ScoreFunctionEstimator.current_policy_surrogate

        terms = []
        for base in (Mixed, LoadedDiceEstimator, ScoreFunctionEstimator):
            estimator = setting.estimator(base)
            chain, probs = setting.all_chains(estimator, *setting.oracle.multisets(3))
            terms.append(expected_terms(chain, probs, 0))
        mixed, dice, score_function = terms
        self.assertAllClose(sum(mixed), sum(dice) + mixed[0], rtol=1e-12, atol=1e-15)
        # What is added is the account of sampled inner updates of the same effect.
        self.assertAllClose(mixed[0], score_function[0], rtol=1e-9, atol=1e-15)
        excess = np.linalg.norm(sum(mixed) - sum(score_function))
        self.assertGreater(excess, 0.5 * np.linalg.norm(mixed[0]))

    def test_every_estimator_is_looked_at(self):
        self.assertIn(ExactEstimator, ESTIMATORS)
        # By name, as gin makes a subclass of the same name of whatever it may configure.
        names = {(known.__module__, known.__name__) for known in ESTIMATORS}
        for estimator_class in _subclasses(SampledEstimator):
            is_own = estimator_class.__module__.startswith("tf_metamapg.estimators.")
            if is_own and not inspect.isabstract(estimator_class):
                self.assertIn((estimator_class.__module__, estimator_class.__name__), names)

    @parameterized.parameters(*ESTIMATORS)
    def test_no_estimator_counts_the_same_effect_twice(self, estimator_class):
        """Either θ reaches the others' updates through the samples, or through their objectives; never both."""
        setting = Enumeration(n_agents=2, horizon=2)
        members = setting.oracle.all_sets(1)
        estimator = setting.estimator(estimator_class)
        link, tasks = setting.link(estimator, members), setting.tasks(len(members), 1)
        params = link.joint_params
        with tf.GradientTape(persistent=True) as outer_tape:
            outer_tape.watch(params)
            through_samples = estimator.current_policy_objective(
                params, link.sample, 0, tf.constant(np.random.default_rng(0).normal(size=[len(members), 1]))
            )
            with tf.GradientTape() as inner_tape:
                inner_tape.watch(params)
                objective = estimator.objectives(params, tasks, link.sample)[1]
            update = inner_tape.gradient(objective, params[1])
        alive = [
            gradient is not None and np.max(np.abs(gradient)) > 1e-3
            for gradient in (
                outer_tape.gradient(through_samples, params[0][0]), outer_tape.gradient(update, params[0][0])
            )
        ]
        self.assertEqual(alive, {"expected": [False, True], "sampled": [True, False]}[estimator.inner_update])

    @parameterized.parameters(
        LookAhead, LOLAShaping, LOLATaylor, LOLADiCE, SOS, Extragradient, ConsensusOptimization,
        SymplecticGradientAdjustment, CompetitiveGradientDescent, HOLA, POLA,
    )
    def test_agents_that_look_at_others_gradients_refuse_sampled_inner_updates(self, agent_class):
        setting = Enumeration(n_agents=2, horizon=1)
        members, tasks = setting.oracle.all_sets(1), setting.tasks(4, 1)
        estimator = setting.estimator(ScoreFunctionEstimator)
        anticipating = agent_class()
        objectives = links.Objectives(estimator, tasks, setting.link(estimator, members))
        for agent in range(2):
            with self.assertRaises(checks.InvalidInputError) as caught:
                anticipating.gradients(objectives, agent)
            self.assertEqual(
                str(caught.exception),
                "estimator = ScoreFunctionEstimator: must be one of expected inner updates, such as ExactEstimator, "
                "DiceEstimator or LoadedDiceEstimator, for agents that look at the others' gradients",
            )
            # The same agent with an estimator of expected inner updates is fine.
            dice = setting.estimator(DiceEstimator)
            if not agent_class.plays_ahead:
                expected_updates = links.Objectives(dice, tasks, setting.link(dice, members))
                gradients = anticipating.gradients(expected_updates, agent)
                self.assertGreater(np.max(np.abs(gradients[0])), 1e-3)


def _subclasses(base):
    return {base}.union(*map(_subclasses, base.__subclasses__())) - {SampledEstimator}


if __name__ == "__main__":
    tf.test.main()
