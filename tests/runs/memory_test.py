"""Checks that the processes of commands keep the memory that they have had, and only they."""

import os
import platform
import subprocess
import sys
import unittest

from absl.testing import absltest
from absl.testing import parameterized

# What two threads, which have taken, touched and given back 200 MB each, leave to a process that runs a command, or to
# another one, or in `apart` within a command.
_KEPT = """
import contextlib, ctypes, resource, sys, threading, types
from absl import flags
from tf_metamapg.commands import common
from tf_metamapg.runs import memory

def megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6

def use():
    taken.wait()
    place = library.memset(library.malloc(size), 1, size)
    taken.wait()
    library.free(place)

def work(arguments):
    before = megabytes()
    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with memory.apart() if sys.argv[1] == "apart" else contextlib.nullcontext():
        print(megabytes() - before)

taken = threading.Barrier(2)
library, size = ctypes.CDLL(None), ctypes.c_size_t(200_000_000)
library.malloc.restype = library.memset.restype = ctypes.c_void_p
library.free.argtypes, library.memset.argtypes = [ctypes.c_void_p], [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
if sys.argv[1] in ("command", "apart"):
    command = types.ModuleType("command")
    command.FLAGS = flags.FlagValues()
    common.run(sys.argv[:1], command, work, lambda: "")
else:
    work([])
"""


@unittest.skipUnless(platform.libc_ver()[0] == "glibc", "other C libraries are left as they are")
class MemoryTest(parameterized.TestCase):

    @parameterized.parameters(
        ("command", {}, True), ("apart", {}, False), ("other", {}, False),
        ("command", {"MALLOC_ARENA_MAX": "4"}, False),
        ("command", {"GLIBC_TUNABLES": "glibc.malloc.arena_max=4"}, False),
    )
    def test_what_threads_had_is_kept(self, what, variables, expected):
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
        result = subprocess.run(
            [sys.executable, "-c", _KEPT, what], env=kept | variables, check=True, stdout=subprocess.PIPE, text=True
        )
        if expected:
            self.assertGreater(float(result.stdout), 390.0)
        else:
            self.assertLess(float(result.stdout), 100.0)


if __name__ == "__main__":
    absltest.main()
