"""Agents whose directions are made of ξ and its Jacobian H: each against its formula in NumPy, and in known games.

Quadratic games have their H written down; of iterated ones all is had by differences.
"""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import oracle
from tests.agents import agents_test
from tests.tiny_game import TinyGame
from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import links
from tf_metamapg.agents import game_jacobian
from tf_metamapg.agents.competitive_gradient_descent import CompetitiveGradientDescent
from tf_metamapg.agents.consensus_optimization import ConsensusOptimization
from tf_metamapg.agents.extragradient import Extragradient
from tf_metamapg.agents.hola import HOLA
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.lola_taylor import LOLATaylor
from tf_metamapg.agents.look_ahead import LookAhead
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.symplectic_gradient_adjustment import SymplecticGradientAdjustment
from tf_metamapg.critics.baselines import LeaveOneOutBaseline
from tf_metamapg.estimators.dice import DiceEstimator
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.games.differentiable import bilinear_game
from tf_metamapg.games.differentiable import DifferentiableGame
from tf_metamapg.games.differentiable import tandem_game
from tf_metamapg.numerics import random
from tf_metamapg.policies.vector import vector_policy

# Every agent, made from its own learning rate and η, γ or λ.
AGENTS = {
    "extragradient": Extragradient,
    "consensus": ConsensusOptimization,
    "symplectic": SymplecticGradientAdjustment,
    "competitive": CompetitiveGradientDescent,
    **{f"hola_{order}": lambda rate, size, order=order: HOLA(rate, size, order) for order in range(4)},
}
KINDS = [kind for kind in AGENTS if kind != "hola_0"]  # which is naive
EPSILON = 0.1


def directions(agent, game, vectors):
    """Of all agents: vectors [S, N, P], side by side → [S, N, P]."""
    sizes = [space.shape[0] for space in game.spec.actions]
    estimator = ExactEstimator(game, [vector_policy(game, index) for index in range(len(sizes))])
    joint_params = tuple((tf.constant(part),) for part in np.split(vectors, np.cumsum(sizes)[:-1], axis=-1))
    link = links.sample_link(estimator, agents_test.states(joint_params), (), random.root_keys(range(len(vectors))))
    objectives = links.Objectives(estimator, (), link)
    return np.concatenate([agent.gradients(objectives, index)[0] for index in range(len(sizes))], axis=-1)


def alignment(naive, jacobian):
    """⟨ξ, ∇½|ξ|²⟩⟨Aᵀξ, ∇½|ξ|²⟩ of losses, where ξ and A are those of values: [.., P] and [.., P, P] → [..]."""
    slopes = np.einsum("...ij,...i->...j", jacobian, naive)
    turned = np.einsum("...ij,...i->...j", 0.5 * (jacobian - np.swapaxes(jacobian, -1, -2)), naive)
    # Of losses, ξ and H have the other sign each: products of one of each, such as Aᵀξ, the same.
    return np.sum(-naive * slopes, axis=-1) * np.sum(turned * slopes, axis=-1)


def of_jacobian(kind, size, naive, jacobian, owners):
    """The direction of an agent that is made of ξ and H alone: [.., P] and [.., P, P] → [.., P]."""
    if kind == "consensus":
        return naive - size * np.einsum("...ij,...i->...j", jacobian, naive)
    if kind == "symplectic":
        turned = 0.5 * np.einsum("...ij,...i->...j", jacobian - np.swapaxes(jacobian, -1, -2), naive)
        sign = np.sign(alignment(naive, jacobian) / len(owners) + EPSILON)
        return naive - size * sign[..., None] * turned
    others = jacobian * (owners[:, None] != owners)
    return np.linalg.solve(np.eye(len(owners)) - size * others, naive[..., None])[..., 0]


