"""Meta-value learning: its update, its targets and its meta-gradient, by NumPy and by differences."""

import functools
import itertools

import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import adaptation
from tf_metamapg.numerics import random
from tf_metamapg.testing.modes import differences_of_seeds

N_SEEDS, N_TASKS, LENGTH = 2, 2, 3


def chain_of(*agents, length=LENGTH, make_estimator=mapg.ExactEstimator):
    """Two agents in a prisoner's dilemma, which start every task from policies of their own."""
    game = mapg.IteratedMatrixGame(mapg.prisoners_dilemma(), discount=0.8, dtype="float64")
    policies = [mapg.tabular_policy(game, index) for index in range(2)]
    root = random.root_keys(range(N_SEEDS))
    initial = tuple(
        mapg.NormalPolicies(policy).sample(random.META_TRAIN, random.fold_in(root, -1 - index), N_TASKS)
        for index, policy in enumerate(policies)
    )
    keys = [random.link_keys(root, link) for link in range(length + 1)]
    tasks = mapg.PayoffNoise(game, 0.3).sample(root, N_TASKS)
    return adaptation.adapt(make_estimator(game, policies), agents, initial, tasks, keys)


def network(weights, own, other):
    """U in NumPy, of vectors of parameters: [...]."""
    kernel, bias, out_kernel, out_bias = weights
    hidden = np.tanh(np.tanh(0.5 * np.concatenate([own, other], axis=-1)) @ kernel + bias[0])
    return (hidden @ out_kernel + out_bias[0])[..., 0]


def known(chain, agent, seed, task):
    """Along a chain, of one seed, task and agent: (Vⁱ, the agent's own parameters, the other's), [L + 1, ...]."""
    values = [chain.estimator.values(link.joint_params, chain.tasks, link.sample)[agent] for link in chain.links]
    own, other = (
        np.stack([np.reshape(link.joint_params[index][0][seed, task], -1) for link in chain.links])
        for index in (agent, 1 - agent)
    )
    return np.array([value[seed, task] for value in values]), own, other


def meta_values(chain, agent, seed, task, params):
    """Vⁱ + U at the first link, [P], of one seed, task and agent with own Params [P, 1, ...]."""
    joint_params, tasks = tf.nest.map_structure(
        lambda leaf: tf.repeat(leaf[seed : seed + 1, task : task + 1], len(params), axis=0),
        (list(chain.links[0].joint_params), chain.tasks),
    )
    joint_params[agent] = (tf.constant(params),)
    values = chain.estimator.values(tuple(joint_params), tasks, ())[agent].numpy()
    weights = [leaf[seed, 0].numpy() for leaf in chain.update_params[agent]]
    own, other = (np.reshape(joint_params[index][0], [len(params), -1]) for index in (agent, 1 - agent))
    return values[:, 0] + network(weights, own, other)


def targets(values, ahead, discount, decay):
    """G_l as the mixture of n-step targets that λ makes, each summed from the first of its steps."""
    last = len(values) - 1

    def n_step(start, n):
        gains = [discount ** (k + 1) * (values[start + k + 1] - values[start + k]) for k in range(n)]
        return sum(gains) + discount**n * ahead[start + n]

    found = []
    for start in range(last):
        n_left = last - start
        mixed = [(1.0 - decay) * decay ** (n - 1) * n_step(start, n) for n in range(1, n_left)]
        found.append(sum(mixed) + decay ** (n_left - 1) * n_step(start, n_left))
    return np.array([*found, ahead[-1]])


class MeVaTest(tf.test.TestCase):

    def test_update(self):
        """A step along the gradients of the value and of a network in NumPy, an agent's own parameters first."""
        chain = chain_of(mapg.MeVa(0.3, units=3), mapg.MeVa(0.3, units=2), length=1)
        first, second = chain.links
        for agent, seed, task in itertools.product(range(2), range(N_SEEDS), range(N_TASKS)):
            _, own, _ = known(chain, agent, seed, task)
            start, end = (link.joint_params[agent][0][seed, task][tf.newaxis, tf.newaxis] for link in (first, second))
            slopes = differences_of_seeds(functools.partial(meta_values, chain, agent, seed, task), [start.numpy()])
            np.testing.assert_allclose(np.ravel(end - start), 0.3 * np.ravel(slopes), rtol=1e-6, atol=1e-8)
            self.assertGreater(np.max(np.abs(own[1] - own[0])), 0.01)

    def test_targets_are_discounted_sums(self):
        """Vⁱ + G is the meta-value where λ is 1, of (1 − γ) γᵏ each, with what U says of the rest."""
        values, ahead = (np.random.default_rng(seed).normal(size=[LENGTH + 1, 2, 3]) for seed in range(2))
        found = mapg.MeVa(discount=0.7, trace_decay=1.0).targets(*map(tf.unstack, map(tf.constant, (values, ahead))))
        for start, target in enumerate(found):
            later = values[start:-1]
            expected = sum(0.3 * 0.7**k * value for k, value in enumerate(later))
            expected += 0.7 ** len(later) * (values[-1] + ahead[-1])
            np.testing.assert_allclose(values[start] + target, expected, rtol=1e-12)

    def test_meta_gradient(self):
        """Of the squared error of the network in NumPy to targets that do not change with it, by differences in w."""
        for make_estimator in (mapg.ExactEstimator, lambda *of: mapg.ScoreFunctionEstimator(*of, 3, 2)):
            agent = mapg.MeVa(0.3, 0.7, 0.6, units=2)
            chain = chain_of(agent, mapg.PolicyGradient(0.5), make_estimator=make_estimator)
            found = agent.meta_gradients(chain, 0)
            for seed in range(N_SEEDS):
                weights = [leaf[seed, 0].numpy() for leaf in chain.update_params[0]]
                by_task = [known(chain, 0, seed, task) for task in range(N_TASKS)]
                fixed = [targets(of[0], network(weights, *of[1:]), 0.7, 0.6) for of in by_task]

                def objective(*points, by_task=by_task, fixed=fixed):
                    """[P] of weights [P, ...]."""
                    return np.array([
                        -0.5 * np.mean([(goal - network(one, *of[1:])) ** 2 for goal, of in zip(fixed, by_task)])
                        for one in zip(*points)
                    ])

                slopes = differences_of_seeds(objective, [leaf[np.newaxis] for leaf in weights])
                for step in range(LENGTH):
                    own = np.concatenate([np.ravel(leaf[seed, step]) for leaf in found.current_policy.update])
                    np.testing.assert_allclose(own, np.ravel(slopes), rtol=1e-5, atol=1e-7)
                self.assertGreater(np.max(np.abs(slopes)), 0.02)
            for leaf in tf.nest.flatten((found.current_policy.initial, found.self_shaping, found.opponent_shaping)):
                self.assertFalse(np.any(leaf))

    def test_a_chain_without_updates_teaches_nothing(self):
        agent = mapg.MeVa(units=2)
        chain = chain_of(agent, mapg.PolicyGradient(0.5), length=0)
        for leaf in tf.nest.flatten(agent.meta_gradients(chain, 0)):
            self.assertFalse(np.any(leaf))


if __name__ == "__main__":
    tf.test.main()
