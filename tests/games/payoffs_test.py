"""Proves every payoff table against what its name stands for in the literature."""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg.games import payoffs

C, D = 0, 1

SYMMETRIC = (
    ("prisoners_dilemma", payoffs.prisoners_dilemma),
    ("stag_hunt", payoffs.stag_hunt),
    ("chicken", payoffs.chicken),
    ("rock_paper_scissors", payoffs.rock_paper_scissors),
    ("public_goods_of_two", lambda: payoffs.public_goods(2, 1.5)),
    ("public_goods_of_three", payoffs.public_goods),
    ("public_goods_of_four", lambda: payoffs.public_goods(4, 2.5)),
    ("public_goods_of_five", lambda: payoffs.public_goods(5, 3.0)),
    ("pola_prisoners_dilemma", payoffs.pola_prisoners_dilemma),
)
TABLES = (*SYMMETRIC, ("matching_pennies", payoffs.matching_pennies))


def _of_agent_0(table):
    """Reward, sucker's payoff, temptation and punishment of agent 0: R, S, T, P."""
    return table[0, C, C], table[0, C, D], table[0, D, C], table[0, D, D]


def _pure_equilibria(table):
    """The joint actions from which no agent gains by another action of its own."""
    equilibria = []
    for joint_action in np.ndindex(*table.shape[1:]):
        gains = []
        for agent, n_actions in enumerate(table.shape[1:]):
            for other in range(n_actions):
                deviation = (*joint_action[:agent], other, *joint_action[agent + 1 :])
                gains.append(table[(agent, *deviation)] - table[(agent, *joint_action)])
        if max(gains) <= 0.0:
            equilibria.append(joint_action)
    return equilibria


class AllTablesTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.named_parameters(*TABLES)
    def test_shape_and_dtype(self, make):
        table = make()
        self.assertEqual(table.dtype, np.float64)
        self.assertEqual(table.ndim, 1 + table.shape[0])
        self.assertLen(set(table.shape[1:]), 1)
        # There is something to choose.
        self.assertGreater(np.ptp(table[0]), 0.0)

    @parameterized.named_parameters(*TABLES)
    def test_every_call_makes_a_table_of_its_own(self, make):
        table = make()
        expected = table.copy()
        table += 1.0
        self.assertAllEqual(make(), expected)

    @parameterized.named_parameters(*SYMMETRIC)
    def test_agents_may_swap_their_places(self, make):
        # rⁱ(a_σ(0), .., a_σ(n-1)) = r^σ(i)(a_0, .., a_{n-1}) for every permutation σ.
        table = make()
        for order in itertools.permutations(range(len(table))):
            for joint_action in np.ndindex(*table.shape[1:]):
                swapped = tuple(joint_action[agent] for agent in order)
                for agent in range(len(table)):
                    self.assertEqual(table[(agent, *swapped)], table[(order[agent], *joint_action)])

    @parameterized.named_parameters(*(row for row in TABLES if row[0] in ("rock_paper_scissors", "matching_pennies")))
    def test_zero_sum(self, make):
        table = make()
        self.assertAllEqual(table.sum(axis=0), np.zeros(table.shape[1:]))
        # Whoever plays every action alike gets nothing and loses nothing, whatever the other does.
        self.assertAllClose(table.mean(axis=1), np.zeros([2, table.shape[1]]), rtol=0.0, atol=1e-15)
        self.assertEmpty(_pure_equilibria(table))


class TwoAgentsTest(tf.test.TestCase, parameterized.TestCase):

    def test_prisoners_dilemma(self):
        table = payoffs.prisoners_dilemma()
        reward, sucker, temptation, punishment = _of_agent_0(table)
        self.assertEqual((reward, sucker, temptation, punishment), (-1.0, -3.0, 0.0, -2.0))
        self.assertGreater(temptation, reward)
        self.assertGreater(reward, punishment)
        self.assertGreater(punishment, sucker)
        # To take turns in defecting does not pay in the iterated game.
        self.assertGreater(2 * reward, temptation + sucker)
        self.assertEqual(_pure_equilibria(table), [(D, D)])
        self.assertAllEqual(table[:, C, D], [-3.0, 0.0])

    def test_stag_hunt(self):
        table = payoffs.stag_hunt()
        reward, sucker, temptation, punishment = _of_agent_0(table)
        self.assertEqual((reward, sucker, temptation, punishment), (4.0, 1.0, 3.0, 2.0))
        self.assertGreater(reward, temptation)
        self.assertGreaterEqual(temptation, punishment)
        self.assertGreater(punishment, sucker)
        self.assertEqual(_pure_equilibria(table), [(C, C), (D, D)])
        # The first pays more to both; the worst that can happen to a hunter of hare is better.
        self.assertAllGreater(table[:, C, C] - table[:, D, D], 0.0)
        self.assertGreater(table[0, D].min(), table[0, C].min())
        self.assertAllEqual(table[:, C, D], [1.0, 3.0])

    def test_chicken(self):
        table = payoffs.chicken()
        reward, sucker, temptation, punishment = _of_agent_0(table)
        self.assertEqual((reward, sucker, temptation, punishment), (0.0, -1.0, 1.0, -100.0))
        self.assertGreater(temptation, reward)
        self.assertGreater(reward, sucker)
        # A crash is the worst for both: unlike in the prisoner's dilemma P < S.
        self.assertGreater(sucker, punishment)
        self.assertEqual(_pure_equilibria(table), [(C, D), (D, C)])
        self.assertAllEqual(table[:, C, D], [-1.0, 1.0])

    def test_matching_pennies(self):
        table = payoffs.matching_pennies()
        for first, second in itertools.product(range(2), repeat=2):
            self.assertAllEqual(table[:, first, second], [1.0, -1.0] if first == second else [-1.0, 1.0])

    def test_rock_paper_scissors(self):
        table = payoffs.rock_paper_scissors()
        self.assertEqual(table.shape, (2, 3, 3))
        rock, paper, scissors = range(3)
        for winner, loser in ((rock, scissors), (paper, rock), (scissors, paper)):
            self.assertAllEqual(table[:, winner, loser], [1.0, -1.0])
            self.assertAllEqual(table[:, loser, winner], [-1.0, 1.0])
        for action in range(3):
            self.assertAllEqual(table[:, action, action], [0.0, 0.0])


class PublicGoodsTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters((2, 1.5), (3, 1.6), (4, 2.5), (3, 1), (2, -1.0), (4, 0.0))
    def test_what_is_paid_in_and_shared(self, n_agents, multiplier):
        table = payoffs.public_goods(n_agents, multiplier)
        self.assertEqual(table.shape, (n_agents, *[2] * n_agents))
        for joint_action in itertools.product((C, D), repeat=n_agents):
            pot = sum(multiplier for action in joint_action if action == C)
            for agent, action in enumerate(joint_action):
                expected = pot / n_agents - (1.0 if action == C else 0.0)
                self.assertAllClose(table[(agent, *joint_action)], expected, rtol=1e-14, atol=1e-14)
            # What all get together is what the pot gained.
            n_cooperators = joint_action.count(C)
            total = sum(table[(agent, *joint_action)] for agent in range(n_agents))
            self.assertAllClose(total, (multiplier - 1) * n_cooperators, rtol=1e-14, atol=1e-14)

    def test_defaults(self):
        self.assertAllEqual(payoffs.public_goods(), payoffs.public_goods(n_agents=3, multiplier=1.6))
        self.assertAllClose(payoffs.public_goods()[:, C, D, D], [1.6 / 3 - 1, 1.6 / 3, 1.6 / 3], rtol=1e-14, atol=0.0)

    @parameterized.parameters((2, 1.5), (3, 1.6), (4, 2.5), (4, 3.9), (4, 1.1), (5, 3.0))
    def test_to_defect_dominates_though_all_do_best_if_all_cooperate(self, n_agents, multiplier):
        table = payoffs.public_goods(n_agents, multiplier)
        for agent in range(n_agents):
            cooperating, defecting = (np.take(table[agent], action, axis=agent) for action in (C, D))
            # Whatever the others do, by the same: 1 − multiplier / n.
            self.assertAllClose(
                defecting - cooperating, np.full([2] * (n_agents - 1), 1 - multiplier / n_agents), rtol=1e-13, atol=0.0
            )
            self.assertAllGreater(defecting - cooperating, 0.0)
        self.assertEqual(_pure_equilibria(table), [(D,) * n_agents])
        totals = table.sum(axis=0)
        self.assertEqual(np.unravel_index(np.argmax(totals), totals.shape), (C,) * n_agents)
        self.assertAllGreater(table[(slice(None), *(C,) * n_agents)] - table[(slice(None), *(D,) * n_agents)], 0.0)

    @parameterized.product(n_agents=[2, 3, 4, 5], benefit=[3.5, 10.0], cost=[2.0, 3.0])
    def test_it_is_the_dilemma_of_boyd_and_richerson(self, n_agents, benefit, cost):
        """B x / n − c for who cooperates and B x / n for who does not, of x cooperators: the same in units of c."""
        table = cost * payoffs.public_goods(n_agents, benefit / cost)
        for joint_action in itertools.product((C, D), repeat=n_agents):
            shared = benefit * joint_action.count(C) / n_agents
            expected = [shared - cost if action == C else shared for action in joint_action]
            self.assertAllClose(table[(slice(None), *joint_action)], expected, rtol=1e-14, atol=1e-14)

    @parameterized.parameters(1.1, 1.33, 1.9)
    def test_of_two_it_is_the_prisoners_dilemma(self, multiplier):
        reward, sucker, temptation, punishment = _of_agent_0(payoffs.public_goods(2, multiplier))
        self.assertGreater(temptation, reward)
        self.assertGreater(reward, punishment)
        self.assertGreater(punishment, sucker)
        same = payoffs.prisoners_dilemma(reward, sucker, temptation, punishment)
        self.assertAllEqual(payoffs.public_goods(2, multiplier), same)

    def test_payoffs_of_pola(self):
        self.assertAllClose(
            _of_agent_0(payoffs.pola_prisoners_dilemma()), [0.33, -0.335, 0.665, 0.0], rtol=1e-12, atol=1e-15
        )
        self.assertAllClose(
            _of_agent_0(payoffs.pola_prisoners_dilemma(1.6)), [0.6, -0.2, 0.8, 0.0], rtol=1e-12, atol=1e-15
        )

    def test_to_cooperate_dominates_where_it_pays_for_oneself(self):
        self.assertEqual(_pure_equilibria(payoffs.public_goods(3, multiplier=3.5)), [(C, C, C)])


if __name__ == "__main__":
    tf.test.main()
