"""How agents learn within a task: each of them against the scalar function that its docstring says it climbs."""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import oracle
from tests.tiny_game import TinyGame
from tf_metamapg import adaptation
from tf_metamapg import links
from tf_metamapg import theorem
from tf_metamapg.agents import anticipation
from tf_metamapg.agents.competitive_gradient_descent import CompetitiveGradientDescent
from tf_metamapg.agents.consensus_optimization import ConsensusOptimization
from tf_metamapg.agents.extragradient import Extragradient
from tf_metamapg.agents.fixed import Fixed
from tf_metamapg.agents.hola import HOLA
from tf_metamapg.agents.learning_rates import LearnedRates
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.lola_shaping import LOLAShaping
from tf_metamapg.agents.lola_taylor import LOLATaylor
from tf_metamapg.agents.look_ahead import LookAhead
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.meta_pg import MetaPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.pola import POLA
from tf_metamapg.agents.sos import SOS
from tf_metamapg.agents.symplectic_gradient_adjustment import SymplecticGradientAdjustment
from tf_metamapg.contracts import AgentState
from tf_metamapg.critics.baselines import LeaveOneOutBaseline
from tf_metamapg.critics.baselines import NoBaseline
from tf_metamapg.critics.value_network import ValueNetwork
from tf_metamapg.estimators.dice import DiceEstimator
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.differentiable import bilinear_game
from tf_metamapg.games.differentiable import DifferentiableGame
from tf_metamapg.games.differentiable import tandem_game
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.policies.vector import vector_policy

DISCOUNT = 0.8
DICE_ESTIMATORS = (DiceEstimator, LoadedDiceEstimator)
# Every agent, made from its own learning rate and the one that it assumes of the others.
AGENTS = {
    "naive": lambda rate, assumed: PolicyGradient(rate),
    "look_ahead": LookAhead,
    "lola_shaping": LOLAShaping,
    "lola_taylor": LOLATaylor,
    "lola_dice_1": LOLADiCE,
    "lola_dice_2": lambda rate, assumed: LOLADiCE(rate, assumed, n_lookahead_steps=2),
    "lola_dice_3": lambda rate, assumed: LOLADiCE(rate, assumed, n_lookahead_steps=3),
    "sos": SOS,
}
ANTICIPATING = [kind for kind in AGENTS if kind != "naive"]


# The agents in NumPy. Logits have shape [.., n, n_observations], and the leading axes are many at once.


def value_function(payoffs, n_agents):
    """V = p₀ᵀ(I − γP)⁻¹ r of an iterated game with two actions, where P is the chain of joint actions.

    Args:
        payoffs: array [.., n, 2, .., 2].
        n_agents: n.

    Returns:
        analytic function of logits [.., n, 1 + 2^n] that returns [.., n].
    """
    joint_actions = np.array(list(itertools.product(range(2), repeat=n_agents)))
    n_joint = len(joint_actions)
    seen = np.zeros([n_agents, 1 + n_joint], int)
    for i, (index, last) in itertools.product(range(n_agents), enumerate(joint_actions.tolist())):
        own_first = [last[i]] + last[:i] + last[i + 1 :]
        seen[i, 1 + index] = 1 + int("".join(map(str, own_first)), 2)
    rewards = payoffs.reshape([*payoffs.shape[: -n_agents], n_joint])

    def values(logits):
        cooperate = 1 / (1 + np.exp(-logits))
        probs = 1.0
        for i in range(n_agents):
            p = cooperate[..., i, :][..., seen[i]][..., None]
            probs = probs * np.where(joint_actions[:, i] == 0, p, 1 - p)
        transposed = np.swapaxes(probs[..., 1:, :], -1, -2)
        visits = np.linalg.solve(np.eye(n_joint) - DISCOUNT * transposed, probs[..., 0, :, None])[..., 0]
        return np.einsum("...j,...nj->...n", visits, rewards)

    return values


def own_derivatives(function, x, agent, step=1e-2):
    """The gradient in agent i's row, [.., n, o] → [.., o], by central differences of sixth order."""
    n_agents, n_entries = x.shape[-2:]
    shifts = np.zeros([6, n_entries, n_agents, n_entries])
    factors = np.array([1, -1, 2, -2, 3, -3])
    for entry in range(n_entries):
        shifts[:, entry, agent, entry] = step * factors
    weights = np.array([45, -45, -9, 9, 1, -1]) / (60 * step)
    moved = x + shifts.reshape([6, n_entries, *[1] * (x.ndim - 2), n_agents, n_entries])
    return np.moveaxis(np.tensordot(weights, function(moved), axes=1), 0, -1)


