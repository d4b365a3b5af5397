"""Proves that returns, sums over time and baselines are what plain loops give, derivatives included."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg.numerics import returns

SHAPE = (2, 3, 4, 37)  # [S, N, K, T], with T above two blocks of the sums, and no multiple of them


def _values(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


class ReturnsTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters("float32", "float64")
    def test_discounts(self, dtype):
        discounts = returns.discounts(0.5, 4, dtype)
        self.assertEqual(discounts.dtype, dtype)
        self.assertAllEqual(discounts, [1.0, 0.5, 0.25, 0.125])
        self.assertAllEqual(returns.discounts(0.0, 3, dtype), [1.0, 0.0, 0.0])

    @parameterized.parameters(0.96, 0.9999, 0.99999)
    def test_discounts_close_to_one_in_float32(self, discount):
        """However many steps away, each is rounded once; what is too small for float32 is zero."""
        discounts = returns.discounts(discount, 20000, "float32").numpy().astype(np.float64)
        self.assertAllClose(discounts, discount ** np.arange(20000.0), rtol=2.0**-24 * 1.001, atol=2e-38)

    @parameterized.parameters(0.0, 0.5, 0.96, 1.0)
    def test_discounted_returns(self, discount):
        rewards = _values()
        expected = np.zeros(SHAPE[:-1])
        for index in np.ndindex(*SHAPE[:-1]):
            factor = 1.0
            for reward in rewards[index]:
                expected[index] += factor * reward
                factor *= discount
        self.assertAllClose(returns.discounted_returns(tf.constant(rewards), discount), expected, 1e-13, 1e-13)

    @parameterized.parameters(0.0, 0.5, 0.96, 1.0)
    def test_returns_to_go(self, discount):
        rewards = _values()
        expected = np.zeros(SHAPE)
        for index in np.ndindex(*SHAPE[:-1]):
            running = 0.0
            for time in reversed(range(SHAPE[-1])):
                running = rewards[index][time] + discount * running
                expected[index][time] = running
        self.assertAllClose(returns.returns_to_go(tf.constant(rewards), discount), expected, 1e-13, 1e-13)

    def test_a_long_horizon_in_float32(self):
        # Against the same loop in float64; a sum of 150 terms of size one rounds by less than 1e-5 of 25.
        rewards = _values([1, 150])
        expected = np.zeros(150)
        running = 0.0
        for time in reversed(range(150)):
            running = rewards[0, time] + 0.96 * running
            expected[time] = running
        result = returns.returns_to_go(tf.constant(rewards, tf.float32), 0.96)
        self.assertEqual(result.dtype, tf.float32)
        self.assertAllClose(result[0], expected, rtol=0.0, atol=25e-5)

    def test_one_step(self):
        rewards = tf.constant(_values([2, 3, 4, 1]))
        self.assertAllEqual(returns.discounted_returns(rewards, 0.9), rewards[..., 0])
        self.assertAllEqual(returns.returns_to_go(rewards, 0.9), rewards)
        self.assertAllEqual(returns.cumulative_sums(rewards), rewards)

    def test_cumulative_sums(self):
        values = _values()
        expected = np.zeros(SHAPE)
        for index in np.ndindex(*SHAPE[:-1]):
            running = 0.0
            for time in range(SHAPE[-1]):
                running += values[index][time]
                expected[index][time] = running
        self.assertAllClose(returns.cumulative_sums(tf.constant(values)), expected, 1e-13, 1e-13)

    def test_cumulative_sums_are_twice_differentiable(self):
        # f(x) = Σ_t c_t S_t³ with S the sums: ∂f/∂x_u = Σ_{t ≥ u} 3 c_t S_t², and
        # ∂²f/∂x_u∂x_v = Σ_{t ≥ max(u, v)} 6 c_t S_t.
        values, weights = _values([4]), _values([4], seed=1)
        x = tf.constant(values)[tf.newaxis]
        with tf.GradientTape(persistent=True) as outer_tape:
            outer_tape.watch(x)
            with tf.GradientTape() as inner_tape:
                inner_tape.watch(x)
                total = tf.reduce_sum(weights * returns.cumulative_sums(x) ** 3)
            gradient = inner_tape.gradient(total, x)
            entries = tf.unstack(gradient[0])
        hessian = [outer_tape.gradient(entry, x)[0] for entry in entries]
        sums = [sum(values[: time + 1]) for time in range(4)]
        for u in range(4):
            self.assertAllClose(gradient[0, u], sum(3 * weights[t] * sums[t] ** 2 for t in range(u, 4)), 1e-12, 1e-12)
            for v in range(4):
                expected = sum(6 * weights[t] * sums[t] for t in range(max(u, v), 4))
                self.assertAllClose(hessian[u][v], expected, 1e-12, 1e-12)


class BaselinesTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(0, 1, 2, 3, -1, -2)
    def test_leave_one_out_mean(self, axis):
        values = _values()
        expected = np.zeros(SHAPE)
        for index in np.ndindex(*SHAPE):
            others = []
            for other in range(SHAPE[axis]):
                if other != index[axis]:
                    place = list(index)
                    place[axis] = other
                    others.append(values[tuple(place)])
            expected[index] = sum(others) / len(others)
        self.assertAllClose(returns.leave_one_out_mean(tf.constant(values), axis), expected, 1e-13, 1e-13)

    def test_leave_one_out_mean_of_one_entry_is_zero(self):
        values = tf.constant(_values([2, 1, 3]))
        with tf.GradientTape() as tape:
            tape.watch(values)
            mean = returns.leave_one_out_mean(values, axis=1)
        self.assertAllEqual(mean, np.zeros([2, 1, 3]))
        self.assertAllEqual(tape.gradient(mean, values), np.zeros([2, 1, 3]))


class AnySizeTest(tf.test.TestCase, parameterized.TestCase):
    """In graphs that do not know how many trajectories and time steps there will be."""

    @parameterized.product(decay=[0.0, 0.9, 1.0], reverse=[False, True])
    def test_sums_and_their_derivatives(self, decay, reverse):
        def sums_and_derivatives(values, weights):
            with tf.GradientTape() as tape:
                tape.watch(values)
                sums = returns.discounted_cumsum(values, decay, reverse)
            return sums, tape.gradient(sums, values, output_gradients=weights)

        spec = tf.TensorSpec([1, 1, None, None], tf.float64)
        of_any_size = tf.function(sums_and_derivatives, input_signature=[spec, spec])
        for n_trajectories, horizon in ((3, 1), (1, 16), (2, 37), (4, 300)):
            values, weights = (tf.constant(_values([1, 1, n_trajectories, horizon], seed)) for seed in range(2))
            for actual, expected in zip(of_any_size(values, weights), sums_and_derivatives(values, weights)):
                self.assertAllClose(actual, expected, rtol=1e-12, atol=1e-12)

    def test_discounts(self):
        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float64)])
        def of_any_size(values):
            return returns.discounted(values, 0.9), returns.discounted_returns(values, 0.9)

        values = tf.constant(_values([3, 20]))
        discounted, total = of_any_size(values)
        self.assertAllEqual(discounted, returns.discounted(values, 0.9))
        self.assertAllClose(discounted, values * 0.9 ** np.arange(20), rtol=1e-14, atol=0.0)
        self.assertAllClose(total, tf.reduce_sum(discounted, axis=-1), rtol=1e-13, atol=1e-13)


class AdvantagesTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(0.0, 0.7, 1.0)
    def test_generalised_advantages(self, decay):
        rng = np.random.default_rng(0)
        rewards, baselines = rng.normal(size=[2, *SHAPE])
        following = np.concatenate([baselines[..., 1:], np.zeros([*SHAPE[:-1], 1])], axis=-1)
        errors = rewards + 0.9 * following - baselines
        horizon = SHAPE[-1]
        expected = np.stack(
            [sum((0.9 * decay) ** (s - t) * errors[..., s] for s in range(t, horizon)) for t in range(horizon)], axis=-1
        )
        advantages = returns.generalised_advantages(tf.constant(rewards), tf.constant(baselines), 0.9, decay)
        self.assertAllClose(advantages, expected, rtol=1e-12, atol=1e-12)

    @parameterized.parameters(0.0, 0.7, 1.0)
    def test_of_a_perfect_baseline_they_are_zero(self, decay):
        rewards = tf.constant(_values())
        advantages = returns.generalised_advantages(rewards, returns.returns_to_go(rewards, 0.9), 0.9, decay)
        self.assertAllClose(advantages, np.zeros(SHAPE), rtol=0.0, atol=1e-12)


if __name__ == "__main__":
    tf.test.main()
