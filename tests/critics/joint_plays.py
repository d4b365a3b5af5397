"""Random trajectories of agents that see, do and leave as each likes, and networks in plain NumPy."""

import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg.contracts import Box
from tf_metamapg.contracts import Discrete
from tf_metamapg.contracts import GameSpec
from tf_metamapg.contracts import Trajectory
from tf_metamapg.policies.mlp import mlp_policy
from tf_metamapg.policies.recurrent import lstm_policy
from tf_metamapg.policies.tabular import tabular_policy

SHAPE = (2, 3, 4, 5)  # S, N, K, T
DISCOUNT = 0.8


class JointPlay:
    """Three agents, of whom one sees vectors, and that leave at times of their own.

    Attributes:
        spec: `GameSpec`.
        default_tasks: ().
        policies: one for each agent; the second one is recurrent if one asks for it.
        joint_params: leaves [S, N, ...].
        trajectory: Trajectory with fields [S, N, K, T], zeros where one has left.
        seen: for each agent array [S, N, K, T, F] of features, zeros where it has left.
        done: likewise, of actions.
    """

    default_tasks = ()

    def __init__(self, n_actions=(2, 3, 2), recurrent=False):
        rng = np.random.default_rng(0)
        self.spec = GameSpec(
            name="play", discount=DISCOUNT, dtype="float64", observations=(Discrete(3), Box((2,)), Discrete(2)),
            actions=tuple(map(Discrete, n_actions)), ends=True,
        )
        self.policies = [
            tabular_policy(self, 0), (lstm_policy if recurrent else mlp_policy)(self, 1), tabular_policy(self, 2),
        ]
        self.joint_params = adaptation.for_each_task(
            tuple(policy.initial_params(range(SHAPE[0])) for policy in self.policies), SHAPE[1]
        )
        lengths = rng.integers(1, SHAPE[3] + 1, size=[3, *SHAPE[:3], 1])
        mask = np.arange(SHAPE[3]) < lengths
        numbers = [rng.integers(3, size=SHAPE), rng.normal(size=[*SHAPE, 2]), rng.integers(2, size=SHAPE)]
        observations = [np.where(there if one.ndim == 4 else there[..., None], one, 0)
                        for one, there in zip(numbers, mask)]
        actions = [np.where(there, rng.integers(n, size=SHAPE), 0) for n, there in zip(n_actions, mask)]
        rewards = np.where(mask, rng.normal(1.0, 1.0, size=[3, *SHAPE]), 0.0)
        self.trajectory = Trajectory(
            tuple(tf.constant(one, tf.float64 if one.ndim == 5 else tf.int32) for one in observations),
            tuple(tf.constant(one, tf.int32) for one in actions), tuple(map(tf.constant, rewards)),
            tuple(map(tf.constant, mask)),
        )
        sizes = [3, None, 2]
        self.seen = [
            (one if size is None else np.eye(size)[one]) * there[..., None]
            for one, size, there in zip(observations, sizes, mask)
        ]
        self.done = [np.eye(n)[one] * there[..., None] for n, one, there in zip(n_actions, actions, mask)]


def critic_params(critic):
    """New parameters of all agents' networks, leaves [S, N, ...]."""
    return adaptation.for_each_task(critic.initial_params(range(SHAPE[0])), SHAPE[1])


def estimates(params, features):
    """What a network of one hidden layer says of features [S, N, K, T, F], by loops: array [S, N, K, T, outputs]."""
    kernel, bias, last_kernel, last_bias = (leaf.numpy() for leaf in params)
    scale = np.sum(DISCOUNT ** np.arange(SHAPE[3]))
    result = np.zeros([*SHAPE, last_bias.shape[-1]])
    for seed, task, trajectory, time in np.ndindex(SHAPE):
        at = (seed, task)
        inputs = np.append(features[(seed, task, trajectory, time)], time / SHAPE[3])
        hidden = np.tanh(inputs @ kernel[at] + bias[at][0])
        result[(seed, task, trajectory, time)] = scale * (hidden @ last_kernel[at] + last_bias[at][0])
    return result
