"""Inner optimisers are what a plain loop says, and Theorem 1 is right through their moments."""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests.agents.meta_values import MetaValues
from tests.agents.meta_values import N_SEEDS
from tests.agents.meta_values import N_TASKS
from tests.agents.meta_values import NEVER_VISITED
from tests.agents.meta_values import VISITED
from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import links
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.lola_shaping import LOLAShaping
from tf_metamapg.agents.lola_taylor import LOLATaylor
from tf_metamapg.agents.look_ahead import LookAhead
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.optimizers import Adam
from tf_metamapg.agents.optimizers import Momentum
from tf_metamapg.agents.optimizers import RMSProp
from tf_metamapg.agents.optimizers import SGD
from tf_metamapg.agents.sos import SOS
from tf_metamapg.theorem import last_link
from tf_metamapg.theorem import mean_over_chain

# By name, how it is made, with ε of the order of g².
OPTIMIZERS = {
    "SGD": SGD,
    "Momentum": lambda max_gradient_norm=None: Momentum(0.7, max_gradient_norm),
    "RMSProp": lambda max_gradient_norm=None: RMSProp(0.8, 0.05, max_gradient_norm),
    "Adam": lambda max_gradient_norm=None: Adam(0.8, 0.9, 0.05, max_gradient_norm),
}
DIRECTIONS = {
    "PolicyGradient": lambda optimizer: PolicyGradient(0.5, optimizer),
    "LookAhead": lambda optimizer: LookAhead(0.5, 0.4, optimizer),
    "LOLAShaping": lambda optimizer: LOLAShaping(0.5, 0.4, optimizer),
    "LOLATaylor": lambda optimizer: LOLATaylor(0.5, 0.4, optimizer),
    "LOLADiCE": lambda optimizer: LOLADiCE(0.5, 0.4, optimizer=optimizer),
    "SOS": lambda optimizer: SOS(0.5, 0.4, optimizer=optimizer),
    "MetaMAPG": lambda optimizer: MetaMAPG(0.5, optimizer),
}
# Between the lengths of the gradients of seeds and tasks.
NORM = 0.7


def steps_by_hand(name, gradients, norm):
    """The steps of one seed and task, as textbooks have them, but for an ε inside of the root: lists of vectors."""
    first, second, steps = 0.0, 0.0, []
    for count, gradient in enumerate(gradients, start=1):
        length = np.sqrt(np.sum(gradient**2))
        if norm is not None and length > norm:
            gradient = gradient * norm / length
        if name == "SGD":
            steps.append(gradient)
        elif name == "Momentum":
            first = 0.7 * first + gradient
            steps.append(first)
        elif name == "RMSProp":
            second = 0.8 * second + 0.2 * gradient**2
            steps.append(gradient / np.sqrt(second + 0.05))
        else:
            first, second = 0.8 * first + 0.2 * gradient, 0.9 * second + 0.1 * gradient**2
            steps.append(first / (1 - 0.8**count) / np.sqrt(second / (1 - 0.9**count) + 0.05))
    return steps


class StepTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(name=list(OPTIMIZERS), norm=[None, 2.0], dtype=["float32", "float64"])
    def test_against_a_plain_loop(self, name, norm, dtype):
        """Three steps of parameters of two variables, of which some derivatives are exact zeros."""
        optimizer = OPTIMIZERS[name](norm)
        generator = np.random.default_rng(0)
        scales = generator.uniform(0.1, 2.0, size=[2, 3, 1, 1])
        gradients = [
            (scales * generator.normal(size=[2, 3, 2, 3]), scales[..., 0] * generator.normal(size=[2, 3, 4]))
            for _ in range(3)
        ]
        for matrix, vector in gradients:
            matrix[:, :, 1, 1], vector[0] = 0.0, 0.0
        moments = optimizer.init(tuple(tf.zeros(leaf.shape, dtype) for leaf in gradients[0]))
        steps = []
        for leaves in gradients:
            step, next_moments = optimizer.direction(tuple(tf.constant(leaf, dtype) for leaf in leaves), moments)
            tf.nest.map_structure(lambda one, other: self.assertEqual(one.dtype, other.dtype), moments, next_moments)
            steps.append(step)
            moments = next_moments
        lengths = []
        for s, n in np.ndindex(2, 3):
            by_step = [np.concatenate([leaf[s, n].ravel() for leaf in leaves]) for leaves in gradients]
            lengths += [np.linalg.norm(gradient) for gradient in by_step]
            for step, expected in zip(steps, steps_by_hand(name, by_step, norm)):
                actual = np.concatenate([leaf[s, n].numpy().ravel() for leaf in step])
                self.assertEqual(actual.dtype, dtype)
                tolerance = 1e-12 if dtype == "float64" else 1e-5
                self.assertAllClose(actual, expected, rtol=tolerance, atol=tolerance)
        self.assertBetween(np.mean(np.array(lengths) > 2.0), 0.2, 0.8)

    @parameterized.product(name=list(OPTIMIZERS), norm=[None, 2.0])
    def test_what_is_not_finite_stays_with_its_seed_and_task(self, name, norm):
        optimizer = OPTIMIZERS[name](norm)
        gradients = np.random.default_rng(0).normal(size=[2, 3, 4])
        for value in (np.nan, np.inf):
            bad = gradients.copy()
            bad[1, 2, 3] = value
            moments = optimizer.init((tf.zeros([2, 3, 4], tf.float64),))
            good, spoiled = (
                optimizer.direction((tf.constant(each),), moments)[0][0].numpy() for each in (gradients, bad)
            )
            self.assertFalse(np.all(np.isfinite(spoiled[1, 2])))
            spoiled[1, 2] = good[1, 2]
            self.assertAllEqual(spoiled, good)

    @parameterized.parameters(("Adam()", "see contracts.InnerOptimizer"), (3, "see"), (Adam, "this is a class"))
    def test_an_agent_takes_an_optimizer_that_is_made(self, value, hint):
        with self.assertRaises(checks.InvalidInputError) as caught:
            PolicyGradient(1.0, value)
        self.assertStartsWith(
            str(caught.exception),
            f"PolicyGradient.optimizer = {value!r}: must be an optimiser, such as Adam(); {hint}",
        )


