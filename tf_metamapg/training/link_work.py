"""What a trainer does at one link of a chain: it lets agents play there, reports what they get, and lets them learn."""

from collections.abc import Callable
from collections.abc import Sequence
import functools
from typing import Any
from typing import NamedTuple

import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import arguments
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import masks

# What agents get at a link: (mean reward per step, the game's metrics by name), leaves [S, N, n_agents].
Report = tuple[tf.Tensor, dict[str, tf.Tensor]]


class Played(NamedTuple):
    """What comes of one link."""

    mean_reward: tf.Tensor  # [S, n_agents], per step, the mean over tasks
    game_metrics: dict[str, tf.Tensor]  # by the names of the game's spec, like `mean_reward`; NaN where nowhere defined
    agent_states: tuple[AgentState, ...]  # after the update of all agents, leaves [S, N, ...]
    critic_gradients: list[tf.Tensor]  # of the loss of the estimator's critic, see `CriticLearner.gradients`


def report(estimator: contracts.Estimator, tasks: Structure, link: links.Link) -> Report:
    """What agents get at a link, for each task."""
    rewards = estimator.mean_rewards(link.joint_params, tasks, link.sample)
    metrics = estimator.metrics(link.joint_params, tasks, link.sample)
    return tf.stack(rewards, axis=-1), {name: tf.stack(by_agent, axis=-1) for name, by_agent in metrics.items()}


def over_tasks(report: Report) -> Report:
    """Means over the tasks, of metrics over those where they are defined: leaves [S, n_agents]."""
    mean_reward, metrics = report
    return tf.reduce_mean(mean_reward, axis=1), {
        name: masks.mean_where_defined(values, None, axis=1) for name, values in metrics.items()
    }


def play_and_update(
    estimator: contracts.Estimator, agents: tuple[contracts.Agent, ...], compile_fn: Callable[..., Any],
    agent_states: Sequence[AgentState], step_params: Sequence[Structure], critic: JointParams, tasks: Structure,
    keys: tf.Tensor, *, critic_gradients: Callable[..., Any],
) -> Played:
    """Plays a link, and lets all agents learn from it.

    Args:
        estimator, agents: of the problem.
        compile_fn: what is applied to the parts of the work.
        agent_states: of all agents at the link, leaves [S, N, ...].
        step_params: for each agent what its update is made with, leaves [S, ...].
        critic: parameters of the estimator's critic, leaves [S, ...].
        tasks: the tasks, with leading axes [S, N].
        keys: int64 tensor [S, 2], of the link.
        critic_gradients: function (links, critic, compile_fn) → gradients of the estimator's critic.
    """
    _, n_tasks = arguments.seeds_and_tasks(agent_states[0].params)
    critic_params = adaptation.for_each_task(critic, n_tasks)
    link = links.sampling(estimator, compile_fn)(agent_states, tasks, keys, critic_params)
    update: Callable[..., Any] = functools.partial(_report_and_update, estimator, agents)
    update = adaptation.compiled_update(update, estimator, agents, compile_fn)
    (mean_reward, game_metrics), following = update(link, tasks, step_params)
    return Played(mean_reward, game_metrics, following, critic_gradients([link], critic, compile_fn))


def _report_and_update(
    estimator: contracts.Estimator, agents: tuple[contracts.Agent, ...], link: links.Link, tasks: Structure,
    step_params: Sequence[Structure],
) -> tuple[Report, tuple[AgentState, ...]]:
    objectives = links.Objectives(estimator, tasks, link)
    return over_tasks(report(estimator, tasks, link)), adaptation.inner_update(objectives, agents, step_params)
