"""Proves that tables are looked up right, and that what is differentiable is so to any order, in every mode."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg.numerics import tables

MODES = (
    ("eager", lambda function: function),
    ("graph", lambda function: tf.function(function, autograph=False)),
    ("xla", lambda function: tf.function(function, autograph=False, jit_compile=True)),
)
BATCH = (2, 3)  # [S, N]
# Few entries are compared with, many are gathered.
SIZES = (1, 2, 16, 17, 40)


def _setting(n_entries, index_shape=(4, 5), seed=0):
    """A table [S, N, M], and an index [S, N, K, T] with repetitions that leaves out entry 1 of every table."""
    rng = np.random.default_rng(seed)
    index = rng.choice(np.delete(np.arange(n_entries), slice(1, 2)), size=[*BATCH, *index_shape]).astype(np.int32)
    return rng.normal(size=[*BATCH, n_entries]), index


def _looked_up(table, index):
    """Entry by entry: array of the shape of `index`."""
    entries = np.zeros(index.shape, table.dtype)
    for s, n in np.ndindex(*BATCH):
        entries[s, n] = np.take(table[s, n], index[s, n])
    return entries


def _added_up(values, index, n_entries):
    """Value by value: array [S, N, M]."""
    sums = np.zeros([*BATCH, n_entries], values.dtype)
    for place in np.ndindex(*index.shape):
        sums[(*place[:2], index[place])] += values[place]
    return sums


class SelectTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(n_entries=SIZES, dtype=["int32", "float32", "float64"], mode=MODES)
    def test_tables_of_seeds_and_tasks(self, n_entries, dtype, mode):
        for index_shape in ((), (4,), (4, 5)):
            table, index = _setting(n_entries, index_shape)
            table = (100 * table).astype(dtype)
            entries = mode[1](tables.select)(tf.constant(table), tf.constant(index))
            self.assertEqual(entries.dtype, dtype)
            self.assertAllEqual(entries, _looked_up(table, index))

    @parameterized.product(n_entries=SIZES, dtype=["int32", "float32", "float64"], mode=MODES)
    def test_one_table_for_all(self, n_entries, dtype, mode):
        rng = np.random.default_rng(0)
        table = (100 * rng.normal(size=[n_entries])).astype(dtype)
        for shape in ((), (7,), (2, 3, 4, 5)):
            index = rng.integers(n_entries, size=shape, dtype=np.int32)
            # The table is an array, which is not an argument of what is compiled.
            entries = mode[1](lambda index: tables.select(table, index))(tf.constant(index))
            self.assertEqual(entries.dtype, dtype)
            self.assertEqual(entries.shape, shape)
            self.assertAllEqual(entries, np.take(table, index))

    @parameterized.product(n_entries=[5, 40], mode=MODES)
    def test_no_gradient_flows(self, n_entries, mode):
        table, index = map(tf.constant, _setting(n_entries))

        def gradients(table):
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(table)
                selected, looked_up = tables.select(table, index), tables.look_up(table, index)
            return tape.gradient(selected, table), tape.gradient(looked_up, table)

        dead, alive = mode[1](gradients)(table)
        self.assertIsNone(dead)
        self.assertIsNotNone(alive)


class LookUpTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(n_entries=SIZES, dtype=["float32", "float64"], mode=MODES)
    def test_entries(self, n_entries, dtype, mode):
        for index_shape in ((4,), (4, 5)):
            table, index = _setting(n_entries, index_shape)
            table = table.astype(dtype)
            entries = mode[1](tables.look_up)(tf.constant(table), tf.constant(index))
            self.assertEqual(entries.dtype, dtype)
            self.assertAllEqual(entries, _looked_up(table, index))

    @parameterized.product(n_entries=SIZES, mode=MODES)
    def test_sums(self, n_entries, mode):
        _, index = _setting(n_entries)
        values = np.random.default_rng(1).normal(size=index.shape)
        sums = mode[1](lambda *arguments: tables.add_up(*arguments, n_entries))(tf.constant(values), tf.constant(index))
        self.assertAllClose(sums, _added_up(values, index, n_entries), rtol=0.0, atol=1e-12)
        if n_entries > 1:
            self.assertAllEqual(sums[..., 1], np.zeros(BATCH))

    @parameterized.parameters(*SIZES)
    def test_each_is_the_transpose_of_the_other(self, n_entries):
        table, index = _setting(n_entries)
        values = np.random.default_rng(1).normal(size=index.shape)
        looked_up = np.sum(tables.look_up(tf.constant(table), tf.constant(index)) * values)
        added_up = np.sum(table * tables.add_up(tf.constant(values), tf.constant(index), n_entries))
        self.assertAllClose(looked_up, added_up, rtol=0.0, atol=1e-12)
        self.assertGreater(abs(looked_up), 0.1)

    @parameterized.product(n_entries=SIZES, mode=MODES)
    def test_derivatives_of_entries(self, n_entries, mode):
        # With w the weights of all that has an index m, the derivatives of Σ w exp(t_m) are Σ w exp(t_m), each time
        # multiplied by the direction that the one before is differentiated along.
        table, index = _setting(n_entries)
        rng = np.random.default_rng(1)
        weights, directions = rng.normal(size=index.shape), rng.normal(size=[2, *table.shape])

        def derivatives(table, index, weights, directions):
            with tf.GradientTape() as third_tape:
                third_tape.watch(table)
                with tf.GradientTape() as second_tape:
                    second_tape.watch(table)
                    with tf.GradientTape() as first_tape:
                        first_tape.watch(table)
                        total = tf.reduce_sum(weights * tf.exp(tables.look_up(table, index)))
                    first = first_tape.gradient(total, table)
                    along = tf.reduce_sum(first * directions[0])
                second = second_tape.gradient(along, table)
                along = tf.reduce_sum(second * directions[1])
            return first, second, third_tape.gradient(along, table)

        expected = _added_up(weights, index, n_entries) * np.exp(table)
        actual = mode[1](derivatives)(*map(tf.constant, (table, index, weights, directions)))
        for derivative, direction in zip(actual, (*directions, None)):
            self.assertAllClose(derivative, expected, rtol=0.0, atol=1e-12)
            if direction is not None:
                expected = expected * direction

    @parameterized.product(n_entries=SIZES, mode=MODES)
    def test_derivatives_of_sums(self, n_entries, mode):
        # Of Σ_m s_m² / 2 with s_m = Σ x² / 2 over all x with the index m: the first is x s_m, and along v the second
        # v s_m + x Σ x v, with the sum over all with the same index.
        _, index = _setting(n_entries)
        values, direction = np.random.default_rng(1).normal(size=[2, *index.shape])

        def derivatives(values, index, direction):
            with tf.GradientTape() as outer_tape:
                outer_tape.watch(values)
                with tf.GradientTape() as inner_tape:
                    inner_tape.watch(values)
                    total = tf.reduce_sum(tables.add_up(values**2 / 2, index, n_entries) ** 2) / 2
                first = inner_tape.gradient(total, values)
                along = tf.reduce_sum(first * direction)
            return first, outer_tape.gradient(along, values)

        first, second = mode[1](derivatives)(*map(tf.constant, (values, index, direction)))
        own_sum = _looked_up(_added_up(values**2 / 2, index, n_entries), index)
        self.assertAllClose(first, values * own_sum, rtol=0.0, atol=1e-12)
        coupling = _looked_up(_added_up(values * direction, index, n_entries), index)
        self.assertAllClose(second, direction * own_sum + values * coupling, rtol=0.0, atol=1e-12)


if __name__ == "__main__":
    tf.test.main()
