"""Chains of a tiny game all of whose samples are enumerated: the expected meta-value, and what its gradient must be."""

import functools

import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.critics.baselines import NoBaseline
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.numerics import masks
from tf_metamapg.numerics import random
from tf_metamapg.testing.tiny_games import TinyGame

STEP = 1e-3
WEIGHTS = np.array([-1.0, 9.0, -45.0, 0.0, 45.0, -9.0, 1.0]) / (60.0 * STEP)


class Scripted:
    """A simulator that plays what it is told, one link after another."""

    in_graph = True

    def __init__(self, spec, policies, n_trajectories, horizon):
        self.spec, self.policies = spec, tuple(policies)
        self.n_trajectories, self.horizon = n_trajectories, horizon
        self.script = []

    def sample(self, joint_params, tasks, keys):
        """The next trajectories of the script, whatever the arguments are."""
        del joint_params, tasks, keys
        return self.script.pop(0)


def _picked(members, leaf):
    """The sets that are members, each as the one task of a seed: [Z, K, T] → [members, 1, K, T]."""
    return tf.gather(leaf, members)[:, tf.newaxis]


class EnumeratedChains:
    """A chain for each series of sets of K trajectories, one set a link: every one is a seed of its own.

    Agent 0 is under test, the other is a naive learner with a table.
    """

    def __init__(self, agent, make_policy, n_trajectories, horizon, chain_length, critic=NoBaseline):
        self.tiny = tiny = TinyGame(2, ends=True, horizon=horizon)
        self.agents = agent, PolicyGradient(0.8)
        self.policies = make_policy(tiny.game, 0), tiny.policies[1]
        self.estimator = ScoreFunctionEstimator(
            tiny.game, self.policies, n_trajectories, horizon, critic=critic, simulator=self._simulator,
        )
        sets = tf.nest.map_structure(lambda leaf: leaf[0], tiny.sets(n_trajectories))  # [Z, K, T]
        chances = np.prod(np.stack(np.meshgrid(*[tiny._chances] * n_trajectories, indexing="ij")), axis=0).ravel()
        n_sets, n_links = len(chances), chain_length + 1
        series = np.stack(np.unravel_index(np.arange(n_sets**n_links), [n_sets] * n_links))
        self.trajectories = [
            tf.nest.map_structure(functools.partial(_picked, members), sets) for members in series
        ]
        self.log_chances = np.sum(np.log(chances)[series], axis=0)
        self.size = series.shape[1]
        rng = np.random.default_rng(5)
        self.params = [leaf + 0.4 * rng.normal(size=leaf.shape) for leaf in self.policies[0].reference_params]

    def _simulator(self, game, policies, n_trajectories, horizon):
        self.simulator = Scripted(game.spec, policies, n_trajectories, horizon)
        return self.simulator

    def chain(self, params):
        """The chains from parameters [...] of agent 0, as seeds."""
        self.simulator.script = [*self.trajectories]
        joint_params = (
            tuple(tf.broadcast_to(tf.convert_to_tensor(leaf), [self.size, 1, *leaf.shape]) for leaf in params),
            tuple(tf.repeat(leaf, self.size, axis=0) for leaf in self.tiny.joint_params[1]),
        )
        tasks = tf.repeat(self.tiny.tasks, self.size, axis=0)
        keys = [random.link_keys(random.root_keys([0] * self.size), link) for link in range(len(self.trajectories))]
        return adaptation.adapt(self.estimator, self.agents, joint_params, tasks, keys)

    def probs(self, chain):
        """The probability of each series, [Z^(L + 1)]."""
        total = tf.constant(self.log_chances)
        for link, trajectory in zip(chain.links, self.trajectories):
            for agent, (policy, params) in enumerate(zip(self.policies, link.joint_params)):
                log_probs = policy.log_probs(params, trajectory.observations[agent], trajectory.actions[agent])
                total += tf.reduce_sum(masks.masked(log_probs, trajectory.agent_mask(agent)), axis=[1, 2, 3])
        return tf.exp(total)

    def expected_meta_value(self, value_weights):
        """A function of params [...]: Σ over all series of their probability times Σ_l w_l of agent 0's mean return."""
        discounts = self.tiny.game.spec.discount ** np.arange(self.simulator.horizon)
        values = [
            np.sum(trajectory.rewards[0] * discounts, axis=-1).mean(axis=-1)[:, 0] for trajectory in self.trajectories
        ]
        meta_values = np.tensordot(value_weights, values, axes=1)
        return tf.function(lambda params: tf.reduce_sum(self.probs(self.chain(params)) * meta_values))

    def expected_gradient(self):
        """What the agent says of the gradient, on average: arrays [...]."""
        chain = self.chain(self.params)
        probs = self.probs(chain).numpy()
        np.testing.assert_allclose(probs.sum(), 1.0, rtol=1e-12)
        terms = self.agents[0].meta_gradients(chain, 0)
        return [[np.tensordot(probs, leaf, axes=1) for leaf in term.initial] for term in terms]

    def difference_along(self, direction, value_weights):
        """The derivative of the expected meta-value along a direction, by differences of sixth order."""
        meta_value = self.expected_meta_value(value_weights)
        points = STEP * np.arange(-3, 4)
        along = [leaf + np.multiply.outer(points, step) for leaf, step in zip(self.params, direction)]
        return np.dot(WEIGHTS, [meta_value([tf.constant(leaf) for leaf in params]) for params in zip(*along)])
