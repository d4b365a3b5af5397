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
        too_many = r"n_train, n_validation and n_test = \(13, 4, 4\): must be at most 20 together, .*"
        self.refused(too_many, policy, of_agent, 13, 4, 4)
        self.refused("directory = .*: must be of snapshots of a policy like NetworkPolicy .*", make_policy(4), of_agent)
        (of_agent / "000003.npz").write_bytes(b"years of work")
        self.refused("directory = .* of snapshots of one agent, .*; 000003.npz is none .*", policy, of_agent, 1, 1, 1)


class LearnedPoliciesTest(tf.test.TestCase):

    def test_seeds_are_dealt_out(self):
        policy = make_policy()
        population = mapg.LearnedPolicies(policy, snapshot_files.run_dir(policy, 10), 1, 5, 3, 2)
        found = [
            np.unique(population.sample(phase, random.root_keys([0]), size)[0])
            for phase, size in zip(PHASES, (5, 3, 2))
        ]
        self.assertCountEqual(np.concatenate(found), np.arange(10.0))

    def test_tasks_of_a_run_without_meta_agents_are_dealt_out_too(self):
        game = mapg.IteratedMatrixGame(mapg.prisoners_dilemma())
        policy = mapg.tabular_policy(game, 0)
        path = pathlib.Path(self.get_temp_dir()) / "learned.npz"
        adapted = np.broadcast_to(np.arange(6.0, dtype=np.float32).reshape([2, 3, 1, 1]), [2, 3, 5, 1])
        np.savez(path, **{"agent_0/initial/0": np.zeros([2, 5, 1], np.float32), "agent_0/adapted/0": adapted})
        population = mapg.LearnedPolicies(policy, str(path.parent), 0, 3, 2, 1)
        found = [population.sample(phase, random.root_keys([0]), size) for phase, size in zip(PHASES, (3, 2, 1))]
        self.assertCountEqual(np.concatenate([np.unique(params[0]) for params in found]), np.arange(6.0))

    def test_another_policy_is_refused(self):
        policy = make_policy()
        run_dir = snapshot_files.run_dir(policy)
        for agent_index, other in ((1, make_policy(4)), (0, policy)):
            allowed = f"must be a run whose agent {agent_index} has a policy like NetworkPolicy"
            with self.assertRaisesRegex(mapg.InvalidInputError, f"^LearnedPolicies.run_dir = .*: {allowed}"):
                mapg.LearnedPolicies(other, run_dir, agent_index, 1, 1, 1)
        (pathlib.Path(run_dir) / "learned.npz").write_bytes(b"years of work")
        with self.assertRaisesRegex(mapg.InvalidInputError, "^LearnedPolicies.run_dir = .*; this one is damaged"):
            mapg.LearnedPolicies(policy, run_dir, 1, 1, 1, 1)


if __name__ == "__main__":
    tf.test.main()
