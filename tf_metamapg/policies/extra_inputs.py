"""Policies that are given something beside what they observe: what they carry from one link of a chain to the next."""

import abc
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import functools
from typing import Any
from typing import cast

import keras
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.contracts import Trajectory
from tf_metamapg.numerics import axes
from tf_metamapg.policies import encoders
from tf_metamapg.policies import functional
from tf_metamapg.policies.layers import Bias
from tf_metamapg.policies.network import NetworkPolicy

# Function (game, agent_index) → policy.
MakePolicy = Callable[[contracts.AnyGame, int], contracts.Policy]


class WithInputs(keras.Model):
    """A model of vectors; the last numbers of each are the same at every step, and a variable: zeros, to begin with.

    Attributes:
        model: what gets the vectors, with the methods of `mlp.MLP` or `recurrent.Recurrent`.
        state_names: of its recurrent state.
    """

    def __init__(
        self, model: keras.Model, encode: Callable[[tf.Tensor], tf.Tensor], n_inputs: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self._encode = encode
        self.state_names = model.state_names
        # Behind the model, so that it is the last of the variables.
        self._inputs = Bias(n_inputs, dtype=self.dtype_policy, name="carried")
        self._inputs.build((None, n_inputs))
        self.built = True

    def initial_state(self, shape: Sequence[int]) -> Structure:
        """That of the model, tensors [*shape, ...]."""
        return self.model.initial_state(shape)

    def step(self, observations: tf.Tensor, state: Structure) -> tuple[tf.Tensor, Structure]:
        """Observations [..., B, ...] and state → (outputs [..., B, n_outputs], the next state)."""
        return self.model.step(self._with_inputs(self._encode(observations)), state)

    def unroll(self, observations: tf.Tensor) -> tf.Tensor:
        """Observations [..., K, T, ...] of whole trajectories → outputs [..., K, T, n_outputs]."""
        seen = self._encode(observations)
        *leading, n_trajectories, horizon, n_features = axes.sizes(seen)
        rows = self._with_inputs(tf.reshape(seen, [*leading, n_trajectories * horizon, n_features]))
        return self.model.unroll(tf.reshape(rows, [*leading, n_trajectories, horizon, rows.shape[-1]]))

    def _with_inputs(self, rows: tf.Tensor) -> tf.Tensor:
        """[..., B, features] → [..., B, features + n_inputs]."""
        inputs = self._inputs(rows)
        return tf.concat([tf.broadcast_to(rows, [*axes.sizes(inputs)[:-1], rows.shape[-1]]), inputs], axis=-1)


class ExtraInputsPolicy(NetworkPolicy, abc.ABC):
    """A network that sees, beside its observations, a vector that it carries, one for each seed and task.

    Attributes:
        n_carried: 1, of shape [1, n_inputs].
    """

    n_carried = 1

    def __init__(
        self, kind: str, game: contracts.AnyGame, agent_index: int, make_policy: MakePolicy, n_inputs: int
    ) -> None:
        """
        Args:
            kind: what is named in errors.
            game: any game that is played step by step.
            agent_index: which agent of the game.
            make_policy: function (game, agent_index) → a policy that is a network, of a game in which the agent sees
                vectors: the features of its observation, and behind them those that are carried.
            n_inputs: how many those are.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        spec = functional.agent_spec(kind, game, agent_index)
        self.game_spec = game.spec
        seen = _Seen(game.spec, agent_index, n_inputs)
        self._network = network_policy(f"{kind}.make_policy", make_policy, seen, agent_index)
        encode = functools.partial(encoders.encode, spec.observation, spec.dtype)

        def build_model(seed: int) -> keras.Model:
            return WithInputs(self._network.model(seed), encode, n_inputs, dtype=spec.dtype)

        super().__init__(build_model, spec)

    @abc.abstractmethod
    def inputs(self, params: Params, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """What it is given after a link of a chain.

        Args:
            params: Params with leaves [S, N, ...], that it has played with.
            trajectory: Trajectory with fields [S, N, K, T].
            agent_index: i, which agent of the game it plays.

        Returns:
            tensor [S, N, n_inputs].
        """

    def carry(self, updated: Params, params: Params, trajectory: Trajectory, agent_index: int) -> Params:
        """See `contracts.CarryingPolicy.carry`: Params with leaves [S, N, ...]."""
        inputs = self.inputs(params, trajectory, agent_index)
        return (*updated[:-1], inputs[:, :, tf.newaxis])


class _Seen:
    """A game in which one agent sees vectors, with `n_inputs` numbers behind the features of what it observes."""

    default_tasks: Structure = ()

    def __init__(self, spec: contracts.GameSpec, agent_index: int, n_inputs: int) -> None:
        observations = list(spec.observations)
        observations[agent_index] = contracts.Box((encoders.size(observations[agent_index]) + n_inputs,))
        self.spec = dataclasses.replace(spec, observations=tuple(observations))


def network_policy(
    parameter: str, make_policy: MakePolicy, game: contracts.AnyGame, agent_index: int
) -> NetworkPolicy:
    """The network that a function of (game, agent_index) makes.

    Raises:
        InvalidInputError: that names a parameter, if it makes none, or one that carries something itself.
    """
    checks.check(callable(make_policy), parameter, make_policy, "a function (game, agent_index) → policy")
    policy = make_policy(game, agent_index)
    is_network = isinstance(policy, NetworkPolicy) and not isinstance(policy, contracts.CarryingPolicy)
    allowed = "a network that carries nothing itself, such as mlp_policy, lstm_policy or keras_policy makes"
    checks.check(is_network, f"{parameter}(...)", policy, allowed)
    return cast(NetworkPolicy, policy)
