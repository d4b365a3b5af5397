"""What kinds of policies of this package do, against the same in NumPy; `testing.PolicyTests` has what needs no oracle.

`of_kinds` makes a test case of a table of kinds.
"""

from collections.abc import Callable
import math
import os
import re
import statistics
from typing import NamedTuple

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.games import linear_quadratic
from tf_metamapg.games import matrix
from tf_metamapg.runs import export
from tf_metamapg.testing import random_values

S, N, K, T = 2, 3, 4, 5
# Whole numbers are in [0, 7); agent 0 has three actions and agent 1 two.
N_OBSERVATIONS, N_ACTIONS = 7, (3, 2)
IMAGE = (2, 3, 2)


def matrix_game(dtype="float64"):
    """Observations and actions are whole numbers."""
    table = np.random.default_rng(0).normal(size=[2, *N_ACTIONS])
    return matrix.IteratedMatrixGame(table, dtype=dtype)


def vector_game(dtype="float64"):
    """Observations are vectors of three coordinates; agent 0 acts with two of them and agent 1 with one."""
    rng = np.random.default_rng(0)
    return linear_quadratic.LinearQuadraticGame(
        0.5 * np.eye(3), [rng.normal(size=[3, size]) for size in (2, 1)], np.stack([np.eye(3)] * 2), np.ones(3),
        dtype=dtype,
    )


class SpacesGame:
    """A game of which nobody needs to know more than what the agents see and do; both see and do the same."""

    default_tasks = ()

    def __init__(self, observation, action, dtype="float64"):
        self.spec = contracts.GameSpec(
            name="spaces", discount=0.9, dtype=dtype, observations=[observation] * 2, actions=[action] * 2
        )


def image_game(dtype="float64"):
    """Observations are images, and actions matrices."""
    return SpacesGame(contracts.Box(IMAGE), contracts.Box((1, 2)), dtype)


def features(observations):
    """What networks see: [T, ...] → [T, features]."""
    if observations.ndim == 1:
        return np.eye(N_OBSERVATIONS)[observations]
    return observations.reshape([len(observations), -1])


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def probs(logits):
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


class Categorical:
    """What the outputs of a policy with finitely many actions mean."""

    n_uniforms = 1

    @staticmethod
    def log_probs(outputs, actions):
        return np.log(np.take_along_axis(probs(outputs), actions[..., np.newaxis], axis=-1))[..., 0]

    @staticmethod
    def quantile(outputs, uniforms):
        """The action whose interval of cumulative probabilities the one uniform number is in."""
        return np.sum(uniforms >= np.cumsum(probs(outputs), axis=-1)[..., :-1], axis=-1)

    @staticmethod
    def named(outputs):
        return {"logits": outputs, "probabilities": probs(outputs)}


class Gaussian:
    """What the outputs of a policy mean that acts with arrays of numbers."""

    def __init__(self, shape):
        self._shape = shape
        self.n_uniforms = math.prod(shape)

    def log_probs(self, outputs, actions):
        mean, stddev = self._mean_and_stddev(outputs)
        scaled = (actions - mean) / stddev
        by_number = -0.5 * scaled**2 - np.log(stddev) - 0.5 * math.log(2.0 * math.pi)
        return np.sum(by_number, axis=tuple(range(-len(self._shape), 0)))

    def quantile(self, outputs, uniforms):
        mean, stddev = self._mean_and_stddev(outputs)
        return mean + stddev * np.vectorize(statistics.NormalDist().inv_cdf)(uniforms).reshape(mean.shape)

    def named(self, outputs):
        return dict(zip(("mean", "stddev"), self._mean_and_stddev(outputs)))

    def _mean_and_stddev(self, outputs):
        mean, spread = (part.reshape([*part.shape[:-1], *self._shape]) for part in np.split(outputs, 2, axis=-1))
        return mean, np.log1p(np.exp(spread))


class Kind(NamedTuple):
    """A kind of policy, and the same in NumPy."""

    make: Callable  # function (game, agent_index) → policy
    make_game: Callable
    outputs: Callable  # function (leaves of one seed and task, observations [T, ...]) → [T, n_outputs]
    state_names: tuple[str, ...] = ()

    def meaning(self, agent_index=0):
        """What the outputs of an agent's policy mean."""
        action = self.make_game().spec.actions[agent_index]
        return Categorical if isinstance(action, contracts.Discrete) else Gaussian(action.shape)


