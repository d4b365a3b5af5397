"""Opponent modelling: the others' policies are estimated from what they were seen to do."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg import links
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params

# Of Rprop, as published: by what a step grows and shrinks; and the first, the smallest and the largest one.
_GROWTH, _SHRINKAGE = 1.2, 0.5
_FIRST_STEP, _SMALLEST_STEP, _LARGEST_STEP = 0.1, 1e-9, 50.0


class MaximumLikelihood(descriptions.Described):
    """Estimates the parameters of every opponent's policy by maximum likelihood.

    The agent knows what kind of policy an opponent has, and sees the observations and actions of all K trajectories of
    a link. It begins at what it estimated at the link before, and at first link at what some new policy of that kind
    does: where it has seen nothing, that is what it goes on to assume. Where it has seen one action only, the
    likelihood has no maximum: the estimate is nearly deterministic there, and next to nothing flows through it.

    The likelihood is climbed by Rprop (Riedmiller & Braun 1993, in the form of Igel & Hüsken 2000 that takes no step
    back), which needs neither a line search nor the square of the number of parameters: any policy will do, recurrent
    ones, too. What is found of a network is a local maximum, or where the iterations end.
    """

    def __init__(self, max_iterations: int = 100, tolerance: float = 1e-5) -> None:
        """
        Args:
            max_iterations: of Rprop at each link, ≥ 1.
            tolerance: an estimate stays as it is when no derivative of the mean log-likelihood per action is larger,
                > 0.

        Raises:
            InvalidInputError: if one of these is not such a number.
        """
        checks.check_integer("MaximumLikelihood.max_iterations", max_iterations, minimum=1)
        checks.check_positive("MaximumLikelihood.tolerance", tolerance)
        self._max_iterations = max_iterations
        self._tolerance = tolerance

    def init(self, estimator: contracts.Estimator, agent_index: int, batch_shape: Sequence[int]) -> JointParams:
        """What some new policy of each opponent's kind does; see `contracts.OpponentModel.init`.

        Returns:
            JointParams of the opponents with leaves [S, N, ...].

        Raises:
            InvalidInputError: if an opponent's policy carries something over updates, see `carrying.py`.
        """
        checks.check_agent_index("agent_index", agent_index, len(estimator.policies))
        for agent, policy in enumerate(estimator.policies):
            if agent != agent_index:
                is_estimated = not isinstance(policy, contracts.CarryingPolicy)
                allowed = f"one that carries nothing over updates, for others to estimate by {type(self).__name__}"
                checks.check(is_estimated, f"policies[{agent}]", policy, allowed)
        return tuple(
            tuple(tf.broadcast_to(leaf, [*batch_shape, *leaf.shape]) for leaf in policy.reference_params)
            for policy in _opponents(estimator.policies, agent_index)
        )

    def estimate(
        self, estimator: contracts.Estimator, link: links.Link, agent_index: int, known: JointParams
    ) -> tuple[links.Link, JointParams]:
        """A link as one agent sees it.

        Args:
            estimator: one of `estimators/` that samples.
            link: `links.Link`.
            agent_index: the agent that estimates all others.
            known: JointParams of the opponents with leaves [S, N, ...], where to begin: what `init` or the last
                `estimate` returned.

        Returns:
            (the Link with the others' parameters replaced by estimates, the estimates). Those of the link are
            straight-through: gradients with respect to an estimate pass to the true parameters; the others are
            constants.

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
        checks.check_length("known", known, len(link.joint_params) - 1)
        log_likelihoods = [
            policy.log_likelihood(
                trajectory.observations[agent], trajectory.actions[agent], trajectory.agent_mask(agent)
            )
            for agent, policy in enumerate(estimator.policies) if agent != agent_index
        ]
        estimates = self._fit(log_likelihoods, tf.nest.map_structure(tf.stop_gradient, known))
        joint_params = list(map(_straight_through, estimates, _opponents(link.joint_params, agent_index)))
        joint_params.insert(agent_index, link.joint_params[agent_index])
        return link.with_joint_params(tuple(joint_params)), estimates

    def _fit(self, log_likelihoods: Sequence[Callable[[Params], tf.Tensor]], start: JointParams) -> JointParams:
        """Where the mean log-likelihoods of all opponents are largest, as far as so many iterations come."""

        def gradients(joint_params: JointParams) -> JointParams:
            with tf.GradientTape() as tape:
                tape.watch(joint_params)
                objectives = [function(params) for function, params in zip(log_likelihoods, joint_params)]
            by_opponent = tape.gradient(objectives, joint_params, unconnected_gradients="zero")
            # What the tolerance is content with stays where it is, for each seed, task and opponent.
            return tuple(map(self._to_be_followed, by_opponent))

        def iterate(
            joint_params: JointParams, slopes: JointParams, steps: JointParams, _: tf.Tensor
        ) -> tuple[JointParams, JointParams, JointParams, tf.Tensor]:
            joint_params = tf.nest.map_structure(
                lambda leaf, slope, step: leaf + tf.sign(slope) * step, joint_params, slopes, steps
            )
            following = gradients(joint_params)
            turns = tf.nest.map_structure(lambda slope, before: tf.sign(slope * before), following, slopes)
            # What has stepped over a maximum waits for one iteration, and goes on with a shorter step.
            slopes = tf.nest.map_structure(
                lambda slope, turn: tf.where(turn < 0.0, tf.zeros_like(slope), slope), following, turns
            )
            return joint_params, slopes, tf.nest.map_structure(_resized, steps, turns), _are_any(following)

        slopes = gradients(start)
        steps = tf.nest.map_structure(lambda leaf: _FIRST_STEP * tf.ones_like(leaf), start)
        estimates, *_ = tf.while_loop(
            lambda *state: state[-1], iterate, (start, slopes, steps, _are_any(slopes)),
            maximum_iterations=self._max_iterations,
        )
        return estimates

    def _to_be_followed(self, gradients: Params) -> Params:
        """Gradients [S, N, ...] of one opponent, zero for the seeds and tasks where none is above the tolerance."""
        largest = tf.reduce_max(
            [tf.reduce_max(tf.abs(leaf), axis=list(range(2, len(leaf.shape)))) for leaf in gradients], axis=0
        )
        is_small = largest <= self._tolerance
        return tuple(
            tf.where(tf.reshape(is_small, [*is_small.shape, *[1] * (len(leaf.shape) - 2)]), tf.zeros_like(leaf), leaf)
            for leaf in gradients
        )


def check_opponent_model(parameter: str, opponent_model: contracts.OpponentModel | None) -> None:
    """Raises `InvalidInputError` unless `opponent_model` is None or can estimate."""
    if opponent_model is not None:
        allowed = "None or an opponent model, such as MaximumLikelihood()"
        contracts.check_kind(parameter, opponent_model, contracts.OpponentModel, allowed)


def _opponents(by_agent: Sequence[Any], agent_index: int) -> tuple[Any, ...]:
    """Of all agents those but one."""
    return tuple(own for index, own in enumerate(by_agent) if index != agent_index)


def _are_any(gradients: JointParams) -> tf.Tensor:
    """Whether a derivative is not zero."""
    return tf.reduce_any([tf.reduce_any(leaf != 0.0) for leaf in tf.nest.flatten(gradients)])


def _resized(step: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    """The next steps of Rprop, by whether the sign of a derivative is the one before (1), the other (−1) or neither."""
    factor = tf.where(turn > 0.0, _GROWTH, tf.where(turn < 0.0, _SHRINKAGE, 1.0))
    return tf.clip_by_value(step * tf.cast(factor, step.dtype), _SMALLEST_STEP, _LARGEST_STEP)


def _straight_through(estimates: Params, params: Params) -> Params:
    return tuple(leaf + tf.stop_gradient(estimate - leaf) for estimate, leaf in zip(estimates, params))