def objective(kind, values, assumed, agent, x, here):
    """The scalar that an agent climbs in its own row of x, as its docstring has it; `here` is held constant."""
    others = [j for j in range(x.shape[-2]) if j != agent]
    if kind.startswith("lola_dice"):
        for _ in range(int(kind[-1])):
            slopes = oracle.complex_step(values, x)  # [.., value, agent, o]
            steps = np.zeros_like(x)
            for j in others:
                steps[..., j, :] = slopes[..., j, j, :]
            x = x + assumed * steps
        return values(x)[..., agent]
    total = values(x)[..., agent]
    moving, still = oracle.complex_step(values, x), oracle.complex_step(values, here)
    for j in others:
        factors = {
            "look_ahead": (moving[..., agent, j, :], still[..., j, j, :]),
            "lola_shaping": (still[..., agent, j, :], moving[..., j, j, :]),
            "lola_taylor": (moving[..., agent, j, :], moving[..., j, j, :]),
        }[kind]
        total = total + assumed * np.sum(factors[0] * factors[1], axis=-1)
    return total


def direction(kind, values, assumed, agent, x):
    """Where an agent goes: [.., n, o] → [.., o]."""
    if kind == "naive":
        return oracle.complex_step(values, x)[..., agent, agent, :]
    if kind == "sos":
        return sos(values, assumed, x)[0][..., agent, :]
    return own_derivatives(lambda moved: objective(kind, values, assumed, agent, moved, x), x, agent)


def sos(values, assumed, x, alignment=0.5, radius=0.1):
    """Stable opponent shaping of all agents, [.., n, o], and its p, [..].

    p is as large as leaves ⟨ξ₀ + p χ, ξ₀⟩ ≥ (1 − a) ‖ξ₀‖², at most 1, and near fixed points at most ‖ξ‖².
    """
    naive, ahead, shaped = (
        np.stack([direction(kind, values, assumed, i, x) for i in range(x.shape[-2])], axis=-2)
        for kind in ("naive", "look_ahead", "lola_shaping")
    )
    shaping = shaped - naive
    square = np.sum(ahead**2, axis=(-2, -1))
    along = np.sum(shaping * ahead, axis=(-2, -1))
    stays_aligned = square + along >= (1 - alignment) * square
    p = np.where(stays_aligned, 1.0, -alignment * square / np.where(stays_aligned, -1.0, along))
    norm = np.sqrt(np.sum(naive**2, axis=(-2, -1)))
    p = np.where(norm < radius, np.minimum(p, norm**2), p)
    return ahead + p[..., None, None] * shaping, p


def meta_value(values, kinds, assumed, rates, weights, agent, x, held=None, n_tasks=2):
    """Σ_l w_l Vⁱ(φ_l), the mean over tasks: [.., S, n, o] and rates [.., S, L] of each agent → [.., S].

    `held` are the φ_l [S, N, n, o] that the opponents have whatever agent i does.
    """
    x = np.repeat(x[..., None, :, :], n_tasks, axis=-3)
    is_own = (np.arange(x.shape[-2]) == agent)[:, None]
    total = 0.0
    for index, weight in enumerate(weights):
        if held is not None:
            x = np.where(is_own, x, held[index])
        total = total + weight * values(x)[..., agent].mean(axis=-1)
        if index < len(weights) - 1:
            steps = [
                rate[..., index, None, None] * direction(kind, values, eta, j, x)
                for j, (kind, eta, rate) in enumerate(zip(kinds, assumed, rates))
            ]
            x = x + np.stack(np.broadcast_arrays(*steps), axis=-2)
    return total


class Setting:
    """Iterated games with random payoffs, other ones in each of two tasks of each seed, and exact values.

    Attributes:
        values: the same in NumPy, for logits [.., S, N, n, o].
        logits: array [S, N, n, o].
        initial_logits: array [S, n, o].
        assumed, rates: what each agent assumes of the others, and its own learning rate.
    """

    def __init__(self, n_agents=2, n_seeds=2, scale=1.0):
        generator = np.random.default_rng(n_agents)
        self.payoffs = scale * generator.normal(size=[n_seeds, 2, n_agents] + [2] * n_agents)
        self.values = value_function(self.payoffs, n_agents)
        self.game = IteratedMatrixGame(self.payoffs[0, 0], DISCOUNT, dtype="float64")
        self.policies = [tabular_policy(self.game, agent) for agent in range(n_agents)]
        self.estimator = ExactEstimator(self.game, self.policies)
        self.tasks = tf.constant(self.payoffs)
        self.logits = generator.normal(size=[n_seeds, 2, n_agents, 1 + 2**n_agents])
        self.initial_logits = generator.normal(size=[n_seeds, n_agents, 1 + 2**n_agents])
        self.keys = random.root_keys(range(n_seeds))
        self.assumed = [0.5, 0.9, 0.7][:n_agents]
        self.rates = [0.8, 0.4, 0.6][:n_agents]

    def link(self):
        return links.sample_link(self.estimator, states(joint_params(self.logits)), self.tasks, self.keys)

    def directions(self, agents):
        """Of all agents, [S, N, n, o]."""
        objectives = links.Objectives(self.estimator, self.tasks, self.link())
        return np.stack(
            [
                agent.gradients(objectives, agent_index)[0].numpy()[..., 0]
                for agent_index, agent in enumerate(agents)
            ],
            axis=-2,
        )

    def agents(self, kind):
        return [AGENTS[kind](rate, assumed) for rate, assumed in zip(self.rates, self.assumed)]

    def chain(self, agents, chain_length, update_params=None):
        keys = [random.fold_in(self.keys, link) for link in range(chain_length + 1)]
        initial_params = adaptation.for_each_task(joint_params(self.initial_logits), 2)
        return adaptation.adapt(
            self.estimator, agents, initial_params, self.tasks, keys, update_params=update_params
        )


