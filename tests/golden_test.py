"""Proves that this version gives the numbers of release 0.1.0: random numbers and actions bit for bit."""

import json

from absl.testing import parameterized
import pytest
import tensorflow as tf

from tests import golden

pytestmark = pytest.mark.slow

EXPECTED = json.loads(golden.PATH.read_text("utf-8"))


class GoldenTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(*golden.ROLLOUTS)
    def test_trajectories(self, name):
        uniforms, trajectory = golden.trajectories(name)
        self.assertEqual(golden.digest(uniforms), EXPECTED["uniforms"][name])
        summaries = [golden.summary(leaf) for leaf in tf.nest.flatten(trajectory)]
        for value, expected in zip(summaries, EXPECTED["trajectories"][name], strict=True):
            if isinstance(expected, str):
                self.assertEqual(value, expected)
            else:
                # Other processors round otherwise.
                self.assertAllClose(value, expected, rtol=1e-12, atol=1e-12)

    @parameterized.parameters(*golden.RUNS)
    def test_meta_updates(self, name):
        numbers, expected = golden.meta_updates(name), EXPECTED["meta_updates"][name]
        self.assertEqual(list(numbers), list(expected))
        for kind, values in expected.items():
            # Rounding alone differs, of numbers as large as a hundred.
            self.assertAllClose(numbers[kind], values, rtol=1e-12, atol=1e-12, msg=kind)


if __name__ == "__main__":
    tf.test.main()
