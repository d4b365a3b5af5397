"""The best of what every seed has learned so far."""

from collections.abc import Sequence

import keras
import numpy as np


class Best:
    """What each seed had learned when it did best, seeds being the leading axis of all variables.

    Attributes:
        state: list of variables, what a checkpoint must hold to go on exactly.
    """

    def __init__(self, variables: Sequence[keras.Variable]) -> None:
        """
        Args:
            variables: list of Keras variables [S, ...].
        """
        self._variables = variables
        # Copies: a variable made of another one's value may share its memory.
        self._kept = [keras.Variable(np.array(variable.numpy())) for variable in variables]
        self._scores = keras.Variable(np.full(variables[0].shape[0], -np.inf))
        self.state = [self._scores, *self._kept]

    def keep(self, scores: np.ndarray) -> None:
        """Keeps what the seeds have learned that do better than ever.

        Args:
            scores: array [S], how well they do now.
        """
        is_better = np.asarray(scores) > self._scores.numpy()
        self._scores.assign(np.where(is_better, scores, self._scores.numpy()))
        _assign(self._kept, self._variables, is_better)

    def restore(self) -> None:
        """Takes every seed back to where it did best; a seed that was never scored stays where it is."""
        _assign(self._variables, self._kept, np.isfinite(self._scores.numpy()))


def _assign(variables: Sequence[keras.Variable], values: Sequence[keras.Variable], seeds: np.ndarray) -> None:
    for variable, value in zip(variables, values):
        is_chosen = seeds.reshape([-1] + [1] * (len(variable.shape) - 1))
        variable.assign(np.where(is_chosen, value.numpy(), variable.numpy()))