class Quadratic:
    """Vⁱ = ½ θᵀQᵢθ + bᵢᵀθ, of n agents with several parameters each."""

    def __init__(self, sizes, seed=0, scale=1.0):
        generator = np.random.default_rng(seed)
        n_params = sum(sizes)
        self.owners = np.repeat(np.arange(len(sizes)), sizes)
        self.q = scale * generator.normal(size=[len(sizes), n_params, n_params]) / np.sqrt(n_params)
        self.q += np.swapaxes(self.q, -1, -2)
        self.b = scale * generator.normal(size=[len(sizes), n_params])
        self.game = DifferentiableGame(self._values, sizes)
        rows = np.arange(n_params)
        self.jacobian, self.offset = self.q[self.owners, rows], self.b[self.owners, rows]

    def _values(self, *vectors):
        theta = tf.concat(vectors, axis=-1)
        return tuple(
            0.5 * tf.einsum("...p,pq,...q->...", theta, q, theta) + tf.einsum("...p,p->...", theta, b)
            for q, b in zip(self.q, self.b)
        )

    def directions(self, kind, size, theta):
        """The formula: [.., P] → [.., P]."""
        naive = theta @ self.jacobian.T + self.offset
        if kind == "extragradient":
            return (theta + size * naive) @ self.jacobian.T + self.offset
        if kind.startswith("hola"):
            matrix, offset = self.hola(int(kind[-1]), size)
            return theta @ matrix.T + offset
        jacobian = np.broadcast_to(self.jacobian, [*theta.shape, theta.shape[-1]])
        return of_jacobian(kind, size, naive, jacobian, self.owners)

    def hola(self, order, size):
        """hⁿ = M θ + m: of a quadratic value at a point that is affine in θ the gradient is affine."""
        if order == 0:
            return self.jacobian, self.offset
        matrix, offset = self.hola(order - 1, size)
        rows, offsets = np.zeros_like(matrix), np.zeros_like(offset)
        for agent, (q, b) in enumerate(zip(self.q, self.b)):
            is_own = self.owners == agent
            moved = np.eye(len(matrix)) + size * matrix * ~is_own[:, None]
            rows[is_own] = (moved.T @ q @ moved)[is_own]
            offsets[is_own] = (moved.T @ (q @ (size * offset * ~is_own) + b))[is_own]
        return rows, offsets


class KnownGamesTest(agents_test.Close, parameterized.TestCase):
    """One step of both agents in two games: squared spectral radius and factor in closed form, as h in each."""

    def joint_step(self, game, kind, own, size):
        """The matrix of a step, which is affine, from what becomes of the unit vectors and of the origin."""
        vectors = np.concatenate([np.eye(2), np.zeros([1, 2])])[None]
        stepped = (vectors + own * directions(AGENTS[kind](own, size), game, vectors))[0]
        return (stepped[:2] - stepped[2]).T

    @parameterized.product(kind=[*AGENTS], case=[0, 1, 2])
    def test_bilinear(self, kind, case):
        """H = [[0, 1], [−1, 0]]: with H = i, a direction is a complex factor of θ."""
        own, size = np.random.default_rng(case).uniform(0.1, 1.5, size=2)
        factor = {
            "extragradient": 1j * (1 + size * 1j), "consensus": 1j - size, "symplectic": 1j - size,
            "competitive": 1j / (1 - size * 1j), "hola_0": 1j, "hola_1": 1j - 2 * size,
            "hola_2": 1j * (1 - 2 * size**2) - 2 * size, "hola_3": (1j - 2 * size) * (1 - 2 * size**2),
        }[kind]
        matrix = self.joint_step(bilinear_game(), kind, own, size)
        radius = np.max(np.abs(np.linalg.eigvals(matrix)))
        self.assertAllClose(radius**2, np.abs(1 + own * factor) ** 2, rtol=1e-9, atol=0.0)
        rotation = np.array([[0.0, 1.0], [-1.0, 0.0]])
        self.assert_close(matrix, np.eye(2) + own * (factor.real * np.eye(2) + factor.imag * rotation), 1e-12)

    @parameterized.product(kind=[*AGENTS], case=[0, 1, 2])
    def test_tandem(self, kind, case):
        """H = −2 [[1, 1], [1, 1]]: what becomes of x + y. Along x − y nothing moves."""
        own, size = np.random.default_rng(case).uniform(0.05, 0.6, size=2)
        slopes = [2.0]
        for _ in range(3):  # hⁿ = −k (x + y) + c
            slopes.append(2 * (1 - size * slopes[-1]) ** 2)
        factor = {
            "extragradient": -4 * (1 - 4 * size), "consensus": -4 - 16 * size, "symplectic": -4.0,
            "competitive": -4 / (1 + 2 * size), **{f"hola_{order}": -2 * slopes[order] for order in range(4)},
        }[kind]
        matrix = self.joint_step(tandem_game(), kind, own, size)
        self.assertAllClose(matrix @ np.ones(2), (1 + own * factor) * np.ones(2), rtol=1e-9, atol=1e-12)
        self.assertAllClose(matrix @ [1.0, -1.0], [1.0, -1.0], rtol=1e-9, atol=1e-12)

    def test_they_stay_at_fixed_points_which_hola_leaves(self):
        x = np.array([-0.4, 0.3, 2.0])
        points = np.stack([x, 1 - x], axis=-1)[None]
        for kind, make in AGENTS.items():
            stepped = directions(make(1.0, 0.4), tandem_game(), points)
            if kind in ("hola_1", "hola_2", "hola_3"):
                self.assertGreater(np.min(np.abs(stepped)), 0.1)
            else:
                self.assertAllClose(stepped, np.zeros_like(stepped), rtol=0.0, atol=1e-12)


