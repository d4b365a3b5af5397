"""What games have, and distributions of tasks."""

from collections.abc import Sequence
from typing import Protocol
from typing import runtime_checkable

import numpy as np
import tensorflow as tf

from tf_metamapg.contracts.specs import GameSpec
from tf_metamapg.contracts.values import Structure


@runtime_checkable
class AnyGame(Protocol):
    """What all games have.

    Attributes:
        spec: what one has to know of the game to make policies for it.
        default_tasks: one task, with leaves [...]: the game as it is by itself; () if tasks cannot differ. Floating
            numbers come back as tensors in the dtype of the spec, and whole numbers stay whole.
    """

    spec: GameSpec
    default_tasks: Structure


@runtime_checkable
class Game(AnyGame, Protocol):
    """A game that is played step by step, made of TensorFlow operations; [...] is [S, N, K].

    Tasks are what may differ between the games that a meta-agent learns across, such as payoffs; every method gets
    them, with leading axes [S, N], in front of what one task is. Randomness comes from outside, as uniform numbers in
    [0, 1). One trajectory is one episode. Where it can end, `step` says for each agent whether it goes on: one that has
    left is out for the rest of the episode, its actions are zeros and nothing that it sees or gets counts. When all
    have left, the state stays as it was before the last step, and what `step` makes of it does not count. A game
    whose spec names metrics is a `MeasuredGame`.

    Attributes:
        n_reset_uniforms: how many uniform numbers a reset takes, for each seed, task and trajectory.
        n_step_uniforms: how many a step takes.
    """

    n_reset_uniforms: int
    n_step_uniforms: int

    def reset(self, tasks: Structure, uniforms: tf.Tensor) -> Structure:
        """The state before the first step, leaves [S, N, K, ...], from uniform numbers [n_reset_uniforms, S, N, K]."""
        ...

    def step(
        self, tasks: Structure, state: Structure, joint_action: tuple[tf.Tensor, ...], uniforms: tf.Tensor
    ) -> tuple[Structure, tuple[tf.Tensor, ...], tuple[tf.Tensor, ...]]:
        """What a joint action leads to.

        Args:
            tasks: leaves [S, N, ...].
            state: leaves [S, N, K, ...].
            joint_action: tuple over agents of tensors [S, N, K, *action].
            uniforms: tensor [n_step_uniforms, S, N, K].

        Returns:
            (the next state; tuple over agents of rewards [S, N, K]; tuple over agents of bools [S, N, K], whether each
            goes on, or () where the game does not end).
        """
        ...

    def observe(self, tasks: Structure, state: Structure, agent_index: int) -> tf.Tensor:
        """What an agent sees: tensor [S, N, K, *observation]."""
        ...


@runtime_checkable
class MeasuredGame(Game, Protocol):
    """A game whose spec names metrics."""

    def metrics(
        self, tasks: Structure, state: Structure, joint_action: tuple[tf.Tensor, ...]
    ) -> dict[str, tuple[tf.Tensor, ...]]:
        """By name, for each agent, tensor [S, N, K] of one step, NaN where a metric is not defined there.

        What is reported are means over the steps where it is defined: so a rate of cooperation after some joint action
        is 1, 0 or, after others, NaN.
        """
        ...


@runtime_checkable
class Environments(Protocol):
    """B environments outside of TensorFlow, each of which plays one episode after another; arrays in, arrays out."""

    def reset(self, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        """Begins B episodes, each of which its seed, int64 [B], decides: for each agent what it sees, [B, ...]."""
        ...

    def step(self, joint_action: Sequence[np.ndarray]) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        """One step of all episodes that go on.

        Args:
            joint_action: for each agent what it does, [B, ...]; where it is not there, whatever that is.

        Returns:
            (for each agent what it sees, [B, ...]; rewards [n_agents, B]; bools [n_agents, B], whether each goes on).
            Where an agent has left it sees zeros, and gets zeros from the step on after its last.
        """
        ...


@runtime_checkable
class HostGame(AnyGame, Protocol):
    """A game that is played outside of TensorFlow."""

    def make_environments(self, n_workers: int) -> Environments:
        """New environments, as many as they are given seeds.

        Args:
            n_workers: how many processes or threads share their work; what is played does not depend on it.
        """
        ...


@runtime_checkable
class ExactGame(AnyGame, Protocol):
    """A game whose values are known in closed form.

    Strategies are what `ExactPolicy.strategy` returns: action probabilities [S, N, O, A] for all O observations of an
    agent, or the vector [S, N, P] that it plays.
    """

    def exact_values(self, tasks: Structure, strategies: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """Vⁱ of every agent, tensors [S, N], differentiable any number of times in the strategies."""
        ...

    def exact_lengths(self, tasks: Structure, strategies: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """E Σ_t γᵗ over the steps of each agent's episode, tensors [S, N]; 1 / (1 − γ) where it does not end."""
        ...


@runtime_checkable
class MeasuredExactGame(ExactGame, Protocol):
    """A game whose metrics are known in closed form, too."""

    def exact_metrics(
        self, tasks: Structure, strategies: tuple[tf.Tensor, ...]
    ) -> dict[str, tuple[tf.Tensor, ...]]:
        """By name, for each agent, E Σ_t γᵗ m_t over E Σ_t γᵗ, tensors [S, N]: the discounted mean per step.

        Both sums are over the steps where m_t is defined; NaN where it never is.
        """
        ...


@runtime_checkable
class EntropyGame(ExactGame, Protocol):
    """A game in which the entropy of the agents' actions is known in closed form, too."""

    def exact_entropies(self, tasks: Structure, strategies: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """E Σ_t γᵗ H(πⁱ(·|o_t)) in nats over each agent's steps, tensors [S, N], differentiable like values."""
        ...


@runtime_checkable
class TaskDistribution(Protocol):
    """Where tasks come from."""

    def sample(self, keys: tf.Tensor, n_tasks: int) -> Structure:
        """Tasks with leaves [S, N, ...], from keys [S, 2]."""
        ...
