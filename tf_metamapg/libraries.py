"""Sees to it that Keras and matplotlib, which Keras imports, can be imported whatever the process is told.

Imported for what it does, before both.
"""

import contextlib
import json
import os
import sys


def _check_keras_backend():
    """Raises `ImportError` where Keras has, or will have, another backend than TensorFlow; it decides only once."""
    backend, where = _keras_backend()
    if backend != "tensorflow":
        raise ImportError(
            f"tf_metamapg needs Keras on TensorFlow, and {where} says {backend!r}: set KERAS_BACKEND=tensorflow"
        )


def _keras_backend():
    """(its name, where that is said)."""
    if "keras" in sys.modules:
        return sys.modules["keras"].config.backend(), "Keras, which is imported already,"
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"], "the environment variable KERAS_BACKEND"
    home = os.path.expanduser("~")
    home = os.environ.get("KERAS_HOME", os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras"))
    path = os.path.expanduser(os.path.join(home, "keras.json"))
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)["backend"], path
    except (OSError, ValueError, LookupError, TypeError):
        return "tensorflow", "Keras"


def _import_matplotlib():
    """Imports it even if MPLBACKEND names what is not installed, as that of a notebook; here only files are drawn."""
    if "MPLBACKEND" not in os.environ or "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND")
    import matplotlib

    os.environ["MPLBACKEND"] = backend
    # What is not installed is an error to whoever wants to see figures.
    with contextlib.suppress(ValueError):
        matplotlib.rcParams["backend"] = backend


_check_keras_backend()
_import_matplotlib()
