"""Proves that exported policies act as the policies they were exported from, whatever loads them."""

import itertools
import os
import pathlib
import subprocess
import sys

from absl.testing import parameterized
import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.policies import policies_test
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.games import differentiable
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.policies import functional
from tf_metamapg.policies.mlp import mlp_policy
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.policies.vector import vector_policy
from tf_metamapg.runs import export

# Agent 0 has three actions and agent 1 two; both see 1 + 3 · 2 observations.
N_ACTIONS, N_OBSERVATIONS, SEED_INDEX = (3, 2), 7, 1
# Batch size, time steps, and the row that at the first of them has an observation that there is not.
B, T, IMPOSSIBLE = 4, 2, 2

# Every policy, as a function of a dtype, and the names of its parameters.
_MLP = [f"dense_{layer}/{name}" for layer in range(3) for name in ("kernel", "bias")]
_LSTM, _GRU = (
    [f"{cell}/kernel", f"{cell}/recurrent_kernel", f"{cell}/bias", "dense/kernel", "dense/bias"]
    for cell in ("lstm", "gru")
)
NAMES = {
    "tabular": ["table"], "mlp": _MLP, "linear": _MLP[:2], "lstm": _LSTM, "gru": _GRU, "gaussian_mlp": _MLP,
    "gaussian_lstm": _LSTM, "image_mlp": _MLP, "shared_stddev": [*_MLP, "constant/bias"],
    "vector": ["vector"],
}
EVERY_POLICY = tuple(
    (f"{name}_{dtype}", name, dtype) for name, dtype in itertools.product(NAMES, ("float32", "float64"))
)


def _policy(name, dtype):
    if name == "vector":
        return vector_policy(differentiable.tandem_game(dtype), 0)
    kind = policies_test.KINDS[name]
    return kind.make(kind.make_game(dtype), 0)


def _random_params(policy):
    rng = np.random.default_rng(7)
    return tuple(tf.constant(rng.normal(size=leaf.shape), leaf.dtype) for leaf in policy.reference_params)


def _observations(policy):
    """[T, B, ...]; of no size where the policy sees nothing."""
    _, specs = policy.signatures(policy.model())["serving_default"]
    rng = np.random.default_rng(8)
    if not specs:
        return np.zeros([T, B, 0])
    if specs[0].dtype.is_integer:
        return rng.integers(N_OBSERVATIONS, size=[T, B], dtype=specs[0].dtype.name)
    return rng.normal(size=[T, B, *specs[0].shape[1:]]).astype(specs[0].dtype.name)


def _expected(policy, params, observations):
    """What the policy itself says: dict of arrays [T, B, ...], or [T, P] where it sees nothing."""
    params = tuple(leaf[tf.newaxis, tf.newaxis] for leaf in params)
    if not observations.size:
        return {"vector": np.stack([policy.strategy(params)[0, 0]] * T)}
    distribution = policy.distribution(params, tf.constant(np.swapaxes(observations, 0, 1)[np.newaxis, np.newaxis]))
    if isinstance(distribution, tfp.distributions.Categorical):
        named = {"logits": distribution.logits_parameter(), "probabilities": distribution.probs_parameter()}
    else:
        named = {"mean": distribution.mean(), "stddev": distribution.stddev()}
    return {name: np.swapaxes(value[0, 0], 0, 1) for name, value in named.items()}


