"""What games have, and distributions of tasks."""

from collections.abc import Callable
from typing import Any
from typing import Protocol
from typing import runtime_checkable

import tensorflow as tf

from tf_metamapg.contracts.specs import GameSpec
from tf_metamapg.contracts.values import Structure


@runtime_checkable
class AnyGame(Protocol):
    """What all games have."""

    spec: GameSpec
    default_tasks: Structure  # one task, with leaves [...]: the game as it is by itself; () if tasks cannot differ


@runtime_checkable
class Game(AnyGame, Protocol):
    """A game that is played step by step, made of TensorFlow operations; [...] is [S, N, K].

    Tasks are what may differ between the games that a meta-agent learns across, such as payoffs; every method gets
    them, with leading axes [S, N], in front of what one task is. Randomness comes from outside, as uniform numbers in
    [0, 1). One trajectory is one episode. Where it can end, `step` says for each agent whether it goes on: one that has
    left is out for the rest of the episode, its actions are zeros and nothing that it sees or gets counts. When all
    have left, the state stays as it was before the last step, and what `step` makes of it does not count.
    """

    n_reset_uniforms: int  # how many uniform numbers a reset takes
    n_step_uniforms: int  # how many a step takes

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
        """By name, for each agent, tensor [S, N, K] of one step; what is reported are means over steps."""
        ...


@runtime_checkable
class HostGame(AnyGame, Protocol):
    """A game that is played outside of TensorFlow, by environments of PettingZoo; see `games.petting_zoo`."""

    make_env: Callable[[], Any]  # makes a `pettingzoo.ParallelEnv` whose spaces are those of the spec


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
        """By name, for each agent, E Σ_t γᵗ m_t over E Σ_t γᵗ, tensors [S, N]: the discounted mean per step."""
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
