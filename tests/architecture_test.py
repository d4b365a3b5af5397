"""Proves that every module of the package imports only from floors below its own, and what else is in one place."""

import ast
import importlib
import os
import pathlib

from absl.testing import parameterized
import keras
import tensorflow as tf

import tf_metamapg

ROOT = pathlib.Path(tf_metamapg.__file__).parent

# Every module and its floor, from the ground up. A module imports from floors below its own. Within a
# floor it imports from earlier rows, and there only from its own folder or from modules in no folder;
# modules of one row do not know each other.
ROWS = (
    (0, "libraries descriptions files products scan slices"),
    (0, "checks types tables"),
    (0, "arguments"),
    (0, "random"),
    (1, "games.payoffs games.finite games.differentiable games.tasks"),
    (1, "games.matrix games.stochastic games.linear_quadratic"),
    (1, "features"),
    (1, "policies.distributions policies.functional policies.layers policies.signatures"),
    (1, "policies.heads"),
    (1, "policies.categorical policies.raw policies.populations"),
    (1, "policies.network"),
    (1, "policies.tabular policies.mlp policies.lstm"),
    (1, "returns statistics"),
    (2, "rollout scoring critics"),
    (2, "estimators.exact estimators.sampled"),
    (2, "estimators.dice estimators.score_function"),
    (2, "estimators.loaded_dice"),
    (3, "adaptation"),
    (4, "agents.policy_gradient agents.opponent_modelling"),
    (4, "agents.fixed agents.anticipation agents.theorem"),
    (4, "agents.look_ahead agents.lola_shaping agents.lola_taylor agents.lola_dice agents.sos"),
    (4, "agents.meta_agent"),
    (4, "agents.meta_pg agents.meta_mapg"),
    # What a user of the library gets without naming a module.
    (5, "__init__"),
    (5, "problem best checkpoints metrics export figures progress report run_directory"),
    (5, "trainer"),
    (5, "experiment"),
    (6, "gin_reader"),
    (6, "configs command reproductions.results reference_loop workloads"),
    (6, "reproductions.protocols"),
    (6, "reproductions.exact_ipd reproductions.dice_ipd reproductions.gradient_quality"),
    (6, "reproductions.figure_1 reproductions.figure_2 reproductions.figure_3"),
    (6, "reproductions.shape_naive_learner reproductions.personas"),
    (6, "reproductions.personas_ipd reproductions.personas_rps reproductions.personas_choice"),
    (7, "main reproduce benchmark"),
)
FLOORS = {name: (floor, row) for row, (floor, names) in enumerate(ROWS) for name in names.split()}


def _module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


PATHS = {_module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in PATHS.items()}
# The `__init__` of a folder is its docstring; see `test_folders_export_nothing`.
FOLDERS = {name for name in PATHS if name.endswith(".__init__")}
MODULES = sorted(set(PATHS) - FOLDERS)


def _imports(tree):
    """Everything that is imported anywhere in a file, as full dotted names."""
    for node in ast.walk(tree):
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
            candidates = [".".join(parts), ".".join(parts[:-1]), "__init__"]
            yield next(candidate for candidate in candidates if candidate in MODULES)


def _may_import(importer, imported):
    (floor, row), (other_floor, other_row) = FLOORS[importer], FLOORS[imported]
    if other_floor != floor:
        return other_floor < floor
    folder, _, _ = importer.rpartition(".")
    other_folder, _, _ = imported.rpartition(".")
    return other_row < row and other_folder in ("", folder)


def _users(predicate):
    """The modules with an AST node that satisfies a predicate."""
    return {name for name, tree in TREES.items() if any(map(predicate, ast.walk(tree)))}


def _importers(package):
    return {name for name, tree in TREES.items() if package in {full.split(".")[0] for full in _imports(tree)}}


class ArchitectureTest(tf.test.TestCase, parameterized.TestCase):

    def test_every_module_has_a_floor(self):
        self.assertCountEqual(FLOORS, MODULES)

    @parameterized.parameters(*MODULES)
    def test_imports_only_from_below(self, name):
        for imported in _imported_modules(TREES[name]):
            self.assertTrue(_may_import(name, imported), f"{name} must not import {imported}")

    def test_walk_sees_imports(self):
        source = "import gin\ndef f():\n  from tf_metamapg.games.matrix import IteratedMatrixGame\n"
        source += "from tf_metamapg import random, InvalidInputError\nimport tf_metamapg.main\nimport tf_metamapg\n"
        imported = list(_imported_modules(ast.parse(source)))
        self.assertCountEqual(imported, ["games.matrix", "random", "__init__", "main", "__init__"])

    def test_imports_are_absolute(self):
        for name, tree in TREES.items():
            self.assertFalse([full for full in _imports(tree) if full.startswith(".")], name)

    def test_folders_export_nothing(self):
        for name in FOLDERS:
            self.assertEqual([type(node) for node in TREES[name].body], [ast.Expr], name)

    @parameterized.parameters(
        ("gin", {"configs", "gin_reader"}),
        ("absl", {"benchmark", "command", "main", "reproduce"}),
        ("matplotlib", {"figures", "libraries", "reproductions.results"}),
        ("tqdm", {"progress"}),
        ("tensorflow_probability", {"policies.distributions", "statistics", "agents.opponent_modelling"}),
        ("tf_keras", set()),
    )
    def test_libraries_are_in_one_place(self, package, modules):
        self.assertEqual(_importers(package), modules)

    def test_functions_are_compiled_in_few_places(self):
        self.assertEqual(
            _users(lambda node: isinstance(node, ast.Attribute) and node.attr == "function"),
            {"trainer", "export", "workloads", "reproductions.gradient_quality"},
        )
        self.assertEqual(
            _users(lambda node: isinstance(node, ast.keyword) and node.arg in ("jit_compile", "reduce_retracing")),
            {"trainer", "workloads"}
            | {f"reproductions.{name}" for name in "dice_ipd exact_ipd gradient_quality protocols".split()},
        )
        for name, tree in TREES.items():
            tensorflow = {full for full in _imports(tree) if full.split(".")[0] == "tensorflow"}
            self.assertLessEqual(tensorflow, {"tensorflow"}, name)

    @parameterized.parameters(("train", "main"), ("reproduce", "reproduce"), ("benchmark", "benchmark"))
    def test_a_command_imports_one_module(self, command, module):
        tree = ast.parse((ROOT.parent / "bin" / command).read_text("utf-8"))
        self.assertEqual(list(_imported_modules(tree)), [module])

    def test_modules_are_short(self):
        for name, path in PATHS.items():
            self.assertLessEqual(len(path.read_text("utf-8").splitlines()), 300, name)

    def test_import_leaves_keras_as_it_is(self):
        for name in MODULES:
            importlib.import_module("tf_metamapg" if name == "__init__" else f"tf_metamapg.{name}")
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
