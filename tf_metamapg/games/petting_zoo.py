"""Environments of PettingZoo as games of this package, and the other way round.

PettingZoo is imported when one of these is made, and not before: it belongs to an extra of this package.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import functools
import inspect
import pickle
from typing import Any

import numpy as np

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Structure
from tf_metamapg.games import answers
from tf_metamapg.games import environments
from tf_metamapg.games.workers import Workers


class ParallelEnvGame(descriptions.Described):
    """A game that environments of PettingZoo play, where all agents act at once; for `HostSimulator`.

    Agents are those of `possible_agents`, in that order. A Discrete space is `contracts.Discrete`; so is a
    MultiDiscrete one, with the last of its numbers changing fastest; a Box is `contracts.Box`. Policies know no bounds:
    an action beyond those of its Box is moved to them on its way to the environment, and scored as it was sampled.

    A trajectory is one episode. For the package it ends in the same way for an agent that is terminated and for one
    that is truncated: nothing after it counts, and no value is estimated of what might have come, as nothing is beyond
    the horizon either.

    Attributes:
        spec: `contracts.GameSpec`.
        default_tasks: (), as tasks do not differ.
        make_env: the function that makes an environment.
    """

    default_tasks = ()

    def __init__(
        self, make_env: Callable[[], Any], discount: float = 0.99, dtype: str = "float32", name: str | None = None,
    ) -> None:
        """
        Args:
            make_env: function that makes a `pettingzoo.ParallelEnv`, such as `pettingzoo_env` makes; all of them are
                the same, and the seed that an episode begins with decides all that is random in it.
            discount: γ, in [0, 1]; 1 where every episode surely ends.
            dtype: 'float32' or 'float64'.
            name: what the game is called in figures and summaries; by default as the environment says.

        Raises:
            InvalidInputError: if one of these does not hold, or PettingZoo is not installed.
        """
        self._kind = kind = type(self).__name__
        checks.imported("pettingzoo")
        allowed = "a function that makes a pettingzoo.ParallelEnv, such as pettingzoo_env(...) is"
        checks.check(callable(make_env), f"{kind}.make_env", make_env, allowed)
        contracts.check_game_numbers(kind, discount, dtype, "" if name is None else name, ends=True)
        self.make_env = make_env
        with self.refused():
            with answers.trial("an environment"):
                env = make_env()
            _, observations, actions = answers.spaces_of(env)
        self.spec = contracts.GameSpec(
            name=checks.one_line(str(env), 100) if name is None else name,
            discount=float(discount), dtype=dtype, ends=True,
            observations=tuple(map(_space, observations)), actions=tuple(map(_space, actions)),
        )
        env.close()

    def make_environments(self, n_workers: int) -> contracts.Environments:
        """See `contracts.HostGame.make_environments`: in this process where there is one worker, or in as many others.

        Raises:
            InvalidInputError: if other processes could not make the environments.
        """
        if n_workers == 1:
            return _Refused(self, environments.Environments(self.make_env))
        if not _is_found_elsewhere(self.make_env):
            self.refuse("a function of a module that worker processes can import, as pettingzoo_env(...) makes it")
        return _Refused(self, Workers(self.make_env, n_workers))

    def refuse(self, allowed: str) -> None:
        """Raises the `InvalidInputError` that says what `make_env` must be."""
        shown = checks.brief(self.make_env)
        raise checks.InvalidInputError(f"{self._kind}.make_env = {shown}: must be {allowed}")

    @contextlib.contextmanager
    def refused(self) -> Iterator[None]:
        """A context in which environments that cannot be played in are refused."""
        try:
            yield
        except answers.Unusable as error:
            self.refuse(f"a function that makes {error}")


class _Refused:
    """Environments of a game; those that turn out to be none that can be played in are refused in one line."""

    def __init__(self, game: ParallelEnvGame, played: environments.Environments | Workers) -> None:
        self._game, self._played = game, played

    def reset(self, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        """See `contracts.Environments`."""
        with self._game.refused():
            return self._played.reset(seeds)

    def step(self, joint_action: Sequence[np.ndarray]) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        """See `contracts.Environments`."""
        with self._game.refused():
            return self._played.step(joint_action)


def _is_found_elsewhere(make_env):
    """Whether processes that import a module again find in it what makes environments."""
    try:
        pickled = pickle.dumps(make_env)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    # What gin has wrapped would be found without its bindings.
    function = make_env.func if isinstance(make_env, functools.partial) else make_env
    return inspect.unwrap(function) is function and b"__main__" not in pickled


def _space(codec):
    return contracts.Box(codec.shape) if codec.n is None else contracts.Discrete(codec.n)


def pettingzoo_env(function: str, arguments: Mapping[str, Any] | None = None) -> Callable[[], Any]:
    """A function that makes an environment, from the name of what makes it and its arguments.

    Args:
        function: the full name of what makes environments, such as "pettingzoo.classic.rps_v2.parallel_env" or
            "gymnasium_robotics.mamujoco_v1.parallel_env".
        arguments: by name, what it is called with.

    Returns:
        function without arguments that returns a `pettingzoo.ParallelEnv`; worker processes can call it, too.

    Raises:
        InvalidInputError: if there is no such function, or it is in a package that is not installed.
    """
    kind, allowed = "pettingzoo_env", "the full name of a function that makes environments"
    is_name = isinstance(function, str) and all(part.isidentifier() for part in function.split("."))
    checks.check(is_name, f"{kind}.function", function, allowed)
    are_named = arguments is None or (isinstance(arguments, Mapping) and all(isinstance(key, str) for key in arguments))
    checks.check(are_named, f"{kind}.arguments", arguments, "None or a dict of values by name")
    try:
        make_env = checks.imported(function)
    except AttributeError:
        make_env = None
    checks.check(callable(make_env), f"{kind}.function", function, allowed)
    return functools.partial(make_env, **(arguments or {}))


def to_parallel_env(
    game: contracts.Game, task: Structure = None, horizon: int = 150, render_mode: str | None = None
) -> Any:
    """A game of this package as an environment of PettingZoo, for agents of others, or for somebody to look at.

    Args:
        game: a game that is played step by step.
        task: one task, a structure like its `default_tasks`, which it is by default.
        horizon: T, after how many steps all agents are truncated that are still there.
        render_mode: "ansi", where `render` returns a text, "human", where it prints it, or None.

    Returns:
        `game_env.GameEnv`, a `pettingzoo.ParallelEnv`.

    Raises:
        InvalidInputError: if one of these does not hold, or PettingZoo is not installed.
    """
    checks.imported("pettingzoo")
    from tf_metamapg.games.game_env import GameEnv

    return GameEnv(game, task, horizon, render_mode)
