"""Model-free opponent shaping: its update and its meta-gradient, by NumPy, by single chains and by Theorem 1."""

import itertools

import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import adaptation
from tf_metamapg import theorem
from tf_metamapg.contracts import MetaParams
from tf_metamapg.numerics import random

N_SEEDS, N_TASKS, LENGTH = 2, 2, 2


def chain_of(agent, other, length=LENGTH, initial=None, update=None, make_estimator=mapg.ExactEstimator):
    """Agent 0 among two in a prisoner's dilemma; its initial parameters [S, ...] and w [S, L, ...] may be given."""
    game = mapg.IteratedMatrixGame(mapg.prisoners_dilemma(), discount=0.8, dtype="float64")
    policies = [mapg.tabular_policy(game, index) for index in range(2)]
    estimator = make_estimator(game, policies)
    params = [policy.initial_params(range(N_SEEDS)) for policy in policies]
    params[0] = initial or params[0]
    update_params = list(adaptation.init_update_params([agent, other], estimator, N_SEEDS, length))
    update_params[0] = update or update_params[0]
    root = random.root_keys(range(N_SEEDS))
    tasks = mapg.PayoffNoise(game, 0.3).sample(root, N_TASKS)
    keys = [random.link_keys(root, link) for link in range(length + 1)]
    return adaptation.adapt(
        estimator, [agent, other], adaptation.for_each_task(tuple(params), N_TASKS), tasks, keys,
        update_params=update_params,
    )


def meta_values(chain, weights):
    """Of agent 0, [S]."""
    values = [chain.estimator.values(link.joint_params, chain.tasks, link.sample)[0] for link in chain.links]
    return np.mean(sum(weight * value.numpy() for weight, value in zip(weights, values)), axis=1)


