"""Proves how gin files are read: what they include and import, how they are refused; nothing is left behind."""

import os
import pathlib
import sys

from absl.testing import parameterized
import gin
import tensorflow as tf

from tests import command_line
from tf_metamapg import checks
from tf_metamapg import gin_reader
from tf_metamapg import starts


def write(path, text):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


class GinReaderTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.get_temp_dir())
        # Whoever runs the tests may have imported anything.
        self.addCleanup(sys.modules.pop, "beside_config", None)

    def read(self, path, *names):
        """What a file binds itself, and the values of all these after it has been read."""
        with gin_reader.State().known():
            bound = gin_reader.read_file(path)
            gin_reader.finalize()
            return bound, [gin.query_parameter(name) for name in names]

    def refusal(self, path):
        with self.assertRaises(checks.InvalidInputError) as caught:
            self.read(path)
        return str(caught.exception)

    def test_includes_are_looked_for_beside_the_file_that_includes(self):
        write("top/top.gin", "include '../middle/middle.gin'\nn_top = 1\n")
        write("middle/middle.gin", "n_middle = 2\ninclude 'base.gin'\n")
        write("middle/base.gin", "n_base = 3\n")
        for decoy in ("base.gin", "top/base.gin"):
            write(decoy, "n_base = -1\n")
        self.assertEqual(self.read("top/top.gin", "%n_top", "%n_middle", "%n_base"), (["n_top"], [1, 2, 3]))

    def test_includes_are_looked_for_where_gin_looks_else(self):
        self.addCleanup(gin.config._LOCATION_PREFIXES.remove, "elsewhere")
        gin.add_config_file_search_path("elsewhere")
        home = pathlib.Path(self.get_temp_dir()) / "home"
        self.addCleanup(os.environ.__setitem__, "HOME", os.environ["HOME"])
        os.environ["HOME"] = str(home)
        write("top/top.gin", "include 'here.gin'\ninclude 'there.gin'\ninclude '~/home.gin'\n")
        write("here.gin", "n_here = 1\n")
        write("elsewhere/there.gin", "n_there = 2\n")
        write("home/home.gin", "n_home = 3\n")
        self.assertEqual(self.read("top/top.gin", "%n_here", "%n_there", "%n_home"), ([], [1, 2, 3]))

    def test_configs_of_the_package_are_found_by_name(self):
        """Unless there is a file of the same name."""
        own = command_line.GIN_CONFIGS / "ipd_exact.gin"
        write("top/top.gin", "include 'ipd_exact.gin'\ntrain.n_seeds = 3\n")
        names = "train.n_seeds", "train.n_meta_updates"
        self.assertEqual(self.read("top/top.gin", *names), (["train.n_seeds"], [3, 200]))
        for path in ("ipd_exact.gin", own):
            self.assertEqual(self.read(path, *names)[1], [20, 200])
        self.assertEqual(self.read("ipd_exact.gin")[0], self.read(own)[0])
        write("ipd_exact.gin", "train.n_seeds = 4\ntrain.n_meta_updates = 5\n")
        self.assertEqual(self.read("ipd_exact.gin", *names)[1], [4, 5])
        self.assertEqual(self.read("top/top.gin", *names)[1], [3, 5])
        write("top/ipd_exact.gin", "train.n_meta_updates = 6\n")
        self.assertEqual(self.read("top/top.gin", *names)[1], [3, 6])

    def test_the_last_binding_wins_across_includes(self):
        write("top.gin", "n = 1\ninclude 'base.gin'\nm = 1\n")
        write("base.gin", "n = 2\nm = 2\n")
        self.assertEqual(self.read("top.gin", "%n", "%m"), (["n", "m"], [2, 1]))

    def test_a_file_may_be_included_twice(self):
        write("top.gin", "include 'left.gin'\ninclude 'right.gin'\n")
        write("left.gin", "include 'base.gin'\n")
        write("right.gin", "n = 1\ninclude 'base.gin'\n")
        write("base.gin", "n = 2\n")
        self.assertEqual(self.read("top.gin", "%n"), ([], [2]))

    def test_names_that_a_file_binds(self):
        write("names.gin", """
# n = 1
text = "a = 1"
text = '''
c = 3
'''
scope/inner/MetaMAPG.inner_learning_rate = 1
tf_metamapg.SOS.radius = 0.5
MetaPG:
    inner_learning_rate = 2
    value_weights = @last_link
scope/SOS:
    radius = 0.25
""")
        names, (rate,) = self.read("names.gin", "MetaPG.inner_learning_rate")
        self.assertEqual(rate, 2)
        self.assertEqual(names, [
            "text", "text", "scope/inner/MetaMAPG.inner_learning_rate", "tf_metamapg.SOS.radius",
            "MetaPG.inner_learning_rate", "MetaPG.value_weights", "scope/SOS.radius",
        ])

    @parameterized.parameters("name = 'γ, 囚人'\r\n", b"\xef\xbb\xbfname = '\xce\xb3, \xe5\x9b\x9a\xe4\xba\xba'")
    def test_files_are_utf_8(self, text):
        write("utf_8.gin", text)
        self.assertEqual(self.read("utf_8.gin", "%name"), (["name"], ["γ, 囚人"]))

    @parameterized.named_parameters(
        ("missing", "include 'missing.gin'", "missing.gin: No such file or directory"),
        ("directory", "include '../top'", "top: Is a directory"),
        ("itself", "include 'base.gin'", "base.gin: includes itself"),
        ("the_first", "include '../top/../top/top.gin'", "top.gin: includes itself"),
        ("encoding", b"# \xff", "base.gin: 'utf-8' codec can't decode byte 0xff in position 2: invalid start byte"),
        ("syntax", "\n\nn = 3 4", "base.gin: Expected newline. (base.gin, line 3)"),
        ("parenthesis", "n = [3,\n", "base.gin: EOF in multi-line statement, line"),
        ("name", "\nSOS.colour = 3", """doesn't have a parameter named 'colour'. In file "middle/base.gin", line 2"""),
        ("value", "\nn = @SSO()", """No configurable matching reference '@SSO()'. In file "middle/base.gin", line 2"""),
        ("no_module", "import no_such_module", "No module named 'no_such_module'"),
    )
    def test_what_is_wrong_with_an_included_file(self, text, expected):
        write("top/top.gin", "n = 1\ninclude '../middle/middle.gin'\n")
        write("middle/middle.gin", "# A comment.\n\ninclude 'base.gin'\nm = 1\n")
        write("middle/base.gin", text)
        refusal = self.refusal("top/top.gin")
        self.assertStartsWith(
            refusal, "--gin_file=top/top.gin → top/../middle/middle.gin → top/../middle/base.gin"
        )
        self.assertIn(expected, refusal.replace("top/../", ""))
        self.assertLen(refusal.splitlines(), 1)

    def test_what_is_wrong_with_all_together(self):
        """Gin would show all of the config."""
        write("top.gin", "SOS.radius = %radius\n")
        self.assertEqual(self.refusal("top.gin"), "config: No bindings specified for 'radius/gin.macro'")

    def test_line_numbers_after_an_include(self):
        write("top.gin", "n = 1\n\ninclude 'base.gin'\n\nSOS.colour = 3\n")
        write("base.gin", "m = 1\n" * 10)
        self.assertIn("""In file "top.gin", line 5""", self.refusal("top.gin"))

    def test_a_binding_may_include(self):
        write("base.gin", "n = 1\n")
        with gin_reader.State().known():
            self.assertEqual(gin_reader.read_binding("include 'base.gin'\nm = 2"), ["m"])
            self.assertEqual(gin.query_parameter("%n"), 1)
            with self.assertRaisesRegex(
                checks.InvalidInputError, r'^--gin_param="include \'no.gin\'" → no.gin: No such file'
            ):
                gin_reader.read_binding("include 'no.gin'")

    def test_modules_beside_a_config(self):
        write("configs/beside_config.py", "import gin\n@gin.configurable\ndef of_beside_config(n): return n\n")
        write("top/top.gin", "include '../configs/module.gin'\nof_beside_config.n = 3\n")
        write("configs/module.gin", "import beside_config\n")
        path = list(sys.path)
        self.assertEqual(self.read("top/top.gin", "of_beside_config.n"), (["of_beside_config.n"], [3]))
        self.assertEqual(sys.path, path)

    @parameterized.parameters(
        ("1 / 0", "ZeroDivisionError: division by zero"), ("x = (", "'(' was never closed (beside_config.py, line 1)"),
        ("import no_such_module", "No module named 'no_such_module'"), ("raise KeyError('x')", "KeyError: 'x'"),
        ("assert False", "AssertionError"), ("import sys; sys.exit('bye')", "SystemExit: bye"),
        ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
    )
    def test_modules_that_fail(self, text, expected):
        write("beside_config.py", text)
        write("module.gin", "\nimport beside_config\n")
        refusal = self.refusal("module.gin")
        self.assertStartsWith(refusal, f"--gin_file=module.gin: {expected}")
        self.assertLen(refusal.splitlines(), 1)


