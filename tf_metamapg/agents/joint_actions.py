"""Joint actions that agents with a critic of joint actions weigh against each other, and the network that values them.

Where all actions are finitely many they are all there are; elsewhere they are drawn uniformly, numbers in [−c, c], and
what is expected over joint actions is a mean over these.
"""

from collections.abc import Sequence
import math

import numpy as np
import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Trajectory
from tf_metamapg.critics.baselines import relative_time
from tf_metamapg.numerics import axes
from tf_metamapg.numerics import random
from tf_metamapg.policies import encoders
from tf_metamapg.policies import functional
from tf_metamapg.policies.mlp import MLP

JointActions = tuple[tf.Tensor, ...]


def weighed(spec: contracts.GameSpec, keys: tf.Tensor, n_drawn: int, bound: float) -> JointActions:
    """Joint actions that stand for all.

    Args:
        spec: of the game.
        keys: int64 tensor [S, 2]; nothing is drawn where all actions are finitely many.
        n_drawn: how many joint actions are drawn elsewhere.
        bound: c.

    Returns:
        for each agent what it does in M joint actions, [S, M, *action].
    """
    spaces = spec.actions
    if all(isinstance(space, contracts.Discrete) for space in spaces):
        indices = np.indices([encoders.size(space) for space in spaces]).reshape([len(spaces), -1])
        all_actions = (tf.constant(index, tf.int32)[tf.newaxis] for index in indices)
        return tuple(tf.repeat(index, tf.shape(keys)[0], axis=0) for index in all_actions)
    sizes = [1 if isinstance(space, contracts.Discrete) else math.prod(space.shape) for space in spaces]
    uniforms = tf.split(random.uniforms(keys, [n_drawn, sum(sizes)], spec.dtype), sizes, axis=-1)
    drawn = []
    for space, own in zip(spaces, uniforms):
        if isinstance(space, contracts.Discrete):
            drawn.append(tf.cast(own[..., 0] * space.n, tf.int32))
        else:
            drawn.append(bound * (2.0 * tf.reshape(own, [*axes.sizes(own)[:2], *space.shape]) - 1.0))
    return tuple(drawn)


