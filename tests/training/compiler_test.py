"""Proves that one line says so where XLA cannot compile a game."""

import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import checks
from tf_metamapg.training import learning
from tf_metamapg.training.compiler import explained
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer


class ExplainedTest(tf.test.TestCase):

    def test_exact_values_of_a_large_game(self):
        # So many unknowns are solved for by an operation that XLA does not have.
        n_states = 80
        game = mapg.StochasticGame(np.zeros([2, n_states, 2, 2]), np.full([n_states, 2, 2, n_states], 1 / n_states))
        policies = tuple(mapg.tabular_policy(game, agent) for agent in range(2))
        problem = Problem(
            game=game, policies=policies, agents=(mapg.MetaMAPG(),) * 2, estimator=mapg.ExactEstimator(game, policies),
            task_distribution=mapg.DefaultTasks(game),
        )
        trainer = MetaTrainer(problem, TrainerSettings(chain_length=1, n_tasks=1, jit_compile=True), seeds=[0])
        for use in (trainer.step, lambda: learning.evaluate(trainer, mapg.random.META_TEST, 1, n_tasks=1)):
            with self.assertRaises(checks.InvalidInputError) as caught:
                use()
            self.assertRegex(
                str(caught.exception), "^jit_compile = True: must be False, as XLA cannot compile the operation Lu, .*$"
            )

    def test_other_errors_stay_what_they_are(self):
        with self.assertRaises(tf.errors.InvalidArgumentError), explained():
            tf.debugging.assert_positive(-1.0)


if __name__ == "__main__":
    tf.test.main()
