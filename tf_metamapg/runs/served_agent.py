"""One agent that goes on learning, as functions of tensors by their names; `serving.py` says what they mean."""

from collections.abc import Callable

import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import arguments
from tf_metamapg import contracts
from tf_metamapg.agents.fixed import Fixed
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.contracts import Trajectory
from tf_metamapg.estimators.sample import without_padding
from tf_metamapg.games.tasks import DefaultTasks
from tf_metamapg.links import Link
from tf_metamapg.links import Objectives
from tf_metamapg.numerics import axes
from tf_metamapg.numerics import random
from tf_metamapg.policies import signatures


class ServedAgent:
    """One agent, of one seed and task."""

    def __init__(
        self, agent: contracts.Agent, estimator: contracts.PlayingEstimator, agent_index: int, params: Params,
        update_params: Structure | None, critic_params: JointParams,
    ) -> None:
        """Takes what `serving.export_learning_agent` does."""
        self._agent, self._estimator, self._index = agent, estimator, agent_index
        self._spec, self._policy = estimator.spec, estimator.policies[agent_index]
        params = arguments.params("params", params, self._policy.reference_params, [])
        # Called in any case, and first, as agents may make models there.
        first_update_params = agent.init_update(estimator, agent_index, 1, 1)
        self._update_params = first_update_params if update_params is None else _with_axes(update_params, 1)
        self._critic_params = _with_axes(critic_params)
        self._initial_state = adaptation.initial_state(agent, _with_axes(params), estimator, agent_index)
        self._tasks = DefaultTasks(estimator).sample(random.root_keys([0]), n_tasks=1)

    def signatures(self) -> dict[str, tuple[Callable[..., dict[str, tf.Tensor]], list[tf.TensorSpec]]]:
        """By name, a function and the specs of its arguments."""
        spec, seed = self._spec, tf.TensorSpec([2], tf.int32, name="seed")
        state = [tf.TensorSpec(leaf.shape, leaf.dtype, name=name) for name, leaf in self._first().items()]
        recurrent = [
            tf.TensorSpec([None, *leaf.shape[1:]], leaf.dtype, name=name)
            for name, leaf in self._first_recurrent(1).items()
        ]
        agents, steps = range(spec.n_agents), [None, None]
        own_observations = _spec("observations", [None], spec.observations[self._index], spec.dtype)
        seen = [
            *(_spec(f"observations_{agent}", steps, spec.observations[agent], spec.dtype) for agent in agents),
            *(_spec(f"actions_{agent}", steps, spec.actions[agent], spec.dtype) for agent in agents),
            *(tf.TensorSpec(steps, spec.dtype, name=f"rewards_{agent}") for agent in agents),
            *(tf.TensorSpec(steps, tf.bool, name=f"mask_{agent}") for agent in agents if spec.ends),
        ]
        functions = {
            "initial_state": (self._first, []),
            "act": _by_name(self._act, [own_observations, seed, *recurrent, *state]),
            "learn": _by_name(self._learn, [*seen, seed, *state]),
        }
        if recurrent:
            batch_size = tf.TensorSpec([], tf.int32, name="batch_size")
            functions["initial_recurrent_state"] = (self._first_recurrent, [batch_size])
        return functions

    def _first(self):
        return _named_state(self._initial_state, tf.constant(0))

    def _first_recurrent(self, batch_size):
        return _numbered("recurrent", self._policy.initial_state([1, 1, batch_size]))

    def _act(self, given):
        state = self._state(given)
        observations, is_possible = signatures.possible(self._spec.observations[self._index], given["observations"])
        like = self._policy.initial_state([1, 1, 1])
        recurrent = _with_axes([given[name] for name in _numbered("recurrent", like)])
        for leaf in recurrent:
            is_possible = tf.logical_and(is_possible, signatures.are_finite(leaf[0, 0]))
        is_possible = tf.logical_and(is_possible, _are_finite(state))
        shape = [self._policy.n_uniforms, 1, 1, tf.shape(observations)[0]]
        uniforms = tf.random.stateless_uniform(shape, given["seed"], dtype=self._spec.dtype)
        actions, recurrent = self._policy.sampler(state.params)(
            _with_axes(observations), tf.nest.pack_sequence_as(like, recurrent), uniforms
        )
        results = {"actions": actions[0, 0], **_numbered("recurrent", recurrent)}
        return {name: signatures.where(is_possible, result) for name, result in results.items()}

    def _learn(self, given):
        trajectory, is_possible = self._trajectory(given)
        states = [AgentState(_with_axes(policy.reference_params)) for policy in self._estimator.policies]
        states[self._index] = state = self._state(given)
        keys = tf.cast(given["seed"], tf.int64)[tf.newaxis]
        link = Link(tuple(states), (), keys, self._critic_params)
        sample = self._estimator.make_sample(trajectory, link.joint_params, self._critic_params)
        objectives = Objectives(self._estimator, self._tasks, link._replace(sample=sample))
        # Nobody knows how the others learn, and it does not matter.
        agents: list[contracts.Agent] = [Fixed()] * self._spec.n_agents
        step_params: list[Structure] = [()] * self._spec.n_agents
        agents[self._index] = self._agent
        step_params[self._index] = adaptation.at_step(self._update_params, given["n_updates"])
        following = adaptation.inner_update(objectives, agents, step_params)[self._index]
        is_possible = tf.logical_and(is_possible, _are_finite(state))
        results = _named_state(following, given["n_updates"] + 1)
        return {name: signatures.where(is_possible, result) for name, result in results.items()}

    def _state(self, given):
        """The AgentState, leaves [1, 1, ...]."""
        leaves = [given[name] for name in self._first() if name != "n_updates"]
        return tf.nest.pack_sequence_as(self._initial_state, _with_axes(leaves))

    def _trajectory(self, given):
        """(The Trajectory that was given, fields [1, 1, K, T]; whether all that counts of it can be.)"""
        spec = self._spec
        fields = ("observations", "actions", "rewards") + (("mask",) if spec.ends else ())
        for name in (f"{field}_{agent}" for field in fields for agent in range(spec.n_agents)):
            sizes = [tf.shape(given[key])[:2] for key in (name, "rewards_0")]
            tf.debugging.assert_equal(*sizes, f"{name} must have the axes [K, T] of rewards_0")
        trajectory = without_padding(Trajectory(*(
            _with_axes(tuple(given[f"{field}_{agent}"] for agent in range(spec.n_agents))) for field in fields
        )))
        observations, are_seen = zip(*map(signatures.possible, spec.observations, trajectory.observations))
        actions, are_done = zip(*map(signatures.possible, spec.actions, trajectory.actions))
        are_right = [*are_seen, *are_done, *map(tf.math.is_finite, trajectory.rewards)]
        # All are there at first, and none comes back.
        for mask in trajectory.mask:
            are_right.append(tf.concat([mask[..., :1], mask[..., :-1] | ~mask[..., 1:]], axis=-1))
        is_possible = tf.reduce_all([tf.reduce_all(are) for are in are_right])
        return trajectory._replace(observations=observations, actions=actions), is_possible


def _by_name(function, specs):
    """A function of a dict as one of tensors in the order of their specs."""
    return lambda *given: function({spec.name: value for spec, value in zip(specs, given)}), specs


def _spec(name, leading, space, dtype):
    one = space.tensor_spec(dtype)
    return tf.TensorSpec([*leading, *one.shape], one.dtype, name=name)


def _with_axes(structure, n_axes=2):
    """Leaves [...] → [1, 1, ...], of one seed and task."""
    return tf.nest.map_structure(lambda leaf: tf.reshape(leaf, [1] * n_axes + axes.sizes(leaf)), structure)


def _numbered(name, structure):
    """Leaves [1, 1, ...] of a structure as a dict of tensors [...]."""
    return {f"{name}_{index}": leaf[0, 0] for index, leaf in enumerate(tf.nest.flatten(structure))}


def _named_state(state, n_updates):
    """An AgentState with leaves [1, 1, ...] as what the signatures take and return."""
    return {"n_updates": n_updates, **_numbered("params", state.params), **_numbered("extra", state.extra)}


def _are_finite(structure):
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(leaf)) for leaf in tf.nest.flatten(structure)])
