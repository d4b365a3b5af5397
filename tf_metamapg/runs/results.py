"""What a run has come to."""

from typing import NamedTuple

import numpy as np

from tf_metamapg.training.learning import Evaluation


class Results(NamedTuple):
    """What is published of a run."""

    scores: np.ndarray  # [S], what seeds are compared by
    meta_validation: Evaluation | None  # None where nobody meta-learns
    meta_test: Evaluation
