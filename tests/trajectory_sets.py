"""All sets of trajectories of a tiny game, and what the estimators make of them."""

import functools

import numpy as np
import tensorflow as tf

from tests.tiny_game import TinyGame
from tf_metamapg.critics.base import BaselineCritic
from tf_metamapg.critics.baselines import LeaveOneOutBaseline
from tf_metamapg.critics.baselines import LinearFeatureBaseline
from tf_metamapg.critics.baselines import NoBaseline
from tf_metamapg.critics.counterfactual import CounterfactualBaseline
from tf_metamapg.critics.mean_field import MeanFieldBaseline
from tf_metamapg.critics.value_network import ValueNetwork
from tf_metamapg.estimators.counterfactual_dice import CounterfactualDiceEstimator
from tf_metamapg.estimators.dice import DiceEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator

DISCOUNT = 0.9
TIME_BASELINE = np.array([3.0, -2.0, 0.7])


class TimeBaseline(BaselineCritic):
    """Depends on the time step only."""

    def values(self, params, joint_params, trajectory, agent_index):
        del params, joint_params
        rewards = trajectory.rewards[agent_index]
        return tf.zeros_like(rewards) + tf.constant(TIME_BASELINE[: rewards.shape[-1]], rewards.dtype)


CRITICS = {
    "none": NoBaseline,
    "leave_one_out": LeaveOneOutBaseline,
    "time": TimeBaseline,
    "linear": LinearFeatureBaseline,
    "counterfactual": functools.partial(CounterfactualBaseline, units=3),
    "mean_field": functools.partial(MeanFieldBaseline, units=3),
    "network": functools.partial(ValueNetwork, units=3),
}
DICE_ESTIMATORS = (DiceEstimator, LoadedDiceEstimator)
SAMPLED_ESTIMATORS = (*DICE_ESTIMATORS, CounterfactualDiceEstimator, ScoreFunctionEstimator)


class TrajectorySets(TinyGame):
    """All sets of joint trajectories of a tiny game, and what the estimators make of them."""

    def __init__(self, n_agents=2, horizon=3, size=1, ending="endless"):
        super().__init__(n_agents, horizon, DISCOUNT, ending)
        # All sets of `size` trajectories, each with the probability that it is what is sampled.
        self.members = self.oracle.all_sets(size)
        self.probs = self.oracle.set_probs(self.logits, self.members)

    def estimator(self, estimator_class, critic="none"):
        return estimator_class(
            self.game, self.policies, n_trajectories=self.members.shape[1],
            horizon=self.oracle.actions.shape[1], critic=CRITICS[critic],
        )

    def leaves(self):
        """One tensor [n_observations] for each agent."""
        return [tf.constant(table) for table in self.logits]

    def expected_objectives(self, estimator, leaves):
        """E[objective] of every agent: the set of trajectories is another one in every task."""
        sample = self.sample(estimator, self.members[np.newaxis])
        joint_params = self.joint_params(leaves, [1, len(self.members)])
        objectives = estimator.objectives(joint_params, None, sample)
        return [tf.reduce_sum(self.probs * objective) for objective in objectives]

    def set_gradients(self, estimator, objective_agent):
        """What each set says of the derivatives of one agent's value.

        Returns:
            gradients [Z, n · n_observations], Hessians with as many rows and columns.
        """
        leaves = self.leaves()
        joint_params = self.joint_params(leaves, [1, len(self.members)])
        params = [leaf for leaf, in joint_params]
        sample = self.sample(estimator, self.members[np.newaxis])
        with tf.GradientTape(persistent=True) as outer_tape:
            outer_tape.watch(params)
            with tf.GradientTape() as inner_tape:
                inner_tape.watch(params)
                objectives = estimator.objectives(joint_params, None, sample)
            gradients = tf.concat(inner_tape.gradient(objectives[objective_agent], params), axis=2)[0, :, :, 0]
            entries = tf.unstack(gradients, axis=1)
        hessians = [
            tf.concat(outer_tape.gradient(entry, params), axis=2)[0, :, :, 0] for entry in entries
        ]
        return gradients.numpy(), np.stack(hessians, axis=1)

    def variances(self, estimates):
        """The variance of each entry over the sets, [Z, ...] → [...]."""
        mean = np.tensordot(self.probs, estimates, axes=1)
        return np.tensordot(self.probs, (estimates - mean) ** 2, axes=1)


def tape_derivatives(function, leaves):
    """Of scalars, by gradient tapes: lists [value][agent] and [value][agent][other], None if unconnected."""
    with tf.GradientTape(persistent=True) as outer_tape:
        outer_tape.watch(leaves)
        with tf.GradientTape(persistent=True) as inner_tape:
            inner_tape.watch(leaves)
            values = function(leaves)
        gradients = [inner_tape.gradient(value, leaves) for value in values]
        entries = [[None if leaf is None else tf.unstack(leaf) for leaf in gradient] for gradient in gradients]
    hessians = []
    for rows_of_value in entries:
        rows = [None if row is None else [outer_tape.gradient(entry, leaves) for entry in row] for row in rows_of_value]
        hessians.append([None if row is None else [_stack(column) for column in zip(*row)] for row in rows])
    return gradients, hessians


def _stack(tensors):
    return None if all(tensor is None for tensor in tensors) else np.stack(tensors)


def discounted(values):
    """γ^t x_t of an array [.., T]."""
    return values * DISCOUNT ** np.arange(values.shape[-1])


def loaded_dice_weights(advantages):
    """γ^t A_t − γ^(t+1) A_(t+1) of an array [.., T]; after the last step there is nothing."""
    return -np.diff(discounted(advantages), append=0.0)
