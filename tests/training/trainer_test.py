"""Proves that meta-training goes up-hill, repeats its bits, keeps the seeds apart and stops at a bad gradient."""

import functools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.meta_pg import MetaPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.training import trainer as trainer_module
from tf_metamapg.training.trainer import MetaTrainer
from tf_metamapg.training.trainer import NonFiniteGradientError

SEEDS = (0, 1, 2, 3)
N_TASKS = 3
EXACT = ExactEstimator
DICE = functools.partial(LoadedDiceEstimator, n_trajectories=4, horizon=5)

MODES = (
    ("exact", EXACT, False, "float64"),
    ("exact_jit", EXACT, True, "float32"),
    ("dice", DICE, False, "float32"),
    ("dice_jit", DICE, True, "float64"),
)


def make_trainer(seeds, estimator, jit_compile, dtype, meta_agent=MetaMAPG, chain_length=1, **kwargs):
    """Agent 0 is a meta-agent and agent 1 is not."""
    game = IteratedMatrixGame(payoffs.prisoners_dilemma(), dtype=dtype)
    policies = [tabular_policy(game, agent_index) for agent_index in range(2)]
    return MetaTrainer(
        game, policies, (meta_agent(1.0), PolicyGradient(1.0)), estimator(game, policies), PayoffNoise(game),
        seeds, chain_length, N_TASKS, meta_learning_rate=0.1, jit_compile=jit_compile, **kwargs,
    )


def variables_of(trainer):
    """Everything that a checkpoint holds, as a list of variables."""
    state = trainer.state
    own = [variable for variables in state["meta_params"] for variable in variables]
    adam = [variable for optimizer in state["optimizers"] for variable in optimizer]
    return [*own, *adam, state["n_meta_updates_done"]]


def arrays_of(trainer):
    return [variable.numpy() for variable in variables_of(trainer)]


def set_arrays(trainer, arrays):
    for variable, array in zip(variables_of(trainer), arrays, strict=True):
        variable.assign(array)


def table_of(trainer, agent_index):
    """The logits of one agent: [S, 5, 1]."""
    return trainer.initial_params[agent_index][0].numpy()


class TrainerTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.named_parameters(*MODES)
    def test_trainer(self, estimator, jit_compile, dtype):
        """Everything that one program must do, since compiling it takes seconds."""
        trainer = make_trainer(SEEDS, estimator, jit_compile, dtype)
        start = arrays_of(trainer)
        # Finds errors early, and spares the first step from doing so again.
        trainer.trace()
        for array, other in zip(arrays_of(trainer), start):
            self.assertAllEqual(array, other)
        metrics = [trainer.step() for _ in range(3)]
        end = arrays_of(trainer)

        with self.subTest("metrics"):
            for one in metrics:
                self.assertEqual(one.average_reward.shape, (len(SEEDS), 2, 2))
                self.assertEqual(one.term_norms.shape, (len(SEEDS), 2, 3))
                self.assertTrue(np.all((one.average_reward > -3.11) & (one.average_reward < 0.11)))
                # In the expected reading there is no current-policy term; agent 1 does not meta-learn.
                self.assertAllEqual(one.term_norms[:, 0, 0], np.zeros(len(SEEDS)))
                self.assertAllGreater(one.term_norms[:, 0, 1:], 0.0)
                self.assertAllEqual(one.term_norms[:, 1], np.zeros([len(SEEDS), 3]))
            self.assertNotAllClose(metrics[0].average_reward, metrics[1].average_reward)

        with self.subTest("meta-agents learn and others do not"):
            self.assertEqual(int(trainer.n_meta_updates_done), 3)
            self.assertAllGreater(np.abs(end[0] - start[0]), 0.0)
            self.assertAllEqual(end[1], start[1])

        with self.subTest("same bits from the same state"):
            set_arrays(trainer, start)
            for one in metrics:
                again = trainer.step()
                self.assertAllEqual(again.average_reward, one.average_reward)
                self.assertAllEqual(again.term_norms, one.term_norms)
            for array, other in zip(arrays_of(trainer), end):
                self.assertAllEqual(array, other)

        with self.subTest("a seed does not see what the others do"):
            others = [seed for seed in SEEDS if seed != 2]
            changed = [array.copy() for array in start]
            for agent in range(2):
                changed[agent][others] = np.random.default_rng(agent).normal(size=[3, 5, 1])
            set_arrays(trainer, changed)
            for one in metrics:
                again = trainer.step()
                self.assertAllEqual(again.average_reward[2], one.average_reward[2])
                self.assertAllEqual(again.term_norms[2], one.term_norms[2])
                self.assertNotAllClose(again.average_reward[others], one.average_reward[others])
            self.assertAllEqual(table_of(trainer, 0)[2], end[0][2])

        with self.subTest("a seed alone ends with the same numbers"):
            alone = make_trainer((2,), estimator, jit_compile, dtype)
            # A program of another size may round otherwise, and no more than that.
            tolerance = {"float32": 1e-4, "float64": 1e-10}[dtype]
            self.assertAllEqual(table_of(alone, 0)[0], start[0][2])
            for one in metrics:
                self.assertAllClose(alone.step().average_reward[0], one.average_reward[2], tolerance, tolerance)
            self.assertAllClose(table_of(alone, 0)[0], end[0][2], tolerance, tolerance)

        with self.subTest("stops at NaN"):
            for agent, value in ((0, np.nan), (1, np.nan), (0, np.inf)):
                bad = [array.copy() for array in end]
                bad[agent][2, 1] = value
                set_arrays(trainer, bad)
                with self.assertRaises(NonFiniteGradientError) as raised:
                    trainer.step()
                self.assertEqual(
                    str(raised.exception), "the meta-gradient of meta-update 4 is NaN or infinite for seed 2"
                )
                for array, other in zip(arrays_of(trainer), bad):
                    self.assertAllEqual(array, other)
                bad[agent][0, 0] = value
                set_arrays(trainer, bad)
                with self.assertRaisesRegex(NonFiniteGradientError, "for seeds 0, 2$"):
                    trainer.step()

        # Compiling it with XLA as well would test nothing more.
        if not jit_compile:
            self.check_evaluation(trainer, end)

        with self.subTest("compiled once"):
            for name, count in (
                ("_compute", 1), ("_apply", 1), ("_measure_and_update", 0 if jit_compile else 1)
            ):
                self.assertEqual(getattr(trainer, name).experimental_get_tracing_count(), count, name)

    def check_evaluation(self, trainer, end):
        set_arrays(trainer, end)
        with self.subTest("evaluation"):
            test = trainer.evaluate(random.META_TEST, 1, N_TASKS)
            self.assertEqual(test.shape, (len(SEEDS), 2, 2))
            trainer.step()
            set_arrays(trainer, end)
            # Whatever has been done in between, with whichever phase before it.
            validation = trainer.evaluate(random.META_VALIDATION, 1, N_TASKS)
            self.assertAllEqual(trainer.evaluate(random.META_TEST, 1, N_TASKS), test)
            self.assertAllGreater(np.abs(validation - test), 0.0)
            for array, other in zip(arrays_of(trainer), end):
                self.assertAllEqual(array, other)

        if isinstance(trainer.estimator, ExactEstimator):
            with self.subTest("goes up-hill"):
                for _ in range(25):
                    trainer.step()
                after = trainer.evaluate(random.META_VALIDATION, 1, N_TASKS)
                # What agent 0 gets after the inner update that was trained for, for every seed.
                self.assertAllGreater(after[:, 1, 0] - validation[:, 1, 0], 0.1)

    def test_without_inner_updates(self):
        """A chain of length 0 is ordinary policy gradient ascent on the value."""
        trainer = make_trainer(SEEDS, EXACT, False, "float32", meta_agent=MetaPG, chain_length=0)
        before = trainer.evaluate(random.META_VALIDATION, 0, 16)
        metrics = trainer.step()
        self.assertEqual(metrics.average_reward.shape, (len(SEEDS), 1, 2))
        # All of it is the term that Theorem 1 has without an inner update.
        self.assertAllGreater(metrics.term_norms[:, 0, 0], 0.0)
        self.assertAllEqual(metrics.term_norms[:, 0, 1:], np.zeros([len(SEEDS), 2]))
        for _ in range(40):
            trainer.step()
        after = trainer.evaluate(random.META_VALIDATION, 0, 16)
        self.assertAllGreater(after[:, 0, 0] - before[:, 0, 0], 0.02)


