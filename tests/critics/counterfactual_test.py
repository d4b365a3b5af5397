"""A counterfactual baseline says what plain loops say, and knows nothing of what its own agent does."""

import dataclasses
import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests.critics.joint_plays import critic_params
from tests.critics.joint_plays import estimates
from tests.critics.joint_plays import JointPlay
from tests.trajectory_sets import CRITICS
from tests.trajectory_sets import TrajectorySets
from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg.contracts import Box
from tf_metamapg.critics.counterfactual import CounterfactualBaseline
from tf_metamapg.estimators.dice import DiceEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator


class CounterfactualBaselineTest(tf.test.TestCase, parameterized.TestCase):

    def test_it_is_the_mean_of_q_over_own_actions(self):
        play = JointPlay()
        critic = CounterfactualBaseline(play.spec, play.policies, units=3)
        params = critic_params(critic)
        for agent in range(3):
            others = [play.done[other] for other in range(3) if other != agent]
            action_values = estimates(params[agent], np.concatenate([*play.seen, *others], axis=-1))
            distribution = play.policies[agent].distribution(
                play.joint_params[agent], play.trajectory.observations[agent]
            )
            n_actions = action_values.shape[-1]
            probs = np.stack([distribution.prob(action) for action in range(n_actions)], axis=-1)
            mask = play.trajectory.mask[agent].numpy()
            values = critic.values(params[agent], play.joint_params, play.trajectory, agent)
            self.assertAllClose(
                values.numpy()[mask], np.sum(probs * action_values, axis=-1)[mask], rtol=1e-12, atol=1e-12
            )
            # It learns what the action that was taken is worth.
            taken = np.sum(play.done[agent] * action_values, axis=-1)
            errors = (taken - critic.returns_to_go(play.trajectory, agent).numpy()) / np.sum(0.8 ** np.arange(5))
            expected = np.sum(errors**2 * mask, axis=(2, 3)) / np.sum(mask, axis=(2, 3))
            loss = critic.loss(params[agent], play.joint_params, play.trajectory, agent)
            self.assertAllClose(loss, expected, rtol=1e-12, atol=0.0)

    def test_it_knows_nothing_of_the_own_action(self):
        setting = TrajectorySets(3, 2)
        trajectory = setting.trajectory(setting.members[np.newaxis])
        critic = CRITICS["counterfactual"](setting.game.spec, setting.policies)
        self.assertTrue(critic.sees_other_actions)
        joint_params = setting.joint_params(setting.leaves(), [1, len(setting.members)])
        params = adaptation.for_each_task(critic.initial_params([0]), len(setting.members))
        for agent, other in itertools.product(range(3), repeat=2):
            actions = [1 - own if index == other else own for index, own in enumerate(trajectory.actions)]
            values, after = (
                critic.values(params[agent], joint_params, one, agent)
                for one in (trajectory, trajectory._replace(actions=tuple(actions)))
            )
            self.assertEqual(bool(np.all(np.abs(values - after) < 1e-14)), agent == other)

    def test_own_actions_must_be_finitely_many(self):
        play = JointPlay()
        spec = dataclasses.replace(play.spec, actions=(*play.spec.actions[:2], Box((2,))))
        with self.assertRaisesRegex(
            checks.InvalidInputError,
            r"^CounterfactualBaseline\.spec\.actions\[2\] = Box\(shape=\(2,\)\): must be Discrete, as all own actions "
            "are averaged over$",
        ):
            CounterfactualBaseline(spec, play.policies)

    @parameterized.parameters(DiceEstimator, LoadedDiceEstimator)
    def test_estimators_without_a_place_for_it_refuse_it(self, kind):
        setting = TrajectorySets(2, 1)
        with self.assertRaisesRegex(checks.InvalidInputError, "same step, .*; see CounterfactualDiceEstimator$"):
            setting.estimator(kind, "counterfactual")


if __name__ == "__main__":
    tf.test.main()
