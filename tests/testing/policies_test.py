"""The package's policies pass the tests for policies."""

import tensorflow as tf

from tests.policies import carrying_test
from tests.policies import keras_models_test
from tests.policies import policies_test
import tf_metamapg as mapg
from tf_metamapg import testing

KINDS = policies_test.KINDS | keras_models_test.KINDS | carrying_test.KINDS


class VectorTest(testing.PolicyTests, tf.test.TestCase):

    def make_game(self):
        return mapg.tandem_game("float64")

    def make_policy(self, game, agent_index):
        return mapg.vector_policy(game, agent_index)


def _test_class(kind):
    """The tests of one kind of policy."""
    members = {
        "make_game": lambda self: kind.make_game(),
        "make_policy": lambda self, game, agent_index: kind.make(game, agent_index),
    }
    return type("KindTest", (testing.PolicyTests, tf.test.TestCase), members)


for _name, _kind in KINDS.items():
    globals()[f"{_name}Test"] = _test_class(_kind)


if __name__ == "__main__":
    tf.test.main()
