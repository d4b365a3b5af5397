"""A policy that sees the stock at several scales."""

import gin
import keras

import tf_metamapg as mapg


@gin.configurable
def scales_policy(game, agent_index, n_scales=4):
    """A normalised layer of sines of the stock, and logits of the actions."""
    dtype, n_actions = game.spec.dtype, game.spec.actions[agent_index].n

    def make_model(seed):
        initializer = keras.initializers.RandomNormal(seed=seed)
        return keras.Sequential([
            keras.Input(game.spec.observations[agent_index].shape, dtype=dtype),
            keras.layers.Dense(n_scales, keras.ops.sin, kernel_initializer=initializer, dtype=dtype),
            keras.layers.LayerNormalization(dtype=dtype),
            keras.layers.Dense(n_actions, kernel_initializer=initializer, dtype=dtype),
        ])

    return mapg.keras_policy(game, agent_index, make_model)
