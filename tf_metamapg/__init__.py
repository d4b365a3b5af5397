"""Learning to learn among other learners: Meta-MAPG and its relatives on TensorFlow and Keras.

Public names stand in `public.py`, and are looked up there when they are asked for: TensorFlow takes seconds to import,
and a command that is told something wrong can say so before.
"""

import importlib
import importlib.util
from typing import Any
from typing import TYPE_CHECKING

from tf_metamapg import libraries  # noqa: F401, so that others can be imported; before all that imports them

if TYPE_CHECKING:
    from tf_metamapg.loading import load_run  # noqa: F401
    from tf_metamapg.public import *  # noqa: F403

__version__ = "0.3.0.dev0"


def __getattr__(name: str) -> Any:
    """A module of the package, or a public name."""
    if importlib.util.find_spec(f"tf_metamapg.{name}"):
        return importlib.import_module(f"tf_metamapg.{name}")
    # It needs gin, which then knows the names of all members.
    home = importlib.import_module("tf_metamapg.loading" if name == "load_run" else "tf_metamapg.public")
    try:
        return getattr(home, name)
    except AttributeError:
        raise AttributeError(f"module 'tf_metamapg' has no attribute '{name}'") from None


def __dir__() -> list[str]:
    return sorted({*globals(), "load_run", *importlib.import_module("tf_metamapg.public").__all__})
