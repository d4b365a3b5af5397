"""What policies have, and populations of them."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import Protocol
from typing import runtime_checkable

import tensorflow as tf

from tf_metamapg.contracts.specs import AgentSpec
from tf_metamapg.contracts.values import Params
from tf_metamapg.contracts.values import Structure
from tf_metamapg.contracts.values import Trajectory


@runtime_checkable
class Policy(Protocol):
    """How an agent acts: a function of parameters that always come from outside, so that gradients flow through them.

    A model's own variables are never read or assigned.

    Attributes:
        spec: what the agent sees and does.
        reference_params: leaves [...], of some new policy that is nobody's initial one.
    """

    spec: AgentSpec
    reference_params: Params

    def initial_params(self, seeds: Sequence[int]) -> Params:
        """New parameters, leaves [S, ...]; those of a seed depend on that seed alone."""
        ...


@runtime_checkable
class StepPolicy(Policy, Protocol):
    """A policy that acts step by step.

    Attributes:
        n_uniforms: how many uniform numbers an action takes.
    """

    n_uniforms: int

    def initial_state(self, shape: Sequence[int]) -> Structure:
        """The recurrent state before the first step, tensors [*shape, ...]; () if there is none."""
        ...

    def sampler(self, params: Params) -> Callable[[tf.Tensor, Structure, tf.Tensor], tuple[tf.Tensor, Structure]]:
        """A function (observations [S, N, K, ...], state, uniforms [n_uniforms, S, N, K]) → (actions, next state)."""
        ...

    def distribution(self, params: Params, observations: tf.Tensor) -> Any:
        """The distribution of actions at every step of trajectories, batch shape [S, N, K, T]."""
        ...

    def log_probs(self, params: Params, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """log π(a_t | o_0..o_t), [S, N, K, T]; differentiable any number of times in `params`."""
        ...

    def log_likelihood(
        self, observations: tf.Tensor, actions: tf.Tensor, mask: tf.Tensor | None
    ) -> Callable[[Params], tf.Tensor]:
        """A function of params to the mean of `log_probs` over the steps where the mask holds, [S, N]."""
        ...


@runtime_checkable
class CarryingPolicy(StepPolicy, Protocol):
    """A policy that carries something from the episodes of one link of a chain to those of the next; see `carrying.py`.

    Attributes:
        n_carried: how many of its parameters, the last ones, are that: zeros at the first link, and climbed by nobody.
    """

    n_carried: int

    def carry(self, updated: Params, params: Params, trajectory: Trajectory, agent_index: int) -> Params:
        """Its parameters at the next link.

        Args:
            updated: leaves [S, N, ...], what the agent's inner update has made of them.
            params: leaves [S, N, ...], that it has played with.
            trajectory: fields [S, N, K, T], what it has seen.
            agent_index: i, which agent of the game it plays.

        Returns:
            Params [S, N, ...], differentiable in `updated` and `params`.
        """
        ...


@runtime_checkable
class ExactPolicy(Policy, Protocol):
    """A policy that exact values can be computed of: one without a recurrent state."""

    def strategy(self, params: Params) -> tf.Tensor:
        """π(a|o) for all observations, float64 [S, N, O, A], or the vector [S, N, P] that is played."""
        ...


@runtime_checkable
class ExportablePolicy(Policy, Protocol):
    """A policy that can be saved."""

    def model(self) -> Any:
        """A new Keras model, to be given parameters."""
        ...

    def signatures(self, model: Any) -> dict[str, tuple[Callable[..., Any], list[tf.TensorSpec]]]:
        """What the exported model can be asked: by name, a function and the specs of its arguments.

        Arguments have an axis in front for B observations, [B, ...].
        """
        ...


@runtime_checkable
class Population(Protocol):
    """Where the initial policies of an agent come from that starts every task from another one."""

    def sample(self, phase: int, keys: tf.Tensor, n_tasks: int) -> Params:
        """Params [S, N, ...] for a phase of a run, from keys [S, 2]."""
        ...

    def check_size(self, phase: int, parameter: str, n_tasks: int) -> None:
        """Raises `InvalidInputError` that names a parameter unless a phase has as many different policies."""
        ...


@runtime_checkable
class GrowingPopulation(Protocol):
    """A population of what one agent has been in the course of meta-training, of its own for each seed.

    Meta-training keeps the pool, P policies that are all the agent's first one to begin with, and puts the present one
    in place of the oldest now and then.

    Attributes:
        agent_index: whose initial policies these are.
        n_policies: P.
        every: after how many meta-updates the present one joins.
    """

    agent_index: int
    n_policies: int
    every: int

    def sample_pool(self, pool: Params, keys: tf.Tensor, n_tasks: int) -> Params:
        """Params [S, N, ...] from a pool [S, P, ...], from keys [S, 2]."""
        ...

    def frozen(self, pool: Params) -> Population:
        """A population of what is in a pool [S, P, ...], for others to meet after meta-training."""
        ...


AnyPopulation = Population | GrowingPopulation
