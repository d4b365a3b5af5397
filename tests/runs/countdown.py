"""A game that ends after one to three steps, and measures how long it lasts: see `game_metrics_test`."""

import gin
import tensorflow as tf

import tf_metamapg as mapg


@gin.configurable
class Countdown:
    """Agent 0 leaves after one or two steps, agent 1 one step later; to act pays. What comes later is far off.

    It measures for each agent which step is the first, and the number of each step, from 0.
    """

    n_reset_uniforms, n_step_uniforms = 1, 0
    default_tasks = ()

    def __init__(self):
        self.spec = mapg.GameSpec(
            name="countdown", discount=0.9, dtype="float32", observations=(mapg.Discrete(9),) * 2,
            actions=(mapg.Discrete(2),) * 2, ends=True, metrics=("first", "clock"),
        )

    def reset(self, tasks, uniforms):
        """The state: (how many steps agent 0 stays, how many have been)."""
        n_steps = 1 + tf.cast(uniforms[0] < 0.5, tf.int32)
        return n_steps, tf.zeros_like(n_steps)

    def observe(self, tasks, state, agent_index):
        return state[1]

    def step(self, tasks, state, joint_action, uniforms):
        n_steps, clock = state
        rewards = tuple(tf.cast(action, "float32") for action in joint_action)
        return (n_steps, clock + 1), rewards, (clock + 1 < n_steps, clock < n_steps)

    def metrics(self, tasks, state, joint_action):
        n_steps, clock = state
        clocks = tuple(
            tf.where(clock < n_steps + agent, tf.cast(clock, "float32"), 1e6) for agent in range(2)
        )
        return {"first": (tf.cast(clock == 0, "float32"),) * 2, "clock": clocks}
