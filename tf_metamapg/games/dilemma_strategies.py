"""Well-known strategies of the iterated prisoner's dilemma that remember one step, to measure others against."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from tf_metamapg import checks


def memory_one_strategy(name: str, payoffs: ArrayLike) -> np.ndarray:
    """How likely a strategy cooperates at the start and after CC, CD, DC, DD, of which its own action is the first.

    Args:
        name: one of `STRATEGIES`; or, where the package Axelrod is installed (the extra `axelrod`), "axelrod:" and the
            name of one of its strategies that remember one step, such as "axelrod:ZD-GTFT-2".
        payoffs: of the prisoner's dilemma, array [2, 2, 2]; generosity and extortion depend on them.

    Returns:
        array [5] of probabilities.

    Raises:
        InvalidInputError: if there is no such strategy, or the payoffs are of something else.
    """
    if name.startswith("axelrod:"):
        return _axelrod_strategy(name)
    allowed = f"one of {', '.join(STRATEGIES)}; or axelrod:NAME, of the package Axelrod"
    checks.check(name in STRATEGIES, "strategy", name, allowed)
    payoffs = np.asarray(payoffs, np.float64)
    is_dilemma = payoffs.shape == (2, 2, 2) and np.array_equal(payoffs[0], payoffs[1].T)
    if is_dilemma:
        (reward, sucker), (temptation, punishment) = payoffs[0]
        is_dilemma = temptation > reward > punishment > sucker
    checks.check(is_dilemma, "payoffs", payoffs.tolist(), "those of a prisoner's dilemma, the same for both")
    return np.array(STRATEGIES[name](reward, sucker, temptation, punishment), np.float64)


def _axelrod_strategy(name):
    try:
        import axelrod
    except ImportError as error:
        raise checks.InvalidInputError(
            f"strategy = {name!r}: needs the package Axelrod: pip install 'tf_metamapg[axelrod]' ({error})"
        ) from error
    of_one_step = {
        strategy.name: strategy for strategy in axelrod.strategies if issubclass(strategy, axelrod.MemoryOnePlayer)
    }
    own_name = name.partition(":")[2]
    checks.check(own_name in of_one_step, "strategy", name, f"axelrod: and one of {', '.join(sorted(of_one_step))}")
    player = of_one_step[own_name]()
    cooperate, defect = axelrod.Action.C, axelrod.Action.D
    pairs = [(cooperate, cooperate), (cooperate, defect), (defect, cooperate), (defect, defect)]
    return np.array([player._initial == cooperate, *(player._four_vector[pair] for pair in pairs)], np.float64)


def _generous(reward, sucker, temptation, punishment):
    """Tit for tat that forgives as often as it can without being exploited (Nowak & Sigmund 1992)."""
    forgives = max(0.0, min(
        1.0 - (temptation - reward) / (reward - sucker), (reward - punishment) / (temptation - punishment)
    ))
    return 1.0, 1.0, forgives, 1.0, forgives


def _extortion(factor: float) -> Callable[..., tuple[float, ...]]:
    """A strategy that enforces a surplus over P of `factor` times the other's (Press & Dyson 2012), in the limit γ → 1.

    The free parameter is half of the largest that leaves probabilities; it cooperates at the start.
    """

    def probs(reward, sucker, temptation, punishment):
        gain, loss = (temptation - punishment) / (punishment - sucker), (reward - punishment) / (punishment - sucker)
        scale = 0.5 / max((factor - 1.0) * loss, 1.0 + factor * gain, factor + gain)
        return (
            1.0, 1.0 - scale * (factor - 1.0) * loss, 1.0 - scale * (1.0 + factor * gain), scale * (factor + gain), 0.0
        )

    return probs


# Of R, S, T and P.
STRATEGIES: dict[str, Callable[..., tuple[float, ...]]] = {
    "always_cooperate": lambda *payoffs: (1.0,) * 5,
    "always_defect": lambda *payoffs: (0.0,) * 5,
    "random": lambda *payoffs: (0.5,) * 5,
    "tit_for_tat": lambda *payoffs: (1.0, 1.0, 0.0, 1.0, 0.0),
    "win_stay_lose_shift": lambda *payoffs: (1.0, 1.0, 0.0, 0.0, 1.0),
    "generous_tit_for_tat": _generous,
    "extortion_2": _extortion(2.0),
    "extortion_3": _extortion(3.0),
}
