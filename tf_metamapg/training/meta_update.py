"""A meta-update: what chains of inner updates say of what has been learned so far, as a function of that.

It is computed in blocks of seeds and tasks, and put together from all of them.
"""

from collections.abc import Callable
from collections.abc import Sequence
import functools
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import descriptions
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import MetaGradients
from tf_metamapg.contracts import MetaParams
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import random
from tf_metamapg.training import gradient_norms
from tf_metamapg.training import link_work
from tf_metamapg.training.blocks import Blocks
from tf_metamapg.training.critic_learner import CriticLearner
from tf_metamapg.training.draws import Draws
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.sharing import Shared


class Learned(NamedTuple):
    """What has been learned so far; leaves [S, ...]."""

    meta_params: tuple[MetaParams, ...]  # of all agents
    pools: JointParams  # for each agent whose population grows its pool, leaves [S, P, ...]; () for the others
    critic: JointParams  # of the estimator's critic, see `CriticLearner.values`


@descriptions.described
class Metrics(NamedTuple):
    """What one meta-update reports, for each seed and agent."""

    mean_reward: np.ndarray  # [S, L + 1, n_agents], per step, the mean over tasks at each link
    term_norms: np.ndarray  # [S, n_agents, 3], the norm of each term of `MetaGradients`
    game_metrics: dict[str, np.ndarray]  # by the names of the game's spec, like `mean_reward`; NaN where not defined


class Found(NamedTuple):
    """What chains say, of a block or of all."""

    reports: list[link_work.Report]  # of each link, leaves [S, N, n_agents]
    terms: list[MetaGradients]  # of each agent, leaves [S, ...]
    critic_gradients: list[tf.Tensor]  # see `CriticLearner.gradients`


class MetaUpdate(NamedTuple):
    """What changes what is learned."""

    gradients: list[MetaParams]  # of each agent's meta-value, leaves [S, ...]
    critic_gradients: list[tf.Tensor]
    finite: dict[str, tf.Tensor]  # by names of gradients bool [S], whether all of a seed's are finite
    metrics: Metrics  # leaves are tensors


class MetaUpdates:
    """The meta-updates of a problem."""

    def __init__(
        self, problem: Problem, settings: TrainerSettings, draws: Draws, critic: CriticLearner, shared: Shared | None,
        blocks: Blocks, compile_fn: Callable[..., Any],
    ) -> None:
        """
        Args:
            problem, settings: what is trained, and how.
            draws: of all seeds.
            critic: how the estimator's critic learns.
            shared: who shares what it learns.
            blocks: how seeds and tasks are cut.
            compile_fn: what is applied to the work of links.
        """
        self._problem, self._settings, self._draws, self._critic = problem, settings, draws, critic
        self._shared, self._blocks, self._compile_fn = shared, blocks, compile_fn
        # As one call, as each takes a tenth of a millisecond.
        self._drawn = compile_fn(self._draw)
        self._report = compile_fn(functools.partial(link_work.report, problem.estimator))

    def of_block(self, learned: Learned, meta_update: tf.Tensor, block: tf.Tensor) -> Found:
        """What chains of a block say.

        Args:
            learned: by all seeds.
            meta_update: int64 tensor [], how many meta-updates there have been.
            block: int64 tensor [], which block it is.
        """
        problem, blocks = self._problem, self._blocks
        learned = blocks.seeds_of(block, learned)
        initial_params, tasks, keys = self._drawn(learned, meta_update, block)
        chain = adaptation.adapt(
            problem.estimator, problem.agents, initial_params, tasks, keys,
            update_params=tuple(own.update for own in learned.meta_params),
            critic_params=adaptation.for_each_task(learned.critic, blocks.n_tasks), compile_fn=self._compile_fn,
        )
        return Found(
            [self._report(tasks, link) for link in chain.links],
            [agent.meta_gradients(chain, index) for index, agent in enumerate(problem.agents)],
            self._critic.gradients(chain.links, learned.critic, self._compile_fn),
        )

    def _draw(
        self, learned: Learned, meta_update: tf.Tensor, block: tf.Tensor
    ) -> tuple[JointParams, Structure, list[tf.Tensor]]:
        """(initial parameters, tasks, the keys of each link) of a block, from what its seeds have learned."""
        blocks, n_tasks = self._blocks, self._settings.n_tasks
        keys = blocks.seeds_of(block, self._draws.keys(random.META_TRAIN, meta_update))
        initial = tuple(own.initial for own in learned.meta_params)
        drawn = (
            self._draws.initial_params(initial, learned.pools, random.META_TRAIN, keys, n_tasks),
            self._draws.tasks(keys, n_tasks),
        )
        initial_params, tasks = blocks.tasks_of(block, drawn)
        keys = blocks.link_keys_of(block, keys)
        by_link = [random.link_keys(keys, link) for link in range(self._settings.chain_length + 1)]
        return initial_params, tasks, by_link

    def of_all(self, by_block: Sequence[Found]) -> MetaUpdate:
        """What is learned from what all blocks say."""
        reports = self._blocks.joined_tasks([found.reports for found in by_block])
        of_seeds = [(found.terms, found.critic_gradients) for found in by_block]
        terms, critic_gradients = self._blocks.joined_seeds(of_seeds)
        gradients = [own_terms.total for own_terms in terms]
        for index, population in enumerate(self._problem.populations):
            if population is not None:  # Nobody starts from what would be learned.
                zeros = tf.nest.map_structure(tf.zeros_like, gradients[index].initial)
                gradients[index] = gradients[index]._replace(initial=zeros)
        if self._shared:
            gradients = self._shared.averaged(gradients)
        if (limit := self._settings.max_gradient_norm) is not None:
            gradients = [gradient_norms.shortened(own, limit) for own in gradients]
        finite = {"meta-gradient": gradient_norms.have_finite_squares(gradients)}
        if critic_gradients:
            finite["gradient of a critic"] = gradient_norms.have_finite_squares(critic_gradients)
        term_norms = [
            tf.stack([gradient_norms.norms(term.initial) for term in own_terms], axis=-1) for own_terms in terms
        ]
        mean_reward, game_metrics = tf.nest.map_structure(
            lambda *by_link: tf.stack(by_link, axis=1), *map(link_work.over_tasks, reports)
        )
        metrics = Metrics(mean_reward, tf.stack(term_norms, axis=1), game_metrics)
        return MetaUpdate(gradients, critic_gradients, finite, metrics)
