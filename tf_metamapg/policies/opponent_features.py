"""Opponent features (He et al. 2016): a policy is given what the others did in the last episodes.

Of every other agent that is how often it took each of its actions at each of its observations, over the K episodes that
all of them have just played, or the mean and the variance of each number of its actions. What He et al. compute from a
game's score sheet are counts like these. They are functions of the trajectories alone, so that at fixed trajectories no
derivative comes through them.
"""

from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Trajectory
from tf_metamapg.numerics import axes
from tf_metamapg.numerics import masks
from tf_metamapg.policies import encoders
from tf_metamapg.policies import functional
from tf_metamapg.policies.extra_inputs import ExtraInputsPolicy
from tf_metamapg.policies.extra_inputs import MakePolicy
from tf_metamapg.policies.mlp import mlp_policy


class OpponentFeaturesPolicy(ExtraInputsPolicy):
    """A network that sees, beside its observations, `opponent_features` of the last episodes: zeros in the first."""

    def inputs(self, params: Params, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """See `ExtraInputsPolicy.inputs`: [S, N, F]."""
        del params
        return opponent_features(self.game_spec, trajectory, agent_index)


def opponent_features(spec: contracts.GameSpec, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
    """What all agents but one did: tensor [S, N, F].

    Args:
        spec: `contracts.GameSpec`.
        trajectory: Trajectory with fields [S, N, K, T].
        agent_index: i, the one that looks at the others.

    Returns:
        for every other agent, in their order, and each of its O observations, or 1 where these are arrays: the
        frequencies of its A actions; of m numbers their m means and m variances. Zeros where it was not there.
    """
    by_agent = [
        _features(spec.agent(agent), trajectory.observations[agent], trajectory.actions[agent],
                  trajectory.agent_mask(agent))
        for agent in _others(spec, agent_index)
    ]
    return tf.concat([tf.reshape(leaf, [*axes.sizes(leaf)[:2], -1]) for leaf in by_agent], axis=-1)


def n_features(spec: contracts.GameSpec, agent_index: int) -> int:
    """F of `opponent_features`."""
    sizes = (
        encoders.size(spec.actions[agent]) * (1 if _is_finite(spec.actions[agent]) else 2)
        * (encoders.size(spec.observations[agent]) if _is_finite(spec.observations[agent]) else 1)
        for agent in _others(spec, agent_index)
    )
    return sum(sizes)


def _others(spec: contracts.GameSpec, agent_index: int) -> Sequence[int]:
    return [agent for agent in range(spec.n_agents) if agent != agent_index]


def _is_finite(space: contracts.Space) -> bool:
    return isinstance(space, contracts.Discrete)


def _features(
    spec: contracts.AgentSpec, observations: tf.Tensor, actions: tf.Tensor, mask: tf.Tensor | None
) -> tf.Tensor:
    """Of one agent's steps [S, N, K, T, ...]: [S, N, O, A] or [S, N, O, 2 m]."""
    values = encoders.encode(spec.action, spec.dtype, actions)
    places = tf.ones_like(values[..., :1])
    if _is_finite(spec.observation):
        places = encoders.encode(spec.observation, spec.dtype, observations)
    places = masks.masked(places, mask)
    counts = tf.reduce_sum(places, axis=[2, 3])[..., tf.newaxis]

    def mean(numbers: tf.Tensor) -> tf.Tensor:
        return tf.math.divide_no_nan(tf.einsum("snkto,snkta->snoa", places, numbers), counts)

    means = mean(values)
    if _is_finite(spec.action):
        return means
    deviations = values - tf.einsum("snkto,snoa->snkta", places, means)
    return tf.concat([means, mean(deviations**2)], axis=-1)


@descriptions.maker
def opponent_features_policy(
    game: contracts.AnyGame, agent_index: int, make_policy: MakePolicy = mlp_policy
) -> OpponentFeaturesPolicy:
    """The policy of one agent as a network that is given what the others did in the last episodes.

    Args:
        game: any game of several agents that is played step by step.
        agent_index: which agent of the game.
        make_policy: function (game, agent_index) → a policy that is a network, such as `mlp_policy`, `lstm_policy`,
            `gru_policy`, or a Keras model of yours by `keras_policy`. It sees vectors: the features of the observation,
            and those of the others behind.

    Returns:
        `OpponentFeaturesPolicy`, for estimators of sampled inner updates.

    Raises:
        InvalidInputError: if one of these does not hold.
    """
    kind = "opponent_features_policy"
    functional.agent_spec(kind, game, agent_index)
    checks.check(game.spec.n_agents > 1, f"{kind}.game", game, "a game of several agents")
    return OpponentFeaturesPolicy(kind, game, agent_index, make_policy, n_features(game.spec, agent_index))
