"""Personas are what they are said to be, in splits that share nobody; populations are drawn stateless by seed."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.differentiable import bilinear_game
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.numerics import random
from tf_metamapg.policies.populations import NormalPolicies
from tf_metamapg.policies.populations import Personas
from tf_metamapg.policies.recurrent import lstm_policy
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.policies.vector import vector_policy
from tf_metamapg.training import learning
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer

PHASES = (random.META_TRAIN, random.META_VALIDATION, random.META_TEST)


def make_policy(table=None):
    game = IteratedMatrixGame(payoffs.prisoners_dilemma() if table is None else table, dtype="float64")
    return tabular_policy(game, 1)


def probs_of(policy, params):
    return policy.strategy(params).numpy()


class PersonasTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.named_parameters(
        ("prisoners_dilemma", payoffs.prisoners_dilemma()), ("rock_paper_scissors", payoffs.rock_paper_scissors())
    )
    def test_every_persona_of_every_phase(self, table):
        policy = make_policy(table)
        n_actions = policy.n_actions
        population = Personas(policy, n_train=50, n_validation=7, n_test=5)
        everyone = []
        for phase, size in zip(PHASES, (50, 7, 5)):
            params = population.sample(phase, random.root_keys([0, 1]), n_actions * size)
            probs = probs_of(policy, params)
            self.assertEqual(probs.shape, (2, n_actions * size, policy.n_observations, n_actions))
            favourites = probs.mean(axis=2).argmax(axis=-1)
            for s in range(2):
                # As many of each kind, and each of them once.
                self.assertAllEqual(np.bincount(favourites[s]), [size] * n_actions)
                self.assertLen(np.unique(probs[s, :, 0], axis=0), n_actions * size)
            favourite_probs = np.take_along_axis(probs, favourites[..., None, None], axis=-1)
            self.assertAllInRange(favourite_probs, 1.0 / n_actions - 1e-12, 1.0)
            # What is left is shared evenly.
            others = np.sort(probs, axis=-1)[..., :-1]
            self.assertAllClose(others, np.broadcast_to(others[..., :1], others.shape), rtol=1e-9, atol=1e-12)
            # Both seeds meet the same personas, in another order.
            self.assertAllClose(np.sort(probs[0], axis=0), np.sort(probs[1], axis=0), rtol=1e-12, atol=1e-12)
            self.assertNotAllClose(probs[0], probs[1])
            everyone.append(probs[0, :, 0])
        together = np.concatenate(everyone)
        self.assertLen(np.unique(together, axis=0), len(together))

    def test_favourite_probabilities_are_uniform(self):
        policy = make_policy()
        population = Personas(policy, n_train=2000)
        probs = probs_of(policy, population.sample(random.META_TRAIN, random.root_keys([0]), 4000))[0]
        # 20,000 numbers in [1/2, 1]: the largest distance of their distribution from the uniform one is below
        # √(log(2 / 0.001) / 2n) with confidence 99.9% (Dvoretzky, Kiefer & Wolfowitz 1956, Massart 1990).
        values = np.sort(2.0 * probs.max(axis=-1).ravel() - 1.0)
        n = values.size
        distance = np.max(np.abs(values - (np.arange(n) + 0.5) / n)) + 0.5 / n
        self.assertLess(distance, np.sqrt(np.log(2 / 0.001) / (2 * n)))

    def test_another_seed_is_another_population(self):
        policy = make_policy()
        one, again, other = (
            Personas(policy, seed=seed).sample(random.META_TEST, random.root_keys([0]), 40)[0] for seed in (0, 0, 1)
        )
        self.assertAllEqual(one, again)
        self.assertNotAllClose(one, other)

    def test_few_tasks_are_different_personas(self):
        population = Personas(make_policy())
        params = [population.sample(random.META_TRAIN, random.root_keys([seed]), 8)[0][0] for seed in range(30)]
        for personas in params:
            self.assertLen(np.unique(personas[:, 0]), 8)
        # Not always the same ones: 240 draws of 400 personas.
        self.assertGreater(len(np.unique(np.stack(params)[:, :, 0])), 150)

    def test_bad_input_is_rejected(self):
        policy = make_policy()
        for name, value in (("n_train", 0), ("n_validation", 1.5), ("n_test", -1), ("seed", "0")):
            with self.assertRaisesRegex(checks.InvalidInputError, f"^Personas.{name} = .*: must be"):
                Personas(policy, **{name: value})
        game = IteratedMatrixGame(payoffs.prisoners_dilemma())
        with self.assertRaises(checks.InvalidInputError) as caught:
            Personas(lstm_policy(game, 1))
        self.assertEqual(
            str(caught.exception),
            "Personas.policy = NetworkPolicy by lstm_policy(game=IteratedMatrixGame, agent_index=1, units=64): "
            "must be a tabular policy",
        )
        with self.assertRaisesRegex(checks.InvalidInputError, "^n_tasks = 41: must be at most 40"):
            Personas(policy).sample(random.META_TEST, random.root_keys([0]), 41)


class NormalPoliciesTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters((0.0, 1.0), (-2.0, 0.5))
    def test_mean_and_deviation(self, mean, stddev):
        game = IteratedMatrixGame(payoffs.prisoners_dilemma(), dtype="float64")
        policy = lstm_policy(game, 0, units=3)
        params = NormalPolicies(policy, mean, stddev).sample(random.META_TRAIN, random.root_keys([0, 1]), 50)
        self.assertEqual([leaf.shape[2:] for leaf in params], [leaf.shape for leaf in policy.reference_params])
        values = np.concatenate([np.ravel(leaf) for leaf in params])
        self.assertLen(np.unique(values), values.size)
        scaled = (values - mean) / stddev
        # Mean, mean square and mean fourth power within z standard deviations, 1/√n, √(2/n) and √(96/n), with
        # confidence 99.9%: z = Φ⁻¹(1 − 0.001 / 6) = 3.59.
        n = values.size
        for moment, expected, variance in ((1, 0.0, 1.0), (2, 1.0, 2.0), (4, 3.0, 96.0)):
            self.assertLess(abs(np.mean(scaled**moment) - expected), 3.59 * np.sqrt(variance / n))

    def test_parameter_vectors(self):
        policy = vector_policy(bilinear_game(), 0)
        params = NormalPolicies(policy).sample(random.META_TRAIN, random.root_keys([0, 1]), 3)
        self.assertEqual([leaf.shape for leaf in params], [[2, 3, *leaf.shape] for leaf in policy.reference_params])

    def test_seeds_depend_on_themselves_alone(self):
        population = NormalPolicies(make_policy())
        together = population.sample(random.META_TEST, random.root_keys([3, 4]), 5)[0]
        alone = population.sample(random.META_TEST, random.root_keys([4]), 5)[0]
        self.assertAllEqual(together[1:], alone)


class TrainerTest(tf.test.TestCase):

    def test_every_task_starts_from_a_policy_of_the_population(self):
        game = IteratedMatrixGame(payoffs.prisoners_dilemma(), dtype="float64")
        policies = [tabular_policy(game, agent) for agent in range(2)]
        population = Personas(policies[1])
        problem = Problem(
            game=game, policies=policies, agents=[MetaMAPG(0.1), PolicyGradient(1.0)],
            estimator=ExactEstimator(game, policies), task_distribution=PayoffNoise(game, width=0.0),
            populations=[None, population],
        )
        settings = TrainerSettings(chain_length=1, n_tasks=4, meta_learning_rate=0.1, jit_compile=False)
        trainer = MetaTrainer(problem, settings, [0, 1])
        own, opponent = (state.params for state in trainer.initial_states(random.META_TEST, 40))
        self.assertAllEqual(own[0], np.repeat(trainer.meta_params[0].initial[0].numpy()[:, np.newaxis], 40, axis=1))
        everyone = population.sample(random.META_TEST, random.root_keys([0]), 40)[0].numpy()
        for s in range(2):
            self.assertAllClose(np.sort(opponent[0][s], axis=0), np.sort(everyone[0], axis=0), rtol=1e-14, atol=0.0)
        # The mean reward at link 0 is that of the meta-agent against each of them.
        values = ExactEstimator(game, policies).mean_rewards(
            (own, opponent), tf.constant(np.broadcast_to(game.default_tasks, [2, 40, 2, 2, 2])), ()
        )
        curve = learning.evaluate(trainer, random.META_TEST, 0, 40).mean_reward
        self.assertAllClose(curve[:, 0, 0], np.mean(values[0], axis=1), rtol=1e-12, atol=0.0)
        before = trainer.meta_params[0].initial[0].numpy()
        opponents_before = trainer.meta_params[1].initial[0].numpy()
        trainer.step()
        self.assertGreater(np.min(np.abs(trainer.meta_params[0].initial[0].numpy() - before)), 0.0)
        self.assertAllEqual(trainer.meta_params[1].initial[0].numpy(), opponents_before)


if __name__ == "__main__":
    tf.test.main()
