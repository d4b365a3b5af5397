"""Theorem 1, term by term: exact gradients against finite differences, sampled against exact ones."""

import collections
import functools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import links
from tf_metamapg import theorem
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.meta_pg import MetaPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.contracts import AgentState
from tf_metamapg.critics.baselines import LeaveOneOutBaseline
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.linear_quadratic import LinearQuadraticGame
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.numerics import random
from tf_metamapg.policies.mlp import mlp_policy
from tf_metamapg.policies.recurrent import lstm_policy
from tf_metamapg.policies.tabular import tabular_policy

N_SEEDS, N_TASKS = 2, 3


class Setting:
    """A game with random payoffs, agents with different inner learning rates, and an estimator."""

    def __init__(self, n_agents=2, make_estimator=ExactEstimator, payoff_table=None, dtype="float64", n_tasks=N_TASKS):
        generator = np.random.default_rng(n_agents)
        if payoff_table is None:
            payoff_table = generator.normal(size=[n_agents] + [2] * n_agents)
        self.game = IteratedMatrixGame(payoff_table, discount=0.9, dtype=dtype)
        self.policies = [tabular_policy(self.game, agent) for agent in range(n_agents)]
        self.estimator = make_estimator(self.game, self.policies)
        self.agents = [PolicyGradient(0.3 + 0.2 * agent) for agent in range(n_agents)]
        self.initial_params = tuple(policy.initial_params(range(N_SEEDS)) for policy in self.policies)
        self.tasks = PayoffNoise(self.game, width=0.3).sample(random.root_keys(range(N_SEEDS)), n_tasks)
        self.n_tasks = n_tasks

    def chain(self, chain_length, initial_params=None, compile_fn=adaptation.identity, tasks=None):
        initial_params = adaptation.for_each_task(initial_params or self.initial_params, self.n_tasks)
        root_keys = random.root_keys(range(initial_params[0][0].shape[0]))
        keys = [random.fold_in(root_keys, link) for link in range(chain_length + 1)]
        tasks = self.tasks if tasks is None else tasks
        return adaptation.adapt(self.estimator, self.agents, initial_params, tasks, keys, compile_fn=compile_fn)

    def updated(self, joint_params):
        """φ_{l+1} of exact updates."""
        objectives = self.objectives(joint_params, self.tasks)
        states = adaptation.inner_update(objectives, self.agents, ((),) * len(self.agents))
        return tuple(state.params for state in states)

    def objectives(self, joint_params, tasks):
        keys = random.root_keys(range(joint_params[0][0].shape[0]))
        return links.Objectives(self.estimator, tasks, links.Link(tuple(map(AgentState, joint_params)), (), keys))

    def value(self, joint_params, agent, tasks=None):
        """Vⁱ, averaged over tasks: [S]."""
        tasks = self.tasks if tasks is None else tasks
        return tf.reduce_mean(self.estimator.objectives(joint_params, tasks, ())[agent], axis=1)

    def meta_value(self, own_table, agent, weights, held=None):
        """Σ_l w_l Vⁱ(φ_l) as a function of one agent's table, [P · S], of P points for each seed.

        `held` are links whose opponents' parameters replace those of the chain, so that nothing
        reaches the value through an opponent.
        """
        n_points = own_table.shape[0] // N_SEEDS
        params, tasks = list(tiled(self.initial_params, n_points)), tiled(self.tasks, n_points)
        params[agent] = (own_table,)
        if held is None:
            chain = self.chain(len(weights) - 1, tuple(params), tasks=tasks)
            values = zip(weights, chain.links)
            return sum(weight * self.value(link.joint_params, agent, tasks) for weight, link in values)
        own, total = adaptation.for_each_task(tuple(params), self.n_tasks)[agent], 0.0
        for step, (weight, link) in enumerate(zip(weights, held)):
            joint_params = list(tiled(link.joint_params, n_points))
            joint_params[agent] = own
            total += weight * self.value(joint_params, agent, tasks)
            if step + 1 < len(weights):
                objectives = self.objectives(joint_params, tasks)
                own = self.agents[agent].update(AgentState(own), objectives, agent, ()).params
        return total


def tiled(structure, times):
    """A structure of tensors [S, ...], all seeds again and again: [times · S, ...]."""
    return tf.nest.map_structure(lambda leaf: tf.tile(leaf, [times, *[1] * (len(leaf.shape) - 1)]), structure)