class QuadraticTest(agents_test.Close, parameterized.TestCase):
    """Games with several parameters of each agent, other numbers of each."""

    @parameterized.product(kind=[*AGENTS], sizes=[(2, 3), (2, 1, 3)])
    def test_against_the_formula(self, kind, sizes):
        quadratic = Quadratic(sizes)
        theta = np.random.default_rng(1).normal(size=[2, 3, sum(sizes)])
        expected = quadratic.directions(kind, 0.3, theta)
        self.assert_close(directions(AGENTS[kind](1.0, 0.3), quadratic.game, theta), expected, 1e-12)
        naive = theta @ quadratic.jacobian.T + quadratic.offset
        self.assertEqual(np.max(np.abs(expected - naive)) < 1e-2, kind == "hola_0")

    def test_adjustment_has_the_sign_of_the_alignment(self):
        """Of each seed and task: against, or not by as much as ε, or not where all parameters are counted."""
        found = np.zeros(4)
        for seed in range(4):
            quadratic = Quadratic((2, 3), seed, scale=0.7)
            theta = np.random.default_rng(seed).normal(size=[4, 10, 5])
            naive = theta @ quadratic.jacobian.T + quadratic.offset
            actual = directions(SymplecticGradientAdjustment(1.0, 0.3), quadratic.game, theta)
            self.assert_close(actual, quadratic.directions("symplectic", 0.3, theta), 1e-12)
            turned = 0.5 * naive @ (quadratic.jacobian - quadratic.jacobian.T)
            sign = np.sign(np.sum((naive - actual) * turned, axis=-1))
            aligned = alignment(naive, np.broadcast_to(quadratic.jacobian, [4, 10, 5, 5]))
            cases = (aligned < -0.5, (-0.5 < aligned) & (aligned < -0.1), (-0.1 < aligned) & (aligned < 0), aligned > 0)
            for number, (case, expected) in enumerate(zip(cases, (-1, 1, 1, 1))):
                self.assertAllEqual(sign[case], np.full(np.sum(case), expected))
                found[number] += np.sum(case)
        self.assertAllGreater(found, 2)

    def test_jacobian(self):
        quadratic = Quadratic((2, 1, 3))
        theta, along = np.random.default_rng(1).normal(size=[2, 2, 3, 6])
        estimator = ExactEstimator(quadratic.game, [vector_policy(quadratic.game, agent) for agent in range(3)])
        params, vectors = (
            tuple((tf.constant(part),) for part in np.split(values, [2, 3], axis=-1)) for values in (theta, along)
        )
        link = links.sample_link(estimator, agents_test.states(params), (), random.root_keys([0, 1]))
        objectives = links.Objectives(estimator, (), link)
        flattened = game_jacobian.flattened
        self.assert_close(
            game_jacobian.matrix(objectives), np.broadcast_to(quadratic.jacobian, [2, 3, 6, 6]), 1e-12
        )
        self.assert_close(
            flattened(game_jacobian.product(objectives, vectors)), along @ quadratic.jacobian.T, 1e-12
        )
        self.assert_close(
            flattened(game_jacobian.transposed_product(objectives, vectors)), along @ quadratic.jacobian, 1e-12
        )
        again = game_jacobian.unflattened(tf.constant(along), params)
        tf.nest.map_structure(self.assertAllEqual, again, vectors)

    def test_too_many_parameters_are_refused(self):
        game = DifferentiableGame(lambda x, y: (tf.reduce_sum(x, -1), tf.reduce_sum(y, -1)), (4000, 97))
        with self.assertRaises(checks.InvalidInputError) as caught:
            directions(CompetitiveGradientDescent(), game, np.zeros([1, 1, 4097]))
        self.assertEqual(
            str(caught.exception),
            "policies = 4097 parameters of all agents: must be of at most 4096 for CompetitiveGradientDescent, which "
            "needs their square",
        )


