"""Proves that what policies carry over inner updates is differentiated right, by enumeration, and refused elsewhere."""

import functools

from absl.testing import parameterized
import numpy as np
import pytest
import tensorflow as tf

from tests.enumerated_chains import EnumeratedChains
import tf_metamapg as mapg
from tf_metamapg import adaptation
from tf_metamapg import links
from tf_metamapg.numerics import random
from tf_metamapg.testing.modes import flat

LINEAR = functools.partial(mapg.mlp_policy, hidden_units=())
GRU = functools.partial(mapg.gru_policy, units=2)
FEATURES = functools.partial(mapg.opponent_features_policy, make_policy=LINEAR)
# (agent, its policy, the weights of its meta-value).
CASES = {
    "features, Meta-PG": (lambda: mapg.MetaPG(0.6), FEATURES, mapg.mean_over_chain),
    "features, Meta-MAPG, recurrent": (
        lambda: mapg.MetaMAPG(0.6, mapg.Momentum(), value_weights=mapg.sum_over_chain),
        functools.partial(mapg.opponent_features_policy, make_policy=GRU), mapg.sum_over_chain,
    ),
}
CASES |= {
    "embedding, Meta-PG": (
        lambda: mapg.OpponentEmbedding(mapg.MetaPG(0.6), n_steps=2, learning_rate=0.1),
        functools.partial(mapg.embedding_policy, make_policy=LINEAR, size=2, units=3), mapg.mean_over_chain,
    ),
    "goal, Meta-PG": (
        lambda: mapg.MetaPG(0.6), functools.partial(mapg.inferred_goal_policy, make_policy=LINEAR, step_size=0.7),
        mapg.mean_over_chain,
    ),
    "COALA-PG": (mapg.COALAPG, functools.partial(mapg.carried_state_policy, make_policy=GRU), mapg.sum_over_chain),
    "recurrent state, Meta-PG": (
        lambda: mapg.MetaPG(0.6), functools.partial(mapg.carried_state_policy, make_policy=GRU), mapg.mean_over_chain,
    ),
}
# By K, T and L; of two steps, episodes may end after one.
SIZES = {"two trajectories": (2, 1, 1), "two steps": (1, 2, 1), "two updates": (1, 1, 2)}


def with_size(make_policy, n_trajectories):
    """The maker of a policy, which may have to know K."""
    if make_policy.func is mapg.carried_state_policy:
        return functools.partial(make_policy, n_trajectories=n_trajectories)
    return make_policy


class EnumerationTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(*CASES)
    def test_meta_gradient(self, case):
        """Its expectation is the derivative of the expected meta-value."""
        self._check(case, "two updates")

    @parameterized.product(case=list(CASES), size=list(SIZES)[:2])
    @pytest.mark.slow
    def test_meta_gradient_of_more(self, case, size):
        self._check(case, size)

    def _check(self, case, size):
        make_agent, make_policy, value_weights = CASES[case]
        n_trajectories, _, chain_length = SIZES[size]
        chains = EnumeratedChains(make_agent(), with_size(make_policy, n_trajectories), *SIZES[size])
        terms = chains.expected_gradient()
        n_carried = chains.policies[0].n_carried
        for term in terms:
            self.assertFalse(any(np.any(leaf) for leaf in term[len(term) - n_carried :]))
        self.assertFalse(any(map(np.any, terms[2])), "the explicit opponent-shaping term")
        gradient, rng = [sum(leaves) for leaves in zip(*terms)], np.random.default_rng(7)
        direction = [rng.normal(size=leaf.shape) for leaf in gradient]
        expected = chains.difference_along(direction, value_weights(chain_length))
        found = sum(np.sum(leaf * along) for leaf, along in zip(gradient, direction))
        self.assertGreater(np.abs(expected), 1e-3)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


