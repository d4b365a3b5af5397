"""Proves that modules import only from layers below their own, and that some libraries are used in one place only."""

import ast
import graphlib
import importlib
import os
import pathlib

from absl.testing import parameterized
import keras
import tensorflow as tf

import tf_metamapg
from tf_metamapg import contracts
from tf_metamapg import testing

ROOT = pathlib.Path(tf_metamapg.__file__).parent

# Folders and modules of the package from the ground up; each imports from those before it. Within a folder, modules
# import each other without a circle. "public" is what a user of the library gets without naming a module.
LAYERS = (
    "libraries", "__init__", "descriptions", "checks", "learned_names",
    "contracts", "arguments", "numerics", "games", "policies", "simulators",
    "critics", "estimators", "carrying", "links", "adaptation", "theorem", "agents", "public", "training", "runs",
    "gin_reader", "gin_messages", "configs", "starts", "loading", "league", "testing", "benchmarks", "reproductions",
    "commands",
)


COMMANDS = ("benchmark", "compare", "evaluate", "export", "league", "reproduce", "train")


def _module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


PATHS = {_module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in PATHS.items()}
MODULES = sorted(PATHS)
# What a folder says of itself: see `test_folders_are_a_docstring_or_a_registry`.
FOLDERS = {name for name in PATHS if name.endswith(".__init__")}
REGISTRIES = {f"{folder.__name__.rpartition('.')[2]}.__init__" for folder in (*tf_metamapg.MEMBERS, contracts, testing)}