def random_leaves(policy, shape=(S, N), seed=1):
    """Params in NumPy, with leaves [S, N, ...]."""
    rng = np.random.default_rng(seed)
    return [0.7 * rng.normal(size=[*shape, *leaf.shape]) for leaf in policy.reference_params]


def constants(leaves):
    return tuple(map(tf.constant, leaves))


def random_steps(kind, agent_index=0, shape=(S, N, K, T), seed=2):
    """Observations and actions, arrays [S, N, K, T, ...]."""
    rng = np.random.default_rng(seed)
    spec = kind.make_game().spec.agent(agent_index)
    return tuple(random_values.members(space, shape, rng) for space in (spec.observation, spec.action))


def oracle_outputs(kind, leaves, observations):
    """[S, N, K, T, n_outputs]."""
    return np.stack([
        np.stack([
            np.stack([kind.outputs([leaf[s, n] for leaf in leaves], one) for one in observations[s, n]])
            for n in range(observations.shape[1])
        ])
        for s in range(observations.shape[0])
    ])


def oracle_log_probs(kind, leaves, observations, actions, agent_index=0):
    return kind.meaning(agent_index).log_probs(oracle_outputs(kind, leaves, observations), actions)


def of_kinds(kinds):
    """A test case of everything below, for each of some Kinds by name."""
    every_kind = tuple(zip(kinds, kinds.values()))

    class ConformanceTest(tf.test.TestCase, parameterized.TestCase):

        @parameterized.named_parameters(*every_kind)
        def test_log_probs(self, kind):
            # Any batch shape.
            for agent_index, shape in ((0, (S, N, K, T)), (1, (1, 1, 1, 1)), (1, (1, 2, 3, 1)), (0, (3, 1, 1, 4))):
                policy = kind.make(kind.make_game(), agent_index)
                leaves = random_leaves(policy, shape[:2])
                observations, actions = random_steps(kind, agent_index, shape)
                log_probs = policy.log_probs(constants(leaves), tf.constant(observations), tf.constant(actions))
                expected = oracle_log_probs(kind, leaves, observations, actions, agent_index)
                self.assertAllClose(log_probs, expected, rtol=1e-12, atol=1e-12)

        @parameterized.named_parameters(*every_kind)
        def test_the_models_own_variables_are_not_touched(self, kind):
            policy = kind.make(kind.make_game(), 0)
            params = constants(random_leaves(policy))
            observations, actions = map(tf.constant, random_steps(kind))
            own = policy._model.trainable_variables
            before = [variable.numpy() for variable in own]
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(params)
                results = (
                    policy.log_probs(params, observations, actions),
                    policy.distribution(params, observations).log_prob(actions),
                )
                read = tape.watched_variables()
            self.assertEmpty(read)
            for result in results:
                self.assertEqual(tape.gradient(result, own), [None] * len(own))
                self.assertNotIn(None, tape.gradient(result, params))
            self.assertNotEmpty(own)
            for variable, value in zip(own, before):
                self.assertAllEqual(variable, value)
            # The same tape would have seen them if the model had been called as it is.
            with tf.GradientTape() as tape:
                result = policy.signatures(policy._model)["serving_default"][0](
                    observations[0, 0, :, 0], *policy.initial_state([K])
                )
            self.assertNotIn(None, tape.gradient([*result.values()], own))

        @parameterized.named_parameters(*every_kind)
        def test_sampler(self, kind):
            """Actions are quantiles of the distributions, and the recurrent state is carried from step to step."""
            policy = kind.make(kind.make_game(), 0)
            leaves = random_leaves(policy)
            observations, actions = random_steps(kind)
            n_uniforms = kind.meaning().n_uniforms
            self.assertEqual(policy.n_uniforms, n_uniforms)
            uniforms = np.random.default_rng(6).uniform(size=[S, N, K, T, n_uniforms])
            sampler, state, sampled = policy.sampler(constants(leaves)), policy.initial_state([S, N, K]), []
            for t in range(T):
                numbers = np.moveaxis(uniforms[:, :, :, t], -1, 0)
                action, state = sampler(tf.constant(observations[:, :, :, t]), state, tf.constant(numbers))
                sampled.append(action)
            sampled = tf.stack(sampled, axis=3)
            expected = kind.meaning().quantile(oracle_outputs(kind, leaves, observations), uniforms)
            self.assertEqual(sampled.dtype, actions.dtype)
            self.assertAllClose(sampled, expected, rtol=1e-10, atol=1e-10)
            self.assertGreater(np.std(expected), 0.3)

        @parameterized.named_parameters(*every_kind)
        def test_saved_model(self, kind):
            """An exported policy acts as the policy does, with its recurrent state in the signature."""
            policy = kind.make(kind.make_game(), 0)
            leaves = random_leaves(policy)
            path = os.path.join(self.get_temp_dir(), "policy")
            export.export_policy(path, policy, tuple(tf.constant(leaf[1, 2]) for leaf in leaves))
            loaded = tf.saved_model.load(path)
            observations, _ = random_steps(kind)
            expected = kind.meaning().named(oracle_outputs(kind, leaves, observations)[1, 2])
            state = {}
            self.assertEqual("initial_state" in loaded.signatures, bool(kind.state_names))
            if kind.state_names:
                state = loaded.signatures["initial_state"](batch_size=tf.constant(K))
                self.assertCountEqual(state, kind.state_names)
            for t in range(T):
                seen = tf.constant(observations[1, 2, :, t])
                result = loaded.signatures["serving_default"](observations=seen, **state)
                sampled = loaded.signatures["sample"](observations=seen, seed=tf.constant([1, t]), **state)
                self.assertCountEqual(result, [*expected, *kind.state_names])
                self.assertCountEqual(sampled, ["actions", *kind.state_names])
                self.assertEqual(sampled["actions"].shape[0], K)
                for name in expected:
                    self.assertAllClose(result[name], expected[name][:, t], rtol=1e-12, atol=1e-12)
                state = {name: result[name] for name in kind.state_names}
                for name in kind.state_names:
                    self.assertAllClose(sampled[name], state[name], rtol=1e-12, atol=1e-12)

        @parameterized.named_parameters(*every_kind)
        def test_models_have_variables_of_their_own(self, kind):
            policy = kind.make(kind.make_game(), 1)
            model = policy.model()
            self.assertIsNot(model, policy.model())
            # Keras' own cells have seeds of dropouts that they do not use.
            unused = [variable.path.rpartition("/")[2] for variable in model.non_trainable_variables]
            self.assertEqual(unused, ["seed_generator_state"] * len(unused))
            self.assertLen(model.trainable_variables, len(policy.reference_params))

        @parameterized.named_parameters(*every_kind)
        def test_initial_params_of_seeds_and_agents_differ(self, kind):
            game = kind.make_game("float32")
            for agents in ([0, 0], [0, 1]):
                leaves = [
                    kind.make(game, agent).initial_params([seed, seed + 10])[0]
                    for seed, agent in enumerate(agents)
                ]
                self.assertEqual(leaves[0].dtype, tf.float32)
                values = np.concatenate([np.ravel(leaf) for leaf in leaves])
                self.assertLen(np.unique(values), values.size)

        @parameterized.named_parameters(*every_kind)
        def test_there_must_be_such_an_agent(self, kind):
            for agent_index in (-1, 2, "0"):
                with self.assertRaisesRegex(checks.InvalidInputError, r"\.agent_index = .*: must be"):
                    kind.make(kind.make_game(), agent_index)

        @parameterized.named_parameters(*every_kind)
        def test_there_must_be_a_game(self, kind):
            for game, hint in (
                (None, "; see contracts.AnyGame"), (matrix.IteratedMatrixGame, "; this is a class"),
                (kind.make(kind.make_game(), 0), "; this lacks default_tasks; see contracts.AnyGame"),
            ):
                with self.assertRaises(checks.InvalidInputError) as caught:
                    kind.make(game, 0)
                message = rf"^\w+_policy\.game = [^\n]+: must be a game{re.escape(hint)}$"
                self.assertRegex(str(caught.exception), message)

    return ConformanceTest
