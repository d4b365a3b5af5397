"""What the estimators from sampled trajectories have in common; they differ in their surrogates."""

import abc
from typing import Any
from typing import NamedTuple

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.contracts import Trajectory
from tf_metamapg.critics import baselines
from tf_metamapg.estimators import scoring
from tf_metamapg.numerics import returns
from tf_metamapg.policies import features
from tf_metamapg.simulators import in_graph


class Sample(NamedTuple):
    """Trajectories, and what is computed from their rewards once, whoever differentiates them how often."""

    trajectory: Trajectory  # fields [S, N, K, T]
    step_weights: tuple[Any, ...]  # for each agent, what the estimator's `step_weight` returned

    __repr__ = descriptions.of_fields


class SampledEstimator(descriptions.Described, abc.ABC):
    """Estimates from K trajectories of T steps for each seed and task.

    Attributes:
        game: the game that is played.
        policies: one policy for each agent.
        baseline: the critic, see `baselines.py`.
        has_cross_derivatives: see `estimators/`.
        n_steps: environment steps that are simulated for each seed and task: K · T.
    """

    has_cross_derivatives: bool

    def __init__(
        self, game, policies, n_trajectories=64, horizon=150, baseline=baselines.leave_one_out_baseline, gae_lambda=1.0
    ):
        """
        Args:
            game: the game that is played.
            policies: one policy for each agent.
            n_trajectories: K ≥ 1, the batch of one inner update.
            horizon: T ≥ 1, in time steps.
            baseline: one of `baselines.py`, what is subtracted from returns to go.
            gae_lambda: λ of generalised advantages, in [0, 1]; smaller ones have less variance, and a bias.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        kind = type(self).__name__
        checks.check(
            hasattr(game, "next_state") and not isinstance(game, type), f"{kind}.game", type(game).__name__,
            "a game that is played step by step; a differentiable game takes an ExactEstimator",
        )
        arguments.check_policies(
            f"{kind}.policies", policies, ("reference_params", "sampler", "log_probs", "initial_state", "n_uniforms"),
            "a policy that acts step by step, such as tabular_policy(game, agent_index) makes",
            features.agent_specs(game),
        )
        checks.check_integer(f"{kind}.n_trajectories", n_trajectories, minimum=1)
        checks.check_integer(f"{kind}.horizon", horizon, minimum=1)
        checks.check(
            callable(baseline) and not isinstance(baseline, type), f"{kind}.baseline", baseline,
            "a function, such as @leave_one_out_baseline, or @ValueNetwork() with parentheses",
        )
        checks.check_number(f"{kind}.gae_lambda", gae_lambda, minimum=0.0)
        checks.check(gae_lambda <= 1.0, f"{kind}.gae_lambda", gae_lambda, "in [0, 1]")
        self.game = game
        self.policies = policies
        self.n_steps = n_trajectories * horizon
        self._n_trajectories = n_trajectories
        self._horizon = horizon
        self.baseline = baseline
        self._gae_lambda = gae_lambda

    @abc.abstractmethod
    def step_weight(self, rewards, baselines):
        """What the surrogate of one agent weighs log-probabilities with.

        Args:
            rewards: tensor [S, N, K, T] of the agent.
            baselines: what its critic expects of its returns to go, tensor [S, N, K, T].

        Returns:
            one or more tensors [S, N, K, T], as `surrogates` takes them.
        """

    @abc.abstractmethod
    def surrogates(self, log_probs, step_weights):
        """The agents' surrogate objectives.

        Args:
            log_probs: tuple over agents of tensors [S, N, K, T].
            step_weights: tuple over agents of what `step_weight` returned, held constant.

        Returns:
            tuple over agents of tensors [S, N].
        """

    @abc.abstractmethod
    def current_policy_surrogate(self, own_log_probs, later_values):
        """What the first term of Eq. 7 is the derivative of, at one link of a chain.

        Args:
            own_log_probs: tensor [S, N, K, T] of the meta-agent's log-probabilities at the link.
            later_values: tensor [S, N], what the meta-agent gets at the links after it.

        Returns:
            tensor [S, N].
        """

    def sample(self, joint_params, tasks, keys):
        """Plays the game.

        Args:
            joint_params: JointParams with leaves [S, N, ...].
            tasks: the tasks, with leading axes [S, N].
            keys: int64 tensor [S, 2], what all random numbers are drawn from.

        Returns:
            Sample; no gradient flows through it.

        Raises:
            InvalidInputError: if one of these is something else.
        """
        joint_params = arguments.joint_params("joint_params", joint_params, self.policies)
        n_seeds, n_tasks = arguments.seeds_and_tasks(joint_params)
        tasks = arguments.tasks("tasks", tasks, self.game, [n_seeds, n_tasks])
        keys = arguments.keys("keys", keys, n_seeds)
        noise = in_graph.draw_uniforms(
            keys, self.game, self.policies, n_tasks, self._n_trajectories, self._horizon
        )
        return self.make_sample(in_graph.rollout(self.game, self.policies, joint_params, tasks, noise))

    def make_sample(self, trajectory):
        """A Trajectory with fields [S, N, K, T] → the Sample that it makes."""
        return Sample(trajectory, tuple(
            self.step_weight(rewards, self._expected(trajectory, agent_index))
            for agent_index, rewards in enumerate(trajectory.rewards)
        ))

    def features_and_returns(self, trajectory, agent_index):
        """What the critic of an agent is asked and should answer.

        Args:
            trajectory: Trajectory with fields [S, N, K, T].
            agent_index: which agent.

        Returns:
            (features [S, N, K, T, F] of what it saw, returns to go [S, N, K, T]).

        Raises:
            InvalidInputError: if there is no such agent.
        """
        checks.check_agent_index("agent_index", agent_index, self.game.n_agents)
        return (
            features.encode(self.game, trajectory.observations[agent_index]),
            returns.returns_to_go(trajectory.rewards[agent_index], self.game.discount),
        )

    def _expected(self, trajectory, agent_index):
        """What the critic expects of the returns to go: [S, N, K, T]."""
        seen, returns_to_go = self.features_and_returns(trajectory, agent_index)
        baselines = self.baseline(seen, returns_to_go, agent_index)
        checks.check(
            tf.is_tensor(baselines) and baselines.shape == returns_to_go.shape, f"{type(self).__name__}.baseline",
            self.baseline, "a function that returns a tensor of the shape of the returns to go",
        )
        return baselines

    def objectives(self, joint_params, tasks, sample):
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

    def _checked(self, joint_params, sample):
        """The parameters, which must be those of as many seeds and tasks as a sample is of."""
        joint_params = arguments.joint_params("joint_params", joint_params, self.policies)
        self._check_sample(sample, arguments.seeds_and_tasks(joint_params))
        return joint_params

    def _check_sample(self, sample, sizes=("S", "N")):
        is_sample = isinstance(sample, Sample) and isinstance(sample.trajectory, Trajectory)
        checks.check(is_sample, "sample", sample, "a Sample, as the estimator's sample returns it")
        checks.check_length("sample.trajectory.rewards", sample.trajectory.rewards, self.game.n_agents)
        rewards = sample.trajectory.rewards[0]
        arguments.tensor("sample.trajectory.rewards[0]", rewards, self.game.dtype, [*sizes, "K", "T"])

    def advantages(self, rewards, baselines):
        """Generalised advantages: two tensors [S, N, K, T] → [S, N, K, T]."""
        return returns.generalised_advantages(rewards, baselines, self.game.discount, self._gae_lambda)

    def discounted(self, values):
        """γ^t x_t: [S, N, K, T] → [S, N, K, T]."""
        return values * returns.discounts(self.game.discount, values.shape[-1], values.dtype)

    def current_policy_objective(self, joint_params, sample, agent_index, later_values):
        """`current_policy_surrogate` as a function of all agents' parameters: tensor [S, N]."""
        checks.check_agent_index("agent_index", agent_index, self.game.n_agents)
        joint_params = self._checked(joint_params, sample)
        log_probs = scoring.score(self.policies, joint_params, sample.trajectory)
        return self.current_policy_surrogate(log_probs[agent_index], later_values)

    def values(self, joint_params, tasks, sample):
        """The mean discounted return of each agent: tuple over agents of tensors [S, N]."""
        del joint_params, tasks
        self._check_sample(sample)
        return tuple(
            tf.reduce_mean(returns.discounted_returns(rewards, self.game.discount), axis=-1)
            for rewards in sample.trajectory.rewards
        )

    def mean_rewards(self, joint_params, tasks, sample):
        """The mean reward per step of each agent: tuple over agents of tensors [S, N].

        NaN where a parameter is not finite: such a policy's actions are all the first one, and mean nothing.
        """
        del tasks
        self._check_sample(sample)
        sizes = arguments.seeds_and_tasks(sample.trajectory.rewards)
        arguments.check_leading("joint_params", joint_params, sizes)
        finite = tf.reduce_all([
            tf.reduce_all(tf.math.is_finite(leaf), axis=list(range(2, len(leaf.shape))))
            for leaf in tf.nest.flatten(joint_params)
        ], axis=0)
        averages = (tf.reduce_mean(rewards, axis=[-2, -1]) for rewards in sample.trajectory.rewards)
        return tuple(tf.where(finite, average, float("nan")) for average in averages)


class ExpectedUpdateEstimator(SampledEstimator):
    """An estimator whose surrogates already account for what θ does to the distribution of trajectories."""

    has_cross_derivatives = True

    def current_policy_surrogate(self, own_log_probs, later_values):
        """Zero: what is sampled is not what the inner update is a function of."""
        del own_log_probs
        return tf.zeros_like(later_values)
