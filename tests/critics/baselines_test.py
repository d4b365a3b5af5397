"""Baselines say what plain loops say, and know nothing of the trajectory that they are asked about."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg.contracts import Box
from tf_metamapg.contracts import Discrete
from tf_metamapg.contracts import GameSpec
from tf_metamapg.contracts import Trajectory
from tf_metamapg.critics.baselines import LeaveOneOutBaseline
from tf_metamapg.critics.baselines import LinearFeatureBaseline
from tf_metamapg.critics.baselines import NoBaseline

SHAPE = (2, 3, 4, 5)  # S, N, K, T
N_FEATURES = 2
DISCOUNT = 0.7


def _spec(dtype="float64"):
    """Of a game whose only agent sees vectors."""
    return GameSpec(
        name="vectors", discount=DISCOUNT, dtype=dtype, observations=(Box((N_FEATURES,)),), actions=(Discrete(2),)
    )


def _rewards(shape=SHAPE):
    return np.random.default_rng(0).normal(size=shape)


def _observations(shape=SHAPE):
    return np.random.default_rng(1).normal(size=[*shape, N_FEATURES])


def _mask():
    """Every trajectory ends at a time of its own."""
    lengths = np.random.default_rng(2).integers(1, SHAPE[3] + 1, size=SHAPE[:3])
    return np.arange(SHAPE[3]) < lengths[..., np.newaxis]


def _returns_to_go(rewards):
    horizon = rewards.shape[-1]
    return np.stack(
        [sum(DISCOUNT ** (s - t) * rewards[..., s] for s in range(t, horizon)) for t in range(horizon)], axis=-1
    )


def _values(critic, rewards, observations, dtype="float64", mask=None):
    """What a critic says of trajectories of one agent, [S, N, K, T]."""
    rewards = tf.convert_to_tensor(rewards, dtype)
    trajectory = Trajectory(
        (tf.constant(observations, dtype),), (tf.zeros(rewards.shape, tf.int32),), (rewards,),
        () if mask is None else (tf.constant(mask),),
    )
    return critic.values((), None, trajectory, 0)


class BaselinesTest(tf.test.TestCase, parameterized.TestCase):

    def test_no_baseline(self):
        baseline = _values(NoBaseline(_spec("float32"), ()), _rewards(), _observations(), "float32")
        self.assertEqual(baseline.dtype, tf.float32)
        self.assertAllEqual(baseline, np.zeros(SHAPE))

    def test_leave_one_out_baseline_is_the_mean_of_the_other_trajectories(self):
        to_go = _returns_to_go(_rewards())
        baseline = _values(LeaveOneOutBaseline(_spec(), ()), _rewards(), _observations())
        self.assertEqual(baseline.shape, SHAPE)
        for k in range(SHAPE[2]):
            others = [to_go[:, :, other] for other in range(SHAPE[2]) if other != k]
            self.assertAllClose(baseline[:, :, k], sum(others) / 3, 1e-13, 1e-13)

    @parameterized.product(ridge=[1e-3, 0.2], n_trajectories=[4, 5, 2])
    def test_linear_feature_baseline_is_least_squares_over_the_other_half(self, ridge, n_trajectories):
        shape = (*SHAPE[:2], n_trajectories, SHAPE[3])
        to_go, observations = _returns_to_go(_rewards(shape)), _observations(shape)
        baseline = _values(LinearFeatureBaseline(_spec(), (), ridge), _rewards(shape), observations)
        self.assertEqual(baseline.shape, shape)
        for s, n, k in np.ndindex(shape[:3]):
            inputs = [
                np.stack(
                    [np.concatenate([features, features**2, (t / 5) ** np.arange(4)]) for t, features in enumerate(one)]
                )
                for one in observations[s, n]
            ]
            others = [other for other in range(n_trajectories) if other % 2 != k % 2]
            stacked = np.concatenate([inputs[other] for other in others])
            targets = np.concatenate([to_go[s, n, other] for other in others])
            # Ridge regression as ordinary least squares with one more row for each weight.
            size = stacked.shape[1]
            strength = ridge * np.mean(stacked**2) * len(targets)
            extended = np.concatenate([stacked, np.sqrt(strength) * np.eye(size)])
            weights, *_ = np.linalg.lstsq(extended, np.concatenate([targets, np.zeros(size)]), rcond=None)
            self.assertAllClose(baseline[s, n, k], inputs[k] @ weights, rtol=1e-8, atol=1e-8)

    def test_linear_feature_baseline_of_one_trajectory_is_zero(self):
        shape = (*SHAPE[:2], 1, SHAPE[3])
        baseline = _values(LinearFeatureBaseline(_spec(), ()), _rewards(shape), _observations(shape))
        self.assertAllEqual(baseline, np.zeros(shape))

    def test_what_is_not_finite_is_nan_for_its_seed_and_task_alone(self):
        rewards, observations = _rewards(), _observations()
        critic = LinearFeatureBaseline(_spec(), ())
        expected = _values(critic, rewards, observations).numpy()
        observations[1, 0, :, 2] = 1e200
        baseline = _values(critic, rewards, observations).numpy()
        self.assertTrue(np.all(np.isnan(baseline[1, 0])))
        baseline[1, 0] = expected[1, 0]
        self.assertAllEqual(baseline, expected)

    @parameterized.parameters(LeaveOneOutBaseline, LinearFeatureBaseline)
    def test_a_baseline_is_independent_of_its_own_trajectory(self, make_critic):
        shape = (1, 1, 3, 2)
        rewards = tf.constant(_rewards(shape))
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(rewards)
            baseline = _values(make_critic(_spec(), ()), rewards, _observations(shape))
        jacobian = tape.jacobian(baseline, rewards, experimental_use_pfor=False).numpy()[0, 0, :, :, 0, 0]
        for k, other in np.ndindex(3, 3):
            if k == other:
                self.assertAllEqual(jacobian[k, :, other], np.zeros([2, 2]))
            elif k % 2 != other % 2:
                self.assertGreater(np.max(np.abs(jacobian[k, :, other])), 0.01)

    @parameterized.parameters(LeaveOneOutBaseline, LinearFeatureBaseline)
    def test_a_baseline_of_one_trajectory_is_zero(self, make_critic):
        shape = (2, 3, 1, 5)
        baseline = _values(make_critic(_spec(), ()), _rewards(shape), _observations(shape))
        self.assertAllEqual(baseline, np.zeros(shape))

    def test_leave_one_out_is_over_the_others_that_are_still_there(self):
        mask, rewards = _mask(), np.where(_mask(), _rewards(), 0.0)
        to_go = _returns_to_go(rewards)
        baseline = _values(LeaveOneOutBaseline(_spec(), ()), rewards, _observations(), mask=mask)
        n_alone = 0
        for s, n, k, t in np.argwhere(mask):
            others = [to_go[s, n, other, t] for other in range(SHAPE[2]) if other != k and mask[s, n, other, t]]
            n_alone += not others
            self.assertAllClose(baseline[s, n, k, t], np.mean(others) if others else 0.0, rtol=1e-12, atol=1e-12)
        self.assertGreater(n_alone, 0)

    def test_least_squares_are_of_the_steps_that_count(self):
        mask, rewards = _mask(), np.where(_mask(), _rewards(), 0.0)
        observations, to_go = np.where(mask[..., None], _observations(), 0.0), _returns_to_go(rewards)
        baseline = _values(LinearFeatureBaseline(_spec(), ()), rewards, observations, mask=mask)
        powers = (np.arange(5)[:, None] / 5) ** np.arange(4)
        for s, n, k in np.ndindex(SHAPE[:3]):
            inputs = [np.concatenate([one, one**2, powers], axis=1) for one in observations[s, n]]
            others = [other for other in range(SHAPE[2]) if other % 2 != k % 2]
            stacked = np.concatenate([inputs[other][mask[s, n, other]] for other in others])
            targets = np.concatenate([to_go[s, n, other][mask[s, n, other]] for other in others])
            squares = stacked.T @ stacked
            squares += 1e-3 * np.mean(np.diag(squares)) * np.eye(len(squares))
            expected = inputs[k] @ np.linalg.solve(squares, stacked.T @ targets)
            self.assertAllClose(baseline[s, n, k][mask[s, n, k]], expected[mask[s, n, k]], rtol=1e-7, atol=1e-7)

    @parameterized.parameters(NoBaseline, LeaveOneOutBaseline, LinearFeatureBaseline)
    def test_baselines_learn_nothing(self, make_critic):
        critic = make_critic(_spec(), ())
        self.assertEqual(critic.initial_params([0, 1]), ((),))
        self.assertFalse(critic.sees_other_actions)
        trajectory = Trajectory((), (), (tf.ones(SHAPE, tf.float64),))
        self.assertAllEqual(critic.loss((), None, trajectory, 0), np.zeros(SHAPE[:2]))


if __name__ == "__main__":
    tf.test.main()
