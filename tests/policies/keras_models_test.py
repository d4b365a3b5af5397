"""Proves that any Keras model and any recurrent cell of Keras is a policy, and that what is none is refused."""

import dataclasses
import functools
import itertools

from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

from tests.policies import conformance
from tests.policies.conformance import features
from tests.policies.conformance import image_game
from tests.policies.conformance import Kind
from tests.policies.conformance import matrix_game
from tests.policies.conformance import random_leaves
from tests.policies.conformance import sigmoid
from tests.policies.conformance import SpacesGame
from tests.policies.conformance import vector_game
import tf_metamapg as mapg
from tf_metamapg import checks
from tf_metamapg.testing.modes import flat
from tf_metamapg.testing.modes import MODES

layers = keras.layers
IMAGES_AND_ACTIONS = functools.partial(SpacesGame, mapg.Box(conformance.IMAGE), mapg.Discrete(3))


def glorot(seed):
    return keras.initializers.GlorotUniform(seed)


def dense(units, seed, activation=None, dtype="float64"):
    return layers.Dense(units, activation, kernel_initializer=glorot(seed), dtype=dtype)


def embedding(game, agent_index):
    """Whole numbers by way of a table, normalised."""

    def make_model(seed):
        dtype, n_actions = game.spec.dtype, game.spec.actions[agent_index].n
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

    def make_model(seed):
        dtype, (size,), (n_numbers,) = game.spec.dtype, *(
            spaces[agent_index].shape for spaces in (game.spec.observations, game.spec.actions)
        )
        inputs = layers.Input((size,), dtype=dtype)
        hidden = dense(size, seed, "tanh", dtype)(inputs)
        added = layers.Add(dtype=dtype)([inputs, hidden])
        return keras.Model(inputs, dense(2 * n_numbers, seed + 1, dtype=dtype)(added))

    return mapg.keras_policy(game, agent_index, make_model)


def skipping_outputs(leaves, observations):
    kernel, bias, last_kernel, last_bias = leaves
    return (observations + np.tanh(observations @ kernel + bias)) @ last_kernel + last_bias


class Drifting(keras.Model):
    """A model of a user's own, with a variable that is in no layer."""

    def __init__(self, n_outputs, seed, **kwargs):
        super().__init__(**kwargs)
        self._initializer = keras.initializers.RandomNormal(seed=seed)
        self._dense = dense(n_outputs, seed, dtype=self.dtype_policy)

    def build(self, input_shape):
        self.drift = self.add_weight(shape=(input_shape[-1],), initializer=self._initializer, name="drift")
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
        game, agent_index, lambda seed: make_cell(seed, dtype=game.spec.dtype)
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
        recurrent_keep, recurrent_reset, recurrent_candidate = np.split(hidden @ recurrent_kernel + biases[1], 3)
        keep, reset = sigmoid(keep + recurrent_keep), sigmoid(reset + recurrent_reset)
        hidden = keep * hidden + (1.0 - keep) * np.tanh(candidate + reset * recurrent_candidate)
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


class DerivativesTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(
        *itertools.product(["embedding", "convolution", "own_model"], MODES), ("own_cell", "graph"),
    )
    def test_third_derivatives(self, name, mode):
        """Along one direction, against differences of the second ones."""
        kind = KINDS[name]
        policy = kind.make(kind.make_game(), 0)
        leaves, along = ([0.5 * leaf for leaf in random_leaves(policy, [1, 2], seed)] for seed in (1, 4))
        steps = [tf.constant(part) for part in conformance.random_steps(kind, shape=[1, 2, 2, 3])]

        def second(step):
            """The second derivative of Σ log π in the step along the direction."""
            with tf.GradientTape() as second_tape:
                second_tape.watch(step)
                with tf.GradientTape() as first_tape:
                    first_tape.watch(step)
                    params = tuple(leaf + step * direction for leaf, direction in zip(leaves, along))
                    value = tf.reduce_sum(policy.log_probs(params, *steps))
                first = first_tape.gradient(value, step)
            return second_tape.gradient(first, step)

        def third(step):
            with tf.GradientTape() as tape:
                tape.watch(step)
                value = second(step)
            return tape.gradient(value, step)

        def at(step):
            return second(tf.constant(step, tf.float64)).numpy()

        actual = MODES[mode](third)(tf.constant(0.0, tf.float64))
        h = 1e-3
        expected = (8 * (at(h) - at(-h)) - at(2 * h) + at(-2 * h)) / (12 * h)
        self.assertGreater(abs(expected), 1e-2)
        self.assertAllClose(actual, expected, rtol=1e-5, atol=0.0)

    def test_what_is_vectorized(self):
        """Whether a model is in a graph once, or once for each seed and task, is found out when it is made."""
        for name, kind in KINDS.items():
            model = kind.make(kind.make_game(), 0)._model
            batched = model._batched if name in ("embedding", "convolution", "skip_connection", "own_model") else (
                model._cell._batched
            )
            self.assertEqual(batched.vectorizes, name != "convolution", name)