def finite_differences(objective, table, step=2e-3):
    """The gradient of an objective [P · S, n, 1] → [P · S] to fourth order in `step`, all points at once."""
    n_seeds, size, _ = table.shape
    shifts = np.multiply.outer(np.array([1, -1, 2, -2]), step * np.eye(size)).reshape([4 * size, 1, size, 1])
    points = (table + shifts).reshape([4 * size * n_seeds, size, 1])
    near, near_back, far, far_back = np.reshape(objective(tf.constant(points)), [4, size, n_seeds])
    gradient = (8 * (near - near_back) - (far - far_back)) / (12 * step)
    return gradient.T[..., np.newaxis]


def in_table(term):
    """What a term says of the initial table of logits: [S, n_observations, 1]."""
    return term.initial[0]


def relative_error(actual, expected):
    return np.max(np.abs(actual - expected)) / np.max(np.abs(expected))


class ExactTermsTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(*((n, length) for n in (2, 3) for length in (1, 2, 3)), (4, 1), (5, 1))
    def test_terms_against_finite_differences(self, n_agents, chain_length):
        setting = Setting(n_agents)
        weights = theorem.mean_over_chain(chain_length)
        chain = setting.chain(chain_length)
        for agent in range(n_agents):
            terms = MetaMAPG().meta_gradients(chain, agent)
            table = setting.initial_params[agent][0].numpy()
            total = finite_differences(lambda t, agent=agent: setting.meta_value(t, agent, weights), table)
            own = finite_differences(lambda t, agent=agent: setting.meta_value(t, agent, weights, chain.links), table)
            self.assertLess(relative_error(in_table(terms.total), total), 1e-7)
            self.assertLess(relative_error(in_table(terms.self_shaping), own), 1e-7)
            self.assertLess(relative_error(in_table(terms.opponent_shaping), total - own), 1e-6)
            self.assertAllEqual(in_table(terms.current_policy), np.zeros_like(table))
            # The differences would not notice a term that is zero beside a large one.
            self.assertGreater(np.max(np.abs(total - own)), 1e-3)
            self.assertGreater(np.max(np.abs(own)), 1e-3)

    @parameterized.parameters(*((n, length) for n in (2, 3) for length in (0, 1, 2, 3)), (5, 2))
    def test_total_is_that_of_one_outer_tape_around_the_whole_chain(self, n_agents, chain_length):
        setting = Setting(n_agents)
        weights = theorem.mean_over_chain(chain_length)
        chain = setting.chain(chain_length)
        with tf.GradientTape(persistent=True) as outer_tape:
            outer_tape.watch(setting.initial_params)
            taped = setting.chain(chain_length).links
            values = [
                sum(w * setting.value(link.joint_params, agent) for w, link in zip(weights, taped))
                for agent in range(n_agents)
            ]
        for agent in range(n_agents):
            expected = outer_tape.gradient(values[agent], setting.initial_params[agent])[0]
            terms = theorem.meta_gradients(chain, agent, weights)
            self.assertLess(relative_error(in_table(terms.total), expected.numpy()), 1e-12)

    def test_one_update_is_the_formula_of_theorem_1(self):
        """Both shaping terms from explicit Jacobians dφ^j/dθⁱ, multiplied out."""
        setting = Setting(n_agents=3)
        first, last = setting.chain(1).links
        with tf.GradientTape() as value_tape:
            value_tape.watch(last.joint_params)
            value = setting.estimator.objectives(last.joint_params, setting.tasks, ())[1]
        slopes = value_tape.gradient(value, last.joint_params)
        with tf.GradientTape(persistent=True) as update_tape:
            update_tape.watch(first.joint_params)
            updated = setting.updated(first.joint_params)
            flat = [tf.reshape(params[0], [N_SEEDS * N_TASKS, -1]) for params in updated]
        terms = theorem.meta_gradients(setting.chain(1), 1, (0.0, 1.0))
        pulled_back = []
        for j in range(3):
            jacobian = update_tape.jacobian(flat[j], first.joint_params[1][0])
            jacobian = tf.reduce_sum(jacobian, axis=0)[..., 0]  # [φ^j, S, N, θ¹]; other tasks' blocks are zero
            slope = tf.reshape(slopes[j][0], [N_SEEDS, N_TASKS, -1])
            pulled_back.append(tf.reduce_mean(tf.einsum("snp,psnq->snq", slope, jacobian), axis=1))
        self.assertLess(relative_error(in_table(terms.self_shaping)[..., 0], pulled_back[1].numpy()), 1e-12)
        others = (pulled_back[0] + pulled_back[2]).numpy()
        self.assertLess(relative_error(in_table(terms.opponent_shaping)[..., 0], others), 1e-12)

    def test_value_weights(self):
        setting = Setting()
        weights = (0.5, 0.0, 2.0)
        terms = theorem.meta_gradients(setting.chain(2), 0, weights)
        table = setting.initial_params[0][0].numpy()
        expected = finite_differences(lambda t: setting.meta_value(t, 0, weights), table)
        self.assertLess(relative_error(in_table(terms.total), expected), 1e-7)
        first_link = finite_differences(lambda t: setting.meta_value(t, 0, (0.5,)), table)
        self.assertLess(relative_error(in_table(terms.current_policy), first_link), 1e-7)

    def test_without_inner_updates_it_is_the_policy_gradient(self):
        setting = Setting()
        chain = setting.chain(0)
        terms = theorem.meta_gradients(chain, 1, (1.0,))
        objectives = links.Objectives(setting.estimator, setting.tasks, chain.links[0])
        gradients = objectives.gradients(1, with_respect_to=1)
        self.assertAllClose(in_table(terms.total), tf.reduce_mean(gradients[0], axis=1), rtol=1e-12, atol=1e-15)
        self.assertAllEqual(in_table(terms.self_shaping), tf.zeros_like(in_table(terms.self_shaping)))
        self.assertAllEqual(in_table(terms.opponent_shaping), tf.zeros_like(in_table(terms.opponent_shaping)))

    def test_opponents_that_do_not_learn_cannot_be_shaped(self):
        setting = Setting()
        setting.agents[1] = PolicyGradient(0.0)
        terms = MetaMAPG().meta_gradients(setting.chain(2), 0)
        self.assertAllEqual(in_table(terms.opponent_shaping), tf.zeros_like(in_table(terms.opponent_shaping)))
        self.assertNotAllClose(in_table(terms.self_shaping), tf.zeros_like(in_table(terms.self_shaping)))

    def test_agents_that_start_from_the_very_same_tensors(self):
        """To a tape one tensor is one thing, but what agents share is not one agent's."""
        setting = Setting(make_estimator=lambda *args: LoadedDiceEstimator(*args, n_trajectories=8, horizon=5))
        (params, _), keys = adaptation.for_each_task(setting.initial_params, N_TASKS), random.root_keys(range(N_SEEDS))
        copies = tf.nest.map_structure(lambda leaf: tf.constant(leaf.numpy()), params)
        same, alike = (
            adaptation.adapt(setting.estimator, setting.agents, (params, other), setting.tasks, [keys, keys + 1])
            for other in (params, copies)
        )
        for term, expected in zip(*(MetaMAPG().meta_gradients(chain, 0) for chain in (same, alike))):
            self.assertAllEqual(in_table(term), in_table(expected))

    def test_a_state_that_holds_its_parameters_twice(self):
        class Anchored(PolicyGradient):
            """Steps back towards where it has started, which its state holds: the very tensors at first."""

            def init(self, params, estimator, agent_index):
                return AgentState(params, extra=params)

            def update(self, state, objectives, agent_index, step_params):
                (leaf,), (start,) = self.gradients(objectives, agent_index), state.extra
                return AgentState((state.params[0] + leaf - 0.4 * (state.params[0] - start),), state.extra)

        setting = Setting()
        setting.agents = [Anchored(), Anchored()]
        table, weights = setting.initial_params[0][0].numpy(), theorem.last_link(2)
        expected = finite_differences(lambda t: setting.meta_value(t, 0, weights), table)
        total = MetaMAPG(value_weights=theorem.last_link).meta_gradients(setting.chain(2), 0).total
        self.assertLess(relative_error(in_table(total), expected), 1e-7)


