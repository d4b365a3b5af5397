"""Agents that learn together on the tasks of a phase, update by update, from what is there of meta-parameters."""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_metamapg import descriptions
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import JointParams
from tf_metamapg.training.link_work import Played
from tf_metamapg.training.trainer import MetaTrainer


@descriptions.described
class Evaluation(NamedTuple):
    """What agents get along a chain, and where it leads."""

    mean_reward: np.ndarray  # [S, L + 1, n_agents], per step, the mean over tasks at each link
    game_metrics: dict[str, np.ndarray]  # by the names of the game's spec, like `mean_reward`; NaN where not defined
    joint_params: JointParams  # of all agents after the last update, leaves [S, N, ...]


class Learning:
    """A chain that one can stop anywhere, and go on with.

    Where nobody meta-learns, the estimator's critic learns along the chain, and begins anew with it.

    Attributes:
        n_updates_done: l, an int64 variable.
        agent_variables: φ_l of all agents as variables, tuple of AgentStates with leaves [S, N, ...].
        state: nested dicts and lists of variables, what a checkpoint must hold to go on exactly.
    """

    def __init__(self, trainer: MetaTrainer, phase: int, n_tasks: int, draw: int = 0) -> None:
        """
        Args:
            trainer: whose agents learn, from their present initial policies. These stay as they are.
            phase: `random.META_VALIDATION` or `random.META_TEST`; the tasks of a phase and a draw are always the same
                for a seed.
            n_tasks: N.
            draw: which tasks of the phase, ≥ 0; those of 0 are what a run is evaluated with.
        """
        self._trainer = trainer
        self._critic_learns = not any(agent.is_meta_agent for agent in trainer.problem.agents)
        if self._critic_learns:
            trainer.critic.reset()
        self._which = phase, draw
        self._tasks = trainer.tasks(phase, n_tasks, draw)
        self.agent_variables = tf.nest.map_structure(_variable, trainer.initial_states(phase, n_tasks, draw))
        self.n_updates_done = tf.Variable(0, dtype=tf.int64)
        self._played: Played | None = None
        self.state = {"agent_states": tf.nest.flatten(self.agent_variables), "n_updates_done": self.n_updates_done}

    @property
    def agent_states(self) -> tuple[AgentState, ...]:
        """φ_l of all agents, leaves [S, N, ...]."""
        return tf.nest.map_structure(tf.convert_to_tensor, self.agent_variables)

    def play(self) -> Played:
        """Lets the agents play at φ_l, once; what they would learn from it is part of what is returned."""
        if self._played is None:
            index = int(self.n_updates_done)
            self._played = self._trainer.advance(*self._which, self._tasks, index, self.agent_states)
        return self._played

    def update(self) -> None:
        """Lets the agents learn from what they play at φ_l: φ_l → φ_{l+1}."""
        played = self.play()
        if self._critic_learns:
            self._trainer.critic.update(played.critic_gradients)
        tf.nest.map_structure(lambda variable, value: variable.assign(value), self.agent_variables, played.agent_states)
        self.n_updates_done.assign_add(1)
        self._played = None


def evaluate(
    trainer: MetaTrainer, phase: int, n_inner_updates: int, n_tasks: int,
    report: Callable[[int, np.ndarray], Any] = lambda index, mean_reward: None, draw: int = 0,
) -> Evaluation:
    """Lets all agents adapt from their present initial policies, without meta-learning.

    Args:
        trainer, phase, n_tasks, draw: see `Learning`.
        n_inner_updates: L, how often all agents learn.
        report: called after each link with its index and mean rewards, array [S, n_agents].

    Returns:
        Evaluation.
    """
    learning = Learning(trainer, phase, n_tasks, draw)
    by_link = []
    for index in range(n_inner_updates + 1):
        played = learning.play()
        by_link.append(tf.nest.map_structure(lambda value: value.numpy(), (played.mean_reward, played.game_metrics)))
        report(index, by_link[-1][0])
        if index < n_inner_updates:
            learning.update()
    mean_reward, game_metrics = tf.nest.map_structure(lambda *values: np.stack(values, axis=1), *by_link)
    return Evaluation(mean_reward, game_metrics, tuple(state.params for state in learning.agent_states))


def _variable(leaf: tf.Tensor) -> tf.Variable:
    return tf.Variable(leaf, trainable=False)
