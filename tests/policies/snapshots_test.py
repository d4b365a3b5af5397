"""Snapshots are dealt out to the phases of a run so that nobody is in two of them."""

import pathlib

import numpy as np
import tensorflow as tf

from tests import snapshot_files
import tf_metamapg as mapg
from tf_metamapg.numerics import random

PHASES = (random.META_TRAIN, random.META_VALIDATION, random.META_TEST)


def make_policy(units=3):
    game = mapg.IteratedMatrixGame(mapg.prisoners_dilemma())
    return mapg.lstm_policy(game, 1, units)


class SnapshotsTest(tf.test.TestCase):

    def test_splits(self):
        policy = make_policy()
        directory = snapshot_files.directory(policy, "twenty", range(0, 50, 5))
        everyone = set()
        for seed in (0, 1):
            population, found = mapg.Snapshots(policy, directory, 11, 4, 5, seed), []
            for phase, size in zip(PHASES, (11, 4, 5)):
                params = population.sample(phase, random.root_keys([0, 1]), size)
                for leaf, reference in zip(params, policy.reference_params):
                    self.assertEqual(leaf.shape, [2, size, *reference.shape])
                rows = np.concatenate([np.reshape(leaf, [2, size, -1]) for leaf in params], axis=-1)
                numbers = rows[:, :, 0]
                # All of a policy is from one snapshot.
                self.assertAllEqual(rows, np.broadcast_to(numbers[:, :, np.newaxis], rows.shape))
                # Both seeds meet the same ones, in another order.
                self.assertAllEqual(*np.sort(numbers, axis=-1))
                self.assertNotAllEqual(*numbers)
                found.append(tuple(np.sort(numbers[0])))
            self.assertCountEqual(np.concatenate(found), {time + 0.5 * s for time in range(0, 50, 5) for s in range(2)})
            everyone.add(tuple(found))
        self.assertLen(everyone, 2)

    def test_few(self):
        policy = make_policy()
        population = mapg.Snapshots(policy, snapshot_files.directory(policy, "twenty", range(0, 50, 5)), 12, 4, 4)
        drawn = population.sample(random.META_TRAIN, random.root_keys(range(30)), 3)[0].numpy()
        self.assertLen(np.unique(drawn), 12)
        with self.assertRaisesRegex(
            mapg.InvalidInputError, r"^n_tasks = 5: must be at most 4, as there are no more; see Snapshots.n_test$"
        ):
            population.sample(random.META_TEST, random.root_keys([0]), 5)

    def refused(self, allowed, policy, directory, *sizes):
        with self.assertRaisesRegex(mapg.InvalidInputError, f"^Snapshots.{allowed}$"):
            mapg.Snapshots(policy, str(directory), *sizes)

    def test_refusals(self):
        policy = make_policy()
        of_agent = pathlib.Path(snapshot_files.directory(policy, "refused", range(0, 50, 5)))
        self.refused("directory = '.*nowhere': must be a directory of snapshots of one agent, .*", policy, "nowhere")
        self.refused("directory = .* of snapshots of one agent, .*snapshot_every", policy, of_agent.parent)
        self.refused("n_train = 13: must be less, as there are 20 snapshots for all phases", policy, of_agent, 13, 4, 4)
        self.refused("directory = .*: must be of snapshots of a policy like NetworkPolicy .*", make_policy(4), of_agent)
        (of_agent / "000003.npz").write_bytes(b"years of work")
        self.refused("directory = .* of snapshots of one agent, .*; 000003.npz is none .*", policy, of_agent, 1, 1, 1)


if __name__ == "__main__":
    tf.test.main()
