"""A common stock that agents harvest, and that grows while there is some left."""

import gin
import numpy as np
import tensorflow as tf

import tf_metamapg as mapg


@gin.configurable
class Commons:
    """Every agent takes a unit of the stock or spares it; who takes shares what there is, and the last unit is the end.

    A task is the probability that the stock grows by a unit at a step.
    """

    n_reset_uniforms = n_step_uniforms = 1

    def __init__(self, n_agents=3, capacity=6, growth=0.7, discount=0.95, dtype="float32"):
        self.spec = mapg.GameSpec(
            name="commons", discount=discount, dtype=dtype, observations=(mapg.Box((1,)),) * n_agents,
            actions=(mapg.Discrete(2),) * n_agents, ends=True, metrics=("restraint",),
        )
        self.default_tasks = np.array(growth)
        self._capacity = capacity

    def reset(self, tasks, uniforms):
        return 1 + tf.cast(self._capacity * uniforms[0], tf.int32)

    def observe(self, tasks, state, agent_index):
        return tf.cast(state, self.spec.dtype)[..., tf.newaxis] / self._capacity

    def step(self, tasks, state, joint_action, uniforms):
        n_taken = tf.add_n(joint_action)
        grows = tf.cast(uniforms[0] < tasks[..., tf.newaxis], tf.int32)
        next_state = tf.clip_by_value(state - n_taken + grows, 0, self._capacity)
        share = tf.minimum(1.0, tf.cast(state, self.spec.dtype) / tf.cast(tf.maximum(n_taken, 1), self.spec.dtype))
        rewards = tuple(tf.cast(action, self.spec.dtype) * share for action in joint_action)
        return next_state, rewards, (next_state > 0,) * self.spec.n_agents

    def metrics(self, tasks, state, joint_action):
        return {"restraint": tuple(1.0 - tf.cast(action, self.spec.dtype) for action in joint_action)}