class TheoremTest(tf.test.TestCase, parameterized.TestCase):

    def check_terms(self, agents, agent_index, chain_length=2):
        values = MetaValues(agents, chain_length)
        weights = mean_over_chain(chain_length)
        chain = values.chain()
        terms = agents[agent_index].meta_gradients(chain, agent_index)
        (total,), (own,) = values.derivatives(chain, agent_index, weights)
        scale = np.max(np.abs(total))
        self.assertAllClose(terms.total.initial[0], total, rtol=0.0, atol=1e-7 * scale)
        self.assertAllClose(terms.self_shaping.initial[0], own, rtol=0.0, atol=1e-7 * scale)
        self.assertAllClose(terms.opponent_shaping.initial[0], total - own, rtol=0.0, atol=2e-7 * scale)
        self.assertAllEqual(terms.current_policy.initial[0], np.zeros_like(total))
        # What is never seen has nothing to do with it, and what is seen has, in each term.
        for term in terms:
            self.assertAllEqual(term.initial[0][:, NEVER_VISITED], np.zeros([N_SEEDS, 1, 1]))
        for term in (own, total - own):
            self.assertTrue(np.all(np.max(np.abs(term[:, VISITED]), axis=(1, 2)) > 1e-3))
        return values, chain, terms

    @parameterized.product(name=list(OPTIMIZERS), direction=list(DIRECTIONS))
    def test_each_term_against_finite_differences(self, name, direction):
        """Over two updates, so that moments are handed on; the opponent goes in each direction that there is."""
        self.check_terms((MetaMAPG(0.6, OPTIMIZERS[name]()), DIRECTIONS[direction](OPTIMIZERS[name]())), 0)

    @parameterized.product(name=["SGD", "Adam"], direction=["PolicyGradient", "LOLATaylor", "SOS"])
    def test_gradients_that_are_shortened(self, name, direction):
        agents = MetaMAPG(0.6, OPTIMIZERS[name](NORM)), DIRECTIONS[direction](OPTIMIZERS[name](NORM))
        values, chain, _ = self.check_terms(agents, 0)
        objectives = links.Objectives(values.estimator, values.tasks, chain.links[0])
        lengths = [
            np.linalg.norm(agent.gradients(objectives, index)[0], axis=(2, 3)) for index, agent in enumerate(agents)
        ]
        self.assertBetween(np.mean(np.array(lengths) > NORM), 0.1, 0.9)
        self.assertGreater(np.min(np.abs(np.array(lengths) - NORM)), 1e-2)

    @parameterized.product(name=["SGD", "Adam"], direction=["PolicyGradient", "LOLATaylor"])
    def test_entropy_bonuses(self, name, direction):
        """Both agents have one, the limit holds for gradients with it, and it changes what there is to shape."""
        kind = {"PolicyGradient": PolicyGradient, "LOLATaylor": LOLATaylor}[direction]

        def agents(bonus):
            return (
                MetaMAPG(0.6, OPTIMIZERS[name](NORM), entropy_bonus=bonus),
                kind(0.5, optimizer=OPTIMIZERS[name](NORM), entropy_bonus=bonus),
            )

        *_, with_bonus = self.check_terms(agents(0.5), 0)
        plain = agents(0.0)
        without = plain[0].meta_gradients(MetaValues(plain, 2).chain(), 0)
        for term in ("self_shaping", "opponent_shaping"):
            one, other = (getattr(terms, term).initial[0][:, VISITED] for terms in (with_bonus, without))
            self.assertGreater(np.max(np.abs(one - other)), 1e-2)

    def test_three_updates(self):
        """Moments of moments, and the number of steps in Adam's corrections."""
        self.check_terms((MetaMAPG(0.6, Adam(0.8, 0.9, 0.05)), PolicyGradient(0.5, Momentum(0.7))), 0, chain_length=3)
        self.check_terms((PolicyGradient(0.5, RMSProp(0.8, 0.05)), MetaMAPG(0.6, Adam(0.8, 0.9, 0.05))), 1, 3)


