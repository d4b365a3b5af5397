"""The operator that lets a surrogate have all derivatives of an expectation (DiCE, Foerster et al. 2018)."""

import tensorflow as tf


@tf.custom_gradient
def magic_box(log_probs: tf.Tensor) -> tf.Tensor:
    """□(x) = exp(x − ⊥(x)), Foerster et al. 2018: its value is one, its derivative that of x."""
    return tf.ones_like(log_probs), lambda upstream: upstream * magic_box(log_probs)
