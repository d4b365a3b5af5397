"""Transitions of finite games as the few states that can follow each state and joint action.

Tables are tensors that are made once, outside of compiled functions, which take them as they take variables: as
constants inside of graphs, large ones would be copied, and folded into others, before the first step.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from tf_metamapg.games.finite import FiniteGame


class Branches:
    """Probabilities of the next state: those that are not zero."""

    def __init__(self, n_states: int, rows: np.ndarray, next_states: np.ndarray, probs: np.ndarray) -> None:
        """
        Args:
            n_states: M.
            rows: int array [E] in ascending order, s · J + j of state s and joint action j of J; each in it.
            next_states: int array [E], in [0, M).
            probs: array [E] that sums to 1 for each row.
        """
        self.n_states = n_states
        _, starts, counts = np.unique(rows, return_index=True, return_counts=True)
        places = np.arange(len(rows)) - np.repeat(starts, counts)
        shape = (len(counts), counts.max())
        following = np.zeros(shape, np.int32)
        following[rows, places] = next_states
        cumulative = np.zeros(shape)
        cumulative[rows, places] = probs
        cumulative = np.cumsum(cumulative, axis=-1)
        # No uniform number exceeds what stands behind the last branch.
        cumulative[np.arange(shape[1]) >= counts[:, np.newaxis] - 1] = 2.0
        with tf.init_scope():
            self._following = tf.constant(following.ravel())
            self._cumulative = {dtype: tf.constant(cumulative[:, :-1], dtype) for dtype in ("float32", "float64")}
            self._rows = tf.constant(rows, tf.int32)
            self._cells = tf.constant(rows // (len(counts) // n_states) * n_states + next_states, tf.int32)
            self._probs = tf.constant(probs, tf.float64)

    @classmethod
    def from_table(cls, transitions: np.ndarray) -> "Branches":
        """Those of a table of probabilities [M, J, M]."""
        n_states = len(transitions)
        rows, next_states = np.nonzero(transitions.reshape([-1, n_states]))
        return cls(n_states, rows, next_states, transitions.reshape([-1, n_states])[rows, next_states])

    def next_state(self, row: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
        """Draws a next state.

        Args:
            row: int32 tensor of any shape, s · J + j.
            uniforms: tensor of that shape.

        Returns:
            int32 tensor of that shape.
        """
        cumulative = self._cumulative[uniforms.dtype.name]
        exceeded = uniforms[..., tf.newaxis] >= tf.gather(cumulative, row)
        branch = tf.reduce_sum(tf.cast(exceeded, tf.int32), axis=-1)
        return tf.gather(self._following, row * (cumulative.shape[1] + 1) + branch)

    def state_transitions(self, joint_probs: tf.Tensor) -> tf.Tensor:
        """P(s'|s) from the probabilities of joint actions.

        Args:
            joint_probs: float64 tensor [S, N, M, J].

        Returns:
            float64 tensor [S, N, M, M], differentiable any number of times.
        """
        axes = tf.unstack(tf.shape(joint_probs)[:2])
        flat = tf.transpose(tf.reshape(joint_probs, [axes[0] * axes[1], -1]))
        probs = tf.gather(flat, self._rows) * self._probs[:, tf.newaxis]
        table = tf.math.unsorted_segment_sum(probs, self._cells, self.n_states**2)
        return tf.reshape(tf.transpose(table), [*axes, self.n_states, self.n_states])


class BranchingGame(FiniteGame):
    """A finite game whose next state is drawn from Branches."""

    n_transition_uniforms = 1

    def __init__(self, branches: Branches, *args: Any, **kwargs: Any) -> None:
        """
        Args:
            branches: Branches.
            args, kwargs: see `FiniteGame`.
        """
        super().__init__(*args, **kwargs)
        self._branches = branches

    def _next_state(self, state, joint_action, uniforms):
        return self._branches.next_state(self._row(state, joint_action), uniforms[0])

    def _state_transitions(self, joint_probs):
        return self._branches.state_transitions(joint_probs)
