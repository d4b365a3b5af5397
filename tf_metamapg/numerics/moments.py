"""Means and variances that can be differentiated more than once.

`tf.nn.moments`, which Keras' normalizations are made of, stops the gradient of the mean within the variance. First
derivatives are right nevertheless, as the mean is where the sum of squares is least; all further ones are not.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import threading
from typing import Any

import tensorflow as tf

# As there is one `tf.nn` for all threads.
_LOCK = threading.RLock()


def moments(
    x: tf.Tensor, axes: Sequence[int], shift: Any = None, keepdims: bool = False, name: str | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """The mean and the variance over some axes; arguments and results are those of `tf.nn.moments`."""
    del shift, name
    mean = tf.reduce_mean(x, axes, keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(x, mean), axes, keepdims=keepdims)
    return (mean if keepdims else tf.squeeze(mean, axes)), variance


@contextlib.contextmanager
def differentiable() -> Iterator[None]:
    """A context in which `tf.nn.moments` is `moments`, also where Keras calls it."""
    with _LOCK:
        original, tf.nn.moments = tf.nn.moments, moments
        try:
            yield
        finally:
            tf.nn.moments = original
