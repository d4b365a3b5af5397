"""Proves that meta-training goes up-hill, repeats its bits, keeps the seeds apart and stops at a bad gradient."""

import dataclasses
import functools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import links
from tf_metamapg.agents.learning_rates import LearnedRates
from tf_metamapg.agents.learning_rates import LearnedRatesPerParameter
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.meta_pg import MetaPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.critics.value_network import ValueNetwork
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.tasks import DefaultTasks
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.numerics import random
from tf_metamapg.policies.populations import NormalPolicies
from tf_metamapg.policies.populations import Personas
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.training import gradient_norms
from tf_metamapg.training import learning
from tf_metamapg.training.draws import Draws
from tf_metamapg.training.gradient_norms import NonFiniteGradientError
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer

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


def make_problem(estimator, dtype, agents=None):
    """Agent 0 is a meta-agent and agent 1 is not."""
    game = IteratedMatrixGame(payoffs.prisoners_dilemma(), dtype=dtype)
    policies = [tabular_policy(game, agent_index) for agent_index in range(2)]
    return Problem(
        game=game, policies=policies, agents=agents or (MetaMAPG(1.0), PolicyGradient(1.0)),
        estimator=estimator(game, policies), task_distribution=PayoffNoise(game),
    )


def make_trainer(seeds, estimator, jit_compile, dtype, agents=None, **kwargs):
    settings = TrainerSettings(**{"n_tasks": N_TASKS, "meta_learning_rate": 0.1, "jit_compile": jit_compile, **kwargs})
    return MetaTrainer(make_problem(estimator, dtype, agents), settings, seeds)


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
    return trainer.meta_params[agent_index].initial[0].numpy()


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
                self.assertEqual(one.mean_reward.shape, (len(SEEDS), 2, 2))
                self.assertEqual(one.term_norms.shape, (len(SEEDS), 2, 3))
                self.assertTrue(np.all((one.mean_reward > -3.11) & (one.mean_reward < 0.11)))
                # With expected inner updates there is no current-policy term; agent 1 does not meta-learn.
                self.assertAllEqual(one.term_norms[:, 0, 0], np.zeros(len(SEEDS)))
                self.assertAllGreater(one.term_norms[:, 0, 1:], 0.0)
                self.assertAllEqual(one.term_norms[:, 1], np.zeros([len(SEEDS), 3]))
            self.assertNotAllClose(metrics[0].mean_reward, metrics[1].mean_reward)

        with self.subTest("meta-agents learn and others do not"):
            self.assertEqual(int(trainer.n_meta_updates_done), 3)
            self.assertAllGreater(np.abs(end[0] - start[0]), 0.0)
            self.assertAllEqual(end[1], start[1])

        with self.subTest("same bits from the same state"):
            set_arrays(trainer, start)
            for one in metrics:
                again = trainer.step()
                self.assertAllEqual(again.mean_reward, one.mean_reward)
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
                self.assertAllEqual(again.mean_reward[2], one.mean_reward[2])
                self.assertAllEqual(again.term_norms[2], one.term_norms[2])
                self.assertNotAllClose(again.mean_reward[others], one.mean_reward[others])
            self.assertAllEqual(table_of(trainer, 0)[2], end[0][2])

        with self.subTest("a seed alone ends with the same numbers"):
            alone = make_trainer((2,), estimator, jit_compile, dtype)
            # A program of another size may round otherwise, and no more than that.
            tolerance = {"float32": 1e-4, "float64": 1e-10}[dtype]
            self.assertAllEqual(table_of(alone, 0)[0], start[0][2])
            for one in metrics:
                self.assertAllClose(alone.step().mean_reward[0], one.mean_reward[2], tolerance, tolerance)
            self.assertAllClose(table_of(alone, 0)[0], end[0][2], tolerance, tolerance)

        with self.subTest("stops at NaN"):
            for agent, value in ((0, np.nan), (1, np.nan), (0, np.inf)):
                bad = [array.copy() for array in end]
                bad[agent][2, 1] = value
                set_arrays(trainer, bad)
                with self.assertRaises(NonFiniteGradientError) as raised:
                    trainer.step()
                self.assertEqual(
                    str(raised.exception),
                    "the meta-gradient of meta-update 4 or its square is NaN or infinite for seed 2",
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
                ("_compute", 1), ("_apply", 1), ("_advance", 0 if jit_compile else 1)
            ):
                self.assertEqual(getattr(trainer, name).experimental_get_tracing_count(), count, name)

    def check_evaluation(self, trainer, end):
        set_arrays(trainer, end)
        with self.subTest("evaluation"):
            test, game_metrics, _ = learning.evaluate(trainer, random.META_TEST, 1, N_TASKS)
            self.assertEqual(test.shape, (len(SEEDS), 2, 2))
            self.assertEqual(game_metrics, {})
            trainer.step()
            set_arrays(trainer, end)
            # Whatever has been done in between, with whichever phase before it.
            validation = learning.evaluate(trainer, random.META_VALIDATION, 1, N_TASKS).mean_reward
            self.assertAllEqual(learning.evaluate(trainer, random.META_TEST, 1, N_TASKS).mean_reward, test)
            self.assertAllGreater(np.abs(validation - test), 0.0)
            for array, other in zip(arrays_of(trainer), end):
                self.assertAllEqual(array, other)

        if isinstance(trainer.problem.estimator, ExactEstimator):
            with self.subTest("goes up-hill"):
                for _ in range(25):
                    trainer.step()
                after = learning.evaluate(trainer, random.META_VALIDATION, 1, N_TASKS).mean_reward
                # What agent 0 gets after the inner update that was trained for, for every seed.
                self.assertAllGreater(after[:, 1, 0] - validation[:, 1, 0], 0.1)

    def test_without_inner_updates(self):
        """A chain of length 0 is ordinary policy gradient ascent on the value."""
        agents = MetaPG(1.0), PolicyGradient(1.0)
        trainer = make_trainer(SEEDS, EXACT, False, "float32", agents, chain_length=0)
        before = learning.evaluate(trainer, random.META_VALIDATION, 0, 16).mean_reward
        metrics = trainer.step()
        self.assertEqual(metrics.mean_reward.shape, (len(SEEDS), 1, 2))
        # All of it is the term that Theorem 1 has without an inner update.
        self.assertAllGreater(metrics.term_norms[:, 0, 0], 0.0)
        self.assertAllEqual(metrics.term_norms[:, 0, 1:], np.zeros([len(SEEDS), 2]))
        for _ in range(40):
            trainer.step()
        after = learning.evaluate(trainer, random.META_VALIDATION, 0, 16).mean_reward
        self.assertAllGreater(after[:, 0, 0] - before[:, 0, 0], 0.02)


