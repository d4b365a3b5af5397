"""Proves that `bin/benchmark` measures what it says, that its numbers add up, and that it says what is wrong."""

import contextlib
import io
import json
import pathlib
import tempfile
import time
from unittest import mock

from absl.testing import parameterized
import numpy as np
import pytest
import tensorflow as tf

from tests import command_line
import tf_metamapg as mapg
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.benchmarks import host_loop
from tf_metamapg.benchmarks import measuring
from tf_metamapg.benchmarks import reference_loop
from tf_metamapg.benchmarks import workloads
from tf_metamapg.commands import benchmark
from tf_metamapg.commands import cores
from tf_metamapg.commands import side_by_side
from tf_metamapg.policies.recurrent import lstm_policy
from tf_metamapg.policies.tabular import tabular_policy

SMALL = {"n_trajectories": 4, "horizon": 5}


class WorkloadsTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.named_parameters(
        ("meta_updates", workloads.META_WORKLOADS, "tabular", 2),
        ("agents", workloads.LOLA_WORKLOADS, "dice_128", 3),
    )
    @pytest.mark.slow
    def test_measure(self, table, name, n_rollouts):
        workload = table[name]._replace(n_tasks=2, **SMALL)
        started = time.time() - 100.0
        with (
            mock.patch.dict(table, {name: workload}), mock.patch.dict(workloads.WORKLOADS, {name: workload}),
            mock.patch.object(measuring, "_SECONDS_PER_REPEAT", 0.01),
        ):
            measured = measuring.measure(name, started, n_repeats=2)
        self.assertEqual(measured["env_steps_per_update"], n_rollouts * 2 * 4 * 5)
        self.assertAllClose(
            measured["meta_update_ns"], 1e9 * measured["meta_update_seconds"] / measured["env_steps_per_update"]
        )
        # The first update came a hundred seconds after the start that was named; compiling is a part of it.
        self.assertBetween(measured["first_update_seconds"], 100.0 + measured["compile_seconds"], 200.0)
        self.assertGreater(measured["compile_seconds"], measured["meta_update_seconds"])
        for value in ("rollout_ns", "meta_update_seconds"):
            self.assertBetween(measured[value], *measured[f"{value}_spread"])
        self.assertBetween(measured["peak_mb"], 100.0, 24000.0)

    def test_help_names_all_workloads(self):
        for name in workloads.WORKLOADS:
            self.assertRegex(benchmark.__doc__, rf"\b{name}\b")

    def test_workloads_are_those_that_were_named(self):
        sizes = {name: workload[3:] for name, workload in workloads.META_WORKLOADS.items()}
        # Seeds, tasks, K, T, L.
        self.assertEqual(sizes, {
            "tabular": (1, 32, 64, 150, 1), "wide": (20, 8, 64, 150, 1), "chain": (1, 1, 64, 150, 7),
            "long": (1, 8, 64, 1000, 1), "authors": (1, 1, 64, 150, 7), "coin": (1, 1, 2048, 50, 1),
        })
        recurrent = workloads.META_WORKLOADS["authors"]
        self.assertEqual(recurrent.policies, (lstm_policy, tabular_policy))
        self.assertEqual(recurrent.agents, (MetaMAPG, PolicyGradient))
        lola = (("dice_128", 128, 150), ("dice_1024", 1024, 150), ("coin_dice", 2048, 50))
        for name, n_trajectories, horizon in lola:
            self.assertEqual(workloads.LOLA_WORKLOADS[name][3:7], (1, 1, n_trajectories, horizon))


class HostLoopTest(tf.test.TestCase):

    @pytest.mark.slow
    def test_measure(self):
        with mock.patch.dict(host_loop.SIZES, {"host=4": 4}):
            measured = host_loop.measure("host=4", n_repeats=3)
        for column in host_loop.COLUMNS:
            least, largest = measured[f"{column}_spread"]
            self.assertGreater(least, 0.0)
            self.assertBetween(measured[column], least, largest)


class ReferenceLoopTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.named_parameters(
        ("dilemma", "the iterated prisoner's dilemma", workloads.dilemma),
        ("coin_game", "the coin game", workloads.coin_game),
    )
    def test_it_plays_the_game(self, name, make_game):
        nanoseconds, mean_rewards = reference_loop.nanoseconds_per_step(name, n_repeats=20)
        self.assertGreater(nanoseconds, 0.0)
        game, loop = make_game(), reference_loop.LOOPS[name]
        policies = [mapg.tabular_policy(game, agent_index, initial_stddev=0.0) for agent_index in range(2)]
        simulator = mapg.InGraphSimulator(game, policies, n_trajectories=20_000, horizon=loop.horizon)
        joint_params = mapg.for_each_task(tuple(policy.initial_params([0]) for policy in policies), n_tasks=1)
        tasks = mapg.DefaultTasks(game).sample(mapg.random.root_keys([0]), n_tasks=1)
        trajectory = simulator.sample(joint_params, tasks, mapg.random.root_keys([0]))
        for mean_reward, rewards in zip(mean_rewards, trajectory.rewards):
            # Trajectories are independent. Confidence 99.9 % for both means: z = Φ⁻¹(1 − 0.001 / 4) = 3.48.
            means = rewards.numpy()[0, 0].mean(axis=-1)
            variance = means.var() * (1 / len(means) + 1 / (20 * loop.n_trajectories))
            self.assertLess(abs(mean_reward - means.mean()), 3.48 * np.sqrt(variance))

    def test_without_a_compiler(self):
        with mock.patch.object(reference_loop.shutil, "which", return_value=None):
            self.assertIsNone(reference_loop.nanoseconds_per_step("the coin game", n_repeats=1))