def by_differences(kind, values, size, x):
    """The directions of all agents in an iterated game: logits [.., n, o] → [.., n, o]."""
    agents = range(x.shape[-2])

    def naive(x):
        slopes = oracle.complex_step(values, x)
        return np.stack([slopes[..., agent, agent, :] for agent in agents], axis=-2)

    def hola(order, agent, x):
        if order == 0:
            return oracle.complex_step(values, x)[..., agent, agent, :]

        def ahead(x):
            steps = np.zeros_like(x)
            for other in {*agents} - {agent}:
                steps[..., other, :] = hola(order - 1, other, x)
            return values(x + size * steps)[..., agent]

        return agents_test.own_derivatives(ahead, x, agent)

    if kind == "extragradient":
        return naive(x + size * naive(x))
    if kind.startswith("hola"):
        return np.stack([hola(int(kind[-1]), agent, x) for agent in agents], axis=-2)
    shape, owners = x.shape, np.repeat(agents, x.shape[-1])
    flat = [*shape[:-2], len(owners)]
    columns = [
        agents_test.own_derivatives(lambda moved, i=index: naive(moved)[(..., *i)], x, agent)
        for index in np.ndindex(*shape[-2:]) for agent in agents
    ]  # for each entry of ξ, and each agent that it is differentiated in, [.., o]
    jacobian = np.stack(columns, axis=-2).reshape([*flat, len(owners)])
    return of_jacobian(kind, size, naive(x).reshape(flat), jacobian, owners).reshape(shape)


class IteratedTest(agents_test.Close, parameterized.TestCase):

    def directions(self, setting, kind, size):
        return setting.directions([AGENTS[kind](1.0, size)] * setting.logits.shape[-2])

    @parameterized.parameters(
        *itertools.product([kind for kind in KINDS if kind != "hola_3"], [2]),
        *itertools.product([kind for kind in KINDS if kind not in ("hola_2", "hola_3")], [3]),
    )
    def test_by_differences(self, kind, n_agents):
        setting = agents_test.Setting(n_agents, n_seeds=2 if n_agents == 2 else 1)
        expected = by_differences(kind, setting.values, 0.5, setting.logits)
        self.assert_close(self.directions(setting, kind, 0.5), expected, 1e-7)

    @parameterized.parameters(*AGENTS)
    def test_of_size_zero_it_is_naive(self, kind):
        setting = agents_test.Setting()
        actual = self.directions(setting, kind, 0.0)
        self.assert_close(actual, setting.directions([PolicyGradient()] * 2), 1e-12)

    @parameterized.parameters(("competitive", LookAhead), *((f"hola_{order}", LOLATaylor) for order in (1, 2, 3)))
    def test_first_order(self, kind, taylor):
        setting = agents_test.Setting()
        remainders = []
        for size in (2e-3, 1e-3):
            expected = setting.directions([taylor(1.0, size)] * 2)
            remainders.append(np.max(np.abs(self.directions(setting, kind, size) - expected)))
        # What is left is of second order.
        self.assertBetween(remainders[0] / remainders[1], 3.9, 4.1)

    @parameterized.parameters(2, 3)
    def test_hola_of_order_1_is_lola_dice(self, n_agents):
        setting = agents_test.Setting(n_agents)
        expected = setting.directions([LOLADiCE(1.0, 0.7)] * n_agents)
        self.assert_close(self.directions(setting, "hola_1", 0.7), expected, 1e-12)