class CompiledTest(tf.test.TestCase):

    def setting(self):
        return Setting(make_estimator=lambda *args: LoadedDiceEstimator(*args, n_trajectories=8, horizon=5))

    def test_compiled_links_have_the_same_meta_gradients(self):
        setting = self.setting()
        jitted = functools.partial(tf.function, jit_compile=True, autograph=False)
        chain, jitted_chain = setting.chain(2), setting.chain(2, compile_fn=jitted)
        self.assertAllClose(
            tf.nest.flatten(jitted_chain.links), tf.nest.flatten(chain.links), rtol=1e-10, atol=1e-15
        )
        expected, actual = (MetaMAPG().meta_gradients(each, 1) for each in (chain, jitted_chain))
        self.assertAllClose(tf.nest.flatten(actual), tf.nest.flatten(expected), rtol=1e-10, atol=1e-15)
        for term in (expected.self_shaping, expected.opponent_shaping):
            self.assertGreater(np.max(np.abs(in_table(term))), 1e-3)

    def test_a_longer_chain_has_no_more_to_compile(self):
        setting, n_traces = self.setting(), collections.Counter()

        def compiled(function, chain_length):
            def counted(*arguments, **keywords):
                n_traces[chain_length] += 1
                return function(*arguments, **keywords)

            return tf.function(counted, autograph=False)

        for chain_length in (3, 5):
            chain = setting.chain(chain_length, compile_fn=functools.partial(compiled, chain_length=chain_length))
            MetaMAPG().meta_gradients(chain, 0)
        # The sample, the update, and the cotangents of the first link, of the last and of all others.
        self.assertEqual(n_traces, {3: 5, 5: 5})


