"""Exports learned initial policies as SavedModels, which load without this package.

Signatures of a categorical policy, for B observations:

    serving_default(observations)    int32 [B] → {"logits": [B, A], "probabilities": [B, A]}
    sample(observations, seed)       int32 [B], int32 [2] → {"actions": int32 [B]}

of one whose actions are vectors:

    serving_default(observations)    [B, D] → {"mean": [B, m], "stddev": [B, m]}
    sample(observations, seed)       [B, D], int32 [2] → {"actions": [B, m]}

of one with a memory also, where the others take it, and return what it becomes, as `hidden` and `cell`:

    initial_memory(batch_size)       int32 → {"hidden": [B, units], "cell": [B, units]}

and of raw parameters:

    serving_default()                → {"vector": [P]}
"""

import os

import tensorflow as tf

from tf_metamapg import files


def export_policy(path, policy, params):
    """Writes one agent's policy as a SavedModel.

    Args:
        path: the directory to write.
        policy: the agent's policy.
        params: Params with leaves [...], of one seed.
    """
    model = policy.model()
    model.set_weights([leaf.numpy() for leaf in params])

    signatures = {
        name: tf.function(function, input_signature=specs, autograph=False)
        for name, (function, specs) in policy.signatures(model).items()
    }
    module = tf.Module()
    # The variables alone, as Keras would call a model that is saved with what it takes for its inputs.
    module.params = list(model.trainable_variables)
    with files.written_aside(path) as aside:
        tf.saved_model.save(module, aside, signatures=signatures)


def export_policies(directory, policies, joint_params, seed_index):
    """Writes the policies of the agents of one seed as `agent_0`, `agent_1`, …

    Args:
        directory: made if it does not exist.
        policies: one policy for each agent; None for an agent that has no initial policy to export.
        joint_params: JointParams with leaves [S, ...].
        seed_index: which of the S seeds.
    """
    os.makedirs(directory, exist_ok=True)
    for agent_index, (policy, params) in enumerate(zip(policies, joint_params)):
        if policy is not None:
            single_params = tuple(tf.convert_to_tensor(leaf)[seed_index] for leaf in params)
            export_policy(os.path.join(directory, f"agent_{agent_index}"), policy, single_params)