class CarriedTest(tf.test.TestCase, parameterized.TestCase):

    def _chain(self, agent, make_policy, n_links=2, **estimator):
        game = mapg.IteratedMatrixGame(mapg.prisoners_dilemma(), discount=0.9, dtype="float64")
        policies = with_size(make_policy, 3)(game, 0), mapg.tabular_policy(game, 1)
        estimator = mapg.ScoreFunctionEstimator(game, policies, 3, 4, **estimator)
        params = mapg.for_each_task(tuple(policy.initial_params([0]) for policy in policies), 2)
        keys = [random.link_keys(random.root_keys([3]), link) for link in range(n_links)]
        tasks = mapg.DefaultTasks(game).sample(random.root_keys([0]), 2)
        return mapg.adapt(estimator, (agent, mapg.PolicyGradient()), params, tasks, keys)

    @parameterized.parameters(
        mapg.Fixed(), mapg.PolicyGradient(0.5, mapg.Adam(), entropy_bonus=0.1), mapg.PPO(0.5, n_epochs=3),
        mapg.PolicyGradient(0.5, mapg.SGD(max_gradient_norm=0.1)), mapg.AdvantageAlignment(0.5), mapg.MeVa(0.5),
        mapg.JointActionActorCritic(0.5), mapg.MultiagentSoftQLearning(0.5, mapg.Adam()),
    )
    def test_no_gradient_climbs_it(self, agent):
        """What its update makes of the parameters leaves alone what is carried, which the policy writes behind it."""
        for make_policy in (FEATURES, functools.partial(mapg.carried_state_policy, make_policy=GRU)):
            chain = self._chain(agent, make_policy, 3)
            policy, (_, before, after) = chain.estimator.policies[0], chain.links
            objectives = links.Objectives(chain.estimator, chain.tasks, before)
            step_params = adaptation.at_step(chain.update_params[0], 1)
            updated = agent.update(before.agent_states[0], objectives, 0, step_params).params
            params, following = before.agent_states[0].params, after.agent_states[0].params
            n_others = len(params) - policy.n_carried
            for leaf, own in zip(updated[n_others:], params[n_others:], strict=True):
                np.testing.assert_array_equal(leaf, own)
                self.assertTrue(np.any(leaf))
            for leaf, own in zip(following[:n_others], updated):
                np.testing.assert_allclose(leaf, own, rtol=1e-9)
            carried = policy.carry(updated, params, before.sample.trajectory, 0)
            for leaf, own in zip(following, carried, strict=True):
                np.testing.assert_allclose(leaf, own, rtol=1e-9)

    def test_a_chain_begins_without_it(self):
        chain = self._chain(mapg.Fixed(), FEATURES, 1)
        params = chain.links[0].agent_states[0].params
        params = tuple(leaf + 1.0 for leaf in params)
        state = adaptation.initial_state(mapg.PolicyGradient(), params, chain.estimator, 0)
        for leaf, own in zip(state.params[:-1], params):
            np.testing.assert_array_equal(leaf, own)
        self.assertFalse(np.any(state.params[-1]))

    def test_expected_inner_updates_are_refused(self):
        game = mapg.IteratedMatrixGame(mapg.prisoners_dilemma())
        policies = FEATURES(game, 0), mapg.tabular_policy(game, 1)
        estimator = mapg.LoadedDiceEstimator(game, policies, 3, 4)
        with self.assertRaisesRegex(mapg.InvalidInputError, "^estimator = .*must be one of sampled [^\n]*$"):
            adaptation.initial_state(mapg.PolicyGradient(), policies[0].initial_params([0]), estimator, 0)

    def test_an_embedding_is_learned_by_imitation(self):
        """Step by step: more of what is done is told by it; the agent's own update is what it is without it."""
        make_policy = functools.partial(mapg.embedding_policy, make_policy=LINEAR)
        agent = mapg.OpponentEmbedding(mapg.PolicyGradient(0.5, mapg.Momentum()), n_steps=8)
        chain = self._chain(agent, make_policy, 4)
        embedder, before = chain.estimator.policies[0].embedder, chain.links[0]
        for after in chain.links[1:]:
            trajectory = before.sample.trajectory
            (_, old, _), (_, new, _) = (link.agent_states[0].extra for link in (before, after))
            self.assertAllGreater(embedder.likelihood(new, trajectory) - embedder.likelihood(old, trajectory), 1e-4)
            embedding = embedder.embedding(new, trajectory)
            np.testing.assert_allclose(after.agent_states[0].params[-1][:, :, 0], embedding, rtol=1e-9)
            before = after
        alone = self._chain(mapg.PolicyGradient(0.5, mapg.Momentum()), make_policy)
        for leaf, own in zip(chain.links[1].agent_states[0].params[:-1], alone.links[1].agent_states[0].params):
            np.testing.assert_allclose(leaf, own, rtol=1e-9)
        self.assertFalse(np.any(alone.links[1].agent_states[0].params[-1]))

    @parameterized.parameters(
        mapg.AdvantageActorCritic, mapg.PPO, mapg.COMA, mapg.RecursiveReasoning, mapg.AdvantageAlignment, mapg.LOQA,
        mapg.JointActionActorCritic, mapg.MultiagentSoftQLearning,
    )
    def test_an_agent_within_another_finds_what_it_has_itself(self, kind):
        make_policy = functools.partial(mapg.embedding_policy, make_policy=LINEAR)
        within, alone = (self._chain(agent, make_policy) for agent in (mapg.OpponentEmbedding(kind(0.5)), kind(0.5)))
        (params, (extra, _, _)), (own_params, own_extra) = (chain.links[1].agent_states[0] for chain in (within, alone))
        self.assertNotEqual(extra, ())
        for leaf, own in zip(tf.nest.flatten((params[:-1], extra)), tf.nest.flatten((own_params[:-1], own_extra))):
            np.testing.assert_allclose(leaf, own, rtol=1e-9, atol=1e-12)

    def test_who_embeds_has_such_a_policy(self):
        with self.assertRaisesRegex(mapg.InvalidInputError, r"^policies\[0\] = .*: must be one by embedding_policy"):
            self._chain(mapg.OpponentEmbedding(mapg.Fixed()), FEATURES)

    def test_coala_pg_is_the_published_sum(self):
        """Σ_l Σ_b Σ_t ∇log π(a|h) · [(own rewards to go) / B + Σ_b' (later episodes) / B], of one long history."""
        gru, chain_length, n_tasks = functools.partial(mapg.gru_policy, units=3), 2, 2
        make_policy = functools.partial(mapg.carried_state_policy, make_policy=gru)
        chain = self._chain(mapg.COALAPG(), make_policy, chain_length + 1, critic=mapg.NoBaseline)
        found = chain.agents[0].meta_gradients(chain, 0).total.initial
        trajectories = [link.sample.trajectory for link in chain.links]
        discounted = [np.array(trajectory.rewards[0]) * 0.9 ** np.arange(4) for trajectory in trajectories]
        later, weights = np.zeros([1, n_tasks]), []
        for rewards in discounted[::-1]:
            to_go = np.flip(np.cumsum(np.flip(rewards, axis=-1), axis=-1), axis=-1)
            baseline = later[:, ::-1]  # the other of two tasks
            weights.insert(0, to_go / 3 + (later - baseline)[..., np.newaxis, np.newaxis])
            later = later + rewards.sum(axis=-1).mean(axis=-1)
        ordinary = gru(mapg.IteratedMatrixGame(mapg.prisoners_dilemma(), discount=0.9, dtype="float64"), 0)
        params = chain.links[0].agent_states[0].params[:-1]
        with tf.GradientTape() as tape:
            tape.watch(params)
            log_probs = ordinary.log_probs(
                params, tf.concat([one.observations[0] for one in trajectories], axis=-1),
                tf.concat([one.actions[0] for one in trajectories], axis=-1),
            )
            total = tf.reduce_sum(log_probs * np.concatenate(weights, axis=-1))
        for leaf, gradient in zip(found, tape.gradient(total, params)):
            np.testing.assert_allclose(leaf, tf.reduce_mean(gradient, axis=1), rtol=1e-9, atol=1e-12)

    def test_coala_pg_is_meta_pg_whose_own_steps_are_zero(self):
        gradients = []
        for agent in (mapg.COALAPG(), mapg.MetaPG(0.0, value_weights=mapg.sum_over_chain)):
            chain = self._chain(agent, functools.partial(mapg.carried_state_policy, make_policy=GRU), 3)
            gradients.append(flat(agent.meta_gradients(chain, 0)))
        np.testing.assert_allclose(*gradients, rtol=1e-9, atol=1e-12)
        self.assertTrue(np.any(gradients[0]))


if __name__ == "__main__":
    tf.test.main()
