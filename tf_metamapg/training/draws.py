"""What is drawn for meta-updates and evaluations: tasks, keys, and initial policies of populations."""

from tf_metamapg import adaptation
from tf_metamapg.numerics import random


class Draws:
    """Random numbers of a run; those of a seed, phase and meta-update are always the same."""

    def __init__(self, problem, seeds):
        """
        Args:
            problem: `settings.Problem`.
            seeds: S integers.
        """
        self._problem = problem
        self._seeds = seeds

    def tasks(self, phase, index, n_tasks):
        """The tasks of a meta-update of a phase, leaves [S, N, ...]."""
        return self._problem.task_distribution.sample(random.task_keys(self._keys(phase, index)), n_tasks)

    def link_keys(self, phase, index, link):
        """Keys for all that is drawn at a link of its chains: int64 tensor [S, 2]."""
        return random.link_keys(self._keys(phase, index), link)

    def initial_params(self, learned, phase, index, n_tasks):
        """What every agent starts the tasks from: JointParams with leaves [S, N, ...].

        Args:
            learned: JointParams with leaves [S, ...], for agents that start all tasks of a seed from the same policy.
            phase, index, n_tasks: see `tasks`.
        """
        keys = self._keys(phase, index)
        return tuple(
            params if population is None
            else population.sample(phase, random.population_keys(keys, agent_index), n_tasks)
            for agent_index, (params, population) in enumerate(
                zip(adaptation.for_each_task(learned, n_tasks), self._problem.populations)
            )
        )

    def _keys(self, phase, index):
        return random.fold_in(random.fold_in(random.root_keys(self._seeds), phase), index)
