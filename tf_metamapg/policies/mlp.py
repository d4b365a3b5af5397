"""Multilayer perceptrons: policies without a recurrent state."""

from collections.abc import Callable
from collections.abc import Sequence
import functools
import itertools
from typing import Any

import keras
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import axes
from tf_metamapg.numerics import random
from tf_metamapg.policies import encoders
from tf_metamapg.policies import functional
from tf_metamapg.policies import heads
from tf_metamapg.policies.categorical import CategoricalPolicy
from tf_metamapg.policies.layers import Bias
from tf_metamapg.policies.layers import Dense
from tf_metamapg.policies.network import NetworkPolicy


class MLP(keras.Model):
    """Dense layers with an activation in between; the last outputs may be the same whatever the inputs are."""

    state_names = ()

    @staticmethod
    def n_params(n_features: int, n_outputs: int, hidden_units: Sequence[int]) -> int:
        """How many parameters there are."""
        return sum((size + 1) * units for size, units in itertools.pairwise((n_features, *hidden_units, n_outputs)))

    def __init__(
        self, encode: Callable[[tf.Tensor], tf.Tensor], n_features: int, n_outputs: int, hidden_units: Sequence[int],
        activation: str, seed: int, n_constant: int = 0, **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._encode = encode
        self._n_features = n_features
        sizes = (*hidden_units, n_outputs - n_constant)
        activations = [activation] * len(hidden_units) + [None]
        self._dense = [
            Dense(
                size, activation, keras.initializers.GlorotUniform(random.integer_seed(seed, index)),
                dtype=self.dtype_policy, name=f"dense_{index}",
            )
            for index, (size, activation) in enumerate(zip(sizes, activations))
        ]
        self._constant = [Bias(n_constant, dtype=self.dtype_policy, name="constant")] if n_constant else []

    def build(self, input_shape: Any) -> None:
        """Makes the variables; see `keras.layers.Layer.build`."""
        del input_shape
        size = self._n_features
        for layer in self._dense:
            layer.build((None, size))
            size = layer.units
        for layer in self._constant:
            layer.build((None, size))

    def call(self, observations: tf.Tensor) -> tf.Tensor:
        """Observations [..., B, ...] → outputs [..., B, n_outputs], with the leading axes of the parameters."""
        return self._outputs(self._encode(observations))

    def initial_state(self, shape: Sequence[int]) -> Structure:
        """Nothing."""
        del shape
        return ()

    def step(self, observations: tf.Tensor, state: Structure) -> tuple[tf.Tensor, Structure]:
        """Observations [..., B, ...] and nothing → (outputs [..., B, n_outputs], nothing)."""
        return self.call(observations), state

    def unroll(self, observations: tf.Tensor) -> tf.Tensor:
        """Observations [..., K, T, ...] → outputs [..., K, T, n_outputs]."""
        inputs = self._encode(observations)
        *leading, n_trajectories, horizon, n_features = axes.sizes(inputs)
        outputs = self._outputs(tf.reshape(inputs, [*leading, n_trajectories * horizon, n_features]))
        return tf.reshape(outputs, [*leading, n_trajectories, horizon, outputs.shape[-1]])

    def _outputs(self, hidden):
        for layer in self._dense:
            hidden = layer(hidden)
        return tf.concat([hidden, *(layer(hidden) for layer in self._constant)], axis=-1) if self._constant else hidden


@descriptions.maker
def mlp_policy(
    game: contracts.AnyGame, agent_index: int, hidden_units: Sequence[int] = (64,), activation: str = "tanh",
    shared_stddev: bool = False,
) -> CategoricalPolicy | NetworkPolicy:
    """The policy of one agent as a multilayer perceptron of what it sees.

    Whole numbers are one-hot and images are flattened; a convolution is a `keras_policy`.

    Args:
        game: any game that is played step by step.
        agent_index: which agent of the game.
        hidden_units: how many units each hidden layer has.
        activation: of the hidden layers, as Keras names it; one that keeps the shape, and is finite at 0.
        shared_stddev: whether standard deviations are the same whatever an agent sees, where actions are arrays of
            numbers. What it has not seen yet it cannot be sure of, then.

    Returns:
        `CategoricalPolicy` where observations and actions are finitely many, and `NetworkPolicy` elsewhere; of actions
        that are arrays of numbers the distribution is a diagonal normal one.

    Raises:
        InvalidInputError: if one of these does not hold.
    """
    kind = "mlp_policy"
    spec = functional.agent_spec(kind, game, agent_index)
    parameter = f"{kind}.hidden_units"
    checks.check(isinstance(hidden_units, (list, tuple)), parameter, hidden_units, "a list of sizes")
    for index, units in enumerate(hidden_units):
        checks.check_integer(f"{parameter}[{index}]", units, minimum=1)
    checks.check_boolean(f"{kind}.shared_stddev", shared_stddev)
    is_array = isinstance(spec.action, contracts.Box)
    allowed = "False, as actions of this agent are finitely many"
    checks.check(is_array or not shared_stddev, f"{kind}.shared_stddev", shared_stddev, allowed)
    n_features, n_outputs = encoders.size(spec.observation), heads.for_actions(spec.action).n_outputs
    n_constant = n_outputs // 2 if shared_stddev else 0
    functional.check_size(parameter, hidden_units, MLP.n_params(n_features, n_outputs, hidden_units), spec.dtype)
    _check_activation(f"{kind}.activation", activation)
    encode = functools.partial(encoders.encode, spec.observation, spec.dtype)

    def build_model(seed):
        seed = random.integer_seed(seed, agent_index)
        model = MLP(
            encode, n_features, n_outputs, hidden_units, activation, seed, n_constant=n_constant, dtype=spec.dtype
        )
        model.build(None)
        return model

    return (CategoricalPolicy if functional.is_finite(spec) else NetworkPolicy)(build_model, spec)


def _check_activation(parameter, activation):
    try:
        function = keras.activations.get(activation)
    except (ValueError, TypeError):
        checks.check(False, parameter, activation, "the name of a Keras activation")
    inputs = tf.zeros([1, 2])
    try:
        outputs = tf.convert_to_tensor(function(inputs), inputs.dtype)
        is_usable = outputs.shape == inputs.shape and bool(tf.reduce_all(tf.math.is_finite(outputs)))
    except Exception:  # A function may do anything to what it is not made for.
        is_usable = False
    checks.check(
        is_usable, parameter, activation, "an activation without arguments that keeps the shape and is finite at 0"
    )
