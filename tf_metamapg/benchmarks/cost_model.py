"""What meta-updates cost, as a function of their sizes: a sum of numbers of things, each with a price.

Prices are fitted to what has been measured, so that they hold for the machine on which that was done, for the iterated
prisoner's dilemma, for two Meta-MAPG agents, and for sizes that are not far from those. `bin/benchmark --cost_model`
does all of it.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import itertools
from typing import NamedTuple

import numpy as np

from tf_metamapg.training.blocks import Blocks


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
    def n_env_steps(self) -> int:
        """Of all links."""
        return self.n_links * self.n_rollout_steps

    @property
    def n_rollout_steps(self) -> int:
        """Of one link: joint actions of all trajectories."""
        return self.n_seeds * self.n_tasks * self.n_trajectories * self.horizon

    @property
    def n_bytes(self) -> int:
        """What a block says: the three terms of its seeds, and the rewards of two agents in its tasks and all links."""
        return 4 * self.n_seeds * (3 * self.n_params + 2 * self.n_tasks * self.n_links)


class Exchange(NamedTuple):
    """What workers say to each other once."""

    n_workers: int
    n_bytes: int  # of all of them together


# How often each thing is there that has a price, by name: functions of a case.
Features = Mapping[str, Callable[..., float]]

# Seconds of one process on one core.
COMPUTATION: Features = {
    "a meta-update": lambda size: 1,
    "a link": lambda size: size.n_links,
    "a step of time": lambda size: size.n_links * size.horizon,
    "an environment step": lambda size: size.n_env_steps,
    "a parameter of a task": lambda size: size.n_links * size.n_seeds * size.n_tasks * size.n_params,
}
# Megabytes of one process.
MEMORY: Features = {
    "a process": lambda size: 1,
    **{name: COMPUTATION[name] for name in ("an environment step", "a parameter of a task")},
}
# Seconds of an exchange, a reduction in a ring of W workers, each of which sends 2 (W − 1) / W of all bytes.
EXCHANGE: Features = {
    "an exchange": lambda exchange: 1,
    "a worker more": lambda exchange: exchange.n_workers - 1,
    "a byte": lambda exchange: 2 * exchange.n_bytes * (exchange.n_workers - 1) / exchange.n_workers,
}


class Prices(NamedTuple):
    """What each of some things costs."""

    features: Features
    values: np.ndarray  # in the order of the features

    def cost(self, case: Size | Exchange) -> float:
        """What a case costs."""
        return float(np.dot(_numbers(self.features, case), self.values))

    def by_name(self) -> dict[str, float]:
        """The prices by what they are of."""
        return dict(zip(self.features, map(float, self.values)))


def fitted(features: Features, measured: Sequence[tuple[Size | Exchange, float]]) -> Prices:
    """The prices with the least squares of relative errors, none of them negative.

    Args:
        features: what has a price.
        measured: cases and what they cost.
    """
    costs = np.array([cost for _, cost in measured])
    rows = np.stack([_numbers(features, case) for case, _ in measured]) / costs[:, np.newaxis]
    scales = rows.max(axis=0)  # from nanoseconds to seconds
    best, least = np.zeros(len(scales)), np.inf
    # The best of those that only some prices differ from zero in.
    for n_prices in range(1, len(scales) + 1):
        for chosen in map(list, itertools.combinations(range(len(scales)), n_prices)):
            values = np.zeros(len(scales))
            values[chosen] = np.linalg.lstsq(rows[:, chosen] / scales[chosen], np.ones(len(costs)), rcond=None)[0]
            error = np.sum((np.dot(rows, values / scales) - 1.0) ** 2)
            if values.min() >= 0.0 and error < least:
                best, least = values / scales, error
    return Prices(features, best)


def _numbers(features: Features, case: Size | Exchange) -> np.ndarray:
    return np.array([feature(case) for feature in features.values()], np.float64)


class Cost(NamedTuple):
    """What one meta-update takes."""

    computation: float  # seconds
    exchange: float  # seconds
    megabytes: float  # of each worker

    @property
    def seconds(self) -> float:
        """Of the computation and the exchange."""
        return self.computation + self.exchange


class CostModel(NamedTuple):
    """The prices of what a process computes and holds, and of what workers exchange."""

    computation: Prices
    memory: Prices
    exchange: Prices

    def predicted(self, size: Size, n_workers: int) -> Cost:
        """What a meta-update costs where each worker has one block and a core of its own.

        Args:
            size: of the whole batch.
            n_workers: such that `Blocks` can cut it.

        Raises:
            InvalidInputError: if it cannot be cut.
        """
        blocks = Blocks(size.n_seeds, size.n_tasks, n_workers)
        block = size._replace(n_seeds=blocks.n_seeds, n_tasks=blocks.n_tasks)
        exchange = self.exchange.cost(Exchange(n_workers, n_workers * block.n_bytes)) if n_workers > 1 else 0.0
        return Cost(self.computation.cost(block), exchange, self.memory.cost(block))
