"""How the critic of an estimator learns: one step of Adam after each meta-update, from all links of its chains.

Where nobody meta-learns it is one after each inner update, from the link before it.
"""

from collections.abc import Callable
from collections.abc import Sequence
import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import contracts
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.links import Link


class CriticLearner:
    """The parameters of an estimator's critic, if it has one that learns.

    Attributes:
        variables: list of Keras variables [S, ...].
        optimizer: of these.
    """

    def __init__(self, estimator: contracts.Estimator, seeds: Sequence[int]) -> None:
        """
        Args:
            estimator: `contracts.Estimator`.
            seeds: S integers.
        """
        self._critic = estimator.critic if isinstance(estimator, contracts.PlayingEstimator) else None
        initial = () if self._critic is None else self._critic.initial_params(seeds)
        self._params = tf.nest.map_structure(keras.Variable, initial)
        self.variables = tf.nest.flatten(self._params)
        learning_rate = self._critic.learning_rate if self._critic is not None and self.variables else 0.0
        self.optimizer = keras.optimizers.Adam(float(learning_rate))
        self.optimizer.build(self.variables)
        # Copies: what a variable's value is may share its memory.
        self._initial = [np.array(variable.numpy()) for variable in [*self.variables, *self.optimizer.variables]]

    def reset(self) -> None:
        """Takes the critic back to where it began."""
        for variable, value in zip([*self.variables, *self.optimizer.variables], self._initial):
            variable.assign(value)

    def update(self, gradients: Sequence[tf.Tensor]) -> None:
        """One step by the gradients of a link, of which there are none if it does not learn."""
        if gradients:
            self.optimizer.apply(gradients)

    def values(self) -> JointParams:
        """The parameters as tensors [S, ...], for each agent; () where there is no critic."""
        return tf.nest.map_structure(lambda variable: tf.convert_to_tensor(variable.value), self._params)

    def gradients(self, links: Sequence[Link], values: JointParams, compile_fn: Callable[..., Any]) -> list[tf.Tensor]:
        """Of the mean loss over the links of chains, and over tasks, in the parameters of all agents' critics.

        Args:
            links: tuple of `links.Link`s.
            values: the parameters of the links' seeds, see `values`.
            compile_fn: what is applied to the work for one agent.
        """
        gradients: list[tf.Tensor] = []
        if self._critic is None:
            return gradients
        for agent, params in enumerate(values):
            if params:
                gradients.extend(compile_fn(functools.partial(_gradients, self._critic.loss, agent))(links, params))
        return gradients


def _gradients(critic_loss: Callable[..., tf.Tensor], agent: int, links: Sequence[Link], params: Params) -> Params:
    n_tasks = links[0].agent_states[0].params[0].shape[1]
    with tf.GradientTape() as tape:
        tape.watch(params)
        (repeated,) = adaptation.for_each_task((params,), n_tasks)
        losses = [critic_loss(repeated, link.joint_params, link.sample.trajectory, agent) for link in links]
        loss = tf.reduce_sum(tf.add_n(losses)) / (len(links) * n_tasks)
    return tape.gradient(loss, params)
