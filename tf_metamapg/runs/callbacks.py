"""What is called along a run: to look at it, to report it elsewhere, or to end it before its time."""

import inspect
from typing import Any
from typing import NamedTuple
from typing import Protocol
from typing import runtime_checkable

import numpy as np

from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.runs.run_directory import RunDirectory


class Validation(NamedTuple):
    """What a meta-validation says."""

    n_updates: int  # how many meta-updates there had been
    scores: np.ndarray  # [S], what seeds are compared by, see `EvaluationSettings.validate_every`


class Progress(NamedTuple):
    """How far a run has come."""

    directory: RunDirectory
    n_updates: int  # how many meta-updates there have been; without meta-agents, inner updates
    # The columns of metrics.csv for the last of them, arrays [S, n_agents]: NaN is an empty cell; nothing before the
    # first update of this process.
    measured: dict[str, np.ndarray]
    validations: tuple[Validation, ...]  # of this stage, in order


@runtime_checkable
class Callback(Protocol):
    """What a run calls; a subclass of it has what it does not need.

    Attributes:
        needs_validation: whether it is of no use without meta-validations.
    """

    needs_validation: bool = False

    def after_update(self, progress: Progress) -> None:
        """Called after a meta-update, or, where nobody meta-learns, when what follows an inner update is known."""

    def after_validation(self, progress: Progress) -> None:
        """Called after a meta-validation."""

    def after_checkpoint(self, progress: Progress) -> None:
        """Called when a checkpoint has been written."""

    def at_end(self, progress: Progress, summary: dict[str, Any]) -> None:
        """Called when the results have been written, with what stands in `summary.json`."""

    def wants_to_stop(self, progress: Progress) -> bool:
        """Whether meta-training, or its present stage, should end here.

        What it says must depend on `progress.n_updates` and `progress.validations` alone, which a run that goes on
        after it was killed finds as they were.
        """
        del progress
        return False


def check_signatures(parameter: str, callback: Callback) -> None:
    """Raises `InvalidInputError` unless the methods of a callback can be called as a run will call them."""
    for name in ("after_update", "after_validation", "after_checkpoint", "at_end", "wants_to_stop"):
        arguments = ("progress", "summary") if name == "at_end" else ("progress",)
        try:
            inspect.signature(getattr(callback, name)).bind(*arguments)
        except TypeError as error:
            raise checks.InvalidInputError(
                f"{parameter} = {type(callback).__name__}: must have {name}(self, {', '.join(arguments)})"
            ) from error


class EarlyStopping(descriptions.Described, Callback):
    """Ends a stage of meta-training when meta-validation finds nothing better for some time."""

    needs_validation = True

    def __init__(self, patience: int = 5, min_improvement: float = 0.0) -> None:
        """
        Args:
            patience: how many meta-validations in a row may be no better than the best before them, ≥ 1. They are
                compared by the mean over seeds of each seed's best score so far.
            min_improvement: what it takes to be better, ≥ 0, in units of reward per step.

        Raises:
            InvalidInputError: if one of these is something else.
        """
        checks.check_integer("EarlyStopping.patience", patience, minimum=1)
        checks.check_number("EarlyStopping.min_improvement", min_improvement, minimum=0.0)
        self._patience = patience
        self._min_improvement = min_improvement

    def wants_to_stop(self, progress: Progress) -> bool:
        """See `Callback.wants_to_stop`."""
        if len(progress.validations) <= self._patience:
            return False
        best = np.fmax.accumulate([validation.scores for validation in progress.validations], axis=0).mean(axis=-1)
        return bool(best[-1] <= best[-1 - self._patience] + self._min_improvement)
