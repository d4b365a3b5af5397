"""Proves what carrying policies compute, against the same in NumPy, and what they carry on."""

import functools

from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

from tests.policies import conformance
from tests.policies import policies_test
from tests.policies.conformance import features
from tests.policies.conformance import Kind
from tests.policies.conformance import matrix_game
from tests.policies.conformance import SpacesGame
from tests.policies.conformance import vector_game
import tf_metamapg as mapg
from tf_metamapg import checks
from tf_metamapg.policies.opponent_features import n_features
from tf_metamapg.policies.opponent_features import opponent_features
from tf_metamapg.testing import random_values

MLP = functools.partial(mapg.mlp_policy, hidden_units=(3,))
GRU = functools.partial(mapg.gru_policy, units=3)
S, N, K, T = 2, 3, 4, 5


def dense_model(game, agent_index):
    """Any Keras model."""

    def make_model(seed):
        spec = game.spec.agent(agent_index)
        return keras.Sequential([
            keras.layers.Input(spec.observation.shape, dtype=spec.dtype),
            keras.layers.Dense(
                spec.action.n, kernel_initializer=keras.initializers.GlorotUniform(seed), dtype=spec.dtype
            ),
        ])

    return mapg.keras_policy(game, agent_index, make_model)


def with_inputs(outputs):
    """The outputs of a network that sees the last leaf behind every observation."""

    def outputs_with_inputs(leaves, observations):
        *leaves, ((*inputs,),) = leaves
        seen = features(observations)
        seen = np.concatenate([seen, np.broadcast_to(inputs, [len(seen), len(inputs)])], axis=-1)
        return outputs(leaves, seen[:, np.newaxis])

    return outputs_with_inputs


def given_features(make_policy):
    return functools.partial(mapg.opponent_features_policy, make_policy=make_policy)


EXTRA_INPUTS = {
    "features, MLP": Kind(given_features(MLP), matrix_game, with_inputs(policies_test._perceptron)),
    "features, Keras": Kind(given_features(dense_model), matrix_game, with_inputs(policies_test._perceptron)),
    "features, GRU of vectors": Kind(
        given_features(GRU), vector_game, with_inputs(policies_test._gated_recurrent_unit), ("hidden",)
    ),
}
def alike(dtype="float64"):
    """Both agents see and do the same."""
    return SpacesGame(mapg.Discrete(conformance.N_OBSERVATIONS), mapg.Discrete(2), dtype)


EXTRA_INPUTS |= {
    "goal": Kind(
        functools.partial(mapg.inferred_goal_policy, make_policy=MLP), alike, with_inputs(policies_test._perceptron)
    ),
}
EXTRA_INPUTS |= {
    "embedding": Kind(
        functools.partial(mapg.embedding_policy, make_policy=MLP, size=2), matrix_game,
        with_inputs(policies_test._perceptron),
    ),
}
# What the kit for policies is for: states of one trajectory fit trajectories of any number.
KINDS = EXTRA_INPUTS | {
    "carried state, LSTM": Kind(
        functools.partial(
            mapg.carried_state_policy, n_trajectories=1, make_policy=functools.partial(mapg.lstm_policy, units=2)
        ), matrix_game, None,
    ),
}

ConformanceTest = conformance.of_kinds(EXTRA_INPUTS)


class OpponentFeaturesTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(
        observation=[mapg.Discrete(3), mapg.Box((2,))], action=[mapg.Discrete(2), mapg.Box((2, 1))],
        ends=[False, True],
    )
    def test_frequencies_and_moments(self, observation, action, ends):
        """Counted one step after another, with what does not count left out."""
        game = SpacesGame(observation, action)
        rng, shape = np.random.default_rng(3), (S, N, K, T)
        seen, done = (
            [random_values.members(space, shape, rng) for _ in range(2)] for space in (observation, action)
        )
        lengths = rng.integers(1, T + 1, size=[2, *shape[:3], 1])
        mask = np.arange(T) < lengths
        trajectory = mapg.Trajectory(
            tuple(map(tf.constant, seen)), tuple(map(tf.constant, done)), (tf.zeros(shape),) * 2,
            tuple(map(tf.constant, mask)) if ends else (),
        )
        for own, other in ((0, 1), (1, 0)):
            found = opponent_features(game.spec, trajectory, own)
            self.assertEqual(found.shape[2], n_features(game.spec, own))
            for s, n in np.ndindex(S, N):
                places = [[] for _ in range(3 if isinstance(observation, mapg.Discrete) else 1)]
                for k, t in np.ndindex(K, T):
                    if mask[other, s, n, k, t] or not ends:
                        place = seen[other][s, n, k, t] if len(places) > 1 else 0
                        places[place].append(done[other][s, n, k, t])
                expected = []
                for place in map(np.array, places):
                    if isinstance(action, mapg.Discrete):
                        expected += [np.mean(place == one) if len(place) else 0.0 for one in range(2)]
                    elif len(place):
                        expected += [*np.ravel(place.mean(axis=0)), *np.ravel(place.var(axis=0))]
                    else:
                        expected += [0.0] * 4
                np.testing.assert_allclose(found[s, n], expected, rtol=1e-12, atol=1e-12)

    def test_others_are_given_in_their_order(self):
        game = mapg.IteratedMatrixGame(mapg.public_goods(3), dtype="float64")
        shape = (1, 1, K, T)
        trajectory = mapg.Trajectory(
            (tf.zeros(shape, tf.int32),) * 3, tuple(tf.fill(shape, one) for one in (0, 1, 0)), (tf.zeros(shape),) * 3
        )
        n_seen = game.spec.observations[0].n
        found = np.reshape(opponent_features(game.spec, trajectory, 1), [2, n_seen, 2])
        np.testing.assert_array_equal(found[:, 0], [[1.0, 0.0], [1.0, 0.0]])
        found = np.reshape(opponent_features(game.spec, trajectory, 0), [2, n_seen, 2])
        np.testing.assert_array_equal(found[:, 0], [[0.0, 1.0], [1.0, 0.0]])
        self.assertFalse(np.any(found[:, 1:]))


class InferredGoalTest(tf.test.TestCase):

    def test_it_climbs_the_likelihood_of_what_the_other_did(self):
        """Step by step, of a linear policy by its softmax in NumPy."""
        linear, game = functools.partial(mapg.mlp_policy, hidden_units=()), alike()
        policy = mapg.inferred_goal_policy(game, 0, linear, size=2, n_steps=2, step_size=0.7)
        params, rng = random_values.params(policy, [S, N]), np.random.default_rng(3)
        steps = [
            [random_values.members(space, (S, N, K, T), rng) for _ in range(2)]
            for space in (policy.spec.observation, policy.spec.action)
        ]
        mask = np.arange(T) < rng.integers(1, T + 1, size=[2, S, N, K, 1])
        seen, done, there = (tuple(map(tf.constant, one)) for one in (*steps, mask))
        trajectory = mapg.Trajectory(seen, done, (), there)
        *weights, found = policy.carry(params, params, trajectory, 0)
        for leaf, own in zip(weights, params):
            np.testing.assert_array_equal(leaf, own)
        for s, n in np.ndindex(S, N):
            kernel, bias, goal = (np.array(leaf[s, n]) for leaf in params)
            there = mask[1, s, n]
            seen, done = (one[1][s, n][there] for one in steps)
            for _ in range(2):
                logits = kernel[seen] + bias + goal @ kernel[7:]
                errors = np.eye(2)[done] - conformance.probs(logits)
                goal = goal + 0.7 * np.mean(errors @ kernel[7:].T, axis=0)
            np.testing.assert_allclose(found[s, n], goal, rtol=1e-10, atol=1e-12)

    def test_all_must_be_alike(self):
        for game in (matrix_game(), mapg.NavigationGame(n_agents=1)):
            with self.assertRaisesRegex(checks.InvalidInputError, r"\.game = .*: must be a game of several .*things$"):
                mapg.inferred_goal_policy(game, 0)


