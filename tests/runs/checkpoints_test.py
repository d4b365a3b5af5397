"""Proves that a restored checkpoint goes on with the same bits, and that one that does not fit is refused."""

import pathlib
import pickle

from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

from tf_metamapg.checks import InvalidInputError
from tf_metamapg.runs.checkpoints import Checkpointer


class State:
    """Two agents' variables, an optimizer for each and a counter, as in the trainer."""

    def __init__(self, n_seeds=3, n_agents=2, value=0.0):
        self.variables = [
            [keras.Variable(np.full([n_seeds, 5, 1], value, np.float32))] for _ in range(n_agents)
        ]
        self.optimizers = [keras.optimizers.Adam(0.1) for _ in range(n_agents)]
        for optimizer, variables in zip(self.optimizers, self.variables):
            optimizer.build(variables)
        self.n_done = tf.Variable(0, dtype=tf.int64)
        self.state = {
            "initial_params": self.variables, "optimizers": [optimizer.variables for optimizer in self.optimizers],
            "n_meta_updates_done": self.n_done,
        }

    def step(self):
        for agent, (optimizer, variables) in enumerate(zip(self.optimizers, self.variables)):
            generator = np.random.default_rng([agent, int(self.n_done)])
            optimizer.apply([generator.normal(size=variable.shape).astype(np.float32) for variable in variables])
        self.n_done.assign_add(1)

    def arrays(self):
        optimizer_variables = [variable for optimizer in self.optimizers for variable in optimizer.variables]
        own = [variable for variables in self.variables for variable in variables]
        return [variable.numpy() for variable in [*own, *optimizer_variables, self.n_done]]


class CheckpointsTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        # A name that is also a pattern.
        self.directory = pathlib.Path(self.get_temp_dir()) / "lr[0.1]_*"
        self.directory.mkdir()

    def checkpointer(self, run_digest="this run"):
        return Checkpointer(self.directory, run_digest)

    def save_steps(self, numbers):
        """Saves after these steps, and returns the state."""
        state = State()
        checkpointer = self.checkpointer()
        while int(state.n_done) < max(numbers):
            state.step()
            if int(state.n_done) in numbers:
                checkpointer.save(int(state.n_done), state.state, {"rows": f"{int(state.n_done)} rows", "seconds": 0.5})
        return state

    def restore(self, state):
        checkpointer = self.checkpointer()
        checkpoint, _ = checkpointer.find()
        if checkpoint is not None:
            checkpoint.restore(state.state)
        return checkpointer

    def assert_same(self, state, other):
        for array, other_array in zip(state.arrays(), other.arrays(), strict=True):
            self.assertEqual(array.dtype, other_array.dtype)
            self.assertAllEqual(array, other_array)

    def assert_refused(self, state, *parts):
        with self.assertRaises(InvalidInputError) as raised:
            self.restore(state)
        message = str(raised.exception)
        self.assertLen(message.splitlines(), 1)
        self.assertStartsWith(message, f"checkpoint {self.directory}/ckpt-")
        for part in parts:
            self.assertIn(part, message)

    def test_without_a_checkpoint_everything_stays(self):
        state = State(value=0.5)
        checkpointer = self.restore(state)
        self.assertIsNone(checkpointer.latest)
        self.assert_same(state, State(value=0.5))

    def test_restores_everything_and_goes_on_with_the_same_bits(self):
        saved = self.save_steps([3])
        restored = State(value=0.5)
        checkpointer = self.restore(restored)
        self.assertEqual(checkpointer.latest, self.directory / "ckpt-3.npz")
        self.assert_same(restored, saved)
        # Adam's moments and its count of steps matter from the next step on.
        for _ in range(3):
            saved.step()
            restored.step()
        self.assert_same(restored, saved)

    def test_fresh_optimizers_would_go_on_otherwise(self):
        saved = self.save_steps([3])
        other = State()
        for variables, saved_variables in zip(other.variables, saved.variables):
            variables[0].assign(saved_variables[0])
        other.n_done.assign(saved.n_done)
        saved.step()
        other.step()
        self.assertNotAllEqual(other.variables[0][0], saved.variables[0][0])

    def test_latest_of_several(self):
        self.save_steps([1, 2, 4])
        restored = State()
        self.restore(restored)
        self.assertEqual(int(restored.n_done), 4)

    def test_keeps_a_few(self):
        neighbour = self.directory.parent / "lr[0.1]_2"
        neighbour.mkdir(exist_ok=True)
        (neighbour / "ckpt-1.npz").write_bytes(b"another run's")
        self.save_steps(range(1, 12))
        self.assertCountEqual(
            [path.name for path in self.directory.iterdir()], ["ckpt-9.npz", "ckpt-10.npz", "ckpt-11.npz"]
        )
        self.assertTrue((neighbour / "ckpt-1.npz").exists())

    def test_saving_goes_on_after_restoring(self):
        self.save_steps([1, 2])
        state = State()
        checkpointer = self.restore(state)
        state.step()
        checkpointer.save(3, state.state, {})
        self.assertEqual(checkpointer.latest, self.directory / "ckpt-3.npz")
        restored = State()
        self.restore(restored)
        self.assert_same(restored, state)

    @parameterized.named_parameters(
        ("more_seeds", {"n_seeds": 4}, "float32[3, 5, 1], and should be float32[4, 5, 1]"),
        ("fewer_seeds", {"n_seeds": 2}, "float32[3, 5, 1], and should be float32[2, 5, 1]"),
        ("more_agents", {"n_agents": 3}, "is missing"),
    )
    def test_other_variables_are_refused(self, arguments, part):
        self.save_steps([2])
        self.assert_refused(State(**arguments), "does not fit", part)

    def test_notes_come_back(self):
        self.save_steps([1, 2])
        checkpoint, damaged = self.checkpointer().find()
        self.assertEqual((checkpoint.number, checkpoint.notes), (2, {"rows": "2 rows", "seconds": 0.5}))
        self.assertEmpty(damaged)
        for directory in (self.get_temp_dir(), self.directory / "missing"):
            self.assertEqual(Checkpointer(directory, "this run").find(), (None, []))

    def test_another_run_with_the_same_shapes_is_refused(self):
        self.save_steps([2])
        with self.assertRaisesRegex(InvalidInputError, r"ckpt-2\.npz: is of another run"):
            self.checkpointer("that run").find()

    def test_what_a_killed_writer_leaves_is_removed(self):
        saved = self.save_steps([2])
        (self.directory / "ckpt-3.npz.partial").write_bytes(b"unfinished")
        restored = State()
        checkpointer = self.restore(restored)
        self.assertEqual(checkpointer.latest, self.directory / "ckpt-2.npz")
        self.assert_same(restored, saved)
        checkpointer.save(3, saved.state, {})
        self.assertCountEqual([path.name for path in self.directory.iterdir()], ["ckpt-2.npz", "ckpt-3.npz"])

    @parameterized.parameters("empty", "cut", "changed", "text", "pickle")
    def test_damaged_checkpoint(self, damage):
        """An earlier one takes its place, and without any it is refused."""
        saved = self.save_steps([1])
        arrays = saved.arrays()
        self.save_steps([2])
        path = self.directory / "ckpt-2.npz"
        content = bytearray(path.read_bytes())
        if damage == "changed":
            # In the data of a variable, which a checksum protects.
            content[content.index(b"NUMPY") + 128] ^= 255
        replaced = {
            "empty": b"", "cut": content[: len(content) // 2], "changed": content, "text": b"a letter",
            "pickle": pickle.dumps({"run_digest": "this run"}),
        }
        path.write_bytes(replaced[damage])
        restored = State()
        checkpoint, damaged = self.checkpointer().find()
        checkpoint.restore(restored.state)
        self.assertEqual((checkpoint.notes["rows"], damaged), ("1 rows", [path]))
        for array, saved_array in zip(restored.arrays(), arrays, strict=True):
            self.assertAllEqual(array, saved_array)
        (self.directory / "ckpt-1.npz").unlink()
        self.assert_refused(State(), "is damaged")


if __name__ == "__main__":
    tf.test.main()
