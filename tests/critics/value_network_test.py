"""A network learns what to expect, for every seed and agent its own, and is a constant to whoever differentiates."""

import functools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests.critics.fitting import fitted
from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import links
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import Trajectory
from tf_metamapg.critics.value_network import ValueNetwork
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.numerics import random
from tf_metamapg.policies.recurrent import lstm_policy
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer


def _game(discount=0.8):
    return IteratedMatrixGame(payoffs.prisoners_dilemma(), discount=discount, dtype="float64")


def _tabular(game):
    return [tabular_policy(game, agent) for agent in range(2)]


def _trajectory(observations, rewards=None, mask=None):
    """Both agents see and get the same: arrays [S, N, K, T]."""
    observations = tf.constant(observations, tf.int32)
    rewards = tf.zeros(observations.shape, tf.float64) if rewards is None else tf.constant(rewards, tf.float64)
    mask = () if mask is None else (tf.constant(mask),) * 2
    return Trajectory((observations,) * 2, (tf.zeros_like(observations),) * 2, (rewards,) * 2, mask)


class ValueNetworkTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(("units", 0), ("units", 1.5), ("learning_rate", 0.0), ("learning_rate", "1"))
    def test_bad_input_is_rejected(self, parameter, value):
        with self.assertRaisesRegex(checks.InvalidInputError, rf"^ValueNetwork\.{parameter} = .*: must be"):
            ValueNetwork(_game().spec, _tabular(_game()), **{parameter: value})

    def test_it_must_be_given_parameters(self):
        game = _game()
        estimator = LoadedDiceEstimator(game, _tabular(game), n_trajectories=2, horizon=3, critic=ValueNetwork)
        keys = random.root_keys([0, 1])
        tasks = PayoffNoise(game).sample(keys, 3)
        joint_params = adaptation.for_each_task(tuple(p.initial_params([0, 1]) for p in estimator.policies), 3)
        params = estimator.critic.initial_params([0, 1])
        for critic_params, message in (
            ((), r"critic_params\[0\] = \(\): must be a tuple of 4, one for each variable"),
            (((), ()), r"critic_params\[0\] = \(\): must be a tuple of 4, one for each variable"),
            (params, r"critic_params\[0\]\[0\] = float64 \[2, 6, 64\]: must be float64 \[2, 3, 6, 64\]; see for_each_"),
            (
                adaptation.for_each_task(params, 2),
                r"critic_params\[0\]\[0\] = float64 \[2, 2, 6, 64\]: must be float64 \[2, 3, 6, 64\]; see for_each_t",
            ),
        ):
            with self.assertRaisesRegex(checks.InvalidInputError, f"^{message}"):
                estimator.sample(joint_params, tasks, keys, critic_params)
        self.assertEqual(
            estimator.sample(joint_params, tasks, keys, adaptation.for_each_task(params, 3)).step_weights[0].shape,
            [2, 3, 2, 3],
        )

    def test_it_learns_what_to_expect(self):
        """Recurrent where the policy is, it learns the first observation of a trajectory; else it cannot."""
        game = _game()
        critic = ValueNetwork(
            game.spec, [lstm_policy(game, 0, units=2), tabular_policy(game, 1)], units=8, learning_rate=0.02
        )
        first = np.random.default_rng(0).integers(2, size=[2, 3, 20])
        observations = np.full([2, 3, 20, 4], 4)
        observations[..., 0] = first
        returns = np.repeat(first[..., np.newaxis] * 5.0, 4, axis=-1)
        # What is 5 to go at each of the steps.
        rewards = returns - 0.8 * np.concatenate([returns[..., 1:], np.zeros([2, 3, 20, 1])], axis=-1)
        trajectory = _trajectory(observations, rewards)

        def errors(params):
            repeated = adaptation.for_each_task(params, 3)
            return [
                np.mean((critic.values(own, None, trajectory, agent) - returns) ** 2)
                for agent, own in enumerate(repeated)
            ]

        before = errors(critic.initial_params([0, 1]))
        recurrent, without = errors(fitted(critic, [0, 1], trajectory, n_updates=300))
        self.assertGreater(min(before), 5.0)
        self.assertLess(recurrent, 0.1)
        # Three of four steps look the same to it: of their variance, 25/4, three quarters remain.
        self.assertBetween(without, 4.0, 5.0)

    def test_it_starts_from_what_there_is_to_get_within_the_horizon(self):
        """Networks say what is expected per step, of Σ_t γ^t steps, and not of 1 / (1 − γ) that nobody plays."""
        trajectory, values = _trajectory(np.zeros([1, 1, 1, 4])), []
        for discount in (0.5, 1 - 1e-12):
            game = _game(discount)
            critic = ValueNetwork(game.spec, _tabular(game))
            params = adaptation.for_each_task(critic.initial_params([0]), 1)
            values.append(critic.values(params[0], None, trajectory, 0))
        self.assertAllClose(values[1], values[0] * 4.0 / 1.875, rtol=1e-9, atol=0.0)
        for value in (-1, 2, None):
            with self.assertRaisesRegex(checks.InvalidInputError, "^agent_index = "):
                critic.values(params[0], None, trajectory, value)

    def test_the_loss_is_the_mean_squared_error_per_time_step(self):
        game = _game()
        critic = ValueNetwork(game.spec, _tabular(game), units=3)
        generator = np.random.default_rng(0)
        trajectory = _trajectory(generator.integers(5, size=[2, 3, 4, 5]), generator.normal(size=[2, 3, 4, 5]))
        params = adaptation.for_each_task(critic.initial_params([0, 1]), 3)
        for agent in range(2):
            errors = critic.values(params[agent], None, trajectory, agent) - critic.returns_to_go(trajectory, agent)
            expected = np.mean((errors / np.sum(0.8 ** np.arange(5))) ** 2, axis=(2, 3))
            self.assertAllClose(critic.loss(params[agent], None, trajectory, agent), expected, rtol=1e-12, atol=0.0)

    def test_the_loss_is_over_the_steps_that_count(self):
        game = _game()
        critic = ValueNetwork(game.spec, _tabular(game), units=3)
        generator = np.random.default_rng(0)
        mask = np.arange(5) < generator.integers(1, 6, size=[2, 3, 4, 1])
        observations = np.where(mask, generator.integers(5, size=[2, 3, 4, 5]), 0)
        rewards = np.where(mask, generator.normal(size=[2, 3, 4, 5]), 0.0)
        trajectory, masked = _trajectory(observations, rewards), _trajectory(observations, rewards, mask)
        params = adaptation.for_each_task(critic.initial_params([0, 1]), 3)[0]
        errors = critic.values(params, None, trajectory, 0) - critic.returns_to_go(trajectory, 0)
        squares = (errors / np.sum(0.8 ** np.arange(5))) ** 2
        expected = np.sum(squares * mask, axis=(2, 3)) / np.sum(mask, axis=(2, 3))
        self.assertAllClose(critic.loss(params, None, masked, 0), expected, rtol=1e-12, atol=0.0)
        self.assertNotAllClose(critic.loss(params, None, trajectory, 0), expected, rtol=1e-3)

    def test_seeds_and_agents_have_networks_of_their_own(self):
        game = _game()
        critic = ValueNetwork(game.spec, _tabular(game), units=3)
        together, alone = (
            adaptation.for_each_task(critic.initial_params(seeds), 1) for seeds in ([0, 1], [1])
        )
        trajectory = _trajectory(np.zeros([2, 1, 1, 1]))
        values = [critic.values(together[agent], None, trajectory, agent).numpy() for agent in range(2)]
        self.assertLen(np.unique(values), 4)
        alone = critic.values(alone[0], None, _trajectory(np.zeros([1, 1, 1, 1])), 0)
        self.assertAllClose(alone, values[0][1:], rtol=1e-14, atol=0.0)

    def test_values_and_loss_are_differentiable_and_estimators_hold_them_constant(self):
        game = _game()
        estimator = LoadedDiceEstimator(game, _tabular(game), n_trajectories=2, horizon=3, critic=ValueNetwork)
        critic_params = adaptation.for_each_task(estimator.critic.initial_params([0]), 1)
        joint_params = adaptation.for_each_task(tuple(p.initial_params([0]) for p in estimator.policies), 1)
        trajectory = _trajectory([[[[0, 1, 2], [0, 3, 4]]]], [[[[1.0, 2.0, -1.0], [0.0, 0.5, 3.0]]]])
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([critic_params, joint_params])
            values = estimator.critic.values(critic_params[0], joint_params, trajectory, 0)
            loss = estimator.critic.loss(critic_params[0], joint_params, trajectory, 0)
            sample = estimator.make_sample(trajectory, joint_params, critic_params)
        self.assertEqual(values.shape, [1, 1, 2, 3])
        for result in (values, loss):
            for gradient in tape.gradient(result, critic_params[0]):
                self.assertGreater(np.max(np.abs(gradient)), 1e-3)
        for step_weights in sample.step_weights:
            for gradient in tf.nest.flatten(tape.gradient(step_weights, [critic_params, joint_params])):
                self.assertIsNone(gradient)

    def test_the_trainer_lets_it_learn(self):
        game = _game()
        policies = _tabular(game)
        estimator = LoadedDiceEstimator(
            game, policies, n_trajectories=8, horizon=4,
            critic=functools.partial(ValueNetwork, units=4, learning_rate=0.05),
        )
        problem = Problem(
            game=game, policies=policies, agents=[MetaMAPG(0.1), PolicyGradient(0.1)], estimator=estimator,
            task_distribution=PayoffNoise(game),
        )
        settings = TrainerSettings(chain_length=1, n_tasks=4, meta_learning_rate=0.0, jit_compile=False)
        trainer = MetaTrainer(problem, settings, range(2))
        keys = random.root_keys([7, 8])
        joint_params = adaptation.for_each_task(tuple(own.initial for own in trainer.meta_param_values()), 4)
        tasks = PayoffNoise(game).sample(keys, 4)
        critic, variables = estimator.critic, trainer.state["critic"]["params"]
        structure = critic.initial_params([0, 1])
        for variable, initial in zip(variables, tf.nest.flatten(structure), strict=True):
            self.assertAllEqual(variable.value, initial)

        def critic_params():
            values = [tf.convert_to_tensor(variable.value) for variable in variables]
            return adaptation.for_each_task(tf.nest.pack_sequence_as(structure, values), 4)

        trajectory = estimator.sample(joint_params, tasks, keys, critic_params()).trajectory

        def error():
            return np.mean(critic.loss(critic_params()[1], joint_params, trajectory, 1))

        before = error()
        for _ in range(15):
            trainer.step()
        trainer.best.keep(np.zeros(2))
        at_best = error()
        for _ in range(15):
            trainer.step()
        self.assertLess(error(), 0.5 * before)
        self.assertNotAllClose(error(), at_best)
        # The critic goes back with the policies that it knows.
        trainer.best.restore()
        self.assertAllClose(error(), at_best, rtol=1e-14, atol=0.0)

    def test_links_are_sampled_with_it(self):
        """Every link's baselines are what the network says at the link, also where who looks ahead plays."""
        game = _game()
        estimator = LoadedDiceEstimator(game, _tabular(game), n_trajectories=4, horizon=3, critic=ValueNetwork)
        keys = random.root_keys([0, 1])
        joint_params = adaptation.for_each_task(tuple(p.initial_params([0, 1]) for p in estimator.policies), 3)
        critic_params = adaptation.for_each_task(estimator.critic.initial_params([0, 1]), 3)
        tasks = PayoffNoise(game).sample(keys, 3)
        link_keys = [random.fold_in(keys, link) for link in range(3)]
        agents = [PolicyGradient(0.5)] * 2
        chain = adaptation.adapt(estimator, agents, joint_params, tasks, link_keys, critic_params=critic_params)
        for link in chain.links:
            expected = estimator.make_sample(link.sample.trajectory, link.joint_params, critic_params)
            tf.nest.map_structure(self.assertAllEqual, link.sample, expected)
            tf.nest.map_structure(self.assertAllEqual, link.critic_params, critic_params)
        states = tuple(map(AgentState, joint_params))
        again = links.sample_link(estimator, states, tasks, link_keys[0], critic_params)
        tf.nest.map_structure(self.assertAllEqual, again, chain.links[0])


if __name__ == "__main__":
    tf.test.main()
