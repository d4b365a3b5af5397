"""One step of a game is played when a simulator is made, so that what a game returns is refused before long work."""

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.games.tasks import DefaultTasks
from tf_metamapg.numerics import random

_AXES = [1, 1, 2]  # [S, N, K]
_HINT = ", axes [S, N, K] in front"


def check_game(game: contracts.Game) -> None:
    """Raises `InvalidInputError` unless the methods of a game return what its spec says.

    Args:
        game: `contracts.Game`; every action is zeros, and every uniform number a half.
    """
    spec, kind = game.spec, type(game).__name__
    with tf.init_scope():
        tasks = DefaultTasks(game).sample(random.root_keys([0]), n_tasks=1)
        state = game.reset(tasks, _halves(game.n_reset_uniforms, spec.dtype))
        _check_state(f"{kind}.reset(...)", state)
        for agent, space in enumerate(spec.observations):
            _check(f"{kind}.observe(..., {agent})", game.observe(tasks, state, agent), space.tensor_spec(spec.dtype))
        actions = [space.tensor_spec(spec.dtype) for space in spec.actions]
        joint_action = tuple(tf.zeros([*_AXES, *one.shape], one.dtype) for one in actions)
        result = game.step(tasks, state, joint_action, _halves(game.n_step_uniforms, spec.dtype))
        is_triple = isinstance(result, (list, tuple)) and len(result) == 3
        checks.check(
            is_triple, f"{kind}.step(...)", _shown(result), "the next state, rewards and whether agents go on"
        )
        next_state, rewards, continues = result
        checks.check(
            descriptions.specs(next_state) == descriptions.specs(state), f"{kind}.step(...)[0]", _shown(next_state),
            f"a state like the one before it, {descriptions.describe(state, longest=120)}",
        )
        number, whether = tf.TensorSpec([], spec.dtype), tf.TensorSpec([], tf.bool)
        _check_agents(f"{kind}.step(...)[1]", rewards, spec.n_agents, "reward", number)
        if spec.ends:
            _check_agents(f"{kind}.step(...)[2]", continues, spec.n_agents, "bool", whether)
        else:
            checks.check(
                not tf.nest.flatten(continues), f"{kind}.step(...)[2]", _shown(continues),
                "(), as the game's spec says that it does not end; see GameSpec.ends",
            )
        if isinstance(game, contracts.MeasuredGame) and spec.metrics:
            metrics = game.metrics(tasks, state, joint_action)
            has_all = isinstance(metrics, dict) and set(metrics) >= set(spec.metrics)
            names = ", ".join(map(repr, spec.metrics))
            checks.check(has_all, f"{kind}.metrics(...)", _shown(metrics), f"a dict with {names}, as its spec says")
            for name in spec.metrics:
                _check_agents(f"{kind}.metrics(...)[{name!r}]", metrics[name], spec.n_agents, "number", number)


def _halves(n_uniforms, dtype):
    return tf.fill([n_uniforms, *_AXES], tf.constant(0.5, dtype))


def _check(parameter, value, one):
    """Checks a tensor [S, N, K, ...] against the TensorSpec of one entry."""
    arguments.tensor(parameter, value, one.dtype.name, [*_AXES, *one.shape], _HINT)


def _check_agents(parameter, values, n_agents, what, one):
    is_tuple = isinstance(values, (list, tuple)) and len(values) == n_agents
    checks.check(is_tuple, parameter, _shown(values), f"a tuple of {n_agents}, a {what} for each agent")
    for agent, value in enumerate(values):
        _check(f"{parameter}[{agent}]", value, one)


def _check_state(parameter, state):
    are_right = all(tf.is_tensor(leaf) and leaf.shape[: len(_AXES)] == _AXES for leaf in tf.nest.flatten(state))
    checks.check(are_right, parameter, _shown(state), f"a state of tensors {_AXES}{_HINT}")


def _shown(value):
    return descriptions.Text(descriptions.describe(value, longest=120))
