"""Proves what a run may be: sizes that fit, what it is compared by, and that it is compiled where that pays."""

import dataclasses
import functools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg.runs import choices
from tf_metamapg.runs.callbacks import EarlyStopping
from tf_metamapg.runs.settings import EvaluationSettings
from tf_metamapg.runs.settings import Experiment
from tf_metamapg.runs.settings import RunSettings
from tf_metamapg.runs.settings import Stage
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings


def sampled(n_trajectories=64, horizon=50):
    return lambda game, policies: mapg.LoadedDiceEstimator(game, policies, n_trajectories, horizon)


AGENTS = (mapg.MetaMAPG(), mapg.PolicyGradient())


NAIVE = (mapg.PolicyGradient(), mapg.PolicyGradient())


def problem(make_estimator=mapg.ExactEstimator, agents=AGENTS, make_population=None):
    """The iterated prisoner's dilemma; agent 1 may be of a population."""
    game = mapg.IteratedMatrixGame(mapg.payoffs.prisoners_dilemma())
    policies = [mapg.tabular_policy(game, agent) for agent in range(2)]
    return Problem(
        game=game, policies=policies, agents=agents, estimator=make_estimator(game, policies),
        task_distribution=mapg.PayoffNoise(game), populations=(None, make_population and make_population(policies[1])),
    )


def experiment(own_problem, trainer=(), evaluation=(), run=()):
    """An experiment with some numbers of its settings, and the others as they are by default."""
    return Experiment(
        problem=own_problem, trainer=TrainerSettings(**dict(trainer)),
        evaluation=EvaluationSettings(**dict(evaluation)), run=RunSettings(**dict(run)),
    )


class BlocksTest(tf.test.TestCase):

    def test_the_smallest_number_of_which_each_worker_has_one(self):
        score_function = functools.partial(mapg.ScoreFunctionEstimator, n_trajectories=2, horizon=3)
        for make_estimator, n_seeds, n_tasks, n_workers, n_blocks in (
            (sampled(), 20, 8, 1, 1), (sampled(), 20, 8, 2, 2), (sampled(), 20, 8, 3, 4), (sampled(), 1, 8, 3, 4),
            (score_function, 5, 8, 2, 5), (score_function, 20, 8, 3, 4),
        ):
            with self.subTest(n_seeds=n_seeds, n_workers=n_workers):
                own = experiment(problem(make_estimator, AGENTS), {"n_tasks": n_tasks}, run={"n_seeds": n_seeds})
                self.assertEqual(choices.blocks_for(own, n_workers), n_blocks)
        own = experiment(problem(score_function, AGENTS), run={"n_seeds": 1})
        with self.assertRaises(mapg.InvalidInputError) as caught:
            choices.blocks_for(own, 2)
        self.assertEqual(
            str(caught.exception), "--workers = 2: needs train.n_blocks, which must be a divisor of n_seeds, 1, as the "
            "current-policy term of sampled inner updates compares the tasks of a seed",
        )


