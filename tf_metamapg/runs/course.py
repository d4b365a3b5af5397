"""How a run learns: by meta-updates, or by inner updates where nobody meta-learns."""

from typing import Protocol

import numpy as np

from tf_metamapg.contracts import JointParams
from tf_metamapg.runs.checkpoints import Checkpoint
from tf_metamapg.runs.inner_learning import InnerLearning
from tf_metamapg.runs.meta_training import MetaTraining
from tf_metamapg.runs.recorder import Follower
from tf_metamapg.runs.recorder import Recorder
from tf_metamapg.runs.results import Results
from tf_metamapg.runs.settings import Experiment
from tf_metamapg.training.trainer import MetaTrainer
from tf_metamapg.training.workers import ALONE
from tf_metamapg.training.workers import Workers


class Course(Protocol):
    """What `experiment.train` lets run.

    Attributes:
        trainer: what learns; of the present stage, if there are several.
        counter: what is counted, as metrics.csv names it.
        may_change: names of what a run may go on with other values of, as no update depends on it.
    """

    trainer: MetaTrainer
    counter: str
    may_change: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The columns of metrics.csv behind the number of the update, the seed and the agent."""
        ...

    @property
    def n_rows_done(self) -> int:
        """For how many updates there are rows in metrics.csv that a checkpoint counts on."""
        ...

    def trace(self) -> None:
        """Traces what takes longest, so that errors in it are found early."""
        ...

    def load(self, values: dict[str, np.ndarray], source: str) -> None:
        """Takes what it has learned by its end, as it stands in learned.npz."""
        ...

    @property
    def adapted_params(self) -> JointParams:
        """The policies of all agents after the last inner update, leaves [S, N, ...]; () if agents meta-learn."""
        ...

    def begin(self) -> None:
        """Prepares a run that is new; it may refuse to."""
        ...

    def go_on(self, checkpoint: Checkpoint) -> None:
        """Takes up what was saved; it may refuse to."""
        ...

    def described_progress(self) -> str:
        """How far it has come, in words."""
        ...

    def save(self, recorder: Follower) -> None:
        """Saves a checkpoint."""
        ...

    def run(self, recorder: Follower) -> None:
        """Learns until the end, and evaluates what has been learned. All workers do."""
        ...

    def results(self, recorder: Recorder) -> Results:
        """What has come of a run that is at its end."""
        ...


def build(experiment: Experiment, workers: Workers = ALONE) -> Course:
    """What an experiment runs.

    Args:
        experiment: `settings.Experiment`.
        workers: who computes its blocks.

    Raises:
        InvalidInputError: if something cannot be used.
    """
    kind = MetaTraining if experiment.has_meta_agents else InnerLearning
    return kind(experiment, workers)
