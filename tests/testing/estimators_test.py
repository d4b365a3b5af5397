"""The package's estimators pass the tests for estimators."""

import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import testing


class DiceTest(testing.EstimatorTests, tf.test.TestCase):

    def make_estimator(self, game, policies, n_trajectories, horizon):
        return mapg.DiceEstimator(game, policies, n_trajectories, horizon)


class LoadedDiceTest(testing.EstimatorTests, tf.test.TestCase):

    def make_estimator(self, game, policies, n_trajectories, horizon):
        return mapg.LoadedDiceEstimator(game, policies, n_trajectories, horizon)


class CounterfactualDiceTest(testing.EstimatorTests, tf.test.TestCase):

    def make_estimator(self, game, policies, n_trajectories, horizon):
        return mapg.CounterfactualDiceEstimator(game, policies, n_trajectories, horizon)


class ScoreFunctionTest(testing.EstimatorTests, tf.test.TestCase):

    def make_estimator(self, game, policies, n_trajectories, horizon):
        return mapg.ScoreFunctionEstimator(game, policies, n_trajectories, horizon)


if __name__ == "__main__":
    tf.test.main()
