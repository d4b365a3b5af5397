"""The values that flow through the package."""

from typing import Any
from typing import NamedTuple

import tensorflow as tf

from tf_metamapg import descriptions

Structure = Any

# The parameters of one agent's policy: one tensor per variable. Initial parameters have shape [S, ...]; parameters that
# are adapted to a task have shape [S, N, ...].
Params = tuple[tf.Tensor, ...]

# (θ¹..θⁿ) or (φ¹..φⁿ).
JointParams = tuple[Params, ...]


@descriptions.described
class Trajectory(NamedTuple):
    """K joint trajectories of T steps for every seed and task; every field is a tuple over agents."""

    observations: tuple[tf.Tensor, ...]  # [S, N, K, T, *observation]; what each saw before it acted
    actions: tuple[tf.Tensor, ...]  # [S, N, K, T, *action]
    rewards: tuple[tf.Tensor, ...]  # [S, N, K, T], for the joint action of the same step
    mask: tuple[tf.Tensor, ...] = ()  # bool [S, N, K, T], whether each was there; () where the game does not end
    metrics: Structure = ()  # for each name of the game's spec a tuple over agents of [S, N, K, T]

    def agent_mask(self, agent_index: int) -> tf.Tensor | None:
        """Whether an agent was there at each step, bool [S, N, K, T]; None where the game does not end."""
        return self.mask[agent_index] if self.mask else None


@descriptions.described
class AgentState(NamedTuple):
    """All that an agent is at one link of a chain."""

    params: Params  # φ_l, leaves [S, N, ...]
    extra: Structure = ()  # moments of an optimiser, a critic, …: leaves [S, N, ...]


@descriptions.described
class MetaParams(NamedTuple):
    """What a meta-agent learns, or derivatives with respect to it."""

    initial: Params  # θ, leaves [S, ...]
    update: Structure = ()  # what its inner updates are made with, leaves [S, max(L, 1), ...]; () if it is fixed


@descriptions.described
class MetaGradients(NamedTuple):
    """The three terms of Theorem 1 (Eq. 7) for one agent."""

    current_policy: MetaParams
    self_shaping: MetaParams
    opponent_shaping: MetaParams

    @property
    def total(self) -> MetaParams:
        """Their sum: the gradient of the meta-value."""
        return tf.nest.map_structure(lambda *terms: tf.add_n(terms), *self)