def joint_params(logits):
    """[.., n, o] → JointParams with leaves [.., o, 1]."""
    return tuple((tf.constant(logits[..., agent, :, None]),) for agent in range(logits.shape[-2]))


def states(joint_params):
    """Those of agents that are nothing but their parameters."""
    return tuple(map(AgentState, joint_params))


def links_of(chain):
    """The φ_l of a chain, each [S, N, n, o]."""
    return [np.stack([params[0].numpy()[..., 0] for params in link.joint_params], axis=-2) for link in chain.links]


class Close(tf.test.TestCase):

    def assert_close(self, actual, expected, tolerance, at_least=1e-3):
        """Relative to the largest entry, which must not be small itself."""
        expected = np.asarray(expected)
        self.assertEqual(np.shape(actual), expected.shape)
        self.assertGreater(np.max(np.abs(expected)), at_least)
        self.assertLess(np.max(np.abs(actual - expected)), tolerance * np.max(np.abs(expected)))


class ExactDirectionsTest(Close, parameterized.TestCase):

    def test_the_values_in_numpy_are_those_of_the_package(self):
        for n_agents in (2, 3):
            setting = Setting(n_agents)
            values = setting.estimator.objectives(joint_params(setting.logits), setting.tasks, ())
            self.assert_close(np.stack(values, axis=-1), setting.values(setting.logits), 1e-12)

    @parameterized.parameters(
        *itertools.product(AGENTS, [2]), *itertools.product([kind for kind in AGENTS if kind != "lola_dice_2"], [3])
    )
    def test_against_numpy(self, kind, n_agents):
        setting = Setting(n_agents, n_seeds=2 if n_agents == 2 else 1)
        actual = setting.directions(setting.agents(kind))
        for agent, assumed in enumerate(setting.assumed):
            expected = direction(kind, setting.values, assumed, agent, setting.logits)
            self.assert_close(actual[..., agent, :], expected, 1e-8)
            if kind != "naive":
                naive = direction("naive", setting.values, assumed, agent, setting.logits)
                self.assertGreater(np.max(np.abs(expected - naive)), 1e-3)

    @parameterized.parameters(*ANTICIPATING)
    def test_without_a_step_of_the_others_it_is_naive(self, kind):
        setting = Setting()
        actual = setting.directions([AGENTS[kind](1.0, 0.0)] * 2)
        self.assert_close(actual, setting.directions([PolicyGradient()] * 2), 1e-12)

    def test_without_lookahead_steps_it_is_naive(self):
        setting = Setting()
        actual = setting.directions([LOLADiCE(1.0, 0.5, n_lookahead_steps=0)] * 2)
        self.assert_close(actual, setting.directions([PolicyGradient()] * 2), 1e-14)

    def test_lola_taylor_is_the_first_order_of_lola_dice(self):
        setting = Setting()
        remainders = []
        for assumed in (2e-3, 1e-3):
            taylor, dice = (setting.directions([kind(1.0, assumed)] * 2) for kind in (LOLATaylor, LOLADiCE))
            naive = setting.directions([PolicyGradient()] * 2)
            remainders.append(np.max(np.abs(dice - taylor)))
            self.assertGreater(np.max(np.abs(taylor - naive)), 20 * remainders[-1])
        # What is left is of second order.
        self.assertBetween(remainders[0] / remainders[1], 3.9, 4.1)

    def test_lola_taylor_is_look_ahead_and_shaping(self):
        setting = Setting()
        kinds = ("naive", "look_ahead", "lola_shaping", "lola_taylor")
        naive, ahead, shaping, taylor = (setting.directions(setting.agents(kind)) for kind in kinds)
        self.assert_close(taylor, ahead + shaping - naive, 1e-12)

    @parameterized.product(kind=["naive", "look_ahead", "lola_shaping", "lola_taylor", "lola_dice_1"], case=[0, 1, 2])
    def test_one_joint_step_of_figure_1(self, kind, case):
        """V⁰ = xy, V¹ = −xy: the squared spectral radius of the matrix of one step of both."""
        own, assumed = np.random.default_rng(case).uniform(0.1, 1.5, size=2)
        game = bilinear_game()
        estimator = ExactEstimator(game, [vector_policy(game, agent) for agent in range(2)])
        agents = [AGENTS[kind](own, assumed)] * 2
        # The tasks start from the unit vectors, so that what they become are the columns.
        unit_vectors = tuple((tf.constant(np.eye(2)[None, :, agent, None]),) for agent in range(2))
        link = links.sample_link(estimator, states(unit_vectors), (), random.root_keys([0]))
        updated = adaptation.inner_update(links.Objectives(estimator, (), link), agents, ((), ()))
        matrix = np.stack([state.params[0].numpy()[0, :, 0] for state in updated])
        radius = np.max(np.abs(np.linalg.eigvals(matrix)))
        # LookAhead's and LOLA (a)'s extra terms are the same here, and (c) is (b), as the game is bilinear.
        drop = {"naive": 0.0, "look_ahead": 1.0, "lola_shaping": 1.0, "lola_taylor": 2.0, "lola_dice_1": 2.0}[kind]
        self.assertAllClose(radius**2, (1 - drop * own * assumed) ** 2 + own**2, rtol=1e-9, atol=0.0)


