"""The run directory: which run it holds, who is working on it, and where its files are."""

from collections.abc import Sequence
import hashlib
import importlib.metadata
import json
import pathlib
import platform
import re
import sys
from typing import Any

from tf_metamapg import checks
from tf_metamapg import learned_names
from tf_metamapg.runs import files

# Packages of which some games are made, and what of them such a run has imported.
_OF_GAMES = {
    "gymnasium": "gymnasium", "gymnasium-robotics": "gymnasium_robotics", "mujoco": "mujoco", "open_spiel": "pyspiel",
    "pettingzoo": "pettingzoo",
}
# What a config imports, as gin writes it.
_IMPORTS = re.compile(r"^(?:import|from) ([\w.]+)", re.MULTILINE)


class RunDirectory:
    """The files of one run.

    Attributes:
        path: the directory.
        config: the gin config with everything that the run uses.
        run_info: versions, seeds, and whether XLA compiles.
        metrics: CSV, one row per meta-update, seed and agent; without meta-agents, per inner update.
        events: TensorBoard events, the means over seeds.
        checkpoints: what `--resume` goes on from.
        report: a page with all of it to look at.
        adaptation_figure: mean reward against inner updates.
        learned: what all seeds have learned, see `learned.py`.
        initial_policies: SavedModels of the learned initial policies.
        learning_agents: SavedModels of agents that go on learning where they are served.
        adapted_policies: SavedModels of policies after the last inner update.
        snapshots: initial policies as they were in between.
        summary: the results, and what they are results of.
    """

    def __init__(self, path: files.PathLike) -> None:
        self.path = pathlib.Path(path)
        self.config = self.path / "config.gin"
        self.run_info = self.path / "run.json"
        self.metrics = self.path / "metrics.csv"
        self.events = self.path / "tensorboard"
        self.checkpoints = self.path / "checkpoints"
        self.report = self.path / "report.html"
        self.adaptation_figure = self.path / "figures" / "adaptation.png"
        self.learned = self.path / learned_names.FILE
        self.learning_agents = self.path / "learning_agents"
        self.adapted_policies = self.path / "adapted_policies"
        self.initial_policies = self.path / "initial_policies"
        self.snapshots = self.path / "snapshots"
        self.summary = self.path / "summary.json"

    def check_exists(self) -> None:
        """Raises `InvalidInputError` unless there is a run in it."""
        allowed = f"that of a run; it has a {self.config.name}"
        checks.check(self.config.exists(), "directory", str(self.path), allowed)

    def start(self, config: str, seeds: Sequence[int], jit_compile: bool) -> None:
        """Writes what a run is known by.

        Args:
            config: the text of the run's whole config.
            seeds: the run's seeds.
            jit_compile: whether XLA compiles.
        """
        files.write_json(self.run_info, {
            "seeds": list(seeds), "jit_compile": jit_compile, "python": platform.python_version(),
            "versions": versions(config), "resumed_with": [], "module_directories": _module_directories(config),
        })
        # Last, since a directory with a config is one that can be resumed.
        files.write_text(self.config, config)

    def read_info(self) -> dict[str, Any]:
        """What stands in run.json.

        Raises:
            InvalidInputError: if it cannot be read.
        """
        try:
            info = json.loads(self.run_info.read_text("utf-8"))
            dict(info["versions"]), list(info["resumed_with"]), bool(info["jit_compile"])
            info.setdefault("module_directories", [])  # Which runs of earlier versions have not.
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise checks.InvalidInputError(
                f"--run_dir={self.path}: run.json cannot be read, which it takes to go on ({type(error).__name__})"
            ) from error
        return info

    def has_checkpoints(self) -> bool:
        """Whether there are any."""
        return any(self.checkpoints.glob("ckpt-*.npz"))

    def n_blocks(self) -> int:
        """Into how many blocks the run's batches are cut, as its config says; 1 if it says something else."""
        said = bindings(self.config.read_text("utf-8")).get("train.n_blocks", "")
        return int(said) if said.isdecimal() else 1

    def read_summary(self) -> dict[str, Any] | None:
        """What stands in summary.json if the run has ended as its config says now; None if it has not."""
        try:
            summary, config = json.loads(self.summary.read_text("utf-8")), self.config.read_text("utf-8")
            ended = digest(config, (), summary["seeds"], summary["jit_compile"]) == summary["config_digest"]
            return summary if ended and self.learned.exists() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def has_progress(self) -> bool:
        """Whether there are rows of meta-updates, or results."""
        n_lines = len(self.metrics.read_bytes().splitlines()) if self.metrics.exists() else 0
        return n_lines > 1 or self.summary.exists()

    def check_same_run(self, config: str, may_change: Sequence[str], allow_other_versions: bool) -> None:
        """Makes sure that the directory holds a run that can go on with a config.

        Args:
            config: the text of the whole config to go on with.
            may_change: names of what may be bound to another value.
            allow_other_versions: whether to go on though packages have other versions.

        Raises:
            InvalidInputError: if the directory holds another run, or one of other versions.
        """
        try:
            stored = _telling_bindings(self.config.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise checks.InvalidInputError(f"{self.config}: cannot be read ({type(error).__name__})") from error
        given = _telling_bindings(config)
        for name in sorted(stored | given):
            if name not in may_change and stored.get(name) != given.get(name):
                raise checks.InvalidInputError(
                    f"--run_dir={self.path}: holds a different run, with {name} = "
                    f"{checks.one_line(stored.get(name, 'nothing'), 80)}; this config has "
                    f"{checks.one_line(given.get(name, 'nothing'), 80)}"
                )
        info = self.read_info()
        before, now = [info["versions"], *info["resumed_with"]][-1], versions(config)
        # What only one of the processes has imported is of some other run.
        changed = [name for name in now if name in before and before[name] != now[name]]
        if changed and not allow_other_versions:
            raise checks.InvalidInputError(
                f"--run_dir={self.path}: the run has used {_of(changed, before)}, and here there is "
                f"{_of(changed, now)}; its numbers may change: add --allow_other_versions to go on all the same"
            )

    def go_on(self, config: str) -> None:
        """Notes the config and the versions that a run is resumed with."""
        info = self.read_info()
        now = versions(config)
        if [info["versions"], *info["resumed_with"]][-1] != now:
            info["resumed_with"].append(now)
            files.write_json(self.run_info, info)
        files.write_text(self.config, config)


def digest(config: str, may_change: Sequence[str], seeds: Sequence[int], jit_compile: bool) -> str:
    """A text that is the same for runs whose meta-updates give the same numbers.

    Args:
        config: the text of a run's whole config.
        may_change: names of what those numbers do not depend on.
        seeds: the run's seeds.
        jit_compile: whether XLA compiles.
    """
    bound = {name: value for name, value in _telling_bindings(config).items() if name not in may_change}
    text = json.dumps([bound, list(seeds), jit_compile], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def bindings(config: str) -> dict[str, str]:
    """{what is bound: value}, as texts, of a config as gin writes it, where a value may go over several lines."""
    found, name = {}, None
    for line in config.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if not line.startswith((" ", "\t")) and "=" in line:
            name, _, line = line.partition("=")
            name = name.strip()
            found[name] = ""
        if name is not None:
            found[name] += " ".join(line.replace("\\", "").split())
    return found


def _telling_bindings(config):
    """Those by which runs differ: one block is what runs of earlier versions have that bind none."""
    return {name: value for name, value in bindings(config).items() if (name, value) != ("train.n_blocks", "1")}


def versions(config: str) -> dict[str, str]:
    """{package: version} of what a run's numbers are computed with.

    Of what a run starts from, the version is a digest of what was learned there; of modules that a config imports, of
    their source and that of all modules within them.
    """
    packages = ["tensorflow", "tensorflow-probability", "keras", "numpy", "gin-config", "tf_metamapg"]
    packages += [package for package, module in _OF_GAMES.items() if module in sys.modules]
    imported = {name.partition(".")[0] for name in _IMPORTS.findall(config)}
    init_from = bindings(config).get("train.init_from", "None").strip("'\"")
    learned = pathlib.Path(init_from).expanduser() / learned_names.FILE
    return {
        **{package: importlib.metadata.version(package) for package in packages},
        **{name: _source_digest(name) for name in sorted(imported)},
        **({"init_from": hashlib.sha256(learned.read_bytes()).hexdigest()[:12]} if learned.is_file() else {}),
    }


def _module_directories(config):
    """Where the modules are that a config imports, so that it can be read again from the run directory."""
    imported = {name.partition(".")[0] for name in _IMPORTS.findall(config)}
    paths = [getattr(sys.modules[name], "__file__", None) for name in sorted(imported) if name in sys.modules]
    files_of = [pathlib.Path(path) for path in paths if path is not None]
    return sorted({str(path.parents[1] if path.name == "__init__.py" else path.parent) for path in files_of})


def _source_digest(name):
    """A text that is the same for modules of the same source."""
    digest = hashlib.sha256()
    for own in sorted(sys.modules):
        path = getattr(sys.modules[own], "__file__", None)
        if f"{own}.".startswith(f"{name}.") and path is not None and path.endswith(".py"):
            digest.update(pathlib.Path(path).read_bytes())
    return digest.hexdigest()[:12]


def _of(packages, version_of):
    return ", ".join(f"{package} {version_of.get(package)}" for package in packages)