class SharingTest(tf.test.TestCase):

    AGENTS = MetaMAPG(LearnedRates(1.0)), MetaMAPG(LearnedRates(1.0))

    def trainer(self, agents=AGENTS, **settings):
        return make_trainer(SEEDS, EXACT, False, "float64", agents, **settings)

    def test_both_learn_one_policy_by_the_mean_of_their_gradients(self):
        shared, apart = self.trainer(share_initial_policy=True), self.trainer()
        self.assertAllEqual(shared.meta_params[1].initial[0], apart.meta_params[0].initial[0])
        self.assertNotAllClose(apart.meta_params[1].initial[0], apart.meta_params[0].initial[0], atol=0.1)
        # From the same policies in both: what each would do by itself.
        for own, other in zip(tf.nest.flatten(apart.meta_params), tf.nest.flatten(shared.meta_params)):
            own.assign(other)
        first, second = apart.compute().gradients
        gradients = shared.compute().gradients
        self.assertNotAllClose(first.initial[0], second.initial[0], rtol=1e-3)
        expected = tf.nest.map_structure(lambda one, other: (one + other) / 2, first, second)
        for own in gradients:
            self.assertAllClose(tf.nest.flatten(own), tf.nest.flatten(expected), rtol=1e-14)
        for _ in range(3):
            shared.step()
        one, other = map(tf.nest.flatten, shared.meta_params)
        for leaf, same in zip(one, other, strict=True):
            self.assertAllEqual(leaf, same)

    def test_they_learn_to_cooperate(self):
        trainer = self.trainer((MetaMAPG(2.0), MetaMAPG(2.0)), share_initial_policy=True, meta_learning_rate=0.3)
        for _ in range(60):
            trainer.step()
        rewards = learning.evaluate(trainer, random.META_VALIDATION, 1, N_TASKS).mean_reward[:, 1]
        self.assertAllGreater(rewards, -1.2)

    def test_who_cannot_share(self):
        with self.assertRaisesRegex(
            checks.InvalidInputError, "^share_initial_policy = True: must be False, as there are no two meta-agents$"
        ):
            self.trainer((MetaMAPG(1.0), PolicyGradient(1.0)), share_initial_policy=True)
        with self.assertRaisesRegex(
            checks.InvalidInputError, "must be False, as agents 0 and 1 do not learn the same: MetaParams"
        ) as caught:
            self.trainer((MetaMAPG(1.0), MetaMAPG(LearnedRates(1.0))), share_initial_policy=True)
        self.assertNotIn("\n", str(caught.exception))


