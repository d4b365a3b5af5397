"""Proves that no product of the package leaves it to TensorFlow to broadcast batch axes, which corrupts memory."""

import ast
import inspect
import json
import os
import pathlib
import subprocess
import sys

from absl.testing import parameterized
import numpy as np
import pytest
import tensorflow as tf

from tests import small_batches
import tf_metamapg as mapg
from tf_metamapg.agents.base import GradientAgent
from tf_metamapg.agents.learning_rates import ConstantRate
from tf_metamapg.agents.optimizers import SGD
from tf_metamapg.critics.base import BaselineCritic
from tf_metamapg.estimators.sampled import SampledEstimator
from tf_metamapg.numerics import products

PACKAGE = pathlib.Path(mapg.__file__).parent


class MatmulTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(
        ((4, 3), (3, 2)), ((2, 1, 4, 3), (3, 2)), ((4, 3), (2, 1, 3, 2)), ((2, 1, 4, 3), (2, 5, 3, 2)),
        ((2, 5, 4, 3), (2, 1, 3, 2)), ((2, 4, 3), (5, 1, 3, 2)), ((2, 5, 4, 3), (2, 5, 3, 2)),
    )
    def test_value_and_derivatives(self, first_shape, second_shape):
        generator = np.random.default_rng(0)
        first, second = (tf.constant(generator.normal(size=shape)) for shape in (first_shape, second_shape))
        expected = first.numpy() @ second.numpy()
        self.assertAllClose(products.matmul(first, second), expected, rtol=1e-12)
        upstream = tf.constant(generator.normal(size=expected.shape))
        with tf.GradientTape() as tape:
            tape.watch([first, second])
            value = tf.reduce_sum(upstream * products.matmul(first, second))
        # The product is bilinear: along any direction its derivative is the value itself there.
        for operand, gradient in zip((first, second), tape.gradient(value, [first, second])):
            self.assertEqual(gradient.shape, operand.shape)
            self.assertAllClose(tf.reduce_sum(operand * gradient), value, rtol=1e-12)

    def test_unknown_number_of_rows(self):
        function = tf.function(products.matmul, input_signature=[tf.TensorSpec([None, 3]), tf.TensorSpec([3, 2])])
        self.assertAllEqual(function(tf.ones([5, 3]), tf.ones([3, 2])), np.full([5, 2], 3.0))


@pytest.mark.slow
@pytest.mark.timeout(3600)  # Every member is compiled.
class EveryMemberTest(tf.test.TestCase):
    """Two seeds with one task each are what broke; one seed with two tasks is its mirror image."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.results = {}
        for n_seeds, n_tasks in ((2, 1), (1, 2)):
            processes = {
                mode: subprocess.Popen(
                    [sys.executable, "-m", "tests.small_batches", mode, str(n_seeds), str(n_tasks)],
                    # What XLA does for speed alone takes a third of the time.
                    cwd=PACKAGE.parent, env={
                        **os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "XLA_FLAGS": "--xla_backend_optimization_level=0",
                    },
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                )
                for mode in ("eager", "graph", "xla")
            }
            for mode, process in processes.items():
                output, errors = process.communicate()
                cls.results[n_seeds, n_tasks, mode] = (process.returncode, output, errors)

    def outputs(self, *key):
        status, output, errors = self.results[key]
        self.assertEqual(status, 0, errors[-2000:])
        return json.loads(output.splitlines()[-1])

    def test_all_modes_end_well_and_agree(self):
        for shape in ((2, 1), (1, 2)):
            expected = self.outputs(*shape, "eager")
            for mode in ("graph", "xla"):
                for name, result in self.outputs(*shape, mode).items():
                    for leaf, expected_leaf in zip(result["outputs"], expected[name]["outputs"], strict=True):
                        scale = np.max(np.abs(expected_leaf))
                        self.assertAllClose(leaf, expected_leaf, rtol=0.0, atol=1e-3 * scale, msg=f"{mode}, {name}")

    def test_no_product_broadcasts_batch_axes(self):
        for shape in ((2, 1), (1, 2)):
            for name, result in self.outputs(*shape, "graph").items():
                self.assertEmpty(result["broadcasts"], name)


class CompletenessTest(tf.test.TestCase):

    def test_every_agent_estimator_policy_and_critic_is_in_the_table(self):
        source = pathlib.Path(small_batches.__file__).read_text("utf-8")
        used = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
        members = set()
        for base, n_members in (
            (GradientAgent, 28), (SGD, 4), (ConstantRate, 3), (BaselineCritic, 8), (SampledEstimator, 4)
        ):
            kind = {
                name for name in mapg.__all__
                if isinstance(getattr(mapg, name), type) and issubclass(getattr(mapg, name), base)
                and not inspect.isabstract(getattr(mapg, name))
            }
            self.assertLen(kind, n_members)
            members |= kind
        policies = {name for name in mapg.__all__ if name.endswith("_policy")}
        self.assertLessEqual(members | policies | {"ExactEstimator", "MaximumLikelihood"}, used)


class SourceTest(tf.test.TestCase):

    def test_products_are_made_in_one_place(self):
        users = set()
        for path in PACKAGE.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                is_product = isinstance(node, ast.Attribute) and node.attr in ("matmul", "matvec")
                if is_product and ast.unparse(node) != "products.matmul":
                    users.add(path.relative_to(PACKAGE).as_posix())
                if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
                    users.add(path.relative_to(PACKAGE).as_posix())
        # Those of `returns` are of matrices without batch axes.
        self.assertEqual(users, {"numerics/products.py", "numerics/returns.py"})


if __name__ == "__main__":
    tf.test.main()