class DeadAndAliveTest(Close, parameterized.TestCase):

    @parameterized.parameters(
        ("naive", False, False), ("look_ahead", True, False), ("lola_shaping", False, True),
        ("lola_taylor", True, True), ("lola_dice_1", True, True),
    )
    def test_which_cross_derivatives_an_agent_looks_at(self, kind, looks_at_own, looks_at_other):
        """V^a = b_a·x + c_a·y + x·M_a y, at x = y = 0, where ∇ₓ∇_y V^a = M_a and no gradient depends on it."""
        generator = np.random.default_rng(0)
        b, c = tf.constant(generator.normal(size=[2, 2])), tf.constant(generator.normal(size=[2, 3]))
        m = [tf.constant(generator.normal(size=[2, 3])) for _ in range(2)]

        def values(x, y):
            return tuple(
                tf.reduce_sum(x * b[a], -1) + tf.reduce_sum(y * c[a], -1)
                + tf.reduce_sum(x * tf.linalg.matvec(m[a], y), -1)
                for a in range(2)
            )

        game = DifferentiableGame(values, n_params=[2, 3])
        estimator = ExactEstimator(game, [vector_policy(game, agent) for agent in range(2)])
        agent, assumed = AGENTS[kind](1.0, 0.3), 0.3
        origin = states(tuple((tf.zeros([1, 1, size], tf.float64),) for size in (2, 3)))
        link = links.sample_link(estimator, origin, (), random.root_keys([0]))
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(m)
            gradients = agent.gradients(links.Objectives(estimator, (), link), 0)[0][0, 0]
            entry = gradients[1]
        expected = b[0] + assumed * (
            looks_at_own * tf.linalg.matvec(m[0], c[1]) + looks_at_other * tf.linalg.matvec(m[1], c[0])
        )
        self.assert_close(gradients.numpy(), expected.numpy(), 1e-12)
        alive = [
            gradient is not None and np.max(np.abs(gradient)) > 1e-3 for gradient in tape.gradient(entry, m)
        ]
        self.assertEqual(alive, [looks_at_own, looks_at_other])

    def test_fixed_agents_stay_and_cannot_be_shaped(self):
        setting = Setting()
        agents = [MetaMAPG(0.8), Fixed()]
        link = setting.link()
        with tf.GradientTape() as tape:
            tape.watch(link.joint_params)
            objectives = links.Objectives(setting.estimator, setting.tasks, link)
            updated = adaptation.inner_update(objectives, agents, ((), ()))[1].params[0]
        self.assertAllEqual(updated, link.joint_params[1][0])
        own, other = tape.gradient(updated, [link.joint_params[1][0], link.joint_params[0][0]])
        self.assertAllEqual(own, np.ones_like(own))
        self.assertTrue(other is None or not np.any(other))
        terms = agents[0].meta_gradients(setting.chain(agents, 2), 0)
        self.assertGreater(np.max(np.abs(terms.self_shaping.initial[0])), 1e-3)
        self.assertAllEqual(terms.opponent_shaping.initial[0], np.zeros([2, 5, 1]))

    def test_fixed_agents_cannot_be_shaped_by_learned_updates(self):
        setting = Setting()
        agents = [MetaMAPG(LearnedRates(0.8)), Fixed()]
        terms = agents[0].meta_gradients(setting.chain(agents, 2), 0)
        self.assertAllEqual(terms.opponent_shaping.update, np.zeros([2, 2]))
        self.assertGreater(np.min(np.abs(terms.self_shaping.update)), 1e-5)

    def test_an_agent_that_does_not_learn_its_initial_policy_has_no_meta_gradients(self):
        setting = Setting()
        chain = setting.chain([PolicyGradient(0.8)] * 2, 1)
        learned = setting.chain([MetaMAPG(LearnedRates(0.8))] * 2, 1)
        for make in AGENTS.values():
            agent = make(0.8, 0.5)
            self.assertFalse(agent.is_meta_agent)
            for term in agent.meta_gradients(chain, 0):
                self.assertAllEqual(term.initial[0], np.zeros([2, 5, 1]))
                self.assertEqual(term.update, ())
            for term in agent.meta_gradients(learned, 0):
                self.assertAllEqual(term.update, np.zeros([2, 1]))