class MaxGradientNormTest(tf.test.TestCase):

    def test_longer_gradients_are_shortened_and_others_left_alone(self):
        agents = MetaMAPG(LearnedRates(1.0)), PolicyGradient(1.0)
        arguments = (SEEDS, EXACT, False, "float64", agents)
        gradients = self.gradients_of(make_trainer(*arguments))
        norms = np.linalg.norm(gradients, axis=-1)
        allowed = np.median(norms)
        self.assertLess(np.min(norms), allowed)
        shortened = self.gradients_of(make_trainer(*arguments, max_gradient_norm=allowed))
        expected = gradients * np.minimum(1.0, allowed / norms)[:, np.newaxis]
        self.assertAllClose(shortened, expected, rtol=1e-12, atol=0.0)
        self.assertAllEqual(shortened[norms < allowed], gradients[norms < allowed])

    def test_a_norm_that_is_next_to_zero_in_float32_leaves_gradients_finite(self):
        # Agent 1 learns nothing, so that its norm is zero.
        gradients = make_trainer(SEEDS, EXACT, False, "float32", max_gradient_norm=1e-45).compute().gradients
        for leaf in tf.nest.flatten(gradients):
            self.assertAllInRange(leaf, -1e-44, 1e-44)
        with self.assertRaises(checks.InvalidInputError) as caught:
            TrainerSettings(max_gradient_norm=1e-50)
        self.assertEqual(str(caught.exception), "max_gradient_norm = 1e-50: must be > 0, also as float32")

    def test_no_gradient_is_shortened_to_none_because_its_square_is_too_large(self):
        scaled = 1e30 * tf.constant([[3.0, 4.0], [0.0, 0.0]])
        self.assertAllClose(gradient_norms.norms([scaled]), [5e30, 0.0])

    def gradients_of(self, trainer):
        """Of agent 0, with respect to policy and inner steps: [S, 6]."""
        gradients = trainer.compute().gradients
        return np.concatenate([leaf.numpy().reshape(len(SEEDS), -1) for leaf in tf.nest.flatten(gradients[0])], axis=-1)


class CriticTest(tf.test.TestCase):

    def test_it_stops_before_a_critic_learns_from_what_is_not_finite(self):
        # Adam cannot keep the squares of such returns, which are no float32 any more.
        game = IteratedMatrixGame(1e20 * payoffs.prisoners_dilemma())
        policies = [tabular_policy(game, agent_index) for agent_index in range(2)]
        problem = Problem(
            game=game, policies=policies, agents=(PolicyGradient(1e-20),) * 2,
            estimator=LoadedDiceEstimator(game, policies, 4, 5, critic=ValueNetwork),
            task_distribution=DefaultTasks(game),
        )
        trainer = MetaTrainer(problem, TrainerSettings(n_tasks=2, jit_compile=False), SEEDS)
        before = [variable.numpy() for variable in trainer.state["critic"]["params"]]
        with self.assertRaises(NonFiniteGradientError) as raised:
            trainer.step()
        self.assertEqual(
            str(raised.exception),
            "the gradient of a critic of meta-update 1 or its square is NaN or infinite for seeds 0, 1, 2, 3",
        )
        for variable, array in zip(trainer.state["critic"]["params"], before):
            self.assertAllEqual(variable, array)


