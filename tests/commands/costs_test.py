"""Proves that a cost model finds the prices of things, counts what is exchanged, and is printed as it is."""

import contextlib
import io
import json
import pathlib
import subprocess
import tempfile
from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg.benchmarks import cost_model
from tf_metamapg.benchmarks import workloads
from tf_metamapg.benchmarks.cost_model import Size
from tf_metamapg.commands import benchmark
from tf_metamapg.commands import side_by_side
from tf_metamapg.training.blocks import Blocks

SIZES = [
    Size(1, 1, 64, 150, 1, 10), Size(1, 1, 64, 600, 1, 10), Size(1, 32, 64, 150, 1, 10), Size(1, 32, 128, 150, 3, 10),
    Size(4, 32, 64, 150, 1, 10), Size(1, 32, 64, 150, 7, 2_000), Size(1, 32, 64, 150, 1, 30_000),
]
# Seconds of a meta-update, a link, a step of time, an environment step and a parameter of a task.
SECONDS = np.array([3e-3, 1e-3, 4e-6, 9e-8, 2e-9])


def seconds_of(size):
    return sum(price * count(size) for price, count in zip(SECONDS, cost_model.COMPUTATION.values()))


class Counting:
    """Computes all blocks, and counts the bytes of what they say."""

    n_workers = 1
    is_chief = True

    def __init__(self):
        self.n_bytes = 0

    def share(self, n_blocks):
        return range(n_blocks)

    def gathered(self, own, n_blocks):
        del n_blocks
        self.n_bytes = sum(leaf.shape.num_elements() * leaf.dtype.size for leaf in tf.nest.flatten(own))
        return list(own)


class CostModelTest(tf.test.TestCase, parameterized.TestCase):

    def test_prices_are_found(self):
        measured = [(size, seconds_of(size)) for size in SIZES]
        prices = cost_model.fitted(cost_model.COMPUTATION, measured)
        self.assertAllClose(prices.values, SECONDS, rtol=1e-6, atol=0.0)
        self.assertEqual(list(prices.by_name()), list(cost_model.COMPUTATION))
        for size, seconds in measured:
            self.assertAllClose(prices.cost(size), seconds, rtol=1e-9)

    def test_relative_errors_count(self):
        # Of costs 1 and 3 for the same, the price p is where (p - 1)² + (p / 3 - 1)² is least: 1.2.
        prices = cost_model.fitted({"a thing": lambda size: 1}, [(SIZES[0], 1.0), (SIZES[0], 3.0)])
        self.assertAllClose(prices.values, [1.2])

    def test_no_price_is_negative(self):
        # Costs 2 - x at x = 0 and 1 ask for a price of -1 of x; without it (p / 2 - 1)² + (p - 1)² is least at 1.2.
        features = {"one": lambda x: 1, "x": lambda x: x}
        self.assertAllClose(cost_model.fitted(features, [(0, 2.0), (1, 1.0)]).values, [1.2, 0.0])

    @parameterized.parameters((1, 1, 4, 2), (3, 1, 1, 1), (1, 2, 2, 2), (1, 2, 4, 4))
    def test_bytes_are_those_that_blocks_say(self, chain_length, n_seeds, n_tasks, n_blocks):
        workload = workloads.META_WORKLOADS["tabular"]._replace(
            n_seeds=n_seeds, n_tasks=n_tasks, n_trajectories=2, horizon=3, chain_length=chain_length
        )
        counting = Counting()
        workload.trainer(n_blocks, counting).trace()
        blocks = Blocks(n_seeds, n_tasks, n_blocks)
        block = workload.size()._replace(n_seeds=blocks.n_seeds, n_tasks=blocks.n_tasks)
        self.assertEqual(counting.n_bytes, n_blocks * block.n_bytes)

    def test_sizes_of_workloads(self):
        wide = workloads.META_WORKLOADS["wide"].size()
        self.assertEqual(wide, Size(20, 8, 64, 150, 1, n_params=10))
        self.assertEqual(wide.n_env_steps, 2 * 20 * 8 * 64 * 150)
        # Two networks of 5 observations, two layers of 32 units, and two logits.
        self.assertEqual(workloads.FITTED["hidden_units=32"].size().n_params, 2 * (6 * 32 + 33 * 32 + 33 * 2))

    def test_workers_have_a_block_each(self):
        model = cost_model.CostModel(
            cost_model.Prices(cost_model.COMPUTATION, SECONDS),
            cost_model.Prices(cost_model.MEMORY, np.array([900.0, 1e-4, 1e-3])),
            cost_model.Prices(cost_model.EXCHANGE, np.array([2e-3, 1e-3, 1e-9])),
        )
        size = Size(10, 32, 64, 150, 1, 10)
        alone, four = model.predicted(size, 1), model.predicted(size, 4)
        self.assertEqual(alone.exchange, 0.0)
        self.assertAllClose(alone.seconds, seconds_of(size))
        # Two parts of the seeds, and two of the tasks of each.
        block = size._replace(n_seeds=5, n_tasks=16)
        self.assertAllClose(four.computation, seconds_of(block))
        self.assertAllClose(four.exchange, 2e-3 + 3e-3 + 1.5e-9 * 4 * block.n_bytes)
        self.assertAllClose(four.megabytes, 900.0 + 1e-4 * block.n_env_steps + 1e-3 * 2 * 5 * 16 * 10)
        self.assertAllClose(four.seconds, four.computation + four.exchange)