class SOSTest(Close, parameterized.TestCase):

    @parameterized.parameters(
        (1.0, 0.02, 0.1, "p < 1 to stay aligned"), (0.1, 0.5, 0.5, "near a fixed point"), (1.0, 0.5, 0.1, "p = 1"),
    )
    def test_interpolation(self, scale, alignment, radius, branch):
        setting = Setting(n_seeds=16, scale=scale)
        expected, p = sos(setting.values, 0.5, setting.logits, alignment, radius)
        actual = setting.directions([SOS(1.0, 0.5, alignment, radius)] * 2)
        self.assert_close(actual, expected, 1e-8)
        # What the package's p is, from what it adds to LookAhead.
        ahead, taylor = (setting.directions([kind(1.0, 0.5)] * 2) for kind in (LookAhead, LOLATaylor))
        shaping = taylor - ahead
        shares = np.sum((actual - ahead) * shaping, axis=-1) / np.sum(shaping**2, axis=-1)
        self.assertAllInRange(shares, 0.0, 1 + 1e-12)
        # The same for both agents of a task.
        self.assertAllClose(shares, np.stack([p, p], axis=-1), rtol=0.0, atol=1e-6)
        # Each case is there for one of the forms of p.
        naive = np.stack([direction("naive", setting.values, 0.5, i, setting.logits) for i in range(2)], axis=-2)
        square = np.sum(naive**2, axis=(-2, -1))
        took = {"p < 1 to stay aligned": (p < 1) & (p != square), "near a fixed point": p == square, "p = 1": p == 1}
        self.assertGreaterEqual(np.sum(took[branch]), 3)

    def test_with_all_of_look_ahead_kept_it_is_look_ahead_where_shaping_is_against_it(self):
        setting = Setting(n_seeds=8)
        p = sos(setting.values, 0.5, setting.logits, alignment=1e-9)[1]
        against = p < 1.0
        self.assertBetween(np.mean(against), 0.1, 0.9)
        actual = setting.directions([SOS(1.0, 0.5, alignment=1e-9)] * 2)
        ahead, taylor = (setting.directions([each(1.0, 0.5)] * 2) for each in (LookAhead, LOLATaylor))
        self.assert_close(actual[against], ahead[against], 1e-6)
        self.assert_close(actual[~against], taylor[~against], 1e-12)

    def test_it_stays_at_fixed_points_which_lola_leaves(self):
        game = tandem_game()
        estimator = ExactEstimator(game, [vector_policy(game, agent) for agent in range(2)])
        x = np.array([-0.4, 0.3, 2.0])
        params = ((tf.constant(x[None, :, None]),), (tf.constant(1 - x[None, :, None]),))
        link = links.Link(states(params), (), random.root_keys([0]))
        objectives = links.Objectives(estimator, (), link)
        for agent_index in range(2):
            sos_gradients, lola_gradients = (
                agent.gradients(objectives, agent_index)[0] for agent in (SOS(1.0, 0.5), LOLATaylor(1.0, 0.5))
            )
            self.assertAllClose(sos_gradients, np.zeros([1, 3, 1]), rtol=0.0, atol=1e-12)
            self.assertGreater(np.min(np.abs(lola_gradients)), 0.1)


