"""Proves the max of two quadratics against numbers by hand, and what its name promises."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import checks
from tf_metamapg.testing.modes import MODES

# Actions of both, the reward, and whether the narrow hill is the higher one.
BY_HAND = (
    (-5.0, -5.0, 0.0, 0.0), (5.0, 5.0, 10.0, 1.0), (4.0, 5.0, 9.0, 1.0), (5.0, 7.0, 6.0, 1.0), (3.0, 4.0, 5.0, 1.0),
    (-5.0, 1.0, -3.2, 0.0), (-8.0, -5.0, -0.8, 0.0), (0.0, 0.0, -40.0 / 9.0, 0.0), (5.0, -5.0, -80.0 / 9.0, 0.0),
    (5.0, 10.0, -15.0, 1.0), (5.0, 12.0, -15.0, 1.0), (-50.0, -5.0, -20.0 / 9.0, 0.0),
)


class MaxOfTwoQuadraticsTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(*MODES)
    def test_by_hand(self, mode):
        game = mapg.MaxOfTwoQuadratics("float64")
        first, second, rewards, on_narrow_hill = np.array(BY_HAND).T
        joint_action = tuple(tf.constant(own[None, None, :, None]) for own in (first, second))
        state = game.reset((), tf.zeros([0, 1, 1, len(first)]))
        step = MODES[mode](lambda *joint_action: game.step((), state, joint_action, tf.zeros([0, 1, 1, 1]))[1:])
        found, continues = step(*joint_action)
        measured = MODES[mode](lambda *joint_action: game.metrics((), state, joint_action))(*joint_action)
        self.assertEqual(continues, ())
        for agent in range(2):
            np.testing.assert_allclose(found[agent][0, 0], rewards, rtol=1e-14)
            np.testing.assert_array_equal(measured["on_narrow_hill"][agent][0, 0], on_narrow_hill)
            np.testing.assert_array_equal(game.observe((), state, agent), np.zeros([1, 1, len(first)]))

    def test_the_narrow_hill_is_best_and_most_slopes_lead_to_the_wide_one(self):
        """Also that of an agent which plays N(0, 5²), as the other does, in its own mean."""
        game = mapg.MaxOfTwoQuadratics("float64")
        grid = np.linspace(-10.0, 10.0, 401)
        first, second = (tf.constant(own.reshape([1, 1, -1, 1])) for own in np.meshgrid(grid, grid, indexing="ij"))
        joint_action, state = (first, second), tf.zeros([1, 1, 401**2], tf.int32)
        (rewards, _), _ = game.step((), state, joint_action, ())[1:]
        table = rewards.numpy().reshape([401, 401])
        self.assertEqual(np.unravel_index(table.argmax(), table.shape), (300, 300))
        np.testing.assert_allclose([grid[300], table.max()], [5.0, 10.0], atol=1e-12)
        on_narrow_hill = game.metrics((), state, joint_action)["on_narrow_hill"][0].numpy()
        self.assertLess(on_narrow_hill.mean(), 0.21)
        probs = np.exp(-0.5 * (grid / 5.0) ** 2)
        probs /= probs.sum()
        self.assertLess((probs * grid / 25.0) @ table @ probs, -0.1)

    def test_what_it_refuses(self):
        with self.assertRaises(checks.InvalidInputError):
            mapg.MaxOfTwoQuadratics().observe((), tf.zeros([1, 1, 1], tf.int32), 2)


if __name__ == "__main__":
    tf.test.main()
