"""Shaper: a policy that remembers while others learn, and its meta-gradient, by single chains and by Theorem 1."""

import functools

import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import adaptation
from tf_metamapg import theorem
from tf_metamapg.contracts import MetaParams
from tf_metamapg.numerics import random

N_SEEDS, N_TASKS, LENGTH, N_TRAJECTORIES = 2, 2, 2, 2
REMEMBERING = functools.partial(
    mapg.carried_state_policy, n_trajectories=N_TRAJECTORIES, make_policy=functools.partial(mapg.gru_policy, units=2)
)
SAMPLED = functools.partial(mapg.ScoreFunctionEstimator, n_trajectories=N_TRAJECTORIES, horizon=3)


def chain_of(agent, make_policy, make_estimator, initial=None):
    """Agent 0 and a naive learner in a prisoner's dilemma; agent 0's initial parameters [S, ...] may be given."""
    game = mapg.IteratedMatrixGame(mapg.prisoners_dilemma(), discount=0.8, dtype="float64")
    policies = [make_policy(game, 0), mapg.tabular_policy(game, 1)]
    params = [policy.initial_params(range(N_SEEDS)) for policy in policies]
    params[0] = initial or params[0]
    root = random.root_keys(range(N_SEEDS))
    tasks = mapg.PayoffNoise(game, 0.3).sample(root, N_TASKS)
    keys = [random.link_keys(root, link) for link in range(LENGTH + 1)]
    return adaptation.adapt(
        make_estimator(game, policies), [agent, mapg.PolicyGradient(0.5)],
        adaptation.for_each_task(tuple(params), N_TASKS), tasks, keys,
    )


def drawn(agent, chain):
    """(agent 0's initial parameters [S, ...], ε [S, M, ...])."""
    own = MetaParams(tuple(leaf[:, 0] for leaf in chain.links[0].joint_params[0]))
    return own.initial, agent.noise(chain.links[0].keys, own, 0).initial


class ShaperTest(tf.test.TestCase):

    def test_it_stays_the_same_and_remembers(self):
        chain = chain_of(mapg.Shaper(), REMEMBERING, SAMPLED)
        for before, after in zip(chain.links, chain.links[1:]):
            *own, carried = zip(before.joint_params[0], after.joint_params[0])
            for leaf, following in own:
                np.testing.assert_array_equal(leaf, following)
            self.assertGreater(np.min(np.max(np.abs(carried[1] - carried[0]), axis=-1)), 1e-3)
            self.assertNotAllClose(before.joint_params[1][0], after.joint_params[1][0])

    def test_meta_gradient_is_that_of_single_chains(self):
        """Of the sum over all episodes, the first included, with the same random numbers, and memory of each."""
        agent = mapg.Shaper(n_perturbations=2, stddev=0.7)
        chain = chain_of(agent, REMEMBERING, SAMPLED)
        own, noise = drawn(agent, chain)
        expected = [np.zeros(leaf.shape) for leaf in own]
        for number in range(2):
            values = []
            for sign in (0.7, -0.7):
                moved = tuple(leaf + sign * shift[:, number] for leaf, shift in zip(own, noise))
                one = chain_of(agent, REMEMBERING, SAMPLED, moved)
                rewards = [link.sample.trajectory.rewards[0].numpy() for link in one.links]  # each [S, N, K, T]
                values.append(sum(reward @ 0.8 ** np.arange(3) for reward in rewards).mean(axis=(1, 2)))
            slopes = (values[0] - values[1]) / 1.4 / 2
            for total, shift in zip(expected, noise):
                total += np.einsum("s,s...->s...", slopes, shift[:, number])
        found = agent.meta_gradients(chain, 0)
        for leaf, own_leaf in zip(found.current_policy.initial[:-1], expected[:-1]):
            np.testing.assert_allclose(leaf, own_leaf, rtol=1e-9, atol=1e-12)
            self.assertGreater(np.max(np.abs(own_leaf)), 0.01)
        # What is carried begins as zeros, whatever is learned.
        for leaf in tf.nest.flatten((found.current_policy.initial[-1], found.self_shaping, found.opponent_shaping)):
            self.assertFalse(np.any(leaf))

    def test_meta_gradient_is_that_of_theorem_1_along_what_is_drawn(self):
        """(1/M) Σ ε (ε·g) for small σ, with exact values and a policy that need not remember."""
        agent = mapg.Shaper(n_perturbations=3, stddev=1e-4)
        chain = chain_of(agent, mapg.tabular_policy, mapg.ExactEstimator)
        (true,) = theorem.meta_gradients(chain, 0, theorem.sum_over_chain(LENGTH)).total.initial
        _, (noise,) = drawn(agent, chain)
        along = np.einsum("smij,sij->sm", noise, true)
        (found,) = agent.meta_gradients(chain, 0).total.initial
        np.testing.assert_allclose(found, np.einsum("sm,smij->sij", along, noise) / 3, rtol=1e-5, atol=1e-5)
        self.assertGreater(np.max(np.abs(true)), 0.1)


if __name__ == "__main__":
    tf.test.main()
