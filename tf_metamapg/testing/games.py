"""What every game that is played step by step must keep."""

import numpy as np
import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.games.tasks import DefaultTasks
from tf_metamapg.numerics import random
from tf_metamapg.policies.mlp import mlp_policy
from tf_metamapg.simulators.in_graph import InGraphSimulator
from tf_metamapg.testing.modes import MODES

HORIZON = 7


class GameTests:
    """Tests of a game; mix them into a `tf.test.TestCase`."""

    # How many standard errors a mean may be away from what it estimates.
    n_standard_errors = 5.0

    def make_game(self) -> contracts.Game:
        """The game under test."""
        raise NotImplementedError

    def _setting(self, n_seeds, n_tasks, n_trajectories=5):
        """(the game, a simulator of small policies, their parameters, tasks, keys)."""
        game = self.make_game()
        policies = [mlp_policy(game, agent, hidden_units=[3]) for agent in range(game.spec.n_agents)]
        seeds, keys = range(n_seeds), random.root_keys(range(n_seeds))
        joint_params = tuple(
            tuple(
                tf.repeat(leaf[:, tf.newaxis], n_tasks, axis=1)
                + 0.1 * random.normals(random.fold_in(keys, agent), [n_tasks, *leaf.shape[1:]], leaf.dtype)
                for leaf in policy.initial_params(seeds)
            )
            for agent, policy in enumerate(policies)
        )
        tasks = DefaultTasks(game).sample(keys, n_tasks)
        return game, InGraphSimulator(game, policies, n_trajectories, HORIZON), joint_params, tasks, keys

    def test_it_is_a_game(self):
        game = self.make_game()
        self.assertIsInstance(game, contracts.Game)
        self.assertIsInstance(game.spec, contracts.GameSpec)
        if game.spec.metrics:
            self.assertIsInstance(game, contracts.MeasuredGame)

    def test_what_it_returns_is_what_its_spec_says(self):
        game, *_, tasks, keys = self._setting(2, 3)
        spec, shape = game.spec, [2, 3, 4]
        state = game.reset(tasks, random.uniforms(keys, [game.n_reset_uniforms, 3, 4], spec.dtype, seed_axis=1))
        joint_action = tuple(self._some(space, shape, spec.dtype) for space in spec.actions)
        uniforms = random.uniforms(keys, [game.n_step_uniforms, 3, 4], spec.dtype, seed_axis=1)
        following, rewards, continues = game.step(tasks, state, joint_action, uniforms)
        tf.nest.assert_same_structure(state, following)
        for index, (leaf, next_leaf) in enumerate(zip(tf.nest.flatten(state), tf.nest.flatten(following))):
            name = f"leaf {index} of the state"
            self.assertEqual(leaf.shape[:3], shape, f"reset: {name} must have leading axes [S, N, K]")
            self.assertEqual(
                (next_leaf.shape, next_leaf.dtype), (leaf.shape, leaf.dtype), f"step: {name} must stay as reset made it"
            )
        self.assertLen(rewards, spec.n_agents, "step: rewards must have one entry for each agent")
        for agent, reward in enumerate(rewards):
            what = f"step: the reward of agent {agent} must be [S, N, K] in the dtype of the spec"
            self.assertEqual((reward.shape, reward.dtype.name), (shape, spec.dtype), what)
        what = "step: what says who goes on must have one entry for each agent, and none where spec.ends is False"
        self.assertLen(continues, spec.n_agents if spec.ends else 0, what)
        for agent, goes_on in enumerate(continues):
            what = f"step: whether agent {agent} goes on must be bool [S, N, K]"
            self.assertEqual((goes_on.shape, goes_on.dtype), (shape, tf.bool), what)
        for agent, space in enumerate(spec.observations):
            seen, one = game.observe(tasks, state, agent), space.tensor_spec(spec.dtype)
            what = f"observe: what agent {agent} sees must be [S, N, K, ...] as spec.observations says"
            self.assertEqual((seen.shape, seen.dtype), ([*shape, *one.shape], one.dtype), what)
            if isinstance(space, contracts.Discrete):
                is_possible = (seen >= 0) & (seen < space.n)
                self.assertTrue(np.all(is_possible), f"observe: what agent {agent} sees must be in 0..{space.n - 1}")
        if spec.metrics:
            metrics = game.metrics(tasks, state, joint_action)
            self.assertCountEqual(metrics, spec.metrics, "metrics: must be those of spec.metrics")
            for name, by_agent in metrics.items():
                self.assertLen(by_agent, spec.n_agents, f"metrics: {name} must have one entry for each agent")
                for agent, one in enumerate(by_agent):
                    what = f"metrics: {name} of agent {agent} must be [S, N, K] in the dtype of the spec"
                    self.assertEqual((one.shape, one.dtype.name), (shape, spec.dtype), what)

    def _some(self, space, shape, dtype):
        if isinstance(space, contracts.Discrete):
            return tf.reshape(tf.range(int(np.prod(shape))) % space.n, shape)
        return tf.zeros([*shape, *space.shape], dtype)

    def test_modes_agree(self):
        """The same random numbers make the same trajectories; with several seeds, and with several tasks, alone."""
        for n_seeds, n_tasks in ((2, 1), (1, 2)):
            _, simulator, joint_params, tasks, keys = self._setting(n_seeds, n_tasks)
            results = [
                compile_fn(simulator.sample)(joint_params, tasks, keys) for compile_fn in MODES.values()
            ]
            for other in results[1:]:
                tf.nest.map_structure(
                    lambda one, two: np.testing.assert_allclose(
                        one, two, rtol=1e-4, atol=1e-5, err_msg="trajectories that eager mode, graphs and XLA make"
                    ),
                    results[0], other,
                )

    def test_other_keys_are_other_trajectories(self):
        _, simulator, joint_params, tasks, keys = self._setting(1, 1, n_trajectories=50)
        first = simulator.sample(joint_params, tasks, keys)
        second = simulator.sample(joint_params, tasks, random.fold_in(keys, 1))
        are_different = any(np.any(one != two) for one, two in zip(first.actions, second.actions))
        self.assertTrue(are_different, "other random numbers must make other actions")

    def test_seeds_and_tasks_do_not_mix(self):
        _, simulator, joint_params, tasks, keys = self._setting(2, 2)
        uniforms = simulator.draw_uniforms(keys, 2)
        whole = simulator.play(joint_params, tasks, uniforms)
        own_params, own_tasks = tf.nest.map_structure(lambda leaf: leaf[1:, 1:], (joint_params, tasks))
        own_uniforms = type(uniforms)(uniforms.steps[:, :, 1:, 1:], uniforms.reset[:, 1:, 1:])
        alone = simulator.play(own_params, own_tasks, own_uniforms)
        tf.nest.map_structure(
            lambda one, two: np.testing.assert_allclose(
                one[1:, 1:], two, rtol=1e-4, atol=1e-5, err_msg="the last task of the last seed, with others and alone"
            ),
            whole, alone,
        )

    def test_nothing_follows_an_end(self):
        game, simulator, joint_params, tasks, keys = self._setting(2, 2, n_trajectories=50)
        trajectory = simulator.sample(joint_params, tasks, keys)
        self.assertLen(trajectory.mask, game.spec.n_agents if game.spec.ends else 0)
        for agent in range(game.spec.n_agents):
            space = game.spec.observations[agent]
            if isinstance(space, contracts.Discrete):
                seen = trajectory.observations[agent].numpy()
                is_possible = np.all((seen >= 0) & (seen < space.n))
                self.assertTrue(is_possible, f"observe: what agent {agent} sees must be in 0..{space.n - 1}")
        for agent, mask in enumerate(np.array(trajectory.mask)):
            self.assertTrue(np.all(mask[..., 0]), f"agent {agent} must be there at the first step")
            self.assertTrue(np.all(mask[..., 1:] <= mask[..., :-1]), f"agent {agent} must not come back")
            for values in (trajectory.rewards[agent], trajectory.observations[agent], trajectory.actions[agent]):
                self.assertFalse(np.any(values.numpy()[~mask]), f"agent {agent} must not be recorded after its end")
        for leaf in tf.nest.flatten(trajectory._replace(metrics=())):
            self.assertTrue(np.all(np.isfinite(leaf)), "what is seen, done and paid must be finite before the end")
        for leaf in tf.nest.flatten(trajectory.metrics):
            self.assertFalse(np.any(np.isinf(leaf)), "metrics must be finite, or NaN where they are not defined")

    def test_exact_values_are_what_samples_say(self):
        """And so are their derivatives and metrics, within five standard errors; for games that have exact values."""
        game = self.make_game()
        if not isinstance(game, contracts.ExactGame):
            self.skipTest("The game has no exact values.")
        n_tasks, horizon = 400, 1 if game.spec.discount == 0.0 else 200
        policies = [mlp_policy(game, agent, hidden_units=[3]) for agent in range(game.spec.n_agents)]
        joint_params = tuple(
            tuple(tf.repeat(leaf[:, tf.newaxis], n_tasks, axis=1) for leaf in policy.initial_params([0]))
            for policy in policies
        )
        keys = random.root_keys([5])
        tasks = DefaultTasks(game).sample(keys, n_tasks)
        exact, sampled = ExactEstimator(game, policies), ScoreFunctionEstimator(game, policies, 10, horizon)
        sample = MODES["graph"](sampled.sample)(joint_params, tasks, keys)
        left = game.spec.discount**horizon  # of the values beyond the horizon, at most
        for name, estimates in (
            ("values", lambda estimator, own: estimator.values(joint_params, tasks, own)),
            ("gradients", lambda estimator, own: _own_gradients(estimator, joint_params, tasks, own)),
        ):
            for agent, (true, estimate) in enumerate(zip(estimates(exact, ()), estimates(sampled, sample))):
                true, estimate = (np.reshape(values[0], [n_tasks, -1]) for values in (true, estimate))
                error = self.n_standard_errors * estimate.std(axis=0, ddof=1) / n_tasks**0.5
                allowed = error + 1e-6 + left * np.max(np.abs(true))
                difference = np.abs(estimate.mean(axis=0) - true[0])
                self.assertTrue(np.all(difference <= allowed), f"{name} of agent {agent}")
        for name, by_agent in exact.metrics(joint_params, tasks, ()).items():
            for agent, (true, steps) in enumerate(zip(by_agent, sample.trajectory.metrics[name])):
                self._assert_discounted_mean(steps[0].numpy(), true[0, 0].numpy(), name, game.spec, agent, sample)

    def _assert_discounted_mean(self, steps, true, name, spec, agent, sample):
        """That steps [N, K, T], of all tasks together, have a discounted mean, or none where it is NaN."""
        present = sample.trajectory.mask[agent][0].numpy() if spec.ends else np.ones(steps.shape, bool)
        is_defined = present & ~np.isnan(steps)
        if np.isnan(true):
            self.assertFalse(np.any(is_defined), f"{name} of agent {agent} is defined at some steps")
            return
        # What is expected of these is zero, and no quotient of what is estimated.
        weights = spec.discount ** np.arange(steps.shape[-1])
        excess = np.sum(np.where(is_defined, steps - true, 0.0) * weights, axis=-1).ravel()
        n_left = 0.0 if spec.ends else spec.discount ** len(weights) / (1.0 - spec.discount)
        largest = np.max(np.abs(steps[is_defined] - true), initial=0.0)
        allowed = self.n_standard_errors * excess.std(ddof=1) / excess.size**0.5 + (1e-5 + n_left) * largest
        self.assertLessEqual(np.abs(excess.mean()), allowed, f"{name} of agent {agent}")


def _own_gradients(estimator, joint_params, tasks, sample):
    """Of each agent's objective in the last leaf of its own parameters, [1, N, ...]."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(joint_params)
        objectives = estimator.objectives(joint_params, tasks, sample)
    return [tape.gradient(objective, params[-1]) for objective, params in zip(objectives, joint_params)]