class ImageDilemma(mapg.IteratedMatrixGame):
    """The prisoner's dilemma, seen as images."""

    def __init__(self):
        super().__init__(mapg.prisoners_dilemma(), discount=0.9, dtype="float64")
        self.spec = dataclasses.replace(self.spec, observations=[mapg.Box(conformance.IMAGE)] * 2)

    def observe(self, tasks, state, agent_index):
        seen = super().observe(tasks, state, agent_index)
        pixels = tf.one_hot(seen, np.prod(conformance.IMAGE), dtype=self.spec.dtype)
        return tf.reshape(pixels, [*seen.shape, *conformance.IMAGE])


def small_convolution(game, agent_index):
    def make_model(seed):
        return keras.Sequential([
            layers.Input(conformance.IMAGE, dtype="float64"),
            layers.Conv2D(2, 2, activation="tanh", kernel_initializer=glorot(seed), dtype="float64"),
            layers.Flatten(dtype="float64"),
            dense(2, seed),
        ])

    return mapg.keras_policy(game, agent_index, make_model)


class ChainTest(tf.test.TestCase, parameterized.TestCase):
    """Among learners: what an inner update and a meta-gradient are, against finite differences."""

    def directions(self, leaves):
        rng = np.random.default_rng(6)
        return [rng.normal(size=leaf.shape) for leaf in leaves]

    def projected(self, gradients):
        """Gradients along random directions, one number."""
        return sum(np.sum(leaf * along) for leaf, along in zip(gradients, self.directions(gradients)))

    def along_random_direction(self, function, leaves):
        """The derivative of a function along the same directions, by a central difference of fourth order."""

        def at(step):
            return float(function(*(leaf + step * along for leaf, along in zip(leaves, self.directions(leaves)))))

        h = 1e-3
        return (8 * (at(h) - at(-h)) - at(2 * h) + at(-2 * h)) / (12 * h)

    @parameterized.parameters("eager", "graph")
    def test_exact_meta_gradients(self, mode):
        game = mapg.IteratedMatrixGame(np.random.default_rng(0).normal(size=[2, 3, 2]), discount=0.8, dtype="float64")
        policies = [embedding(game, 0), mapg.tabular_policy(game, 1)]
        estimator = mapg.ExactEstimator(game, policies)
        agents = [mapg.MetaMAPG(0.5), mapg.PolicyGradient(0.7)]
        keys = mapg.random.root_keys([3])
        tasks = mapg.PayoffNoise(game, 0.5).sample(keys, 2)
        params = [policy.initial_params([3]) for policy in policies]

        def chain_of(*own):
            initial_params = mapg.for_each_task((tuple(map(tf.convert_to_tensor, own)), params[1]), 2)
            return mapg.adapt(estimator, agents, initial_params, tasks, [keys] * 2)

        def meta_value(*own):
            link = chain_of(*own).links[-1]
            return tf.reduce_mean(estimator.values(link.joint_params, tasks, link.sample)[0])

        terms = MODES[mode](lambda *own: agents[0].meta_gradients(chain_of(*own), 0))(*params[0])
        self.assertGreater(np.linalg.norm(flat(terms.self_shaping.initial)), 1e-2)
        self.assertGreater(np.linalg.norm(flat(terms.opponent_shaping.initial)), 1e-3)
        expected = self.along_random_direction(meta_value, params[0])
        self.assertAllClose(self.projected(terms.total.initial), expected, rtol=1e-5, atol=1e-8)

    @parameterized.parameters(small_convolution, with_cell(lstm_cell), with_cell(trace_cell))
    def test_self_shaping_from_samples(self, make):
        """At given trajectories, an agent's surrogate after its update is a function of its initial parameters."""
        game = ImageDilemma()
        policies = [make(game, 0), mapg.mlp_policy(game, 1, hidden_units=[2])]
        estimator = mapg.ScoreFunctionEstimator(game, policies, n_trajectories=3, horizon=4)
        agents = [mapg.MetaMAPG(0.3), mapg.PolicyGradient(0.3)]
        keys = mapg.random.root_keys([1])
        tasks = mapg.DefaultTasks(game).sample(keys, 2)
        initial_params = mapg.for_each_task(tuple(policy.initial_params([1]) for policy in policies), 2)
        link_keys = [keys, mapg.random.fold_in(keys, 1)]

        def run(initial_params):
            chain = mapg.adapt(estimator, agents, initial_params, tasks, link_keys)
            return agents[0].meta_gradients(chain, 0).self_shaping.initial, chain.links

        gradients, (first, last) = run(initial_params)

        def surrogate(*own):
            joint_params = mapg.for_each_task((tuple(map(tf.convert_to_tensor, own)),), 2) + initial_params[1:]
            objectives = mapg.Objectives(estimator, tasks, first.with_joint_params(joint_params))
            states = mapg.inner_update(objectives, agents, [(), ()])
            updated = tuple(state.params for state in states)
            return tf.reduce_mean(estimator.objectives(updated, tasks, last.sample)[0])

        expected = self.along_random_direction(surrogate, [leaf[:, 0] for leaf in initial_params[0]])
        self.assertGreater(abs(expected), 1e-2)
        self.assertAllClose(self.projected(gradients), expected, rtol=1e-5, atol=1e-7)


