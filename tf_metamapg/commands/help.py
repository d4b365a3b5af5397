"""What `--help` prints: a command's docstring, and its flags in the order in which they are defined."""

import textwrap
import types

from tf_metamapg.runs import terminal

# Longer lines are hard to read.
_WIDEST = 100


def text(module: types.ModuleType) -> str:
    """The help of a command.

    Args:
        module: the command's module, with a docstring and FLAGS.

    Returns:
        lines of text, the docstring's as they stand.
    """
    return f"{module.__doc__}\nFlags:\n\n" + "\n".join(_flag(module.FLAGS[name]) for name in module.FLAGS)


def _flag(flag):
    kind = flag.flag_type()
    value = "NUMBER" if kind.endswith(("int", "float")) else "TEXT"
    name = f"  --[no]{flag.name}" if flag.boolean else f"  --{flag.name}={value}"
    repeated = " May be repeated." if kind.startswith("multi") else ""
    default = "" if flag.default in (None, False, []) else f" By default {flag.default}."
    width = min(terminal.width(), _WIDEST)
    indent = " " * 6
    # To what is said of those that may be repeated, absl adds a line.
    own = flag.help.partition(";\n")[0]
    described = f"{own}{repeated}{default}"
    lines = textwrap.wrap(described, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    return "\n".join([name, *lines])