@pytest.mark.slow
class LoadersTest(tf.test.TestCase, parameterized.TestCase):
    """In a process that has neither this package nor TensorFlow Probability; see `strangers.py`."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.directory = pathlib.Path(tf.compat.v1.test.get_temp_dir()) / "strangers"
        cls.expected = {}
        for full_name, name, dtype in EVERY_POLICY:
            policy = _policy(name, dtype)
            params, observations = _random_params(policy), _observations(policy)
            cls.expected[full_name] = _expected(policy, params, observations)
            if observations.size:
                observations[0, IMPOSSIBLE] = N_OBSERVATIONS if observations.dtype.kind == "i" else np.inf
            loaders = ["eager", "session"]
            if dtype == "float32":
                loaders.append("command_line")
            # Of those that it cannot compute, TFLite gets one to refuse.
            if dtype == "float32" or name in ("vector", "tabular"):
                loaders.append("tflite")
            export.export_policy(cls.directory / full_name, policy, params)
            np.savez(cls.directory / f"{full_name}.questions.npz", observations=observations, loaders=loaders)
        process = subprocess.run(
            [sys.executable, pathlib.Path(__file__).with_name("strangers.py"), cls.directory],
            cwd=cls.directory, env={key: os.environ[key] for key in os.environ if key != "PYTHONPATH"},
            capture_output=True, text=True, check=False,
        )
        if process.returncode:
            raise RuntimeError(process.stderr[-2000:])

    def answers(self, full_name):
        """{loader: {batch size/time step/signature/output: array}}."""
        by_loader = {}
        with np.load(self.directory / f"{full_name}.answers.npz") as answers:
            for key in answers:
                loader, _, question = key.partition("/")
                by_loader.setdefault(loader, {})[question] = answers[key]
        return by_loader

    @parameterized.named_parameters(*EVERY_POLICY)
    def test_answers_are_those_of_the_policy(self, name, dtype):
        answers = self.answers(f"{name}_{dtype}")["eager"]
        tolerance = {"float32": 1e-6, "float64": 1e-12}[dtype]
        for batch_size, t in itertools.product((B, 1, 0), range(T)):
            for output, expected in self.expected[f"{name}_{dtype}"].items():
                expected = expected[t]
                if name != "vector":
                    expected = expected[:batch_size].copy()
                    # A recurrent state after what there is not is none either.
                    if t == 0 or policies_test.KINDS[name].state_names:
                        expected[IMPOSSIBLE:IMPOSSIBLE + 1] = np.nan
                answer = answers[f"{batch_size}/{t}/serving_default/{output}"]
                self.assertEqual(answer.dtype, dtype)
                self.assertAllClose(answer, expected, rtol=tolerance, atol=tolerance)

    @parameterized.named_parameters(*EVERY_POLICY)
    def test_all_loaders_give_the_same_answers(self, name, dtype):
        answers = self.answers(f"{name}_{dtype}")
        expected = answers.pop("eager")
        self.assertContainsSubset(["session"] if dtype == "float64" else ["session", "command_line", "tflite"], answers)
        tolerance = {"float32": 1e-6, "float64": 1e-12}[dtype]
        for loader, same in answers.items():
            if (loader, name, dtype) == ("tflite", "tabular", "float64"):
                self.assertEqual(list(same), ["error"])
                self.assertStartsWith(str(same["error"]), "ConverterError")
                continue
            self.assertNotIn("error", same, f"{loader}: {same.get('error')}")
            # TFLite draws no random numbers; the command line is asked little.
            asked = {
                "session": lambda key: True,
                "tflite": lambda key: "/sample" not in key,
                "command_line": lambda key: key.startswith(f"{B}/") and "_int" not in key and "_float" not in key,
            }[loader]
            self.assertCountEqual(same, filter(asked, expected), loader)
            for key, value in same.items():
                self.assertEqual((value.dtype, value.shape), (expected[key].dtype, expected[key].shape), key)
                self.assertAllClose(value, expected[key], rtol=tolerance, atol=tolerance, msg=f"{loader}: {key}")


class ExportPolicyTest(tf.test.TestCase, parameterized.TestCase):

    def export(self, policy, params=None):
        path = os.path.join(self.get_temp_dir(), "policy")
        export.export_policy(path, policy, _random_params(policy) if params is None else params)
        return path

    @parameterized.named_parameters(*EVERY_POLICY)
    def test_arrays(self, name, dtype):
        policy = _policy(name, dtype)
        params = _random_params(policy)
        path = self.export(policy, params)
        loaded = tf.saved_model.load(path).params
        with np.load(f"{path}.npz", allow_pickle=False) as arrays:
            self.assertEqual(list(arrays), NAMES[name])
            self.assertCountEqual(loaded, NAMES[name])
            for key, leaf in zip(NAMES[name], params):
                self.assertEqual(arrays[key].dtype, dtype)
                self.assertAllEqual(arrays[key], leaf)
                self.assertAllEqual(loaded[key], leaf)

    def test_every_kind_of_policy_is_in_the_tables(self):
        self.assertCountEqual(NAMES, [*policies_test.KINDS, "vector"])

    def test_logits_of_a_table(self):
        """As the README says."""
        path = self.export(_policy("tabular", "float64"))
        table = np.load(f"{path}.npz", allow_pickle=False)["table"]
        logits = tf.saved_model.load(path).signatures["serving_default"](observations=range(N_OBSERVATIONS))["logits"]
        for observation in range(N_OBSERVATIONS):
            self.assertAllEqual(np.append(table[observation], 0.0), logits[observation])

    @parameterized.parameters("tabular", "mlp", "lstm")
    def test_integers_of_any_width(self, name):
        policy = _policy(name, "float32")
        signatures = tf.saved_model.load(self.export(policy)).signatures
        state = {}
        if name == "lstm":
            state = signatures["initial_state"](batch_size=5)
        seed = [1, 2]
        expected = {
            **signatures["serving_default"](observations=tf.range(5), **state),
            **signatures["sample"](observations=tf.range(5), seed=tf.constant(seed), **state),
        }
        anything = [range(5), list(range(5)), np.arange(5), np.arange(5, dtype=np.int32), np.arange(5, dtype=np.uint8)]
        for suffix, observations in itertools.product(("", "_int64"), anything):
            self.check_answers(signatures, suffix, observations, seed, state, expected)
        for observations in (tf.range(5, dtype=tf.int64), tf.constant(np.arange(5))):
            self.check_answers(signatures, "_int64", observations, tf.constant(seed), state, expected)
        self.check_answers(signatures, "", tf.range(5), np.array(seed), state, expected)

    def check_answers(self, signatures, suffix, observations, seed, state, expected):
        answers = {
            **signatures[f"serving_default{suffix}"](observations=observations, **state),
            **signatures[f"sample{suffix}"](observations=observations, seed=seed, **state),
        }
        self.assertCountEqual(answers, expected)
        for key in expected:
            self.assertAllEqual(answers[key], expected[key])

    def test_vectors_of_any_width(self):
        observations = np.random.default_rng(3).normal(size=[5, 3])
        for dtype, other, tolerance in (("float32", "float64", 0.0), ("float64", "float32", 1e-6)):
            signatures = tf.saved_model.load(self.export(_policy("gaussian_mlp", dtype))).signatures
            expected = signatures["serving_default"](observations=observations)
            same = signatures[f"serving_default_{other}"](observations=tf.constant(observations, other))
            for key in ("mean", "stddev"):
                self.assertEqual(same[key].dtype, dtype)
                self.assertAllClose(same[key], expected[key], rtol=tolerance, atol=tolerance)

    @parameterized.parameters("tabular", "mlp", "lstm")
    def test_observations_out_of_range(self, name):
        signatures = tf.saved_model.load(self.export(_policy(name, "float32"))).signatures
        possible = np.array([0, 3, 6])
        for suffix, impossible in (
            ("", [-1, 7, 8, 100, 2**31 - 1, -2**31]), ("_int64", [-1, 7, 2**32, 2**32 + 1, -2**32, 2**63 - 1, -2**63]),
        ):
            answers, alone = (
                {
                    **signatures[f"serving_default{suffix}"](observations=seen, **state),
                    **signatures[f"sample{suffix}"](observations=seen, seed=[5, 6], **state),
                }
                for seen in (np.concatenate([possible, impossible]), possible)
                for state in [{key: np.ones([len(seen), 4]) for key in policies_test.KINDS[name].state_names}]
            )
            for key, answer in answers.items():
                self.assertAllClose(answer[:3], alone[key], rtol=1e-6, atol=1e-7)
                nothing = -1 if key == "actions" else np.nan
                self.assertAllEqual(answer[3:], np.full(answer[3:].shape, nothing))
            self.assertAllInRange(answers["actions"][:3], 0, 2)

    def test_vectors_and_recurrent_states_that_are_not_finite(self):
        signatures = tf.saved_model.load(self.export(_policy("gaussian_lstm", "float64"))).signatures
        observations = np.random.default_rng(3).normal(size=[6, 3])
        state = {name: leaf.numpy() for name, leaf in signatures["initial_state"](batch_size=6).items()}
        observations[1, 0], observations[2, 1], observations[3, 2] = np.nan, np.inf, -np.inf
        state["hidden"][4, 1], state["cell"][5, 3] = np.nan, np.inf
        for signature, seed in (("serving_default", {}), ("sample", {"seed": [1, 2]})):
            answers = signatures[signature](observations=observations, **state, **seed)
            for answer in answers.values():
                self.assertAllEqual(tf.math.is_finite(answer[0]), np.ones(answer[0].shape, bool))
                self.assertAllEqual(tf.math.is_nan(answer[1:]), np.ones(answer[1:].shape, bool))

    @parameterized.parameters(
        "[x]", "a*", "a?b", "back\\slash", "two words", "ünï→日本", "%s", "new\nline", "{a,b}", "gs:", "\udcff",
    )
    def test_any_directory_will_do(self, name):
        policy = _policy("mlp", "float32")
        params = _random_params(policy)
        directory = os.path.join(self.get_temp_dir(), name)
        export.export_policies(directory, [policy], [[leaf[tf.newaxis] for leaf in params]], 0)
        self.assertCountEqual(os.listdir(directory), ["agent_0", "agent_0.npz"])
        # As TensorFlow takes the path that it reads from for a pattern, by one that is plain.
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(directory)
        observations = _observations(policy)
        answers = tf.saved_model.load("agent_0").signatures["serving_default"](observations=observations[0])
        for key, expected in _expected(policy, params, observations).items():
            self.assertAllClose(answers[key], expected[0], rtol=1e-6, atol=1e-6)
        with np.load("agent_0.npz", allow_pickle=False) as arrays:
            self.assertEqual(list(arrays), NAMES["mlp"])


class Variables(keras.Model):
    """Has two variables, which may have the same name, and a function of them that may not be one."""

    def __init__(self, names, call, **kwargs):
        super().__init__(**kwargs)
        self._names, self._call = names, call

    def build(self, input_shape):
        del input_shape
        self.both = [self.add_weight(shape=(2,), name=name) for name in self._names]

    def call(self, inputs):
        return self._call(self.both, inputs)


class _OwnPolicy(functional.KerasPolicy):
    """A policy of a user's own making."""

    def __init__(self, names=("a", "b"), call=lambda both, inputs: inputs[:, tf.newaxis] * both[0] + both[1]):
        def build_model(seed):
            del seed
            model = Variables(names, call)
            model.build(None)
            return model

        super().__init__(build_model, contracts.AgentSpec(contracts.Box((1,)), contracts.Box((1,)), "float32"))

    def signatures(self, model):
        return {"serving_default": (lambda x: {"y": model(x)}, [tf.TensorSpec([None], tf.float32, name="x")])}