def sequential(*own_layers, shape=(3,), dtype="float32"):
    """A function of a seed that makes a model of layers, which are made by functions."""
    return lambda seed: keras.Sequential([layers.Input(shape, dtype=dtype), *(make(seed) for make in own_layers)])


def outputs(units=4, dtype="float32"):
    return lambda seed: dense(units, seed, dtype=dtype)


class Traced(layers.Dense):
    """A layer that is traced when it is called first, with what its variables are then."""

    def __init__(self, seed):
        super().__init__(4, kernel_initializer=glorot(seed))

    @functools.partial(tf.function, autograph=False)
    def call(self, inputs):
        return super().call(inputs)


class Learning(Trace):
    """A cell that learns where it starts."""

    def __init__(self, seed, **kwargs):
        super().__init__(seed, **kwargs)
        self.origin = self.add_weight(shape=(4,), name="origin")

    def get_initial_state(self, batch_size=None):
        trace, count = super().get_initial_state(batch_size)
        return [trace + self.origin.value, count]


class Growing(Trace):
    """A cell whose state grows."""

    def call(self, inputs, states):
        output, (trace, count) = super().call(inputs, states)
        return output, [trace, tf.concat([count, count], axis=-1)]


class Lonely(Trace):
    """A cell that keeps its state to itself."""

    def call(self, inputs, states):
        return super().call(inputs, states)[0]


