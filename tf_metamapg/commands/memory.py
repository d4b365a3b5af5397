"""How the processes of commands take memory from the system: once, and not anew for every meta-update.

What is compiled takes its buffers from the C library when it starts, and gives them back when it ends. By default the
GNU C library hands large ones back to the system, which has to clear every page of them the next time;
`docs/performance.md` says what that takes. In return a process holds what it has had at its peak until it ends.
"""

import ctypes
import os
import platform

# Of mallopt(3), and what they are set to: nothing is given back (M_TRIM_THRESHOLD), nothing is taken apart from the
# heap (M_MMAP_MAX), and there is one heap for all threads (M_ARENA_MAX).
_OPTIONS = {-1: -1, -4: 0, -8: 1}


def keep() -> None:
    """Has this process keep the memory that it has had; not if a variable is set that says how memory is taken.

    Such as MALLOC_ARENA_MAX or GLIBC_TUNABLES. To be called before there are threads, as those that are there already
    have heaps of their own. Other C libraries than GNU's are left as they are.
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    library = ctypes.CDLL(None)
    for option, value in _OPTIONS.items():
        library.mallopt(option, value)
