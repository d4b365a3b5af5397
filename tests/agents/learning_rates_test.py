"""What updates are made with: constants, or what a meta-gradient reaches, for each update or each parameter of each."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests.agents.meta_values import MetaValues
from tests.agents.meta_values import N_SEEDS
from tests.agents.meta_values import NEVER_VISITED
from tests.agents.meta_values import VISITED
from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg.agents.learning_rates import ConstantRate
from tf_metamapg.agents.learning_rates import LearnedRates
from tf_metamapg.agents.learning_rates import LearnedRatesPerParameter
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.optimizers import Adam
from tf_metamapg.agents.optimizers import Momentum
from tf_metamapg.agents.optimizers import SGD
from tf_metamapg.agents.sos import SOS
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.policies.mlp import mlp_policy
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.theorem import mean_over_chain

OPTIMIZERS = {"SGD": SGD, "Momentum": lambda: Momentum(0.7), "Adam": lambda: Adam(0.8, 0.9, 0.05)}


class MetaGradientTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(name=list(OPTIMIZERS), chain_length=[1, 2, 3])
    def test_of_a_rate_for_each_parameter_of_each_update(self, name, chain_length):
        """Each term against finite differences, at rates that differ, of which some are negative."""
        agents = MetaMAPG(LearnedRatesPerParameter(0.5), OPTIMIZERS[name]()), PolicyGradient(0.4, OPTIMIZERS[name]())
        rates = np.random.default_rng(1).normal(0.4, 0.5, size=[N_SEEDS, chain_length, 3, 1])
        self.assertLess(np.min(rates), -0.1)
        self.check(agents, chain_length, (tf.constant(rates),), lambda leaf: (leaf,))

    @parameterized.product(name=list(OPTIMIZERS), chain_length=[1, 3])
    def test_of_the_logarithm_of_a_rate_for_each_update(self, name, chain_length):
        agents = MetaMAPG(LearnedRates(0.5), OPTIMIZERS[name]()), SOS(0.4, 0.4, optimizer=OPTIMIZERS[name]())
        rates = np.random.default_rng(0).normal(-0.5, 0.4, size=[N_SEEDS, chain_length])
        self.check(agents, chain_length, tf.constant(rates), lambda leaf: leaf)

    def check(self, agents, chain_length, own, pack):
        values = MetaValues(agents, chain_length)
        chain = values.chain(update_params=(own, ()))
        terms = agents[0].meta_gradients(chain, 0)
        for part in ("initial", "update"):
            (total,), (own_part,) = values.derivatives(chain, 0, mean_over_chain(chain_length), part)
            scale = np.max(np.abs(total))
            for term, expected in ((terms.total, total), (terms.self_shaping, own_part)):
                (actual,) = tf.nest.flatten(getattr(term, part))
                self.assertAllClose(actual, expected, rtol=0.0, atol=1e-7 * scale)
            (shaping,) = tf.nest.flatten(getattr(terms.opponent_shaping, part))
            self.assertAllClose(shaping, total - own_part, rtol=0.0, atol=2e-7 * scale)
        for term in terms:
            tf.nest.assert_same_structure(term.update, pack(total))
        # The last step comes too late to reach the opponent.
        (shaping,) = tf.nest.flatten(terms.opponent_shaping.update)
        self.assertAllEqual(shaping[:, -1], np.zeros_like(shaping[:, -1]))
        if len(shaping.shape) == 4:
            self.assertAllEqual(shaping[:, :, NEVER_VISITED], np.zeros([N_SEEDS, chain_length, 1, 1]))
            shaping = np.max(np.abs(shaping[:, :, VISITED]), axis=(2, 3))
        self.assertTrue(np.all(np.abs(shaping[:, :-1]) > 1e-5))

    def test_rates_that_are_all_the_same_are_one_constant(self):
        terms = []
        for rate in (0.3, LearnedRates(0.3), LearnedRatesPerParameter(0.3), ConstantRate(0.3)):
            agents = MetaMAPG(rate), PolicyGradient(0.4)
            terms.append(agents[0].meta_gradients(MetaValues(agents, 2).chain(), 0))
        for other in terms[1:]:
            self.assertAllClose(other.total.initial[0], terms[0].total.initial[0], rtol=1e-12, atol=0.0)
        # d/d log α = Σ over parameters of α d/dα.
        summed = 0.3 * np.sum(terms[2].total.update[0], axis=(2, 3))
        self.assertAllClose(terms[1].total.update, summed, rtol=1e-12, atol=0.0)
        self.assertEqual((terms[0].total.update, terms[3].total.update), ((), ()))

    def test_a_chain_that_is_longer_than_what_was_learned_goes_on_with_the_last(self):
        rates = tf.constant(np.arange(6.0).reshape([2, 3]))
        for step, expected in ((0, [0.0, 3.0]), (2, [2.0, 5.0]), (7, [2.0, 5.0])):
            self.assertAllEqual(adaptation.at_step(rates, step), expected)

    def test_without_updates_there_is_nothing_to_learn_about_them(self):
        for make, shapes in ((LearnedRates, [[N_SEEDS, 1]]), (LearnedRatesPerParameter, [[N_SEEDS, 1, 3, 1]])):
            agents = MetaMAPG(make(0.5)), PolicyGradient(0.4)
            terms = agents[0].meta_gradients(MetaValues(agents, 0).chain(), 0)
            for term in terms:
                leaves = tf.nest.flatten(term.update)
                self.assertEqual([list(leaf.shape) for leaf in leaves], shapes)
                self.assertFalse(np.any(leaves[0]))


class StepTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters("float32", "float64")
    def test_what_is_learned_begins_with_the_rate(self, dtype):
        game = IteratedMatrixGame(np.ones([2, 2, 2]), dtype=dtype)
        for policy in (tabular_policy(game, 0), mlp_policy(game, 1, hidden_units=(3,))):
            for chain_length in (0, 1, 4):
                n_steps = max(chain_length, 1)
                self.assertEqual(ConstantRate(0.3).init_update(policy, 2, chain_length), ())
                log_rates = LearnedRates(0.3).init_update(policy, 2, chain_length)
                self.assertEqual(log_rates.dtype, dtype)
                self.assertAllClose(log_rates, np.full([2, n_steps], np.log(0.3)), rtol=1e-6, atol=0.0)
                rates = LearnedRatesPerParameter(0.3).init_update(policy, 2, chain_length)
                for rate, leaf in zip(rates, policy.reference_params, strict=True):
                    self.assertEqual(rate.dtype, dtype)
                    self.assertAllClose(rate, np.full([2, n_steps, *leaf.shape], 0.3), rtol=1e-6, atol=0.0)

    def test_steps(self):
        generator = np.random.default_rng(0)
        direction = generator.normal(size=[2, 3, 4, 5]), generator.normal(size=[2, 3, 6])
        tensors = tuple(map(tf.constant, direction))
        log_rates, rates = generator.normal(size=[2]), (generator.normal(size=[2, 4, 5]), generator.normal(size=[2, 6]))
        each_rate = np.exp(log_rates)[:, None, None]
        for kind, step_params, factors in (
            (ConstantRate, (), (0.3, 0.3)),
            (LearnedRates, tf.constant(log_rates), (each_rate[..., None], each_rate)),
            (LearnedRatesPerParameter, tuple(map(tf.constant, rates)), (rates[0][:, None], rates[1][:, None])),
        ):
            for step, leaf, factor in zip(kind(0.3).scaled(tensors, step_params), direction, factors, strict=True):
                self.assertAllClose(step, factor * leaf, rtol=1e-14, atol=0.0)

    def test_bad_input_is_rejected(self):
        direction = (tf.ones([2, 3, 4], tf.float64),)
        for make, message in (
            (lambda: ConstantRate(-1.0), "ConstantRate.learning_rate = -1.0: must be a finite number ≥ 0.0"),
            (lambda: LearnedRates(0.0), "LearnedRates.learning_rate = 0.0: must be > 0"),
            (
                lambda: LearnedRatesPerParameter("1"),
                "LearnedRatesPerParameter.learning_rate = '1': must be a finite number ≥ 0.0",
            ),
            (
                lambda: ConstantRate(1.0).scaled(direction, tf.ones([2])),
                "step_params = float32 [2]: must be (), as nothing of this agent's updates is learned",
            ),
            (
                lambda: LearnedRates(1.0).scaled(direction, tf.ones([3], tf.float64)),
                "step_params = float64 [3]: must be float64 [2]",
            ),
            (lambda: LearnedRates(1.0).scaled(direction, ()), "step_params = (): must be float64 [2]"),
            (
                lambda: LearnedRatesPerParameter(1.0).scaled(direction, ()),
                "step_params = (): must be a tuple of 1, one for each variable",
            ),
            (
                lambda: LearnedRatesPerParameter(1.0).scaled(direction, (tf.ones([2, 4]),)),
                "step_params[0] = float32 [2, 4]: must be float64 [2, 4]",
            ),
            (
                lambda: PolicyGradient(LearnedRates),
                f"PolicyGradient.inner_learning_rate = {LearnedRates!r}: must be a finite number ≥ 0.0 or a "
                "learning rate, such as LearnedRates(); this is a class",
            ),
        ):
            with self.assertRaises(checks.InvalidInputError) as caught:
                make()
            self.assertEqual(str(caught.exception), message)


if __name__ == "__main__":
    tf.test.main()