def _imports(tree):
    """Everything that is imported anywhere in a file, but for types alone, as full dotted names."""
    for_types = {
        inner for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in (node for node in ast.walk(tree) if node not in for_types):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield "." * node.level + f"{node.module}.{alias.name}"


def _imported_modules(tree):
    """The modules of the package that a file imports, by the names of the table."""
    for name in _imports(tree):
        if name == "tf_metamapg" or name.startswith("tf_metamapg."):
            parts = name.split(".")[1:]
            # The last part may be a name within a module rather than a module.
            modules = [".".join(parts), ".".join(parts[:-1])]
            candidates = [modules[0], f"{modules[0]}.__init__", modules[1], f"{modules[1]}.__init__", "__init__"]
            yield next(candidate for candidate in candidates if candidate in MODULES)


def _public_functions(tree):
    """What may be called from elsewhere: functions and methods without an underscore in front, and special methods."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name.endswith("__")):
            yield node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public_functions(node)


def _without_annotation(function):
    """The names of what has no type in a signature, "return" for what is returned."""
    own = function.args
    arguments = [*own.posonlyargs, *own.args, *own.kwonlyargs, *filter(None, (own.vararg, own.kwarg))]
    names = [one.arg for one in arguments if one.annotation is None and one.arg not in ("self", "cls")]
    return [*names, *(["return"] if function.returns is None else [])]


def _layer(module):
    return LAYERS.index(module.split(".")[0])


def _is_within(module, other):
    """Whether two modules are in the same folder."""
    return "." in module and module.split(".")[0] == other.split(".")[0]


def _users(predicate):
    """The modules with an AST node that satisfies a predicate."""
    return {name for name, tree in TREES.items() if any(map(predicate, ast.walk(tree)))}


def _importers(package):
    return {name for name, tree in TREES.items() if package in {full.split(".")[0] for full in _imports(tree)}}


class ArchitectureTest(tf.test.TestCase, parameterized.TestCase):

    def test_every_folder_has_a_layer(self):
        self.assertCountEqual(LAYERS, {name.split(".")[0] for name in MODULES})

    @parameterized.parameters(*MODULES)
    def test_imports_only_from_below(self, name):
        for imported in _imported_modules(TREES[name]):
            is_below = _layer(imported) < _layer(name)
            self.assertTrue(is_below or _is_within(name, imported), f"{name} must not import {imported}")

    def test_modules_of_a_folder_import_each_other_without_a_circle(self):
        graph = {name: {other for other in _imported_modules(TREES[name]) if other != name} for name in MODULES}
        order = list(graphlib.TopologicalSorter(graph).static_order())
        self.assertCountEqual(order, MODULES)
        with self.assertRaises(graphlib.CycleError):
            list(graphlib.TopologicalSorter({**graph, "checks": {"configs"}}).static_order())

    def test_walk_sees_imports(self):
        source = "import gin\ndef f():\n  from tf_metamapg.games.matrix import IteratedMatrixGame\n"
        source += "from tf_metamapg.numerics import random\nfrom tf_metamapg import InvalidInputError\n"
        source += "import tf_metamapg.configs\nimport tf_metamapg\nfrom tf_metamapg import games\n"
        source += "from tf_metamapg.games import MatrixGame\n"
        imported = list(_imported_modules(ast.parse(source)))
        self.assertCountEqual(imported, [
            "games.matrix", "numerics.random", "__init__", "configs", "__init__", "games.__init__", "games.__init__",
        ])

    def test_imports_are_absolute(self):
        for name, tree in TREES.items():
            self.assertFalse([full for full in _imports(tree) if full.startswith(".")], name)

    def test_folders_are_a_docstring_or_a_registry(self):
        """A folder of members, of contracts or of tests enters each in its `__all__`; others have no names."""
        self.assertContainsSubset(REGISTRIES, FOLDERS)
        for name in FOLDERS:
            docstring, *statements = TREES[name].body
            self.assertIsInstance(docstring, ast.Expr, name)
            if name in REGISTRIES:
                *imports, entered = statements
                self.assertEqual({type(node) for node in imports}, {ast.ImportFrom}, name)
                self.assertEqual(ast.unparse(entered.targets[0]), "__all__")
                names = [alias.name for node in imports for alias in node.names]
                self.assertEqual(ast.literal_eval(entered.value), sorted(names), name)
            else:
                self.assertEmpty(statements, name)

    @parameterized.parameters(
        ("gin", {"configs", "gin_reader"}),
        ("absl", {f"commands.{name}" for name in ("common", "jobs", "timing", "tournament", *COMMANDS)}),
        ("matplotlib", {"runs.figures", "runs.drawings", "libraries", "reproductions.results"}),
        ("jinja2", {"runs.pages"}),
        ("rich", {"runs.terminal"}),
        ("tqdm", {"runs.progress"}),
        ("tensorflow_probability", {"policies.distributions", "runs.statistics"}),
        ("axelrod", {"games.dilemma_strategies"}),
        ("pettingzoo", {"games.answers", "games.game_env"}),
        ("gymnasium", {"games.answers", "games.game_env"}),
        ("tf_keras", set()),
    )
    def test_libraries_are_in_one_place(self, package, modules):
        self.assertEqual(_importers(package), modules)

    def test_one_module_prints(self):
        """But for errors, what a process tells the one that started it, and games that are shown."""
        prints = _users(lambda node: isinstance(node, ast.Call) and ast.unparse(node.func) == "print")
        self.assertEqual(
            prints, {"runs.terminal", "runs.publication", "commands.common", "commands.benchmark", "games.game_env"}
        )

    def test_functions_are_compiled_in_few_places(self):
        self.assertEqual(
            _users(lambda node: isinstance(node, ast.Attribute) and node.attr == "function"),
            {
                "training.trainer", "training.compiler", "training.workers", "runs.export", "runs.serving",
                "reproductions.critics", "reproductions.gradient_quality", "testing.modes", "policies.trials",
                "benchmarks.measuring",
                # Where nothing around them can be compiled.
                "games.game_env", "simulators.host",
            },
        )
        self.assertEqual(
            _users(lambda node: isinstance(node, ast.keyword) and node.arg in ("jit_compile", "reduce_retracing")),
            {"training.trainer", "training.compiler", "configs", "benchmarks.measuring", "testing.modes"}
            | {f"reproductions.{name}" for name in "dice_ipd exact_ipd gradient_quality later_ipd protocols".split()}
            | {"reproductions.coin_game_learners", "reproductions.coin_game_exact_learners"}
            | {"reproductions.ipd_courses", "reproductions.two_quadratics"},
        )
        for name, tree in TREES.items():
            tensorflow = {full for full in _imports(tree) if full.split(".")[0] == "tensorflow"}
            self.assertLessEqual(tensorflow, {"tensorflow"}, name)

    @parameterized.parameters(*COMMANDS)
    def test_commands_start_in_one_place(self, command):
        """In `bin/` and as console scripts: by a module that imports no other before it can be interrupted."""
        script = (ROOT.parent / "bin" / command).read_text("utf-8")
        self.assertEqual(list(_imports(ast.parse(script))), ["sys", "tf_metamapg_commands"])
        self.assertEndsWith(script, f"\nsys.exit(tf_metamapg_commands.{command}())\n")
        scripts = (ROOT.parent / "pyproject.toml").read_text("utf-8")
        self.assertIn(f'\ntf-metamapg-{command} = "tf_metamapg_commands:{command}"\n', scripts)
        tree = ast.parse((ROOT.parent / "tf_metamapg_commands.py").read_text("utf-8"))
        (start,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == command]
        self.assertIn(f"_command('{command}').run(sys.argv", ast.unparse(start))
        self.assertEqual(list(_imports(tree)), ["contextlib", "importlib", "os", "signal", "sys", "time"])

    def test_functions_take_few_arguments_by_position(self):
        for name, tree in TREES.items():
            for node in ast.walk(tree):
                if isinstance(node, (ast.FunctionDef, ast.Lambda)):
                    names = {argument.arg for argument in (*node.args.posonlyargs, *node.args.args)}
                    self.assertLessEqual(len(names - {"self", "cls"}), 8, f"{name}, line {node.lineno}")

    def test_public_functions_say_their_types(self):
        for name, tree in TREES.items():
            for function in _public_functions(tree):
                if not function.name.startswith("test_"):
                    missing = _without_annotation(function)
                    self.assertEmpty(missing, f"{name}.{function.name}, line {function.lineno}")

    def test_walk_sees_what_has_no_type(self):
        source = "def f(x, *y: int, z=1, **w) -> int: pass\ndef _g(x): pass\nclass C:\n"
        source += "  def __init__(self, x: int): pass\n  def _f(self, x): pass\nclass _D:\n  def f(self): pass\n"
        missing = {function.name: _without_annotation(function) for function in _public_functions(ast.parse(source))}
        self.assertEqual(missing, {"f": ["x", "z", "w"], "__init__": ["return"]})

    def test_modules_are_short(self):
        for name, path in PATHS.items():
            self.assertLessEqual(len(path.read_text("utf-8").splitlines()), 250, name)

    def test_import_leaves_keras_as_it_is(self):
        for name in MODULES:
            importlib.import_module(f"tf_metamapg.{name}".removesuffix(".__init__"))
        self.assertNotIn("TF_USE_LEGACY_KERAS", os.environ)
        self.assertEqual(tf.keras.__version__, keras.__version__)
        self.assertEqual(keras.config.dtype_policy().name, "float32")
        self.assertEqual(keras.config.floatx(), "float32")
        # TensorFlow Probability imports it; its policies are nobody's business here.
        legacy = importlib.import_module("tf_keras")
        self.assertEqual(legacy.mixed_precision.global_policy().name, "float32")
        uses = _users(lambda node: isinstance(node, ast.Attribute) and ast.unparse(node).startswith("tf.keras"))
        self.assertEmpty(uses)


if __name__ == "__main__":
    tf.test.main()
