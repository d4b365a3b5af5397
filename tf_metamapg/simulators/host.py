"""Plays games that live outside of TensorFlow, such as environments of PettingZoo; policies act in all of them at once.

The policies' random numbers are drawn as `in_graph` draws them, and the environments get seeds.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Structure
from tf_metamapg.contracts import Trajectory
from tf_metamapg.numerics import random
from tf_metamapg.simulators.checked_environments import CheckedEnvironments


class HostSimulator(descriptions.Described):
    """K · S · N environments, which are made when they are first needed and play one episode after another.

    Attributes:
        spec: `contracts.GameSpec` of the game.
        policies: one policy for each agent.
        in_graph: False.
        n_trajectories: K.
        horizon: T.
    """

    in_graph = False

    def __init__(
        self, game: contracts.HostGame, policies: Sequence[contracts.StepPolicy], n_trajectories: int = 64,
        horizon: int = 150, n_workers: int = 1,
    ) -> None:
        """
        Args:
            game: a game that environments play, such as `ParallelEnvGame` or `HalfCheetahGame`.
            policies: one `contracts.StepPolicy` for each agent.
            n_trajectories: K ≥ 1.
            horizon: T ≥ 1, in time steps, after which every episode is cut off.
            n_workers: how many processes, or threads, as the game has it, share the work of the environments; 1 for
                this process alone. Trajectories do not depend on it. Other processes pay where what all environments
                take for a step, divided by them, is much more than a millisecond, which it takes to let the policies
                act and to pass messages; on Unix only.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        kind = type(self).__name__
        contracts.check_kind(
            f"{kind}.game", game, contracts.HostGame, "a game that environments play, such as ParallelEnvGame(...)"
        )
        allowed = "one whose spec names no metrics, which environments do not have"
        checks.check(not game.spec.metrics, f"{kind}.game", game, allowed)
        arguments.check_policies(
            f"{kind}.policies", policies, contracts.StepPolicy, "a policy that acts step by step", game.spec
        )
        checks.check_integer(f"{kind}.n_trajectories", n_trajectories, minimum=1)
        checks.check_integer(f"{kind}.horizon", horizon, minimum=1)
        checks.check_integer(f"{kind}.n_workers", n_workers, minimum=1, maximum=1000)
        self.spec = game.spec
        self.policies = tuple(policies)
        self.n_trajectories = n_trajectories
        self.horizon = horizon
        self._environments = CheckedEnvironments(game, n_workers)
        self._act = tf.function(self._actions, autograph=False)

    def sample(self, joint_params: JointParams, tasks: Structure, keys: tf.Tensor) -> Trajectory:
        """Plays the game.

        Args:
            joint_params: JointParams with leaves [S, N, ...], used as constants.
            tasks: of no use, as environments know of none.
            keys: int64 tensor [S, 2], what all random numbers are drawn from.

        Returns:
            Trajectory with fields [S, N, K, T].

        Raises:
            InvalidInputError: if what the environments say is not as the spec of the game says.
        """
        del tasks
        n_tasks = arguments.seeds_and_tasks(joint_params)[1]
        return self.play(joint_params, self.draw_uniforms(keys, n_tasks), self.draw_seeds(keys, n_tasks))

    def draw_uniforms(self, keys: tf.Tensor, n_tasks: int) -> tf.Tensor:
        """All random numbers of the agents' actions: [T, Σ n_uniforms, S, N, K], in [0, 1)."""
        n_uniforms = sum(policy.n_uniforms for policy in self.policies)
        shape = [self.horizon, n_uniforms, n_tasks, self.n_trajectories]
        return random.uniforms(keys, shape, self.spec.dtype, seed_axis=2)

    def draw_seeds(self, keys: tf.Tensor, n_tasks: int) -> tf.Tensor:
        """What environments are reset with: int64 [S, N, K], in [0, 2³¹)."""
        uniforms = random.uniforms(random.reset_keys(keys), [n_tasks, self.n_trajectories], "float64")
        return tf.cast(uniforms * 2.0**31, tf.int64)

    def play(self, joint_params: JointParams, uniforms: tf.Tensor, seeds: tf.Tensor) -> Trajectory:
        """The trajectories that some random numbers and seeds make; see `sample`, `draw_uniforms` and `draw_seeds`."""
        allowed = "called outside of tf.function, as environments are played in Python"
        checks.check(tf.executing_eagerly(), f"{type(self).__name__}.sample", self, allowed)
        # Whoever watches them would record every step, and find that no gradient flows.
        joint_params = tf.nest.map_structure(tf.stop_gradient, joint_params)
        return self._played(joint_params, uniforms, seeds.numpy())

    def _played(self, joint_params, uniforms, seeds):
        spec, shape = self.spec, [*seeds.shape]
        agents, n_episodes = range(spec.n_agents), seeds.size
        observations, actions, rewards = (
            [np.zeros([n_episodes, self.horizon, *one.shape], one.dtype.as_numpy_dtype) for one in specs]
            for specs in (
                [space.tensor_spec(spec.dtype) for space in spec.observations],
                [space.tensor_spec(spec.dtype) for space in spec.actions],
                [tf.TensorSpec([], spec.dtype)] * spec.n_agents,
            )
        )
        mask = np.zeros([spec.n_agents, n_episodes, self.horizon], bool)
        states = tuple(policy.initial_state(shape) for policy in self.policies)
        present = np.ones([spec.n_agents, n_episodes], bool)
        numbers_by_step = tf.unstack(uniforms)
        shapes = tuple(tf.TensorSpec([*shape, *own.shape[2:]], own.dtype) for own in observations)
        # Looked up once, as to find it takes as long as a small policy.
        act = self._act.get_concrete_function(joint_params, shapes, states, numbers_by_step[0])
        seen = self._environments.reset(seeds.ravel())
        for time, numbers in enumerate(numbers_by_step):
            mask[:, :, time] = present
            for agent in agents:
                observations[agent][:, time] = seen[agent]
            in_axes = tuple(tf.constant(own[:, time].reshape([*shape, *own.shape[2:]])) for own in observations)
            joint_action, states = act(joint_params, in_axes, states, numbers)
            for agent, action in enumerate(joint_action):
                flat = action.numpy().reshape([n_episodes, *action.shape[3:]])
                actions[agent][present[agent], time] = flat[present[agent]]
            seen, gained, present = self._environments.step([own[:, time] for own in actions])
            for agent in agents:
                rewards[agent][:, time] = gained[agent]
            if not present.any():
                break
        return tf.nest.map_structure(
            lambda own: tf.constant(own.reshape([*shape, *own.shape[1:]])),
            Trajectory(tuple(observations), tuple(actions), tuple(rewards), tuple(mask) if spec.ends else ()),
        )

    def _actions(self, joint_params, observations, recurrent_states, uniforms):
        """What all agents do, and their next recurrent states."""
        actions, states, start = [], [], 0
        for policy, params, seen, state in zip(self.policies, joint_params, observations, recurrent_states):
            action, state = policy.sampler(params)(seen, state, uniforms[start : start + policy.n_uniforms])
            start += policy.n_uniforms
            actions.append(action)
            states.append(state)
        return tuple(actions), tuple(states)

