"""Runs keep snapshots, the same after they are resumed; another run learns among them."""

import json
import pathlib

import numpy as np
import tensorflow as tf

from tests import command_line

CONFIG = command_line.GIN_CONFIGS / "ipd_exact.gin"


class SnapshotsTest(tf.test.TestCase):

    def train(self, name, *flags, n_meta_updates=4, bindings=("train.snapshot_every = 2",)):
        run_dir = pathlib.Path(self.get_temp_dir()) / name
        tiny = [binding for binding in command_line.TINY if "Loaded" not in binding and "meta_updates" not in binding]
        outcome = command_line.run(
            f"--gin_file={CONFIG}", f"--run_dir={run_dir}", *flags,
            *command_line.gin_params(*tiny, f"train.n_meta_updates = {n_meta_updates}", *bindings),
        )
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        return run_dir

    def test_a_run_keeps_them(self):
        whole = self.train("whole")
        self.train("resumed", n_meta_updates=3)
        resumed = self.train("resumed", "--resume")
        for agent in ("agent_0", "agent_1"):
            files = sorted((whole / "snapshots" / agent).iterdir())
            self.assertEqual([file.name for file in files], ["000000.npz", "000002.npz", "000004.npz"])
            for file in files:
                self.assertEqual(file.read_bytes(), (resumed / "snapshots" / agent / file.name).read_bytes())
            tables = [np.load(file)["arr_0"] for file in files]
            self.assertEqual({table.shape for table in tables}, {(2, 5, 1)})
            self.assertNotAllClose(tables[0], tables[1])
            # What is exported is the last of the best seed.
            seed = json.loads((whole / "summary.json").read_text("utf-8"))["exported_seed"]
            self.assertAllEqual(np.load(whole / "initial_policies" / f"{agent}.npz")["table"], tables[2][seed])

        among_them = self.train("among_them", n_meta_updates=1, bindings=(
            "train.agents = [@MetaMAPG(), @PolicyGradient()]", "train.populations = [None, @Snapshots]",
            f"Snapshots.directory = '{whole / 'snapshots' / 'agent_1'}'",
            "Snapshots.n_train = 2", "Snapshots.n_validation = 2", "Snapshots.n_test = 2",
        ))
        self.assertFalse((among_them / "snapshots").exists())
        self.assertFalse((among_them / "initial_policies" / "agent_1").exists())


if __name__ == "__main__":
    tf.test.main()
