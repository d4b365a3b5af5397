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
_N_WORKERS_OF_LARGE = (1, 2, 4, 8, 16, 64, 256, 1000)


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
        for name in workloads.EXCHANGES:
            seconds = side_by_side.of_workers(name, n_workers, n_repeats, started)["meta_update_seconds"]
            exchanges[f"{n_workers} workers, {name}"] = seconds
            terminal.say(f"{f'{n_workers} workers, {workloads.EXCHANGES[name]} bytes':<32}{seconds:>10.4f}")
    model = _fitted(updates, exchanges)
    return {
        "measured": updates, "exchanges": exchanges, "prices": _show_prices(model),
        "checked": _checked(model, n_repeats, started), "predicted": _predicted(model),
    }


def _fitted(updates, exchanges):
    """The CostModel of what has been measured."""
    sizes = {name: workload.size() for name, workload in workloads.FITTED.items()}
    said = [Exchange(n_workers, n_bytes) for n_workers in _N_WORKERS for n_bytes in workloads.EXCHANGES.values()]
    return CostModel(
        cost_model.fitted(
            cost_model.COMPUTATION, [(sizes[name], found["meta_update_seconds"]) for name, found in updates.items()]
        ),
        cost_model.fitted(cost_model.MEMORY, [(sizes[name], found["peak_mb"]) for name, found in updates.items()]),
        cost_model.fitted(cost_model.EXCHANGE, list(zip(said, exchanges.values()))),
    )


def _show_prices(model):
    by_part = {part: getattr(model, part).by_name() for part in CostModel._fields}
    terminal.heading(f"\n{'prices':<48}")
    for part, unit in (("computation", "µs"), ("exchange", "µs"), ("memory", "kB")):
        for name, price in by_part[part].items():
            terminal.say(f"{f'{part}: {name}':<36}{1e3 * price if part == 'memory' else 1e6 * price:>12.4g} {unit}")
    return by_part


def _checked(model, n_repeats, started):
    """Predictions beside what is measured."""
    terminal.heading(
        f"\n{'not fitted to':<20}{'workers':>8}{'seconds':>10}{'predicted':>11}{'MB':>8}{'predicted':>11}"
    )
    results = {}
    for name, n_workers in _CHECKED:
        measured = side_by_side.of_pinned(name, n_workers, n_repeats, started)
        cost = model.predicted(workloads.WORKLOADS[name].size(), n_workers)
        results[f"{name}, {n_workers} workers"] = {**measured, "predicted": cost._asdict()}
        terminal.say(
            f"{name:<20}{n_workers:>8}{measured['meta_update_seconds']:>10.4f}{cost.seconds:>11.4f}"
            f"{measured['peak_mb']:>8.0f}{cost.megabytes:>11.0f}"
        )
    return results


def _predicted(model):
    """What a large batch would take."""
    terminal.heading(
        f"\n{_LARGE.n_seeds} seeds × {_LARGE.n_tasks} tasks, seconds for a meta-update, MB of each worker\n"
        f"{'workers':<10}{'computing':>11}{'exchange':>10}{'of it':>8}{'MB':>8}"
    )
    results = {}
    for n_workers in _N_WORKERS_OF_LARGE:
        results[n_workers] = (cost := model.predicted(_LARGE, n_workers))._asdict()
        terminal.say(
            f"{n_workers:<10}{cost.computation:>11.3f}{cost.exchange:>10.4f}{cost.exchange / cost.seconds:>8.1%}"
            f"{cost.megabytes:>8.0f}"
        )
    return results