class DerivativesTest(Close, parameterized.TestCase):

    @parameterized.parameters(
        *((kind, 2) for kind in AGENTS if kind != "lola_dice_3"), ("lola_taylor", 3)
    )
    def test_of_the_inner_update_of_all_agents(self, kind, n_agents):
        """In the parameters of every agent, or of one of three, along random vectors."""
        setting = Setting(n_agents, n_seeds=1)
        agents, x = setting.agents(kind), setting.logits
        if n_agents == 3:  # one task is enough
            x, setting.logits = x[:, :1], x[:, :1]
            setting.tasks, setting.values = setting.tasks[:, :1], value_function(setting.payoffs[:, :1], 3)
        along = np.random.default_rng(0).normal(size=x.shape)

        def function(moved):
            total = 0.0
            for agent, (rate, assumed) in enumerate(zip(setting.rates, setting.assumed)):
                updated = moved[..., agent, :] + rate * direction(kind, setting.values, assumed, agent, moved)
                total = total + np.sum(along[..., agent, :] * updated, axis=-1)
            return total

        link = setting.link()
        with tf.GradientTape() as tape:
            tape.watch(link.joint_params)
            objectives = links.Objectives(setting.estimator, setting.tasks, link)
            updated = adaptation.inner_update(objectives, agents, ((),) * n_agents)
            total = sum(
                tf.reduce_sum(along[..., agent, :, None] * state.params[0]) for agent, state in enumerate(updated)
            )
        actual = tape.gradient(total, link.joint_params)
        for agent in range(n_agents) if n_agents == 2 else [1]:
            expected = own_derivatives(function, x, agent)
            self.assert_close(actual[agent][0].numpy()[..., 0], expected, 1e-6)
            self.assertGreater(np.max(np.abs(expected - along[..., agent, :])), 1e-2)

    @parameterized.parameters(
        ("look_ahead", 1), ("lola_shaping", 1), ("lola_shaping", 2), ("lola_taylor", 2), ("lola_dice_1", 1),
        ("lola_dice_1", 2), ("sos", 1),
    )
    def test_meta_mapg_against_an_agent_that_looks_ahead(self, kind, chain_length):
        setting = Setting()
        agents = [MetaMAPG(0.6), AGENTS[kind](0.4, 0.9)]
        chain = setting.chain(agents, chain_length)
        weights = theorem.mean_over_chain(chain_length)
        rates = [np.full([2, chain_length], rate) for rate in (0.6, 0.4)]
        total, own = (
            own_derivatives(
                lambda moved, held=held: meta_value(
                    setting.values, ["naive", kind], [0.0, 0.9], rates, weights, 0, moved, held
                ),
                setting.initial_logits, 0,
            )
            for held in (None, links_of(chain))
        )
        terms = agents[0].meta_gradients(chain, 0)
        self.assert_close(terms.total.initial[0][..., 0].numpy(), total, 1e-6)
        self.assert_close(terms.self_shaping.initial[0][..., 0].numpy(), own, 1e-6)
        self.assert_close(terms.opponent_shaping.initial[0][..., 0].numpy(), total - own, 1e-6, at_least=1e-2)


class InnerLearningRatesTest(Close, parameterized.TestCase):

    @parameterized.parameters((2, 1), (2, 2), (2, 3), (3, 1), (3, 2))
    def test_against_finite_differences(self, n_agents, chain_length):
        """The meta-gradient of the logarithm of each step's own learning rate, and both of its parts."""
        setting = Setting(n_agents)
        log_rates = np.log(np.random.default_rng(0).uniform(0.3, 1.0, size=[n_agents, 2, chain_length]))
        agents = [MetaMAPG(LearnedRates())] * n_agents
        chain = setting.chain(agents, chain_length, tuple(map(tf.constant, log_rates)))
        weights = np.random.default_rng(1).uniform(0.2, 1.0, size=chain_length + 1)
        agent = n_agents - 1

        def function(own_log_rates, held):
            all_rates = [*np.exp(log_rates[:agent]), np.exp(own_log_rates[..., 0, :])]
            return meta_value(
                setting.values, ["naive"] * n_agents, [0.0] * n_agents, all_rates, weights, agent,
                setting.initial_logits, held,
            )

        total, own = (
            own_derivatives(lambda moved, held=held: function(moved, held), log_rates[agent][:, None], 0)
            for held in (None, links_of(chain))
        )
        terms = theorem.meta_gradients(chain, agent, tuple(weights))
        self.assert_close(terms.total.update.numpy(), total, 1e-8)
        self.assert_close(terms.self_shaping.update.numpy(), own, 1e-8)
        shaping = terms.opponent_shaping.update.numpy()
        self.assertAllClose(shaping, total - own, rtol=0.0, atol=1e-8 * np.max(np.abs(total)))
        self.assertAllEqual(terms.current_policy.update, np.zeros([2, chain_length]))
        # The last step comes too late to reach an opponent.
        self.assertAllEqual(shaping[:, -1], np.zeros(2))
        self.assertTrue(np.all(np.abs(shaping[:, :-1]) > 1e-5))

    def test_of_meta_pg_have_no_opponent_shaping(self):
        setting = Setting()
        chain = setting.chain([MetaPG(LearnedRates(0.8)), PolicyGradient(0.4)], 2)
        meta_pg, meta_mapg = (agent.meta_gradients(chain, 0) for agent in (MetaPG(), MetaMAPG()))
        self.assertAllEqual(meta_pg.opponent_shaping.update, np.zeros([2, 2]))
        self.assertGreater(np.max(np.abs(meta_mapg.opponent_shaping.update)), 1e-3)
        self.assertAllEqual(meta_pg.self_shaping.update, meta_mapg.self_shaping.update)
        self.assertAllEqual(meta_pg.total.update, meta_mapg.self_shaping.update)


