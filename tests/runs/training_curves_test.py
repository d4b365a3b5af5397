"""Proves that curves of meta-training are what stands in metrics.csv, of as many updates as are drawn."""

import pathlib

import numpy as np
import tensorflow as tf

from tf_metamapg.runs import drawings
from tf_metamapg.runs import training_curves

HEADER = "meta_update,seed,agent,average_reward_0,average_reward_1,average_reward_2,m_0,m_1,m_2"
HEADER += "".join(f",{term}_norm" for term in training_curves.TERMS)


class TrainingCurvesTest(tf.test.TestCase):

    def read(self, n_updates):
        """Rewards are 1000 l + the number of the update + seed / 4 + agent / 8; the first half has one link less."""
        lines = [HEADER]
        for update in range(1, n_updates + 1):
            for seed, agent in np.ndindex(2, 3):
                value = update + seed / 4 + agent / 8
                last = "" if update <= n_updates / 2 else 2000 + value
                norms = "0.0,,-1" if agent == 2 else f"{value},{2 * value},{3 * value}"
                lines.append(f"{update},{seed},{agent},{value},{1000 + value},{last},7,7,7,{norms}")
        path = pathlib.Path(self.get_temp_dir()) / "metrics.csv"
        path.write_text("\n".join([*lines, ""]), "utf-8")
        return training_curves.read(path, 2, 3)

    def check(self, curves, n_updates):
        numbers = curves.numbers[:, np.newaxis]
        values = numbers + np.arange(2)[:, np.newaxis, np.newaxis] / 4 + np.arange(3) / 8
        self.assertAllEqual(curves.before, values)
        self.assertAllEqual(curves.after, values + np.where(numbers <= n_updates / 2, 1000, 2000))
        for factor, norms in enumerate(curves.norms.values(), 1):
            self.assertAllEqual(norms[..., :2], factor * values[..., :2])
        self.assertAllEqual(np.isnan([norms[0, 0, 2] for norms in curves.norms.values()]), [False, True, False])

    def test_all_updates(self):
        curves = self.read(6)
        self.assertAllEqual(curves.numbers, range(1, 7))
        self.check(curves, 6)

    def test_some_of_many_updates(self):
        n_updates = 2 * drawings.MOST_POINTS
        curves = self.read(n_updates)
        self.assertAllEqual(curves.numbers, 1 + drawings.shown_points(n_updates))
        self.check(curves, n_updates)

    def test_no_update(self):
        self.assertEqual(self.read(0).before.shape, (2, 0, 3))


if __name__ == "__main__":
    tf.test.main()
