"""Recurrent states that survive inner updates, as in COALA-PG (Meulemans et al. 2024) and SHAPER (Khan et al. 2023).

Trajectory k of a link begins with the recurrent state that trajectory k of the link before it has ended with: what
looks like K episodes at each of L + 1 links is K long histories to such a policy, and derivatives pass through all of
one. What the last joint action of an episode has led to is seen by nobody, and so is not remembered.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.contracts import Trajectory
from tf_metamapg.numerics import axes
from tf_metamapg.numerics import masks
from tf_metamapg.policies import functional
from tf_metamapg.policies.extra_inputs import MakePolicy
from tf_metamapg.policies.extra_inputs import network_policy
from tf_metamapg.policies.network import NetworkPolicy
from tf_metamapg.policies.recurrent import lstm_policy
from tf_metamapg.policies.recurrent import Recurrent
from tf_metamapg.policies.recurrent import time_first


class Carried(keras.layers.Layer):
    """What is carried of each part of a recurrent state: how far it is from where the cell starts, zeros at first."""

    def __init__(self, n_trajectories: int, sizes: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = [
            self.add_weight(shape=(n_trajectories, size), initializer="zeros", name=f"part_{index}")
            for index, size in enumerate(sizes)
        ]
        self.built = True

    def values(self) -> Params:
        """The parts: tensors [..., K, size], with the leading axes of the parameters."""
        return tuple(part.value for part in self.parts)


class CarriedState(keras.Model):
    """A recurrent network that starts with what it carries.

    Attributes:
        model: the network.
        state_names: of its recurrent state, and `started`: 0 before the first step of an episode, and 1 from then on.
    """

    def __init__(self, model: Recurrent, n_trajectories: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.state_names = (*model.state_names, "started")
        sizes = [leaf.shape[-1] for leaf in model.initial_state([1])]
        # Behind the network, so that these are the last of the variables.
        self._carried = Carried(n_trajectories, sizes, dtype=self.dtype_policy, name="carried")
        self.built = True

    def initial_state(self, shape: Sequence[int]) -> Structure:
        """A state that has not started: tensors [*shape, ...]."""
        return (*self.model.initial_state(shape), tf.zeros([*shape, 1], self.compute_dtype))

    def step(self, observations: tf.Tensor, state: Structure) -> tuple[tf.Tensor, Structure]:
        """Observations [..., K, ...] and state → (outputs [..., K, n_outputs], the next state)."""
        *parts, started = state
        parts = [tf.where(started > 0.0, part, part + carried) for part, carried in zip(parts, self._carried.values())]
        outputs, parts = self.model.step(observations, tuple(parts))
        return outputs, (*parts, tf.ones_like(started))

    def unroll(self, observations: tf.Tensor) -> tf.Tensor:
        """Observations [..., K, T, ...] of whole trajectories → outputs [..., K, T, n_outputs]."""
        return self.model.outputs(self.model.states(observations, self._carried.values()))

    def last(self, observations: tf.Tensor, mask: tf.Tensor | None) -> Params:
        """What is carried on: observations [..., K, T, ...] and which count, [..., K, T] → tensors [..., K, size]."""
        states = self.model.states(observations, self._carried.values())
        if mask is None:
            last = [leaf[-1] for leaf in states]
        else:
            following = tf.concat([mask[..., 1:], tf.zeros_like(mask[..., :1])], axis=-1)
            is_last = time_first((mask & ~following)[..., tf.newaxis])[..., 0]
            last = [tf.reduce_sum(masks.masked(leaf, is_last), axis=0) for leaf in states]
        start = self.model.initial_state(axes.sizes(last[0])[:-1])
        return tuple(map(tf.subtract, last, start))


class CarriedStatePolicy(NetworkPolicy):
    """A recurrent network whose recurrent state survives inner updates, one for each trajectory.

    An exported one does not carry anything by itself: its state is in its signatures, and whoever does not begin again
    with `initial_state` carries it on.

    Attributes:
        n_carried: how many parts the recurrent state has, each [K, size].
    """

    _KIND = "carried_state_policy"

    def __init__(
        self, game: contracts.AnyGame, agent_index: int, n_trajectories: int, make_policy: MakePolicy
    ) -> None:
        """Takes what `carried_state_policy` does.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        spec = functional.agent_spec(self._KIND, game, agent_index)
        checks.check_integer(f"{self._KIND}.n_trajectories", n_trajectories, minimum=1)
        network = network_policy(f"{self._KIND}.make_policy", make_policy, game, agent_index)
        model = network.model()
        allowed = "a recurrent network, such as lstm_policy, gru_policy or keras_recurrent_policy makes"
        checks.check(isinstance(model, Recurrent), f"{self._KIND}.make_policy(...)", network, allowed)
        self.n_carried = len(model.state_names)
        self._n_trajectories = n_trajectories

        def build_model(seed: int) -> keras.Model:
            return CarriedState(network.model(seed), n_trajectories, dtype=spec.dtype)

        super().__init__(build_model, spec)

    def carry(self, updated: Params, params: Params, trajectory: Trajectory, agent_index: int) -> Params:
        """See `contracts.CarryingPolicy.carry`: Params with leaves [S, N, ...], of them [S, N, K, size]."""
        observations, mask = trajectory.observations[agent_index], trajectory.agent_mask(agent_index)
        n_sampled = observations.shape[2]
        allowed = "as many as are sampled at each link" + (
            f", {n_sampled}" if n_sampled else ", which must be known: such agents do not go on learning as they serve"
        )
        is_right = n_sampled == self._n_trajectories
        checks.check(is_right, f"{self._KIND}.n_trajectories", self._n_trajectories, allowed)
        with functional.bound(self._model, params):
            carried = self._model.last(observations, mask)
        return (*updated[: -self.n_carried], *carried)

    def signatures(self, model: keras.Model) -> dict[str, tuple[Callable[..., Any], list[tf.TensorSpec]]]:
        """Those of the recurrent network; see `export.py`."""
        return super().signatures(model.model)


@descriptions.maker
def carried_state_policy(
    game: contracts.AnyGame, agent_index: int, n_trajectories: int = 64, make_policy: MakePolicy = lstm_policy
) -> CarriedStatePolicy:
    """The policy of one agent as a recurrent network that remembers the episodes of earlier links of a chain.

    Args:
        game: any game that is played step by step.
        agent_index: which agent of the game.
        n_trajectories: K of the estimator.
        make_policy: function (game, agent_index) → a recurrent policy, such as `lstm_policy`, `gru_policy`, or a cell
            of yours by `keras_recurrent_policy`.

    Returns:
        `CarriedStatePolicy`, for estimators of sampled inner updates.

    Raises:
        InvalidInputError: if one of these does not hold.
    """
    return CarriedStatePolicy(game, agent_index, n_trajectories, make_policy)
