"""What environments of PettingZoo say, looked at and translated to arrays of this package, and actions the other way.

Worker processes load this file without the package, so it imports nothing of it but what they load as well.
"""

from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import math
from typing import Any

import numpy as np

_LARGEST = 2**31 - 1
_LARGEST_FLOAT = float(np.finfo(np.float32).max)  # whatever the dtype of the game, as everywhere in the package


class Unusable(Exception):
    """An environment that this package cannot play in; the message says what is allowed."""


class _DiscreteCodec:
    """Things that are numbered from `start`."""

    def __init__(self, space: Any) -> None:
        self._space, self._start, self._dtype = space, space.start, space.dtype
        # Whether they are whole numbers is looked at here, so that no cast makes them such.
        self.raw_shape, self.raw_dtype = (), np.float64
        self.n, self.shape = int(space.n), ()

    def encode(self, actions: np.ndarray) -> np.ndarray:
        """Numbers [B] → what the environments take, an array whose rows are actions."""
        return (actions + self._start).astype(self._dtype)

    def decode(self, raw: np.ndarray) -> np.ndarray:
        """What environments have said, one row for each → numbers [B].

        Raises:
            Unusable: if it is out of the space.
        """
        return _numbers(raw, self._start, self.n, self._space)


class _MultiDiscreteCodec:
    """Several numbers at once, flattened to one: the last of them changes fastest."""

    def __init__(self, space: Any) -> None:
        self._space, self._start, self._dtype = space, space.start, space.dtype
        self._sizes = tuple(space.nvec.ravel().tolist())
        self.raw_shape, self.raw_dtype = space.shape, np.float64
        self.n, self.shape = math.prod(self._sizes), ()

    def encode(self, actions: np.ndarray) -> np.ndarray:
        """See `_DiscreteCodec`."""
        parts = np.stack(np.unravel_index(actions, self._sizes), axis=-1).reshape([len(actions), *self.raw_shape])
        return (parts + self._start).astype(self._dtype)

    def decode(self, raw: np.ndarray) -> np.ndarray:
        """See `_DiscreteCodec`."""
        parts = _numbers(raw, self._start, self._space.nvec, self._space).reshape([len(raw), len(self._sizes)])
        return np.ravel_multi_index(tuple(parts.T), self._sizes).astype(np.int32)


class _BoxCodec:
    """Arrays of numbers. Actions beyond the bounds of the space are moved to them, those that are NaN to zero first."""

    n = None

    def __init__(self, space: Any) -> None:
        self._low, self._high, self._dtype = space.low, space.high, space.dtype
        # Floating, so that no cast makes small numbers of large ones.
        self.raw_shape, self.raw_dtype = space.shape, np.result_type(space.dtype, np.float32)
        self.shape = space.shape or (1,)

    def encode(self, actions: np.ndarray) -> np.ndarray:
        """Numbers [B, ...] → see `_DiscreteCodec`."""
        actions = np.nan_to_num(actions).reshape([len(actions), *self.raw_shape])
        return np.clip(actions, self._low, self._high).astype(self._dtype)

    def decode(self, raw: np.ndarray) -> np.ndarray:
        """See `_DiscreteCodec`; numbers [B, ...], which may be beyond the bounds of the space, but are finite."""
        return finite("observations", raw).reshape([len(raw), *self.shape])


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
            f"{floating}; here it is {one_line(space)}"
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
    possible = getattr(env, "possible_agents", ())
    is_list = isinstance(possible, (list, tuple)) and len(possible) > 0
    if not (is_list and all(isinstance(name, Hashable) for name in possible) and len({*possible}) == len(possible)):
        raise Unusable(
            f"one that says at once who plays, in possible_agents, a list of different names; here {one_line(possible)}"
        )
    with trial("one that has an observation_space and an action_space for each agent"):
        spaces = [(env.observation_space(name), env.action_space(name)) for name in possible]
    observations = [codec(seen, is_action=False) for seen, _ in spaces]
    return tuple(possible), observations, [codec(done, is_action=True) for _, done in spaces]


@contextlib.contextmanager
def trial(allowed: str) -> Iterator[None]:
    """A context in which an environment that raises an error is none that can be played in.

    Args:
        allowed: what it must be.

    Raises:
        Unusable: in place of whatever is raised.
    """
    try:
        yield
    except Exception as error:  # Of many kinds.
        raise Unusable(f"{allowed}; here {_shortened(f'{type(error).__name__}: {error}', 200)}") from error


def several(method: str, told: Any, names: str) -> Sequence[Any]:
    """What a method of an environment has returned.

    Args:
        method: its name.
        told: what it has returned.
        names: what it must return, with commas between.

    Raises:
        Unusable: if these are not as many.
    """
    if not (isinstance(told, (tuple, list)) and len(told) == names.count(",") + 1):
        raise Unusable(f"one whose {method} returns {names}; here {one_line(told)}")
    return told


def one_of(told: Any, name: str, what: str) -> Any:
    """What is told of an agent.

    Args:
        told: by name, what is told of all that are there.
        name: of the agent.
        what: what this is.

    Raises:
        Unusable: if nothing is told of it.
    """
    try:
        return told[name]
    except (KeyError, TypeError, IndexError) as error:
        raise Unusable(f"one with {what} of {name!r} as long as that is there; here {one_line(told)}") from error


def put(rows: np.ndarray, row: int, told: Any, name: str, what: str) -> None:
    """Sets a row to the numbers that are told of an agent; see `one_of`.

    Raises:
        Unusable: if there are none, or they have another shape than a row.
    """
    value = one_of(told, name, what)
    try:
        array = np.asarray(value, rows.dtype)
    except (TypeError, ValueError, OverflowError):
        array = None
    if array is None or array.shape != rows.shape[1:]:
        numbers = f"numbers of shape {rows.shape[1:]}" if rows.ndim > 1 else "one number"
        raise Unusable(f"one with {what} of {name!r} that are {numbers}; here {one_line(value)}")
    rows[row] = array


def finite(what: str, numbers: np.ndarray) -> np.ndarray:
    """Numbers, if they are finite, also as float32.

    Args:
        what: what they are.
        numbers: array [...].

    Raises:
        Unusable: if they are not.
    """
    is_finite = np.abs(numbers) <= _LARGEST_FLOAT
    if not is_finite.all():
        value = numbers.ravel()[np.argmin(is_finite)].item()
        raise Unusable(f"one with {what} that are finite, also as float32; here {value}")
    return numbers


def one_line(value: Any) -> str:
    """A value as text, on one line and no longer than 80 characters."""
    return _shortened(repr(value), 80)


def _numbers(raw, start, n, space):
    """What is seen of a space of whole numbers from `start` to `start` + n → int32, from 0."""
    numbers = raw - start
    is_inside = (numbers >= 0) & (numbers < n) & (numbers == np.floor(numbers))
    if not is_inside.all():
        row = np.argmin(is_inside.reshape([len(raw), -1]).all(axis=-1))
        raise Unusable(f"one with observations that are in their space, {one_line(space)}; here {raw[row].tolist()}")
    return numbers.astype(np.int32)


def _shortened(text, length):
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 3]}..."