class MFOSTest(tf.test.TestCase):

    def test_update(self):
        """A network of all parameters, an agent's own first, in NumPy."""
        chain = chain_of(mapg.MFOS(units=3), mapg.MFOS(units=2))
        for (before, after), agent in itertools.product(zip(chain.links, chain.links[1:]), range(2)):
            seen = [before.joint_params[index][0].numpy()[..., 0] for index in (agent, 1 - agent)]
            seen = np.concatenate(seen, axis=-1)
            kernel, bias, out_kernel, out_bias = (leaf.numpy()[:, 0] for leaf in chain.update_params[agent])
            found = after.joint_params[agent][0].numpy()[..., 0]
            for seed, task in np.ndindex(N_SEEDS, N_TASKS):
                hidden = np.tanh(np.tanh(0.5 * seen[seed, task]) @ kernel[seed] + bias[seed].ravel())
                expected = hidden @ out_kernel[seed] + out_bias[seed].ravel()
                np.testing.assert_allclose(found[seed, task], expected, rtol=1e-12)
            self.assertGreater(np.ptp(found), 0.01)

    def test_meta_gradient_is_that_of_theorem_1_along_what_is_drawn(self):
        """(1/M) Σ ε (ε·g) for small σ, where g are all terms together; also of a policy that it meets itself."""
        for other in (mapg.PolicyGradient(0.5), mapg.MFOS(units=2)):
            agent = mapg.MFOS(units=2, n_perturbations=3, stddev=1e-4, value_weights=theorem.last_link)
            chain = chain_of(agent, other)
            true = theorem.meta_gradients(chain, 0, theorem.last_link(LENGTH)).total
            found = agent.meta_gradients(chain, 0)
            own = MetaParams(
                tuple(leaf[:, 0] for leaf in chain.links[0].joint_params[0]),
                tuple(leaf[:, 0] for leaf in chain.update_params[0]),
            )
            noise = agent.noise(chain.links[0].keys, own, 0)
            # w is the same for all updates.
            slopes = MetaParams(true.initial, tuple(tf.reduce_sum(leaf, axis=1) for leaf in true.update))
            along = sum(
                np.einsum("smi,si->sm", np.reshape(drawn, [N_SEEDS, 3, -1]), np.reshape(slope, [N_SEEDS, -1]))
                for drawn, slope in zip(tf.nest.flatten(noise), tf.nest.flatten(slopes))
            )
            expected = tf.nest.map_structure(
                lambda drawn, along=along: np.einsum("sm,sm...->s...", along, drawn) / 3, noise
            )
            for leaf, own_leaf in zip(found.current_policy.initial, expected.initial):
                np.testing.assert_allclose(leaf, own_leaf, rtol=0.0, atol=1e-5)
                self.assertGreater(np.max(np.abs(own_leaf)), 0.01)
            for leaf, own_leaf in zip(found.current_policy.update, expected.update):
                for step in range(LENGTH):
                    np.testing.assert_allclose(leaf[:, step], own_leaf, rtol=0.0, atol=1e-5)
                self.assertGreater(np.max(np.abs(own_leaf)), 0.01)
            for term in (found.self_shaping, found.opponent_shaping):
                for leaf in tf.nest.flatten(term):
                    self.assertFalse(np.any(leaf))

    def test_all_perturbations_at_once_are_chains_of_their_own(self):
        """With large steps, also from samples, where all chains of a seed have the same random numbers."""
        weights = theorem.mean_over_chain(LENGTH)
        for make_estimator in (mapg.ExactEstimator, lambda *of: mapg.LoadedDiceEstimator(*of, 3, 2)):
            agent, other = mapg.MFOS(units=2, n_perturbations=2, stddev=0.7), mapg.PolicyGradient(0.5)
            chain = chain_of(agent, other, make_estimator=make_estimator)
            own = MetaParams(
                tuple(leaf[:, 0] for leaf in chain.links[0].joint_params[0]),
                tuple(leaf[:, 0] for leaf in chain.update_params[0]),
            )
            noise = agent.noise(chain.links[0].keys, own, 0)
            expected = tf.nest.map_structure(lambda leaf: np.zeros(leaf.shape), own)
            for number in range(2):
                drawn = tf.nest.map_structure(lambda leaf, number=number: leaf[:, number], noise)
                values = []
                for sign in (0.7, -0.7):
                    moved = tf.nest.map_structure(lambda leaf, shift, sign=sign: leaf + sign * shift, own, drawn)
                    update = tuple(tf.repeat(leaf[:, tf.newaxis], LENGTH, axis=1) for leaf in moved.update)
                    one = chain_of(agent, other, initial=moved.initial, update=update, make_estimator=make_estimator)
                    values.append(meta_values(one, weights))
                slope = (values[0] - values[1]) / (2.0 * 0.7) / 2
                expected = tf.nest.map_structure(
                    lambda total, shift, slope=slope: total + np.einsum("s,s...->s...", slope, shift), expected, drawn
                )
            found = agent.meta_gradients(chain, 0).total
            for leaf, own_leaf in zip(found.initial, expected.initial):
                np.testing.assert_allclose(leaf, own_leaf, rtol=1e-9, atol=1e-12)
            for leaf, own_leaf in zip(found.update, expected.update):
                np.testing.assert_allclose(leaf[:, 0], own_leaf, rtol=1e-9, atol=1e-12)

    def test_weights_of_another_number_are_refused(self):
        for name in ("MFOS", "MetaMAPG"):
            agent = getattr(mapg, name)(value_weights=lambda length: (1.0,) * length)
            chain = chain_of(agent, mapg.PolicyGradient(0.5))
            with self.assertRaisesRegex(mapg.InvalidInputError, rf"^{name}\.value_weights = .* returns L \+ 1 weights"):
                agent.meta_gradients(chain, 0)

    def test_noise(self):
        agent = mapg.MFOS(n_perturbations=5000)
        own = MetaParams((tf.zeros([2, 3], tf.float64),), (tf.zeros([2, 2, 2], tf.float64),))
        keys = random.root_keys([3, 4])
        first, second = (agent.noise(keys, own, index) for index in range(2))
        self.assertEqual([leaf.shape for leaf in tf.nest.flatten(first)], [[2, 5000, 3], [2, 5000, 2, 2]])
        flat = np.concatenate([np.reshape(leaf, [2, 5000, -1]) for leaf in tf.nest.flatten(first)], axis=-1)
        moments = np.einsum("smi,smj->ij", flat, flat) / 10000
        np.testing.assert_allclose(moments, np.eye(7), atol=0.05)
        self.assertNotAllClose(first.initial[0], second.initial[0])
        self.assertNotAllClose(first.initial[0][0], first.initial[0][1])


if __name__ == "__main__":
    tf.test.main()
