"""Baselines that are computed from the other trajectories of the same batch."""

from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Trajectory
from tf_metamapg.critics.base import BaselineCritic
from tf_metamapg.numerics import axes
from tf_metamapg.numerics import masks
from tf_metamapg.numerics import products
from tf_metamapg.numerics import returns
from tf_metamapg.policies import encoders


class NoBaseline(BaselineCritic):
    """Nothing is subtracted."""

    def values(self, params: Params, joint_params: JointParams, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """Zeros; see `BaselineCritic.values`."""
        del params, joint_params
        return tf.zeros_like(trajectory.rewards[agent_index])


class LeaveOneOutBaseline(BaselineCritic):
    """The mean return to go of the other trajectories at the same time step, of those that have not ended."""

    def values(self, params: Params, joint_params: JointParams, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """Zero where there is no other trajectory; see `BaselineCritic.values`."""
        del params, joint_params
        to_go = self.returns_to_go(trajectory, agent_index)
        return returns.leave_one_out_mean(to_go, axis=-2, mask=trajectory.agent_mask(agent_index))


class LinearFeatureBaseline(BaselineCritic):
    """A linear function of features, their squares and powers of the time, fitted to the other half of trajectories.

    The features are those of Duan et al. 2016, "Benchmarking deep reinforcement learning for continuous control". Every
    second trajectory is one half, and what is fitted to a half is for the other one: least squares of a batch to
    itself would leave a bias.
    """

    def __init__(self, spec: contracts.GameSpec, policies: Sequence[contracts.StepPolicy], ridge: float = 1e-3) -> None:
        """
        Args:
            spec: `contracts.GameSpec` of the game that is played.
            policies: one policy for each agent.
            ridge: what is added to the diagonal of the mean squares, in units of its mean, ≥ 10⁻⁵: features depend on
                each other.

        Raises:
            InvalidInputError: if `ridge` is not such a number.
        """
        super().__init__(spec, policies)
        checks.check_number("LinearFeatureBaseline.ridge", ridge, minimum=1e-5)
        self._ridge = ridge

    def values(self, params: Params, joint_params: JointParams, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """Zeros for K = 1; see `BaselineCritic.values`."""
        del params, joint_params
        to_go = self.returns_to_go(trajectory, agent_index)
        space = self.spec.observations[agent_index]
        features = encoders.encode(space, self.spec.dtype, trajectory.observations[agent_index])
        time = relative_time(features)
        powers = tf.broadcast_to(tf.concat([time**power for power in range(4)], -1), [*axes.sizes(to_go), 4])
        # Rows of zeros, as those of steps that do not count are, leave least squares as they are.
        inputs = masks.masked(
            tf.concat([features, tf.square(features), powers], axis=-1), trajectory.agent_mask(agent_index)
        )
        fitted = []
        for half, other in ((0, 1), (1, 0)):
            weights = _least_squares(inputs[:, :, other::2], to_go[:, :, other::2], self._ridge)
            own_inputs = inputs[:, :, half::2]
            fitted.append(tf.reshape(products.matmul(_rows(own_inputs), weights), axes.sizes(own_inputs)[:-1]))
        # From one half after the other to the order that they came in.
        order = tf.range(axes.sizes(to_go)[-2])
        return tf.gather(tf.concat(fitted, axis=2), tf.argsort(tf.concat([order[::2], order[1::2]], axis=0)), axis=2)


def relative_time(features: tf.Tensor) -> tf.Tensor:
    """t / T of each step: [..., T, F] → [T, 1]."""
    horizon = axes.sizes(features)[-2]
    return tf.range(horizon, dtype=features.dtype)[:, tf.newaxis] / tf.cast(horizon, features.dtype)


def _least_squares(inputs, targets, ridge):
    """Inputs [S, N, K, T, F] and targets [S, N, K, T] → weights [S, N, F, 1]."""
    inputs, targets = _rows(inputs), _rows(targets[..., tf.newaxis])
    size, transposed = inputs.shape[-1], tf.linalg.matrix_transpose(inputs)
    squares = products.matmul(transposed, inputs)
    # One, which is among the inputs, keeps it above zero, but where there is no trajectory.
    scale = tf.reduce_mean(tf.linalg.diag_part(squares), axis=-1)[..., tf.newaxis, tf.newaxis]
    identity = tf.eye(size, dtype=inputs.dtype)
    squares += ridge * scale * identity
    # The solver raises an error for NaN. So that whoever calls can say which seed went wrong, it is kept from it; and
    # from nothing but zeros, which leave weights of zero.
    is_finite = tf.reduce_all(tf.math.is_finite(squares), axis=[-2, -1], keepdims=True)
    is_solvable = tf.logical_and(is_finite, scale > 0.0)
    weights = tf.linalg.solve(tf.where(is_solvable, squares, identity), products.matmul(transposed, targets))
    return tf.where(is_finite, weights, float("nan"))


def _rows(values):
    """The steps of all trajectories as the rows of a matrix: [S, N, K, T, F] → [S, N, K · T, F]."""
    *leading, n_trajectories, horizon, size = axes.sizes(values)
    return tf.reshape(values, [*leading, n_trajectories * horizon, size])