def lstm_and_tabular():
    """The prisoner's dilemma between a long short-term memory and a table."""
    game = IteratedMatrixGame(payoffs.prisoners_dilemma(), dtype="float64")
    return game, [lstm_policy(game, 0, units=3), tabular_policy(game, 1)]


def lstm_and_perceptron_of_vectors():
    """Two agents that push the same point in the plane, one in one and one in two directions."""
    game = LinearQuadraticGame(
        0.9 * np.eye(2), [np.ones([2, 1]), np.eye(2)], [np.eye(2), np.diag([1.0, -0.5])], [1.0, -1.0], noise=0.1,
        dtype="float64",
    )
    return game, [lstm_policy(game, 0, units=2), mlp_policy(game, 1, hidden_units=(3,))]


class PoliciesOfDifferentKindsTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(lstm_and_tabular, lstm_and_perceptron_of_vectors)
    def test_both_sides_are_differentiated_through(self, make):
        """The total of Loaded DiCE is that of one outer tape around the whole chain, and no term of it is dead."""
        game, policies = make()
        estimator = LoadedDiceEstimator(game, policies, n_trajectories=6, horizon=4)
        agents = [PolicyGradient(0.01), PolicyGradient(0.02)]
        keys = random.root_keys(range(N_SEEDS))
        tasks = PayoffNoise(game, width=0.3).sample(keys, N_TASKS)
        link_keys = [random.fold_in(keys, link) for link in range(3)]
        initial_params = tuple(policy.initial_params(range(N_SEEDS)) for policy in policies)

        def run(initial_params):
            """The terms of each agent, and its derivatives by a tape around a chain that all agents share."""
            with tf.GradientTape(persistent=True) as outer_tape:
                outer_tape.watch(initial_params)
                start = adaptation.for_each_task(initial_params, N_TASKS)
                chain = adaptation.adapt(estimator, agents, start, tasks, link_keys)
                objectives = [
                    estimator.objectives(link.joint_params, tasks, link.sample) for link in chain.links[1:]
                ]
                values = [tf.reduce_mean(0.5 * tf.add_n(by_link), axis=1) for by_link in zip(*objectives)]
            return [
                (
                    theorem.meta_gradients(chain, agent, theorem.mean_over_chain(2)),
                    outer_tape.gradient(values[agent], initial_params[agent]),
                ) for agent in range(2)
            ]

        for terms, expected in run(initial_params):
            for total, leaf in zip(terms.total.initial, expected):
                self.assertGreater(np.max(np.abs(leaf)), 1e-4)
                self.assertLess(relative_error(total.numpy(), leaf.numpy()), 1e-10)
            for term in (terms.self_shaping, terms.opponent_shaping):
                for leaf in term.initial:
                    self.assertGreater(np.max(np.abs(leaf)), 1e-6)


class AgentsTest(tf.test.TestCase):

    def test_meta_pg_is_meta_mapg_less_opponent_shaping(self):
        setting = Setting()
        chain = setting.chain(2)
        meta_mapg = MetaMAPG().meta_gradients(chain, 0)
        meta_pg = MetaPG().meta_gradients(chain, 0)
        self.assertAllEqual(in_table(meta_pg.self_shaping), in_table(meta_mapg.self_shaping))
        self.assertAllEqual(in_table(meta_pg.opponent_shaping), tf.zeros_like(in_table(meta_pg.opponent_shaping)))
        total = in_table(meta_pg.total) + in_table(meta_mapg.opponent_shaping)
        self.assertAllClose(total, in_table(meta_mapg.total), rtol=1e-12, atol=1e-15)
        self.assertGreater(np.max(np.abs(in_table(meta_mapg.opponent_shaping))), 1e-3)

    def test_a_naive_agent_does_not_choose_where_it_starts(self):
        setting = Setting()
        terms = PolicyGradient().meta_gradients(setting.chain(1), 0)
        self.assertAllEqual(in_table(terms.total), tf.zeros_like(setting.initial_params[0][0]))

    def test_value_weights_are_a_function_of_the_chain_length(self):
        setting = Setting()
        chain = setting.chain(2)
        for value_weights, expected in (
            (theorem.mean_over_chain, (0.0, 0.5, 0.5)), (theorem.last_link, (0.0, 0.0, 1.0))
        ):
            self.assertEqual(value_weights(2), expected)
            by_agent = MetaMAPG(1.0, value_weights=value_weights).meta_gradients(chain, 0)
            by_weights = theorem.meta_gradients(chain, 0, expected)
            self.assertAllEqual(in_table(by_agent.total), in_table(by_weights.total))
        self.assertEqual(theorem.mean_over_chain(0), (1.0,))
        self.assertEqual(theorem.last_link(0), (1.0,))

    def test_negative_inner_learning_rate_is_refused(self):
        with self.assertRaisesRegex(ValueError, r"MetaMAPG.inner_learning_rate = -1.0: must be"):
            MetaMAPG(inner_learning_rate=-1.0)


