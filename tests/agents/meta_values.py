"""Meta-values of chains of exact updates, and their finite differences, of which all are seeds of one chain."""

import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import links
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.games.stochastic import StochasticGame
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import tabular_policy

N_SEEDS, N_TASKS = 2, 2
# The rows of policies for what agents see, and for the one thing that they never see.
VISITED, NEVER_VISITED = slice(0, 2), slice(2, 3)


class MetaValues:
    """Two agents in a game of three states of which the last one is never reached, other ones for each seed and task.

    Attributes:
        estimator: of exact values.
        agents: as they were given.
        initial_params: JointParams with leaves [S, 3, 1].
        tasks: payoffs [S, N, ...].
    """

    def __init__(self, agents, chain_length, dtype="float64", scale=1.0):
        """
        Args:
            agents: two agents.
            chain_length: L.
            dtype: of the game.
            scale: of the rewards.
        """
        generator = np.random.default_rng(0)
        transitions = np.zeros([3, 2, 2, 3])
        transitions[..., :2] = generator.dirichlet([1.0, 1.0], size=[3, 2, 2])
        payoffs = scale * generator.normal(size=[N_SEEDS, N_TASKS, 2, 3, 2, 2])
        game = StochasticGame(payoffs[0, 0], transitions, discount=0.8, dtype=dtype)
        policies = [tabular_policy(game, agent) for agent in range(2)]
        self.estimator, self.agents, self._chain_length = ExactEstimator(game, policies), tuple(agents), chain_length
        self.initial_params = tuple((tf.constant(generator.normal(size=[N_SEEDS, 3, 1]), dtype),) for _ in range(2))
        self.tasks = tf.constant(payoffs, dtype)

    def chain(self, initial_params=None, update_params=None):
        """The Chain from initial parameters [S, ...], of S seeds or of as many as a multiple of it."""
        initial_params = self.initial_params if initial_params is None else initial_params
        n_seeds = initial_params[0][0].shape[0]
        keys = [random.root_keys(range(n_seeds))] * (self._chain_length + 1)
        return adaptation.adapt(
            self.estimator, self.agents, adaptation.for_each_task(initial_params, N_TASKS),
            tiled(self.tasks, n_seeds // N_SEEDS), keys, update_params=update_params,
        )

    def derivatives(self, agent_index, weights, part="initial", update_params=None):
        """What the terms of Theorem 1 must be, by central differences of fourth order.

        Args:
            agent_index: i.
            weights: w_0..w_L.
            part: of the agent's MetaParams that is differentiated in: "initial" or "update".
            update_params: for each agent what its updates are made with; by default as the agents begin.

        Returns:
            (the total, what passes through agent i's own state alone), structures like that part.
        """
        chain = self.chain(update_params=update_params)
        values = {"initial": self.initial_params, "update": chain.update_params}
        leaves = [leaf.numpy() for leaf in tf.nest.flatten(values[part][agent_index])]
        results = []
        for held in (None, chain):
            gradients = []
            for number, leaf in enumerate(leaves):
                size, step = leaf[0].size, 1e-3
                shifts = np.multiply.outer(np.array([1, -1, 2, -2]), step * np.eye(size))  # [4, P, P]
                moved = (leaf + shifts.reshape([4, size, 1, *leaf.shape[1:]])).reshape([-1, *leaf.shape[1:]])
                repeated = tiled(values, 4 * size)
                own_leaves = tf.nest.flatten(repeated[part][agent_index])
                own_leaves[number] = tf.constant(moved)
                own = tf.nest.pack_sequence_as(values[part][agent_index], own_leaves)
                repeated[part] = tuple(
                    own if agent == agent_index else other for agent, other in enumerate(repeated[part])
                )
                near, near_back, far, far_back = np.reshape(
                    self._meta_value(agent_index, weights, held, **repeated), [4, size, N_SEEDS]
                )
                gradient = (8 * (near - near_back) - (far - far_back)) / (12 * step)
                gradients.append(gradient.T.reshape(leaf.shape))
            results.append(gradients)
        return results

    def _meta_value(self, agent_index, weights, held, initial, update):
        """Σ_l w_l Vⁱ(φ_l), the mean over tasks: [S]; `held` is a chain whose states the others have at every link."""
        n_seeds = initial[0][0].shape[0]
        if held is None:
            chain = self.chain(initial, update)
            values = [self._value(agent_index, link.joint_params) for link in chain.links]
            return sum(weight * value for weight, value in zip(weights, values))
        joint_params = adaptation.for_each_task(initial, N_TASKS)
        own = adaptation.initial_states(self.agents, joint_params, self.estimator)[agent_index]
        tasks, total = tiled(self.tasks, n_seeds // N_SEEDS), 0.0
        for step, (weight, link) in enumerate(zip(weights, held.links)):
            states = list(tiled(link.agent_states, n_seeds // N_SEEDS))
            states[agent_index] = own
            total += weight * self._value(agent_index, tuple(state.params for state in states))
            own_link = links.Link(tuple(states), (), random.root_keys(range(n_seeds)))
            objectives = links.Objectives(self.estimator, tasks, own_link)
            step_params = adaptation.at_step(update[agent_index], step)
            own = self.agents[agent_index].update(own, objectives, agent_index, step_params)
        return total

    def _value(self, agent_index, joint_params):
        tasks = tiled(self.tasks, joint_params[0][0].shape[0] // N_SEEDS)
        return np.mean(self.estimator.values(joint_params, tasks, ())[agent_index], axis=1)


def tiled(structure, times):
    """A structure of tensors [S, ...], all seeds again and again: [times · S, ...]."""
    return tf.nest.map_structure(lambda leaf: tf.tile(leaf, [times, *[1] * (len(leaf.shape) - 1)]), structure)
