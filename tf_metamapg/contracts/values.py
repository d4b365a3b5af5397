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
    """K joint trajectories of T steps for every seed and task; every field is a tuple over agents.

    Attributes:
        observations: [S, N, K, T, *observation]; what each saw before it acted.
        actions: [S, N, K, T, *action].
        rewards: [S, N, K, T], for the joint action of the same step.
        mask: bool [S, N, K, T], whether each was there; () where the game does not end.
        metrics: for each name of the game's spec a tuple over agents of [S, N, K, T], NaN where it is not defined.
    """

    observations: tuple[tf.Tensor, ...]
    actions: tuple[tf.Tensor, ...]
    rewards: tuple[tf.Tensor, ...]
    mask: tuple[tf.Tensor, ...] = ()
    metrics: Structure = ()

    def agent_mask(self, agent_index: int) -> tf.Tensor | None:
        """Whether an agent was there at each step, bool [S, N, K, T]; None where the game does not end."""
        return self.mask[agent_index] if self.mask else None


@descriptions.described
class AgentState(NamedTuple):
    """All that an agent is at one link of a chain.

    Attributes:
        params: φ_l, leaves [S, N, ...].
        extra: moments of an optimiser, a critic, a counter, …: leaves [S, N, ...] in the dtype of the parameters, as
            derivatives pass through all of it. A nest of tuples, whose structure stays the same.
    """

    params: Params
    extra: Structure = ()


@descriptions.described
class MetaParams(NamedTuple):
    """What a meta-agent learns, or derivatives with respect to it.

    Attributes:
        initial: θ, leaves [S, ...].
        update: what its inner updates are made with, leaves [S, max(L, 1), ...]; () if it is fixed.
    """

    initial: Params
    update: Structure = ()


@descriptions.described
class MetaGradients(NamedTuple):
    """The three terms of Theorem 1 (Eq. 7) for one agent.

    Attributes:
        current_policy: through the policy that acts.
        self_shaping: through the agent's own updates.
        opponent_shaping: through the others' updates.
    """

    current_policy: MetaParams
    self_shaping: MetaParams
    opponent_shaping: MetaParams

    @property
    def total(self) -> MetaParams:
        """Their sum: the gradient of the meta-value."""
        return tf.nest.map_structure(lambda *terms: tf.add_n(terms), *self)
