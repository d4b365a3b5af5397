"""Proves that what a game returns is refused in one line, when a simulator is made, if its spec says otherwise."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import checks


class Barter:
    """A game that is right; tests spoil it."""

    n_reset_uniforms = n_step_uniforms = 1
    default_tasks = np.array(0.5)

    def __init__(self, **spec):
        self.spec = mapg.GameSpec(**{
            "name": "barter", "discount": 0.9, "dtype": "float32", "observations": (mapg.Box((2,)), mapg.Discrete(3)),
            "actions": (mapg.Discrete(3), mapg.Box((2,))), "ends": True, "metrics": ("giving",), **spec,
        })

    def reset(self, tasks, uniforms):
        return {"stock": uniforms[0]}

    def observe(self, tasks, state, agent_index):
        if agent_index == 1:
            return tf.cast(3.0 * state["stock"], tf.int32)
        return tf.stack([state["stock"]] * 2, axis=-1)

    def step(self, tasks, state, joint_action, uniforms):
        rewards = state["stock"], tf.reduce_sum(joint_action[1], axis=-1)
        return {"stock": uniforms[0] * tasks[..., tf.newaxis]}, rewards, (uniforms[0] < 0.9,) * 2

    def metrics(self, tasks, state, joint_action):
        return {"giving": (tf.cast(joint_action[0] == 1, "float32"), state["stock"])}


def changed(method, change):
    """A Barter of which one method returns something else."""
    original = getattr(Barter, method)
    spoiled = type("Barter", (Barter,), {method: lambda self, *args: change(original(self, *args))})
    return spoiled()


def simulator(game):
    return mapg.InGraphSimulator(game, [mapg.mlp_policy(game, agent) for agent in range(2)], 2, 3)


class FirstStepTest(tf.test.TestCase, parameterized.TestCase):

    def test_what_is_right_is_accepted(self):
        self.assertEqual(simulator(Barter()).horizon, 3)

    # A method, what is made of what it returns, and the message: what follows the method's name.
    @parameterized.parameters(
        ("reset", lambda state: {"stock": 1.0}, r" = .*: must be a state of tensors \[2, 3, 4\]"),
        ("reset", lambda state: {"stock": state["stock"][0]}, r" = .*\[3, 4\].*: must be a state"),
        ("observe", lambda seen: seen[..., 0] if seen.dtype == "float32" else seen,
         r" = float32 \[2, 3, 4\]: must be float32 \[2, 3, 4, 2\]"),
        ("observe", lambda seen: tf.cast(seen, "float32"),
         r" = float32 \[2, 3, 4\]: must be int32 \[2, 3, 4\]"),
        ("observe", lambda seen: seen + 1 if seen.dtype == "int32" else seen,
         r" = 3: must be in 0\.\.2, see GameSpec\.observations"),
        ("observe", lambda seen: seen - 1 if seen.dtype == "int32" else seen, r" = -1: must be in 0\.\.2, see"),
        ("step", lambda result: result[:2], r" = .*: must be the next state, rewards and"),
        ("step", lambda result: None, r" = None: must be the next state, rewards and"),
        ("step", lambda result: (result[0]["stock"], *result[1:]),
         r"\[0\] = float32 \[2, 3, 4\]: must be a state like the one before it, .*stock"),
        ("step", lambda result: (result[0], result[1][0], result[2]),
         r"\[1\] = float32 \[2, 3, 4\]: must be a tuple of 2, a reward for each agent"),
        ("step", lambda result: (result[0], (result[1][0][..., tf.newaxis], result[1][1]), result[2]),
         r"\[1\]\[0\] = float32 \[2, 3, 4, 1\]: must be float32 \[2, 3, 4\]"),
        ("step", lambda result: (result[0], tuple(tf.cast(one, "float64") for one in result[1]), result[2]),
         r"\[1\]\[0\] = float64 \[2, 3, 4\]: must be float32 \[2, 3, 4\]"),
        ("step", lambda result: (*result[:2], ()), r"\[2\] = \(\): must be a tuple of 2, a bool"),
        ("step", lambda result: (*result[:2], result[1]),
         r"\[2\]\[0\] = float32 \[2, 3, 4\]: must be bool \[2, 3, 4\]"),
        ("metrics", lambda metrics: {}, r" = {}: must be a dict with 'giving', as its spec says"),
        ("metrics", lambda metrics: {"giving": metrics["giving"][0]},
         r"\['giving'\] = float32 \[2, 3, 4\]: must be a tuple of 2, a number"),
    )
    def test_what_is_wrong_is_named(self, method, change, message):
        with self.assertRaises(checks.InvalidInputError) as caught:
            simulator(changed(method, change))
        self.assertRegex(str(caught.exception), rf"^Barter\.{method}\(\.\.\.(, [01])?\){message}[^\n]*$")

    def test_tasks_without_an_axis_for_trajectories(self):
        class Forgetful(Barter):
            def step(self, tasks, state, joint_action, uniforms):
                _, rewards, continues = super().step(tasks, state, joint_action, uniforms)
                return {"stock": uniforms[0] * tasks}, rewards, continues

        with self.assertRaisesRegex(
            checks.InvalidInputError,
            r"^Forgetful\.step\(\.\.\.\) = InvalidArgumentError: must be possible with \(float32 \[2, 3\], .*"
            r"\(Incompatible shapes: \[2,3,4\] vs\. \[2,3\][^\n]*\)$",
        ) as caught:
            simulator(Forgetful())
        self.assertIsInstance(caught.exception.__context__, tf.errors.InvalidArgumentError)

    def test_what_is_seen_after_an_end_does_not_count(self):
        class Trap(Barter):
            def reset(self, tasks, uniforms):
                return {"stock": uniforms[0], "is_over": tf.zeros_like(uniforms[0], tf.bool)}

            def observe(self, tasks, state, agent_index):
                seen = super().observe(tasks, state, agent_index)
                return tf.where(state["is_over"], 99, seen) if agent_index == 1 else seen

            def step(self, tasks, state, joint_action, uniforms):
                following, rewards, continues = super().step(tasks, state, joint_action, uniforms)
                return {**following, "is_over": tf.logical_not(continues[0])}, rewards, continues

        self.assertEqual(simulator(Trap()).horizon, 3)

    def test_what_comes_after_an_end_is_not_asked_for(self):
        """A state beyond the end need not be one that anything can be looked up for."""
        class Beyond(Barter):
            def observe(self, tasks, state, agent_index):
                tf.debugging.assert_less(state["stock"], 1.0)
                return super().observe(tasks, state, agent_index)

            def step(self, tasks, state, joint_action, uniforms):
                following, rewards, continues = super().step(tasks, state, joint_action, uniforms)
                return {"stock": tf.where(continues[0], following["stock"], 7.0)}, rewards, continues

        self.assertEqual(simulator(Beyond()).horizon, 3)

    def test_ends_that_the_spec_does_not_know_of(self):
        with self.assertRaisesRegex(
            checks.InvalidInputError,
            r"^Barter\.step\(\.\.\.\)\[2\] = .*bool.*: must be \(\), as the game's spec says that it does not end",
        ):
            simulator(Barter(ends=False))


if __name__ == "__main__":
    tf.test.main()