class ShapingTest(tf.test.TestCase):
    """How much there is to shape of an opponent whose steps hardly depend on the length of its gradients."""

    def shaping(self, optimizer, chain_length=1):
        """(the largest entry of opponent-shaping, the mean square of the opponent's gradient where it is not zero)."""
        agents = MetaMAPG(0.5, value_weights=last_link), PolicyGradient(0.5, optimizer)
        values = MetaValues(agents, chain_length)
        chain = values.chain()
        objectives = links.Objectives(values.estimator, values.tasks, chain.links[0])
        gradients = objectives.gradients(1, with_respect_to=1)[0].numpy()
        shaping = agents[0].meta_gradients(chain, 0).opponent_shaping.initial[0]
        (total,), (own,) = values.derivatives(chain, 0, last_link(chain_length))
        self.assertAllClose(shaping, total - own, rtol=0.0, atol=2e-7 * np.max(np.abs(total)))
        return np.max(np.abs(shaping)), np.mean(gradients[:, :, VISITED] ** 2)

    def test_one_update_of_adam_is_next_to_dead_with_a_small_epsilon(self):
        """Finite differences agree, of what is dead and of what is alive."""
        plain, square = self.shaping(SGD())
        self.assertGreater(plain, 1e-2)
        for make in (lambda epsilon: Adam(epsilon=epsilon), lambda epsilon: RMSProp(epsilon=epsilon)):
            dead, _ = self.shaping(make(1e-12))
            alive, _ = self.shaping(make(square))
            self.assertLess(dead, 1e-6)
            # As steps are longer where gradients are small, more than a tenth remains.
            self.assertGreater(alive, 0.1 * plain)

    def test_a_second_update_knows_of_the_first(self):
        """m and v mix gradients, of which the proportions depend on what there was before, whatever ε is."""
        for make in (Adam, RMSProp):
            one, _ = self.shaping(make(epsilon=1e-12), chain_length=1)
            two, _ = self.shaping(make(epsilon=1e-12), chain_length=2)
            self.assertGreater(two, 1e-4)
            self.assertGreater(two, 1e3 * one)


class StateTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(name=list(OPTIMIZERS), dtype=["float32", "float64"])
    def test_structure_and_dtypes_stay_and_nothing_is_traced_again(self, name, dtype):
        agents = [PolicyGradient(0.5, OPTIMIZERS[name](norm)) for norm in (None, NORM)]
        values = MetaValues(agents, 0, dtype)
        (link,) = values.chain().links
        update = tf.function(
            lambda link: adaptation.inner_update(
                links.Objectives(values.estimator, values.tasks, link), agents, ((), ())
            ),
            autograph=False,
        )
        states = [link.agent_states]
        for _ in range(3):
            states.append(update(link._replace(agent_states=states[-1])))
        self.assertEqual(update.experimental_get_tracing_count(), 1)
        for before, after in itertools.pairwise(states):
            tf.nest.assert_same_structure(before, after)
            for leaf, next_leaf in zip(tf.nest.flatten(before), tf.nest.flatten(after)):
                self.assertEqual((leaf.dtype, leaf.shape), (next_leaf.dtype, next_leaf.shape))
                self.assertEqual(leaf.dtype, dtype)
                self.assertEqual(leaf.shape[:2], [N_SEEDS, N_TASKS])
        n_leaves = {"SGD": 1, "Momentum": 2, "RMSProp": 2, "Adam": 4}[name]
        self.assertLen(tf.nest.flatten(states[-1][0]), n_leaves)

    def test_seeds_and_tasks_have_moments_of_their_own(self):
        agents = [PolicyGradient(0.5, Adam(0.8, 0.9, 0.05)), PolicyGradient(0.5, Momentum(0.7))]
        values = MetaValues(agents, 2)
        together = values.chain().links[-1].agent_states
        values.tasks = tf.concat([values.tasks[:1], -values.tasks[1:]], axis=0)
        other = values.chain().links[-1].agent_states
        for leaf, other_leaf in zip(tf.nest.flatten(together), tf.nest.flatten(other)):
            self.assertAllEqual(leaf[0], other_leaf[0])
        for moments, other_moments in zip(together, other):
            self.assertNotAllClose(moments.extra[0], other_moments.extra[0])


if __name__ == "__main__":
    tf.test.main()