class ReductionTest(Close, parameterized.TestCase):
    """Eq. 6: from the present policies, with no step of its own, Theorem 1 is LOLA."""

    @parameterized.parameters((2, 1), (2, 2), (3, 1))
    def test_exact(self, n_agents, n_steps):
        setting = Setting(n_agents)
        agents = [PolicyGradient(0.7)] * n_agents
        agents[1] = MetaMAPG(0.0, value_weights=theorem.last_link)
        chain = setting.chain(agents, n_steps)
        terms = agents[1].meta_gradients(chain, 1)
        lola = LOLADiCE(1.0, 0.7, n_steps)
        objectives = links.Objectives(setting.estimator, setting.tasks, chain.links[0])
        gradients = lola.gradients(objectives, 1)[0].numpy().mean(axis=1)
        self.assert_close(terms.total.initial[0].numpy(), gradients, 1e-12)
        # Self-shaping is nothing but the derivative at the policies that were not moved.
        with tf.GradientTape() as tape:
            params = chain.links[-1].joint_params
            tape.watch(params)
            value = setting.estimator.objectives(params, setting.tasks, ())[1]
        direct = tape.gradient(value, params[1][0]).numpy().mean(axis=1)
        self.assert_close(terms.self_shaping.initial[0].numpy(), direct, 1e-12)
        self.assertGreater(np.max(np.abs(gradients - direct)), 1e-2)

    @parameterized.parameters(
        (DiceEstimator, 2, 1), (DiceEstimator, 3, 1), (LoadedDiceEstimator, 2, 2), (LoadedDiceEstimator, 3, 1),
        (LoadedDiceEstimator, 2, 1, ValueNetwork),
    )
    def test_sampled_with_the_same_random_numbers(
        self, estimator_class, n_agents, n_steps, critic=LeaveOneOutBaseline
    ):
        tiny = TinyGame(n_agents, 1, DISCOUNT)
        estimator = estimator_class(tiny.game, tiny.policies, n_trajectories=6, horizon=4, critic=critic)
        critic_params = adaptation.for_each_task(estimator.critic.initial_params([1, 2]), 3)
        logits = np.random.default_rng(0).normal(size=[2, *tiny.logits.shape])
        keys, tasks, agent = random.root_keys([1, 2]), tiny.tasks(2, 3), n_agents - 1
        lola = LOLADiCE(1.0, 0.7, n_steps)
        start = adaptation.for_each_task(joint_params(logits), 3)
        link = links.sample_link(estimator, states(start), tasks, keys, critic_params)
        objectives = links.Objectives(estimator, tasks, link)
        gradients = lola.gradients(objectives, agent)[0].numpy().mean(axis=1)

        agents = [PolicyGradient(0.7)] * n_agents
        agents[agent] = MetaMAPG(0.0, value_weights=theorem.last_link)
        lookahead_keys = [random.lookahead_keys(keys, agent, step) for step in range(n_steps)]
        chain = adaptation.adapt(
            estimator, agents, start, tasks, [keys, *lookahead_keys], critic_params=critic_params
        )
        terms = agents[agent].meta_gradients(chain, agent)
        self.assert_close(terms.total.initial[0].numpy(), gradients, 1e-12)
        self.assertGreater(np.max(np.abs(terms.opponent_shaping.initial[0])), 1e-2)
        self.assertAllEqual(terms.current_policy.initial[0], np.zeros_like(gradients))


