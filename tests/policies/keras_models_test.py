"""Proves that any Keras model and any recurrent cell of Keras is a policy, and that what is none is refused."""

import functools

import keras
import numpy as np
import tensorflow as tf

from tests.policies import conformance
from tests.policies.conformance import features
from tests.policies.conformance import image_game
from tests.policies.conformance import Kind
from tests.policies.conformance import matrix_game
from tests.policies.conformance import sigmoid
from tests.policies.conformance import SpacesGame
from tests.policies.conformance import vector_game
import tf_metamapg as mapg

layers = keras.layers
IMAGES_AND_ACTIONS = functools.partial(SpacesGame, mapg.Box(conformance.IMAGE), mapg.Discrete(3))


def glorot(seed):
    return keras.initializers.GlorotUniform(seed)


def dense(units, seed, activation=None, dtype="float64"):
    return layers.Dense(units, activation, kernel_initializer=glorot(seed), dtype=dtype)


def embedding(game, agent_index):
    """Whole numbers by way of a table, normalised."""
    n_actions = game.spec.actions[agent_index].n

    def make_model(seed):
        dtype = game.spec.dtype
        return keras.Sequential([
            layers.Input((), dtype="int32"),
            layers.Embedding(7, 4, keras.initializers.RandomNormal(stddev=1.0, seed=seed), dtype=dtype),
            layers.LayerNormalization(dtype=dtype),
            dense(n_actions, seed, dtype=dtype),
        ])

    return mapg.keras_policy(game, agent_index, make_model)


def embedding_outputs(leaves, observations):
    table, scale, shift, kernel, bias = leaves
    rows = table[observations]
    centred = rows - rows.mean(axis=-1, keepdims=True)
    normal = centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + 1e-3)
    return (normal * scale + shift) @ kernel + bias


def convolution(game, agent_index):
    """Images by way of their neighbourhoods of 2 × 2."""

    def make_model(seed):
        dtype = game.spec.dtype
        return keras.Sequential([
            layers.Input(conformance.IMAGE, dtype=dtype),
            layers.Conv2D(3, 2, activation="tanh", kernel_initializer=glorot(seed), dtype=dtype),
            layers.Flatten(dtype=dtype),
            dense(3, seed, dtype=dtype),
        ])

    return mapg.keras_policy(game, agent_index, make_model)


def convolution_outputs(leaves, observations):
    filters, bias, kernel, last_bias = leaves
    height, width, _ = conformance.IMAGE
    rows = []
    for row, column in np.ndindex(height - 1, width - 1):
        patch = observations[:, row : row + 2, column : column + 2]
        rows.append(np.tanh(np.einsum("thwc,hwco->to", patch, filters) + bias))
    return np.concatenate(rows, axis=-1) @ kernel + last_bias


def skipping(game, agent_index):
    """Vectors by way of a layer, and past it."""
    (size,), (n_actions,) = game.spec.observations[agent_index].shape, game.spec.actions[agent_index].shape

    def make_model(seed):
        dtype = game.spec.dtype
        inputs = layers.Input((size,), dtype=dtype)
        hidden = dense(size, seed, "tanh", dtype)(inputs)
        added = layers.Add(dtype=dtype)([inputs, hidden])
        return keras.Model(inputs, dense(2 * n_actions, seed + 1, dtype=dtype)(added))

    return mapg.keras_policy(game, agent_index, make_model)


def skipping_outputs(leaves, observations):
    kernel, bias, last_kernel, last_bias = leaves
    return (observations + np.tanh(observations @ kernel + bias)) @ last_kernel + last_bias


class Drifting(keras.Model):
    """A model of a user's own, with a variable that is in no layer."""

    def __init__(self, n_outputs, seed, **kwargs):
        super().__init__(**kwargs)
        self._dense = dense(n_outputs, seed, dtype=self.dtype_policy)

    def build(self, input_shape):
        self.drift = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="drift")
        self._dense.build(input_shape)
        self.built = True

    def call(self, inputs):
        return self._dense(keras.ops.sin(inputs + self.drift))


def drifting(game, agent_index):
    def make_model(seed):
        model = Drifting(2 * game.spec.actions[agent_index].shape[0], seed, dtype=game.spec.dtype)
        model.build((None, 3))
        return model

    return mapg.keras_policy(game, agent_index, make_model)


def drifting_outputs(leaves, observations):
    drift, kernel, bias = leaves
    return np.sin(observations + drift) @ kernel + bias


