"""The pools of populations that grow in the course of meta-training."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import learned_names
from tf_metamapg.contracts import MetaParams
from tf_metamapg.contracts import Params
from tf_metamapg.numerics import structures
from tf_metamapg.training.settings import Problem


class Pools:
    """For each agent of a population that grows, what it starts tasks from.

    Attributes:
        variables: by the agents' names, lists of Keras variables [S, P, ...].
    """

    def __init__(self, problem: Problem, meta_params: Sequence[MetaParams]) -> None:
        """
        Args:
            problem: `settings.Problem`.
            meta_params: of all agents, Keras variables [S, ...].

        Raises:
            InvalidInputError: if a population is of somebody else's policies, or of an agent that learns none.
        """
        self._populations = problem.populations
        self._meta_params = meta_params
        self._growing: dict[int, contracts.GrowingPopulation] = {
            index: population for index, population in enumerate(problem.populations)
            if isinstance(population, contracts.GrowingPopulation)
        }
        self.variables: dict[str, list[keras.Variable]] = {}
        for index, population in self._growing.items():
            name, whose = f"{type(population).__name__}.agent_index", population.agent_index
            checks.check_agent_index(name, whose, len(meta_params))
            is_learned = problem.agents[whose].is_meta_agent and problem.populations[whose] is None
            checks.check(is_learned, name, whose, "that of a meta-agent, as the others have no past")
            own, theirs = (tuple(problem.policies[agent].reference_params) for agent in (index, whose))
            is_alike = structures.specs(own) == structures.specs(theirs)
            checks.check(is_alike, name, whose, f"that of an agent with a policy like {problem.policies[index]}")
            self.variables[learned_names.agent(index)] = [
                keras.Variable(np.repeat(leaf.numpy()[:, np.newaxis], population.n_policies, axis=1))
                for leaf in meta_params[whose].initial
            ]

    def of_agent(self, agent_index: int) -> Params:
        """What one agent's tasks start from: leaves [S, P, ...]; () if its population does not grow."""
        variables = self.variables.get(learned_names.agent(agent_index), ())
        return tuple(tf.convert_to_tensor(variable.value) for variable in variables)

    def frozen(self, agent_index: int) -> contracts.Population | None:
        """One agent's population, as others can meet it; None if it has none."""
        population = self._populations[agent_index]
        if isinstance(population, contracts.GrowingPopulation):
            return population.frozen(self.of_agent(agent_index))
        return population

    def grow(self, n_meta_updates_done: int) -> None:
        """Puts the present policies in place of the oldest, where it is time."""
        for index, population in self._growing.items():
            n_joined, rest = divmod(n_meta_updates_done, population.every)
            if not rest:
                present = self._meta_params[population.agent_index].initial
                for variable, leaf in zip(self.variables[learned_names.agent(index)], present):
                    pool = np.array(variable.numpy())
                    pool[:, (n_joined - 1) % population.n_policies] = leaf.numpy()
                    variable.assign(pool)
