"""A mean-field baseline says what plain loops say, and knows only how many of the others do what."""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import oracle
from tests.critics.joint_plays import critic_params
from tests.critics.joint_plays import estimates
from tests.critics.joint_plays import JointPlay
from tests.trajectory_sets import tape_derivatives
from tests.trajectory_sets import TrajectorySets
from tf_metamapg import checks
from tf_metamapg.critics.mean_field import MeanFieldBaseline
from tf_metamapg.estimators.counterfactual_dice import CounterfactualDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.testing.tiny_games import TinyGame


class MeanFieldBaselineTest(tf.test.TestCase, parameterized.TestCase):

    def test_it_is_the_mean_of_q_over_own_actions_given_the_mean_of_the_others(self):
        play = JointPlay(n_actions=(3, 3, 3))
        critic = MeanFieldBaseline(play.spec, play.policies, units=3)
        self.assertTrue(critic.sees_other_actions)
        params = critic_params(critic)
        for agent in range(3):
            mean = sum(play.done[other] for other in range(3) if other != agent) / 2.0
            action_values = estimates(params[agent], np.concatenate([play.seen[agent], mean], axis=-1))
            distribution = play.policies[agent].distribution(
                play.joint_params[agent], play.trajectory.observations[agent]
            )
            probs = np.stack([distribution.prob(action) for action in range(3)], axis=-1)
            mask = play.trajectory.mask[agent].numpy()
            values = critic.values(params[agent], play.joint_params, play.trajectory, agent).numpy()
            expected = np.sum(probs * action_values, axis=-1)
            self.assertAllClose(values[mask], expected[mask], rtol=1e-12, atol=1e-12)

    def test_who_does_what_does_not_matter(self):
        play = JointPlay(n_actions=(3, 3, 3))
        play.trajectory = play.trajectory._replace(mask=tuple(map(tf.ones_like, play.trajectory.mask)))
        critic = MeanFieldBaseline(play.spec, play.policies, units=3)
        params, (first, second, third) = critic_params(critic), play.trajectory.actions
        values, exchanged, others = (
            critic.values(params[0], play.joint_params, play.trajectory._replace(actions=actions), 0)
            for actions in ((first, second, third), (first, third, second), (first, second, second))
        )
        self.assertAllClose(values, exchanged, rtol=1e-13, atol=1e-13)
        self.assertGreater(np.max(np.abs(values - others)), 1e-3)

    @parameterized.parameters("endless", "together", "apart")
    def test_it_biases_nothing_where_it_has_its_place(self, ending):
        """All first and second derivatives with expected inner updates, policy gradients with sampled ones."""
        setting = TrajectorySets(3, 2, 1, ending)
        expected_gradients, expected_hessians = oracle.derivatives(setting.oracle.values, setting.logits)
        for kind in (CounterfactualDiceEstimator, ScoreFunctionEstimator):
            estimator = setting.estimator(kind, "mean_field")
            gradients, hessians = tape_derivatives(
                lambda leaves, estimator=estimator: setting.expected_objectives(estimator, leaves), setting.leaves()
            )
            for value, agent in itertools.product(range(3), repeat=2):
                if kind is CounterfactualDiceEstimator or agent == value:
                    self.assertAllClose(
                        gradients[value][agent], expected_gradients[value, agent], rtol=0.0, atol=1e-12
                    )
                if kind is CounterfactualDiceEstimator:
                    for other in range(3):
                        expected = expected_hessians[value, agent, :, other]
                        self.assertAllClose(hessians[value][agent][other], expected, rtol=0.0, atol=1e-9)

    def test_two_agents_are_too_few_and_actions_must_be_alike(self):
        tiny, play = TinyGame(2, ends=False), JointPlay()
        for spec, policies, message in (
            (tiny.game.spec, tiny.policies, r"\.n_agents = 2: must be of at least 3 agents; for fewer there is C.*"),
            (play.spec, play.policies, r"\.actions = .*: must be the same for all agents, for a mean of them"),
        ):
            with self.assertRaisesRegex(checks.InvalidInputError, f"^MeanFieldBaseline\\.spec{message}$"):
                MeanFieldBaseline(spec, policies)


if __name__ == "__main__":
    tf.test.main()