_HIDDEN = tf.Variable(1.0)


class CheckExportableTest(tf.test.TestCase, parameterized.TestCase):

    def test_every_policy_can_be_exported(self):
        export.check_exportable([None, *(_policy(name, "float32") for name in NAMES), _OwnPolicy()])

    @parameterized.named_parameters(
        ("cannot_be_traced", {"call": lambda both, inputs: both[0] * tf.ones([3])}, "Dimensions must be equal"),
        ("needs_values", {"call": lambda both, inputs: both[0] * inputs[0].numpy()}, "numpy"),
        ("needs_a_batch_size", {"call": lambda both, inputs: both[0] * sum(range(inputs.shape[0]))}, "NoneType"),
        ("has_hidden_variables", {"call": lambda both, inputs, hidden=_HIDDEN: hidden * inputs}, "untracked"),
        ("has_one_name_twice", {"names": ("a", "a")}, "different names"),
    )
    def test_what_cannot_be_exported_is_known_beforehand(self, arguments, reason):
        with self.assertRaises(checks.InvalidInputError) as raised:
            export.check_exportable([_policy("tabular", "float32"), None, _OwnPolicy(**arguments)])
        message = str(raised.exception)
        self.assertStartsWith(message, "policies[2] = _OwnPolicy: must be a policy that can be exported (")
        self.assertIn(reason, message)
        self.assertLen(message.splitlines(), 1)
        self.assertLess(len(message), 300)