def with_cell(make_cell):
    """A function (game, agent_index) → policy with a cell, from a function of seed and dtype."""
    return lambda game, agent_index: mapg.keras_recurrent_policy(
        game, agent_index, functools.partial(make_cell, dtype=game.spec.dtype)
    )


def lstm_cell(seed, dtype="float64"):
    return layers.LSTMCell(
        3, kernel_initializer=glorot(seed), recurrent_initializer=keras.initializers.Orthogonal(seed=seed), dtype=dtype
    )


def lstm_outputs(leaves, observations):
    kernel, recurrent_kernel, bias, last_kernel, last_bias = leaves
    hidden = cell = np.zeros(3)
    outputs = []
    for seen in features(observations):
        enter, forget, candidate, leave = np.split(seen @ kernel + hidden @ recurrent_kernel + bias, 4)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
        hidden = sigmoid(leave) * np.tanh(cell)
        outputs.append(hidden @ last_kernel + last_bias[0])
    return np.stack(outputs)


def stacked_cells(seed, dtype="float64"):
    """A gated recurrent unit on top of a simple cell: a state in two parts."""
    arguments = {
        "kernel_initializer": glorot(seed), "recurrent_initializer": keras.initializers.Orthogonal(seed=seed),
        "dtype": dtype,
    }
    return layers.StackedRNNCells([layers.SimpleRNNCell(4, **arguments), layers.GRUCell(3, **arguments)], dtype=dtype)


def stacked_outputs(leaves, observations):
    lower_kernel, lower_recurrent, lower_bias, kernel, recurrent_kernel, biases, last_kernel, last_bias = leaves
    lower, hidden = np.zeros(4), np.zeros(3)
    outputs = []
    for seen in features(observations):
        lower = np.tanh(seen @ lower_kernel + lower @ lower_recurrent + lower_bias)
        keep, reset, candidate = np.split(lower @ kernel + biases[0], 3)
        of_keep, of_reset, of_candidate = np.split(hidden @ recurrent_kernel + biases[1], 3)
        keep, reset = sigmoid(keep + of_keep), sigmoid(reset + of_reset)
        hidden = keep * hidden + (1.0 - keep) * np.tanh(candidate + reset * of_candidate)
        outputs.append(hidden @ last_kernel + last_bias[0])
    return np.stack(outputs)


class Trace(layers.Layer):
    """A cell of a user's own: a trace of what is seen, a count that starts at one, and an output that is neither."""

    def __init__(self, seed, **kwargs):
        super().__init__(**kwargs)
        self.state_size, self.output_size = [4, 1], 2
        self._seed = seed

    def build(self, input_shape):
        self.inward = self.add_weight(shape=(input_shape[-1], 4), initializer=glorot(self._seed), name="inward")
        self.outward = self.add_weight(shape=(4, 2), initializer=glorot(self._seed + 1), name="outward")
        self.built = True

    def get_initial_state(self, batch_size=None):
        return [keras.ops.zeros([batch_size, 4], self.dtype), keras.ops.ones([batch_size, 1], self.dtype)]

    def call(self, inputs, states):
        trace, count = states
        trace = keras.ops.tanh(0.5 * trace + keras.ops.matmul(inputs, self.inward))
        output = keras.ops.sin(keras.ops.matmul(trace, self.outward) / count)
        return output, [trace, count + 1.0]


def trace_cell(seed, dtype="float64"):
    return Trace(seed, dtype=dtype)


def trace_outputs(leaves, observations):
    inward, outward, kernel, bias = leaves
    trace, outputs = np.zeros(4), []
    for t, seen in enumerate(features(observations)):
        trace = np.tanh(0.5 * trace + seen @ inward)
        outputs.append(np.sin(trace @ outward / (t + 1)) @ kernel + bias[0])
    return np.stack(outputs)


KINDS = {
    "embedding": Kind(embedding, matrix_game, embedding_outputs),
    "convolution": Kind(convolution, IMAGES_AND_ACTIONS, convolution_outputs),
    "skip_connection": Kind(skipping, vector_game, skipping_outputs),
    "own_model": Kind(drifting, vector_game, drifting_outputs),
    "lstm_cell": Kind(with_cell(lstm_cell), vector_game, lstm_outputs, ("output", "state_0", "state_1")),
    "stacked_cells": Kind(with_cell(stacked_cells), matrix_game, stacked_outputs, ("output", "state_0", "state_1")),
    "own_cell": Kind(with_cell(trace_cell), image_game, trace_outputs, ("output", "state_0", "state_1")),
}

ConformanceTest = conformance.of_kinds(KINDS)


if __name__ == "__main__":
    tf.test.main()
