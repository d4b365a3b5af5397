"""Policies that are any recurrent cell of Keras, or of the user's."""

from collections.abc import Callable
from collections.abc import Sequence
import functools
from typing import Any

import keras
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import random
from tf_metamapg.numerics import scan
from tf_metamapg.policies import encoders
from tf_metamapg.policies import functional
from tf_metamapg.policies import heads
from tf_metamapg.policies import trials
from tf_metamapg.policies.batched import Batched
from tf_metamapg.policies.batched import vectorizes
from tf_metamapg.policies.network import NetworkPolicy
from tf_metamapg.policies.recurrent import Recurrent


class Cell(keras.layers.Layer):
    """A recurrent cell of Keras as one of `layers.py`: its output, in front, counts as a part of its state."""

    def __init__(
        self, cell: keras.layers.Layer, vectorizes: bool, output_size: int, initial_state: Structure, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.cell = cell
        self._batched = Batched(cell, vectorizes)
        self._initial_state = initial_state
        self.units = output_size
        self.state_names = ("output", *(f"state_{index}" for index in range(len(tf.nest.flatten(initial_state)))))
        self.built = True

    def initial_state(self, shape: Sequence[int]) -> tuple[tf.Tensor, ...]:
        """What the cell says: a tuple of tensors [*shape, size]; zeros for the output."""
        leaves = [tf.zeros([1, self.units], self.compute_dtype), *tf.nest.flatten(self._initial_state)]
        return tuple(tf.broadcast_to(leaf[0], [*shape, leaf.shape[-1]]) for leaf in leaves)

    def call(self, inputs: tf.Tensor, state: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """One step: inputs [..., B, features] and state → the next state."""
        return self._step(self._batched.values(), state, inputs)

    def over_time(self, inputs: tf.Tensor, state: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """All steps: inputs [T, ..., B, features] and state before the first → states [T, ..., B, size]."""
        return scan.scan(self._step, self._batched.values(), state, inputs)

    def _step(self, values, state, inputs):
        _, *leaves = state
        output, state = self._batched(values, inputs, tf.nest.pack_sequence_as(self._initial_state, leaves))
        return (output, *tf.nest.flatten(state))


@descriptions.maker
def keras_recurrent_policy(
    game: contracts.AnyGame, agent_index: int, make_cell: Callable[[int], keras.layers.Layer]
) -> NetworkPolicy:
    """The policy of one agent as any recurrent cell of Keras, with a dense layer behind for the outputs.

    Args:
        game: any game that is played step by step.
        agent_index: which agent of the game.
        make_cell: function of an integer seed that returns a new cell of the game's dtype, the same one for the same
            seed: what `keras.layers.RNN` takes, such as a `keras.layers.LSTMCell`. Its inputs are vectors
            [B, features]; whole numbers are one-hot, and images are flattened. Its output and the parts of its state
            must be vectors, too, where it starts must not depend on its variables, and all these must be learned: no
            dropout; and no gradient stopped, as second derivatives would be wrong.

    Returns:
        `NetworkPolicy`; of actions that are arrays of numbers the distribution is a diagonal normal one.

    Raises:
        InvalidInputError: if one of these does not hold.
    """
    parameter = "keras_recurrent_policy.make_cell"
    spec = functional.agent_spec("keras_recurrent_policy", game, agent_index)
    n_features, n_outputs = encoders.size(spec.observation), heads.for_actions(spec.action).n_outputs
    encode = functools.partial(encoders.encode, spec.observation, spec.dtype)
    inputs = tf.zeros([trials.BATCH_SIZE, n_features], spec.dtype)

    def new_cell_and_state(seed):
        seed = random.integer_seed(random.integer_seed(seed, agent_index), 0)
        cell = trials.made(parameter, make_cell, "a recurrent cell of Keras", seed)
        return cell, _built_and_initial_state(f"{parameter}(...)", cell, inputs)

    cell, state = new_cell_and_state(0)
    output_size = _output_size(f"{parameter}(...)", cell, inputs, state, spec.dtype, new_cell_and_state(0)[0])
    can_be_vectorized = vectorizes(cell, (inputs, state))
    initial_state = tf.nest.map_structure(lambda leaf: leaf[:1].numpy(), state)

    def build_model(seed):
        cell, _ = new_cell_and_state(seed)
        cell = Cell(cell, can_be_vectorized, output_size, initial_state, dtype=spec.dtype)
        seed = random.integer_seed(seed, agent_index)
        model = Recurrent(cell, encode, n_features, n_outputs, seed, dtype=spec.dtype)
        model.build(None)
        return model

    return NetworkPolicy(build_model, spec)


def _built_and_initial_state(parameter, cell, inputs):
    """The state that a cell starts with, for inputs [B, features]; the cell is built, if it is not yet."""
    try:
        with tf.GradientTape() as tape:
            state = keras.layers.RNN(cell).get_initial_state(batch_size=inputs.shape[0])
        state = tf.nest.map_structure(tf.convert_to_tensor, state)
        if not cell.built:
            cell(inputs, state)
    except Exception as error:  # A cell of a user's may raise anything.
        checks.check(False, parameter, cell, f"a cell that keras.layers.RNN can take ({checks.reason(error)})")
    checks.check(not tape.watched_variables(), parameter, cell, "a cell that starts with constants, not with variables")
    return state


def _output_size(parameter, cell, inputs, state, dtype, again):
    """The size of a cell's output, after a look at all that it starts with and returns; see `trials.results`."""
    leaves = tf.nest.flatten(state)
    trials.check_vectors(parameter, cell, "initial state is", leaves, ["size"] * len(leaves), dtype)
    results = trials.results(parameter, cell, (inputs, state), dtype, again)
    is_pair = isinstance(results, (list, tuple)) and len(results) == 2
    checks.check(is_pair, parameter, cell, "one that returns an output and the next state")
    trials.check_vectors(parameter, cell, "output is", [results[0]], ["size"], dtype)
    sizes = [leaf.shape[1] for leaf in leaves]
    trials.check_vectors(parameter, cell, "next state is", tf.nest.flatten(results[1]), sizes, dtype)
    return results[0].shape[1]
