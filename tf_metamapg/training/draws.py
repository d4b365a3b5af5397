"""What is drawn for meta-updates and evaluations: tasks, keys, and initial policies of populations."""

from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import contracts
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import random
from tf_metamapg.training.settings import Problem


class Draws:
    """Random numbers of a run; those of a seed, phase and meta-update are always the same."""

    def __init__(self, problem: Problem, seeds: Sequence[int]) -> None:
        """
        Args:
            problem: `settings.Problem`.
            seeds: S integers.
        """
        self._problem = problem
        self._seeds = seeds

    def keys(self, phase: int, index: int | tf.Tensor) -> tf.Tensor:
        """Keys of a meta-update of a phase, which all that is drawn for it is below: int64 tensor [S, 2]."""
        return random.fold_in(random.fold_in(random.root_keys(self._seeds), phase), index)

    def tasks(self, keys: tf.Tensor, n_tasks: int) -> Structure:
        """The tasks of a meta-update, leaves [S, N, ...], from its keys [S, 2]."""
        return self._problem.task_distribution.sample(random.task_keys(keys), n_tasks)

    def initial_params(
        self, learned: JointParams, pools: JointParams, phase: int, keys: tf.Tensor, n_tasks: int
    ) -> JointParams:
        """What every agent starts the tasks from: JointParams with leaves [S, N, ...].

        Args:
            learned: JointParams with leaves [S, ...], for agents that start all tasks of a seed from the same policy.
            pools: for each agent whose population grows its pool, leaves [S, P, ...]; () for the others.
            phase: of the meta-update.
            keys, n_tasks: see `tasks`.
        """
        joint_params = []
        starts = zip(adaptation.for_each_task(learned, n_tasks), self._problem.populations, pools)
        for agent_index, (params, population, pool) in enumerate(starts):
            own_keys = random.population_keys(keys, agent_index)
            if isinstance(population, contracts.GrowingPopulation):
                params = population.sample_pool(pool, own_keys, n_tasks)
            elif population is not None:
                params = population.sample(phase, own_keys, n_tasks)
            joint_params.append(params)
        return tuple(joint_params)
