"""Linear-quadratic games against NumPy: every step, and values and gradients of linear policies in closed form."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.games.linear_quadratic import LinearQuadraticGame
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.numerics import random
from tf_metamapg.policies.mlp import mlp_policy
from tf_metamapg.policies.recurrent import lstm_policy
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.simulators.in_graph import InGraphSimulator

A = np.array([[0.9, 0.2], [-0.1, 0.8]])
B = (np.array([[1.0], [0.5]]), np.array([[0.3, 0.0], [0.0, -0.4]]))
Q = np.array([[[1.0, 0.1], [0.2, 0.5]], [[-0.5, 0.0], [0.3, 1.5]]])
START, ACTION_COST, NOISE, DISCOUNT = np.array([1.0, -2.0]), 0.3, 0.2, 0.9


def make_game(**changes):
    arguments = {
        "dynamics": A, "controls": B, "costs": Q, "start": START, "action_cost": ACTION_COST, "noise": NOISE,
        "discount": DISCOUNT, "dtype": "float64",
    }
    return LinearQuadraticGame(**{**arguments, **changes})


def linear_policies(game):
    return [mlp_policy(game, agent, hidden_units=()) for agent in range(2)]


def exact_value(gains, spreads, agent, horizon):
    """Σ_t γ^t E[r_t] if u_i = K_i x + e_i, e_i ~ N(0, diag(σ_i²)), from the second moments of the state."""
    stddevs = [np.log1p(np.exp(spread)) for spread in spreads]
    moments = np.outer(START, START)
    closed = A + sum(b @ gain for b, gain in zip(B, gains))
    noise = sum(b @ np.diag(stddev**2) @ b.T for b, stddev in zip(B, stddevs)) + NOISE**2 * np.eye(2)
    total = 0.0
    for t in range(horizon):
        action_moments = gains[agent] @ moments @ gains[agent].T + np.diag(stddevs[agent] ** 2)
        total -= DISCOUNT**t * (np.trace(Q[agent] @ moments) + ACTION_COST * np.trace(action_moments))
        moments = closed @ moments @ closed.T + noise
    return total


class LinearQuadraticGameTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(NOISE, 0.0)
    def test_trajectories(self, noise):
        game = make_game(noise=noise)
        self.assertEqual(game.spec, contracts.GameSpec(
            name="linear-quadratic game", discount=DISCOUNT, dtype="float64", observations=(contracts.Box((2,)),) * 2,
            actions=(contracts.Box((1,)), contracts.Box((2,))),
        ))
        self.assertEqual((game.n_reset_uniforms, game.n_step_uniforms), (0, 2 if noise else 0))
        policies = [mlp_policy(game, 0, hidden_units=(3,)), lstm_policy(game, 1, units=3)]
        keys = random.root_keys([0, 1])
        tasks = PayoffNoise(game, width=0.5).sample(keys, 3)
        self.assertEqual(tasks.shape, [2, 3, 2, 2, 2])
        joint_params = adaptation.for_each_task(tuple(policy.initial_params([0, 1]) for policy in policies), 3)
        simulator = InGraphSimulator(game, policies, n_trajectories=4, horizon=5)
        uniforms = simulator.draw_uniforms(keys, 3)
        self.assertEqual(uniforms.steps.shape, [5, 3 + game.n_step_uniforms, 2, 3, 4])
        self.assertEqual(uniforms.reset.shape, [0, 2, 3, 4])
        trajectory = simulator.play(joint_params, tasks, uniforms)
        self.assertEqual((trajectory.mask, trajectory.metrics), ((), ()))
        observations, _ = (np.stack(leaf) for leaf in trajectory.observations)
        actions = [leaf.numpy() for leaf in trajectory.actions]
        self.assertEqual([leaf.shape for leaf in actions], [(2, 3, 4, 5, 1), (2, 3, 4, 5, 2)])
        self.assertAllEqual(trajectory.observations[0], trajectory.observations[1])
        self.assertAllEqual(observations[:, :, :, 0], np.broadcast_to(START, [2, 3, 4, 2]))
        driven = observations @ A.T + sum(action @ b.T for b, action in zip(B, actions))
        # What remains is the noise: none, or standard normal numbers times σ.
        remainder = observations[:, :, :, 1:] - driven[:, :, :, :-1]
        if noise:
            self.assertLen(np.unique(remainder), remainder.size)
            self.assertBetween(np.std(remainder) / noise, 0.8, 1.2)
        else:
            self.assertAllClose(remainder, np.zeros_like(remainder), rtol=0.0, atol=1e-12)
        for agent in range(2):
            costs = np.einsum("snktd,snde,snkte->snkt", observations, tasks[:, :, agent], observations)
            expected = -costs - ACTION_COST * np.sum(actions[agent] ** 2, axis=-1)
            self.assertAllClose(trajectory.rewards[agent], expected, rtol=1e-12, atol=1e-12)

    def test_values_and_gradients_of_linear_policies(self):
        """Loaded DiCE from K = 4000 trajectories in each of 20 tasks against differences of the closed form."""
        game, horizon = make_game(), 6
        policies = linear_policies(game)
        gains = [np.array([[-0.3, 0.1]]), np.array([[0.2, 0.0], [-0.1, 0.3]])]
        spreads = [np.array([-0.5]), np.array([-1.0, -0.7])]

        def params(gain, spread):
            """The deviations do not depend on the state, and the mean has no bias."""
            kernel = np.concatenate([gain.T, np.zeros([2, len(gain)])], axis=1)
            return kernel, np.concatenate([np.zeros(len(gain)), spread])[np.newaxis]

        n_tasks = 20
        joint_params = adaptation.for_each_task(
            tuple(tuple(tf.constant(leaf[np.newaxis]) for leaf in params(*pair)) for pair in zip(gains, spreads)),
            n_tasks,
        )
        estimator = LoadedDiceEstimator(game, policies, n_trajectories=4000, horizon=horizon)
        tasks = tf.constant(np.broadcast_to(Q, [1, n_tasks, 2, 2, 2]))
        sample = estimator.sample(joint_params, tasks, random.root_keys([0]))
        values = estimator.values(joint_params, tasks, sample)
        with tf.GradientTape() as tape:
            tape.watch(joint_params)
            objective = estimator.objectives(joint_params, tasks, sample)[1]
        gradients = tape.gradient(objective, joint_params)

        def difference(agent, entry, is_spread):
            shifted = []
            for shift in (1e-5, -1e-5):
                changed = [[leaf.copy() for leaf in leaves] for leaves in (gains, spreads)]
                changed[is_spread][agent][entry] += shift
                shifted.append(exact_value(*changed, 1, horizon))
            return (shifted[0] - shifted[1]) / 2e-5

        estimates = [(values[agent], exact_value(gains, spreads, agent, horizon)) for agent in range(2)]
        for agent, size in enumerate((1, 2)):
            kernel, bias = gradients[agent]
            for row, column in np.ndindex(size, 2):
                estimates.append((kernel[:, :, column, row], difference(agent, (row, column), False)))
            for row in range(size):
                estimates.append((bias[:, :, 0, size + row], difference(agent, row, True)))
        # Eleven means of 20 tasks, all within t standard errors with confidence 99.9%: t₁₉(1 − 0.001 / 22) = 4.99.
        self.assertLen(estimates, 11)
        for estimate, expected in estimates:
            error = np.std(estimate, ddof=1) / np.sqrt(n_tasks)
            self.assertLess(abs(np.mean(estimate) - expected), 4.99 * error)
            self.assertLess(error, 0.1 * max(abs(expected), 1.0))

    def test_there_are_no_exact_values(self):
        game = make_game()
        for function, message in (
            (
                lambda: ExactEstimator(game, linear_policies(game)),
                "ExactEstimator.game = LinearQuadraticGame: must be a game with exact values; this lacks exact_values, "
                "exact_lengths; see contracts.ExactGame",
            ),
            (
                lambda: tabular_policy(game, 0),
                "tabular_policy.game = LinearQuadraticGame: must be a game with finitely many observations and actions",
            ),
        ):
            with self.assertRaises(checks.InvalidInputError) as caught:
                function()
            self.assertEqual(str(caught.exception), message)


if __name__ == "__main__":
    tf.test.main()
