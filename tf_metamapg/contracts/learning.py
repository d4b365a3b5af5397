"""What simulators, critics and estimators have."""

from collections.abc import Sequence
from typing import Literal
from typing import Protocol
from typing import runtime_checkable

import tensorflow as tf

from tf_metamapg.contracts.policies import Policy
from tf_metamapg.contracts.policies import StepPolicy
from tf_metamapg.contracts.specs import GameSpec
from tf_metamapg.contracts.values import JointParams
from tf_metamapg.contracts.values import Params
from tf_metamapg.contracts.values import Structure
from tf_metamapg.contracts.values import Trajectory


@runtime_checkable
class Simulator(Protocol):
    """What lets policies play a game. No gradient flows through what it returns.

    Attributes:
        spec: of the game that is played.
        policies: one for each agent.
        in_graph: whether it is made of TensorFlow operations.
        n_trajectories: K.
        horizon: T.
    """

    spec: GameSpec
    policies: tuple[StepPolicy, ...]
    in_graph: bool
    n_trajectories: int
    horizon: int

    def sample(self, joint_params: JointParams, tasks: Structure, keys: tf.Tensor) -> Trajectory:
        """K trajectories of at most T steps for each seed and task, from keys [S, 2]."""
        ...


@runtime_checkable
class Critic(Protocol):
    """Value estimates b_t that are subtracted from returns to reduce variance.

    What it says of a trajectory must not depend on the trajectory's own actions and rewards, but for what had been
    observed by then; with `sees_other_actions`, also on what the others do at the same step.

    Attributes:
        sees_other_actions: whether its estimates depend on what the others do at the same step.
        learning_rate: Adam's step size after each meta-update; of no use if it does not learn.
    """

    sees_other_actions: bool
    learning_rate: float

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
    """The agents' objectives as functions of the parameters of all agents; see `estimators/`.

    Attributes:
        spec: of the game.
        default_tasks: of the game.
        in_graph: whether `sample` is made of TensorFlow operations; a `PlayingEstimator` may have others play.
        n_steps: environment steps that are simulated for each seed and task.
    """

    spec: GameSpec
    default_tasks: Structure
    in_graph: bool
    n_steps: int

    # To be read only, so that a member's may be of a narrower type; an attribute does.

    @property
    def policies(self) -> tuple[Policy, ...]:
        """One for each agent."""
        ...

    @property
    def inner_update(self) -> Literal["expected", "sampled"]:
        """What φ is a function of: θ alone, or θ and what was sampled."""
        ...

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
    """An estimator from trajectories.

    Attributes:
        simulator: what plays the game.
        critic: what reduces the variance.
    """

    simulator: Simulator
    critic: Critic

    @property
    def policies(self) -> tuple[StepPolicy, ...]:
        """One for each agent, that acts step by step."""
        ...

    def make_sample(
        self, trajectory: Trajectory, joint_params: JointParams, critic_params: JointParams = ()
    ) -> Structure:
        """What `sample` would have returned had it seen these trajectories, [S, N, K, T]."""
        ...
