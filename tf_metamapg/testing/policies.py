"""What every policy must keep: a function of its parameters, differentiated right, that is sampled as it says."""

import os

import numpy as np
import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.runs import export
from tf_metamapg.testing import random_values
from tf_metamapg.testing.modes import flat
from tf_metamapg.testing.modes import MODES

SHAPE = (2, 3, 4, 3)  # S, N, K, T
# How far apart points are, in units of random directions, and with which weights differences of sixth order take them.
STEP = 4e-3
WEIGHTS = np.array([-1.0, 9.0, -45.0, 0.0, 45.0, -9.0, 1.0]) / (60.0 * STEP)
POINTS = STEP * np.arange(-3, 4)
N_DRAWS = 20000


class PolicyTests:
    """Tests of a small, smooth policy; mix them into a `tf.test.TestCase`."""

    # How many standard errors a frequency or a mean may be away from what the distribution says.
    n_standard_errors = 5.0

    def make_policy(self, game: contracts.AnyGame, agent_index: int) -> contracts.Policy:
        """The policy under test."""
        raise NotImplementedError

    def make_game(self) -> contracts.AnyGame:
        """A game in float64 that it can play; by default agent 0 has three actions, and agent 1 two."""
        return IteratedMatrixGame(np.random.default_rng(0).normal(size=[2, 3, 2]), discount=0.9, dtype="float64")

    def _policy(self, kind=contracts.Policy, agent_index=0):
        """The policy of an agent; what it is no kind of is skipped."""
        policy = self.make_policy(self.make_game(), agent_index)
        if not isinstance(policy, kind):
            self.skipTest(f"It is no {kind.__name__}.")
        return policy

    def _steps(self, policy, shape=SHAPE):
        """Random observations and actions, [S, N, K, T, ...]."""
        rng = np.random.default_rng(2)
        spaces = policy.spec.observation, policy.spec.action
        return tuple(tf.constant(random_values.members(space, shape, rng)) for space in spaces)

    def test_it_is_a_policy(self):
        game = self.make_game()
        self.assertEqual(game.spec.dtype, "float64")
        for agent in range(game.spec.n_agents):
            policy = self.make_policy(game, agent)
            self.assertIsInstance(policy, contracts.Policy)
            self.assertTrue(isinstance(policy, (contracts.StepPolicy, contracts.ExactPolicy)))
            self.assertEqual(policy.spec, game.spec.agent(agent))
            for leaf in policy.reference_params:
                self.assertEqual(leaf.dtype, game.spec.dtype)

    def test_initial_params_of_a_seed_depend_on_that_seed_alone(self):
        policy, again = self._policy(), self._policy()
        together = policy.initial_params(range(5))
        tf.random.set_seed(99)
        np.random.seed(99)
        alone, reordered = again.initial_params([3]), policy.initial_params([8, 3, 1])
        self.assertLen(together, len(policy.reference_params))
        for leaf, single, other_order, one in zip(together, alone, reordered, policy.reference_params):
            self.assertEqual((leaf.dtype, leaf.shape), (one.dtype, (5, *one.shape)))
            np.testing.assert_array_equal(leaf[3], single[0])
            np.testing.assert_array_equal(leaf[3], other_order[1])
            np.testing.assert_array_equal(leaf[1], other_order[2])

    def test_log_probs_are_those_of_the_distribution(self):
        for agent, shape in ((0, SHAPE), (1, (1, 1, 1, 1)), (1, (1, 2, 3, 1)), (0, (3, 1, 1, 4))):
            policy = self._policy(contracts.StepPolicy, agent)
            params = random_values.params(policy, shape[:2])
            observations, actions = self._steps(policy, shape)
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(params)
                log_probs = policy.log_probs(params, observations, actions)
                distribution = policy.distribution(params, observations)
                same = distribution.log_prob(actions)
                read = tape.watched_variables()
            self.assertEmpty(read)
            self.assertEqual((distribution.batch_shape, log_probs.dtype), (shape, "float64"))
            np.testing.assert_allclose(log_probs, same, rtol=1e-9, atol=1e-10)
            own, others = (tape.gradient(values, params, unconnected_gradients="zero") for values in (log_probs, same))
            np.testing.assert_allclose(flat(own), flat(others), rtol=1e-9, atol=1e-9)

    def test_derivatives_and_modes(self):
        """First and second derivatives in parameters, against differences of log-probabilities; actions as well."""
        policy = self._policy(contracts.StepPolicy)
        params, u, v = (random_values.params(policy, SHAPE[:2], seed) for seed in (1, 4, 5))
        observations, actions = self._steps(policy)
        weights = np.random.default_rng(3).normal(size=SHAPE)
        uniforms = tf.constant(np.random.default_rng(6).uniform(size=[policy.n_uniforms, *SHAPE]))

        def run(params, observations, actions, uniforms):
            """Log-probabilities, derivatives along u, and along u and v, of each seed and task, and actions."""
            with tf.GradientTape() as outer_tape:
                outer_tape.watch(params)
                with tf.GradientTape() as inner_tape:
                    inner_tape.watch(params)
                    log_probs = policy.log_probs(params, observations, actions)
                    value = tf.reduce_sum(weights * log_probs)
                along_u = _dot(inner_tape.gradient(value, params, unconnected_gradients="zero"), u)
            along_uv = _dot(outer_tape.gradient(along_u, params, unconnected_gradients="zero"), v)
            return log_probs, along_u, along_uv, _played(policy, params, observations, uniforms)

        results = {
            mode: compile_fn(run)(params, observations, actions, uniforms) for mode, compile_fn in MODES.items()
        }
        for mode, result in results.items():
            for values, expected in zip(result, results["eager"]):
                atol = 1e-11 * (1.0 + np.max(np.abs(expected)))
                np.testing.assert_allclose(values, expected, rtol=1e-11, atol=atol, err_msg=mode)

        # Of one seed and task, as they do not mix; each point is a task.
        s, n = 1, 2
        steps_u, steps_v = np.repeat(POINTS, len(POINTS)), np.tile(POINTS, len(POINTS))
        grid = tuple(
            leaf[s, n] + np.multiply.outer(steps_u, leaf_u[s, n]) + np.multiply.outer(steps_v, leaf_v[s, n])
            for leaf, leaf_u, leaf_v in zip(params, u, v)
        )
        grid = tuple(leaf[np.newaxis] for leaf in grid)
        steps = (tf.repeat(leaf[s:s + 1, n:n + 1], len(steps_u), axis=1) for leaf in (observations, actions))
        values = np.sum(policy.log_probs(grid, *steps)[0] * weights[s, n], axis=(1, 2))
        values = np.reshape(values, [len(POINTS), len(POINTS)])
        first, second = np.dot(WEIGHTS, values[:, len(POINTS) // 2]), np.dot(WEIGHTS, np.dot(values, WEIGHTS))
        for derivative, expected in zip(results["eager"][1:3], (first, second)):
            np.testing.assert_allclose(derivative[s, n], expected, rtol=1e-6, atol=1e-6)

    def test_seeds_and_tasks_do_not_mix(self):
        """And every parameter counts."""
        policy = self._policy()
        params, (s, n) = random_values.params(policy, SHAPE[:2]), (1, 2)
        with tf.GradientTape() as tape:
            tape.watch(params)
            if isinstance(policy, contracts.StepPolicy):
                values = policy.log_probs(params, *self._steps(policy))
            else:
                values = policy.strategy(params)
            value = tf.reduce_sum(values[s, n] * np.random.default_rng(3).normal(size=values[s, n].shape))
        for gradient in map(np.array, tape.gradient(value, params)):
            self.assertTrue(np.any(gradient[s, n]))
            gradient[s, n] = 0.0
            self.assertFalse(np.any(gradient))

    def test_strategy(self):
        """What exact values are computed of."""
        policy = self._policy(contracts.ExactPolicy)
        params, observation = random_values.params(policy, SHAPE[:2]), policy.spec.observation
        with tf.GradientTape() as tape:
            tape.watch(params)
            strategy = policy.strategy(params)
            squares = strategy * strategy
            self.assertEmpty(tape.watched_variables())
        self.assertEqual((strategy.dtype, strategy.shape[:2]), ("float64", SHAPE[:2]))
        self.assertTrue(all(np.any(leaf) for leaf in tape.gradient(squares, params)))
        if isinstance(policy, contracts.StepPolicy):
            shape = (*SHAPE[:2], observation.n, policy.spec.action.n)
            observations = tf.broadcast_to(tf.range(shape[2])[:, tf.newaxis], shape)
            actions = tf.broadcast_to(tf.range(shape[3]), shape)
            log_probs = policy.log_probs(params, observations, actions)
            np.testing.assert_allclose(strategy, np.exp(log_probs), rtol=1e-9, atol=1e-12)

    def test_log_likelihood_is_a_mean(self):
        """Over the steps that there were."""
        policy = self._policy(contracts.StepPolicy)
        params, (observations, actions) = random_values.params(policy, SHAPE[:2]), self._steps(policy)
        log_probs = policy.log_probs(params, observations, actions)
        lengths = np.random.default_rng(7).integers(1, SHAPE[3] + 1, size=SHAPE[:3])
        some = np.arange(SHAPE[3]) < lengths[..., np.newaxis]
        for mask, counted in ((None, np.ones(SHAPE)), (tf.constant(some), some)):
            mean = policy.log_likelihood(observations, actions, mask)(params)
            expected = np.sum(log_probs * counted, axis=(2, 3)) / np.sum(counted, axis=(2, 3))
            np.testing.assert_allclose(mean, expected, rtol=1e-9, atol=1e-10)

    def test_actions_follow_the_distribution(self):
        """At every step of trajectories, so that recurrent states are carried as in log-probabilities."""
        policy = self._policy(contracts.StepPolicy)
        params, (observations, _) = random_values.params(policy, SHAPE[:2]), self._steps(policy)
        # All trajectories of a task see the same; each uniform number has the same share of draws in every interval.
        shape = (*SHAPE[:2], N_DRAWS, SHAPE[3])
        seen = tf.broadcast_to(observations[:, :, :1], [*shape, *observations.shape[4:]])
        rng, midpoints = np.random.default_rng(8), (np.arange(N_DRAWS) + 0.5) / N_DRAWS
        columns = [rng.permutation(midpoints) for _ in range(policy.n_uniforms * SHAPE[3])]
        uniforms = np.reshape(columns, [policy.n_uniforms, 1, 1, SHAPE[3], N_DRAWS]).swapaxes(3, 4)
        uniforms = tf.broadcast_to(tf.constant(uniforms), [policy.n_uniforms, *shape])
        run = MODES["graph"](lambda *arguments: _played(policy, *arguments))
        actions = np.array(run(params, seen, uniforms))
        self.assertEqual(actions.dtype, policy.spec.action.tensor_spec(policy.spec.dtype).dtype)
        if isinstance(policy.spec.action, contracts.Discrete):
            every = range(policy.spec.action.n)
            probs = np.stack([
                np.exp(policy.log_probs(params, observations[:, :, :1], tf.fill([*SHAPE[:2], 1, SHAPE[3]], action)))
                for action in every
            ], axis=-1)
            np.testing.assert_allclose(probs.sum(axis=-1), 1.0, rtol=1e-9)
            frequencies = np.mean(actions[..., np.newaxis] == np.array(every), axis=2, keepdims=True)
            errors = np.sqrt(probs * (1.0 - probs) / N_DRAWS) + 1.0 / N_DRAWS
            checks = [(frequencies, probs, errors)]
        else:
            distribution = policy.distribution(params, observations[:, :, :1])
            mean, stddev = distribution.mean().numpy(), distribution.stddev().numpy()
            deviations = (actions - mean) ** 2
            error = deviations.std(axis=2, keepdims=True) / N_DRAWS**0.5
            checks = [
                (actions.mean(axis=2, keepdims=True), mean, stddev / N_DRAWS**0.5),
                (deviations.mean(axis=2, keepdims=True), stddev**2, error),
            ]
        for found, expected, errors in checks:
            self.assertTrue(np.all(np.abs(found - expected) <= self.n_standard_errors * errors))

    def test_saved_model(self):
        """What is loaded says the same as what was saved."""
        policy = self._policy(contracts.ExportablePolicy)
        params, path = random_values.params(policy, []), os.path.join(self.get_temp_dir(), "policy")
        export.export_policy(path, policy, params)
        loaded, model, rng = tf.saved_model.load(path), policy.model(), np.random.default_rng(9)
        self.assertIsNot(model, policy.model())
        for variable, leaf in zip(model.trainable_variables, params, strict=True):
            variable.assign(leaf)
        signatures = policy.signatures(model)
        self.assertCountEqual(loaded.signatures, signatures)
        for name, (function, specs) in signatures.items():
            arguments = {spec.name: random_values.argument(spec, policy.spec.observation, rng) for spec in specs}
            expected, found = function(*arguments.values()), loaded.signatures[name](**arguments)
            self.assertCountEqual(found, expected)
            for key, value in expected.items():
                np.testing.assert_allclose(found[key], value, rtol=1e-9, atol=1e-10, err_msg=f"{name}: {key}")


def _dot(gradients, directions):
    """Derivatives along directions, [S, N]."""
    return tf.add_n([
        tf.reduce_sum(tf.reshape(leaf * along, [*leaf.shape[:2], -1]), axis=-1)
        for leaf, along in zip(gradients, directions)
    ])


def _played(policy, params, observations, uniforms):
    """The actions [S, N, K, T, ...] that uniform numbers [n_uniforms, S, N, K, T] make of what is seen."""
    sampler, state = policy.sampler(params), policy.initial_state(observations.shape[:3])
    actions = []
    for seen, numbers in zip(tf.unstack(observations, axis=3), tf.unstack(uniforms, axis=4)):
        action, state = sampler(seen, state, numbers)
        actions.append(action)
    return tf.stack(actions, axis=3)
