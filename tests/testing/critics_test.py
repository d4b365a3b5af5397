"""The package's critics pass the tests for critics."""

import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import testing


class NoBaselineTest(testing.CriticTests, tf.test.TestCase):

    def make_critic(self, spec, policies):
        return mapg.NoBaseline(spec, policies)


class LeaveOneOutBaselineTest(testing.CriticTests, tf.test.TestCase):

    def make_critic(self, spec, policies):
        return mapg.LeaveOneOutBaseline(spec, policies)


class LinearFeatureBaselineTest(testing.CriticTests, tf.test.TestCase):

    def make_critic(self, spec, policies):
        return mapg.LinearFeatureBaseline(spec, policies)


class ValueNetworkTest(testing.CriticTests, tf.test.TestCase):

    def make_critic(self, spec, policies):
        return mapg.ValueNetwork(spec, policies, units=3)


class CentralValueNetworkTest(testing.CriticTests, tf.test.TestCase):

    def make_critic(self, spec, policies):
        return mapg.CentralValueNetwork(spec, policies, units=3)


class CounterfactualBaselineTest(testing.CriticTests, tf.test.TestCase):

    def make_critic(self, spec, policies):
        return mapg.CounterfactualBaseline(spec, policies, units=3)


class RecursiveReasoningBaselineTest(testing.CriticTests, tf.test.TestCase):

    def make_critic(self, spec, policies):
        return mapg.RecursiveReasoningBaseline(spec, policies, units=3)


class MeanFieldBaselineTest(testing.CriticTests, tf.test.TestCase):

    fewest_agents = 3

    def make_critic(self, spec, policies):
        return mapg.MeanFieldBaseline(spec, policies, units=3)


if __name__ == "__main__":
    tf.test.main()