class CommandTest(tf.test.TestCase, parameterized.TestCase):

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir()))

    def run_command(self, *arguments):
        for name in ("json", "repeats", "started", "scaling", "cost_model", "host", "workers"):
            benchmark.FLAGS[name].unparse()
        with (
            contextlib.redirect_stdout(io.StringIO()) as stdout, contextlib.redirect_stderr(io.StringIO()) as stderr
        ):
            status = benchmark.run(["bin/benchmark", *map(str, arguments)])
        return command_line.Outcome(status, stdout.getvalue(), stderr.getvalue())

    def test_table_and_json(self):
        measured = {
            "rollout_ns": 12.25, "meta_update_ns": 48.5, "meta_update_seconds": 0.0123, "first_update_seconds": 9.5,
            "compile_seconds": 6.5, "peak_mb": 812.0,
        }
        with mock.patch.object(benchmark, "_measure_aside", lambda program, name: dict(measured)):
            outcome = self.run_command("tabular", "chain", f"--json={self.directory / 'benchmark.json'}", "--repeats=1")
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        for name in ("tabular", "chain"):
            row = next(line for line in outcome.stdout.splitlines() if line.startswith(name))
            self.assertEqual(row.split()[1:], ["12.2", "48.5", "0.0123", "9.5", "6.5", "812"])
        self.assertIn(reference_loop.DESCRIPTION, outcome.stdout)
        written = json.loads((self.directory / "benchmark.json").read_text("utf-8"))
        self.assertEqual(written["workloads"], {"tabular": measured, "chain": measured})
        self.assertEqual(written["reference_loops"].keys(), reference_loop.LOOPS.keys())
        self.assertAllGreater([*written["reference_loops"].values()], 0.0)

    def test_scaling(self):
        # A cost of one second for each task, and of its square root for the horizon.
        def measure_aside(program, name):
            del program
            axis, size = name.split("=")
            seconds = {"n_tasks": float(size), "horizon": float(size) ** 0.5}.get(axis, 1.0)
            return {"meta_update_ns": 48.5, "meta_update_seconds": seconds, "peak_mb": 812.0}

        def of_pinned(name, n_workers, n_repeats, started):
            del n_repeats, started
            self.assertEqual(name, "wide")
            return {"meta_update_seconds": 3.072 / n_workers, "peak_mb": 900.0}

        with (
            mock.patch.object(benchmark, "_measure_aside", measure_aside),
            mock.patch.object(side_by_side, "of_pinned", of_pinned), mock.patch.object(cores, "count", return_value=5),
        ):
            outcome = self.run_command("--scaling", f"--json={self.directory / 'scaling.json'}")
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        lines = (line.replace("wide, ", "") for line in outcome.stdout.splitlines() if "=" in line)
        rows = {line.split()[0]: line.split()[1:] for line in lines}
        self.assertEqual(rows["n_tasks=32"], ["48.5", "32.0000", "812"])
        self.assertEqual(rows["n_tasks=64"], ["48.5", "64.0000", "1.00", "812"])
        self.assertEqual(rows["horizon=600"][2], "0.50")
        self.assertEqual(rows["chain_length=7"][2], "0.00")
        written = json.loads((self.directory / "scaling.json").read_text("utf-8"))
        self.assertCountEqual([name.removeprefix("wide, ") for name in written["scaling"]], rows)
        # 3,072,000 environment steps, half as long with twice as many workers.
        self.assertEqual(rows["workers=1"], ["1000.0", "3.0720", "900"])
        self.assertEqual(rows["workers=4"], ["250.0", "0.7680", "-1.00", "900"])
        self.assertNotIn("workers=8", rows)
        doubled = workloads.SCALING["n_tasks"]["n_tasks=64"]
        self.assertEqual(doubled, workloads.WORKLOADS["tabular"]._replace(n_tasks=64))

    def test_host(self):
        measured = {column: 10.0 * index for index, column in enumerate(host_loop.COLUMNS)}
        with mock.patch.object(benchmark, "_measure_aside", lambda program, name: dict(measured)):
            outcome = self.run_command("--host", f"--json={self.directory / 'host.json'}")
        self.assertEqual((outcome.status, outcome.stderr), (0, ""))
        devices, header, *rows = filter(None, outcome.stdout.splitlines())
        self.assertRegex(devices, r"^devices: CPU.*; \d+ cores$")
        self.assertEqual(header.split("  ")[0], "environments")
        self.assertEqual([row.split() for row in rows], [
            [size, "0.0", "10.0", "20.0", "30.0", "40.0"] for size in ("64", "256")
        ])
        written = json.loads((self.directory / "host.json").read_text("utf-8"))
        self.assertEqual(written["host"], dict.fromkeys(host_loop.SIZES, measured))

    @parameterized.parameters(
        (("no_such",), "workload = 'no_such': must be one of tabular, wide"),
        (("tabular", "--repeats=0"), "--repeats = 0: must be an integer ≥ 1"),
        (("tabular", "--json=no/such/file"), "--json = 'no/such/file': must be a file in a writable directory"),
        (("tabular", "--json=/"), "--json = '/': must be a file in a writable directory"),
        (("tabular", "--json="), "--json = '': must be a file in a writable directory"),
        (("--no_such_flag",), "Unknown command line flag"),
        (("--host", "--scaling"), "--scaling and --host: choose one of them"),
        (("--workers=2", "--cost_model"), "--workers = 2: must be 1 with --cost_model"),
        (("--started=0",), "--started = 0.0: must be left to the command"),
        (("no_such", "--started=0"), "workload = 'no_such': must be one of tabular, wide"),
    )
    def test_mistakes(self, arguments, part):
        outcome = self.run_command(*arguments)
        self.assertEqual((outcome.status, outcome.stdout), (2, ""))
        self.assertStartsWith(outcome.stderr, "error: ")
        self.assertIn(part, outcome.stderr)
        self.assertLen(outcome.stderr.splitlines(), 1)

    def test_a_process_that_fails(self):
        program = self.directory / "program.py"
        program.write_text("import sys; print('a\\nnotice', file=sys.stderr); sys.exit('error: no memory')")
        benchmark.FLAGS(["bin/benchmark"])
        with self.assertRaisesRegex(
            ChildProcessError, "^the process of tabular ended with status 1: error: no memory$"
        ):
            benchmark._measure_aside(str(program), "tabular")


if __name__ == "__main__":
    tf.test.main()
