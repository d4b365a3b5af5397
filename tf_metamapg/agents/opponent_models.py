"""Opponent modelling: the others' policies are estimated from what they were seen to do."""

import tensorflow as tf
import tensorflow_probability as tfp

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg import links
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Trajectory

_MAX_PARAMETERS = 1000


class MaximumLikelihood(descriptions.Described):
    """Estimates the parameters of every opponent's policy by maximum likelihood, with BFGS.

    The agent knows what kind of policy an opponent has, and sees the observations and actions of all K
    trajectories of a link. Where it has seen nothing, it assumes what some new policy of that kind does.
    Where it has seen one action only, the likelihood has no maximum: the estimate is nearly deterministic
    there, and next to nothing flows through it.
    """

    def __init__(self, max_iterations: int = 50, tolerance: float = 1e-5) -> None:
        """
        Args:
            max_iterations: of BFGS, ≥ 1.
            tolerance: stop when no derivative of the mean log-likelihood per action is larger, > 0; in
                float32 rounding may end it a little earlier.

        Raises:
            InvalidInputError: if one of these is not such a number.
        """
        checks.check_integer("MaximumLikelihood.max_iterations", max_iterations, minimum=1)
        checks.check_positive("MaximumLikelihood.tolerance", tolerance)
        self._max_iterations = max_iterations
        self._tolerance = tolerance

    def estimate(self, estimator: contracts.Estimator, link: links.Link, agent_index: int) -> links.Link:
        """A link as one agent sees it.

        Args:
            estimator: one of `estimators/` that samples.
            link: `links.Link`.
            agent_index: the agent that estimates all others.

        Returns:
            the Link with the others' parameters replaced by estimates. They are straight-through: gradients with
            respect to an estimate pass to the true parameters.

        Raises:
            InvalidInputError: if nothing was sampled, or one of these is something else.
        """
        link = links.checked_link(estimator, link)
        checks.check_agent_index("agent_index", agent_index, len(link.joint_params))
        estimator = contracts.checked_kind(
            "estimator", estimator, contracts.PlayingEstimator,
            "one that samples, such as LoadedDiceEstimator, for agents with an opponent model",
        )
        trajectory = link.sample.trajectory
        arguments.check_leading("link.sample", trajectory.rewards, arguments.seeds_and_tasks(link.joint_params))
        return link.with_joint_params(tuple(
            params if agent == agent_index
            else _straight_through(self._fit(policy, params, trajectory, agent), params)
            for agent, (policy, params) in enumerate(zip(estimator.policies, link.joint_params))
        ))

    def _fit(self, policy: contracts.StepPolicy, params: Params, trajectory: Trajectory, agent: int) -> Params:
        """The parameters of one agent's policy that make likely what it did while it was there."""
        log_likelihood = policy.log_likelihood(
            trajectory.observations[agent], trajectory.actions[agent], trajectory.agent_mask(agent)
        )
        batch_shape = trajectory.rewards[agent].shape[:2]
        shapes = [leaf.shape[2:] for leaf in params]
        sizes = [shape.num_elements() for shape in shapes]
        checks.check(
            sum(sizes) <= _MAX_PARAMETERS, "opponent_model", type(self).__name__,
            f"for policies of at most {_MAX_PARAMETERS} parameters, not {sum(sizes)}: BFGS needs their square",
        )

        def unflatten(vector: tf.Tensor) -> Params:
            return tuple(
                tf.reshape(part, [*batch_shape, *shape])
                for part, shape in zip(tf.split(vector, sizes, axis=-1), shapes)
            )

        start = tf.concat([tf.reshape(leaf, [-1]) for leaf in policy.reference_params], axis=0)
        result = tfp.optimizer.bfgs_minimize(
            lambda vector: tfp.math.value_and_gradient(lambda v: -log_likelihood(unflatten(v)), vector),
            initial_position=tf.broadcast_to(start, [*batch_shape, sum(sizes)]),
            tolerance=self._tolerance,
            max_iterations=self._max_iterations,
        )
        return unflatten(result.position)


def check_opponent_model(parameter: str, opponent_model: contracts.OpponentModel | None) -> None:
    """Raises `InvalidInputError` unless `opponent_model` is None or can estimate."""
    if opponent_model is not None:
        allowed = "None or an opponent model, such as MaximumLikelihood()"
        contracts.check_kind(parameter, opponent_model, contracts.OpponentModel, allowed)


def _straight_through(estimates: Params, params: Params) -> Params:
    return tuple(leaf + tf.stop_gradient(estimate - leaf) for estimate, leaf in zip(estimates, params))