class EmbedderTest(tf.test.TestCase):

    def test_likelihood_and_embedding(self):
        """An episode is imitated with what the one before it says, step by step in NumPy."""
        embedder = mapg.embedding_policy(matrix_game(), 0, size=2, units=3).embedder
        rng = np.random.default_rng(3)
        networks = [rng.normal(size=[S, N, *leaf.shape]) for leaf in embedder.first_params]
        seen, done = (rng.integers(size, size=(S, N, K, T), dtype=np.int32) for size in (7, 2))
        mask = np.arange(T) < rng.integers(1, T + 1, size=[S, N, K, 1])
        trajectory = mapg.Trajectory(*((tf.constant(one),) * 2 for one in (seen, done, seen, mask)))
        params = conformance.constants(networks)
        likelihood, found = embedder.likelihood(params, trajectory), embedder.embedding(params, trajectory)
        for s, n in np.ndindex(S, N):
            encoder, imitator = ([leaf[s, n] for leaf in half] for half in (networks[:4], networks[4:]))
            rows = [(np.eye(7)[seen[s, n, k]], np.eye(2)[done[s, n, k]], mask[s, n, k]) for k in range(K)]
            embeddings = np.array([
                perceptron(encoder, np.concatenate([places, acts], axis=-1))[there].mean(axis=0)
                for places, acts, there in rows
            ])
            np.testing.assert_allclose(found[s, n], embeddings.mean(axis=0), rtol=1e-10)
            log_probs = []
            for k, (places, acts, there) in enumerate(rows):
                given = np.broadcast_to(embeddings[k - 1], [T, 2])
                probs = conformance.probs(perceptron(imitator, np.concatenate([places, given], axis=-1)))
                log_probs += [*np.log(np.sum(probs * acts, axis=-1))[there]]
            np.testing.assert_allclose(likelihood[s, n], np.mean(log_probs), rtol=1e-10)


def perceptron(leaves, rows):
    """A hidden layer with tanh."""
    kernel, bias, last_kernel, last_bias = leaves
    return np.tanh(rows @ kernel + bias) @ last_kernel + last_bias


