"""Lets the commands beside this file import TensorFlow without the notices that it writes meanwhile."""

import contextlib
import logging
import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextlib.contextmanager
def held_back_stderr():
    """Shows what is written to stderr only if something fails.

    While it is imported, TensorFlow writes notices that no setting turns off, and they would hide the one
    line that matters when something is wrong.
    """
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except BaseException:
            held_back.seek(0)
            os.write(stderr, held_back.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
