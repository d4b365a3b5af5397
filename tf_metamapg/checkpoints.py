"""Checkpoints: everything that a run needs to go on and end with the same numbers."""

import os

import tensorflow as tf

from tf_metamapg import checks


class Checkpointer:
    """Saves and restores trackable objects; a checkpoint that is being written is never restored."""

    def __init__(self, directory, trackables):
        """
        Args:
            directory: where the checkpoints are.
            trackables: dict of TensorFlow trackables.
        """
        self._checkpoint = tf.train.Checkpoint(**trackables)
        # Renames a complete checkpoint into place, and only then names it as the latest.
        self._manager = tf.train.CheckpointManager(self._checkpoint, directory, max_to_keep=3)

    @property
    def latest(self):
        """The path of the last complete checkpoint, or None."""
        return self._manager.latest_checkpoint

    def save(self, number):
        """Saves a checkpoint under a number that grows with every save."""
        self._manager.save(checkpoint_number=number)

    def restore(self):
        """Restores the last complete checkpoint; without any, everything stays as it was built.

        Raises:
            InvalidInputError: if the checkpoint is damaged, or of other variables or other shapes.
        """
        if self.latest is None:
            return
        try:
            status = self._checkpoint.restore(self.latest)
            status.assert_consumed()
        except (ValueError, AssertionError, IndexError, tf.errors.OpError) as error:
            reason = " ".join(str(error).split())[:200]
            raise checks.InvalidInputError(
                f"checkpoint {os.path.abspath(self.latest)}: is damaged or does not fit this config ({reason})"
            ) from error