def log_probs(policy: contracts.Policy, params: Params, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
    """How likely an agent's part of joint actions is at every step of trajectories.

    Args:
        policy: of the agent, that acts step by step.
        params: its parameters, leaves [S, N, ...].
        observations: what it has seen, tensor [S, N, K, T, *observation].
        actions: what it does in M joint actions, tensor [S, M, *action].

    Returns:
        tensor [S, N, K, M, T], differentiable in `params`.
    """
    n_seeds, n_tasks, n_trajectories, horizon = axes.sizes(observations)[:4]
    n_actions = axes.sizes(actions)[1]
    stepping = contracts.checked_kind("policy", policy, contracts.StepPolicy, "one that acts step by step")
    done_shape = actions.shape[2:]
    if isinstance(policy, contracts.CarryingPolicy):
        # Each joint action as a task of its own, since something may be carried for each of the K trajectories.
        params, seen = tf.nest.map_structure(lambda leaf: tf.repeat(leaf, n_actions, axis=1), (params, observations))
        done = actions[:, tf.newaxis, :, tf.newaxis, tf.newaxis]
        done = tf.broadcast_to(done, [n_seeds, n_tasks, n_actions, n_trajectories, horizon, *done_shape])
        done = tf.reshape(done, [n_seeds, n_tasks * n_actions, n_trajectories, horizon, *done_shape])
        found = stepping.log_probs(params, seen, done)
        found = tf.reshape(found, [n_seeds, n_tasks, n_actions, n_trajectories, horizon])
        return tf.transpose(found, [0, 1, 3, 2, 4])
    # As a trajectory of its own.
    done = actions[:, tf.newaxis, tf.newaxis, :, tf.newaxis]
    done = tf.broadcast_to(done, [n_seeds, n_tasks, n_trajectories, n_actions, horizon, *done_shape])
    done = tf.reshape(done, [n_seeds, n_tasks, n_trajectories * n_actions, horizon, *done_shape])
    found = stepping.log_probs(params, tf.repeat(observations, n_actions, axis=2), done)
    return tf.reshape(found, [n_seeds, n_tasks, n_trajectories, n_actions, horizon])


class JointActionNetwork:
    """Q(o_t, a_t) of what all agents see and do at a step, and of the time."""

    def __init__(self, spec: contracts.GameSpec, units: int, bound: float, stream: int) -> None:
        """
        Args:
            spec: of the game.
            units: of each of two hidden layers.
            bound: numbers of actions are divided by it.
            stream: which random numbers the first parameters are drawn from.
        """
        self._spec = spec
        self._bound = bound
        spaces = (*spec.observations, *spec.actions)
        n_features = sum(map(encoders.size, spaces)) + 1
        self._model = MLP(
            tf.identity, n_features, 1, (units, units), "tanh", random.integer_seed(0, stream), dtype=spec.dtype
        )
        self._model.build(None)

    def initial_params(self, shape: Sequence[int | tf.Tensor]) -> Params:
        """New parameters, the same for all: leaves [*shape, ...]."""
        leaves = map(tf.convert_to_tensor, self._model.trainable_variables)
        return tuple(tf.broadcast_to(leaf, [*shape, *leaf.shape]) for leaf in leaves)

    def taken(self, params: Params, trajectory: Trajectory) -> tf.Tensor:
        """Q of what was done: tensor [S, N, K, T], differentiable in `params` [S, N, ...]."""
        features = tf.concat([self._seen(trajectory), self._done(trajectory.actions)], axis=-1)
        return self._values(params, features)

    def of_each(self, params: Params, trajectory: Trajectory, actions: JointActions) -> tf.Tensor:
        """Q of M joint actions [S, M, *action] at each step: [S, N, K, M, T], differentiable in `params`."""
        seen = self._seen(trajectory)
        done = self._done(actions)
        n_seeds, n_tasks, n_trajectories, horizon, n_seen = axes.sizes(seen)
        n_actions, n_done = axes.sizes(done)[1:]
        shape = [n_seeds, n_tasks, n_trajectories, n_actions, horizon]
        features = tf.concat([
            tf.broadcast_to(seen[:, :, :, tf.newaxis], [*shape, n_seen]),
            tf.broadcast_to(done[:, tf.newaxis, tf.newaxis, :, tf.newaxis], [*shape, n_done]),
        ], axis=-1)
        merged = tf.reshape(features, [n_seeds, n_tasks, n_trajectories * n_actions, horizon, n_seen + n_done])
        return tf.reshape(self._values(params, merged), shape)

    def _values(self, params: Params, features: tf.Tensor) -> tf.Tensor:
        with functional.bound(self._model, params):
            return self._model.unroll(features)[..., 0]

    def _seen(self, trajectory: Trajectory) -> tf.Tensor:
        """What all agents have seen, and the time: [S, N, K, T, F]."""
        seen = [
            encoders.encode(space, self._spec.dtype, own)
            for space, own in zip(self._spec.observations, trajectory.observations)
        ]
        time = tf.broadcast_to(relative_time(seen[0]), [*axes.sizes(seen[0])[:-1], 1])
        return tf.concat([*seen, time], axis=-1)

    def _done(self, joint_action: JointActions) -> tf.Tensor:
        """What all agents do: [..., F]."""
        parts = []
        for space, own in zip(self._spec.actions, joint_action):
            part = encoders.encode(space, self._spec.dtype, own)
            parts.append(part if isinstance(space, contracts.Discrete) else part / self._bound)
        return tf.concat(parts, axis=-1)


def joint_log_probs(
    policies: Sequence[contracts.Policy], joint_params: JointParams, trajectory: Trajectory, actions: JointActions
) -> tf.Tensor:
    """log π(a|o_t) of M joint actions [S, M, *action] at each step: [S, N, K, M, T], of all agents' parameters."""
    return tf.add_n([
        log_probs(policy, params, trajectory.observations[agent], actions[agent])
        for agent, (policy, params) in enumerate(zip(policies, joint_params))
    ])
