"""Looks at what environments outside of TensorFlow say, so that what is not as the game's spec says is refused."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions


class CheckedEnvironments:
    """What the environments of a game are, see `contracts.Environments`, and errors in one line."""

    def __init__(self, game: contracts.HostGame, n_workers: int) -> None:
        """
        Args:
            game: a game that environments play.
            n_workers: how many share their work.

        Raises:
            InvalidInputError: if what the game makes is something else.
        """
        self._spec = game.spec
        self._name = f"{type(game).__name__}.make_environments(...)"
        self._environments = game.make_environments(n_workers)
        contracts.check_kind(self._name, self._environments, contracts.Environments, "the environments of a game")

    def reset(self, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        """See `contracts.Environments.reset`.

        Raises:
            InvalidInputError: if this is something else.
        """
        seen = self._environments.reset(seeds)
        self._present = np.ones([self._spec.n_agents, len(seeds)], bool)
        self._check_seen("reset(...)", seen)
        return seen

    def step(self, joint_action: Sequence[np.ndarray]) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        """See `contracts.Environments.step`.

        Raises:
            InvalidInputError: if this is something else.
        """
        told = self._environments.step(joint_action)
        is_triple = isinstance(told, (list, tuple)) and len(told) == 3
        self._check(is_triple, "step(...)", told, "what agents see, rewards and whether agents go on")
        seen, rewards, present = told
        shape = self._present.shape
        self._check_array("step(...)[1]", rewards, shape, "iuf", "numbers")
        self._check_finite("step(...)[1]", rewards)
        self._check_array("step(...)[2]", present, shape, "b", "bools")
        if not self._spec.ends:
            allowed = "True for all, as the game's spec says that it does not end; see GameSpec.ends"
            self._check(present.all(), "step(...)[2]", False, allowed)
        self._check(not (present > self._present).any(), "step(...)[2]", True, "False for an agent that has left")
        self._present = present.copy()
        self._check_seen("step(...)[0]", seen)
        return seen, rewards, present

    def _check_seen(self, method, seen):
        spaces = self._spec.observations
        is_tuple = isinstance(seen, (list, tuple)) and len(seen) == len(spaces)
        self._check(is_tuple, method, seen, f"a tuple of {len(spaces)}, an array for each agent")
        for agent, (own, space, here) in enumerate(zip(seen, spaces, self._present)):
            parameter = f"{method}[{agent}]"
            if isinstance(space, contracts.Discrete):
                self._check_array(parameter, own, here.shape, "iu", "whole numbers")
                beyond = own[here & ((own < 0) | (own >= space.n))]
                allowed = f"in 0..{space.n - 1}, see GameSpec.observations"
                self._check(not beyond.size, parameter, beyond.flat[0].item() if beyond.size else None, allowed)
            else:
                self._check_array(parameter, own, (*here.shape, *space.shape), "iuf", "numbers")
                self._check_finite(parameter, own[here])

    def _check_array(self, parameter, value, shape, kinds, what):
        is_array = isinstance(value, np.ndarray) and value.dtype.kind in kinds and value.shape == shape
        self._check(is_array, parameter, value, f"an array {list(shape)} of {what}")

    def _check_finite(self, parameter, numbers):
        is_finite = np.abs(numbers) <= np.finfo(self._spec.dtype).max
        value = None if is_finite.all() else numbers[~is_finite].flat[0].item()
        self._check(value is None, parameter, value, f"finite, also as {self._spec.dtype}")

    def _check(self, condition: Any, parameter: str, value: Any, allowed: str) -> None:
        if not condition:
            is_scalar = isinstance(value, (bool, int, float))
            shown = value if is_scalar else descriptions.Text(descriptions.describe(value, longest=120))
            checks.check(False, f"{self._name}.{parameter}", shown, allowed)