class CallersStateTest(tf.test.TestCase):

    def test_is_given_back_and_not_seen(self):
        """Also after an error: that of a config that leaves out what only the caller has bound."""
        self.addCleanup(gin.clear_config)
        self.addCleanup(gin.config._LOCATION_PREFIXES.remove, "mine")
        gin.clear_config()
        gin.add_config_file_search_path("mine")
        gin.parse_config("import math\ntrain.n_seeds = 0\ntrain.game = 3\nscope/train.n_seeds = 0")
        gin.finalize()
        gin.get_configurable("MetaMAPG")()
        before = (gin.config_str(), gin.operative_config_str(), list(gin.config._LOCATION_PREFIXES), list(sys.path))
        self.assertIn("MetaMAPG.inner_learning_rate = 1.0", before[1])
        with gin.config_scope("scope"):
            with self.assertRaisesRegex(checks.InvalidInputError, "train.game, train.policies"):
                starts.train([], [], None, resume=False, allow_other_versions=False, started=0.0)
            path = command_line.GIN_CONFIGS / "ipd.gin"
            with self.assertRaisesRegex(checks.InvalidInputError, "^train.n_tasks = 0"):
                starts.train(
                    [path], ["import json", "scope/train.n_seeds = 0", "train.n_tasks = 0"], None, resume=False,
                    allow_other_versions=False,
                    started=0.0,
                )
            self.assertEqual(gin.current_scope(), ["scope"])
        after = (gin.config_str(), gin.operative_config_str(), list(gin.config._LOCATION_PREFIXES), list(sys.path))
        self.assertEqual(before, after)
        self.assertTrue(gin.config_is_locked())


if __name__ == "__main__":
    tf.test.main()
