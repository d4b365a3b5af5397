"""Proves that `bin/train` trains in environments of PettingZoo, and that a run that is resumed has the same bits."""

import functools
import json
import pathlib
import signal

from absl.testing import parameterized
import pytest
import tensorflow as tf

from tests import command_line
import tf_metamapg as mapg
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer

pytestmark = pytest.mark.slow

# By environments of PettingZoo, and by a batch that a game brings itself.
CONFIGS = ("pettingzoo_half_cheetah", "half_cheetah_teammates")


def summary_of(run_dir):
    summary = json.loads((run_dir / "summary.json").read_text("utf-8"))
    del summary["wall_seconds"]
    return json.dumps(summary, indent=1)


@pytest.mark.slow
class TrainTest(tf.test.TestCase, parameterized.TestCase):

    def train(self, config, name, *flags, n_meta_updates=4, n_workers=1):
        run_dir = pathlib.Path(self.get_temp_dir()) / name
        bindings = f"train.n_meta_updates = {n_meta_updates}", f"HostSimulator.n_workers = {n_workers}"
        # MuJoCo notes warnings in a file where it is.
        outcome = command_line.finish(command_line.start(
            f"--gin_file={config}.gin", f"--run_dir={run_dir}", *flags,
            *command_line.gin_params(*command_line.TINY, *bindings), cwd=self.get_temp_dir(),
        ))
        self.assertEqual(outcome.status, 0, outcome.stderr)
        return run_dir

    @parameterized.parameters(*CONFIGS)
    def test_a_run_that_is_resumed_is_the_same(self, config):
        train = functools.partial(self.train, config)
        whole = train("whole")
        train("resumed", n_meta_updates=2)
        resumed = train("resumed", "--resume")
        for read in (summary_of, lambda run_dir: (run_dir / "metrics.csv").read_text("utf-8")):
            self.assertEqual(read(resumed), read(whole))
        # Where the environments are makes no difference.
        self.assertEqual(
            (train("workers", n_workers=2) / "metrics.csv").read_text("utf-8"),
            (whole / "metrics.csv").read_text("utf-8"),
        )


@pytest.mark.slow
class KilledTest(tf.test.TestCase):

    def test_a_run_among_teammates_that_was_killed_ends_the_same(self):
        """`half_cheetah.gin` is killed while it writes its third checkpoint, between two meta-validations."""
        root = pathlib.Path(self.get_temp_dir())
        teammates = root / "teammates" / "snapshots" / "agent_1"
        bindings = (
            "train.n_meta_updates = 5", "train.validate_every = 2", f"Snapshots.directory = '{teammates}'",
            "Snapshots.n_train = 2", "Snapshots.n_validation = 2", "Snapshots.n_test = 2",
        )

        def train(config, name, *arguments, start=command_line.start, status=0):
            # MuJoCo notes warnings in a file where it is.
            outcome = command_line.finish(start(
                f"--gin_file={config}.gin", f"--run_dir={root / name}",
                *command_line.gin_params(*command_line.TINY, "train.checkpoint_every = 1"), *arguments, cwd=root,
            ))
            self.assertEqual(outcome.status, status, outcome.stderr)
            return outcome.stdout

        train("half_cheetah_teammates", "teammates", "--gin_param=train.snapshot_every = 1")
        own = functools.partial(train, "half_cheetah")
        flags = command_line.gin_params(*bindings)
        own("whole", *flags)
        kill = functools.partial(command_line.start_to_be_killed, 3)
        own("killed", *flags, start=kill, status=-signal.SIGKILL)
        self.assertFalse((root / "killed" / "summary.json").exists())
        self.assertIn("resumed after 2 of 5 meta-updates\n", own("killed", *flags, "--resume"))
        self.assertEqual(summary_of(root / "killed"), summary_of(root / "whole"))
        metrics = [(root / name / "metrics.csv").read_text("utf-8") for name in ("killed", "whole")]
        self.assertEqual(*metrics)


class MetaTrainerTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(mapg.LoadedDiceEstimator, mapg.DiceEstimator, mapg.ScoreFunctionEstimator)
    def test_estimators_need_no_change(self, estimator):
        """Where the game draws nothing, meta-updates are those of the game in the graph."""
        results = []
        game = mapg.IteratedMatrixGame(mapg.prisoners_dilemma(), dtype="float64")
        spec = game.spec
        env_game = mapg.ParallelEnvGame(lambda: mapg.to_parallel_env(game), spec.discount, spec.dtype, spec.name)
        for own_game, simulator in ((game, mapg.InGraphSimulator), (env_game, mapg.HostSimulator)):
            policies = [mapg.tabular_policy(own_game, agent) for agent in range(2)]
            problem = Problem(
                game=own_game, policies=policies, task_distribution=mapg.DefaultTasks(own_game),
                agents=[mapg.MetaMAPG(0.5), mapg.PolicyGradient(0.5)],
                estimator=estimator(own_game, policies, 4, 5, simulator=simulator),
            )
            trainer = MetaTrainer(problem, TrainerSettings(n_tasks=2, jit_compile=False), [0, 3])
            results.append([trainer.step() for _ in range(2)])
        self.assertAllClose(*results, rtol=1e-9, atol=1e-9)


if __name__ == "__main__":
    tf.test.main()
