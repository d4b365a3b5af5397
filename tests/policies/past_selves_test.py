"""Proves that opponents start from what an agent has been, at the right times, through kills, and in other games."""

import dataclasses
import pathlib

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import command_line
from tf_metamapg import checks
from tf_metamapg import loading
from tf_metamapg.agents.learning_rates import LearnedRates
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.numerics import random
from tf_metamapg.policies.mlp import mlp_policy
from tf_metamapg.policies.past_selves import PastSelves
from tf_metamapg.policies.populations import NormalPolicies
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer

SEEDS = (0, 3)


def make_trainer(policies=(tabular_policy, tabular_policy), **arguments):
    game = IteratedMatrixGame(payoffs.prisoners_dilemma(), dtype="float64")
    policies = [make(game, agent) for agent, make in enumerate(policies)]
    problem = Problem(
        game=game, policies=policies, agents=(MetaMAPG(1.0), PolicyGradient(1.0)),
        estimator=ExactEstimator(game, policies), task_distribution=PayoffNoise(game),
        populations=(None, PastSelves(policies[1], **arguments)),
    )
    return MetaTrainer(problem, TrainerSettings(n_tasks=4, jit_compile=False), SEEDS)


class PoolTest(tf.test.TestCase, parameterized.TestCase):

    def test_the_present_replaces_the_oldest(self):
        trainer = make_trainer(n_policies=3, every=2)
        first = trainer.meta_params[0].initial[0].numpy()
        pool = [first] * 3
        for step in range(1, 10):
            trainer.step()
            if step % 2 == 0:
                pool[(step // 2 - 1) % 3] = trainer.meta_params[0].initial[0].numpy()
            self.assertAllEqual(trainer.pools.of_agent(1)[0], np.stack(pool, axis=1))
        self.assertEqual(trainer.pools.of_agent(0), ())
        self.assertLen(np.unique(np.stack(pool), axis=0), 3)
        # Agent 1's own initial policy is nobody's start.
        self.assertNotAllClose(trainer.meta_params[1].initial[0], first, atol=0.1)

    def test_tasks_start_from_the_pool_and_repeat(self):
        trainer = make_trainer(n_policies=3, every=1)
        for _ in range(3):
            trainer.step()
        pool = trainer.pools.of_agent(1)[0].numpy()
        starts = {}
        for phase in (random.META_VALIDATION, random.META_TEST):
            own, other = trainer.initial_states(phase, 40)
            self.assertAllEqual(own.params[0][:, 0], trainer.meta_params[0].initial[0])
            starts[phase] = other.params[0].numpy()
            self.assertAllEqual(trainer.initial_states(phase, 40)[1].params[0], starts[phase])
            for seed in range(len(SEEDS)):
                which = [np.flatnonzero((pool[seed] == one).all(axis=(1, 2))).tolist() for one in starts[phase][seed]]
                # Every one is there, and is of the seed's own pool.
                self.assertCountEqual({index for (index,) in which}, range(3))
        self.assertNotAllEqual(*starts.values())

    def test_members_are_drawn_alike(self):
        """Of 30,000 draws of 3, deviations of at most 5 √(n p (1 − p)): confidence 1 − 2e-6 for all three."""
        game = IteratedMatrixGame(payoffs.prisoners_dilemma())
        pool = (tf.reshape(tf.range(3.0), [1, 3, 1, 1]),)
        (drawn,) = PastSelves(tabular_policy(game, 0), n_policies=3).sample_pool(pool, random.root_keys([0]), 30_000)
        counts = np.bincount(drawn.numpy().astype(int).ravel())
        self.assertAllInRange(counts, 10_000 - 5 * 82, 10_000 + 5 * 82)

    def test_frozen_members_are_those_of_all_seeds(self):
        trainer = make_trainer(n_policies=2, every=1)
        trainer.step()
        frozen, pool = trainer.pools.frozen(1), trainer.pools.of_agent(1)[0].numpy()
        for phase in (random.META_TRAIN, random.META_TEST):
            (drawn,) = frozen.sample(phase, random.root_keys([0]), 4)
            expected = pool.reshape([4, *pool.shape[2:]])
            self.assertAllEqual(np.sort(drawn[0], axis=0), np.sort(expected, axis=0))
        self.assertIsNone(trainer.pools.frozen(0))

    def test_what_cannot_be(self):
        for arguments, message in (
            (
                {"agent_index": 1},
                "PastSelves.agent_index = 1: must be that of a meta-agent, as the others have no past",
            ),
            ({"agent_index": 2}, "PastSelves.agent_index = 2: must be .*"),
            (
                {"policies": (mlp_policy, tabular_policy)},
                "PastSelves.agent_index = 0: must be that of an agent with a policy like TabularPolicy .*",
            ),
        ):
            with self.assertRaisesRegex(checks.InvalidInputError, f"^{message}$"):
                make_trainer(**arguments)

    def test_who_is_drawn_has_no_past(self):
        problem = make_trainer().problem
        problem = dataclasses.replace(
            problem, agents=(MetaMAPG(LearnedRates()), PolicyGradient()),
            populations=(NormalPolicies(problem.policies[0]), problem.populations[1]),
        )
        with self.assertRaisesRegex(checks.InvalidInputError, "^PastSelves.agent_index = 0: must be .* no past$"):
            MetaTrainer(problem, TrainerSettings(jit_compile=False), SEEDS)


class RunTest(tf.test.TestCase):

    BINDINGS = command_line.gin_params(
        *command_line.TINY, "train.agents = [@MetaMAPG(), @PolicyGradient()]", "PastSelves.n_policies = 3",
        "train.populations = [None, @PastSelves]", "PastSelves.every = 1", "train.checkpoint_every = 2",
    )

    def arguments(self, name):
        root = pathlib.Path(self.get_temp_dir())
        return [f"--gin_file={command_line.GIN_CONFIGS / 'ipd.gin'}", f"--run_dir={root / name}", *self.BINDINGS]

    def test_a_run_that_goes_on_has_the_same_pool(self):
        short, long = self.arguments("run"), self.arguments("whole")
        outcome = command_line.run(*short, "--gin_param=train.n_meta_updates = 3")
        self.assertEqual(outcome.status, 0, outcome.stderr)
        outcome = command_line.run(*short, "--gin_param=train.n_meta_updates = 5", "--resume")
        self.assertEqual(outcome.status, 0, outcome.stderr)
        self.assertEqual(command_line.run(*long, "--gin_param=train.n_meta_updates = 5").status, 0)
        root = pathlib.Path(self.get_temp_dir())
        one, other = (np.load(root / name / "learned.npz") for name in ("run", "whole"))
        self.assertIn("pools/agent_1/0", one.files)
        for name in one.files:
            self.assertAllEqual(one[name], other[name])
        run = loading.load_run(root / "whole")
        self.assertAllEqual(run.trainer.pools.of_agent(1)[0], other["pools/agent_1/0"])
        # Others meet what the pool holds.
        (drawn,) = run.player(1).population.sample(random.META_TEST, random.root_keys([0]), 2)
        pool = other["pools/agent_1/0"].reshape([-1, *drawn.shape[2:]])
        self.assertTrue(all((pool == one).all(axis=(1, 2)).any() for one in drawn[0].numpy()))
        evaluated = run.evaluate().mean_reward
        self.assertAllEqual(evaluated, np.array(run.summary["meta_test"]["average_reward"]))


if __name__ == "__main__":
    tf.test.main()
