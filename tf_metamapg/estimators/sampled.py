"""What the estimators from sampled trajectories have in common; they differ in their surrogates."""

import abc
from collections.abc import Callable
from collections.abc import Sequence
from typing import Literal

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Structure
from tf_metamapg.contracts import Trajectory
from tf_metamapg.critics.baselines import LeaveOneOutBaseline
from tf_metamapg.estimators import scoring
from tf_metamapg.estimators.parts import simulator_and_critic
from tf_metamapg.estimators.sample import check_sample
from tf_metamapg.estimators.sample import means
from tf_metamapg.estimators.sample import Sample
from tf_metamapg.estimators.sample import where_finite
from tf_metamapg.estimators.sample import without_padding
from tf_metamapg.numerics import masks
from tf_metamapg.numerics import returns
from tf_metamapg.simulators.in_graph import InGraphSimulator


class SampledEstimator(descriptions.Described, abc.ABC):
    """Estimates from K trajectories of T steps for each seed and task.

    Attributes:
        spec: `contracts.GameSpec` of the game that is played.
        default_tasks: those of the game.
        policies: one policy for each agent.
        simulator: what plays the game.
        critic: what gives the baselines.
        inner_update: "expected" or "sampled", see `estimators/`.
        in_graph: whether games are played in TensorFlow, so that `sample` can be compiled.
        n_steps: environment steps that are simulated for each seed and task: K · T.
    """

    # Whether baselines may depend on what the others do at the same step, and bias nothing.
    accepts_critics_that_see_other_actions = False

    def __init__(
        self, game: contracts.AnyGame, policies: Sequence[contracts.StepPolicy], n_trajectories: int = 64,
        horizon: int = 150, critic: Callable[..., contracts.Critic] = LeaveOneOutBaseline, gae_lambda: float = 1.0,
        simulator: Callable[..., contracts.Simulator] = InGraphSimulator,
    ) -> None:
        """
        Args:
            game: the game that is played.
            policies: one policy for each agent.
            n_trajectories: K ≥ 1, the batch of one inner update.
            horizon: T ≥ 1, in time steps.
            critic: function (spec, policies) → critic, such as a class of `critics/`: what is subtracted from returns
                to go.
            gae_lambda: λ of generalised advantages, in [0, 1]; smaller ones have less variance, and a bias.
            simulator: function (game, policies, n_trajectories, horizon) → simulator, such as a class of `simulators/`.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        kind = type(self).__name__
        checks.check_number(f"{kind}.gae_lambda", gae_lambda, minimum=0.0)
        checks.check(gae_lambda <= 1.0, f"{kind}.gae_lambda", gae_lambda, "in [0, 1]")
        self.simulator, self.critic = simulator_and_critic(
            kind, game, policies, n_trajectories, horizon, simulator, critic
        )
        checks.check(
            self.accepts_critics_that_see_other_actions or not self.critic.sees_other_actions, f"{kind}.critic", critic,
            "one that does not see the others' actions of the same step, which would bias derivatives here; see "
            "CounterfactualDiceEstimator",
        )
        self.spec = game.spec
        self.default_tasks = game.default_tasks
        self.policies = tuple(policies)
        self.in_graph = self.simulator.in_graph
        self.n_steps = n_trajectories * horizon
        self._gae_lambda = gae_lambda

    @property
    @abc.abstractmethod
    def inner_update(self) -> Literal["expected", "sampled"]:
        """What the inner update is a function of: "expected" or "sampled"."""

    @abc.abstractmethod
    def step_weights(self, rewards: tf.Tensor, baselines: tf.Tensor) -> Structure:
        """The weights of one agent's log-probabilities in its surrogate, step by step.

        Args:
            rewards: tensor [S, N, K, T] of the agent.
            baselines: its critic's value estimates, tensor [S, N, K, T].

        Returns:
            one or more tensors [S, N, K, T], as `surrogates` takes them.
        """

    @abc.abstractmethod
    def surrogates(
        self, log_probs: tuple[tf.Tensor, ...], step_weights: tuple[Structure, ...]
    ) -> tuple[tf.Tensor, ...]:
        """The agents' surrogate objectives: tuple over agents of tensors [S, N].

        Args:
            log_probs: tuple over agents of tensors [S, N, K, T].
            step_weights: tuple over agents of what `step_weights` returned, held constant.
        """

    @abc.abstractmethod
    def current_policy_surrogate(self, own_log_probs: tf.Tensor, later_values: tf.Tensor) -> tf.Tensor:
        """What the first term of Eq. 7 is the derivative of, at one link of a chain: tensor [S, N].

        Args:
            own_log_probs: tensor [S, N, K, T] of the meta-agent's log-probabilities at the link.
            later_values: tensor [S, N], what the meta-agent gets at the links after it.
        """

    @abc.abstractmethod
    def entropy_surrogate(self, log_probs: tuple[tf.Tensor, ...], entropies: tf.Tensor) -> tf.Tensor:
        """What an agent adds to its objective whose actions should stay random: tensor [S, N].

        Args:
            log_probs: tuple over agents of tensors [S, N, K, T].
            entropies: tensor [S, N, K, T] of one agent, γᵗ H(π(·|o_t)) as a function of its parameters.
        """

    def sample(
        self, joint_params: JointParams, tasks: Structure, keys: tf.Tensor, critic_params: JointParams = ()
    ) -> Sample:
        """Plays the game.

        Args:
            joint_params: JointParams with leaves [S, N, ...].
            tasks: the tasks, with leading axes [S, N].
            keys: int64 tensor [S, 2], what all random numbers are drawn from.
            critic_params: for each agent the parameters of its critic, leaves [S, N, ...], () for a critic that does
                not learn; () where none learns.

        Returns:
            Sample; no gradient flows through it.

        Raises:
            InvalidInputError: if one of these is something else.
        """
        joint_params = arguments.joint_params("joint_params", joint_params, self.policies)
        n_seeds, n_tasks = arguments.seeds_and_tasks(joint_params)
        tasks = arguments.tasks("tasks", tasks, self, [n_seeds, n_tasks])
        keys = arguments.keys("keys", keys, n_seeds)
        return self.make_sample(self.simulator.sample(joint_params, tasks, keys), joint_params, critic_params)

    def make_sample(self, trajectory: Trajectory, joint_params: JointParams, critic_params: JointParams = ()) -> Sample:
        """The Sample that trajectories make, wherever they come from; see `sample` for the other arguments.

        What stands in steps that do not count is replaced by zeros first, so that nothing of it reaches anything.

        Args:
            trajectory: Trajectory with fields [S, N, K, T].
        """
        trajectory = without_padding(trajectory)
        critic_params = critic_params or ((),) * self.spec.n_agents
        checks.check_length("critic_params", critic_params, self.spec.n_agents)
        step_weights = []
        for agent, rewards in enumerate(trajectory.rewards):
            baselines = self.critic.values(critic_params[agent], joint_params, trajectory, agent)
            has_shape = tf.is_tensor(baselines) and baselines.shape.is_compatible_with(rewards.shape)
            shown = descriptions.describe(baselines, longest=80)
            allowed = f"one whose values have the shape of the rewards, {list(rewards.shape)}, not {shown}"
            checks.check(has_shape, f"{type(self).__name__}.critic", self.critic, allowed)
            baselines = masks.masked(tf.stop_gradient(baselines), trajectory.agent_mask(agent))
            step_weights.append(self.step_weights(rewards, baselines))
        return Sample(trajectory, tuple(step_weights))

    def objectives(self, joint_params: JointParams, tasks: Structure, sample: Sample) -> tuple[tf.Tensor, ...]:
        """Surrogates of the agents' values Vⁱ, as functions of all agents' parameters.

        Args:
            joint_params: JointParams with leaves [S, N, ...].
            tasks: not used, as the sample carries the rewards.
            sample: Sample drawn at the same parameters.

        Returns:
            tuple over agents of tensors [S, N].

        Raises:
            InvalidInputError: if one of these is something else.
        """
        del tasks
        joint_params = self._checked(joint_params, sample)
        log_probs = scoring.score(self.policies, joint_params, sample.trajectory)
        return self.surrogates(log_probs, sample.step_weights)

    def current_policy_objective(
        self, joint_params: JointParams, sample: Sample, agent_index: int, later_values: tf.Tensor
    ) -> tf.Tensor:
        """`current_policy_surrogate` as a function of all agents' parameters: tensor [S, N]."""
        checks.check_agent_index("agent_index", agent_index, self.spec.n_agents)
        joint_params = self._checked(joint_params, sample)
        log_probs = scoring.score(self.policies, joint_params, sample.trajectory)
        return self.current_policy_surrogate(log_probs[agent_index], later_values)

    def values(self, joint_params: JointParams, tasks: Structure, sample: Sample) -> tuple[tf.Tensor, ...]:
        """The mean discounted return of each agent, NaN where `means` are: tuple over agents of tensors [S, N]."""
        del tasks
        check_sample(sample, self.spec)
        totals = (returns.discounted_returns(rewards, self.spec.discount) for rewards in sample.trajectory.rewards)
        return where_finite(tuple(tf.reduce_mean(total, axis=-1) for total in totals), joint_params)

    def mean_rewards(self, joint_params: JointParams, tasks: Structure, sample: Sample) -> tuple[tf.Tensor, ...]:
        """The mean reward of each agent over all steps that count, see `means`: tuple over agents of tensors [S, N]."""
        del tasks
        check_sample(sample, self.spec)
        return means(sample.trajectory.rewards, joint_params, sample)

    def metrics(self, joint_params: JointParams, tasks: Structure, sample: Sample) -> dict[str, tuple[tf.Tensor, ...]]:
        """By name, means over the steps that count and where a metric is defined: tuples over agents of [S, N]."""
        del tasks
        check_sample(sample, self.spec)
        metrics, mean = sample.trajectory.metrics, masks.mean_where_defined
        return {name: means(metrics[name], joint_params, sample, mean) for name in self.spec.metrics}

    def entropies(self, joint_params: JointParams, tasks: Structure, sample: Sample) -> tuple[tf.Tensor, ...]:
        """`entropy_surrogate` as a function of all agents' parameters: tuple over agents of tensors [S, N]."""
        del tasks
        joint_params = self._checked(joint_params, sample)
        trajectory = sample.trajectory
        log_probs = scoring.score(self.policies, joint_params, trajectory)
        surrogates = []
        for agent, (policy, params) in enumerate(zip(self.policies, joint_params)):
            entropies = policy.distribution(params, trajectory.observations[agent]).entropy()
            entropies = self.discounted(masks.masked(entropies, trajectory.agent_mask(agent)))
            surrogates.append(self.entropy_surrogate(log_probs, entropies))
        return tuple(surrogates)

    def advantages(self, rewards: tf.Tensor, baselines: tf.Tensor) -> tf.Tensor:
        """Generalised advantages: two tensors [S, N, K, T] → [S, N, K, T]."""
        return returns.generalised_advantages(rewards, baselines, self.spec.discount, self._gae_lambda)

    def discounted(self, values: tf.Tensor) -> tf.Tensor:
        """γ^t x_t: [S, N, K, T] → [S, N, K, T]."""
        return returns.discounted(values, self.spec.discount)

    def _checked(self, joint_params, sample):
        """The parameters, which must be those of as many seeds and tasks as a sample is of."""
        joint_params = arguments.joint_params("joint_params", joint_params, self.policies)
        check_sample(sample, self.spec, arguments.seeds_and_tasks(joint_params))
        return joint_params
