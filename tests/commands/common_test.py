"""Proves how commands end: one line, an exit status and, after an interruption, how to go on."""

from concurrent import futures
import contextlib
import fcntl
import io
import os
import signal
import struct
import subprocess
import termios
import threading
import types

from absl import flags
from absl.testing import parameterized
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg.commands import common
from tf_metamapg.runs import progress
from tf_metamapg.runs import stops

FLAGS = flags.FlagValues()
flags.DEFINE_integer("size", 1, "A size.", flag_values=FLAGS)
MODULE = types.SimpleNamespace(__doc__="Does it.", __name__=__name__, FLAGS=FLAGS)


def fail(error):
    def work(arguments):
        del arguments
        raise error

    return work


class CommandTest(tf.test.TestCase, parameterized.TestCase):

    def run_command(self, work, *arguments):
        """(exit status, what it says on stderr)."""
        with contextlib.redirect_stderr(io.StringIO()) as stderr:
            status = common.run(["program", *arguments], MODULE, work, lambda: "go on")
        return status, stderr.getvalue()

    def test_work_gets_what_is_no_flag(self):
        got = []
        self.assertEqual(self.run_command(got.extend, "a", "--size=2", "b"), (0, ""))
        self.assertEqual(got, ["a", "b"])

    @parameterized.parameters(
        (checks.InvalidInputError("x = 3:\n must be 4"), 2, "error: x = 3: must be 4\n"),
        (stops.RunStopped("it is\nNaN"), 1, "stopped: it is NaN\n"),
        (PermissionError(13, "Permission denied", "runs/a"), 1, "stopped: runs/a: Permission denied; go on\n"),
        (OSError(28, "No space left on device"), 1, "stopped: No space left on device; go on\n"),
        (OSError("cannot do\nthat"), 1, "stopped: cannot do that; go on\n"),
        (MemoryError("of all"), 1, "stopped: MemoryError: of all; go on\n"),
        (tf.errors.NotFoundError(None, None, "runs/a; No such\nfile"), 1, "stopped: runs/a; No such file; go on\n"),
        (IsADirectoryError(21, "Is a directory", "a.partial", None, "a"), 1, "stopped: a: Is a directory; go on\n"),
        (tf.errors.UnknownError(None, None, "{{node a}} no disk [Op:Save] name:"), 1, "stopped: no disk; go on\n"),
        (tf.errors.ResourceExhaustedError(None, None, "OOM"), 1, "stopped: OOM; go on\n"),
        (subprocess.CalledProcessError(3, "cc"), 1, "stopped: CalledProcessError: Command 'cc' returned non-zero exit "
         "status 3.; go on\n"),
        (BrokenPipeError(32, "Broken pipe"), 1, ""),
    )
    def test_errors(self, error, status, line):
        self.assertEqual(self.run_command(fail(error)), (status, line))

    def test_lines_are_short(self):
        for error in (checks.InvalidInputError("a" * 10**5 + "b"), OSError(36, "b", "a" * 10**5)):
            _, line = self.run_command(fail(error))
            self.assertLess(len(line), 400)
            self.assertStartsWith(line.partition(": ")[2], "aaa")
            self.assertIn("b", line)

    def test_other_errors_are_shown_in_full(self):
        with self.assertRaisesRegex(KeyError, "bug"):
            self.run_command(fail(KeyError("bug")))

    @parameterized.parameters("--size=many", "--siez=2", f"--size={'9' * 5000}", "--flagfile=no_such_file")
    def test_bad_flags(self, argument):
        status, line = self.run_command(fail(KeyError("never")), argument)
        self.assertEqual(status, 2)
        self.assertRegex(line, r"^error: [^\n]{3,390}\n$")

    def test_handlers_of_signals_are_given_back(self):
        # Whoever starts the tests in the background of a shell has them ignore one of these.
        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))
        before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
        during = []
        self.run_command(lambda _: during.extend(signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)))
        self.assertEqual([signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)], before)
        self.assertEqual(set(during) & set(before), set())

    def test_signals_that_are_ignored_stay_ignored(self):
        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.SIG_IGN))
        self.assertEqual(self.run_command(lambda _: signal.raise_signal(signal.SIGINT)), (0, ""))

    def test_runs_in_another_thread(self):
        outcomes = []
        thread = threading.Thread(target=lambda: outcomes.append(self.run_command(lambda _: None)))
        thread.start()
        thread.join()
        self.assertEqual(outcomes, [(0, "")])

    def test_a_bar_that_is_not_done_does_not_share_its_line(self):
        """On a terminal, where the bar stands on stdout and the last word on stderr."""
        terminal, its_end = os.openpty()
        self.addCleanup(os.close, terminal)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        bars = []

        def work(arguments):
            del arguments
            bars.append(progress.Bar(3))
            raise OSError("no more")

        with open(its_end, "w", encoding="utf-8") as stream:
            with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
                common.run(["program"], MODULE, work, lambda: "go on")
        said = _read_all(terminal)
        self.assertIn("meta-update:   0%", said)
        self.assertEndsWith(said, "\r\nstopped: no more; go on\r\n")

    def test_directories_that_several_look_at(self):
        """Each says that it can be written, and leaves nothing there."""
        path = os.path.join(self.get_temp_dir(), "new", "directory")
        with futures.ThreadPoolExecutor(8) as threads:
            found = [*threads.map(lambda _: common.directory("--output_dir", path), range(200))]
        self.assertEqual({*map(str, found)}, {path})
        self.assertEmpty(os.listdir(path))

    def test_paths(self):
        home = os.path.expanduser("~")
        self.assertEqual(common.path("--run_dir", "~/runs/a"), f"{home}/runs/a")
        self.assertEqual(common.path("--run_dir", "runs/~/é"), "runs/~/é")
        # As of bytes that are no text in the encoding of file names.
        with self.assertRaisesRegex(checks.InvalidInputError, "^--run_dir = '.udcff': must be ASCII"):
            common.path("--run_dir", "\udcff")


def _read_all(terminal):
    """What a terminal has been sent, after its other end has been closed."""
    pieces = []
    try:
        while piece := os.read(terminal, 10_000):
            pieces.append(piece)
    except OSError:  # Nobody is at the other end.
        pass
    return b"".join(pieces).decode()


if __name__ == "__main__":
    tf.test.main()
