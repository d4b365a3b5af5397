"""Proves that a restored checkpoint goes on with the same bits, and that one that does not fit is refused."""

import pathlib
import shutil

from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

from tf_metamapg.checkpoints import Checkpointer
from tf_metamapg.checks import InvalidInputError


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
        self.trackables = {
            "initial_params": self.variables, "optimizers": self.optimizers, "n_meta_updates_done": self.n_done
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
        self.directory = pathlib.Path(self.get_temp_dir()) / "checkpoints"

    def checkpointer(self, state):
        return Checkpointer(self.directory, state.trackables)

    def save_steps(self, numbers):
        """Saves after these steps, and returns the state."""
        state = State()
        checkpointer = self.checkpointer(state)
        while int(state.n_done) < max(numbers):
            state.step()
            if int(state.n_done) in numbers:
                checkpointer.save(int(state.n_done))
        return state

    def restore(self, state):
        checkpointer = self.checkpointer(state)
        checkpointer.restore()
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
        self.assertEqual(checkpointer.latest, str(self.directory / "ckpt-3"))
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
        self.save_steps(range(1, 8))
        names = {path.name.split(".")[0] for path in self.directory.iterdir()} - {"checkpoint"}
        self.assertEqual(names, {"ckpt-5", "ckpt-6", "ckpt-7"})

    def test_saving_goes_on_after_restoring(self):
        self.save_steps([1, 2])
        state = State()
        checkpointer = self.restore(state)
        state.step()
        checkpointer.save(3)
        self.assertEqual(checkpointer.latest, str(self.directory / "ckpt-3"))
        restored = State()
        self.restore(restored)
        self.assert_same(restored, state)

    @parameterized.named_parameters(
        ("more_seeds", {"n_seeds": 4}, "(3, 5, 1)"),
        ("fewer_seeds", {"n_seeds": 2}, "(3, 5, 1)"),
        ("fewer_agents", {"n_agents": 1}, ""),
        ("more_agents", {"n_agents": 3}, ""),
    )
    def test_other_variables_are_refused(self, arguments, part):
        self.save_steps([2])
        self.assert_refused(State(**arguments), "does not fit", part)

    def test_leftovers_of_an_unfinished_write_are_ignored(self):
        saved = self.save_steps([2])
        arrays = saved.arrays()
        # Data that have been renamed into place but are not named as the latest, and data that have not.
        saved.step()
        for suffix in (".index", ".data-00000-of-00001"):
            shutil.copy(self.directory / f"ckpt-2{suffix}", self.directory / f"ckpt-3{suffix}")
        unfinished = self.directory / "ckpt-4_temp"
        unfinished.mkdir()
        (unfinished / "part-00000-of-00001.data-00000-of-00001").write_bytes(b"unfinished")
        (self.directory / "ckpt-5.data-00000-of-00001.tempstate123").write_bytes(b"unfinished")
        (self.directory / "checkpoint.tmp123").write_text("model_checkpoint_path: ")
        restored = State()
        checkpointer = self.restore(restored)
        self.assertEqual(checkpointer.latest, str(self.directory / "ckpt-2"))
        for array, saved_array in zip(restored.arrays(), arrays, strict=True):
            self.assertAllEqual(array, saved_array)
        # The numbers of the leftovers are used again.
        while int(restored.n_done) < 5:
            restored.step()
            checkpointer.save(int(restored.n_done))
        again = State()
        self.restore(again)
        self.assert_same(again, restored)

    @parameterized.product(
        suffix=(".index", ".data-00000-of-00001"), damage=("gone", "empty", "cut", "changed")
    )
    def test_damaged_checkpoint_is_refused(self, suffix, damage):
        self.save_steps([2])
        path = self.directory / f"ckpt-2{suffix}"
        content = bytearray(path.read_bytes())
        if damage == "gone":
            path.unlink()
        elif damage == "changed":
            content[len(content) // 2] ^= 255
            path.write_bytes(content)
        else:
            path.write_bytes(content[: 0 if damage == "empty" else len(content) // 2])
        self.assert_refused(State())


if __name__ == "__main__":
    tf.test.main()
