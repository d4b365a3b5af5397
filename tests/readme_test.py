"""The Python examples of the README run as they stand."""

import pathlib
import re

from absl.testing import parameterized
import tensorflow as tf

README = (pathlib.Path(__file__).parent.parent / "README.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


class ReadmeTest(tf.test.TestCase, parameterized.TestCase):

    def test_there_are_examples(self):
        self.assertNotEmpty(EXAMPLES)

    @parameterized.parameters(*EXAMPLES)
    def test_example(self, source):
        names = {}
        exec(compile(source, "README.md", "exec"), names)
        gradients = names["terms"].total[0]
        self.assertEqual(gradients.shape, (3, 5, 1))
        self.assertGreater(tf.norm(gradients), 0.0)


if __name__ == "__main__":
    tf.test.main()
