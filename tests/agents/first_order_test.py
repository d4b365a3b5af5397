"""Proves that first-order meta-agents hold their gradients constant, in their own meta-gradient and nowhere else."""

import functools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests.agents import meta_values
from tf_metamapg import adaptation
from tf_metamapg import links
from tf_metamapg import theorem
from tf_metamapg.agents.first_order import FirstOrderMetaMAPG
from tf_metamapg.agents.first_order import FirstOrderMetaPG
from tf_metamapg.agents.fixed import Fixed
from tf_metamapg.agents.learning_rates import LearnedRates
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.meta_pg import MetaPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.optimizers import Momentum
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import tabular_policy

LENGTHS = (1, 2, 3)


def meta_value(setting, chain, weights, own_table, with_opponents):
    """Σ_l w_l V⁰(θ⁰ + c_l, φ_l¹) with the sums c_l of agent 0's own steps as they are in a chain, [S] for each point.

    `with_opponents` says whether agent 1's φ_l¹ is that of a chain in which agent 0 goes through θ⁰ + c_l, or that of
    the given one.
    """
    times = own_table.shape[0] // meta_values.N_SEEDS
    tables = [meta_values.tiled(link.joint_params, times) for link in chain.links]
    own = tf.repeat(own_table[:, tf.newaxis], meta_values.N_TASKS, axis=1)
    tasks = meta_values.tiled(setting.tasks, times)
    opponent, total = tables[0][1], 0.0
    for step, (weight, (own_then, opponent_then)) in enumerate(zip(weights, tables)):
        (held,), (first,) = own_then, tables[0][0]
        joint_params = ((own + held - first,), opponent if with_opponents else opponent_then)
        values = setting.estimator.values(joint_params, tasks, ())
        total += weight * np.mean(values[0], axis=1)
        if step + 1 < len(weights):
            with tf.GradientTape() as tape:
                tape.watch(joint_params[1])
                value = setting.estimator.values(joint_params, tasks, ())[1]
            (gradient,) = tape.gradient(value, joint_params[1])
            opponent = (opponent[0] + 0.4 * gradient,)
    return total


def finite_differences(function, table, step=1e-3):
    """The gradient of a function [P · S, n, 1] → [P · S] to fourth order, all points at once."""
    n_seeds, size, _ = table.shape
    shifts = np.multiply.outer(np.array([1, -1, 2, -2]), step * np.eye(size)).reshape([4 * size, 1, size, 1])
    points = (table + shifts).reshape([4 * size * n_seeds, size, 1])
    near, near_back, far, far_back = np.reshape(function(tf.constant(points)), [4, size, n_seeds])
    return ((8 * (near - near_back) - (far - far_back)) / (12 * step)).T[..., np.newaxis]


