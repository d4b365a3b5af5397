"""Exports learned initial policies as SavedModels, which load without this package, and as arrays.

Signatures of a categorical policy, for B observations:

    serving_default(observations)    int32 [B] → {"logits": [B, A], "probabilities": [B, A]}
    sample(observations, seed)       int32 [B], int32 [2] → {"actions": int32 [B]}

of one whose observations and actions are arrays:

    serving_default(observations)    [B, *observation] → {"mean": [B, *action], "stddev": [B, *action]}
    sample(observations, seed)       [B, *observation], int32 [2] → {"actions": [B, *action]}

of a recurrent one also, where the others take the state, and return the next one, as `hidden` and, of an LSTM, `cell`:

    initial_state(batch_size)        int32 → {"hidden": [B, units], "cell": [B, units]}

and of parameter vectors:

    serving_default()                → {"vector": [P]}

TensorFlow's eager mode, sessions, `saved_model_cli` and TFLite give the same numbers.

Lists and arrays are converted to the dtype of a signature by whatever loads it, tensors are not. So what takes
observations is there for those of the other width as well: `serving_default_int64` and `sample_int64`; where they are
arrays `serving_default_float64` and `sample_float64`, or `…_float32` of a policy in float64. Converting cuts off
fractions, and lets what does not fit into int32 wrap around, before a signature sees it; int64 holds everything.

Where an observation is out of range (negative, too large; an array that is not finite) or a recurrent state is not
finite, there is no answer: numbers are NaN, those of the next state too, and actions that are integers are −1. Other
rows stay as they are.

What TFLite does not do: it draws no random numbers, so that `sample` needs `tf.lite.OpsSet.SELECT_TF_OPS`; so do
policies in float64. Name other signatures with `signature_keys`, or converting is an error. It has no `initial_state`
for 0 observations. `saved_model_cli run` takes `--input_exprs=';'` for a signature without inputs. TensorFlow reads
nothing below a directory with `[` or a backslash in its name, which it takes for a pattern, but by a relative path.

The arrays are named by layer and variable: `table` of a tabular policy, [n_observations, A − 1], to which the last
action's logit is 0; `dense_0/kernel`, `dense_0/bias`, `dense_1/kernel`, … of a perceptron; `lstm/kernel`,
`lstm/recurrent_kernel`, `lstm/bias`, `dense/kernel`, `dense/bias` of an LSTM, `gru/kernel`, … of a gated recurrent
unit; `vector` of a parameter vector. `policies/layers.py` computes with them. Those of a Keras model are named as Keras
names them, by the names of its layers; the state of a recurrent cell of Keras is its last `output`, `state_0`, ….
"""

from collections.abc import Sequence
import contextlib
import os
import shutil
import tempfile

import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.runs import files

# What TensorFlow and Python raise where there is no space left.
DISK_ERRORS = (OSError, tf.errors.OutOfRangeError, tf.errors.ResourceExhaustedError)


def export_policy(path: files.PathLike, policy: contracts.Policy, params: Params) -> None:
    """Writes one agent's policy as a SavedModel, and beside it its parameters, as `path`.npz.

    Args:
        path: the directory to write.
        policy: the agent's policy.
        params: Params with leaves [...], of one seed.
    """
    with _saved(policy, params) as (saved_model, arrays):
        with files.atomic(path) as aside:
            shutil.copytree(saved_model, aside)
        with files.atomic(f"{path}.npz") as aside:
            shutil.copyfile(arrays, aside)


def check_exportable(policies: Sequence[contracts.Policy | None]) -> None:
    """Saves new policies for a trial, so that what cannot be exported is known before it has been trained.

    Args:
        policies: one policy for each agent; None for an agent that has no initial policy to export.

    Raises:
        InvalidInputError: if one of them cannot be exported.
    """
    for index, policy in enumerate(policies):
        if policy is not None:
            try:
                with _saved(policy, policy.reference_params):
                    pass
            except DISK_ERRORS:
                raise  # There is no space left, which is not the policy's fault.
            except Exception as error:
                raise checks.InvalidInputError(
                    f"policies[{index}] = {type(policy).__name__}: must be a policy that can be exported "
                    f"({checks.reason(error)})"
                ) from error


def export_policies(
    directory: files.PathLike, policies: Sequence[contracts.Policy | None], joint_params: JointParams,
    seed_index: int,
) -> None:
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


@contextlib.contextmanager
def _saved(policy, params):
    """A SavedModel and an .npz file in a temporary directory, since TensorFlow cannot write below every name there is.

    Args:
        policy, params: see `export_policy`.

    Yields:
        the two paths.
    """
    policy = contracts.checked_kind("policy", policy, contracts.ExportablePolicy, "one that can be exported")
    model = policy.model()
    model.set_weights([leaf.numpy() for leaf in params])
    module = tf.Module()
    # Not Keras' variables but what holds their values: sessions and converters know no others.
    module.params = {
        variable.path.removeprefix(f"{model.name}/"): variable.value for variable in model.trainable_variables
    }
    checks.check(
        len(module.params) == len(params), "policy", type(policy).__name__, "one whose variables have different names"
    )
    with tempfile.TemporaryDirectory() as directory:
        saved_model, arrays = (os.path.join(directory, name) for name in ("saved_model", "arrays.npz"))
        signatures = {
            name: tf.function(function, input_signature=specs, autograph=False)
            for name, (function, specs) in policy.signatures(model).items()
        }
        tf.saved_model.save(module, saved_model, signatures=signatures)
        np.savez(arrays, **{name: variable.numpy() for name, variable in module.params.items()})
        yield saved_model, arrays
