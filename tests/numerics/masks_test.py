"""Proves that steps that do not count reach nothing: no value, no mean and no derivative, in every mode."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg.numerics import masks

MODES = (
    ("eager", lambda function: function),
    ("graph", lambda function: tf.function(function, autograph=False)),
    ("xla", lambda function: tf.function(function, autograph=False, jit_compile=True)),
)
SHAPE = (2, 3, 4, 5)


def _mask():
    """Every trajectory has a length of its own, and a first step: bool array [S, N, K, T]."""
    lengths = np.random.default_rng(0).integers(1, 6, size=SHAPE[:3])
    return np.arange(5) < lengths[..., np.newaxis]


def _values(behind, dtype="float64"):
    """Random numbers, and what is no number where the mask does not hold."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=[*SHAPE, *behind])
    values[~_mask()] = rng.choice([np.nan, np.inf, -np.inf, 1e300], size=values[~_mask()].shape)
    return values.astype(dtype)


class MasksTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(mode=MODES, behind=[(), (3,), (3, 2)], dtype=["float32", "float64"])
    def test_masked(self, mode, behind, dtype):
        with np.errstate(over="ignore"):
            values = _values(behind, dtype)
        result = mode[1](masks.masked)(tf.constant(values), tf.constant(_mask()))
        self.assertEqual(result.dtype, dtype)
        expected = values.copy()
        expected[~_mask()] = 0.0
        self.assertAllEqual(result, expected)

    def test_masked_whole_numbers(self):
        actions = np.random.default_rng(2).integers(1, 9, size=SHAPE, dtype=np.int32)
        result = masks.masked(tf.constant(actions), tf.constant(_mask()))
        self.assertEqual(result.dtype, tf.int32)
        self.assertAllEqual(result, actions * _mask())

    @parameterized.product(mode=MODES, behind=[(), (3,)])
    def test_no_derivative_passes_to_what_does_not_count(self, mode, behind):
        values = _values(behind)

        def derivatives(values, mask):
            with tf.GradientTape() as outer_tape:
                outer_tape.watch(values)
                with tf.GradientTape() as inner_tape:
                    inner_tape.watch(values)
                    total = tf.reduce_sum(masks.masked(values, mask) ** 3)
                first = inner_tape.gradient(total, values)
            return first, outer_tape.gradient(first, values)

        first, second = mode[1](derivatives)(tf.constant(values), tf.constant(_mask()))
        counted = np.where(_mask().reshape([*SHAPE, *[1] * len(behind)]), values, 0.0)
        self.assertAllClose(first, 3.0 * counted**2, rtol=1e-14, atol=0.0)
        self.assertAllClose(second, 6.0 * counted, rtol=1e-14, atol=0.0)

    @parameterized.product(
        mode=MODES, behind_and_axis=[((), [2, 3]), ((), [-2, -1]), ((), [3]), ((6,), [2, 3]), ((6,), [3])]
    )
    def test_mean(self, mode, behind_and_axis):
        behind, axis = behind_and_axis
        values, mask = _values(behind), _mask()
        mean = mode[1](lambda values, mask: masks.mean(values, mask, axis))(tf.constant(values), tf.constant(mask))
        n_left = 2 if len(axis) == 2 else 3
        self.assertEqual(mean.shape, [*SHAPE[:n_left], *behind])
        for index in np.ndindex(*SHAPE[:n_left]):
            self.assertAllClose(mean[index], values[index][mask[index]].mean(axis=0), rtol=1e-14, atol=1e-14)

    def test_derivatives_of_means(self):
        mask, values = tf.constant(_mask()), tf.constant(_values(()))
        with tf.GradientTape() as tape:
            tape.watch(values)
            total = tf.reduce_sum(masks.mean(values, mask, [2, 3]))
        counts = _mask().sum(axis=(2, 3), keepdims=True)
        self.assertAllClose(tape.gradient(total, values), _mask() / counts, rtol=1e-14, atol=0.0)

    @parameterized.product(mode=MODES, with_mask=[False, True], axis=[[2, 3], [1]])
    def test_mean_where_defined(self, mode, with_mask, axis):
        everywhere = _values(()) if with_mask else np.random.default_rng(4).normal(size=SHAPE)
        values, mask = everywhere.copy(), _mask() if with_mask else np.ones(SHAPE, bool)
        undefined = np.random.default_rng(5).uniform(size=SHAPE) < 0.4
        undefined[0, 0] = undefined[:, :, 0, 0] = True
        values[undefined] = np.nan
        mean = mode[1](lambda values: masks.mean_where_defined(values, tf.constant(mask) if with_mask else None, axis))
        found = mean(tf.constant(values)).numpy()
        kept = np.moveaxis(np.where(mask, values, np.nan), axis, np.arange(-len(axis), 0))
        for index in np.ndindex(*found.shape):
            own = kept[index][~np.isnan(kept[index])]
            self.assertAllClose(found[index], own.mean() if own.size else np.nan, rtol=1e-14, atol=1e-14)
        self.assertTrue(np.any(np.isnan(found)) and np.any(~np.isnan(found)))
        # Where all are defined, bit for bit what it is without a thought of it.
        own_mask = tf.constant(mask) if with_mask else None
        one, other = (
            mode[1](lambda values, function=function: function(values, own_mask, [2, 3]))(tf.constant(everywhere))
            for function in (masks.mean, masks.mean_where_defined)
        )
        self.assertAllEqual(one, other)

    def test_derivatives_where_nothing_is_defined(self):
        values = tf.constant([[np.nan, 2.0, 4.0], [np.nan, np.nan, np.nan]])
        with tf.GradientTape() as tape:
            tape.watch(values)
            mean = masks.mean_where_defined(values, None, -1)
        self.assertAllEqual(mean, [3.0, np.nan])
        self.assertAllEqual(tape.gradient(mean, values), [[0.0, 0.5, 0.5], [0.0, 0.0, 0.0]])
        totals, counts = tf.constant([1.0, 2.0]), tf.constant([0.0, 4.0])
        with tf.GradientTape() as tape:
            tape.watch((totals, counts))
            ratio = masks.ratio(totals, counts)
        self.assertAllEqual(ratio, [np.nan, 0.5])
        self.assertAllEqual(tape.gradient(ratio, (totals, counts)), [[0.0, 0.25], [0.0, -0.125]])

    def test_without_a_mask_nothing_is_built(self):
        @tf.function(autograph=False)
        def masked(values):
            return masks.masked(values, None)

        graph = masked.get_concrete_function(tf.zeros(SHAPE)).graph
        self.assertEqual({operation.type for operation in graph.get_operations()}, {"Placeholder", "Identity"})
        values = tf.constant(np.random.default_rng(3).normal(size=SHAPE))
        self.assertIs(masks.masked(values, None), values)
        self.assertAllEqual(masks.mean(values, None, [2, 3]), tf.reduce_mean(values, axis=[2, 3]))
        everything = tf.ones(SHAPE, tf.bool)
        self.assertAllClose(masks.mean(values, everything, [2, 3]), masks.mean(values, None, [2, 3]), rtol=1e-14)


if __name__ == "__main__":
    tf.test.main()
