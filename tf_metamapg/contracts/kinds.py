"""Whether a value is what a contract says."""

import inspect
import typing
from typing import Any
from typing import Protocol
from typing import TypeVar

from tf_metamapg import checks
from tf_metamapg.contracts.specs import AgentSpec
from tf_metamapg.contracts.specs import GameSpec

_Kind = TypeVar("_Kind")


def check_kind(parameter: str, value: Any, contract: Any, allowed: str) -> None:
    """Raises `InvalidInputError`, with what is missing, unless a value is an object that has what a Protocol says.

    Args:
        parameter: the name of the argument.
        value: its value.
        contract: one of the Protocols of this folder, or another; or a union of some, of which one is enough.
        allowed: what may stand there, as the end of the sentence "must be …".
    """
    if isinstance(value, type) or inspect.isroutine(value):
        kind = "class" if isinstance(value, type) else "function"
        checks.check(False, parameter, value, f"{allowed}; this is a {kind}")
    contract = _nearest(value, typing.get_args(contract) or (contract,))
    members = _members(contract)
    missing = [name for name in members if name not in dir(value)]
    is_similar = len(missing) < len(members)
    lacks = f"this lacks {', '.join(missing[:3])}{', …' if len(missing) > 3 else ''}; " if is_similar else ""
    where, _, _ = contract.__module__.removeprefix("tf_metamapg.").rpartition(".")
    checks.check(not missing, parameter, value, f"{allowed}; {lacks}see {where}.{contract.__name__}")
    for name, kind in typing.get_type_hints(contract).items():
        if kind in (GameSpec, AgentSpec):
            is_right = isinstance(getattr(value, name), kind)
            checks.check(is_right, f"{parameter}.{name}", getattr(value, name), f"of contracts.{kind.__name__}")


def checked_kind(parameter: str, value: Any, contract: type[_Kind], allowed: str) -> _Kind:
    """The value, of which type checkers know from here on what the Protocol says; see `check_kind`."""
    check_kind(parameter, value, contract, allowed)
    return value


def _nearest(value: Any, contracts: tuple[type, ...]) -> type:
    """The Protocol of which a value lacks least, the first one of these."""
    return min(contracts, key=lambda contract: sum(name not in dir(value) for name in _members(contract)))


def _members(contract: type) -> dict[str, None]:
    """The names of all that a Protocol asks for."""
    bases = [base for base in contract.__mro__ if base not in (Protocol, object) and issubclass(base, Protocol)]
    return dict.fromkeys(
        name for base in bases for name in (*base.__dict__.get("__annotations__", ()), *vars(base))
        if not name.startswith("_")
    )
