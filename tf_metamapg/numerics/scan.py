"""Loops over time that can be differentiated any number of times, also under XLA.

TensorFlow's own gradients of loops cannot be compiled twice differentiated, and unrolled loops take minutes to
compile. Here the derivative of a loop is again such a loop, backwards in time, and what the parameters have to
do with it is one large product over all time steps at once.
"""

from collections.abc import Callable
import functools

import tensorflow as tf

from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import axes


def scan(
    step: Callable[[Structure, Structure, Structure], Structure], consts: Structure, initial: Structure,
    inputs: Structure, backwards: bool = False,
) -> Structure:
    """c_t = step(consts, c_(t−1), x_t) for t = 0..T−1, with c_(−1) the initial carry.

    Args:
        step: function (consts, carry, input) → carry, of floating tensors. The next to last axis of carries and
            inputs is a batch of B, whose entries it treats alike: derivatives call it for all time steps at once,
            with a batch of T · B.
        consts: structure of tensors, the same at every step and for all of the batch.
        initial: structure of tensors [..., B, features].
        inputs: structure of tensors [T, ..., B, features].
        backwards: whether it goes from t = T − 1 to 0: c_t = step(consts, c_(t+1), x_t), with c_T the initial carry.

    Returns:
        the carries after each step, a structure like `initial` with tensors [T, ..., B, features]; differentiable
        any number of times in `consts`, `initial` and `inputs`.
    """
    n_steps = axes.sizes(tf.nest.flatten(inputs)[0])[0]
    arguments = (consts, initial, inputs)
    carries: list[tf.Tensor] = []  # as whoever differentiates the derivative must see them: connected to the arguments

    @tf.custom_gradient
    def run(*flat_arguments):
        own_consts, start, own_inputs = _pack(arguments, map(tf.stop_gradient, flat_arguments))
        results = _loop(step, own_consts, start, own_inputs, backwards)

        def gradients(*upstream):
            consts, initial, inputs = _pack(arguments, flat_arguments)
            results, upstream = _pack(initial, carries), _pack(initial, upstream)
            zeros = _map(tf.zeros_like, initial)

            def step_back(constants, carry_cotangents, at_step):
                carry, own_inputs, result_cotangents = at_step
                total = _map(tf.add, carry_cotangents, result_cotangents)
                return _pull_back(lambda carry: step(constants, carry, own_inputs), carry, total)

            before = _map(functools.partial(_before, backwards=backwards), initial, results)
            before_cotangents = scan(step_back, consts, zeros, (before, inputs, upstream), not backwards)
            after_cotangents = _map(
                lambda own, later, zero: own + _before(zero, later, not backwards), upstream, before_cotangents, zeros
            )
            all_before = _map(_into_batch, before)
            const_cotangents, input_cotangents = _pull_back(
                lambda leaves: step(leaves[0], all_before, leaves[1]),
                (consts, _map(_into_batch, inputs)), _map(_into_batch, after_cotangents),
            )
            initial_cotangents = _map(lambda leaf: leaf[-1 if backwards else 0], before_cotangents)
            input_cotangents = _map(lambda leaf: _out_of_batch(leaf, n_steps), input_cotangents)
            return tf.nest.flatten((const_cotangents, initial_cotangents, input_cotangents))

        return tf.nest.flatten(results), gradients

    carries.extend(run(*tf.nest.flatten(arguments)))
    return _pack(initial, carries)


def _loop(step, consts, initial, inputs, backwards):
    """The carries after each step, without derivatives."""
    n_steps = axes.sizes(tf.nest.flatten(inputs)[0])[0]
    arrays = _map(lambda leaf: tf.TensorArray(leaf.dtype, size=n_steps, element_shape=leaf.shape), initial)
    last = n_steps - 1

    def at(count):
        time = last - count if backwards else count
        return time, _map(lambda leaf: leaf[time], inputs)

    def body(count, time, own_inputs, carry, arrays):
        carry = step(consts, carry, own_inputs)
        arrays = _map(lambda array, leaf: array.write(time, leaf), arrays, carry)
        # The next step's inputs are read here, since arithmetic that is compiled together with a look at a place
        # that moves is not turned into vector instructions.
        return count + 1, *at(tf.minimum(count + 1, last)), carry, arrays

    *_, arrays = tf.while_loop(lambda count, *_: count < n_steps, body, (0, *at(0), initial, arrays))
    return _map(lambda array: array.stack(), arrays)


def _pull_back(function, point, upstream):
    """The derivative of ⟨upstream, function(point)⟩ in `point`."""
    with tf.GradientTape() as tape:
        tape.watch(point)
        results = function(point)
    return tape.gradient(
        tf.nest.flatten(results), point, output_gradients=tf.nest.flatten(upstream), unconnected_gradients="zero"
    )


def _into_batch(leaf):
    """[T, ..., B, features] → [..., T · B, features]."""
    n_steps, *leading, size, n_features = axes.sizes(leaf)
    n_axes = len(leaf.shape)
    moved = tf.transpose(leaf, [*range(1, n_axes - 2), 0, n_axes - 2, n_axes - 1])
    return tf.reshape(moved, [*leading, n_steps * size, n_features])


def _out_of_batch(leaf, n_steps):
    """[..., T · B, features] → [T, ..., B, features]."""
    *leading, size, n_features = axes.sizes(leaf)
    n_axes = len(leaf.shape) + 1
    split = tf.reshape(leaf, [*leading, n_steps, size // n_steps, n_features])
    return tf.transpose(split, [n_axes - 3, *range(n_axes - 3), n_axes - 2, n_axes - 1])


def _before(initial, values, backwards=False):
    """What was there before each step, of what was there after it and before the first one."""
    if values.shape[0] == 1:
        return initial[tf.newaxis]  # Of empty slices XLA makes an error at the third derivative.
    if backwards:
        return tf.concat([values[1:], initial[tf.newaxis]], axis=0)
    return tf.concat([initial[tf.newaxis], values[:-1]], axis=0)


def _map(function, *structures):
    return tf.nest.map_structure(function, *structures)


def _pack(structure, leaves):
    return tf.nest.pack_sequence_as(structure, list(leaves))
