"""What meta-updates cost, as a function of their sizes: numbers of things, each of which has a price.

Prices are fitted to what has been measured, so that they hold for the machine on which that was done, for the iterated
prisoner's dilemma and for two Meta-MAPG agents. `bin/benchmark --cost_model` does both.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Size(NamedTuple):
    """The sizes of a meta-update, or of one block of it."""

    n_seeds: int  # S
    n_tasks: int  # N
    n_trajectories: int  # K
    horizon: int  # T
    chain_length: int  # L
    n_params: int  # of the policies of both agents together

    @property
    def n_links(self) -> int:
        """L + 1."""
        return self.chain_length + 1

    @property
    def n_steps(self) -> int:
        """Environment steps of all links."""
        return self.n_seeds * self.n_tasks * self.n_trajectories * self.horizon * self.n_links

    @property
    def n_bytes(self) -> int:
        """What workers exchange: the three terms of all seeds, and the rewards of two agents in all tasks and links."""
        return 4 * self.n_seeds * (3 * self.n_params + 2 * self.n_tasks * self.n_links)


class Exchange(NamedTuple):
    """What workers say to each other once."""

    n_workers: int
    n_bytes: int  # of all of them together


class Counts(NamedTuple):
    """How often things are there, by name: functions of a case."""

    by_name: Mapping[str, Callable[..., float]]

    def of(self, case: Size | Exchange) -> np.ndarray:
        """The counts of a case."""
        return np.array([count(case) for count in self.by_name.values()], np.float64)


# Seconds of one process on one core.
COMPUTATION = Counts({
    "a meta-update": lambda size: 1,
    "a link": lambda size: size.n_links,
    "a step of time": lambda size: size.n_links * size.horizon,
    "an environment step": lambda size: size.n_steps,
    "a parameter of a task": lambda size: size.n_links * size.n_seeds * size.n_tasks * size.n_params,
})
# Megabytes of one process.
MEMORY = Counts({"a process": lambda size: 1, "an environment step": lambda size: size.n_steps})
# Seconds of an exchange; in a ring of W workers each byte goes through 2 (W − 1) / W of it.
EXCHANGE = Counts({
    "an exchange": lambda exchange: 1,
    "a worker more": lambda exchange: exchange.n_workers - 1,
    "a byte": lambda exchange: 2 * exchange.n_bytes * (exchange.n_workers - 1) / exchange.n_workers,
})


class Prices(NamedTuple):
    """What each of some things costs."""

    counts: Counts
    values: np.ndarray  # in the order of the counts

    def cost(self, case: Size | Exchange) -> float:
        """What a case costs."""
        return float(self.counts.of(case) @ self.values)

    def by_name(self) -> dict[str, float]:
        """The prices by what they are of."""
        return dict(zip(self.counts.by_name, map(float, self.values)))


def fitted(counts: Counts, measured: Sequence[tuple[Size | Exchange, float]]) -> Prices:
    """The prices with the least squares of relative errors, none of them negative.

    Args:
        counts: what has a price.
        measured: cases and what they cost.
    """
    costs = np.array([cost for _, cost in measured])
    rows = np.stack([counts.of(case) for case, _ in measured]) / costs[:, np.newaxis]
    scales = rows.max(axis=0)  # from nanoseconds to seconds
    values, remaining = np.zeros(rows.shape[1]), np.arange(rows.shape[1])
    while remaining.size:
        solution = np.linalg.lstsq(rows[:, remaining] / scales[remaining], np.ones(len(costs)), rcond=None)[0]
        if solution.min() >= 0.0:
            values[remaining] = solution / scales[remaining]
            break
        remaining = np.delete(remaining, solution.argmin())
    return Prices(counts, values)


class Cost(NamedTuple):
    """What one meta-update takes."""

    computation: float  # seconds
    exchange: float  # seconds
    megabytes: float  # of each worker

    @property
    def seconds(self) -> float:
        """Both."""
        return self.computation + self.exchange


class CostModel(NamedTuple):
    """The prices of everything."""

    computation: Prices
    memory: Prices
    exchange: Prices

    def predicted(self, size: Size, n_workers: int) -> Cost:
        """What a meta-update costs that is cut by seeds, a block for each worker with a core of its own.

        Args:
            size: of the whole batch.
            n_workers: a divisor of its seeds, or of these and of the tasks of each, see `training/blocks.py`.
        """
        n_seed_parts = np.gcd(size.n_seeds, n_workers)
        n_tasks = size.n_tasks * n_seed_parts // n_workers
        block = size._replace(n_seeds=int(size.n_seeds // n_seed_parts), n_tasks=int(n_tasks))
        exchange = self.exchange.cost(Exchange(n_workers, size.n_bytes)) if n_workers > 1 else 0.0
        return Cost(self.computation.cost(block), exchange, self.memory.cost(block))