class LearnedUpdatesTest(tf.test.TestCase):

    def test_they_are_learned_up_hill_and_kept_beyond_the_chain(self):
        agents = MetaMAPG(LearnedRates(1.0)), PolicyGradient(1.0)
        trainer = make_trainer(
            SEEDS, EXACT, False, "float64", agents, chain_length=2, update_meta_learning_rate=0.3
        )
        learned, constant = (own.update for own in trainer.meta_param_values())
        self.assertAllClose(learned, np.zeros([len(SEEDS), 2]), rtol=0, atol=1e-15)
        self.assertEqual(constant, ())
        table = table_of(trainer, 0)

        def value(log_rates):
            """What agent 0 gets on average after each of the two inner updates, from the same policies."""
            trainer.meta_params[0].initial[0].assign(table)
            trainer.meta_params[0].update.assign(log_rates)
            return trainer.compute()

        gradients = value(np.zeros([len(SEEDS), 2])).gradients[0].update.numpy()
        for step in range(2):
            shift = np.zeros([len(SEEDS), 2])
            shift[:, step] = 1e-4
            above, below = (value(sign * shift).metrics.mean_reward[:, 1:, 0].numpy().mean(axis=1) for sign in (1, -1))
            # Values are mean rewards over 1 − γ.
            self.assertAllClose(gradients[:, step], (above - below) / 2e-4 / 0.04, rtol=1e-6, atol=1e-8)
        value(np.zeros([len(SEEDS), 2]))
        trainer.step()
        # Adam's first step goes by the meta learning rate along the sign of every derivative.
        log_rates = trainer.meta_params[0].update.numpy()
        self.assertAllClose(log_rates, 0.3 * np.sign(gradients), rtol=1e-4, atol=0)
        self.assertAllClose(np.abs(table_of(trainer, 0) - table), np.full(table.shape, 0.1), rtol=1e-4, atol=0)
        self.assertEqual(trainer.meta_param_values()[1].update, ())
        self.assertIs(trainer.state["meta_params"][1][0], trainer.meta_params[0].update)
        # A longer chain goes on with the last step's.
        self.check_steps_of_an_evaluation(trainer, np.exp(log_rates[:, [0, 1, 1, 1]]))

    def check_steps_of_an_evaluation(self, trainer, rates):
        """The steps that agent 0 makes, over its policy gradient, are the rates [S, number of steps]."""
        estimator, states = trainer.problem.estimator, trainer.initial_states(random.META_TEST, N_TASKS)
        tasks = PayoffNoise(trainer.problem.game).sample(random.root_keys(SEEDS), N_TASKS)
        for step in range(rates.shape[1]):
            link = links.Link(states, (), random.root_keys(SEEDS))
            gradients = links.Objectives(estimator, tasks, link).gradients(0, with_respect_to=0)
            updated = trainer.advance(random.META_TEST, 0, tasks, step, states).agent_states
            moved = (updated[0].params[0] - states[0].params[0]) / gradients[0]
            self.assertAllClose(moved, np.broadcast_to(rates[:, step, None, None, None], moved.shape), rtol=1e-9)
            states = updated

    def test_where_a_population_says_who_begins_updates_alone_are_learned(self):
        """By the meta-gradient of chains from what is drawn; other starts in each task, and none is learned."""
        agents = MetaMAPG(LearnedRates(1.0)), PolicyGradient(1.0)
        problem = make_problem(EXACT, "float64", agents)
        problem = dataclasses.replace(problem, populations=(NormalPolicies(problem.policies[0]), None))
        settings = TrainerSettings(chain_length=2, n_tasks=N_TASKS, jit_compile=False)
        trainer = MetaTrainer(problem, settings, SEEDS)
        states = trainer.initial_states(random.META_TRAIN, N_TASKS)
        starts = states[0].params[0].numpy()
        self.assertGreater(np.min(np.std(starts, axis=1)), 0.0)
        table, gradients = table_of(trainer, 0), trainer.compute().gradients[0]
        root_keys = Draws(problem, SEEDS).keys(random.META_TRAIN, 0)
        keys = [random.link_keys(root_keys, link) for link in range(3)]
        chain = adaptation.adapt(
            problem.estimator, agents, tuple(state.params for state in states),
            trainer.tasks(random.META_TRAIN, N_TASKS), keys,
        )
        expected = agents[0].meta_gradients(chain, 0).total.update
        self.assertAllClose(gradients.update, expected, rtol=1e-9, atol=1e-12)
        self.assertAllGreater(np.abs(expected), 1e-7)
        trainer.step()
        self.assertAllEqual(table_of(trainer, 0), table)
        self.assertAllGreater(np.abs(trainer.meta_params[0].update.numpy()), 0.01)

    def test_of_each_parameter_by_the_same_meta_learning_rate_if_none_is_given(self):
        agents = MetaMAPG(LearnedRatesPerParameter(1.0)), PolicyGradient(1.0)
        trainer = make_trainer(SEEDS, EXACT, False, "float64", agents, chain_length=2)
        before = trainer.meta_params[0].update[0].numpy()
        self.assertAllEqual(before, np.ones([len(SEEDS), 2, 5, 1]))
        gradients = trainer.compute().gradients[0].update[0].numpy()
        self.assertAllGreater(np.abs(gradients), 1e-7)
        trainer.step()
        moved = trainer.meta_params[0].update[0].numpy() - before
        # Adam's first step, where Keras has its ε of 10⁻⁷ beside √(1 − β₂) |g|.
        self.assertAllClose(moved, 0.1 * gradients / (np.abs(gradients) + 1e-7 / np.sqrt(0.001)), rtol=1e-4, atol=0)


