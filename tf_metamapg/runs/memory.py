"""Settings of malloc, by which a process keeps memory that is freed, and need not map it again.

Compiled functions allocate their buffers at each call, and free them at its end. By default the GNU C library returns
large ones to the system, and each of their pages is a page fault at the next call; `docs/performance.md` has what that
takes. In return a process holds what it has had, and what differs in size would come on top of that: see `apart`.
"""

from collections.abc import Iterator
import contextlib
import ctypes
import os
import platform

# Of mallopt(3), and what they are set to: nothing is given back (M_TRIM_THRESHOLD), nothing is taken apart from the
# heap (M_MMAP_MAX), and there is one heap for all threads (M_ARENA_MAX).
_OPTIONS = {-1: -1, -4: 0, -8: 1}


def keep() -> None:
    """Lets this process keep memory that is freed.

    If the environment has settings of malloc (MALLOC_... or GLIBC_TUNABLES), these hold instead. To be called before
    there are threads, as those that there are already have heaps of their own. Other C libraries than GNU's are left
    as they are.
    """
    if not _is_gnu() or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    library = ctypes.CDLL(None)
    for option, value in _OPTIONS.items():
        library.mallopt(option, value)


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """A context of other sizes of memory than those around it, neither of which keeps what the other has had."""
    _give_back()
    try:
        yield
    finally:
        _give_back()


def _give_back():
    if _is_gnu():
        ctypes.CDLL(None).malloc_trim(0)


def _is_gnu():
    return platform.libc_ver()[0] == "glibc"
