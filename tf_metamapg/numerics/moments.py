"""Means and variances that can be differentiated more than once.

`tf.nn.moments`, which Keras' normalizations are made of, stops the gradient of the mean within the variance. First
derivatives are right nevertheless, as the mean is where the sum of squares is least; all further ones are not.
"""

import contextlib
import threading

import tensorflow as tf

# As there is one `tf.nn` for all threads.
_LOCK = threading.RLock()


def moments(x, axes, shift=None, keepdims=False, name=None):
    """The mean and the variance over some axes; arguments and results are those of `tf.nn.moments`."""
    del shift, name
    mean = tf.reduce_mean(x, axes, keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(x, mean), axes, keepdims=keepdims)
    return (mean if keepdims else tf.squeeze(mean, axes)), variance


@contextlib.contextmanager
def differentiable():
    """A context in which `tf.nn.moments` is `moments`, also where Keras calls it."""
    with _LOCK:
        original, tf.nn.moments = tf.nn.moments, moments
        try:
            yield
        finally:
            tf.nn.moments = original
