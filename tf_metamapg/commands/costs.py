"""Fits a cost model to measurements, checks its predictions on others, and says what large batches would take."""

from typing import Any

from tf_metamapg.benchmarks import cost_model
from tf_metamapg.benchmarks import workloads
from tf_metamapg.benchmarks.cost_model import CostModel
from tf_metamapg.benchmarks.cost_model import Exchange
from tf_metamapg.benchmarks.cost_model import Size
from tf_metamapg.commands import side_by_side
from tf_metamapg.runs import terminal

_N_WORKERS = (2, 4, 8)  # that exchange something
# What predictions are checked on: workloads that nothing is fitted to, and how many workers compute them.
_CHECKED = (("wide", 1), ("chain", 1), ("long", 1), ("tabular", 2), ("wide", 2), ("long", 2))
# What is predicted, and for how many workers with a core of their own.
_LARGE = Size(n_seeds=1000, n_tasks=32, n_trajectories=64, horizon=150, chain_length=1, n_params=10)
_N_WORKERS_OF_LARGE = (16, 64, 256, 1000)
# How prices are printed: the unit, and how many of it a second or a megabyte has.
_UNITS = {"computation": ("µs", 1e6), "memory": ("kB", 1e3), "exchange": ("µs", 1e6)}


def measure(n_repeats: int, started: side_by_side.Started) -> dict[str, Any]:
    """Measures and prints.

    Args:
        n_repeats: medians that the median is taken of.
        started: called with each process.

    Returns:
        what can be written as JSON.
    """
    terminal.heading(f"{'one process, one core':<32}{'seconds':>10}{'MB':>8}")
    updates = {}
    for name in workloads.FITTED:
        updates[name] = measured = side_by_side.of_pinned(name, 1, n_repeats, started)
        terminal.say(f"{name:<32}{measured['meta_update_seconds']:>10.4f}{measured['peak_mb']:>8.0f}")
    terminal.heading(f"\n{'workers that compute nothing':<32}{'seconds':>10}")
    exchanges = {}
    for n_workers in _N_WORKERS:
        for name, n_bytes in workloads.EXCHANGES.items():
            seconds = side_by_side.of_pinned(name, n_workers, n_repeats, started)["meta_update_seconds"]
            exchanges[Exchange(n_workers, n_bytes)] = seconds
            terminal.say(f"{f'{n_workers} workers, {n_bytes} bytes':<32}{seconds:>10.4f}")
    model = _fitted(updates, exchanges)
    return {
        "measured": updates, "exchanges": [{**said._asdict(), "seconds": exchanges[said]} for said in exchanges],
        "prices": _show_prices(model), "checked": _check(model, n_repeats, started), "predicted": _predict(model),
    }


def _fitted(updates, exchanges):
    """The CostModel of what has been measured."""
    sizes = [workload.size() for workload in workloads.FITTED.values()]
    seconds, megabytes = ([found[key] for found in updates.values()] for key in ("meta_update_seconds", "peak_mb"))
    return CostModel(
        cost_model.fitted(cost_model.COMPUTATION, list(zip(sizes, seconds))),
        cost_model.fitted(cost_model.MEMORY, list(zip(sizes, megabytes))),
        cost_model.fitted(cost_model.EXCHANGE, list(exchanges.items())),
    )


def _show_prices(model):
    by_part = {part: prices.by_name() for part, prices in model._asdict().items()}
    terminal.heading("\nprices")
    for part, by_name in by_part.items():
        unit, n_units = _UNITS[part]
        for name, price in by_name.items():
            terminal.say(f"{f'{part}: {name}':<36}{n_units * price:>12.4g} {unit}")
    return by_part


def _check(model, n_repeats, started):
    """Predictions beside what is measured."""
    terminal.heading(
        f"\n{'not fitted to':<20}{'workers':>8}{'seconds':>10}{'predicted':>11}{'MB':>8}{'predicted':>11}"
    )
    results = {}
    for name, n_workers in _CHECKED:
        measured = side_by_side.of_pinned(name, n_workers, n_repeats, started)
        cost = model.predicted(workloads.WORKLOADS[name].size(), n_workers)
        results[f"{name}, workers={n_workers}"] = {**measured, "predicted": cost._asdict()}
        terminal.say(
            f"{name:<20}{n_workers:>8}{measured['meta_update_seconds']:>10.4f}{cost.seconds:>11.4f}"
            f"{measured['peak_mb']:>8.0f}{cost.megabytes:>11.0f}"
        )
    return results


def _predict(model):
    """What a large batch would take, far beyond what the prices are fitted to."""
    terminal.heading(
        f"\n{_LARGE.n_seeds} seeds × {_LARGE.n_tasks} tasks, by the model: seconds a meta-update, MB a worker\n"
        f"{'workers':<10}{'computing':>11}{'exchange':>10}{'of both':>9}{'MB':>8}"
    )
    results = {}
    for n_workers in _N_WORKERS_OF_LARGE:
        results[n_workers] = (cost := model.predicted(_LARGE, n_workers))._asdict()
        terminal.say(
            f"{n_workers:<10}{cost.computation:>11.3f}{cost.exchange:>10.4f}{cost.exchange / cost.seconds:>9.1%}"
            f"{cost.megabytes:>8.0f}"
        )
    return results
