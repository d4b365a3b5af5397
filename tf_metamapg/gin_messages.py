"""What a person is told of a gin config: what is wrong with what it names, and what nothing uses."""

import collections
from collections.abc import Iterator
from collections.abc import Sequence
import os
import re

from tf_metamapg import checks
from tf_metamapg import gin_reader
from tf_metamapg.runs import run_directory
from tf_metamapg.runs import terminal


def what_is_wrong(error: BaseException) -> str:
    """What a user learns from an exception in a function that a config names, whatever has raised it."""
    text = str(error)
    first_line = text.partition("\n")[0]
    # What a config leaves out, or calls too early, shows only in the call that misses it.
    calls = gin_reader.calls(error) or ["@train"]
    if "No values supplied by Gin or caller" in text:
        # Python names where a function is written, which may be what a class is derived from.
        return f"{calls[-1]}(): " + re.sub(r"^[\w.]+\(\) ", "", first_line)
    # What has been made is tried by none of the functions that a config names.
    if isinstance(error, TypeError) and "positional argument" in first_line:
        return f"{calls[-1]}: {first_line}; is there a @name() that should be without parentheses?"
    if isinstance(error, TypeError) and "required keyword-only argument" in first_line:
        missing = re.findall(r"'(\w+)'", first_line)
        return ", ".join(f"{calls[-1].lstrip('@')}.{name}" for name in missing) + ": must be given"
    again = [name for name, times in collections.Counter(calls).items() if times > 1]
    if isinstance(error, RecursionError) and again:
        return f"{', '.join(again)}: refers to itself"
    cause = gin_reader.cause(error)
    return f"{calls[-1]}: {gin_reader.message(cause)}{checks.where(cause)}"


def unused(
    config: str, names_by_file: Sequence[tuple[str | os.PathLike[str], list[str]]], bound_names: Sequence[str]
) -> Iterator[str]:
    """What is bound, and nothing has read according to the config that a run has used: a text for each file and name.

    What a file includes may leave much unused, as it was written for something else.
    """
    used = [_scopes_and_name(bound) for bound in run_directory.bindings(config)]

    def is_unused(bound):
        scopes, name = _scopes_and_name(bound)
        # What is bound for a scope counts in those inside of it, too.
        return not any(name == own and within[: len(scopes)] == scopes for within, own in used)

    for path, names in names_by_file:
        if found := dict.fromkeys(filter(is_unused, names)):
            yield checks.one_line(f"{', '.join(found)} of {path}")
    yield from filter(is_unused, bound_names)


def _scopes_and_name(bound):
    """Of [scope/..][module.]function.parameter or [scope/..]macro: (scopes, name without modules)."""
    *scopes, name = bound.split("/")
    return scopes, name.split(".")[-2:]


def tell_unused(texts: list[str]) -> None:
    """Says what is bound though nothing uses it."""
    for text in texts:
        terminal.say(f"note: nothing in this run uses {text}")
