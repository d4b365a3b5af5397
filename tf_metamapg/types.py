"""The values that flow between the floors of the package.

Axes stand in this order everywhere: S seeds, N tasks, K trajectories, T time steps. Agents are
numbered from 0 and are always the outermost Python sequence, never a tensor axis, so that agents of
one game may have policies of different kinds.
"""

from typing import NamedTuple

import tensorflow as tf

from tf_metamapg import descriptions

# The parameters of one agent's policy: one tensor per Keras variable. Initial parameters have shape
# [S, ...]; parameters that are adapted to a task have shape [S, N, ...].
Params = tuple[tf.Tensor, ...]

# (θ¹..θⁿ) or (φ¹..φⁿ).
JointParams = tuple[Params, ...]


class Trajectory(NamedTuple):
    """K joint trajectories of T steps for every seed and task; every field is a tuple over agents."""

    observations: tuple[tf.Tensor, ...]  # [S, N, K, T], or [S, N, K, T, D] of vectors; what each saw before it acted
    actions: tuple[tf.Tensor, ...]  # [S, N, K, T], or [S, N, K, T, m] of vectors
    rewards: tuple[tf.Tensor, ...]  # [S, N, K, T], for the joint action of the same step

    __repr__ = descriptions.of_fields


class MetaParams(NamedTuple):
    """What a meta-agent learns, or derivatives with respect to it."""

    initial_params: Params  # leaves [S, ...]
    inner_learning_rates: tf.Tensor  # [S, L], one for each step of the chain

    __repr__ = descriptions.of_fields


class MetaGradients(NamedTuple):
    """The three terms of Theorem 1 (Eq. 7) for one agent."""

    current_policy: MetaParams
    self_shaping: MetaParams
    opponent_shaping: MetaParams

    __repr__ = descriptions.of_fields

    @property
    def total(self) -> MetaParams:
        """Their sum: the gradient of the meta-value."""
        return tf.nest.map_structure(lambda *terms: tf.add_n(terms), *self)
