"""Proves that loops over time have the derivatives of their unrolled twins, to third order and in every mode."""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg.numerics import scan

MODES = (
    ("eager", lambda function: function),
    ("graph", lambda function: tf.function(function, autograph=False)),
    ("xla", lambda function: tf.function(function, autograph=False, jit_compile=True)),
)
T, B, D, U = 5, 3, 2, 4


def _of_any_size(function):
    """In a graph that knows neither how many steps there are nor how large the batch is."""
    def run(arguments):
        consts, *others = tf.nest.map_structure(lambda leaf: tf.TensorSpec(leaf.shape, leaf.dtype), arguments)
        others = tf.nest.map_structure(
            lambda spec: tf.TensorSpec([*[None] * (len(spec.shape) - 1), spec.shape[-1]], spec.dtype), others
        )
        return tf.function(function, input_signature=[(consts, *others)], autograph=False)(arguments)

    return run


def _step(consts, carry, inputs):
    """A recurrent cell with two carries that need each other, and inputs in two parts."""
    kernel, recurrent, bias = consts
    hidden, memory = carry
    first, second = inputs
    drive = first @ kernel + hidden @ recurrent + bias
    memory = tf.sigmoid(drive) * memory + second * tf.tanh(drive)
    return tf.sin(memory) + 0.1 * hidden, memory


def _unrolled(step, consts, initial, inputs):
    carries, carry = [], initial
    for time in range(inputs[0].shape[0]):
        carry = step(consts, carry, tf.nest.map_structure(lambda leaf, time=time: leaf[time], inputs))
        carries.append(carry)
    return tf.nest.map_structure(lambda *leaves: tf.stack(leaves), *carries)


def _arguments(n_steps=T):
    rng = np.random.default_rng(0)

    def normal(*shape):
        return tf.constant(rng.normal(size=shape))

    consts = (normal(D, U), 0.5 * normal(U, U), normal(1, U))
    return consts, (normal(B, U), normal(B, U)), (normal(n_steps, B, D), normal(n_steps, B, U))


def _derivatives(loop, n_steps=T):
    """Of a function of all carries, in all arguments: first ones, and second and third ones along a direction."""
    arguments = _arguments(n_steps)
    rng = np.random.default_rng(1)
    weights = [tf.constant(rng.normal(size=[n_steps, B, U])) for _ in range(2)]
    along = tf.nest.map_structure(lambda leaf: tf.constant(rng.normal(size=leaf.shape)), arguments)

    def product(structure):
        return tf.add_n([tf.reduce_sum(a * b) for a, b in zip(tf.nest.flatten(structure), tf.nest.flatten(along))])

    def run(arguments):
        with tf.GradientTape() as third_tape:
            third_tape.watch(arguments)
            with tf.GradientTape() as second_tape:
                second_tape.watch(arguments)
                with tf.GradientTape() as first_tape:
                    first_tape.watch(arguments)
                    carries = loop(_step, *arguments)
                    value = tf.add_n([tf.reduce_sum(w * tf.sin(carry)) for w, carry in zip(weights, carries)])
                first = first_tape.gradient(value, arguments)
                first_along = product(first)
            second = second_tape.gradient(first_along, arguments)
            second_along = product(second)
        return carries, first, second, third_tape.gradient(second_along, arguments)

    return run, arguments


class ScanTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(mode=[*[mode for _, mode in MODES], _of_any_size], n_steps=[T, 1])
    def test_carries_and_derivatives(self, mode, n_steps):
        run, arguments = _derivatives(scan.scan, n_steps)
        expected, _ = _derivatives(_unrolled, n_steps)
        for actual, unrolled in zip(mode(run)(arguments), expected(arguments)):
            for leaf, other in zip(tf.nest.flatten(actual), tf.nest.flatten(unrolled)):
                self.assertEqual(leaf.shape, other.shape)
                self.assertGreater(np.max(np.abs(other)), 1e-2)
                self.assertAllClose(leaf, other, rtol=1e-10, atol=1e-10)

    def test_derivatives_against_finite_differences(self):
        run, arguments = _derivatives(scan.scan)
        _, first, second, _ = run(arguments)
        rng = np.random.default_rng(1)
        weights = [rng.normal(size=[T, B, U]) for _ in range(2)]
        along = [rng.normal(size=leaf.shape) for leaf in tf.nest.flatten(arguments)]

        def value(x):
            moved = [leaf + x * part for leaf, part in zip(tf.nest.flatten(arguments), along)]
            carries = scan.scan(_step, *tf.nest.pack_sequence_as(arguments, moved))
            return sum(np.sum(w * np.sin(carry)) for w, carry in zip(weights, carries))

        h = 1e-3
        slope = (8 * (value(h) - value(-h)) - value(2 * h) + value(-2 * h)) / (12 * h)
        curvature = (-value(2 * h) + 16 * value(h) - 30 * value(0) + 16 * value(-h) - value(-2 * h)) / (12 * h**2)
        for derivatives, expected, rtol in ((first, slope, 1e-8), (second, curvature, 1e-6)):
            actual = sum(np.sum(leaf * part) for leaf, part in zip(tf.nest.flatten(derivatives), along))
            self.assertGreater(abs(expected), 0.1)
            self.assertAllClose(actual, expected, rtol=rtol, atol=0.0)

    @parameterized.named_parameters(*MODES)
    def test_backwards(self, mode):
        """As forwards with time turned round, to third order."""

        def backwards(step, consts, initial, inputs):
            return scan.scan(step, consts, initial, inputs, backwards=True)

        def turned_round(step, consts, initial, inputs):
            carries = _unrolled(step, consts, initial, tf.nest.map_structure(lambda leaf: leaf[::-1], inputs))
            return tf.nest.map_structure(lambda leaf: leaf[::-1], carries)

        run, arguments = _derivatives(backwards)
        expected, _ = _derivatives(turned_round)
        for actual, unrolled in zip(mode(run)(arguments), expected(arguments)):
            for leaf, other in zip(tf.nest.flatten(actual), tf.nest.flatten(unrolled)):
                self.assertAllClose(leaf, other, rtol=1e-10, atol=1e-10)

    @parameterized.parameters(*itertools.product([0, 1, 2]))
    def test_one_argument_alone(self, which):
        """Arguments that nothing is differentiated with respect to are constants."""
        arguments = _arguments()
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(arguments[which])
            value, expected = (
                tf.add_n([tf.reduce_sum(carry**2) for carry in loop(_step, *arguments)])
                for loop in (scan.scan, _unrolled)
            )
        for leaf, other in zip(tape.gradient(value, arguments[which]), tape.gradient(expected, arguments[which])):
            self.assertAllClose(leaf, other, rtol=1e-12, atol=1e-12)
        others = [argument for index, argument in enumerate(arguments) if index != which]
        self.assertEqual(set(map(type, tf.nest.flatten(tape.gradient(value, others)))), {type(None)})

    def test_one_step(self):
        consts, initial, inputs = _arguments()
        inputs = tf.nest.map_structure(lambda leaf: leaf[:1], inputs)
        carries = scan.scan(_step, consts, initial, inputs)
        expected = _step(consts, initial, tf.nest.map_structure(lambda leaf: leaf[0], inputs))
        for carry, other in zip(carries, expected):
            self.assertAllEqual(carry[0], other)


if __name__ == "__main__":
    tf.test.main()
