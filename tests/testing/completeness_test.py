"""Every member of the package is under the tests for members: the tables are complete."""

import inspect
import re

import tensorflow as tf

from tests.testing import agents_test
from tests.testing import critics_test
from tests.testing import estimators_test
from tests.testing import games_test
from tests.testing import policies_test
from tests.testing import simulators_test
from tests.testing.agents_test import MAKERS
from tests.testing.agents_test import SAMPLING_MAKERS
import tf_metamapg as mapg
from tf_metamapg import contracts
from tf_metamapg import testing
from tf_metamapg.testing.tiny_games import TinyGame


def members(folder, base):
    """The names of a folder's members that are concrete subclasses of a class."""
    found = {name: getattr(folder, name) for name in folder.__all__}
    return {
        name for name, one in found.items()
        if inspect.isclass(one) and issubclass(one, base) and not inspect.isabstract(one)
    }


def cases(module, mixin):
    """New tests of a module that say what is to be tested."""
    return [
        one() for _, one in inspect.getmembers(module, inspect.isclass)
        if issubclass(one, mixin) and issubclass(one, tf.test.TestCase)
    ]


class CompletenessTest(tf.test.TestCase):

    def test_games(self):
        games = {
            name for name in mapg.games.__all__
            if inspect.isclass(one := getattr(mapg.games, name)) and not inspect.isabstract(one)
            and {"reset", "step", "observe"} <= {*dir(one)}
        }
        made = [test.make_game() for test in cases(games_test, testing.GameTests)]
        self.assertTrue(all(isinstance(game, contracts.Game) for game in made))
        self.assertCountEqual({type(game).__name__ for game in made}, games)

    def test_policies(self):
        made = [repr(test.make_policy(test.make_game(), 0)) for test in cases(policies_test, testing.PolicyTests)]
        self.assertLen(made, len(policies_test.KINDS) + 1)
        makers = {re.match(r"\w+ by (\w+)\(", one).group(1) for one in made}
        self.assertEqual(makers, {name for name in mapg.policies.__all__ if name.endswith("_policy")})

    def test_estimators(self):
        tiny = TinyGame(2, ends=False)
        made = [
            test.make_estimator(tiny.game, tiny.policies, 2, 2)
            for test in cases(estimators_test, testing.EstimatorTests)
        ]
        sampled = members(mapg.estimators, mapg.SampledEstimator)
        self.assertCountEqual({type(estimator).__name__ for estimator in made}, sampled)

    def test_critics(self):
        tiny = TinyGame(3, ends=False)
        made = [
            test.make_critic(tiny.game.spec, tiny.policies) for test in cases(critics_test, testing.CriticTests)
        ]
        self.assertCountEqual({type(critic).__name__ for critic in made}, members(mapg.critics, mapg.BaselineCritic))

    def test_simulators(self):
        tiny = TinyGame(2, ends=False)
        made = [
            test.make_simulator(tiny, tiny.policies, 2, 2)
            for test in cases(simulators_test, testing.SimulatorTests)
        ]
        self.assertCountEqual({type(simulator).__name__ for simulator in made}, mapg.simulators.__all__)

    def test_agents(self):
        made = [make() for make in (MAKERS | SAMPLING_MAKERS).values()]
        agents = {
            name for name in mapg.agents.__all__
            if inspect.isclass(one := getattr(mapg.agents, name)) and not inspect.isabstract(one)
            and "meta_gradients" in dir(one)
            # It is around another agent, and its policy is given what it learns: `carrying_test`.
            and one is not mapg.OpponentEmbedding
        }
        self.assertCountEqual({type(agent).__name__ for agent in made}, agents)
        self.assertCountEqual(MAKERS | SAMPLING_MAKERS, agents)
        self.assertLen(cases(agents_test, testing.AgentTests), len(agents))
        used = {
            type(part).__name__ for agent in made if isinstance(agent, mapg.GradientAgent)
            for part in (agent._optimizer, agent._learning_rate)
        }
        helpers = members(mapg.agents, mapg.SGD) | members(mapg.agents, mapg.ConstantRate)
        self.assertCountEqual(used, helpers)


if __name__ == "__main__":
    tf.test.main()
