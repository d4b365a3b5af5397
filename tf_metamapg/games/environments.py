"""Many PettingZoo environments as one: joint actions in, what all agents see and get out, as arrays.

Worker processes load this file by itself, so it imports nothing of the package, which would import TensorFlow.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import math
import os
from typing import Any

import numpy as np

_LARGEST = 2**31 - 1


class Unusable(Exception):
    """An environment that this package cannot play in; the message says what is allowed."""


class _DiscreteCodec:
    """Things that are numbered from `start`."""

    def __init__(self, space: Any) -> None:
        self._start, self._dtype = space.start, space.dtype
        self.raw_shape, self.raw_dtype = (), np.int64
        self.n, self.shape = int(space.n), ()

    def encode(self, actions: np.ndarray) -> np.ndarray:
        """Numbers [B] → what the environments take, an array whose rows are actions."""
        return (actions + self._start).astype(self._dtype)

    def decode(self, raw: np.ndarray) -> np.ndarray:
        """What environments have said, one row for each → numbers [B]."""
        return (raw - self._start).astype(np.int32)


class _MultiDiscreteCodec:
    """Several numbers at once, flattened to one: the last of them changes fastest."""

    def __init__(self, space: Any) -> None:
        self._start, self._sizes, self._dtype = space.start, tuple(space.nvec.ravel().tolist()), space.dtype
        self.raw_shape, self.raw_dtype = space.shape, np.int64
        self.n, self.shape = math.prod(self._sizes), ()

    def encode(self, actions: np.ndarray) -> np.ndarray:
        """See `_DiscreteCodec`."""
        parts = np.stack(np.unravel_index(actions, self._sizes), axis=-1).reshape([len(actions), *self.raw_shape])
        return (parts + self._start).astype(self._dtype)

    def decode(self, raw: np.ndarray) -> np.ndarray:
        """See `_DiscreteCodec`."""
        parts = (raw - self._start).reshape([len(raw), len(self._sizes)])
        return np.ravel_multi_index(tuple(parts.T), self._sizes).astype(np.int32)


class _BoxCodec:
    """Arrays of numbers. Actions beyond the bounds of the space are moved to them, those that are NaN to zero first."""

    n = None

    def __init__(self, space: Any) -> None:
        self._low, self._high = space.low, space.high
        self.raw_shape, self.raw_dtype = space.shape, space.dtype
        self.shape = space.shape or (1,)

    def encode(self, actions: np.ndarray) -> np.ndarray:
        """Numbers [B, ...] → see `_DiscreteCodec`."""
        actions = np.nan_to_num(actions).reshape([len(actions), *self.raw_shape])
        return np.clip(actions, self._low, self._high).astype(self.raw_dtype)

    def decode(self, raw: np.ndarray) -> np.ndarray:
        """See `_DiscreteCodec`; numbers [B, ...]."""
        return raw.reshape([len(raw), *self.shape])


Codec = _DiscreteCodec | _MultiDiscreteCodec | _BoxCodec


def codec(space: Any, is_action: bool) -> Codec:
    """How to translate what an agent sees or does.

    Args:
        space: of Gymnasium.
        is_action: whether it is of actions.

    Raises:
        Unusable: if the space is of another kind, or too large.
    """
    from gymnasium import spaces

    found: Codec | None = None
    if isinstance(space, spaces.Discrete):
        found = _DiscreteCodec(space)
    elif isinstance(space, spaces.MultiDiscrete):
        found = _MultiDiscreteCodec(space)
    elif isinstance(space, spaces.Box) and not (is_action and space.dtype.kind != "f") and 0 not in space.shape:
        found = _BoxCodec(space)
    if found is None or (found.n or 1) > _LARGEST:
        what = "does" if is_action else "sees"
        floating = " of floating numbers" if is_action else ""
        raise Unusable(
            f"one where what an agent {what} is Discrete, MultiDiscrete of less than 2³¹ combinations or a Box"
            f"{floating}; here it is {_one_line(space)}"
        )
    return found


def spaces_of(env: Any) -> tuple[tuple[str, ...], list[Codec], list[Codec]]:
    """(names, how to translate what each agent sees, and what each does), agents in the order of `possible_agents`.

    Raises:
        Unusable: if it is no `pettingzoo.ParallelEnv`, or one of changing agents or of other spaces.
    """
    import pettingzoo

    if isinstance(env, pettingzoo.AECEnv):
        raise Unusable(
            "one where all agents act at once; this is turn-based, and pettingzoo.utils.aec_to_parallel makes such a "
            "one of it, or turn_based_aec_to_parallel where agents act one after another"
        )
    if not isinstance(env, pettingzoo.ParallelEnv):
        raise Unusable(f"a pettingzoo.ParallelEnv; this is {type(env).__name__}")
    # PettingZoo lets environments that make agents as they go leave it out.
    names = tuple(getattr(env, "possible_agents", ()))
    if not names:
        raise Unusable("one that says at once who plays, in possible_agents")
    observations = [codec(env.observation_space(name), is_action=False) for name in names]
    return names, observations, [codec(env.action_space(name), is_action=True) for name in names]


class Environments:
    """B environments, each of which plays one episode after another."""

    def __init__(self, make_env: Callable[[], Any]) -> None:
        """
        Args:
            make_env: function that makes a `pettingzoo.ParallelEnv`.
        """
        self._make_env = make_env
        self._envs: list[Any] = []
        self._here: list[list[tuple[int, str]]] = []  # of each environment (number, name) of who is there
        self._spaces: Any = None

    def reset(self, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        """Begins B episodes.

        Args:
            seeds: integers [B], one for each environment; as many are made as there are not yet.

        Returns:
            for each agent what it sees, [B, ...].

        Raises:
            Unusable: if not all agents are there at the start.
        """
        self._make(len(seeds))
        n_agents = len(self._names)
        self._here = [list(enumerate(self._names)) for _ in seeds]
        self._present = np.ones([n_agents, len(seeds)], bool)
        self._seen = [np.zeros([len(seeds), *one.raw_shape], one.raw_dtype) for one in self._observations]
        for row, (env, seed) in enumerate(zip(self._envs, seeds.tolist())):
            observations, _ = env.reset(seed=seed)
            if len(env.agents) != n_agents or {*env.agents} != {*self._names}:
                raise Unusable(f"one that all of possible_agents are in from the start; here {_one_line(env.agents)}")
            for seen, name in zip(self._seen, self._names):
                seen[row] = observations[name]
        return self._all_seen()

    def step(self, joint_action: Sequence[np.ndarray]) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        """One step of all episodes that go on.

        Args:
            joint_action: for each agent what it does, [B, ...]; where it is not there, whatever that is.

        Returns:
            (for each agent what it sees, [B, ...]; float64 rewards [n_agents, B]; bools [n_agents, B], whether each
            goes on). Where an agent has left it sees zeros, and gets zeros from the step on after its last.

        Raises:
            Unusable: if an agent has come that was not there before.
        """
        encoded = [one.encode(action) for one, action in zip(self._actions, joint_action)]
        rewards = np.zeros(self._present.shape)
        for row, here in enumerate(self._here):
            if not here:
                continue
            env = self._envs[row]
            observations, gained, terminated, truncated, _ = env.step(
                {name: encoded[agent][row] for agent, name in here}
            )
            agents, staying = env.agents, []
            for agent, name in here:
                rewards[agent, row] = gained[name]
                if terminated[name] or truncated[name] or name not in agents:
                    self._present[agent, row] = False
                else:
                    self._seen[agent][row] = observations[name]
                    staying.append((agent, name))
            if len(agents) > len(staying) and (come := {*agents} - {name for _, name in here}):
                raise Unusable(f"one that no agent joins or comes back to; here {_one_line(sorted(come, key=str))}")
            self._here[row] = staying
        return self._all_seen(), rewards, self._present.copy()

    def _all_seen(self):
        decoded = tuple(one.decode(seen) for one, seen in zip(self._observations, self._seen))
        return tuple(
            seen if present.all() else np.where(present.reshape([-1, *[1] * (seen.ndim - 1)]), seen, 0)
            for seen, present in zip(decoded, self._present)
        )

    def _make(self, count):
        """Makes environments until there are so many; what others write on stderr meanwhile, the first has written."""
        if not self._envs:
            self._add()
        if len(self._envs) < count:
            with quiet():
                while len(self._envs) < count:
                    self._add()

    def _add(self):
        env = self._make_env()
        if not self._envs:
            self._names, self._observations, self._actions = spaces_of(env)
        spaces = [(name, env.observation_space(name), env.action_space(name)) for name in self._names]
        self._spaces = self._spaces or spaces
        if spaces != self._spaces:
            raise Unusable("one with the same spaces each time that it is made")
        self._envs.append(env)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """A context in which nothing is written on stderr, also not by libraries in C."""
    stderr, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nothing)


def _one_line(value):
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
