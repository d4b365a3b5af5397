"""What every estimator must keep, proved by enumerating all trajectories of tiny games."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Trajectory
from tf_metamapg.games.stochastic import StochasticGame
from tf_metamapg.policies.tabular import TabularPolicy
from tf_metamapg.testing.modes import flat
from tf_metamapg.testing.tiny_games import TinyGame
from tf_metamapg.theorem import last_link

# Numbers of agents, and whether episodes end.
SIZES = ((1, False), (1, True), (2, False), (2, True), (3, True))


class EstimatorTests:
    """Tests of an estimator that makes its samples of trajectories; mix them into a `tf.test.TestCase`."""

    def make_estimator(
        self, game: StochasticGame, policies: Sequence[TabularPolicy], n_trajectories: int, horizon: int
    ) -> contracts.PlayingEstimator:
        """The estimator under test, without a bias: K trajectories of T steps, λ = 1, any critic."""
        raise NotImplementedError

    def _estimator(self, tiny, size=1):
        horizon = tiny.trajectory.rewards[0].shape[-1]
        return self.make_estimator(tiny.game, tiny.policies, size, horizon)

    def _expected_objectives(self, tiny, size=1):
        """A function of the parameters: E over samples at the present ones of the objectives, [n_agents]."""
        estimator = self._estimator(tiny, size)
        probs = tf.stop_gradient(tiny.probs(tiny.joint_params, size))
        trajectory = tiny.sets(size)
        sample = estimator.make_sample(trajectory, repeated(tiny.joint_params, len(probs)))

        def expected(joint_params):
            objectives = estimator.objectives(repeated(joint_params, len(probs)), tiny.tasks, sample)
            return tf.stack([tf.reduce_sum(probs * objective[0]) for objective in objectives])

        return expected

    def test_it_is_an_estimator(self):
        estimator = self._estimator(TinyGame(2, ends=True))
        self.assertIsInstance(estimator, contracts.PlayingEstimator)
        self.assertIn(estimator.inner_update, ("expected", "sampled"))

    def test_expected_derivatives_are_those_of_the_values(self):
        """Own first derivatives always; all first and second ones where inner updates are expected ones."""
        for n_agents, ends in SIZES:
            with self.subTest(n_agents=n_agents, ends=ends):
                tiny = TinyGame(n_agents, ends)
                first, second = tiny.derivatives(self._expected_objectives(tiny))
                true_first, true_second = tiny.derivatives(tiny.values)
                own = np.kron(np.eye(n_agents), np.ones([1, first.shape[1] // n_agents]))
                if self._estimator(tiny).inner_update == "expected":
                    np.testing.assert_allclose(first, true_first, rtol=1e-9, atol=1e-10)
                    np.testing.assert_allclose(second, true_second, rtol=1e-9, atol=1e-10)
                else:
                    np.testing.assert_allclose(first * own, true_first * own, rtol=1e-9, atol=1e-10)
                    np.testing.assert_array_equal(first * (1.0 - own), np.zeros_like(first))

    def test_batches_of_two_have_the_same_expectation(self):
        tiny = TinyGame(2, ends=True)
        first, _ = tiny.derivatives(self._expected_objectives(tiny, size=2))
        true_first, _ = tiny.derivatives(tiny.values)
        own = np.kron(np.eye(2), np.ones([1, first.shape[1] // 2]))
        np.testing.assert_allclose(first * own, true_first * own, rtol=1e-9, atol=1e-10)

    def test_values_and_mean_rewards(self):
        tiny = TinyGame(2, ends=True)
        estimator, joint_params = self._estimator(tiny), repeated(tiny.joint_params, tiny.n_trajectories)
        sample = estimator.make_sample(tiny.trajectory, joint_params)
        values = np.stack(estimator.values(joint_params, tiny.tasks, sample), axis=-1)[0]
        np.testing.assert_allclose(values, tiny.returns(), rtol=1e-12)
        for agent, means in enumerate(estimator.mean_rewards(joint_params, tiny.tasks, sample)):
            rewards, mask = tiny.trajectory.rewards[agent].numpy(), tiny.trajectory.mask[agent].numpy()
            expected = (rewards * mask).sum(axis=(-2, -1)) / mask.sum(axis=(-2, -1))
            np.testing.assert_allclose(means, expected, rtol=1e-12)

    def test_nothing_of_a_padded_step_reaches_anything(self):
        tiny = TinyGame(2, ends=True)
        estimator, joint_params = self._estimator(tiny), repeated(tiny.joint_params, tiny.n_trajectories)

        results = []
        for trajectory in (tiny.trajectory, garbage(tiny.trajectory)):
            sample = estimator.make_sample(trajectory, joint_params)
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(joint_params)
                objectives = estimator.objectives(joint_params, tiny.tasks, sample)
                entropies = estimator.entropies(joint_params, tiny.tasks, sample)
            results.append([
                objectives, entropies, tape.gradient(objectives, joint_params), tape.gradient(entropies, joint_params),
                estimator.values(joint_params, tiny.tasks, sample),
                estimator.mean_rewards(joint_params, tiny.tasks, sample),
            ])
        tf.nest.map_structure(np.testing.assert_array_equal, *results)

    def test_no_effect_counts_twice(self):
        """The terms of Theorem 1 sum to the derivative of the meta-value that belongs to the inner updates."""
        tiny = TinyGame(2, ends=True)
        estimator, n, agents = self._estimator(tiny), tiny.n_trajectories, _AGENTS
        # Every pair of trajectories, before and after the update, is a seed of its own.
        before, after = (
            tf.nest.map_structure(lambda leaf, repeat=repeat: repeat(leaf[0]), tiny.trajectory)
            for repeat in (lambda leaf: _each(leaf, n), lambda leaf: _all(leaf, n))
        )
        joint_params = tf.nest.map_structure(lambda leaf: tf.repeat(leaf, n * n, axis=0), tiny.joint_params)
        tasks, keys = tf.repeat(tiny.tasks, n * n, axis=0), tf.zeros([n * n, 2], tf.int64)
        first = _link(estimator, joint_params, before, keys)
        states = adaptation.inner_update(links.Objectives(estimator, tasks, first), agents, ((), ()))
        last = _link(estimator, tuple(state.params for state in states), after, keys)
        chain = adaptation.Chain(estimator, agents, ((), ()), tasks, (first, last), adaptation.identity)
        terms = agents[0].meta_gradients(chain, 0)
        if estimator.inner_update == "expected":
            np.testing.assert_array_equal(flat(terms.current_policy), np.zeros_like(flat(terms.current_policy)))
            return
        probs = tiny.probs(tiny.joint_params)
        updated = [tf.reshape(state.params[0], [n, n, *state.params[0].shape[1:]])[:, 0] for state in states]
        later = [tiny.probs(tuple((leaf[index : index + 1],) for leaf in updated)) for index in range(n)]
        weights = tf.reshape(probs[:, tf.newaxis] * tf.stack(later), [-1, 1, 1])
        expected = tf.reduce_sum(weights * terms.total.initial[0], axis=0)
        np.testing.assert_allclose(expected, self._derivative_of_meta_value(tiny, estimator), rtol=1e-9, atol=1e-11)

    def _derivative_of_meta_value(self, tiny, estimator):
        """Of E_τ V⁰(φ(τ, θ)) in the parameters of agent 0, by one tape around everything."""
        n, keys = tiny.n_trajectories, tf.zeros([1, 2], tf.int64)
        (own,) = tiny.joint_params[0]
        with tf.GradientTape() as tape:
            tape.watch(own)
            start = ((own,), *tiny.joint_params[1:])
            link = _link(estimator, repeated(start, n), tiny.trajectory, keys)
            states = adaptation.inner_update(links.Objectives(estimator, tiny.tasks, link), _AGENTS, ((), ()))
            values = [
                tiny.values(tuple((state.params[0][:, index : index + 1],) for state in states))[0]
                for index in range(n)
            ]
            meta_value = tf.reduce_sum(tiny.probs(start) * tf.stack(values))
        return tape.gradient(meta_value, own)[0, 0]


_AGENTS = (MetaMAPG(0.7, value_weights=last_link), PolicyGradient(0.4))


def _link(estimator, joint_params, trajectory, keys):
    states = adaptation.initial_states(_AGENTS, joint_params, estimator)
    return links.Link(states, estimator.make_sample(trajectory, joint_params), keys)


def _each(leaf, n):
    """[M, ...] → [M · n, 1, ...], every entry n times."""
    return tf.repeat(leaf, n, axis=0)[:, tf.newaxis]


def _all(leaf, n):
    """[M, ...] → [n · M, 1, ...], all entries n times."""
    return tf.tile(leaf, [n, *[1] * (len(leaf.shape) - 1)])[:, tf.newaxis]


def garbage(trajectory: Trajectory) -> Trajectory:
    """A trajectory whose padded steps hold NaN, and other numbers than zero."""

    def spoiled(leaf, mask):
        bad = np.nan if leaf.dtype.is_floating else 1
        return tf.where(mask, leaf, tf.cast(tf.fill(leaf.shape, bad), leaf.dtype))

    return trajectory._replace(**{
        field: tuple(map(spoiled, getattr(trajectory, field), trajectory.mask))
        for field in ("observations", "actions", "rewards")
    })


def repeated(joint_params: JointParams, n_tasks: int) -> JointParams:
    """Parameters [1, 1, ...] for all tasks: leaves [1, N, ...]."""
    return tf.nest.map_structure(lambda leaf: tf.repeat(leaf, n_tasks, axis=1), joint_params)
