"""Checks that the processes of commands keep the memory that they have had, and only they."""

import os
import platform
import subprocess
import sys
import unittest

from absl.testing import absltest
from absl.testing import parameterized

# What of 200 MB, which a thread has taken, touched and given back, the process still has.
_KEPT = """
import ctypes, resource, sys, threading
from tf_metamapg.commands import memory

def megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6

def use():
    library.free(library.memset(library.malloc(size), 1, size))

if sys.argv[1] == "keep":
    memory.keep()
library, size = ctypes.CDLL(None), ctypes.c_size_t(200_000_000)
library.malloc.restype = library.memset.restype = ctypes.c_void_p
library.free.argtypes, library.memset.argtypes = [ctypes.c_void_p], [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
before = megabytes()
thread = threading.Thread(target=use)
thread.start()
thread.join()
print(megabytes() - before)
"""


@unittest.skipUnless(platform.libc_ver()[0] == "glibc", "other C libraries are left as they are")
class MemoryTest(parameterized.TestCase):

    @parameterized.parameters(
        ("keep", {}, True), ("leave", {}, False), ("keep", {"MALLOC_ARENA_MAX": "4"}, False),
        ("keep", {"GLIBC_TUNABLES": "glibc.malloc.arena_max=4"}, False),
    )
    def test_what_a_thread_had_is_kept(self, what, variables, expected):
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
        result = subprocess.run(
            [sys.executable, "-c", _KEPT, what], env=kept | variables, check=True, stdout=subprocess.PIPE, text=True
        )
        (self.assertGreater if expected else self.assertLess)(float(result.stdout), 100.0)


if __name__ == "__main__":
    absltest.main()