class MaxGradientNormTest(tf.test.TestCase):

    def test_longer_gradients_are_shortened_and_others_left_alone(self):
        agent = functools.partial(MetaMAPG, learn_inner_learning_rates=True)
        arguments = (SEEDS, EXACT, False, "float64", agent)
        gradients = self.gradients_of(make_trainer(*arguments))
        norms = np.linalg.norm(gradients, axis=-1)
        allowed = np.median(norms)
        self.assertLess(np.min(norms), allowed)
        shortened = self.gradients_of(make_trainer(*arguments, max_gradient_norm=allowed))
        expected = gradients * np.minimum(1.0, allowed / norms)[:, np.newaxis]
        self.assertAllClose(shortened, expected, rtol=1e-12, atol=0.0)
        self.assertAllEqual(shortened[norms < allowed], gradients[norms < allowed])

    def test_a_norm_that_is_zero_in_float32_leaves_gradients_finite(self):
        # Agent 1 learns nothing, so that its norm is zero, too.
        gradients, *_ = make_trainer(SEEDS, EXACT, False, "float32", max_gradient_norm=1e-50)._compute()
        for leaf in tf.nest.flatten(gradients):
            self.assertAllEqual(leaf, tf.zeros_like(leaf))

    def test_no_gradient_is_shortened_to_none_because_its_square_is_too_large(self):
        scaled = 1e30 * tf.constant([[3.0, 4.0], [0.0, 0.0]])
        self.assertAllClose(trainer_module._norms([scaled]), [5e30, 0.0])

    def gradients_of(self, trainer):
        """Of agent 0, with respect to policy and inner steps: [S, 6]."""
        gradients, *_ = trainer._compute()
        return np.concatenate([leaf.numpy().reshape(len(SEEDS), -1) for leaf in tf.nest.flatten(gradients[0])], axis=-1)


class InnerLearningRatesTest(tf.test.TestCase):

    def test_they_are_learned_up_hill_and_kept_beyond_the_chain(self):
        meta_agent = functools.partial(MetaMAPG, learn_inner_learning_rates=True)
        trainer = make_trainer(
            SEEDS, EXACT, False, "float64", meta_agent, chain_length=2, inner_rates_meta_learning_rate=0.3
        )
        learned, constant = trainer.inner_learning_rates()
        self.assertAllClose(learned, np.ones([len(SEEDS), 2]), rtol=1e-15, atol=0)
        self.assertAllEqual(constant, np.ones([len(SEEDS), 2]))
        table = trainer.initial_params[0][0].numpy()

        def value(log_rates):
            """What agent 0 gets on average after each of the two inner updates, from the same policies."""
            trainer.initial_params[0][0].assign(table)
            trainer.log_inner_learning_rates[0].assign(log_rates)
            return trainer._compute()

        _, (gradients,) = value(np.zeros([len(SEEDS), 2]))[0][0]
        gradients = gradients.numpy()
        for step in range(2):
            shift = np.zeros([len(SEEDS), 2])
            shift[:, step] = 1e-4
            above, below = (value(sign * shift)[3].average_reward[:, 1:, 0].numpy().mean(axis=1) for sign in (1, -1))
            # Values are average rewards over 1 − γ.
            self.assertAllClose(gradients[:, step], (above - below) / 2e-4 / 0.04, rtol=1e-6, atol=1e-8)
        value(np.zeros([len(SEEDS), 2]))
        trainer.step()
        # Adam's first step goes by the meta learning rate along the sign of every derivative.
        self.assertAllClose(trainer.log_inner_learning_rates[0].numpy(), 0.3 * np.sign(gradients), rtol=1e-4, atol=0)
        self.assertAllClose(np.abs(table_of(trainer, 0) - table), np.full(table.shape, 0.1), rtol=1e-4, atol=0)
        self.assertAllEqual(trainer.inner_learning_rates()[1], np.ones([len(SEEDS), 2]))
        self.assertAllClose(trainer.inner_learning_rates()[0], np.exp(0.3 * np.sign(gradients)), rtol=1e-4, atol=0)
        # A longer chain goes on with the last step's.
        self.assertAllEqual(trainer._rates_at(7)[0], trainer.inner_learning_rates()[0][:, 1])
        self.assertAllEqual(trainer._rates_at(0)[0], trainer.inner_learning_rates()[0][:, 0])
        self.assertIs(trainer.state["meta_params"][1][0], trainer.log_inner_learning_rates[0])


if __name__ == "__main__":
    tf.test.main()
