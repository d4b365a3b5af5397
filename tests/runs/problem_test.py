"""Proves that runs are compiled where that pays; what an experiment does and leaves is in `main_test`."""

import tensorflow as tf

from tf_metamapg.runs import problem


class CompilingTest(tf.test.TestCase):

    def test_it_pays_for_long_runs(self):
        # As in ipd.gin: 150 meta-updates of two links with 20 · 8 · 64 · 50 environment steps each, and two
        # evaluations of six links.
        self.assertTrue(problem.compiling_pays((300, 512_000), (12, 2_048_000)))
        # As in ipd_lola.gin: nothing but held-out tasks, for 301 links.
        self.assertTrue(problem.compiling_pays((0, 512_000), (602, 512_000)))
        # Many links of few steps, each of which is a matter of many small operations.
        self.assertTrue(problem.compiling_pays((10_000, 64), (12, 64)))

    def test_it_does_not_pay_for_short_runs(self):
        self.assertFalse(problem.compiling_pays((20, 512_000), (12, 64_000)))

    def test_it_does_not_pay_without_samples(self):
        self.assertFalse(problem.compiling_pays((100_000, 0), (12, 0)))


if __name__ == "__main__":
    tf.test.main()
