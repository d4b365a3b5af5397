"""Samples trajectories. No gradient flows through anything here; see `scoring.py` for that."""

import tensorflow as tf

from tf_metamapg import random
from tf_metamapg.types import Trajectory


def draw_noise(keys, game, n_tasks, n_trajectories, horizon):
    """All random numbers of one rollout.

    Args:
        keys: int64 tensor [S, 2].
        game: the game that will be played.
        n_tasks: N.
        n_trajectories: K.
        horizon: T.

    Returns:
        uniforms in [0, 1) of shape [T, n_agents, S, N, K], one for each action.
    """
    shape = [horizon, game.n_agents, n_tasks, n_trajectories]
    return random.uniforms(keys, shape, game.dtype, seed_axis=2)


def rollout(game, policies, joint_params, tasks, noise):
    """Plays a game.

    Args:
        game: the game, see `games/`.
        policies: one policy for each agent.
        joint_params: JointParams with leaves [S, N, ...], used as constants.
        tasks: what differs between the tasks, as the game's methods take it.
        noise: what `draw_noise` has drawn; the trajectories are a deterministic function of it.

    Returns:
        Trajectory with fields [S, N, K, T].
    """
    joint_params = tf.nest.map_structure(tf.stop_gradient, joint_params)
    samplers = [policy.sampler(params) for policy, params in zip(policies, joint_params)]
    agents = range(game.n_agents)
    horizon = noise.shape[0]

    def empty():
        return tuple(tf.TensorArray(tf.int32, size=horizon, element_shape=noise.shape[2:]) for _ in agents)

    def step(time, state, observations, actions):
        seen = tuple(game.observe(state, agent) for agent in agents)
        done = tuple(samplers[agent](seen[agent], noise[time, agent]) for agent in agents)
        observations = tuple(array.write(time, value) for array, value in zip(observations, seen))
        actions = tuple(array.write(time, value) for array, value in zip(actions, done))
        return time + 1, game.next_state(state, done), observations, actions

    _, _, observations, actions = tf.while_loop(
        cond=lambda time, *_: time < horizon,
        body=step,
        loop_vars=(0, game.initial_state(noise.shape[2:]), empty(), empty()),
        maximum_iterations=horizon,
    )
    observations = tuple(_time_last(array) for array in observations)
    actions = tuple(_time_last(array) for array in actions)
    return Trajectory(observations, actions, game.rewards(tasks, actions))


def _time_last(array):
    return tf.transpose(array.stack(), [1, 2, 3, 0])
