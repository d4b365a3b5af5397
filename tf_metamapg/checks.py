"""Checks of what users pass in: one line that names the parameter, its value and what is allowed."""

import importlib
import math
import numbers
import os
import pathlib
import re
import sysconfig
import traceback
from typing import Any

import numpy as np

from tf_metamapg import descriptions

_LONGEST = 80
# Packages that are not always installed, and the extras of this one that bring them.
_EXTRAS = {
    "gymnasium": "pettingzoo", "gymnasium_robotics": "mujoco", "mujoco": "mujoco", "open_spiel": "openspiel",
    "pettingzoo": "pettingzoo", "pyspiel": "openspiel",
}


class InvalidInputError(ValueError):
    """A value from a user (argument, config, flag or file) that cannot be used."""


def check(condition: object, parameter: str, value: Any, allowed: str) -> None:
    """Raises `InvalidInputError` unless `condition` holds.

    Args:
        condition: what must be true.
        parameter: the name of the parameter, as the user wrote it.
        value: the value it was given.
        allowed: what may stand there, as the end of the sentence "must be …".
    """
    if not condition:
        raise InvalidInputError(f"{parameter} = {brief(value)}: must be {allowed}")


def check_integer(parameter: str, value: Any, minimum: int, maximum: int = 2**31 - 1) -> None:
    """Raises `InvalidInputError` unless `value` is an integer in minimum..maximum; sizes and counts are int32."""
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    check(is_integer and value >= minimum, parameter, value, f"an integer ≥ {minimum}")
    check(value <= maximum, parameter, value, f"an integer ≤ {maximum}")


def check_number(parameter: str, value: Any, minimum: float = -math.inf) -> None:
    """Raises `InvalidInputError` unless `value` is a number of at least `minimum` that is finite, also as float32.

    Numbers are used in the dtype of the game, or in float32 whatever that is.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    is_finite = is_number and math.isfinite(_as_float(value))
    allowed = "a finite number" + (f" ≥ {minimum}" if minimum > -math.inf else "")
    check(is_finite and value >= minimum, parameter, value, allowed)
    check(np.isfinite(_as_float32(value)), parameter, value, f"{allowed}, also as float32")


def check_positive(parameter: str, value: Any) -> None:
    """Raises `InvalidInputError` unless `value` is a finite number above 0, also as float32."""
    check_number(parameter, value)
    check(value > 0.0, parameter, value, "> 0")
    check(_as_float32(value) > 0.0, parameter, value, "> 0, also as float32")


def check_boolean(parameter: str, value: Any) -> None:
    """Raises `InvalidInputError` unless `value` is True or False."""
    check(isinstance(value, bool), parameter, value, "True or False")


def check_name(parameter: str, value: Any) -> None:
    """Raises `InvalidInputError` unless `value` is a text that can stand above a figure."""
    check(isinstance(value, str), parameter, value, "a text")
    check(value.isprintable() and len(value) <= 100, parameter, value, "a text of one line, of at most 100 characters")


def check_dtype(parameter: str, value: Any) -> None:
    """Raises `InvalidInputError` unless `value` names a floating type that values are computed in."""
    check(str(value) in ("float32", "float64"), parameter, value, "'float32' or 'float64'")


def check_agent_index(parameter: str, value: Any, n_agents: int) -> None:
    """Raises `InvalidInputError` unless `value` is the number of an agent."""
    check_integer(parameter, value, minimum=0)
    check(value < n_agents, parameter, value, f"in 0..{n_agents - 1}")


def check_length(parameter: str, value: Any, length: int) -> None:
    """Raises `InvalidInputError` unless `value` is a list or tuple with one entry per agent."""
    is_sequence = isinstance(value, (list, tuple))
    allowed = f"a list of {length}, one for each agent of the game"
    check(is_sequence and len(value) == length, parameter, value, allowed)


def check_shape(parameter: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raises `InvalidInputError` unless an array has a shape."""
    check(array.shape == shape, parameter, f"array of shape {array.shape}", f"of shape {shape}")


def check_memory(parameter: str, value: Any, n_bytes: float) -> None:
    """Raises `InvalidInputError` if what `value` asks for, of so many bytes, is more than the memory of the machine."""
    # Not every system says how much there is.
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else math.inf
    check(
        n_bytes <= memory, parameter, value,
        f"smaller, as it takes {n_bytes / 1e9:.3g} GB, and the memory is {memory / 1e9:.3g} GB",
    )


def imported(name: str) -> Any:
    """A module, or what stands in one.

    Args:
        name: its full name, with dots.

    Raises:
        InvalidInputError: names the package that is missing, and the extra of this one that brings it.
        AttributeError: if there is no such thing in a package that is installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = str(error.name)
        # What is no module of a package may be something else in it.
        if "." in missing and f"{name}.".startswith(f"{missing}."):
            parent, _, attribute = name.rpartition(".")
            return getattr(imported(parent), attribute)
        extra = _EXTRAS.get(missing)
        hint = f", as by pip install 'tf_metamapg[{extra}]'" if extra else ""
        raise InvalidInputError(f"{missing}: must be installed{hint}") from error


def brief(value: object) -> str:
    """A value as text, on one line and no longer than 80 characters; of tensors dtype and shape."""
    if descriptions.is_tensor(value):
        return descriptions.describe(value, _LONGEST)
    try:
        text = " ".join(repr(value).split())
    except Exception:  # As of an integer of thousands of digits, which Python does not write.
        return f"{type(value).__name__} that cannot be shown"
    return text if len(text) <= _LONGEST else descriptions.describe(value, _LONGEST)


def reason(error: BaseException) -> str:
    """What an exception says, on one line of at most 200 characters."""
    # Keras speaks in colours, and says at length what a layer was called with; TensorFlow begins with where it was.
    text = re.sub("\x1b\\[[0-9;]*m|^{{function_node .*?}} ", "", str(error)).partition("\n\nArguments received by")[0]
    return one_line(text or type(error).__name__, 200)


def where(error: BaseException) -> str:
    """In which line of a user's module an exception was raised, or what has raised it was called: '' if in none."""
    installed = (str(pathlib.Path(__file__).parent), *sysconfig.get_paths().values())
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__)
        if os.path.isfile(frame.filename) and not os.path.abspath(frame.filename).startswith(installed)
    ]
    return f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""


def one_line(text: str, length: int = 390) -> str:
    """A text on one line; where it is longer than `length` characters, its middle is left out."""
    text = " ".join(text.split())
    if len(text) <= length:
        return text
    return f"{text[: length // 2]} ... {text[len(text) + 5 - (length - length // 2) :]}"


def _as_float(value):
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _as_float32(value):
    with np.errstate(over="ignore"):
        return np.float32(_as_float(value))
