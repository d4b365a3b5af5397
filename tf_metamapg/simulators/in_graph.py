"""Samples trajectories. No gradient flows through anything here; see `scoring.py` for that."""

import tensorflow as tf

from tf_metamapg.contracts import Trajectory
from tf_metamapg.numerics import random


def draw_uniforms(keys, game, policies, n_tasks, n_trajectories, horizon):
    """All random numbers of one rollout.

    Args:
        keys: int64 tensor [S, 2].
        game: the game that will be played.
        policies: one policy for each agent.
        n_tasks: N.
        n_trajectories: K.
        horizon: T.

    Returns:
        uniforms in [0, 1) of shape [T, Σ n_uniforms, S, N, K]: at each step those for the agents' actions, then
        those that the game's transition takes.
    """
    n_uniforms = sum(player.n_uniforms for player in (*policies, game))
    return random.uniforms(keys, [horizon, n_uniforms, n_tasks, n_trajectories], game.dtype, seed_axis=2)


def rollout(game, policies, joint_params, tasks, noise):
    """Plays a game.

    Args:
        game: the game, see `games/`.
        policies: one policy for each agent.
        joint_params: JointParams with leaves [S, N, ...], used as constants.
        tasks: what differs between the tasks, as the game's methods take it; used as constants, too.
        noise: what `draw_uniforms` has drawn; the trajectories are a deterministic function of it.

    Returns:
        Trajectory with fields [S, N, K, T].
    """
    joint_params, tasks = tf.nest.map_structure(tf.stop_gradient, (joint_params, tasks))
    samplers = [policy.sampler(params) for policy, params in zip(policies, joint_params)]
    agents = range(game.n_agents)
    horizon, n_uniforms, *shape = noise.shape

    def empty(specs):
        return tuple(
            tf.TensorArray(spec.dtype, size=horizon, element_shape=[*shape, *spec.shape]) for spec in specs
        )

    def step(time, state, memories, uniforms, trajectory):
        uniforms = tf.unstack(uniforms, n_uniforms)
        observations = tuple(game.observe(state, agent) for agent in agents)
        joint_action, next_memories = [], []
        for policy, sampler, seen, memory in zip(policies, samplers, observations, memories):
            action, memory = sampler(seen, memory, uniforms[: policy.n_uniforms])
            uniforms = uniforms[policy.n_uniforms :]
            joint_action.append(action)
            next_memories.append(memory)
        next_state = game.next_state(state, tuple(joint_action), uniforms)
        record = Trajectory(observations, tuple(joint_action), game.rewards(tasks, state, tuple(joint_action)))
        trajectory = tf.nest.map_structure(lambda array, entry: array.write(time, entry), trajectory, record)
        # The next step's numbers are read here, since arithmetic that is compiled together with a look at a
        # place that moves is not turned into vector instructions.
        return time + 1, next_state, tuple(next_memories), noise[tf.minimum(time + 1, horizon - 1)], trajectory

    *_, trajectory = tf.while_loop(
        cond=lambda time, *_: time < horizon,
        body=step,
        loop_vars=(
            0, game.initial_state(shape), tuple(policy.initial_state(shape) for policy in policies), noise[0],
            Trajectory(
                empty(game.observation_specs), empty(game.action_specs),
                empty([tf.TensorSpec([], game.dtype)] * game.n_agents),
            ),
        ),
    )
    return tf.nest.map_structure(_time_last, trajectory)


def _time_last(array):
    """[T, S, N, K, ...] → [S, N, K, T, ...]."""
    steps = array.stack()
    return tf.transpose(steps, [1, 2, 3, 0, *range(4, len(steps.shape))])
