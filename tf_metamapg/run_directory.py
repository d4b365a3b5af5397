"""The run directory: which run it holds, and where its files are."""

import importlib.metadata
import os
import pathlib
import platform

from tf_metamapg import checks
from tf_metamapg import files


class RunDirectory:
    """The files of one run.

    Attributes:
        path: the directory.
        config: the gin config with everything that the run uses.
        run_info: versions and seeds.
        metrics: CSV, one row per meta-update, seed and agent.
        events: TensorBoard events, the means over seeds.
        checkpoints: what `--resume` goes on from.
        adaptation_figure: average reward against inner updates.
        initial_policies: SavedModels of the learned initial policies.
        summary: the results, and what they are results of.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.config = self.path / "config.gin"
        self.run_info = self.path / "run.json"
        self.metrics = self.path / "metrics.csv"
        self.events = self.path / "tensorboard"
        self.checkpoints = self.path / "checkpoints"
        self.adaptation_figure = self.path / "figures" / "adaptation.png"
        self.initial_policies = self.path / "initial_policies"
        self.summary = self.path / "summary.json"

    def open(self, config, seeds, resume):
        """Makes the directory, or makes sure that it holds the same run.

        Args:
            config: the text of the run's whole config.
            seeds: the run's seeds.
            resume: whether to go on with a run that is there already.

        Raises:
            InvalidInputError: if the directory cannot be written, holds a run although `resume` is
                false, holds another run, or holds something else. Nothing is changed then.
        """
        try:
            if resume:
                self._check_holds(config)
                return
            self._check_free()
            for directory in (self.path, self.checkpoints, self.adaptation_figure.parent):
                directory.mkdir(parents=True, exist_ok=True)
            files.write_json(self.run_info, {"seeds": list(seeds), "versions": _versions()})
            # Last, since a directory with a config is one that can be resumed.
            files.write_text(self.config, config)
        except OSError as error:
            raise checks.InvalidInputError(
                f"--run_dir={self.path}: cannot be written ({error.strerror})"
            ) from error

    def _check_free(self):
        if self.config.exists():
            raise checks.InvalidInputError(
                f"--run_dir={self.path}: holds a run already; add --resume to go on with it, or name another"
            )
        if self.path.exists() and not self.path.is_dir():
            raise checks.InvalidInputError(f"--run_dir={self.path}: is a file; name a directory")
        if self.path.is_dir() and not self._is_unfinished_start():
            raise checks.InvalidInputError(
                f"--run_dir={self.path}: is not empty and holds no run; name a new or an empty directory"
            )

    def _is_unfinished_start(self):
        """Whether there is nothing but what `open` leaves when it is killed half-way."""
        own = {self.checkpoints, self.adaptation_figure.parent, self.run_info}
        return all(
            entry.suffix == ".partial" or (entry in own and not (entry.is_dir() and any(entry.iterdir())))
            for entry in self.path.iterdir()
        )

    def _check_holds(self, config):
        if not self.config.exists():
            raise checks.InvalidInputError(
                f"--resume with --run_dir={self.path}: there is no run; leave --resume out to start one"
            )
        stored, given = (bindings(text) for text in (self.config.read_text("utf-8"), config))
        for name in sorted(stored | given):
            if stored.get(name) != given.get(name):
                raise checks.InvalidInputError(
                    f"--run_dir={self.path}: holds a different run, with {name} = {stored.get(name, 'nothing')}; "
                    f"this config has {given.get(name, 'nothing')}"
                )


def next_run_directory(parent, name):
    """The first of parent/name-1, parent/name-2, … that does not exist."""
    number = 1
    while os.path.exists(os.path.join(parent, f"{name}-{number}")):
        number += 1
    return os.path.join(parent, f"{name}-{number}")


def bindings(config):
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


def _versions():
    packages = ("tensorflow", "tensorflow-probability", "keras", "numpy", "gin-config", "tf_metamapg")
    versions = {package: importlib.metadata.version(package) for package in packages}
    return {"python": platform.python_version(), **versions}