class CarriedStateTest(tf.test.TestCase, parameterized.TestCase):

    def _policy(self, make_policy=GRU, game=None):
        return mapg.carried_state_policy(game or matrix_game(), 0, K, make_policy)

    @parameterized.parameters(GRU, functools.partial(mapg.lstm_policy, units=2))
    def test_episodes_are_one_long_history(self, make_policy):
        """Log-probabilities of three links are those of an ordinary policy that sees all of them in one piece."""
        policy, ordinary = self._policy(make_policy), make_policy(matrix_game(), 0)
        self.assertLen(policy.reference_params, len(ordinary.reference_params) + policy.n_carried)
        params = random_values.params(ordinary, [S, N])
        carried = tuple(tf.zeros([S, N, *leaf.shape]) for leaf in policy.reference_params[-policy.n_carried :])
        carried = tuple(tf.cast(leaf, "float64") for leaf in carried)
        rng = np.random.default_rng(4)
        observations = tf.constant(random_values.members(policy.spec.observation, (S, N, K, 3 * T), rng))
        actions = tf.constant(random_values.members(policy.spec.action, (S, N, K, 3 * T), rng))
        expected = ordinary.log_probs(params, observations, actions)
        own, found, uniforms = (*params, *carried), [], tf.constant(rng.uniform(size=[1, S, N, K, 3 * T]))
        played, state = [], ordinary.initial_state([S, N, K])
        for step in range(3 * T):
            action, state = ordinary.sampler(params)(observations[..., step], state, uniforms[..., step])
            played.append(action)
        for link in range(3):
            steps = slice(link * T, (link + 1) * T)
            found.append(policy.log_probs(own, observations[..., steps], actions[..., steps]))
            state = policy.initial_state([S, N, K])
            for step in range(link * T, (link + 1) * T):
                action, state = policy.sampler(own)(observations[..., step], state, uniforms[..., step])
                np.testing.assert_array_equal(action, played[step])
            trajectory = mapg.Trajectory((observations[..., steps],), (actions[..., steps],), ())
            own = policy.carry(own, own, trajectory, 0)
        np.testing.assert_allclose(np.concatenate(found, axis=-1), expected, rtol=1e-12)

    def test_it_remembers_what_was_there(self):
        """Of an episode that has ended early, what it was at its end."""
        policy = self._policy()
        params, rng = random_values.params(policy, [1, 1]), np.random.default_rng(4)
        observations = random_values.members(policy.spec.observation, (1, 1, K, T), rng)
        lengths = np.array([1, 3, T, 2])
        mask = np.arange(T) < lengths[:, np.newaxis]
        trajectory = mapg.Trajectory(
            (tf.constant(np.where(mask, observations, 0)),), (), (), (tf.constant(mask[np.newaxis, np.newaxis]),)
        )
        (*_, found) = policy.carry(params, params, trajectory, 0)
        for k, length in enumerate(lengths):
            trajectory = mapg.Trajectory((tf.constant(observations[..., :length]),), (), ())
            (*_, alone) = policy.carry(params, params, trajectory, 0)
            np.testing.assert_allclose(found[0, 0, k], alone[0, 0, k], rtol=1e-12)

    def test_an_exported_one_starts_anew(self):
        """Its signatures are those of the network, whose state whoever calls it carries on."""
        policy, ordinary = self._policy(), GRU(matrix_game(), 0)
        model, network = policy.model(), ordinary.model()
        self.assertCountEqual(policy.signatures(model), ordinary.signatures(network))
        state = policy.signatures(model)["initial_state"][0](3)
        self.assertEqual(list(state), ["hidden"])
        self.assertFalse(np.any(state["hidden"]))


class RefusalTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(
        (lambda game: mapg.opponent_features_policy(game, 0, 3), "make_policy = 3: must be a function"),
        (lambda game: mapg.opponent_features_policy(game, 0, given_features(MLP)), r"\) = Opp.*carries nothing"),
        (lambda game: mapg.opponent_features_policy(game, 0, mapg.tabular_policy), "with finitely many observations"),
        (lambda game: mapg.carried_state_policy(vector_game(), 0, K, MLP), r"\) = .*: must be a recurrent network"),
        (lambda game: mapg.carried_state_policy(game, 0, K, mapg.tabular_policy), r"\(\.\.\.\) = Tab.*a network that"),
    )
    def test_it_must_be_a_network(self, make, message):
        with self.assertRaisesRegex(checks.InvalidInputError, f"^[^\n]*{message}[^\n]*$"):
            make(matrix_game())

    def test_there_must_be_others(self):
        for make in (mapg.opponent_features_policy, mapg.embedding_policy):
            with self.assertRaisesRegex(checks.InvalidInputError, r"_policy\.game = .*: must be .*of several agents$"):
                make(mapg.NavigationGame(n_agents=1), 0)

    def test_there_must_be_as_many_trajectories(self):
        policy = mapg.carried_state_policy(matrix_game(), 0, K + 1, GRU)
        params = random_values.params(policy, [1, 1])
        trajectory = mapg.Trajectory((tf.zeros([1, 1, K, T], tf.int32),), (), ())
        with self.assertRaisesRegex(checks.InvalidInputError, r"n_trajectories = 5: must be as many .*, 4$"):
            policy.carry(params, params, trajectory, 0)


if __name__ == "__main__":
    tf.test.main()
