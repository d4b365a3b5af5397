"""Proves that exported policies load without this package and act as the policies they were exported from."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tf_metamapg import export
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.policies.mlp import mlp_policy
from tf_metamapg.policies.tabular import tabular_policy

# Loads the SavedModels DIRECTORY/agent_0 and DIRECTORY/agent_1 as someone would who has TensorFlow alone.
STRANGER = """
import json, os, sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
sys.modules["tf_metamapg"] = None
sys.modules["tensorflow_probability"] = None
import tensorflow as tf

results = []
for agent in range(2):
    policy = tf.saved_model.load(os.path.join(sys.argv[1], f"agent_{agent}"))
    outputs = policy.signatures["serving_default"](observations=tf.range(7))
    actions = policy.signatures["sample"](observations=tf.range(7), seed=tf.constant([3, 4]))
    tensors = {**outputs, **actions}
    results.append({name: tensor.numpy().tolist() for name, tensor in tensors.items()})
print(json.dumps(results))
"""

# Agent 0 has three actions and agent 1 two; both see 1 + 3 · 2 observations.
N_ACTIONS, N_OBSERVATIONS, SEED_INDEX = (3, 2), 7, 1


class ExportTest(tf.test.TestCase):

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
        return self.policies[agent].behaviour(params)[SEED_INDEX, 0].numpy()

    def sample(self, agent, observations, seed):
        return self.loaded[agent].signatures["sample"](
            observations=tf.constant(observations, tf.int32), seed=tf.constant(seed, tf.int32)
        )

    def test_writes_every_agent_and_nothing_else(self):
        self.assertCountEqual(os.listdir(self.directory), ["agent_0", "agent_1"])

    def test_signatures(self):
        for agent, loaded in enumerate(self.loaded):
            self.assertCountEqual(loaded.signatures, ["serving_default", "sample"])
            _, inputs = loaded.signatures["serving_default"].structured_input_signature
            self.assertEqual(list(inputs.values()), [tf.TensorSpec([None], tf.int32, name="observations")])
            self.assertEqual(
                loaded.signatures["serving_default"].structured_outputs,
                {name: tf.TensorSpec([None, N_ACTIONS[agent]], tf.float32, name=name)
                 for name in ("logits", "probabilities")},
            )
            _, inputs = loaded.signatures["sample"].structured_input_signature
            self.assertEqual(
                inputs, {"observations": tf.TensorSpec([None], tf.int32, name="observations"),
                         "seed": tf.TensorSpec([2], tf.int32, name="seed")},
            )
            self.assertEqual(
                loaded.signatures["sample"].structured_outputs,
                {"actions": tf.TensorSpec([None], tf.int32, name="actions")},
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

    def test_loads_without_the_package(self):
        code = subprocess.run(
            [sys.executable, "-c", STRANGER, str(self.directory)],
            cwd=self.get_temp_dir(), env={key: os.environ[key] for key in os.environ if key != "PYTHONPATH"},
            capture_output=True, text=True, check=False,
        )
        self.assertEqual(code.returncode, 0, code.stderr)
        for agent, outputs in enumerate(json.loads(code.stdout)):
            self.assertCountEqual(outputs, ["logits", "probabilities", "actions"])
            self.assertAllClose(outputs["probabilities"], self.action_probs(agent), rtol=1e-6, atol=0)
            # A seed stands for the same actions in every process.
            here = self.sample(agent, range(N_OBSERVATIONS), [3, 4])["actions"]
            self.assertAllEqual(outputs["actions"], here)

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
        self.assertAllClose(probabilities, self.policies[1].behaviour(params)[2, 0], rtol=1e-6, atol=0)


if __name__ == "__main__":
    tf.test.main()
