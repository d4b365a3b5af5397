"""Reads gin configs: in UTF-8, with what a file includes looked for beside it, and refused in one line.

The configs of this package are found by their names alone, wherever one is.

Gin keeps what it has read in globals of its module, and so can be asked to do this only by exchanging them.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import io
import os
import pathlib
import re
import sys
import tokenize
import traceback

import gin
from gin import config_parser

from tf_metamapg import checks

_INSIDE = pathlib.Path(__file__).parent / "gin_configs"
# Where the configs of this package are: inside of it where it is installed, and beside it in a checkout.
SHIPPED = _INSIDE if _INSIDE.is_dir() else _INSIDE.parents[1] / _INSIDE.name


class State:
    """What gin knows of one config, which begins with nothing: what it knows besides is neither seen nor changed."""

    def __init__(self, module_directories: Sequence[str] = ()) -> None:
        """
        Args:
            module_directories: where Python looks for modules meanwhile, after all other places.
        """
        self._module_directories = list(module_directories)
        self._globals = {
            "_CONFIG": {}, "_OPERATIVE_CONFIG": {}, "_IMPORTS": set(), "_SINGLETONS": {}, "_CONFIG_IS_LOCKED": False,
        }

    @contextlib.contextmanager
    def known(self) -> Iterator[None]:
        """A context in which gin knows this; where Python imports from is as before at its end."""
        path = list(sys.path)
        try:
            sys.path += self._module_directories
            with _exchanged(**self._globals), gin.config_scope(None):
                try:
                    yield
                finally:
                    self._globals = {name: getattr(gin.config, name) for name in self._globals}
        finally:
            sys.path[:] = path


def check_exists(path: str | os.PathLike[str], source: str) -> None:
    """Raises `InvalidInputError` unless there is such a file, or one of this package; `source` is who names it."""
    with _refusal(source):
        try:
            with open(_find(path, ""), encoding="utf-8-sig"):
                pass
        except OSError as error:
            raise checks.InvalidInputError(f"{source}: {error.strerror}") from error


def read_file(path: str | os.PathLike[str]) -> list[str]:
    """Reads a gin file, and what it includes.

    Args:
        path: the file, or the name of one of this package. What it imports may stand beside it, too.

    Returns:
        the names of what the file itself binds, as it writes them.

    Raises:
        InvalidInputError: names the chain of files that include each other, and what is wrong with the last of them.
    """
    return _read_file(_find(path, ""), f"--gin_file={path}", ())


def read_binding(text: str) -> list[str]:
    """Reads the text of a --gin_param. See `read_file`."""
    return _read(text, None, f"--gin_param={checks.brief(text)}", ())


def finalize() -> None:
    """Checks what has been read as a whole.

    Raises:
        InvalidInputError: if a macro is not bound, for one.
    """
    with _refusal("config"):
        gin.finalize()


def is_bound(name: str) -> bool:
    """Whether a parameter of a configurable has been bound."""
    try:
        gin.query_parameter(name)
    except ValueError:
        return False
    return True


def bind(name: str, value: object) -> None:
    """Binds a parameter of a configurable, though the config has been finalized."""
    with gin.unlock_config():
        gin.bind_parameter(name, value)


def cause(error: BaseException) -> BaseException:
    """The exception that gin has dressed up as another of the same name, to add where it was called, or itself."""
    while type(error).__name__ == type(error).__bases__[0].__name__ and error.__context__ is not None:
        error = error.__context__
    return error


def calls(error: BaseException) -> list[str]:
    """What a config names whose calls have led to an exception, the outermost first: @name or %macro."""
    # Where gin dresses up an exception, its frame is passed twice; where the stack has no place left, the last one may
    # not have come to its scope.
    frames = dict.fromkeys(frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return [
        f"%{frame.f_locals['scope_str']}" if frame.f_locals["name"] == "macro" else f"@{frame.f_locals['name']}"
        # A frame that has no name of its scope yet has called nothing, as where macros go round in circles.
        for frame in frames if frame.f_code.co_name == "gin_wrapper" and "scope_str" in frame.f_locals
    ]


def message(error: BaseException) -> str:
    """What an exception says, on one line, with its kind where it would not be understood without."""
    if isinstance(error, tokenize.TokenError):
        text, (line, _) = error.args
        return f"{text}, line {line}"
    # Python's parser of values says at which address in memory it has read them, and Keras speaks in colours.
    text = re.sub(r": <ast\..*?>|\x1b\[\d+m", "", str(error))
    # All that gin has read would come next.
    text = " ".join(text.partition(" in config string:")[0].split())
    if isinstance(error, (ValueError, SyntaxError, ImportError, OSError)) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _read_file(path, source, including):
    if os.path.realpath(path) in map(os.path.realpath, including):
        raise checks.InvalidInputError(f"{source}: includes itself")
    sys.path.append(os.path.abspath(os.path.dirname(path)))
    with _refusal(source):
        try:
            with open(path, encoding="utf-8-sig") as file:
                text = file.read()
        except OSError as error:
            raise checks.InvalidInputError(f"{source}: {error.strerror}") from error
    return _read(text, path, source, (*including, path))


def _read(text, path, source, including):
    def include(filename, skip_unknown):
        del skip_unknown
        included = _find(filename, os.path.dirname(path or ""))
        _read_file(included, f"{source} → {included}", including)

    with _refusal(source), _exchanged(parse_config_file=include):
        names = _bound(_file(text, path))
        gin.parse_config(_file(text, path))
    return names


def _find(filename, directory):
    """Where a file is: in a directory, as of the file that includes it, where else gin looks, or in the package."""
    filename = os.path.expanduser(filename)
    candidates = [os.path.join(prefix, filename) for prefix in (directory, *gin.config._LOCATION_PREFIXES, SHIPPED)]
    return next(filter(os.path.isfile, candidates), candidates[0])


def _bound(file):
    """The names of what a file binds, not counting what it includes."""
    return [
        "/".join(filter(None, [statement.scope, statement.selector])) + "." * bool(statement.arg_name)
        + statement.arg_name
        for statement in config_parser.ConfigParser(file, _Names())
        if isinstance(statement, config_parser.BindingStatement)
    ]


class _Names(config_parser.ParserDelegate):
    """Lets a config be parsed whose names mean nothing yet."""

    def configurable_reference(self, scoped_configurable_name, evaluate):
        del scoped_configurable_name, evaluate

    def macro(self, macro_name):
        del macro_name


def _file(text, path):
    """A text as a file that gin can name."""
    file = io.StringIO(text)
    file.name = path
    return file


@contextlib.contextmanager
def _refusal(source):
    """What goes wrong inside is `InvalidInputError`; a module that is imported may raise anything, and may exit."""
    try:
        yield
    except (Exception, SystemExit) as error:
        original = cause(error)
        if isinstance(original, checks.InvalidInputError):
            raise original from None
        # Gin has added where that was.
        raise checks.InvalidInputError(f"{source}: {message(error)}") from error


@contextlib.contextmanager
def _exchanged(**replacements):
    """Gives globals of gin other values for a while."""
    own = {name: getattr(gin.config, name) for name in replacements}
    for name, value in replacements.items():
        setattr(gin.config, name, value)
    try:
        yield
    finally:
        for name, value in own.items():
            setattr(gin.config, name, value)
