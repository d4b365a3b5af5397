"""A terminal of a given width that a test prints to."""

import contextlib
import fcntl
import os
import re
import struct
import sys
import termios
import threading
from unittest import mock

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Said:
    """What a terminal was sent."""

    def __init__(self):
        self.text = ""

    def lines(self):
        """What stands there line by line, without escapes; a bar's line as often as it was drawn."""
        return _ESCAPE.sub("", self.text).replace("\r\n", "\n").replace("\r", "\n").split("\n")


@contextlib.contextmanager
def opened(columns=80, **environment):
    """A context in which stdout is a terminal; yields what it will have been `Said` at its end."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    said, pieces = Said(), []
    reader = threading.Thread(target=_read, args=(ours, pieces))
    reader.start()
    names = ("COLUMNS", "NO_COLOR", "FORCE_COLOR")
    others = {name: value for name, value in os.environ.items() if name not in names}
    try:
        with (
            open(theirs, "w", encoding="utf-8") as stream, mock.patch.object(sys, "stdout", stream),
            mock.patch.dict(os.environ, {**others, "TERM": "xterm", **environment}, clear=True),
        ):
            yield said
    finally:
        reader.join()
        os.close(ours)
        said.text = b"".join(pieces).decode()


def _read(descriptor, pieces):
    """Until nobody is at the other end."""
    try:
        while piece := os.read(descriptor, 10_000):
            pieces.append(piece)
    except OSError:
        pass