class CompilingTest(tf.test.TestCase):

    def pays(self, make_estimator, agents=AGENTS, *, chain_length=1, n_tasks=8, **numbers):
        evaluation_fields = {field.name for field in dataclasses.fields(EvaluationSettings)}
        evaluation = {name: number for name, number in numbers.items() if name in evaluation_fields}
        run = {name: number for name, number in numbers.items() if name not in evaluation_fields}
        trainer = TrainerSettings(chain_length=chain_length, n_tasks=n_tasks)
        return choices.compiling_pays(
            problem(make_estimator, agents), trainer, EvaluationSettings(**evaluation), RunSettings(**run)
        )

    def test_it_pays_for_long_runs(self):
        # As in ipd.gin: 150 meta-updates of two links with 20 · 8 · 64 · 50 environment steps each, and two
        # evaluations of six links.
        self.assertTrue(self.pays(sampled(), n_meta_updates=150))
        # As in ipd_lola.gin: nothing but held-out tasks, for 301 links.
        self.assertTrue(self.pays(sampled(), NAIVE, n_inner_updates=300, n_evaluation_tasks=8))
        # Many links of few steps, each of which is a matter of many small operations.
        self.assertTrue(self.pays(sampled(8, 8), n_seeds=1, n_tasks=1, n_evaluation_tasks=1, n_meta_updates=5_000))

    def test_it_does_not_pay_for_short_runs(self):
        self.assertFalse(self.pays(sampled(), n_meta_updates=10, n_evaluation_tasks=1))

    def test_meta_validations_count(self):
        numbers = {"n_meta_updates": 10, "n_evaluation_tasks": 1, "n_inner_updates": 30}
        self.assertFalse(self.pays(sampled(), **numbers))
        self.assertFalse(self.pays(sampled(), **numbers, validate_every=4))
        self.assertTrue(self.pays(sampled(), **numbers, validate_every=1))
        # Those of earlier stages, too.
        stages = [Stage(chain_length=0, n_meta_updates=30)]
        self.assertFalse(self.pays(sampled(), **numbers, earlier_stages=stages))
        self.assertTrue(self.pays(sampled(), **numbers, earlier_stages=stages, validate_every=1))

    def test_earlier_stages_count(self):
        few = {"n_meta_updates": 1, "n_evaluation_tasks": 1, "n_inner_updates": 1}
        self.assertFalse(self.pays(sampled(), **few))
        self.assertTrue(self.pays(sampled(), **few, earlier_stages=[Stage(chain_length=30, n_meta_updates=100)]))
        # Each is compiled anew.
        short = [Stage(chain_length=1, n_meta_updates=1)] * 40
        self.assertTrue(self.pays(sampled(), n_meta_updates=150))
        self.assertFalse(self.pays(sampled(), n_meta_updates=150, earlier_stages=short))

    def test_it_does_not_pay_without_samples(self):
        self.assertFalse(self.pays(mapg.ExactEstimator, n_meta_updates=50_000))


class NumbersTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(
        (EvaluationSettings, "n_inner_updates", -1, "an integer ≥ 0"),
        (EvaluationSettings, "n_evaluation_tasks", 0, "an integer ≥ 1"),
        (EvaluationSettings, "validate_every", 0, "an integer ≥ 1"),
        (RunSettings, "n_seeds", 0, "an integer ≥ 1"),
        (RunSettings, "n_seeds", 100_001, "an integer ≤ 100000"),
        (RunSettings, "first_seed", -1, "an integer ≥ 0"),
        (RunSettings, "first_seed", 2**31 - 19, "such that all seeds are below 2³¹"),
        (RunSettings, "n_meta_updates", -1, "an integer ≥ 0"),
        (RunSettings, "checkpoint_every", 0, "an integer ≥ 1"),
        (RunSettings, "export_all_seeds", 1, "True or False"),
        (RunSettings, "export_learning", 0, "True or False"),
    )
    def test_refused(self, kind, name, value, allowed):
        with self.assertRaisesRegex(mapg.InvalidInputError, rf"^{name} = {value}: must be {allowed}"):
            kind(**{name: value})

    def test_seeds(self):
        self.assertEqual([*RunSettings(n_seeds=3, first_seed=2**31 - 3).seeds], [2**31 - 3, 2**31 - 2, 2**31 - 1])


class ExperimentTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(
        # Of each seed and task 8 payoffs and 2 · 5 logits, and of every step each agent's observation, action, reward.
        (sampled(64, 50), {}, "(times 20 seeds and 3200 steps)", 4 * 20 * (18 + 6 * 3200) * 10**9),
        (mapg.ExactEstimator, {"n_seeds": 3}, "(times 3 seeds and 0 steps)", 4 * 3 * 18 * 10**9),
    )
    def test_memory(self, make_estimator, run, sizes, n_bytes):
        for settings_of, name in (("trainer", "n_tasks"), ("evaluation", "n_evaluation_tasks")):
            with self.assertRaises(mapg.InvalidInputError) as raised:
                experiment(problem(make_estimator), run=run, **{settings_of: {name: 10**9}})
            start = f"{name} {sizes} = 1000000000: must be smaller, as it takes {n_bytes / 1e9:.3g} GB"
            self.assertStartsWith(str(raised.exception), start)

    def test_memory_of_vectors(self):
        game = mapg.LinearQuadraticGame(np.eye(3), [np.ones([3, 2])] * 2, np.stack([np.eye(3)] * 2), np.ones(3))
        policies = [mapg.mlp_policy(game, agent, [1]) for agent in range(2)]
        vectors = Problem(
            game=game, policies=policies, agents=[mapg.MetaPG()] * 2, estimator=sampled(1, 10)(game, policies),
            task_distribution=mapg.DefaultTasks(game),
        )
        numbers = tf.nest.flatten([game.default_tasks, [policy.reference_params for policy in policies]])
        n_bytes = 4 * (sum(np.size(leaf) for leaf in numbers) + 10 * 2 * (3 + 2 + 1)) * 10**9
        with self.assertRaisesRegex(mapg.InvalidInputError, f"takes {n_bytes / 1e9:.3g} GB"):
            experiment(vectors, trainer={"n_tasks": 10**9}, run={"n_seeds": 1})

    def test_populations_must_be_large_enough(self):
        def few_personas(policy):
            return mapg.Personas(policy, n_train=4, n_validation=3, n_test=2)

        fits = {"trainer": {"n_tasks": 8}, "evaluation": {"n_evaluation_tasks": 4}}
        own_problem = problem(make_population=few_personas)
        experiment(own_problem, **fits)
        for settings_of, name, n_tasks, which in (
            ("trainer", "n_tasks", 9, "at most 8,.* see Personas.n_train"),
            ("evaluation", "n_evaluation_tasks", 5, "at most 4,.* see Personas.n_test"),
            ("evaluation", "n_evaluation_tasks", 7, "at most 6,.* see Personas.n_validation"),
        ):
            with self.assertRaisesRegex(mapg.InvalidInputError, f"^{name} = {n_tasks}: must be {which}"):
                experiment(own_problem, **{**fits, settings_of: {name: n_tasks}})

    @parameterized.parameters((0, 5, [0]), (1, 5, [1]), (3, 5, [1, 2, 3]), (3, 2, [1, 2]), (3, 0, [0]))
    def test_seeds_are_compared_after_the_updates_they_are_trained_for(self, trained, evaluated, links):
        mean_reward = np.random.default_rng(0).normal(size=[4, evaluated + 1, 2])
        self.assertAllClose(experiment(problem()).scores(mean_reward, trained), mean_reward[:, links, 0].mean(axis=1))

    def test_seeds_are_compared_at_the_end_where_nobody_meta_learns(self):
        mean_reward = np.random.default_rng(0).normal(size=[4, 3, 2])
        own = experiment(problem(agents=[mapg.PolicyGradient()] * 2))
        self.assertAllClose(own.scores(mean_reward, 1), mean_reward[:, 2].mean(axis=-1))

    def test_early_stopping_needs_validations(self):
        run = {"callbacks": [EarlyStopping()]}
        experiment(problem(), evaluation={"validate_every": 1}, run=run)
        for agents, evaluation in ((AGENTS, {}), (NAIVE, {"validate_every": 1})):
            with self.assertRaisesRegex(mapg.InvalidInputError, r"^callbacks.0. = EarlyStopping.*no meta-validations"):
                experiment(problem(agents=agents), evaluation=evaluation, run=run)

    def test_tasks_that_there_are_not_cannot_be_exported(self):
        refusal = r"^export_tasks\[1\] = 4: must be below n_evaluation_tasks, 4"
        with self.assertRaisesRegex(mapg.InvalidInputError, refusal):
            experiment(problem(), evaluation={"n_evaluation_tasks": 4}, run={"export_tasks": [3, 4]})

    @parameterized.parameters(
        ((mapg.MetaMAPG(), mapg.PolicyGradient()), [0], 1.0), ((mapg.PolicyGradient(), mapg.MetaPG()), [1], 3.0),
        ((mapg.MetaMAPG(), mapg.MetaPG()), [0, 1], 2.0), ((mapg.PolicyGradient(), mapg.SOS()), [0, 1], 2.0),
    )
    def test_seeds_are_compared_by_the_meta_agents(self, agents, compared, mean):
        own = experiment(problem(agents=agents))
        self.assertEqual(own.compared_agents, compared)
        self.assertAllEqual(own.compared(np.array([[1.0, 3.0], [-1.0, -3.0]])), [mean, -mean])


if __name__ == "__main__":
    tf.test.main()