class CommandTest(tf.test.TestCase):

    def test_cost_model(self):
        def of_pinned(name, n_workers, n_repeats, started):
            del n_repeats, started
            if name in workloads.EXCHANGES:
                return {"meta_update_seconds": 1e-9 * workloads.EXCHANGES[name] + 1e-3 * n_workers, "peak_mb": 800.0}
            # Workers here take as long as one.
            size = workloads.find(name).size()
            return {"meta_update_seconds": seconds_of(size), "peak_mb": 900.0 + 1e-4 * size.n_env_steps}

        path = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "costs.json"
        for name in ("json", "repeats", "cost_model", "scaling", "host", "workers"):
            benchmark.FLAGS[name].unparse()
            self.addCleanup(benchmark.FLAGS[name].unparse)
        with (
            mock.patch.object(side_by_side, "of_pinned", of_pinned),
            contextlib.redirect_stdout(io.StringIO()) as stdout,
        ):
            self.assertEqual(benchmark.run(["bin/benchmark", "--cost_model", f"--json={path}"]), 0)
        written = json.loads(path.read_text("utf-8"))["cost_model"]
        self.assertEqual(list(written["measured"]), list(workloads.FITTED))
        self.assertLen(written["exchanges"], 3 * len(workloads.EXCHANGES))
        self.assertAllClose(list(written["prices"]["computation"].values()), SECONDS, rtol=1e-6, atol=0.0)
        self.assertAllClose(list(written["prices"]["memory"].values()), [900.0, 1e-4, 0.0], atol=1e-9)
        self.assertAllGreater(list(written["prices"]["exchange"].values()), 0.0)
        for name, found in written["checked"].items():
            if name.endswith("workers=1"):
                self.assertAllClose(found["predicted"]["computation"], found["meta_update_seconds"], rtol=1e-6)
                self.assertAllClose(found["predicted"]["megabytes"], found["peak_mb"], rtol=1e-6)
                self.assertEqual(found["predicted"]["exchange"], 0.0)
            else:
                self.assertLess(found["predicted"]["computation"], found["meta_update_seconds"])
                self.assertGreater(found["predicted"]["exchange"], 0.0)
        table = stdout.getvalue().partition("1000 seeds")[2].splitlines()[2:]
        self.assertEqual([int(row.split()[0]) for row in table], [16, 64, 256, 1000])
        for row in table:
            n_workers, computing, exchange, share, megabytes = row.split()
            predicted = written["predicted"][n_workers]
            self.assertAllClose(float(computing), predicted["computation"], rtol=0.0, atol=6e-4)
            self.assertAllClose(float(exchange), predicted["exchange"], rtol=0.0, atol=6e-5)
            total = predicted["exchange"] + predicted["computation"]
            self.assertAllClose(float(share[:-1]), 100.0 * predicted["exchange"] / total, rtol=0.0, atol=0.06)
            self.assertAllClose(float(megabytes), predicted["megabytes"], rtol=0.0, atol=0.6)

    def test_a_process_that_fails(self):
        failing = mock.Mock(stdout=io.StringIO("no memory\n"), returncode=1)
        with mock.patch.object(side_by_side.cluster, "pinned", return_value=failing):
            with self.assertRaisesRegex(ChildProcessError, "^a process of the benchmark ended with status 1$"):
                side_by_side.of_pinned("tabular", 1, n_repeats=1, started=mock.Mock(spec=subprocess.Popen))


if __name__ == "__main__":
    tf.test.main()
