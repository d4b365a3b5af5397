"""Plays games that are made of TensorFlow operations; the loop over time can be compiled with all that surrounds it.

No gradient flows through anything here; see `estimators/scoring.py` for that.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Structure
from tf_metamapg.contracts import Trajectory
from tf_metamapg.numerics import masks
from tf_metamapg.numerics import random
from tf_metamapg.simulators import first_step


class Uniforms(NamedTuple):
    """All random numbers of K trajectories of T steps, in [0, 1)."""

    # [T, Σ n_uniforms + n_step_uniforms, S, N, K]; at each step first those of the agents' actions, then the game's.
    steps: tf.Tensor
    reset: tf.Tensor  # [n_reset_uniforms, S, N, K]


class InGraphSimulator(descriptions.Described):
    """K · S · N instances of a game, played in step.

    Attributes:
        spec: `contracts.GameSpec` of the game.
        policies: one policy for each agent.
        in_graph: True.
        n_trajectories: K.
        horizon: T.
    """

    in_graph = True

    def __init__(
        self, game: contracts.Game, policies: Sequence[contracts.StepPolicy], n_trajectories: int = 64,
        horizon: int = 150,
    ) -> None:
        """
        Args:
            game: `contracts.Game`.
            policies: one `contracts.StepPolicy` for each agent.
            n_trajectories: K ≥ 1.
            horizon: T ≥ 1, in time steps.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        kind = type(self).__name__
        allowed = "a game that is played step by step, in TensorFlow; HostSimulator plays environments"
        contracts.check_kind(f"{kind}.game", game, contracts.Game, allowed)
        self._measured_game: contracts.MeasuredGame | None = None
        if game.spec.metrics:
            self._measured_game = contracts.checked_kind(
                f"{kind}.game", game, contracts.MeasuredGame, "a game with the metrics of its spec"
            )
        arguments.check_policies(
            f"{kind}.policies", policies, contracts.StepPolicy, "a policy that acts step by step", game.spec
        )
        checks.check_integer(f"{kind}.n_trajectories", n_trajectories, minimum=1)
        checks.check_integer(f"{kind}.horizon", horizon, minimum=1)
        first_step.check_game(game)
        self._game = game
        self.spec = game.spec
        self.policies = tuple(policies)
        self.n_trajectories = n_trajectories
        self.horizon = horizon

    def sample(self, joint_params: JointParams, tasks: Structure, keys: tf.Tensor) -> Trajectory:
        """Plays the game.

        Args:
            joint_params: JointParams with leaves [S, N, ...], used as constants.
            tasks: the tasks, leaves [S, N, ...], used as constants, too.
            keys: int64 tensor [S, 2], what all random numbers are drawn from.

        Returns:
            Trajectory with fields [S, N, K, T].
        """
        return self.play(joint_params, tasks, self.draw_uniforms(keys, arguments.seeds_and_tasks(joint_params)[1]))

    def draw_uniforms(self, keys: tf.Tensor, n_tasks: int) -> Uniforms:
        """All random numbers of one call of `play`: `Uniforms`, for keys [S, 2] and N tasks."""
        game, dtype = self._game, self.spec.dtype
        n_uniforms = sum(policy.n_uniforms for policy in self.policies) + game.n_step_uniforms
        shape = [n_tasks, self.n_trajectories]
        reset_keys = random.reset_keys(keys)
        return Uniforms(
            random.uniforms(keys, [self.horizon, n_uniforms, *shape], dtype, seed_axis=2),
            random.uniforms(reset_keys, [game.n_reset_uniforms, *shape], dtype, seed_axis=1),
        )

    def play(self, joint_params: JointParams, tasks: Structure, uniforms: Uniforms) -> Trajectory:
        """The trajectories that some random numbers make; a deterministic function of them. See `sample`."""
        joint_params, tasks = tf.nest.map_structure(tf.stop_gradient, (joint_params, tasks))
        samplers = [policy.sampler(params) for policy, params in zip(self.policies, joint_params)]
        game, spec, numbers = self._game, self.spec, uniforms.steps
        agents, shape = range(spec.n_agents), numbers.shape[2:]

        def step(time, state, recurrent_states, own_masks, own_numbers, trajectory):
            present = own_masks or (None,) * spec.n_agents
            observations = tuple(game.observe(tasks, state, agent) for agent in agents)
            observations = tuple(map(masks.masked, observations, present))
            actions, next_recurrent_states, start = [], [], 0
            for policy, sampler, seen, recurrent_state, mask in zip(
                self.policies, samplers, observations, recurrent_states, present
            ):
                action, next_one = sampler(seen, recurrent_state, own_numbers[start : start + policy.n_uniforms])
                start += policy.n_uniforms
                actions.append(masks.masked(action, mask))
                next_recurrent_states.append(next_one)
            joint_action = tuple(actions)
            next_state, rewards, continues = game.step(tasks, state, joint_action, own_numbers[start:])
            record = Trajectory(
                observations, joint_action, tuple(map(masks.masked, rewards, present)),
                own_masks, self._metrics(tasks, state, joint_action, present),
            )
            trajectory = tf.nest.map_structure(lambda array, entry: array.write(time, entry), trajectory, record)
            if spec.ends:
                own_masks = tuple(map(tf.logical_and, own_masks, continues))
                next_state = masks.advanced(tf.reduce_any(tf.stack(own_masks), axis=0), next_state, state)
            # The next step's numbers are read here, since arithmetic that is compiled together with a look at a
            # place that moves is not turned into vector instructions.
            next_numbers = numbers[tf.minimum(time + 1, self.horizon - 1)]
            return time + 1, next_state, tuple(next_recurrent_states), own_masks, next_numbers, trajectory

        *_, trajectory = tf.while_loop(
            cond=lambda time, *_: time < self.horizon,
            body=step,
            loop_vars=(
                0, game.reset(tasks, uniforms.reset), tuple(policy.initial_state(shape) for policy in self.policies),
                (tf.ones(shape, tf.bool),) * spec.n_agents if spec.ends else (), numbers[0], self._empty(shape),
            ),
        )
        return tf.nest.map_structure(_time_last, trajectory)

    def _metrics(self, tasks, state, joint_action, present):
        """What the game measures at a step, of the agents that are there: by name tuples over agents."""
        if self._measured_game is None:
            return ()
        metrics = self._measured_game.metrics(tasks, state, joint_action)
        return {name: tuple(map(masks.masked, metrics[name], present)) for name in self.spec.metrics}

    def _empty(self, shape):
        """Arrays of T entries for all that is recorded."""
        spec = self.spec

        def arrays(specs):
            return tuple(
                tf.TensorArray(one.dtype, size=self.horizon, element_shape=[*shape, *one.shape]) for one in specs
            )

        numbers = [tf.TensorSpec([], spec.dtype)] * spec.n_agents
        return Trajectory(
            arrays(space.tensor_spec(spec.dtype) for space in spec.observations),
            arrays(space.tensor_spec(spec.dtype) for space in spec.actions), arrays(numbers),
            arrays([tf.TensorSpec([], tf.bool)] * spec.n_agents) if spec.ends else (),
            {name: arrays(numbers) for name in spec.metrics} or (),
        )


def _time_last(array):
    """[T, S, N, K, ...] → [S, N, K, T, ...]."""
    steps = array.stack()
    return tf.transpose(steps, [1, 2, 3, 0, *range(4, len(steps.shape))])