class BadInputTest(tf.test.TestCase, parameterized.TestCase):
    """Of an agent that sees vectors of three numbers and acts with two."""

    def message(self, make_policy, argument, dtype="float32"):
        with self.assertRaises(checks.InvalidInputError) as caught:
            make_policy(vector_game(dtype), 0, argument)
        message = str(caught.exception)
        self.assertNotIn("\n", message)
        self.assertLess(len(message), 500)
        return message

    @parameterized.parameters(None, 3, "model", [[]])
    def test_other_than_functions(self, make):
        for make_policy, parameter, made in (
            (mapg.keras_policy, "keras_policy.make_model", "a Keras model"),
            (mapg.keras_recurrent_policy, "keras_recurrent_policy.make_cell", "a recurrent cell of Keras"),
        ):
            self.assertEqual(
                self.message(make_policy, make),
                f"{parameter} = {make!r}: must be a function that makes {made} from a seed",
            )

    def test_models_and_cells_that_are_made_already(self):
        for make_policy, made in (
            (mapg.keras_policy, sequential(outputs())(0)), (mapg.keras_recurrent_policy, lstm_cell(0)),
        ):
            self.assertRegex(self.message(make_policy, made), r"^keras_\w+\.make_\w+ = <.*>: must be a function that ")

    @parameterized.parameters(None, 3, "model", dict)
    def test_what_makes_no_layers(self, made):
        for make_policy, allowed in (
            (mapg.keras_policy, r"keras_policy\.make_model\(\.\.\.\) = .*: must be a Keras model"),
            (
                mapg.keras_recurrent_policy,
                r"keras_recurrent_policy\.make_cell\(\.\.\.\) = .*: must be a recurrent cell of Keras",
            ),
        ):
            self.assertRegex(self.message(make_policy, lambda seed: made), f"^{allowed}$")

    @parameterized.named_parameters(
        (
            "not_built", lambda seed: keras.Sequential([outputs()(seed)]),
            "built, as by an Input in front or by its build",
        ),
        ("nothing_to_learn", sequential(lambda seed: layers.Activation("tanh")), "one with variables that are learned"),
        (
            "other_dtype", sequential(outputs(dtype="float64"), dtype="float64"),
            r"of float32 as the game is, not float64 in sequential\w*/dense\w*/kernel",
        ),
        (
            "other_size", sequential(outputs(3)),
            r"one whose outputs are float32 \[B, 4\], not float32 \[2, 3\] for B = 2",
        ),
        (
            "another_axis", sequential(outputs(), lambda seed: layers.Reshape((1, 4))),
            r"one whose outputs are float32 \[B, 4\], not float32 \[2, 1, 4\] for B = 2",
        ),
        (
            "not_for_each_row", sequential(outputs(8), lambda seed: layers.Lambda(lambda x: tf.reshape(x, [-1, 4]))),
            r"one whose outputs are float32 \[B, 4\], not float32 \[4, 4\] for B = 2",
        ),
        (
            "other_inputs", sequential(outputs(), shape=(5,)),
            r"one that can be called with \(float32 \[2, 3\],\) \(.*: expected axis -1 of input shape .* 5.*\)",
        ),
        (
            "batch_normalization", sequential(lambda seed: layers.BatchNormalization(), outputs()),
            r"one all of whose variables are learned; sequential\w*/batch_normalization\w*/moving_mean is not",
        ),
        (
            "dropout", sequential(lambda seed: layers.Dropout(0.5, seed=seed), outputs()),
            r"one all of whose variables are learned; seed_generator\w*/seed_generator_state is not",
        ),
        (
            "frozen", sequential(
                lambda seed: layers.Dense(3, kernel_initializer=glorot(seed), trainable=False), outputs()
            ),
            r"one all of whose variables are learned; sequential\w*/dense\w*/kernel is not",
        ),
        (
            "own_function", sequential(Traced),
            "one that reads its variables whenever it is called, with no tf.function inside",
        ),
        (
            "stopped_gradient",
            sequential(lambda seed: layers.Lambda(lambda x: x - keras.ops.stop_gradient(x[:, :1])), outputs()),
            r"one that stops no gradient, so that second derivatives are right; .*StopGradient does",
        ),
        (
            "no_seed", sequential(lambda seed: layers.Dense(4)),
            "the same whenever it is made from the same seed; every initializer needs one",
        ),
    )
    def test_models(self, make_model, allowed):
        message = self.message(mapg.keras_policy, make_model)
        self.assertRegex(message, rf"^keras_policy\.make_model\(\.\.\.\) = <.*>: must be {allowed}$")

    @parameterized.named_parameters(
        (
            "no_cell", outputs(),
            r"a cell that keras\.layers\.RNN can take \(The RNN cell should have a `state_size` attribute.*\)",
        ),
        (
            "dropout", lambda seed: layers.GRUCell(3, kernel_initializer=glorot(seed), dropout=0.5),
            r"one all of whose variables are learned; seed_generator\w*/seed_generator_state is not",
        ),
        (
            "other_dtype", lambda seed: lstm_cell(seed, dtype="float64"),
            r"one whose initial state is float32 \[B, size\], \[B, size\], not float64 \[2, 3\], float64 \[2, 3\] "
            "for B = 2",
        ),
        (
            "learned_start", lambda seed: Learning(seed), "a cell that starts with constants, not with variables",
        ),
        (
            "growing_state", lambda seed: Growing(seed),
            r"one whose next state is float32 \[B, 4\], \[B, 1\], not float32 \[2, 4\], float32 \[2, 2\] for B = 2",
        ),
        ("no_next_state", lambda seed: Lonely(seed), "one that returns an output and the next state"),
        (
            "no_seed", lambda seed: layers.SimpleRNNCell(3),
            "the same whenever it is made from the same seed; every initializer needs one",
        ),
    )
    def test_cells(self, make_cell, allowed):
        message = self.message(mapg.keras_recurrent_policy, make_cell)
        self.assertRegex(message, rf"^keras_recurrent_policy\.make_cell\(\.\.\.\) = <.*>: must be {allowed}$")

    def test_seed_generators_that_are_not_used_are_allowed(self):
        for cell in (layers.LSTMCell, layers.GRUCell, layers.SimpleRNNCell):
            def make_cell(seed, cell=cell):
                orthogonal = keras.initializers.Orthogonal(seed=seed)
                return cell(3, kernel_initializer=glorot(seed), recurrent_initializer=orthogonal)

            self.assertLen(make_cell(0).non_trainable_variables, 1)
            policy = mapg.keras_recurrent_policy(vector_game("float32"), 0, make_cell)
            self.assertIsInstance(policy, mapg.contracts.StepPolicy)


if __name__ == "__main__":
    tf.test.main()
