"""Environments of PettingZoo as games of this package, and the other way round.

PettingZoo is imported when one of these is made, and not before: it belongs to an extra of this package.
"""

from collections.abc import Callable
from collections.abc import Mapping
import functools
from typing import Any

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Structure
from tf_metamapg.games import environments


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
        kind = type(self).__name__
        checks.imported("pettingzoo")
        allowed = "a function that makes a pettingzoo.ParallelEnv, such as pettingzoo_env(...) is"
        checks.check(callable(make_env), f"{kind}.make_env", make_env, allowed)
        contracts.check_game_numbers(kind, discount, dtype, "" if name is None else name, ends=True)
        env = make_env()
        try:
            _, observations, actions = environments.spaces_of(env)
        except environments.Unusable as error:
            checks.check(False, f"{kind}.make_env", make_env, f"a function that makes {error}")
        self.spec = contracts.GameSpec(
            name=str(env) if name is None else name, discount=float(discount), dtype=dtype, ends=True,
            observations=tuple(map(_space, observations)), actions=tuple(map(_space, actions)),
        )
        env.close()
        self.make_env = make_env


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
