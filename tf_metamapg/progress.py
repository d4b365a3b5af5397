"""What a person sees while a run goes on and when it ends."""

import sys
import time

import numpy as np
import tqdm

from tf_metamapg import statistics

_SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """A bar where stdout is a terminal, and a plain line now and then where it is not."""

    def __init__(self, n_steps, n_done=0, what="meta-update"):
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
        is_terminal = sys.stdout.isatty()
        self._bar = (
            tqdm.tqdm(total=n_steps, initial=n_done, desc=what, unit="", file=sys.stdout)
            if is_terminal
            else None
        )

    def step(self, text):
        """One step is done, and `text` says how it stands."""
        self._n_done += 1
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update()
        elif self._n_done == self._n_steps or time.monotonic() > self._last_line + _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            print(f"{self._what} {self._n_done}/{self._n_steps}: {text}", flush=True)

    def close(self):
        """Leaves the bar as it stands."""
        if self._bar is not None:
            self._bar.close()


# Which inner updates of a long chain a table shows, beside the last.
_SHOWN = (0, 1, 2, 3, 4, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000)


def adaptation_table(average_reward, agent_names):
    """A table of the average reward per inner update, as text; of long chains not every one is shown.

    Args:
        average_reward: array [S, L + 1, n_agents].
        agent_names: one name for each agent.

    Returns:
        lines of text: mean and half-width of its 95% interval over seeds, for each agent and for the
        mean of all agents, and the least of that mean over seeds.
    """
    of_all_agents = average_reward.mean(axis=-1)
    columns = np.concatenate([average_reward, of_all_agents[..., np.newaxis]], axis=-1)
    mean, half_width = statistics.mean_and_interval(columns)
    names = [f"agent {index}: {name}" for index, name in enumerate(agent_names)]
    names += ["mean of all agents", "worst seed"]
    lines = ["inner updates  " + "  ".join(f"{name:>18}" for name in names)]
    for link in sorted({*_SHOWN, len(mean) - 1} & set(range(len(mean)))):
        cells = [f"{value:+.3f} ± {half:.3f}" for value, half in zip(mean[link], half_width[link])]
        cells.append(f"{of_all_agents[:, link].min():+.3f}")
        lines.append(f"{link:>13}  " + "  ".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)
