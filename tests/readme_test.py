"""The Python examples of the README run as they stand."""

import pathlib
import re

import tensorflow as tf

README = (pathlib.Path(__file__).parent.parent / "README.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


class ReadmeTest(tf.test.TestCase):

    def test_library_example(self):
        self.assertLen(EXAMPLES, 1)
        names = {}
        exec(compile(EXAMPLES[0], "README.md", "exec"), names)
        gradients = names["terms"].total.initial_params[0]
        self.assertEqual(gradients.shape, (3, 5, 1))
        self.assertGreater(tf.norm(gradients), 0.0)


if __name__ == "__main__":
    tf.test.main()
