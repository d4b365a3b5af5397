"""Proves the exchange game against one in scalar Python, and what two simple strategies get."""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import checks
from tf_metamapg.testing.modes import MODES


def decoded(action):
    return action // 36, action // 6 % 6, action % 6


def encoded(proposal):
    first, second, third = proposal
    return 36 * first + 6 * second + third


def reward(worth, own, other):
    """What one agent gets in a round."""
    total = 0.0
    for value, mine, others in zip(worth, own, other):
        if mine + others > 0:
            total += value * mine / (mine + others)
    return total


def played(worth, actions, tasks=(1.0, 5.0)):
    """(rewards, efficiency) of both where agent 0 has some worth of the items, in one round or each of several."""
    game = mapg.ExchangeGame(dtype="float64")
    uniforms = tf.constant([0.2 if value == max(tasks) else 0.7 for value in worth], tf.float64)
    joint_action = tuple(tf.reshape(tf.constant(action), [1, 1, -1]) for action in actions)
    uniforms = tf.repeat(tf.reshape(uniforms, [3, 1, 1, 1]), joint_action[0].shape[2], axis=3)
    tasks = tf.constant([[tasks]], tf.float64)
    state = game.reset(tasks, uniforms)
    _, rewards, _ = game.step(tasks, state, joint_action, uniforms)
    metrics = game.metrics(tasks, state, joint_action)
    shape = np.shape(actions[0])
    return [np.reshape(one, shape) for one in rewards], [np.reshape(one, shape) for one in metrics["efficiency"]]


class ExchangeGameTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(mode=list(MODES), dtype=["float32", "float64"])
    def test_against_scalar_python(self, mode, dtype):
        game = mapg.ExchangeGame(dtype=dtype)
        rng, n_steps, n_trajectories = np.random.default_rng(0), 20, 7
        shape = (2, 3, n_trajectories)
        uniforms = rng.uniform(size=[n_steps + 1, 3, *shape]).astype(dtype)
        actions = rng.integers(216, size=[n_steps, 2, *shape], dtype=np.int32)
        actions[3:6] = 0  # Nobody asks for anything.
        tasks = rng.uniform(0.5, 6.0, size=[2, 3, 2]).astype(dtype)
        step = MODES[mode](lambda state, one, other, numbers: game.step(tasks, state, (one, other), numbers))
        metrics = MODES[mode](lambda state, one, other: game.metrics(tasks, state, (one, other)))
        observe = MODES[mode](lambda state: [game.observe(tasks, state, agent) for agent in range(2)])
        state = MODES[mode](lambda numbers: game.reset(tasks, numbers))(tf.constant(uniforms[0]))
        asked = np.zeros([2, *shape, 3])
        for time in range(n_steps):
            worth = np.zeros([2, *shape, 3])
            for index in np.ndindex(*shape):
                for item in range(3):
                    little, much = tasks[index[:2]]
                    is_agent_0 = uniforms[(time, item, *index)] < 0.5
                    worth[(0, *index, item)] = much if is_agent_0 else little
                    worth[(1, *index, item)] = little if is_agent_0 else much
            for agent, seen in enumerate(observe(state)):
                expected = np.concatenate([worth[agent], asked[agent], asked[1 - agent]], axis=-1) / 5.0
                self.assertAllClose(seen, expected, rtol=1e-6, atol=0.0)
            joint_action = list(map(tf.constant, actions[time]))
            efficiency = metrics(state, *joint_action)["efficiency"]
            state, rewards, continues = step(state, *joint_action, tf.constant(uniforms[time + 1]))
            efficiency, rewards = np.array(efficiency), np.array(rewards)
            self.assertEqual(continues, ())
            for index in np.ndindex(*shape):
                proposals = [decoded(int(actions[(time, agent, *index)])) for agent in range(2)]
                expected = [
                    reward(worth[(agent, *index)], proposals[agent], proposals[1 - agent]) for agent in range(2)
                ]
                self.assertAllClose([one[index] for one in rewards], expected, rtol=1e-5, atol=1e-6)
                share = sum(expected) / (3.0 * max(tasks[index[:2]]))
                self.assertAllClose([one[index] for one in efficiency], [share] * 2, rtol=1e-5, atol=1e-6)
                for agent in range(2):
                    asked[(agent, *index)] = proposals[agent]

    def test_proposals_are_numbered_in_row_major_order(self):
        self.assertEqual([encoded(decoded(action)) for action in range(216)], list(range(216)))
        self.assertEqual(mapg.ExchangeGame().spec.actions, (mapg.Discrete(216),) * 2)
        # Agent 0 asks for one item alone; agent 1 asks as much for all.
        for item in range(3):
            proposal = [0, 0, 0]
            proposal[item] = 5
            worth = [1.0, 1.0, 1.0]
            worth[item] = 5.0
            (own, _), _ = played(worth, (encoded(proposal), encoded((5, 5, 5))))
            self.assertEqual(own, 2.5)

    def test_what_simple_strategies_get_on_average(self):
        """All of everything 4.5 a round, 60% of the most; only what one values more 7.5, all that there is."""
        everything, valued = [], []
        for worth in itertools.product((1.0, 5.0), repeat=3):
            everything.append(played(worth, (encoded((5, 5, 5)),) * 2))
            own, other = (tuple(5 if value == much else 0 for value in worth) for much in (5.0, 1.0))
            valued.append(played(worth, (encoded(own), encoded(other))))
        self.assertAllClose(np.mean(everything, axis=0), [[4.5, 4.5], [0.6, 0.6]], rtol=1e-12, atol=0.0)
        self.assertAllClose(np.mean(valued, axis=0), [[7.5, 7.5], [1.0, 1.0]], rtol=1e-12, atol=0.0)
        # Worths that are unlike on average: what one gets is what the items are worth to it.
        self.assertAllClose(valued[0], [[0.0, 15.0], [1.0, 1.0]], rtol=1e-12, atol=0.0)

    def test_it_is_a_dilemma(self):
        """In one round to ask for all is best whatever the other does, though both would do better with less."""
        worth = (5.0, 1.0, 5.0)
        own = [encoded(proposal) for proposal in itertools.product((0, 1, 4, 5), repeat=3)]
        for others in map(encoded, itertools.product((0, 2, 5), repeat=3)):
            (best, _), _ = played(worth, (encoded((5, 5, 5)), others))
            (gains, _), _ = played(worth, (own, [others] * len(own)))
            self.assertAllLessEqual(gains, best + 1e-12)

    def test_both_values_are_drawn_equally_often_and_anew_in_each_round(self):
        game = mapg.ExchangeGame()
        tasks = mapg.DefaultTasks(game).sample(mapg.random.root_keys([0]), 1)
        uniforms = mapg.random.uniforms(mapg.random.root_keys([0]), [3, 1, 4000], "float32", seed_axis=1)
        actions = (tf.zeros([1, 1, 4000], tf.int32),) * 2
        state, _, _ = game.step(tasks, game.reset(tasks, 0.0 * uniforms), actions, uniforms)
        worth = 5.0 * game.observe(tasks, state, 0)[0, 0, :, :3].numpy()
        self.assertAllClose(worth.mean(axis=0), [3.0] * 3, rtol=0.0, atol=0.15)
        self.assertAllClose(np.corrcoef(worth.T), np.eye(3), rtol=0.0, atol=0.08)
        self.assertAllEqual(worth + 5.0 * game.observe(tasks, state, 1)[0, 0, :, :3].numpy(), np.full([4000, 3], 6.0))

    def test_there_are_two_agents(self):
        game = mapg.ExchangeGame()
        with self.assertRaisesRegex(checks.InvalidInputError, r"^agent_index = 2: must be in 0..1$"):
            game.observe((), game.reset((), tf.zeros([3, 1, 1, 1])), 2)


if __name__ == "__main__":
    tf.test.main()
