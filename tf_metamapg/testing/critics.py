"""What every critic must keep: it lowers variance, and changes no expectation."""

from collections.abc import Sequence
import functools

import numpy as np
import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.estimators.counterfactual_dice import CounterfactualDiceEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.testing.estimators import garbage
from tf_metamapg.testing.estimators import repeated
from tf_metamapg.testing.tiny_games import TinyGame


class CriticTests:
    """Tests of a critic; mix them into a `tf.test.TestCase`."""

    # How many agents there must be at least, 2 or 3.
    fewest_agents = 2

    def make_critic(self, spec: contracts.GameSpec, policies: Sequence[contracts.StepPolicy]) -> contracts.Critic:
        """The critic under test."""
        raise NotImplementedError

    def _setting(self, n_agents=None, ends=True):
        """(a tiny game, all sets of its trajectories, parameters for each set, the critic, its parameters)."""
        tiny = TinyGame(n_agents or self.fewest_agents, ends)
        size = 2 if tiny.game.spec.n_agents == 2 else 1
        trajectory, n_sets = tiny.sets(size), tiny.n_trajectories**size
        critic = self.make_critic(tiny.game.spec, tiny.policies)
        critic_params = tf.nest.map_structure(lambda leaf: leaf[:, tf.newaxis], critic.initial_params([0]))
        return tiny, trajectory, repeated(tiny.joint_params, n_sets), critic, repeated(critic_params, n_sets)

    def test_it_is_a_critic(self):
        _, _, _, critic, params = self._setting()
        self.assertIsInstance(critic, contracts.Critic)
        self.assertLen(params, self.fewest_agents)

    def test_values_and_losses_have_their_shapes(self):
        for ends in (False, True):
            _, trajectory, joint_params, critic, params = self._setting(ends=ends)
            for agent, rewards in enumerate(trajectory.rewards):
                values = critic.values(params[agent], joint_params, trajectory, agent)
                self.assertEqual(values.shape, rewards.shape)
                self.assertEqual(values.dtype, rewards.dtype)
                self.assertEqual(critic.loss(params[agent], joint_params, trajectory, agent).shape, rewards.shape[:2])

    def test_expectations_are_as_without_it(self):
        """Of all derivatives in Loaded DiCE, or in that which is for critics that see the others' actions.

        Of an agent's own first ones with sampled inner updates.
        """
        for n_agents in range(self.fewest_agents, 4):
            tiny, trajectory, joint_params, critic, params = self._setting(n_agents)
            size = trajectory.rewards[0].shape[2]
            given = functools.partial(_given, critic)
            expected_updates = CounterfactualDiceEstimator if critic.sees_other_actions else LoadedDiceEstimator
            for make_estimator in (expected_updates, ScoreFunctionEstimator):
                with self.subTest(estimator=make_estimator.__name__, n_agents=n_agents):
                    estimator = make_estimator(tiny.game, tiny.policies, size, 2, critic=given)
                    sample = estimator.make_sample(trajectory, joint_params, params)
                    probs = tf.stop_gradient(tiny.probs(tiny.joint_params, size))

                    def expected(own_params, estimator=estimator, sample=sample, probs=probs):
                        objectives = estimator.objectives(repeated(own_params, len(probs)), (), sample)
                        return tf.stack([tf.reduce_sum(probs * objective[0]) for objective in objectives])

                    first, second = tiny.derivatives(expected)
                    true_first, true_second = tiny.derivatives(tiny.values)
                    if estimator.inner_update == "expected":
                        np.testing.assert_allclose(first, true_first, rtol=1e-9, atol=1e-10)
                        np.testing.assert_allclose(second, true_second, rtol=1e-9, atol=1e-10)
                    else:
                        own = np.kron(np.eye(n_agents), np.ones([1, first.shape[1] // n_agents]))
                        np.testing.assert_allclose(first * own, true_first * own, rtol=1e-9, atol=1e-10)

    def test_nothing_of_a_padded_step_reaches_a_sample(self):
        """An estimator cleans its trajectories first, so that a critic may rely on zeros."""
        tiny, trajectory, joint_params, critic, params = self._setting()
        given = functools.partial(_given, critic)
        estimator = ScoreFunctionEstimator(tiny.game, tiny.policies, trajectory.rewards[0].shape[2], 2, critic=given)
        samples = [estimator.make_sample(own, joint_params, params) for own in (trajectory, garbage(trajectory))]
        tf.nest.map_structure(np.testing.assert_array_equal, *samples)


def _given(critic, spec, policies):
    """A critic that has been made already."""
    del spec, policies
    return critic
