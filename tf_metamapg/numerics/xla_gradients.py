"""Under XLA, TensorFlow differentiates a slice by an operation that it cannot differentiate again; here it can.

A meta-agent that faces a LOLA learner differentiates three times. Importing this module is all there is to do.
"""

import tensorflow as tf


@tf.RegisterGradient("XlaDynamicUpdateSlice")
def _gradient(operation, upstream):
    """Of a tensor part of which is replaced by an update: the rest is worth what it was, and the update its part."""
    _, update, starts = operation.inputs
    with tf.GradientTape() as tape:
        tape.watch(upstream)
        part = tf.slice(upstream, starts, update.shape)
    # The derivative of a slice puts a part where it was, among zeros.
    return upstream - tape.gradient(part, upstream, output_gradients=part), part, None
