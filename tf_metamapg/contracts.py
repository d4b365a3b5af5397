"""Contracts: the values that flow through the package, and what a member of each kind has.

A member needs no base class. Whatever has what a Protocol says is accepted where one is asked for, and refused in one
line that names what it lacks where it has not. `tf_metamapg.testing` has tests for members of every kind.

Axes stand in this order everywhere: S seeds, N tasks, K trajectories, T time steps. Agents are numbered from 0 and are
always the outermost Python sequence, never a tensor axis, so that agents of one game may have policies of different
kinds. A Structure is a nest of tensors, lists, tuples and dicts; () is nothing.
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import inspect
import typing
from typing import Any
from typing import Literal
from typing import NamedTuple
from typing import Protocol
from typing import runtime_checkable

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import descriptions

Structure = Any

# The parameters of one agent's policy: one tensor per variable. Initial parameters have shape [S, ...]; parameters that
# are adapted to a task have shape [S, N, ...].
Params = tuple[tf.Tensor, ...]

# (θ¹..θⁿ) or (φ¹..φⁿ).
JointParams = tuple[Params, ...]


@dataclasses.dataclass(frozen=True)
class Discrete:
    """One of n things, such as actions: int32 tensors [...] of numbers in [0, n)."""

    n: int

    def __post_init__(self):
        checks.check_integer("Discrete.n", self.n, minimum=1)

    def tensor_spec(self, dtype: str) -> tf.TensorSpec:
        """The TensorSpec of one of them, in a game of some floating dtype."""
        del dtype
        return tf.TensorSpec([], tf.int32)


@dataclasses.dataclass(frozen=True)
class Box:
    """An array of numbers: a vector (size,) or an image (height, width, channels), in the dtype of its game."""

    shape: tuple[int, ...]

    def __post_init__(self):
        is_shape = isinstance(self.shape, (list, tuple)) and len(self.shape) > 0
        checks.check(is_shape, "Box.shape", self.shape, "a tuple of sizes, such as (3,) for vectors of three numbers")
        for size in self.shape:
            checks.check_integer("Box.shape", size, minimum=1)
        object.__setattr__(self, "shape", tuple(self.shape))

    def tensor_spec(self, dtype: str) -> tf.TensorSpec:
        """The TensorSpec of one of them, in a game of some floating dtype."""
        return tf.TensorSpec(self.shape, dtype)


Space = Discrete | Box


@dataclasses.dataclass(frozen=True)
class AgentSpec:
    """What one agent of a game sees and does."""

    observation: Space
    action: Space
    dtype: str  # of the game


@dataclasses.dataclass(frozen=True, kw_only=True)
@descriptions.described
class GameSpec:
    """What one has to know of a game to make policies for it."""

    name: str  # what the game is called in figures and summaries
    discount: float  # γ, in [0, 1); 1 is allowed where every episode surely ends
    dtype: str  # of everything that is not a whole number: 'float32' or 'float64'
    observations: tuple[Space, ...]  # what each agent sees at one step
    actions: tuple[Space, ...]  # what each agent does at one step
    ends: bool = False  # whether episodes can end; where they cannot, nothing is computed for it
    metrics: tuple[str, ...] = ()  # names of what else is reported for each agent, such as the rate of cooperation

    def __post_init__(self):
        checks.check_boolean("GameSpec.ends", self.ends)
        check_game_numbers("GameSpec", self.discount, self.dtype, self.name, self.ends)
        is_sequence = isinstance(self.observations, (list, tuple)) and len(self.observations) > 0
        checks.check(is_sequence, "GameSpec.observations", self.observations, "a tuple, one space for each agent")
        checks.check_length("GameSpec.actions", self.actions, len(self.observations))
        for field in ("observations", "actions"):
            for index, space in enumerate(getattr(self, field)):
                is_space = isinstance(space, (Discrete, Box))
                checks.check(is_space, f"GameSpec.{field}[{index}]", space, "a Discrete or a Box")
            object.__setattr__(self, field, tuple(getattr(self, field)))
        are_names = isinstance(self.metrics, (list, tuple)) and all(isinstance(name, str) for name in self.metrics)
        checks.check(are_names, "GameSpec.metrics", self.metrics, "a tuple of names")
        for name in self.metrics:
            checks.check(name.isidentifier(), "GameSpec.metrics", name, "names of letters, digits and underscores")
            checks.check(name != "average_reward", "GameSpec.metrics", name, "another name, as rewards have this one")
        are_different = len(set(self.metrics)) == len(self.metrics)
        checks.check(are_different, "GameSpec.metrics", self.metrics, "different names")
        object.__setattr__(self, "metrics", tuple(self.metrics))

    @property
    def n_agents(self) -> int:
        """How many agents play."""
        return len(self.observations)

    def agent(self, agent_index: int) -> AgentSpec:
        """What one agent sees and does.

        Raises:
            InvalidInputError: if there is no such agent.
        """
        checks.check_agent_index("agent_index", agent_index, self.n_agents)
        return AgentSpec(self.observations[agent_index], self.actions[agent_index], self.dtype)


def check_game_numbers(kind, discount, dtype, name, ends=False):
    """Raises `InvalidInputError` unless a game's discount, dtype and name are such.

    Args:
        kind: the name of what has these parameters.
        discount: γ.
        dtype: the name of a floating dtype.
        name: what the game is called.
        ends: whether its episodes can end.
    """
    checks.check_number(f"{kind}.discount", discount)
    checks.check_dtype(f"{kind}.dtype", dtype)
    checks.check_name(f"{kind}.name", name)
    if ends and discount == 1.0:
        return
    allowed = "in [0, 1]" if ends else "in [0, 1)"
    checks.check(0.0 <= discount < 1.0, f"{kind}.discount", discount, allowed)
    as_dtype = float(tf.constant(discount, dtype))
    checks.check(as_dtype < 1.0, f"{kind}.discount", discount, f"{allowed} when rounded to {dtype}")


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


@descriptions.described
class Trajectory(NamedTuple):
    """K joint trajectories of T steps for every seed and task; every field is a tuple over agents."""

    observations: tuple[tf.Tensor, ...]  # [S, N, K, T, *observation]; what each saw before it acted
    actions: tuple[tf.Tensor, ...]  # [S, N, K, T, *action]
    rewards: tuple[tf.Tensor, ...]  # [S, N, K, T], for the joint action of the same step
    mask: tuple[tf.Tensor, ...] = ()  # bool [S, N, K, T], whether each was there; () where the game does not end
    metrics: Structure = ()  # for each name of the game's spec a tuple over agents of [S, N, K, T]

    def agent_mask(self, agent_index: int) -> tf.Tensor | None:
        """Whether an agent was there at each step, bool [S, N, K, T]; None where the game does not end."""
        return self.mask[agent_index] if self.mask else None


@runtime_checkable
class Policy(Protocol):
    """How an agent acts: a function of parameters that always come from outside, so that gradients flow through them.

    A model's own variables are never read or assigned.
    """

    spec: AgentSpec
    reference_params: Params  # leaves [...], of some new policy that is nobody's initial one

    def initial_params(self, seeds: Sequence[int]) -> Params:
        """New parameters, leaves [S, ...]; those of a seed depend on that seed alone."""
        ...


@runtime_checkable
class StepPolicy(Policy, Protocol):
    """A policy that acts step by step."""

    n_uniforms: int  # how many uniform numbers an action takes

    def initial_state(self, shape: Sequence[int]) -> Structure:
        """The recurrent state before the first step, tensors [*shape, ...]; () if there is none."""
        ...

    def sampler(self, params: Params) -> Callable:
        """A function (observations [S, N, K, ...], state, uniforms [n_uniforms, S, N, K]) → (actions, next state)."""
        ...

    def distribution(self, params: Params, observations: tf.Tensor) -> Any:
        """The distribution of actions at every step of trajectories, batch shape [S, N, K, T]."""
        ...

    def log_probs(self, params: Params, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """log π(a_t | o_0..o_t), [S, N, K, T]; differentiable any number of times in `params`."""
        ...

    def log_likelihood(self, observations: tf.Tensor, actions: tf.Tensor, mask: tf.Tensor | None) -> Callable:
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

    def signatures(self, model: Any) -> dict[str, tuple[Callable, list]]:
        """What the exported model can be asked: by name, a function and the specs of its arguments."""
        ...


@runtime_checkable
class Simulator(Protocol):
    """What lets policies play a game. No gradient flows through what it returns."""

    spec: GameSpec
    policies: tuple[StepPolicy, ...]
    in_graph: bool  # whether it is made of TensorFlow operations
    n_trajectories: int  # K
    horizon: int  # T

    def sample(self, joint_params: JointParams, tasks: Structure, keys: tf.Tensor) -> Trajectory:
        """K trajectories of at most T steps for each seed and task, from keys [S, 2]."""
        ...


@runtime_checkable
class Critic(Protocol):
    """Value estimates b_t that are subtracted from returns to reduce variance.

    What it says of a trajectory must not depend on the trajectory's own actions and rewards, but for what had been
    observed by then; with `sees_other_actions`, also on what the others do at the same step.
    """

    sees_other_actions: bool
    learning_rate: float  # Adam's step size after each meta-update; of no use if it does not learn

    def initial_params(self, seeds: Sequence[int]) -> JointParams:
        """For each agent new parameters, leaves [S, ...]; () for each if it does not learn."""
        ...

    def values(self, params: Params, joint_params: JointParams, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """Estimates of the returns to go of one agent, [S, N, K, T], from its critic's params [S, N, ...]."""
        ...

    def loss(self, params: Params, joint_params: JointParams, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """How wrong they are, [S, N]; what it learns by is its derivative in `params`."""
        ...


@runtime_checkable
class Estimator(Protocol):
    """The agents' objectives as functions of the parameters of all agents; see `estimators/`."""

    spec: GameSpec
    default_tasks: Structure
    policies: tuple[Policy, ...]
    inner_update: Literal["expected", "sampled"]  # what φ is a function of: θ alone, or θ and what was sampled
    in_graph: bool  # whether `sample` is made of TensorFlow operations; a `PlayingEstimator` may have others play
    n_steps: int  # environment steps that are simulated for each seed and task

    def sample(
        self, joint_params: JointParams, tasks: Structure, keys: tf.Tensor, critic_params: JointParams = ()
    ) -> Structure:
        """Plays the game, if need be; no gradient flows through what is returned."""
        ...

    def objectives(self, joint_params: JointParams, tasks: Structure, sample: Structure) -> tuple[tf.Tensor, ...]:
        """Vⁱ or a surrogate of it for every agent, tensors [S, N]."""
        ...

    def current_policy_objective(
        self, joint_params: JointParams, sample: Structure, agent_index: int, later_values: tf.Tensor
    ) -> tf.Tensor:
        """[S, N], of which the current-policy term of Theorem 1 is the derivative at one link."""
        ...

    def values(self, joint_params: JointParams, tasks: Structure, sample: Structure) -> tuple[tf.Tensor, ...]:
        """Discounted values of all agents, tensors [S, N]."""
        ...

    def mean_rewards(self, joint_params: JointParams, tasks: Structure, sample: Structure) -> tuple[tf.Tensor, ...]:
        """Mean rewards per step of all agents, tensors [S, N]."""
        ...

    def metrics(
        self, joint_params: JointParams, tasks: Structure, sample: Structure
    ) -> dict[str, tuple[tf.Tensor, ...]]:
        """By the names of the game's spec, means per step of all agents, tensors [S, N]."""
        ...

    def entropies(self, joint_params: JointParams, tasks: Structure, sample: Structure) -> tuple[tf.Tensor, ...]:
        """E Σ_t γᵗ H(πⁱ(·|o_t)) in nats, or a surrogate of it, for every agent, tensors [S, N]."""
        ...


@runtime_checkable
class PlayingEstimator(Estimator, Protocol):
    """An estimator from trajectories."""

    simulator: Simulator
    critic: Critic

    def make_sample(
        self, trajectory: Trajectory, joint_params: JointParams, critic_params: JointParams = ()
    ) -> Structure:
        """What `sample` would have returned had it seen these trajectories."""
        ...


@descriptions.described
class AgentState(NamedTuple):
    """All that an agent is at one link of a chain."""

    params: Params  # φ_l, leaves [S, N, ...]
    extra: Structure = ()  # moments of an optimiser, a critic, …: leaves [S, N, ...]


@descriptions.described
class MetaParams(NamedTuple):
    """What a meta-agent learns, or derivatives with respect to it."""

    initial: Params  # θ, leaves [S, ...]
    update: Structure = ()  # what its inner updates are made with, leaves [S, max(L, 1), ...]; () if it is fixed


@descriptions.described
class MetaGradients(NamedTuple):
    """The three terms of Theorem 1 (Eq. 7) for one agent."""

    current_policy: MetaParams
    self_shaping: MetaParams
    opponent_shaping: MetaParams

    @property
    def total(self) -> MetaParams:
        """Their sum: the gradient of the meta-value."""
        return tf.nest.map_structure(lambda *terms: tf.add_n(terms), *self)


@runtime_checkable
class Agent(Protocol):
    """How an agent learns."""

    is_meta_agent: bool  # whether it learns its initial policy

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
            objectives: `adaptation.Objectives` at the link.
            agent_index: i, which agent of the game it is.
            step_params: leaves [S, ...], the slice of `update` of this link.
        """
        ...

    def meta_gradients(self, chain: Any, agent_index: int) -> MetaGradients:
        """The three terms of Theorem 1, or zeros if it is no meta-agent."""
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


def check_kind(parameter, value, contract, allowed):
    """Raises `InvalidInputError`, with what is missing, unless a value is an object that has what a Protocol says.

    Args:
        parameter: the name of the argument.
        value: its value.
        contract: one of the Protocols above.
        allowed: what may stand there, as the end of the sentence "must be …".
    """
    if isinstance(value, type) or inspect.isroutine(value):
        kind = "class" if isinstance(value, type) else "function"
        checks.check(False, parameter, value, f"{allowed}; this is a {kind}")
    members = _members(contract)
    missing = [name for name in members if name not in dir(value)]
    is_similar = len(missing) < len(members)
    lacks = f"this lacks {', '.join(missing[:3])}{', …' if len(missing) > 3 else ''}; " if is_similar else ""
    where = contract.__module__.removeprefix("tf_metamapg.")
    checks.check(not missing, parameter, value, f"{allowed}; {lacks}see {where}.{contract.__name__}")
    for name, kind in typing.get_type_hints(contract).items():
        if kind in (GameSpec, AgentSpec):
            is_right = isinstance(getattr(value, name), kind)
            checks.check(is_right, f"{parameter}.{name}", getattr(value, name), f"of contracts.{kind.__name__}")


def _members(contract):
    """The names of all that a Protocol asks for."""
    bases = [base for base in contract.__mro__ if base not in (Protocol, object) and issubclass(base, Protocol)]
    return dict.fromkeys(
        name for base in bases for name in (*base.__dict__.get("__annotations__", ()), *vars(base))
        if not name.startswith("_")
    )
