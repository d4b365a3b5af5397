"""Checks of what users pass in: one line that names the parameter, its value and what is allowed."""

import math
import numbers
import sys

from tf_metamapg import descriptions

_LONGEST = 80


class InvalidInputError(ValueError):
    """A value from a user (argument, config, flag or file) that cannot be used."""


def check(condition, parameter, value, allowed):
    """Raises `InvalidInputError` unless `condition` holds.

    Args:
        condition: what must be true.
        parameter: the name of the parameter, as the user wrote it.
        value: the value it was given.
        allowed: what may stand there, as the end of the sentence "must be …".
    """
    if not condition:
        raise InvalidInputError(f"{parameter} = {_brief(value)}: must be {allowed}")


def check_integer(parameter, value, minimum):
    """Raises `InvalidInputError` unless `value` is an integer of at least `minimum`."""
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    check(is_integer and value >= minimum, parameter, value, f"an integer ≥ {minimum}")


def check_number(parameter, value, minimum=-math.inf):
    """Raises `InvalidInputError` unless `value` is a finite number of at least `minimum`."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    is_finite = is_number and abs(value) <= sys.float_info.max
    allowed = "a finite number" + (f" ≥ {minimum}" if minimum > -math.inf else "")
    check(is_finite and value >= minimum, parameter, value, allowed)


def check_positive(parameter, value):
    """Raises `InvalidInputError` unless `value` is a finite number above 0."""
    check_number(parameter, value)
    check(value > 0.0, parameter, value, "> 0")


def check_boolean(parameter, value):
    """Raises `InvalidInputError` unless `value` is True or False."""
    check(isinstance(value, bool), parameter, value, "True or False")


def check_dtype(parameter, value):
    """Raises `InvalidInputError` unless `value` names a floating type that values are computed in."""
    check(str(value) in ("float32", "float64"), parameter, value, "'float32' or 'float64'")


def check_agent_index(parameter, value, n_agents):
    """Raises `InvalidInputError` unless `value` is the number of an agent."""
    check_integer(parameter, value, minimum=0)
    check(value < n_agents, parameter, value, f"in 0..{n_agents - 1}")


def check_length(parameter, value, length):
    """Raises `InvalidInputError` unless `value` is a list or tuple with one entry per agent."""
    is_sequence = isinstance(value, (list, tuple))
    allowed = f"a list of {length}, one for each agent of the game"
    check(is_sequence and len(value) == length, parameter, value, allowed)


def shortened(text, length=_LONGEST):
    """A text on one line, and no longer than that."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 3] + "..."


def _brief(value):
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else descriptions.describe(value, _LONGEST)