class SampledTest(Close, parameterized.TestCase):

    @parameterized.parameters(2, 3)
    def test_lola_shaping_is_the_policy_gradient_form_of_foerster_et_al_2017(self, n_agents):
        tiny = TinyGame(n_agents, 2, DISCOUNT)
        generator = np.random.default_rng(0)
        members = generator.integers(len(tiny.oracle.actions), size=[2, 2, 5])
        logits = generator.normal(size=[2, 2, *tiny.logits.shape])
        estimator = DiceEstimator(tiny.game, tiny.policies, 5, 2, NoBaseline)
        link = links.Link(
            states(joint_params(logits)), tiny.sample(estimator, members), random.root_keys([0, 1])
        )
        objectives = links.Objectives(estimator, tiny.tasks(2, 2), link)
        assumed = 0.6
        for agent in range(n_agents):
            actual = LOLAShaping(1.0, assumed).gradients(objectives, agent)[0].numpy()
            expected = np.zeros([2, 2, 3])
            for index in np.ndindex(2, 2):
                until_now = np.cumsum(tiny.oracle.scores(logits[index])[members[index]], axis=1)  # [K, T, n, o]
                rewards = tiny.oracle.rewards[members[index]] * tiny.oracle.discounts[:, None]  # [K, T, n]
                slopes = np.einsum("kta,ktjo->ajo", rewards, until_now) / 5
                expected[index] = slopes[agent, agent]
                for j in set(range(n_agents)) - {agent}:
                    cross = np.einsum(
                        "kt,kto,ktp->op", rewards[..., j], until_now[:, :, agent], until_now[:, :, j]
                    ) / 5
                    expected[index] += assumed * cross @ slopes[agent, j]
            self.assert_close(actual[..., 0], expected, 1e-12)

    @parameterized.product(
        estimator_class=DICE_ESTIMATORS,
        case=[
            (2, 2, 1, NoBaseline), (2, 2, 2, LeaveOneOutBaseline),
            (3, 2, 1, NoBaseline),
        ],
    )
    def test_the_cross_terms_are_unbiased(self, estimator_class, case):
        """Over all sets of trajectories, of the value of every agent and every ordered pair of agents."""
        n_agents, horizon, size, critic = case
        tiny = TinyGame(n_agents, horizon, DISCOUNT)
        members, orders = tiny.oracle.multisets(size)
        probs = orders * tiny.oracle.set_probs(tiny.logits, members)
        estimator = estimator_class(tiny.game, tiny.policies, size, horizon, critic)
        logits = np.broadcast_to(tiny.logits, [1, len(members), *tiny.logits.shape])
        link = links.Link(
            states(joint_params(logits)), tiny.sample(estimator, members[None]), random.root_keys([0])
        )
        objectives = links.Objectives(estimator, tiny.tasks(1, len(members)), link)
        hessians = oracle.derivatives(tiny.oracle.values, tiny.logits)[1]
        along = np.random.default_rng(0).normal(size=tiny.logits.shape)
        for value_of, agent, other in itertools.product(range(n_agents), repeat=3):
            if agent == other:
                continue
            vector = (tf.constant(np.broadcast_to(along[other][:, None], [1, len(members), 3, 1])),)
            set_gradients = anticipation.cross_gradients(
                objectives, value_of, agent, other, vector
            )[0].numpy()[0, :, :, 0]
            expected = hessians[value_of, agent, :, other] @ along[other]
            self.assertAllClose(probs @ set_gradients, expected, rtol=0.0, atol=1e-9)
            self.assertGreater(np.max(np.abs(expected)), 1e-4)


class CompiledTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(
        LookAhead, LOLATaylor, LOLADiCE, SOS, Extragradient, ConsensusOptimization, SymplecticGradientAdjustment,
        CompetitiveGradientDescent, HOLA, POLA,
    )
    def test_a_meta_agent_among_agents_that_look_ahead_can_be_compiled(self, kind):
        """Three derivatives under XLA, the same as without."""
        game = IteratedMatrixGame(payoffs.prisoners_dilemma(), dtype="float64")
        policies = [tabular_policy(game, agent) for agent in range(2)]
        estimator = LoadedDiceEstimator(game, policies, n_trajectories=4, horizon=5)
        keys = random.root_keys([0])
        tasks = tf.constant(game.default_tasks)[tf.newaxis, tf.newaxis]
        start = adaptation.for_each_task(tuple(policy.initial_params([0]) for policy in policies), 1)
        agents = [MetaMAPG(0.1), kind(0.2)]
        link_keys = [random.fold_in(keys, link) for link in range(2)]

        def total(start):
            chain = adaptation.adapt(estimator, agents, start, tasks, link_keys)
            return agents[0].meta_gradients(chain, 0).total.initial[0]

        plain, compiled = total(start), tf.function(total, autograph=False, jit_compile=True)(start)
        self.assertGreater(np.max(np.abs(plain)), 0.1)
        self.assertAllClose(plain, compiled, rtol=1e-9, atol=1e-11)


if __name__ == "__main__":
    tf.test.main()