class SampledTest(agents_test.Close, parameterized.TestCase):

    @parameterized.parameters(2, 3)
    def test_hola_of_order_1_is_lola_dice_with_the_same_random_numbers(self, n_agents):
        tiny = TinyGame(n_agents, 1, agents_test.DISCOUNT)
        estimator = LoadedDiceEstimator(tiny.game, tiny.policies, n_trajectories=6, horizon=4)
        logits = np.random.default_rng(0).normal(size=[2, 3, *tiny.logits.shape])
        tasks = tiny.tasks(2, 3)
        link = links.sample_link(
            estimator, agents_test.states(agents_test.joint_params(logits)), tasks, random.root_keys([1, 2])
        )
        objectives = links.Objectives(estimator, tasks, link)
        for agent in range(n_agents):
            expected = LOLADiCE(1.0, 0.7).gradients(objectives, agent)[0].numpy()
            self.assert_close(HOLA(1.0, 0.7, order=1).gradients(objectives, agent)[0], expected, 1e-12)

    def test_steps_of_others_have_their_own_rollouts(self):
        keys = []

        class Recording(DiceEstimator):
            def sample(self, joint_params, tasks, keys_of_sample, critic_params=()):
                keys.append(tuple(keys_of_sample.numpy().ravel()))
                return super().sample(joint_params, tasks, keys_of_sample, critic_params)

        tiny = TinyGame(3, 1, agents_test.DISCOUNT)
        estimator = Recording(tiny.game, tiny.policies, n_trajectories=2, horizon=2)
        states = agents_test.states(agents_test.joint_params(tiny.logits[None, None]))
        link = links.sample_link(estimator, states, tiny.tasks(1, 1), random.root_keys([1]))
        objectives = links.Objectives(estimator, tiny.tasks(1, 1), link)
        # Of each agent: one after steps of the others, and two after those of the others of these; or one after all.
        for kind, n_rollouts in ((lambda: HOLA(order=2), 1 + 2), (Extragradient, 1)):
            del keys[1:]
            for agent in range(3):
                kind().gradients(objectives, agent)
            self.assertLen(keys, 1 + 3 * n_rollouts)
            self.assertLen({*keys}, 1 + 3 * n_rollouts)

    @parameterized.product(estimator_class=[DiceEstimator, LoadedDiceEstimator], n_agents=[2, 3])
    def test_products_of_the_jacobian_are_unbiased(self, estimator_class, n_agents):
        """Over all sets of trajectories, with vectors that are given."""
        horizon = 2 if n_agents == 2 else 1
        tiny = TinyGame(n_agents, horizon, agents_test.DISCOUNT)
        members, orders = tiny.oracle.multisets(2)
        probs = orders * tiny.oracle.set_probs(tiny.logits, members)
        estimator = estimator_class(tiny.game, tiny.policies, 2, horizon, LeaveOneOutBaseline)
        logits = np.broadcast_to(tiny.logits, [1, len(members), *tiny.logits.shape])
        link = links.Link(
            agents_test.states(agents_test.joint_params(logits)), tiny.sample(estimator, members[None]),
            random.root_keys([0]),
        )
        objectives = links.Objectives(estimator, tiny.tasks(1, len(members)), link)
        hessians = oracle.derivatives(tiny.oracle.values, tiny.logits)[1]
        size = tiny.logits.size
        jacobian = np.stack([hessians[agent, agent] for agent in range(n_agents)]).reshape([size, size])
        along = np.random.default_rng(0).normal(size=tiny.logits.shape)
        vectors = agents_test.joint_params(np.broadcast_to(along, logits.shape))
        for actual, expected in (
            (game_jacobian.product(objectives, vectors), jacobian @ along.ravel()),
            (game_jacobian.transposed_product(objectives, vectors), jacobian.T @ along.ravel()),
        ):
            mean = probs @ game_jacobian.flattened(actual).numpy()[0]
            self.assertAllClose(mean, expected, rtol=0.0, atol=1e-9)
            self.assertGreater(np.max(np.abs(expected)), 1e-3)
        mean = np.einsum("m,mij->ij", probs, game_jacobian.matrix(objectives)[0])
        self.assertAllClose(mean, jacobian, rtol=0.0, atol=1e-9)


class UpdateTest(agents_test.Close, parameterized.TestCase):

    @parameterized.parameters("extragradient", "consensus", "symplectic", "competitive", "hola_1")
    def test_each_agent_takes_its_own_step(self, kind):
        setting = agents_test.Setting(3, n_seeds=1)
        agents = [AGENTS[kind](rate, 0.3) for rate in setting.rates]
        link = setting.link()
        updated = adaptation.inner_update(links.Objectives(setting.estimator, setting.tasks, link), agents, ((),) * 3)
        expected = setting.directions([AGENTS[kind](1.0, 0.3)] * 3)
        for agent, (state, rate) in enumerate(zip(updated, setting.rates)):
            step = (state.params[0] - link.joint_params[agent][0])[..., 0]
            self.assert_close(step, rate * expected[..., agent, :], 1e-12)


if __name__ == "__main__":
    tf.test.main()