class FirstOrderTest(tf.test.TestCase, parameterized.TestCase):

    def terms(self, agent, chain_length):
        setting = meta_values.MetaValues([agent, PolicyGradient(0.4)], chain_length)
        chain = setting.chain()
        return setting, chain, agent.meta_gradients(chain, 0)

    @parameterized.parameters(*LENGTHS)
    def test_against_finite_differences_with_held_steps(self, chain_length):
        for agent in (FirstOrderMetaMAPG(0.7), FirstOrderMetaMAPG(0.7, Momentum(), entropy_bonus=0.1)):
            setting, chain, terms = self.terms(agent, chain_length)
            weights, table = theorem.mean_over_chain(chain_length), setting.initial_params[0][0].numpy()
            value = functools.partial(meta_value, setting, chain, weights)
            total, own = (
                finite_differences(functools.partial(value, with_opponents=which), table) for which in (True, False)
            )
            self.assertAllClose(terms.total.initial[0], total, rtol=1e-7, atol=1e-9)
            self.assertAllClose(terms.self_shaping.initial[0], own, rtol=1e-7, atol=1e-9)
            self.assertGreater(np.max(np.abs(total - own)), 1e-3)

    @parameterized.parameters(*LENGTHS)
    def test_own_terms_are_the_policy_gradients_along_the_chain(self, chain_length):
        setting, chain, terms = self.terms(FirstOrderMetaPG(0.7), chain_length)
        expected = 0.0
        for link in chain.links[1:]:
            (own, other), tasks = link.joint_params, setting.tasks
            with tf.GradientTape() as tape:
                tape.watch(own)
                value = setting.estimator.values((own, other), tasks, ())[0]
            expected += np.mean(tape.gradient(value, own)[0], axis=1) / chain_length
        self.assertAllClose(terms.total.initial[0], expected, rtol=1e-12)
        self.assertAllEqual(terms.opponent_shaping.initial[0], np.zeros_like(expected))

    @parameterized.parameters(*LENGTHS)
    def test_what_shapes_the_others_is_all_that_the_two_differ_by(self, chain_length):
        """With opponents that do not learn both are one, and so are both without opponent-shaping."""
        setting, chain, mapg_terms = self.terms(FirstOrderMetaMAPG(0.7), chain_length)
        pg_terms = FirstOrderMetaPG(0.7).meta_gradients(chain, 0)
        self.assertAllClose(mapg_terms.self_shaping.initial[0], pg_terms.total.initial[0], rtol=1e-12)
        self.assertGreater(np.max(np.abs(mapg_terms.opponent_shaping.initial[0])), 1e-3)
        still = meta_values.MetaValues([FirstOrderMetaMAPG(0.7), Fixed()], chain_length).chain()
        mapg_terms, pg_terms = (
            agent.meta_gradients(still, 0) for agent in (FirstOrderMetaMAPG(0.7), FirstOrderMetaPG(0.7))
        )
        self.assertAllClose(mapg_terms.total.initial[0], pg_terms.total.initial[0], rtol=1e-12)

    @parameterized.parameters((FirstOrderMetaMAPG, MetaMAPG), (FirstOrderMetaPG, MetaPG))
    def test_opponent_shaping_of_one_update_is_that_of_the_whole(self, make_first_order, make_whole):
        """∂V⁰/∂φ¹ · dφ¹/dθ⁰ has nothing of agent 0's own update in it; what passes through that has lost I + α∇²V⁰."""
        _, chain, terms = self.terms(make_first_order(0.7), 1)
        whole = make_whole(0.7).meta_gradients(chain, 0)
        self.assertAllClose(terms.opponent_shaping.initial[0], whole.opponent_shaping.initial[0], rtol=1e-12)
        difference = np.abs(terms.self_shaping.initial[0] - whole.self_shaping.initial[0])
        self.assertGreater(np.max(difference), 1e-3)

    @parameterized.parameters(*LENGTHS)
    def test_others_shape_it_as_if_it_were_whole(self, chain_length):
        """To an agent that shapes it, a first-order meta-agent has the update that it has."""
        whole, first_order = (
            MetaMAPG(0.4).meta_gradients(
                meta_values.MetaValues([agent, PolicyGradient(0.4)], chain_length).chain(), 1
            )
            for agent in (MetaMAPG(0.7), FirstOrderMetaMAPG(0.7))
        )
        tf.nest.map_structure(self.assertAllEqual, whole, first_order)
        self.assertGreater(np.max(np.abs(first_order.opponent_shaping.initial[0])), 1e-3)

    def test_learned_rates_have_a_gradient(self):
        """θ⁰ + exp(rate) · constant: of one update ⟨∇ᵢV⁰(φ₁), exp(rate) ∇ᵢV⁰(θ)⟩, as for the whole."""
        agent = FirstOrderMetaPG(LearnedRates(0.7))
        _, chain, terms = self.terms(agent, 1)
        whole = MetaPG(LearnedRates(0.7)).meta_gradients(chain, 0)
        self.assertAllClose(terms.self_shaping.update, whole.self_shaping.update, rtol=1e-12)
        self.assertGreater(np.min(np.abs(tf.nest.flatten(terms.self_shaping.update)[0])), 1e-3)

    @parameterized.parameters(LoadedDiceEstimator, ScoreFunctionEstimator)
    def test_of_samples_self_shaping_is_the_policy_gradient_after_the_update(self, make_estimator):
        game = IteratedMatrixGame(payoffs.prisoners_dilemma(), discount=0.9, dtype="float64")
        policies = [tabular_policy(game, agent) for agent in range(2)]
        estimator = make_estimator(game, policies, 8, 5)
        params = adaptation.for_each_task(tuple(policy.initial_params([0, 1]) for policy in policies), 3)
        keys = [random.fold_in(random.root_keys([0, 1]), link) for link in range(2)]
        tasks = tf.broadcast_to(tf.constant(game.default_tasks), [2, 3, *game.default_tasks.shape])
        agents = FirstOrderMetaMAPG(0.5), PolicyGradient(0.5)
        chain = adaptation.adapt(estimator, agents, params, tasks, keys)
        terms, whole = (agent.meta_gradients(chain, 0) for agent in (agents[0], MetaMAPG(0.5)))
        gradients = links.Objectives(estimator, tasks, chain.links[1]).gradients(0, with_respect_to=0)
        self.assertAllClose(terms.self_shaping.initial[0], np.mean(gradients[0], axis=1), rtol=1e-12)
        # What the update is made of is in these, and not how it is derived in the agent's own parameters.
        for name in ("current_policy", "opponent_shaping"):
            self.assertAllClose(getattr(terms, name).initial[0], getattr(whole, name).initial[0], rtol=1e-12)


if __name__ == "__main__":
    tf.test.main()
