"""Proves that a batch that is computed in blocks gives what it gives at once, whoever computes them."""

import functools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg.agents.learning_rates import LearnedRates
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.critics.value_network import ValueNetwork
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.tasks import DefaultTasks
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.training import learning
from tf_metamapg.training.blocks import Blocks
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer
from tf_metamapg.training.workers import StrategyWorkers

SEEDS = (0, 1, 2, 5)
SAMPLED = functools.partial(LoadedDiceEstimator, n_trajectories=4, horizon=5)


class Backwards:
    """Computes the last block first."""

    n_workers = 1
    is_chief = True

    def share(self, n_blocks):
        return range(n_blocks)[::-1]

    def gathered(self, own, n_blocks):
        return list(own)[::-1]


def make_problem(estimator=ExactEstimator, agents=None, tasks=PayoffNoise):
    game = IteratedMatrixGame(payoffs.prisoners_dilemma(), dtype="float64")
    policies = [tabular_policy(game, agent_index) for agent_index in range(2)]
    return Problem(
        game=game, policies=policies, agents=agents or (MetaMAPG(LearnedRates(1.0)), PolicyGradient(1.0)),
        estimator=estimator(game, policies), task_distribution=tasks(game),
    )


def make_trainer(problem, n_blocks, seeds=SEEDS, n_tasks=6, **kwargs):
    settings = TrainerSettings(n_tasks=n_tasks, n_blocks=n_blocks, jit_compile=False)
    return MetaTrainer(problem, settings, seeds, **kwargs)


def learned_by(trainer, n_meta_updates=3):
    """Metrics of some meta-updates, what has been learned, and an evaluation: a flat list of arrays."""
    metrics = [trainer.step() for _ in range(n_meta_updates)]
    variables = [variable.numpy() for variable in tf.nest.flatten([trainer.learned, trainer.state])]
    evaluation = learning.evaluate(trainer, random.META_TEST, n_inner_updates=2, n_tasks=3)
    return [np.asarray(leaf) for leaf in tf.nest.flatten([metrics, variables, evaluation])]


class CutTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters((4, 3, 1), (4, 3, 2), (4, 3, 4), (2, 6, 4), (1, 6, 3), (6, 4, 4), (3, 2, 2))
    def test_blocks_are_equal_and_all_of_the_batch(self, n_seeds, n_tasks, n_blocks):
        blocks = Blocks(n_seeds, n_tasks, n_blocks)
        of_seeds = tf.reshape(tf.range(n_seeds * 2.0), [n_seeds, 2])
        of_tasks = tf.reshape(tf.range(n_seeds * n_tasks * 2.0), [n_seeds, n_tasks, 2])
        indices = [tf.constant(block, tf.int64) for block in range(n_blocks)]
        cut_seeds = [blocks.seeds_of(block, of_seeds) for block in indices]
        cut_tasks = [blocks.tasks_of(block, blocks.seeds_of(block, of_tasks)) for block in indices]
        self.assertLen({leaf.shape for leaf in cut_tasks}, 1)
        self.assertEqual(sum(leaf.shape.num_elements() for leaf in cut_tasks), n_seeds * n_tasks * 2)
        self.assertEqual({leaf.shape[1] for leaf in cut_tasks}, {blocks.n_tasks})
        self.assertAllEqual(blocks.joined_seeds(cut_seeds), of_seeds)
        self.assertAllEqual(blocks.joined_tasks(cut_tasks), of_tasks)
        means = blocks.joined_seeds([tf.reduce_mean(leaf, axis=1) for leaf in cut_tasks])
        self.assertAllClose(means, tf.reduce_mean(of_tasks, axis=1), rtol=1e-6)
        self.assertEqual(blocks.cuts_tasks, n_seeds % n_blocks != 0)

    def test_what_cannot_be_cut(self):
        sampled = functools.partial(ScoreFunctionEstimator, n_trajectories=2, horizon=3)
        naive = PolicyGradient(1.0), PolicyGradient(1.0)
        for problem, seeds, n_blocks, reason in (
            (make_problem(), (0, 1), 8, "a number that cuts 2 seeds, or these and 6 tasks of each, into equal parts"),
            (make_problem(sampled), (0, 1), 4, (
                "a divisor of n_seeds, 2, as the current-policy term of sampled inner updates compares the tasks of a "
                "seed"
            )),
            (make_problem(agents=naive), (0, 1), 4, "a divisor of n_seeds, 2, as nobody meta-learns"),
        ):
            with self.subTest(reason), self.assertRaises(checks.InvalidInputError) as caught:
                make_trainer(problem, n_blocks, seeds)
            self.assertEqual(str(caught.exception), f"n_blocks = {n_blocks}: must be {reason}")


class BlocksTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.named_parameters(("exact", ExactEstimator), ("sampled", SAMPLED))
    def test_blocks_of_seeds_change_nothing(self, estimator):
        problem = make_problem(estimator)
        whole = learned_by(make_trainer(problem, n_blocks=1))
        for n_blocks in (2, 4):
            parts = learned_by(make_trainer(problem, n_blocks))
            for one, other in zip(whole, parts, strict=True):
                self.assertAllClose(one, other, rtol=1e-9, atol=1e-11)

    def test_blocks_of_tasks_change_nothing_where_nothing_is_drawn_at_links(self):
        whole, parts = (
            learned_by(make_trainer(make_problem(), n_blocks, SEEDS[:2])) for n_blocks in (1, 4)
        )
        for one, other in zip(whole, parts, strict=True):
            self.assertAllClose(one, other, rtol=1e-8, atol=1e-10)

    def test_blocks_of_tasks_draw_other_trajectories(self):
        """And means over all of them: the tasks are alike, and each is played alone."""
        trainer = make_trainer(make_problem(SAMPLED, tasks=DefaultTasks), n_blocks=6, seeds=[7])
        learned, n_done = trainer._learned(), tf.constant(0, tf.int64)
        found = [trainer._of_block(learned, n_done, tf.constant(block, tf.int64)) for block in range(6)]
        rewards = np.array([each.reports[0][0][0, 0, 0] for each in found])
        gradients = np.array([each.terms[0].total.initial[0] for each in found])
        self.assertLen(set(gradients[:, 0, 0, 0]), 6)
        together = trainer.compute()
        self.assertAllClose(together.metrics.mean_reward[0, 0, 0], rewards.mean(), rtol=1e-12)
        self.assertAllClose(together.gradients[0].initial[0], gradients.mean(axis=0), rtol=1e-12)

    def test_bits_do_not_depend_on_who_computes_what(self):
        problem = make_problem(functools.partial(SAMPLED, critic=ValueNetwork))
        one, other = (
            learned_by(make_trainer(problem, 8, **kwargs), 2) for kwargs in ({}, {"workers": Backwards()})
        )
        for leaf, other_leaf in zip(one, other, strict=True):
            self.assertAllEqual(leaf, other_leaf)


class StrategyWorkersTest(tf.test.TestCase):

    def test_bits_survive_the_exchange(self):
        """Of numbers of all widths, of what is not a number and of both zeros."""
        workers = StrategyWorkers(tf.distribute.get_strategy(), 1, 0)
        own = [
            {
                "single": tf.constant([[1.5, -0.0], [np.nan, np.inf]], tf.float32), "none": (),
                "double": tf.constant([-0.0, np.nan, 1.0 / 3.0], tf.float64), "whole": tf.constant(block - 2**40),
            } for block in range(3)
        ]
        self.assertEqual([*workers.share(3)], [0, 1, 2])
        for structure, other in zip(own, workers.gathered(own, 3), strict=True):
            for leaf, other_leaf in zip(tf.nest.flatten(structure), tf.nest.flatten(other), strict=True):
                self.assertEqual((leaf.dtype, leaf.shape), (other_leaf.dtype, other_leaf.shape))
                self.assertEqual(leaf.numpy().tobytes(), other_leaf.numpy().tobytes())

    def test_every_block_is_of_one_worker_and_few_are_of_all(self):
        workers = [StrategyWorkers(Replicas(3), 3, index) for index in range(3)]
        for n_blocks in (3, 4, 7):
            self.assertEqual([block for worker in workers for block in worker.share(n_blocks)], [*range(n_blocks)])
        self.assertEqual([[*worker.share(2)] for worker in workers], [[0, 1]] * 3)
        self.assertEqual([worker.is_chief for worker in workers], [True, False, False])
        with self.assertRaises(checks.InvalidInputError) as caught:
            StrategyWorkers(Replicas(4), 2, 0)
        self.assertEqual(
            str(caught.exception),
            "workers = 2: must be 4, as there are so many devices; let each worker see one",
        )


class Replicas:
    """A strategy of so many devices, of which nothing else is asked."""

    def __init__(self, number):
        self.num_replicas_in_sync = number


if __name__ == "__main__":
    tf.test.main()
