"""Asks exported policies along a trajectory, through everything that loads SavedModels, without knowing this package.

    strangers.py DIRECTORY

DIRECTORY/NAME.questions.npz has the observations, [T, B, ...], for the policy DIRECTORY/NAME, and the loaders to ask it
through. Its answers go to DIRECTORY/NAME.answers.npz, as loader/batch size/time step/signature/output.
"""

import os
import pathlib
import sys
import tempfile

from absl import flags
from absl.testing import flagsaver
import numpy as np
import tensorflow as tf
from tensorflow.python.tools import saved_model_cli


def eager(path):
    loaded = tf.saved_model.load(path)

    def ask(signature, inputs):
        return {name: tensor.numpy() for name, tensor in loaded.signatures[signature](**inputs).items()}

    return ask, loaded.signatures


def session(path):
    running = tf.compat.v1.Session(graph=tf.Graph())
    signatures = tf.compat.v1.saved_model.load(running, ["serve"], path).signature_def

    def ask(signature, inputs):
        asked = signatures[signature]
        outputs = {name: tensor.name for name, tensor in asked.outputs.items()}
        return running.run(outputs, {asked.inputs[name].name: value for name, value in inputs.items()})

    return ask, signatures


def tflite(path):
    # It draws no random numbers.
    signatures = [name for name in eager(path)[1] if not name.startswith("sample")]
    converter = tf.lite.TFLiteConverter.from_saved_model(path, signature_keys=signatures)
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    return lambda signature, inputs: interpreter.get_signature_runner(signature)(**inputs), signatures


def command_line(path):
    """`saved_model_cli run`, which reads all of a model again for each question; so there are few."""

    def ask(signature, inputs):
        with tempfile.TemporaryDirectory() as directory, flagsaver.flagsaver():
            outputs = pathlib.Path(directory, "outputs")
            arrays, expressions = [], []
            for name, value in inputs.items():
                if value.dtype.kind == "i":
                    expressions.append(f"{name}={value.tolist()}")
                else:
                    np.save(os.path.join(directory, name), value)
                    arrays.append(f"{name}={os.path.join(directory, name)}.npy")
            flags.FLAGS([
                "saved_model_cli", "--dir", path, "--tag_set", "serve", "--signature_def", signature,
                "--outdir", str(outputs), "--inputs", ";".join(arrays),
                # It wants to be given something, also where there is nothing to give.
                "--input_exprs", ";".join(expressions) or ";",
            ])
            saved_model_cli.run()
            return {file.stem: np.load(file) for file in outputs.iterdir()}

    return ask, [name for name in eager(path)[1] if name in ("serving_default", "sample", "initial_state")]


LOADERS = {load.__name__: load for load in (eager, session, tflite, command_line)}


def play(ask, signatures, observations, batch_size):
    """Yields (time step/signature, answer), for the first `batch_size` observations of each time step."""
    state = {}
    if "initial_state" in signatures:
        # Of all of them, as TFLite has none for no observations.
        state = ask("initial_state", {"batch_size": np.array(observations.shape[1], np.int32)})
        yield "0/initial_state", state
        state = {name: leaf[:batch_size] for name, leaf in state.items()}
    for t, seen in enumerate(observations):
        for signature in signatures:
            if signature.startswith(("serving_default", "sample")):
                dtype = signature.removeprefix("serving_default").removeprefix("sample").lstrip("_")
                inputs = {"observations": seen[:batch_size].astype(dtype or seen.dtype), **state}
                if signature.startswith("sample"):
                    inputs["seed"] = np.array([3, t], np.int32)
                answer = ask(signature, inputs if seen.size else {})
                yield f"{t}/{signature}", answer
                if signature == "serving_default":
                    next_state = {name: answer[name] for name in state}
        state = next_state


def main(directory):
    for path in sorted(pathlib.Path(directory).glob("*.questions.npz")):
        name = str(path).removesuffix(".questions.npz")
        questions, answers = np.load(path), {}
        observations = questions["observations"]
        for loader in questions["loaders"]:
            try:
                ask, signatures = LOADERS[loader](name)
                batch_sizes = [observations.shape[1], *([1, 0] if loader != "command_line" else [])]
                for batch_size in batch_sizes:
                    for question, answer in play(ask, signatures, observations, batch_size):
                        for output, value in answer.items():
                            answers[f"{loader}/{batch_size}/{question}/{output}"] = value
            except Exception as error:
                answers[f"{loader}/error"] = f"{type(error).__name__}: {error}"[:300]
        np.savez(f"{name}.answers.npz", **answers)
    assert not {"tf_metamapg", "tensorflow_probability"} & set(sys.modules), "a stranger would not have these"


if __name__ == "__main__":
    main(*sys.argv[1:])
