"""Proves public goods with an end: payoffs in scalar Python, values by power series and in closed form."""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import checks


def strategies_of(game, seed, shape=(1, 1)):
    """Random action probabilities, the same for all seeds and tasks: arrays [S, N, O, A]."""
    rng = np.random.default_rng(seed)
    sizes = [(one.n, action.n) for one, action in zip(game.spec.observations, game.spec.actions)]
    tables = [rng.dirichlet(np.ones(n_actions), size=n_observations) for n_observations, n_actions in sizes]
    return [np.broadcast_to(table, [*shape, *table.shape]) for table in tables]


def gains(contributions, multiplier, endowment):
    pot = multiplier * sum(contributions)
    return [endowment - own + pot / len(contributions) for own in contributions]


def series(strategies, n_levels, *, multiplier, end_probability, endowment, discount):
    """(values, mean contribution of each) by sums over rounds until nothing is left; a state is what was last."""
    n_agents = len(strategies)
    joint_actions = list(itertools.product(range(n_levels), repeat=n_agents))
    before, values, shares, length = {None: 1.0}, np.zeros(n_agents), np.zeros(n_agents), 0.0
    while sum(before.values()) > 1e-17:
        played = dict.fromkeys(joint_actions, 0.0)
        for last, weight in before.items():
            for joint_action in joint_actions:
                prob = weight
                for agent, action in enumerate(joint_action):
                    number = 0
                    if last is not None:
                        own_first = [last[agent], *last[:agent], *last[agent + 1 :]]
                        for level in own_first:
                            number = n_levels * number + level
                        number += 1
                    prob *= strategies[agent][0, 0, number, action]
                played[joint_action] += prob
        for joint_action, prob in played.items():
            given = [endowment * (n_levels - 1 - action) / (n_levels - 1) for action in joint_action]
            values += prob * np.array(gains(given, multiplier, endowment))
            shares += prob * np.array(given) / endowment
            length += prob
        before = {last: prob * discount * (1.0 - end_probability) for last, prob in played.items()}
    return values, shares / length


class PublicGoodsGameTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(n_agents=[2, 3, 4], n_levels=[2, 3], discount=[0.9, 1.0])
    def test_values_and_contributions(self, n_agents, n_levels, discount):
        rules = {"multiplier": 1.7, "end_probability": 0.3, "endowment": 2.0, "discount": discount}
        game = mapg.PublicGoodsGame(n_agents, n_levels=n_levels, dtype="float64", **rules)
        self.assertEqual(game.n_states, 1 + n_levels**n_agents)
        strategies = strategies_of(game, seed=n_agents)
        values, shares = series(strategies, n_levels, **rules)
        tasks = mapg.DefaultTasks(game).sample(mapg.random.root_keys([0]), 1)
        tensors = tuple(map(tf.constant, strategies))
        contribution = game.exact_metrics(tasks, tensors)["contribution"]
        for agent, value in enumerate(game.exact_values(tasks, tensors)):
            self.assertAllClose(value[0, 0], values[agent], rtol=1e-12, atol=0.0)
            self.assertAllClose(contribution[agent][0, 0], shares[agent], rtol=1e-12, atol=0.0)

    @parameterized.parameters(0, 1, 2)
    def test_all_contribute_the_same(self, level):
        """Each round pays 1 + (multiplier − 1) c, and there are 1 / (1 − γ (1 − p)) of them."""
        game = mapg.PublicGoodsGame(4, 2.5, 0.2, discount=0.95, dtype="float64")
        strategy = np.zeros([1, 1, 82, 3])
        strategy[..., level] = 1.0
        tasks = mapg.DefaultTasks(game).sample(mapg.random.root_keys([0]), 1)
        strategies, share = (tf.constant(strategy),) * 4, 1.0 - level / 2.0
        expected = (1.0 + 1.5 * share) / (1.0 - 0.95 * 0.8)
        self.assertAllClose(game.exact_values(tasks, strategies), [[[expected]]] * 4, rtol=1e-12, atol=0.0)
        self.assertAllClose(
            game.exact_metrics(tasks, strategies)["contribution"], [[[share]]] * 4, rtol=1e-12, atol=0.0
        )

    def test_with_two_levels_it_is_the_iterated_game_with_another_discount(self):
        """What is kept of the endowment is 1 − c: the payoffs of `public_goods`, and 1."""
        ending = mapg.PublicGoodsGame(3, 1.6, 0.1, n_levels=2, discount=0.9, dtype="float64")
        endless = mapg.IteratedMatrixGame(1.0 + mapg.public_goods(3, 1.6), discount=0.81, dtype="float64")
        self.assertAllClose(ending.default_tasks, endless.default_tasks, rtol=0.0, atol=1e-15)
        strategies = tuple(map(tf.constant, strategies_of(ending, seed=0)))
        tasks = mapg.DefaultTasks(ending).sample(mapg.random.root_keys([0]), 1)
        self.assertAllClose(
            ending.exact_values(tasks, strategies), endless.exact_values(tasks, strategies), rtol=1e-12, atol=0.0
        )

    def test_an_end_so_rare_that_it_is_none(self):
        """It would be 1 / 0 rounds until then."""
        with self.assertRaisesRegex(checks.InvalidInputError, r"^PublicGoodsGame\.end_probability = 1e-17: must be "):
            mapg.PublicGoodsGame(2, end_probability=1e-17)
        transitions, payoffs = np.ones([1, 1, 1, 1]), np.ones([2, 1, 1, 1])
        with self.assertRaisesRegex(checks.InvalidInputError, r"^StochasticGame\.discount = 1\.0: must be < 1, "):
            mapg.StochasticGame(payoffs, transitions, discount=1.0, ends=np.full([1, 1, 1], 1e-17))

    def test_it_is_a_dilemma(self):
        """For 1 < multiplier < n each is best off with nothing, and all are if all give everything."""
        table = mapg.PublicGoodsGame(3, 1.6).default_tasks
        for agent in range(3):
            by_level = np.moveaxis(table[agent], agent, 0)
            self.assertAllGreater(np.diff(by_level, axis=0), 0.0)
        self.assertEqual(np.argmax(table.sum(axis=0)), 0)
        self.assertAllEqual(table[:, 2, 2, 2], np.ones(3))

    def test_metrics_of_a_step(self):
        game = mapg.PublicGoodsGame(3, n_levels=5)
        levels = np.array([[4, 0, 1], [2, 3, 3]], np.int32)[:, np.newaxis, np.newaxis]
        joint_action = tuple(map(tf.constant, np.moveaxis(levels, -1, 0)))
        state = tf.constant([[[0]], [[77]]])
        contribution = game.metrics((), state, joint_action)["contribution"]
        self.assertAllEqual(tf.stack(contribution, axis=-1)[:, 0, 0], [[0.0, 1.0, 0.75], [0.5, 0.25, 0.25]])


if __name__ == "__main__":
    tf.test.main()
