"""Proves that a file or directory appears whole or not at all, also if its writer fails or is killed."""

import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import threading
from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg.runs import files

# Loads `files.py` alone, and so without TensorFlow. Kills the process while it writes, or when it calls a
# function of `os` for the given time, in the middle of replacing PATH.
KILLED_WRITER = """
import importlib.util, os, signal, sys

spec = importlib.util.spec_from_file_location("files", sys.argv[1])
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)
path, kind, moment, calls_before = sys.argv[2:]
calls_before = int(calls_before)

def kill(*arguments, **keywords):
    global calls_before
    if calls_before == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    calls_before -= 1
    return function(*arguments, **keywords)

if moment != "write":
    function = getattr(os, moment)
    setattr(os, moment, kill)
with files.atomic(path) as aside:
    if kind == "directory":
        os.mkdir(aside)
    for name in ("/a", "/b") if kind == "directory" else ("",):
        with open(aside + name, "w") as file:
            file.write("new, and lo")
            file.flush()
            if moment == "write":
                os.kill(os.getpid(), signal.SIGKILL)
            file.write("nger")
"""


class FilesTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(self.get_temp_dir()) / "result"

    def write(self, kind, text):
        with files.atomic(self.path) as aside:
            if kind == "directory":
                os.mkdir(aside)
            for name in ("/a", "/b") if kind == "directory" else ("",):
                pathlib.Path(aside + name).write_text(text)

    def read(self, kind):
        """The text that all of it has; None if nothing is there."""
        if not self.path.exists():
            return None
        if kind == "file":
            return self.path.read_text()
        texts = {path.name: path.read_text() for path in self.path.iterdir()}
        self.assertCountEqual(texts, ["a", "b"])
        self.assertEqual(texts["a"], texts["b"])
        return texts["a"]

    def assert_only_result(self):
        self.assertEqual(os.listdir(self.path.parent), [self.path.name])

    @parameterized.parameters("file", "directory")
    def test_new_replaces_old(self, kind):
        for text in ("first", "2nd"):
            self.write(kind, text)
            self.assertEqual(self.read(kind), text)
            self.assert_only_result()

    @parameterized.parameters("file", "directory")
    def test_old_stands_until_the_end(self, kind):
        self.write(kind, "old")
        with files.atomic(self.path) as aside:
            if kind == "directory":
                os.mkdir(aside)
            else:
                pathlib.Path(aside).write_text("new")
            self.assertEqual(self.read(kind), "old")

    def test_nothing_appears_before_the_end(self):
        with files.atomic(self.path) as aside:
            pathlib.Path(aside).write_text("new")
            self.assertFalse(self.path.exists())
        self.assertTrue(self.path.exists())

    @parameterized.product(kind=("file", "directory"), error=(ValueError, KeyboardInterrupt))
    def test_failure_leaves_the_old(self, kind, error):
        self.write(kind, "old")
        with self.assertRaises(error):
            with files.atomic(self.path) as aside:
                pathlib.Path(aside).write_text("ne")
                raise error
        self.assertEqual(self.read(kind), "old")
        self.assert_only_result()

    @parameterized.parameters("file", "directory")
    def test_leftovers_of_a_killed_writer_are_replaced(self, kind):
        aside = pathlib.Path(f"{self.path}.partial")
        if kind == "directory":
            aside.mkdir()
            (aside / "part").write_text("leftover")
        else:
            aside.write_text("leftover")
        self.write("file", "new")
        self.assertEqual(self.read("file"), "new")
        self.assert_only_result()

    @parameterized.parameters(
        *(("file", moment) for moment in (("write", 0), ("fsync", 0), ("replace", 0), ("fsync", 1))),
        *(("directory", moment) for moment in (
            ("write", 0), ("fsync", 0), ("fsync", 2), ("replace", 0), ("replace", 1), ("fsync", 3), ("unlink", 0),
        )),
    )
    def test_killed_writer_leaves_nothing_half(self, kind, moment):
        self.write(kind, "old")
        command = [sys.executable, "-c", KILLED_WRITER, files.__file__, self.path, kind, *map(str, moment)]
        writer = subprocess.run(command, check=False)
        self.assertEqual(writer.returncode, -signal.SIGKILL)
        if kind == "file":
            self.assertIn(self.read(kind), ("old", "new, and longer"))
        else:
            # A directory cannot be exchanged for another in one stroke: for a moment there is none.
            self.assertIn(self.read(kind), ("old", "new, and longer", None))
        self.write(kind, "newest")
        self.assertEqual(self.read(kind), "newest")
        self.assert_only_result()

    @parameterized.parameters("file", "directory")
    def test_everything_is_on_disk_before_it_has_its_name(self, kind):
        events = []
        fsync, replace = os.fsync, os.replace

        def record_fsync(descriptor):
            events.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
            fsync(descriptor)

        def record_replace(source, target):
            events.append(("replaced", os.path.basename(target)))
            replace(source, target)

        with mock.patch.object(os, "fsync", record_fsync), mock.patch.object(os, "replace", record_replace):
            self.write(kind, "new")
        name, parent = self.path.name, self.path.parent.name
        inside = ["a", "b"] if kind == "directory" else []
        self.assertCountEqual(events[:-2], [f"{name}.partial", *inside])
        self.assertEqual(events[-2:], [("replaced", name), parent])

    def test_reader_never_sees_half(self):
        versions = [str(version) * 100_000 for version in range(10)]
        files.write_text(self.path, versions[0])
        seen, done = set(), threading.Event()

        def read():
            while not done.is_set():
                seen.add(self.path.read_text())

        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(20):
            for version in versions:
                files.write_text(self.path, version)
        done.set()
        reader.join()
        self.assertNotEmpty(seen)
        self.assertLessEqual(seen, set(versions))

    def test_no_file_takes_the_place_of_a_directory(self):
        self.write("directory", "old")
        with self.assertRaises(OSError):
            files.write_text(self.path, "new")
        self.assertEqual((self.path / "a").read_text("utf-8"), "old")

    def test_text_is_utf_8(self):
        files.write_text(self.path, "γ = 0.96\n")
        self.assertEqual(self.path.read_bytes(), b"\xce\xb3 = 0.96\n")

    def test_json(self):
        value = {"seeds": [0, 1], "average_reward": [[-1.0, 0.1 + 0.2]], "name": "γ"}
        files.write_json(self.path, value)
        # In lists: TensorFlow compares the numbers of two dicts only roughly.
        self.assertEqual([json.loads(self.path.read_text("utf-8"))], [value])
        self.assertEndsWith(self.path.read_text("utf-8"), "}\n")
        files.write_json(self.path, {"metric": [(math.nan, 1.0), {"a": -math.inf}], "b": np.float64("nan")})
        self.assertEqual(json.loads(self.path.read_text("utf-8")), {"metric": [[None, 1.0], {"a": None}], "b": None})
        files.write_json(self.path, value)
        with self.assertRaises(TypeError):
            files.write_json(self.path, {"seeds": object()})
        # In lists: TensorFlow compares the numbers of two dicts only roughly.
        self.assertEqual([json.loads(self.path.read_text("utf-8"))], [value])
        self.assert_only_result()

    def test_unwritable_directory(self):
        self.path.write_text("a regular file")
        with self.assertRaises(OSError):
            files.write_text(self.path / "below", "text")
        self.assert_only_result()


class LockedTest(tf.test.TestCase):

    def test_one_at_a_time(self):
        directory, order = self.get_temp_dir(), []

        def wait_and_write():
            with files.locked(directory, wait=True):
                order.append("second")

        with files.locked(directory, wait=False):
            with self.assertRaises(BlockingIOError):
                with files.locked(directory, wait=False):
                    order.append("never")
            second = threading.Thread(target=wait_and_write)
            second.start()
            second.join(0.2)
            order.append("first")
        second.join()
        self.assertEqual(order, ["first", "second"])
        with files.locked(directory, wait=False):
            pass


if __name__ == "__main__":
    tf.test.main()