class OwnLogProbsOnly(LoadedDiceEstimator):
    """The classical mistake: an agent's surrogate that depends on its own log-probabilities alone."""

    def surrogates(self, log_probs, step_weights):
        return tuple(
            super(OwnLogProbsOnly, self).surrogates((own,), (own_weights,))[0]
            for own, own_weights in zip(log_probs, step_weights)
        )


class SampledTermsTest(tf.test.TestCase):

    def test_dice_has_opponent_shaping_and_loses_it_without_the_others_log_probs(self):
        def make(estimator):
            return lambda game, policies: estimator(game, policies, n_trajectories=64, horizon=10)

        for estimator, is_alive in ((LoadedDiceEstimator, True), (OwnLogProbsOnly, False)):
            setting = Setting(make_estimator=make(estimator))
            terms = MetaMAPG().meta_gradients(setting.chain(1), 0)
            self.assertEqual(np.max(np.abs(in_table(terms.opponent_shaping))) > 1e-3, is_alive)
            self.assertGreater(np.max(np.abs(in_table(terms.self_shaping))), 1e-3)
            self.assertAllEqual(in_table(terms.current_policy), tf.zeros_like(in_table(terms.current_policy)))

    def test_sampled_inner_updates_shape_through_the_current_policy_term_alone(self):
        setting = Setting(make_estimator=lambda *args: ScoreFunctionEstimator(*args, n_trajectories=4, horizon=5))
        terms = MetaMAPG().meta_gradients(setting.chain(2), 0)
        self.assertAllEqual(in_table(terms.opponent_shaping), tf.zeros_like(in_table(terms.opponent_shaping)))
        self.assertGreater(np.max(np.abs(in_table(terms.current_policy))), 1e-3)
        self.assertGreater(np.max(np.abs(in_table(terms.self_shaping))), 1e-3)

    def test_cosine_with_the_exact_meta_gradient(self):
        """Expected inner updates at L = 1, inner step 1, K = 65,536, T = 150, for 10 draws of θ ~ N(0, 1)."""
        game = IteratedMatrixGame(payoffs.prisoners_dilemma(), discount=0.96)
        policies = [tabular_policy(game, agent, initial_stddev=1.0) for agent in range(2)]
        agents = [MetaMAPG(inner_learning_rate=1.0)] * 2
        tasks = tf.constant(game.default_tasks, tf.float32)[tf.newaxis, tf.newaxis]
        exact = ExactEstimator(game, policies)
        dice = LoadedDiceEstimator(game, policies, 65536, 150, LeaveOneOutBaseline)

        def meta_gradient(estimator, initial_params, keys):
            initial_params = adaptation.for_each_task(initial_params, n_tasks=1)
            chain = adaptation.adapt(estimator, agents, initial_params, tasks, keys)
            return in_table(agents[0].meta_gradients(chain, 0).total)

        sampled = tf.function(lambda *arguments: meta_gradient(dice, *arguments), jit_compile=True, autograph=False)
        cosines = []
        for seed in range(10):
            keys = tuple(random.fold_in(random.root_keys([seed]), link) for link in range(2))
            initial_params = tuple(policy.initial_params([seed]) for policy in policies)
            expected = meta_gradient(exact, initial_params, keys)
            actual = sampled(initial_params, keys)
            cosines.append(tf.reduce_sum(expected * actual) / (tf.norm(expected) * tf.norm(actual)))
        self.assertGreaterEqual(np.mean(cosines), 0.97)


if __name__ == "__main__":
    tf.test.main()
