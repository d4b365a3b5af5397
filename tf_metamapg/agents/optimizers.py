"""Inner optimisers: what an agent makes of its gradient before it takes a step along it.

They are pure functions of gradients and moments, so that an outer tape differentiates through both: moments travel
along a chain as part of the agent's state. Every seed and task has moments of its own.
"""

from typing import Any

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import axes


class SGD(descriptions.Described):
    """The gradient itself. The other optimisers are subclasses.

    With `max_gradient_norm`, the gradient of a seed and task is shortened to that length first; where it is, the
    derivative is that of the shortened one.
    """

    def __init__(self, max_gradient_norm: float | None = None) -> None:
        """
        Args:
            max_gradient_norm: > 0, in units of value per parameter; None for no limit.

        Raises:
            InvalidInputError: if it is not such a number.
        """
        if max_gradient_norm is not None:
            checks.check_positive(f"{type(self).__name__}.max_gradient_norm", max_gradient_norm)
        self._max_gradient_norm = max_gradient_norm

    def init(self, params: Params) -> Structure:
        """The moments before the first step, leaves [S, N, ...]; () if there are none."""
        del params
        return ()

    def direction(self, gradients: Params, moments: Structure) -> tuple[Params, Structure]:
        """What to step along, in units of the learning rate.

        Args:
            gradients: Params with leaves [S, N, ...].
            moments: what `init` or the last step returned.

        Returns:
            (Params, the next moments), differentiable in both arguments.
        """
        if self._max_gradient_norm is not None:
            gradients = _shortened(gradients, self._max_gradient_norm)
        return self._direction(gradients, moments)

    def _direction(self, gradients: Params, moments: Structure) -> tuple[Params, Structure]:
        return gradients, moments


class Momentum(SGD):
    """m ← μ m + g, and a step along m (Polyak 1964)."""

    def __init__(self, decay: float = 0.9, max_gradient_norm: float | None = None) -> None:
        """
        Args:
            decay: μ, in [0, 1).
            max_gradient_norm: see `SGD`.

        Raises:
            InvalidInputError: if one of these is not such a number.
        """
        super().__init__(max_gradient_norm)
        _check_decay("Momentum.decay", decay)
        self._decay = decay

    def init(self, params: Params) -> Structure:
        """m: zeros like the parameters, [S, N, ...]."""
        return tuple(map(tf.zeros_like, params))

    def _direction(self, gradients: Params, moments: Structure) -> tuple[Params, Structure]:
        moments = tuple(self._decay * m + g for m, g in zip(moments, gradients))
        return moments, moments


class RMSProp(SGD):
    """v ← ρ v + (1 − ρ) g², and a step along g / √(v + ε) (Tieleman & Hinton 2012).

    The root has no derivative at zero, where tabular policies have exact zeros for what they have not seen: ε is inside
    of it. The first step is along g / √((1 − ρ) g² + ε), which hardly depends on the length of g where
    (1 − ρ) g² ≫ ε: the derivative of an update that is nearly a sign is nearly zero, and so is shaping through it.
    Choose ε of the order of g² where that matters.
    """

    def __init__(self, decay: float = 0.9, epsilon: float = 1e-8, max_gradient_norm: float | None = None) -> None:
        """
        Args:
            decay: ρ, in [0, 1).
            epsilon: ε > 0, in units of g².
            max_gradient_norm: see `SGD`.

        Raises:
            InvalidInputError: if one of these is not such a number.
        """
        super().__init__(max_gradient_norm)
        _check_decay("RMSProp.decay", decay)
        checks.check_positive("RMSProp.epsilon", epsilon)
        self._decay = decay
        self._epsilon = epsilon

    def init(self, params: Params) -> Structure:
        """v: zeros like the parameters, [S, N, ...]."""
        return tuple(map(tf.zeros_like, params))

    def _direction(self, gradients: Params, moments: Structure) -> tuple[Params, Structure]:
        moments = tuple(self._decay * v + (1.0 - self._decay) * tf.square(g) for v, g in zip(moments, gradients))
        return tuple(g / tf.sqrt(v + self._epsilon) for g, v in zip(gradients, moments)), moments


class Adam(SGD):
    """m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², and a step along m̂ / √(v̂ + ε) (Kingma & Ba 2015).

    m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ) after t steps. The first step is along g / √(g² + ε): its derivative is
    nearly zero where g² ≫ ε, so that shaping an Adam opponent through one update is dead with a small ε, though finite
    differences agree; choose ε of the order of g² where it should be alive. ε is inside the root, which has no
    derivative at zero, where tabular policies have exact zeros for what they have not seen.
    """

    def __init__(
        self, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8, max_gradient_norm: float | None = None
    ) -> None:
        """
        Args:
            beta_1: β₁, in [0, 1).
            beta_2: β₂, in [0, 1).
            epsilon: ε > 0, in units of g².
            max_gradient_norm: see `SGD`.

        Raises:
            InvalidInputError: if one of these is not such a number.
        """
        super().__init__(max_gradient_norm)
        _check_decay("Adam.beta_1", beta_1)
        _check_decay("Adam.beta_2", beta_2)
        checks.check_positive("Adam.epsilon", epsilon)
        self._betas = beta_1, beta_2
        self._epsilon = epsilon

    def init(self, params: Params) -> Structure:
        """(m, v, t): zeros like the parameters, twice, and the number of steps [S, N]."""
        zeros = tuple(map(tf.zeros_like, params))
        return zeros, zeros, tf.zeros(params[0].shape[:2], params[0].dtype)

    def _direction(self, gradients: Params, moments: Structure) -> tuple[Params, Structure]:
        (beta_1, beta_2), (first, second, n_steps) = self._betas, moments
        n_steps += 1.0
        first = tuple(beta_1 * m + (1.0 - beta_1) * g for m, g in zip(first, gradients))
        second = tuple(beta_2 * v + (1.0 - beta_2) * tf.square(g) for v, g in zip(second, gradients))
        behind = axes.with_axes_behind
        steps = tuple(
            m / behind(1.0 - beta_1**n_steps, m) / tf.sqrt(v / behind(1.0 - beta_2**n_steps, v) + self._epsilon)
            for m, v in zip(first, second)
        )
        return steps, (first, second, n_steps)


def _shortened(gradients: Params, max_norm: float) -> Params:
    """Gradients of at most some length for each seed and task."""
    squares = tf.add_n([tf.reduce_sum(tf.square(g), axis=list(range(2, len(g.shape)))) for g in gradients])
    is_long = squares > max_norm**2
    # The root of what is not shortened is not taken: it has no derivative at zero.
    scale = tf.where(is_long, max_norm / tf.sqrt(tf.where(is_long, squares, tf.ones_like(squares))), 1.0)
    return tuple(axes.with_axes_behind(scale, g) * g for g in gradients)


def _check_decay(parameter: str, value: Any) -> None:
    checks.check_number(parameter, value, minimum=0.0)
    checks.check(value < 1.0, parameter, value, "in [0, 1)")