class ExportPoliciesTest(tf.test.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        game = IteratedMatrixGame(np.zeros([2, *N_ACTIONS]))
        cls.policies = [tabular_policy(game, 0), mlp_policy(game, 1, hidden_units=(6,))]
        cls.joint_params = tuple(policy.initial_params([5, 6, 7]) for policy in cls.policies)
        cls.directory = pathlib.Path(tf.compat.v1.test.get_temp_dir()) / "exported"
        export.export_policies(cls.directory, cls.policies, cls.joint_params, SEED_INDEX)
        cls.loaded = [tf.saved_model.load(str(cls.directory / f"agent_{agent}")) for agent in range(2)]

    def action_probs(self, agent):
        """The probabilities of the policy that was exported: [n_observations, A]."""
        params = tuple(leaf[:, tf.newaxis] for leaf in self.joint_params[agent])
        return self.policies[agent].strategy(params)[SEED_INDEX, 0].numpy()

    def sample(self, agent, observations, seed):
        return self.loaded[agent].signatures["sample"](
            observations=tf.constant(observations, tf.int32), seed=tf.constant(seed, tf.int32)
        )

    def test_writes_every_agent_and_nothing_else(self):
        self.assertCountEqual(os.listdir(self.directory), ["agent_0", "agent_0.npz", "agent_1", "agent_1.npz"])

    def test_signatures(self):
        seed = tf.TensorSpec([2], tf.int32, name="seed")
        for agent, loaded in enumerate(self.loaded):
            self.assertCountEqual(
                loaded.signatures, ["serving_default", "sample", "serving_default_int64", "sample_int64"]
            )
            for suffix, dtype in (("", tf.int32), ("_int64", tf.int64)):
                observations = tf.TensorSpec([None], dtype, name="observations")
                distribution, sample = (loaded.signatures[name + suffix] for name in ("serving_default", "sample"))
                self.assertEqual(distribution.structured_input_signature[1], {"observations": observations})
                self.assertEqual(
                    distribution.structured_outputs,
                    {name: tf.TensorSpec([None, N_ACTIONS[agent]], tf.float32, name=name)
                     for name in ("logits", "probabilities")},
                )
                self.assertEqual(
                    sample.structured_input_signature[1], {"observations": observations, "seed": seed}
                )
                self.assertEqual(
                    sample.structured_outputs, {"actions": tf.TensorSpec([None], tf.int32, name="actions")}
                )

    def test_probabilities_are_those_of_the_seed(self):
        observations = tf.constant([6, 0, 0, 3], tf.int32)
        for agent, loaded in enumerate(self.loaded):
            outputs = loaded.signatures["serving_default"](observations=observations)
            expected = self.action_probs(agent)[observations.numpy()]
            self.assertAllClose(outputs["probabilities"], expected, rtol=1e-6, atol=0)
            self.assertAllClose(tf.nn.softmax(outputs["logits"]), expected, rtol=1e-6, atol=0)
            # The seeds and the observations differ, so that a mix-up would show.
            self.assertAllGreater(np.abs(np.diff(self.action_probs(agent), axis=0)[:, 0]), 1e-3)

    def test_samples_are_a_function_of_the_seed(self):
        observations = np.zeros([1000], np.int32)
        for agent in range(2):
            actions = self.sample(agent, observations, [1, 2])["actions"]
            self.assertAllEqual(self.sample(agent, observations, [1, 2])["actions"], actions)
            self.assertNotAllEqual(self.sample(agent, observations, [1, 3])["actions"], actions)
            self.assertNotAllEqual(self.sample(agent, observations, [2, 2])["actions"], actions)

    def test_frequencies_match(self):
        n_samples = 5000
        observations = np.repeat(np.arange(N_OBSERVATIONS), n_samples)
        for agent in range(2):
            actions = self.sample(agent, observations, [11, agent])["actions"].numpy().reshape([-1, n_samples])
            counts = np.stack([np.sum(actions == action, axis=1) for action in range(N_ACTIONS[agent])], axis=-1)
            self.assertAllEqual(counts.sum(axis=1), np.full(N_OBSERVATIONS, n_samples))
            expected = n_samples * self.action_probs(agent).astype(np.float64)
            chi_squared = np.sum((counts - expected) ** 2 / expected)
            # Pearson's test over all observations: a right sampler passes with a probability of 99.9%.
            degrees_of_freedom = np.float64(N_OBSERVATIONS * (N_ACTIONS[agent] - 1))
            self.assertLess(chi_squared, tfp.distributions.Chi2(degrees_of_freedom).quantile(0.999))

    def test_export_replaces_an_earlier_one(self):
        directory = pathlib.Path(self.get_temp_dir()) / "again"
        for seed_index in (0, 2):
            export.export_policies(directory, self.policies[1:], self.joint_params[1:], seed_index)
        probabilities = tf.saved_model.load(str(directory / "agent_0")).signatures["serving_default"](
            observations=tf.range(N_OBSERVATIONS)
        )["probabilities"]
        params = tuple(leaf[:, tf.newaxis] for leaf in self.joint_params[1])
        self.assertAllClose(probabilities, self.policies[1].strategy(params)[2, 0], rtol=1e-6, atol=0)


if __name__ == "__main__":
    tf.test.main()
