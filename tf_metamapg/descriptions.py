"""What things are, in one line: what their `repr` says, and what an error says that a value was.

Tensors and arrays are told by dtype and shape, as in float32 [3, 8, 5, 1]; of a structure there is as much as fits.
"""

from collections.abc import Callable
import dataclasses
import functools
import inspect
import sys
from typing import Any
from typing import ParamSpec
from typing import TypeVar

import numpy as np

_Made = TypeVar("_Made", bound="Described")
_Values = TypeVar("_Values")
_Arguments = ParamSpec("_Arguments")

_LONGEST = 400
# How many levels of objects are looked into, and how many entries of a sequence are shown; the first that fits.
_DETAILS = ((6, 4), (5, 4), (4, 4), (3, 4), (2, 4), (2, 1), (1, 4), (1, 1), (0, 4))


def describe(value: object, longest: int = _LONGEST) -> str:
    """One line of at most `longest` characters that says what a value is: as deep as fits."""
    for levels, n_entries in _DETAILS:
        text = _describe(value, levels, n_entries)
        if len(text) <= longest:
            return text
    return text[: longest - 3] + "..."


class Text(str):
    """A text that is shown without quotation marks."""

    __repr__ = str.__str__


def is_tensor(value: object) -> bool:
    """Whether a value is a tensor or a variable."""
    # Nothing is, before somebody has imported TensorFlow; that takes seconds, in which a mistake can be told.
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and tensorflow.is_tensor(value)


def is_array(value: object) -> bool:
    """Whether a value is a tensor, a variable or a NumPy array."""
    return isinstance(value, np.ndarray) or is_tensor(value)


def described(class_of_values: type[_Values]) -> type[_Values]:
    """A NamedTuple or a dataclass whose `repr` says what its fields are."""
    class_of_values.__repr__ = describe  # type: ignore[assignment, method-assign]
    return class_of_values


class Described:
    """An object whose `repr` says how it was made: with which arguments, or by which `maker`."""

    _made_by: tuple[str, dict[str, Any]]  # what it is called, and the arguments

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Lets `help` and editors see what `__init__` takes, in place of what `__new__` does."""
        super().__init_subclass__(**kwargs)
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        cls.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]

    def __new__(cls: type[_Made], *args: Any, **kwargs: Any) -> _Made:
        """Keeps the arguments that it is made with."""
        made = super().__new__(cls)
        # Arguments that do not fit are for `__init__` to complain about.
        made._made_by = cls.__name__, _bound(cls.__init__, (made, *args), kwargs)
        return made

    def __repr__(self) -> str:
        return describe(self)


def maker(function: Callable[_Arguments, _Made]) -> Callable[_Arguments, _Made]:
    """A function whose results, which are `Described`, say that they were made by it."""

    @functools.wraps(function)
    def make(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Made:
        made = function(*args, **kwargs)
        made._made_by = f"{type(made).__name__} by {function.__name__}", _bound(function, args, kwargs)
        return made

    # For those who do not look through wrappers, as gin.
    make.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return make


_signature = functools.lru_cache(maxsize=None)(inspect.signature)


def _bound(function, args, kwargs):
    """The arguments of a call by name, but for `self`; of arrays only what they are, as they may be large."""
    try:
        bound = _signature(function).bind(*args, **kwargs)
    except TypeError:
        return {}
    bound.apply_defaults()
    return {
        name: Text(describe(argument)) if is_array(argument) else argument
        for name, argument in bound.arguments.items() if name != "self"
    }


def _describe(value, levels, n_entries):
    if is_array(value):
        # Of a variable of Keras it is a text.
        dtype = value.dtype if isinstance(value.dtype, str) else value.dtype.name
        return f"{dtype} [{', '.join(map(str, value.shape))}]"
    if isinstance(value, Described):
        return _call(*value._made_by, levels, n_entries)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return _call(type(value).__name__, fields, levels, n_entries)
    if type(value).__repr__ is describe:
        return _call(type(value).__name__, value._asdict(), levels, n_entries)
    if isinstance(value, (list, tuple)):
        return _sequence(value, levels, n_entries)
    if isinstance(value, dict) and len(value) <= n_entries:
        return f"{{{', '.join(f'{key!r}: {_describe(entry, levels, n_entries)}' for key, entry in value.items())}}}"
    if isinstance(value, functools.partial):
        return _describe(value.func, levels, n_entries)
    if inspect.isroutine(value) or isinstance(value, type):
        return value.__name__
    return " ".join(repr(value).split())


def _call(name, arguments, levels, n_entries):
    if not levels:
        return name
    shown = (f"{key}={_describe(entry, levels - 1, n_entries)}" for key, entry in arguments.items())
    return f"{name}({', '.join(shown)})"


def _sequence(entries, levels, n_entries):
    shown = [_describe(entry, levels, n_entries) for entry in entries[:n_entries]]
    if len(entries) > n_entries:
        shown.append(f"… of {len(entries)}")
    text = ", ".join(shown)
    if isinstance(entries, list):
        return f"[{text}]"
    return f"({text},)" if len(entries) == 1 and n_entries else f"({text})"
