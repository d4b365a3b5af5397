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
        """What the exported model can be asked: by name, a function and the specs of its arguments."""
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
