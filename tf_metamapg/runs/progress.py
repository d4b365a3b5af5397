"""What a person sees while a run goes on."""

from collections.abc import Callable
import sys
import time
import weakref

import numpy as np
import tqdm

from tf_metamapg.runs import terminal

_SECONDS_BETWEEN_LINES = 5.0

# The bars on the last line of a terminal.
_shown: weakref.WeakSet = weakref.WeakSet()


class Bar:
    """A bar where stdout is a terminal, and a plain line now and then where it is not."""

    def __init__(self, n_steps: int, n_done: int = 0, what: str = "meta-update") -> None:
        """
        Args:
            n_steps: how many steps there are.
            n_done: how many of them an earlier start of the run has done.
            what: what a step is.
        """
        self._what = what
        self._n_steps = n_steps
        self._n_done = n_done
        self._last_line = time.monotonic()
        self._bar = None
        if terminal.is_one():
            self._bar = tqdm.tqdm(
                total=n_steps, initial=n_done, desc=what, unit="", file=sys.stdout, ncols=terminal.width(),
                colour=terminal.bar_colour(),
            )
            _shown.add(self)

    def step(self, text: str) -> None:
        """One step is done, and `text` says how it stands."""
        self._n_done += 1
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update()
        elif self._n_done == self._n_steps or time.monotonic() > self._last_line + _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            terminal.say(f"{self._what} {self._n_done}/{self._n_steps}: {text}")

    def close(self) -> None:
        """Leaves the bar as it stands."""
        _shown.discard(self)
        if self._bar is not None:
            self._bar.close()


def inner_updates(
    n_updates: int, compared: Callable[[np.ndarray], np.ndarray] = np.mean, what: str = "inner update"
) -> Callable[[int, np.ndarray], None]:
    """What `learning.evaluate` reports to, so that a person sees it.

    Args:
        n_updates: how many inner updates there will be.
        compared: function of mean rewards [S, n_agents], the mean of whose result is shown.
        what: what a step is.
    """
    bar = Bar(n_updates, what=what)

    def show(n_done: int, mean_reward: np.ndarray) -> None:
        if n_done > 0:
            bar.step(f"mean reward per step {compared(mean_reward).mean():+.3f}")
        if n_done == n_updates:
            bar.close()

    return show


def is_shown() -> bool:
    """Whether the last line of a terminal is a bar."""
    return bool(_shown)


def close_all() -> None:
    """Leaves all bars as they stand, so that what is said next has a line of its own."""
    for bar in list(_shown):
        bar.close()
