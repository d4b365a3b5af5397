"""What nests of tensors are made of."""

import tensorflow as tf

from tf_metamapg import descriptions
from tf_metamapg.contracts import Structure


def specs(structure: Structure) -> Structure:
    """What dtypes and shapes the tensors and arrays of a nest have; anything else stays as it is."""
    return tf.nest.map_structure(
        lambda leaf: tf.TensorSpec(leaf.shape, leaf.dtype) if descriptions.is_array(leaf) else leaf, structure
    )
