"""A centralised critic says what plain loops say of what all agents see, and knows what its own agent does not see."""

import numpy as np
import tensorflow as tf

from tests.critics.fitting import fitted
from tests.critics.joint_plays import critic_params
from tests.critics.joint_plays import estimates
from tests.critics.joint_plays import JointPlay
from tf_metamapg.critics.value_network import CentralValueNetwork
from tf_metamapg.critics.value_network import ValueNetwork


class CentralValueNetworkTest(tf.test.TestCase):

    def test_it_is_a_network_of_what_all_see(self):
        play = JointPlay()
        critic = CentralValueNetwork(play.spec, play.policies, units=3)
        self.assertFalse(critic.sees_other_actions)
        params = critic_params(critic)
        for agent in range(3):
            values = critic.values(params[agent], play.joint_params, play.trajectory, agent)
            expected = estimates(params[agent], np.concatenate(play.seen, axis=-1))[..., 0]
            self.assertAllClose(values, expected, rtol=1e-12, atol=1e-12)
            to_go = critic.returns_to_go(play.trajectory, agent).numpy()
            mask, scale = play.trajectory.mask[agent].numpy(), np.sum(0.8 ** np.arange(5))
            errors = ((expected - to_go) / scale) ** 2
            loss = np.sum(errors * mask, axis=(2, 3)) / np.sum(mask, axis=(2, 3))
            self.assertAllClose(
                critic.loss(params[agent], play.joint_params, play.trajectory, agent), loss, rtol=1e-12, atol=0.0
            )

    def test_recurrent_where_the_policy_is(self):
        """It remembers what all have seen: what is seen later changes nothing, what was seen earlier does."""
        play = JointPlay(recurrent=True)
        critic = CentralValueNetwork(play.spec, play.policies, units=3)
        params = critic_params(critic)
        seen = play.trajectory.observations
        changed = tf.concat([seen[2][..., :2], 1 - seen[2][..., 2:3], seen[2][..., 3:]], axis=-1)
        trajectory = play.trajectory._replace(mask=tuple(map(tf.ones_like, play.trajectory.mask)))
        for agent, times in enumerate(([2], [2, 3, 4], [2])):
            values, others = (
                critic.values(params[agent], None, trajectory._replace(observations=observations), agent).numpy()
                for observations in (seen, (*seen[:2], changed))
            )
            differs = np.abs(values - others).max(axis=(0, 1, 2)) > 1e-9
            self.assertAllEqual(np.flatnonzero(differs), times)

    def test_it_learns_what_the_others_see(self):
        """The return is what the third agent sees, which the first one does not."""
        play = JointPlay()
        third = tf.cast(play.trajectory.observations[2], tf.float64)
        trajectory = play.trajectory._replace(rewards=(2.0 * third * tf.one_hot(0, 5, dtype=tf.float64),) * 3)
        losses = []
        for kind in (ValueNetwork, CentralValueNetwork):
            critic = kind(play.spec, play.policies, units=8, learning_rate=0.03)
            learned = fitted(critic, range(2), trajectory, n_updates=200)
            params = tuple(tuple(tf.repeat(leaf[:, None], 3, axis=1) for leaf in own) for own in learned)
            losses.append(np.mean(critic.loss(params[0], None, trajectory, 0)))
        self.assertLess(losses[1], 0.2 * losses[0])


if __name__ == "__main__":
    tf.test.main()
