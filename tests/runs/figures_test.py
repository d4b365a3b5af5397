"""Proves that figures are PNG files of a sensible size that show the data they are given."""

import os
import pathlib
import warnings

from absl.testing import parameterized
import matplotlib.image
import numpy as np
import tensorflow as tf

from tf_metamapg.runs import figures


class FiguresTest(tf.test.TestCase, parameterized.TestCase):

    def save(self, mean_reward, name="adaptation.png", title="title"):
        path = pathlib.Path(self.get_temp_dir()) / name
        agent_names = [f"Agent{agent}" for agent in range(mean_reward.shape[-1])]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            figures.save_adaptation_figure(path, mean_reward, title, agent_names)
        self.assertEqual(path.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
        return matplotlib.image.imread(path)

    @parameterized.parameters((1, 1, 2), (20, 6, 1), (2, 2, 3))
    def test_size(self, n_seeds, n_links, n_agents):
        mean_reward = np.random.default_rng(0).uniform(-2, 0, size=[n_seeds, n_links, n_agents])
        height, width, _ = self.save(mean_reward).shape
        self.assertBetween(height, 300, 1000)
        self.assertBetween(width, 300 * n_agents, 800 * n_agents)

    def test_shows_every_seed_and_agent(self):
        mean_reward = np.random.default_rng(0).uniform(-2, 0, size=[3, 4, 2])
        # The last link sets the limits of the axes, which so stay where they are.
        mean_reward[:, 3] = [[-10.0, 0.0], [0.0, -10.0], [-5.0, -5.0]]
        original = self.save(mean_reward)
        self.assertAllEqual(self.save(mean_reward), original)
        for seed, agent in ((0, 0), (2, 1)):
            changed = mean_reward.copy()
            changed[seed, 1, agent] += 0.5
            differs = np.any(self.save(changed) != original, axis=(0, 2))
            self.assertTrue(np.any(differs))
            # The panels stand side by side.
            middle = len(differs) // 2
            self.assertFalse(np.any(differs[middle:] if agent == 0 else differs[:middle]))

    def test_titles_are_no_formulas(self):
        self.save(np.zeros([1, 1, 1]), title="$\\frac$")

    def test_leaves_nothing_else(self):
        self.save(np.zeros([2, 2, 2]))
        self.assertEqual(os.listdir(self.get_temp_dir()), ["adaptation.png"])


if __name__ == "__main__":
    tf.test.main()
