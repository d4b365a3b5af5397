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
        uniforms in [0, 1) of shape [T, n_agents + n_uniforms, S, N, K]: at each step one for each agent's
        action, then those that the game's transition takes.
    """
    shape = [horizon, game.n_agents + game.n_uniforms, n_tasks, n_trajectories]
    return random.uniforms(keys, shape, game.dtype, seed_axis=2)


def rollout(game, policies, joint_params, tasks, noise):
    """Plays a game.

    Args:
        game: the game, see `games/`.
        policies: one policy for each agent.
        joint_params: JointParams with leaves [S, N, ...], used as constants.
        tasks: what differs between the tasks, as the game's methods take it; used as constants, too.
        noise: what `draw_noise` has drawn; the trajectories are a deterministic function of it.

    Returns:
        Trajectory with fields [S, N, K, T].
    """
    joint_params, tasks = tf.nest.map_structure(tf.stop_gradient, (joint_params, tasks))
    samplers = [policy.sampler(params) for policy, params in zip(policies, joint_params)]
    agents = range(game.n_agents)
    horizon = noise.shape[0]

    def empty(dtype):
        return tuple(tf.TensorArray(dtype, size=horizon, element_shape=noise.shape[2:]) for _ in agents)

    def step(time, state, uniforms, trajectory):
        uniforms = tf.unstack(uniforms, game.n_agents + game.n_uniforms)
        observations = tuple(game.observe(state, agent) for agent in agents)
        joint_action = tuple(samplers[agent](observations[agent], uniforms[agent]) for agent in agents)
        next_state = game.next_state(state, joint_action, uniforms[game.n_agents :])
        record = Trajectory(observations, joint_action, game.rewards(tasks, state, joint_action))
        trajectory = tf.nest.map_structure(lambda array, entry: array.write(time, entry), trajectory, record)
        # The next step's numbers are read here, since arithmetic that is compiled together with a look at a
        # place that moves is not turned into vector instructions.
        return time + 1, next_state, noise[tf.minimum(time + 1, horizon - 1)], trajectory

    *_, trajectory = tf.while_loop(
        cond=lambda time, *_: time < horizon,
        body=step,
        loop_vars=(
            0, game.initial_state(noise.shape[2:]), noise[0],
            Trajectory(empty(tf.int32), empty(tf.int32), empty(game.dtype)),
        ),
    )
    return tf.nest.map_structure(_time_last, trajectory)


def _time_last(array):
    return tf.transpose(array.stack(), [1, 2, 3, 0])
