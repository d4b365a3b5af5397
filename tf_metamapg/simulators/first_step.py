"""A few steps are played when a simulator is made, so that what a game returns is refused before long work."""

import numpy as np
import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.games.tasks import DefaultTasks
from tf_metamapg.numerics import masks
from tf_metamapg.numerics import random
from tf_metamapg.numerics import structures

_N_STEPS = 3
# [S, N, K]: of different sizes, so that none is taken for another.
_AXES = [2, 3, 4]
_HINT = ", axes [S, N, K] in front"


def check_game(game: contracts.Game) -> None:
    """Raises `InvalidInputError` unless the methods of a game return what its spec says.

    Args:
        game: `contracts.Game`; actions and uniform numbers are random ones, always the same.
    """
    spec, kind = game.spec, type(game).__name__
    rng = np.random.default_rng(0)
    with tf.init_scope():
        tasks = DefaultTasks(game).sample(random.root_keys(range(_AXES[0])), n_tasks=_AXES[1])
        state = _called(game, "reset", tasks, _uniforms(rng, game.n_reset_uniforms, spec.dtype))
        _check_state(f"{kind}.reset(...)", state)
        present = [np.ones(_AXES, bool)] * spec.n_agents
        for _ in range(_N_STEPS):
            _check_observations(game, tasks, state, present)
            # As in a simulator, what has left does nothing.
            joint_action = tuple(map(masks.masked, _actions(rng, spec), map(tf.constant, present)))
            following, continues = _step(game, tasks, state, joint_action, rng)
            if spec.ends:
                present = [here & goes_on.numpy() for here, goes_on in zip(present, continues)]
                following = masks.advanced(tf.constant(np.any(present, axis=0)), following, state)
            state = following


def _check_observations(game, tasks, state, present):
    for agent, (space, here) in enumerate(zip(game.spec.observations, present)):
        parameter = f"{type(game).__name__}.observe(..., {agent})"
        seen = _called(game, "observe", tasks, state, agent)
        _check(parameter, seen, space.tensor_spec(game.spec.dtype))
        if isinstance(space, contracts.Discrete):
            seen = seen.numpy()
            beyond = seen[here & ((seen < 0) | (seen >= space.n))]
            allowed = f"in 0..{space.n - 1}, see GameSpec.observations"
            checks.check(not beyond.size, parameter, beyond.flat[0].item() if beyond.size else None, allowed)


def _step(game, tasks, state, joint_action, rng):
    """(the next state, whether agents go on), after a look at all that a step returns."""
    spec, kind = game.spec, type(game).__name__
    result = _called(game, "step", tasks, state, joint_action, _uniforms(rng, game.n_step_uniforms, spec.dtype))
    is_triple = isinstance(result, (list, tuple)) and len(result) == 3
    checks.check(is_triple, f"{kind}.step(...)", _shown(result), "the next state, rewards and whether agents go on")
    next_state, rewards, continues = result
    checks.check(
        structures.specs(next_state) == structures.specs(state), f"{kind}.step(...)[0]", _shown(next_state),
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
        metrics = _called(game, "metrics", tasks, state, joint_action)
        has_all = isinstance(metrics, dict) and set(metrics) >= set(spec.metrics)
        names = ", ".join(map(repr, spec.metrics))
        checks.check(has_all, f"{kind}.metrics(...)", _shown(metrics), f"a dict with {names}, as its spec says")
        for name in spec.metrics:
            _check_agents(f"{kind}.metrics(...)[{name!r}]", metrics[name], spec.n_agents, "number", number)
    return next_state, continues


def _called(game, method, *arguments_of_it):
    """What a method returns; what it raises is said beside what it was called with."""
    try:
        return getattr(game, method)(*arguments_of_it)
    except Exception as error:  # A game of a user's may raise anything.
        reason = f"{checks.reason(error)}{checks.where(error)}"
        took = ", ".join(descriptions.describe(argument, longest=80) for argument in arguments_of_it)
        allowed = f"possible with ({took}), where [S, N, K] is {_AXES} ({reason})"
        checks.check(False, f"{type(game).__name__}.{method}(...)", descriptions.Text(type(error).__name__), allowed)


def _uniforms(rng, n_uniforms, dtype):
    return tf.constant(rng.uniform(size=[n_uniforms, *_AXES]), dtype)


def _actions(rng, spec):
    for space in spec.actions:
        if isinstance(space, contracts.Discrete):
            yield tf.constant(rng.integers(space.n, size=_AXES), tf.int32)
        else:
            yield tf.constant(rng.normal(size=[*_AXES, *space.shape]), spec.dtype)


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