class ConstructionTest(tf.test.TestCase):

    def test_parts_of_a_problem(self):
        problem = make_problem(EXACT, "float64")
        parts = {field.name: getattr(problem, field.name) for field in dataclasses.fields(Problem)}
        other = make_problem(EXACT, "float32")
        for name, value, message in (
            ("game", IteratedMatrixGame, r"game = <class .*>: must be a game, such as .*\(...\); this is a class"),
            ("policies", problem.policies[:1], r"policies = .*: must be a list of 2, one for each agent of the game"),
            ("policies", [tabular_policy] * 2, r"policies\[0\] = <function .*>: must be a policy; this is a function"),
            ("policies", other.policies, r"policies\[0\] = .*: must be made for this agent of this game: for .*"),
            ("agents", [MetaMAPG] * 2, r"agents\[0\] = <class .*>: must be an agent, such as .*; this is a class"),
            ("agents", MetaMAPG(), r"agents = MetaMAPG.*: must be a list of 2, one for each agent of the game"),
            ("estimator", ExactEstimator, r"estimator = <class .*>: must be an estimator, such as ExactEstimator.*"),
            ("estimator", other.estimator, r"estimator = ExactEstimator: must be made for this game .* policies"),
            ("estimator", make_problem(EXACT, "float64").estimator, r"estimator = .*: must be made for .* policies"),
            ("task_distribution", PayoffNoise, r"task_distribution = <class .*>: must be a task distribution, .*"),
            ("populations", [None], r"populations = \[None\]: must be a list of 2, one for each agent of the game"),
            ("populations", [None, Personas], r"populations\[1\] = <class .*>: must be None or a population, .*"),
            (
                "populations", [Personas(problem.policies[0]), None],
                r"populations\[0\] = Personas.*: must be None, as MetaMAPG learns its initial policy",
            ),
        ):
            with self.subTest(name, value=value), self.assertRaises(checks.InvalidInputError) as caught:
                Problem(**{**parts, name: value})
            self.assertRegex(str(caught.exception), f"^{message}$")

    def test_what_a_trainer_is_made_of(self):
        problem, settings = make_problem(EXACT, "float64"), TrainerSettings(jit_compile=False)
        for arguments, message in (
            ((Problem, settings, [0]), "problem = <class .*>: must be a Problem"),
            ((problem, TrainerSettings, [0]), "settings = <class .*>: must be TrainerSettings"),
            ((problem, settings, 0), "seeds = 0: must be a list of integers, one for each seed"),
            ((problem, settings, [0], 2), "workers = 2: must be workers, such as ALONE; see training.Workers"),
            ((problem, settings, []), r"seeds = \[\]: must be a list of integers, one for each seed"),
        ):
            with self.assertRaises(checks.InvalidInputError) as caught:
                MetaTrainer(*arguments)
            self.assertRegex(str(caught.exception), f"^{message}$")


if __name__ == "__main__":
    tf.test.main()
