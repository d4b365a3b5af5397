"""How often each state and joint action of a finite game is expected: what all its exact values are made of."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any
from typing import cast

import numpy as np
import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.numerics import linear
from tf_metamapg.numerics import masks


def expected_visits(
    strategies: Iterable[tf.Tensor], views: np.ndarray, state_transitions: Callable[[tf.Tensor], tf.Tensor],
    discount: float, start: np.ndarray, ends: np.ndarray | None = None,
) -> tf.Tensor:
    """The discounted number of visits to each state, (I − γPᵀ)⁻¹ d₀, times the probabilities of joint actions there.

    Args:
        strategies: for each agent a tensor [S, N, n_observations, A_i] of action probabilities.
        views: int array [n_agents, M], what each agent sees in every state.
        state_transitions: function of the probabilities of joint actions [S, N, M, J], in row-major order, that returns
            P(s'|s) [S, N, M, M], if the game goes on.
        discount: γ.
        start: d₀, array [M] of probabilities of the first state.
        ends: array [M, J], the probability that the game ends after each joint action; None if it never does.

    Returns:
        float64 tensor [S, N, M, J], differentiable any number of times in `strategies`; NaN for a seed and task whose
        strategies are not finite.
    """
    joint_probs, nan_or_one = solvable(joint_action_probs(strategies, views))
    transitions = state_transitions(joint_probs if ends is None else joint_probs * tf.constant(1.0 - ends))
    visits = linear.solve(
        tf.eye(len(start), dtype=tf.float64) - discount * tf.linalg.matrix_transpose(transitions),
        tf.constant(start)[:, tf.newaxis] * tf.ones_like(joint_probs[..., :1]),
    )
    return visits * joint_probs * nan_or_one


def checked_strategies(strategies: Sequence[tf.Tensor], spec: contracts.GameSpec) -> tuple[tf.Tensor, ...]:
    """What exact values of a finite game are a function of, as tensors [S, N, n_observations, A_i].

    Raises:
        InvalidInputError: if `strategies` is something else.
    """
    checks.check_length("strategies", strategies, spec.n_agents)
    sizes: list[Any] = ["S", "N"]
    checked: list[tf.Tensor] = []
    for agent, probs in enumerate(strategies):
        dtype = "float32" if descriptions.is_array(probs) and probs.dtype == "float32" else "float64"
        # A finite game has no others.
        observation = cast(contracts.Discrete, spec.observations[agent])
        action = cast(contracts.Discrete, spec.actions[agent])
        shape = [*sizes, observation.n, action.n]
        checked.append(arguments.tensor(f"strategies[{agent}]", probs, dtype, shape))
        sizes = arguments.seeds_and_tasks(checked)
    return tuple(checked)


def solvable(joint_probs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(probabilities [S, N, M, J] without NaN, NaN for a seed and task that had some and one for others [S, N, 1, 1]).

    The solver raises an error for NaN. So that whoever calls can say which seed went wrong, such probabilities are kept
    from it, and values and gradients are NaN for that seed and task alone.
    """
    is_finite = tf.math.is_finite(joint_probs)
    nan_or_one = tf.where(tf.reduce_all(is_finite, axis=[-2, -1], keepdims=True), 1.0, float("nan"))
    return tf.where(is_finite, joint_probs, tf.zeros_like(joint_probs)), tf.cast(nan_or_one, joint_probs.dtype)


def means(expected_visits: tf.Tensor, table: np.ndarray) -> list[tf.Tensor]:
    """The means of what is not NaN in tables, over all that is visited there; NaN where nothing is.

    Args:
        expected_visits: what the function of this name returns.
        table: array [n_agents, M, J].

    Returns:
        for each agent a float64 tensor [S, N].
    """
    found = []
    for entries in table:
        is_defined = ~np.isnan(entries)
        total, count = (
            tf.reduce_sum(expected_visits * tf.constant(values, expected_visits.dtype), axis=[-2, -1])
            for values in (np.where(is_defined, entries, 0.0), is_defined.astype(np.float64))
        )
        found.append(masks.ratio(total, count))
    return found


def entropies(
    expected_visits: tf.Tensor, strategies: Iterable[tf.Tensor], views: np.ndarray
) -> list[tf.Tensor]:
    """E Σ_t γᵗ H(πⁱ(·|o_t)) in nats, for each agent a float64 tensor [S, N]; see `expected_visits`."""
    visits = tf.reduce_sum(expected_visits, axis=-1)
    found = []
    for probs, view in zip(map(as_float64, strategies), views):
        by_observation = -tf.reduce_sum(tf.math.xlogy(probs, probs), axis=-1)
        found.append(tf.reduce_sum(visits * tf.gather(by_observation, view, axis=-1), axis=-1))
    return found


def as_float64(probs: tf.Tensor) -> tf.Tensor:
    """Probabilities that sum to one as exactly as float64 can; those that were computed in float32 do within 10⁻⁷."""
    if probs.dtype == tf.float64:
        return probs
    probs = tf.cast(probs, tf.float64)
    return probs / tf.reduce_sum(probs, axis=-1, keepdims=True)


def by_state(strategies: Iterable[tf.Tensor], views: np.ndarray) -> tuple[tf.Tensor, ...]:
    """π(a|s) of every agent, float64 [S, N, M, A_i], from π(a|o), [S, N, n_observations, A_i]."""
    return tuple(tf.gather(probs, view, axis=-2) for probs, view in zip(map(as_float64, strategies), views))


def joint_action_probs(strategies: Iterable[tf.Tensor], views: np.ndarray) -> tf.Tensor:
    """The probabilities of joint actions in every state, in row-major order: [S, N, M, J]."""
    joint_probs = tf.ones([1, 1, 1, 1], tf.float64)
    for own_probs in by_state(strategies, views):
        joint_probs = joint_probs[..., tf.newaxis] * own_probs[..., tf.newaxis, :]
        joint_probs = tf.reshape(joint_probs, [*tf.unstack(tf.shape(own_probs)[:3]), -1])
    return joint_probs
