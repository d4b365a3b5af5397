"""What agents have, and what they are made of."""

from collections.abc import Sequence
from typing import Any
from typing import Protocol
from typing import runtime_checkable

from tf_metamapg.contracts.learning import Estimator
from tf_metamapg.contracts.policies import Policy
from tf_metamapg.contracts.values import AgentState
from tf_metamapg.contracts.values import MetaGradients
from tf_metamapg.contracts.values import Params
from tf_metamapg.contracts.values import Structure


@runtime_checkable
class InnerOptimizer(Protocol):
    """What an agent makes of its gradient before it steps along it; a pure function of gradients and moments."""

    def init(self, params: Params) -> Structure:
        """The moments before the first step of parameters [S, N, ...]: leaves [S, N, ...], or ()."""
        ...

    def direction(self, gradients: Params, moments: Structure) -> tuple[Params, Structure]:
        """(what to step along, the next moments) of gradients [S, N, ...]; differentiable in both arguments."""
        ...


@runtime_checkable
class InnerLearningRate(Protocol):
    """How long an agent's inner updates are.

    Attributes:
        is_learned: whether `init_update` returns meta-parameters, which a meta-agent learns.
    """

    is_learned: bool

    def init_update(self, policy: Policy, n_seeds: int, chain_length: int) -> Structure:
        """What is learned, before it is: leaves [S, max(L, 1), ...], or ()."""
        ...

    def scaled(self, direction: Params, step_params: Structure) -> Params:
        """The step along a direction [S, N, ...], with a slice [S, ...] of what `init_update` returned."""
        ...


@runtime_checkable
class Agent(Protocol):
    """How an agent learns.

    Attributes:
        is_meta_agent: whether it meta-learns: its initial policy, or what its updates are made with.
        plays_ahead: whether its update lets the policies play; it is not compiled if they do outside of the graph.
        reads_others: whether its update depends on the parameters of the others, beside what was sampled; where an
            agent is served, nobody knows them.
    """

    is_meta_agent: bool
    plays_ahead: bool
    reads_others: bool

    def init_update(self, estimator: Estimator, agent_index: int, n_seeds: int, chain_length: int) -> Structure:
        """The `update` part of its MetaParams to begin with, leaves [S, max(L, 1), ...]; () if nothing is learned.

        It is called outside of compiled functions, and before `init`, so that Keras models can be made here.
        """
        ...

    def init(self, params: Params, estimator: Estimator, agent_index: int) -> AgentState:
        """Its state at the first link of a chain.

        Args:
            params: its initial parameters, leaves [S, N, ...].
            estimator: of the chain, whose game and policies it may look at.
            agent_index: i, which agent of the game it is.
        """
        ...

    def update(self, state: AgentState, objectives: Any, agent_index: int, step_params: Structure) -> AgentState:
        """Its state after one inner update (Eq. 3), differentiable in the states of all agents and in `step_params`.

        Args:
            state: its state at the link.
            objectives: `links.Objectives` at the link.
            agent_index: i, which agent of the game it is.
            step_params: leaves [S, ...], the slice of `update` of this link.
        """
        ...

    def meta_gradients(self, chain: Any, agent_index: int) -> MetaGradients:
        """The three terms of Theorem 1, or zeros if it is no meta-agent."""
        ...


@runtime_checkable
class OpponentModel(Protocol):
    """How an agent estimates the policies of the others."""

    def init(self, estimator: Estimator, agent_index: int, batch_shape: Sequence[int]) -> Structure:
        """What it knows before the first link: leaves [S, N, ...] in the dtype of the game, for [S, N] as given."""
        ...

    def estimate(self, estimator: Estimator, link: Any, agent_index: int, known: Structure) -> tuple[Any, Structure]:
        """A link as one agent sees it, with the others' parameters replaced by estimates.

        Args:
            estimator: of the chain.
            link: `links.Link`.
            agent_index: i, who estimates all others.
            known: what it knew after the last link.

        Returns:
            (the Link, what it knows now).
        """
        ...
