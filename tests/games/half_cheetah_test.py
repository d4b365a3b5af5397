"""Proves that two agents move Gymnasium's HalfCheetah-v5, whatever shares the work, and that agents learn in it."""

from absl.testing import parameterized
import gymnasium
import numpy as np
import pytest
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg.numerics import random
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer

HORIZON = 100


def actions(n_steps, size, seed=0):
    """For each step and agent, some of which are beyond their bounds."""
    generator = np.random.default_rng(seed)
    return [[generator.normal(size=[size, 3]) for _ in range(2)] for _ in range(n_steps)]


def limited(joint_action):
    """What a single environment of Gymnasium is told to do."""
    return np.clip(np.concatenate(joint_action), -1.0, 1.0)


def played(game, seeds, joint_actions, n_workers=1):
    """(what is seen before each step and after the last, [T + 1, B, 17]; rewards [T, B])."""
    environments = game.make_environments(n_workers)
    seen, rewards = [environments.reset(np.array(seeds))[0]], []
    for joint_action in joint_actions:
        (first, second), (gained, same), present = environments.step(joint_action)
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(gained, same)
        assert present.all()
        seen.append(first)
        rewards.append(gained)
    return np.array(seen), np.array(rewards)


class CheetahTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(1, -1)
    def test_against_gymnasium(self, direction):
        """Whole episodes; Gymnasium is told to look for the forces of each step anew, as last digits grow."""
        seeds, joint_actions = [3, 4], actions(HORIZON, 2)
        seen, rewards = played(mapg.HalfCheetahGame(direction), seeds, joint_actions)
        env = gymnasium.make("HalfCheetah-v5", forward_reward_weight=direction).unwrapped
        for row, seed in enumerate(seeds):
            expected, _ = env.reset(seed=seed)
            np.testing.assert_allclose(seen[0, row], expected, rtol=0.0, atol=1e-15)
            for step, joint_action in enumerate(joint_actions):
                env.data.qacc_warmstart[:] = 0.0
                expected, reward, *_ = env.step(limited([own[row] for own in joint_action]))
                np.testing.assert_allclose(seen[step + 1, row], expected, rtol=1e-9, atol=1e-9)
                np.testing.assert_allclose(rewards[step, row], reward, rtol=1e-9, atol=1e-9)
        env.close()

    def test_steps_of_gymnasium(self):
        """As it is, each step from the state that it has come to."""
        environments = mapg.HalfCheetahGame().make_environments(1)
        environments.reset(np.array([5]))
        env = gymnasium.make("HalfCheetah-v5").unwrapped
        env.reset(seed=5)
        for joint_action in actions(HORIZON, 1):
            environments._states[0, 1:] = env.state_vector()
            (seen, _), rewards, _ = environments.step(joint_action)
            expected, reward, *_ = env.step(limited([own[0] for own in joint_action]))
            np.testing.assert_allclose(seen[0], expected, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(rewards[:, 0], [reward] * 2, rtol=1e-9, atol=1e-9)
        env.close()

    @parameterized.parameters(2, 3)
    def test_numbers_do_not_depend_on_threads(self, n_workers):
        game, seeds, joint_actions = mapg.HalfCheetahGame(), list(range(25)), actions(HORIZON, 25)
        expected = played(game, seeds, joint_actions)
        tf.nest.map_structure(np.testing.assert_array_equal, played(game, seeds, joint_actions, n_workers), expected)
        # Nor on who else is in the batch.
        few = played(game, seeds[7:9], [[own[7:9] for own in joint_action] for joint_action in joint_actions])
        tf.nest.map_structure(lambda own, all_of: np.testing.assert_array_equal(own, all_of[:, 7:9]), few, expected)

    def test_actions_beyond_their_bounds(self):
        game = mapg.HalfCheetahGame()
        large, nothing = [[np.full([1, 3], np.inf), np.full([1, 3], np.nan)]], [[np.ones([1, 3]), np.zeros([1, 3])]]
        tf.nest.map_structure(np.testing.assert_array_equal, played(game, [0], large), played(game, [0], nothing))

    def test_spec(self):
        self.assertEqual(mapg.HalfCheetahGame(-1, 0.9, "float64").spec, mapg.GameSpec(
            name="two-agent HalfCheetah", discount=0.9, dtype="float64", observations=(mapg.Box((17,)),) * 2,
            actions=(mapg.Box((3,)),) * 2,
        ))


class SimulatorTest(tf.test.TestCase):

    def test_trajectories(self):
        game = mapg.HalfCheetahGame(dtype="float64")
        policies = [mapg.mlp_policy(game, agent) for agent in range(2)]
        params = mapg.for_each_task(tuple(policy.initial_params([0, 1]) for policy in policies), 2)
        keys = random.root_keys([0, 1])
        one, two = (mapg.HostSimulator(game, policies, 3, 5, n_workers) for n_workers in (1, 2))
        trajectory = one.sample(params, (), keys)
        tf.nest.map_structure(np.testing.assert_array_equal, two.sample(params, (), keys), trajectory)
        self.assertEqual(trajectory.mask, ())
        seeds = one.draw_seeds(keys, 2)
        joint_actions = [[own[1, 0, :, step] for own in trajectory.actions] for step in range(5)]
        seen, rewards = played(game, seeds[1, 0], joint_actions)
        self.assertAllEqual(trajectory.observations[0][1, 0], np.moveaxis(seen[:-1], 0, 1))
        self.assertAllEqual(trajectory.rewards[1][1, 0], rewards.T)

    @pytest.mark.slow
    def test_agents_learn(self):
        """All kinds, also one that plays while it looks ahead; the same again."""
        game = mapg.HalfCheetahGame()
        policies = [mapg.mlp_policy(game, agent, (4,)) for agent in range(2)]
        estimator = mapg.LoadedDiceEstimator(game, policies, 4, 5, simulator=mapg.HostSimulator)
        results = []
        for _ in range(2):
            agents = [mapg.MetaMAPG(mapg.LearnedRates(0.01)), mapg.LOLADiCE(0.01, 0.01)]
            problem = Problem(
                game=game, policies=policies, agents=agents, estimator=estimator,
                task_distribution=mapg.DefaultTasks(game),
            )
            trainer = MetaTrainer(problem, TrainerSettings(chain_length=2, n_tasks=2, jit_compile=False), [0, 1])
            results.append([trainer.step() for _ in range(2)])
        tf.nest.map_structure(np.testing.assert_array_equal, *results)
        self.assertAllGreater(results[0][1].term_norms[:, 0, 1:], 0.0)


if __name__ == "__main__":
    tf.test.main()
