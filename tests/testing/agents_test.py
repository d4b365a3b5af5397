"""The package's agents pass the tests for agents."""

import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import testing

MAKERS = {
    "Fixed": mapg.Fixed,
    "PolicyGradient": lambda: mapg.PolicyGradient(0.5, mapg.Momentum(), entropy_bonus=0.1),
    "LookAhead": lambda: mapg.LookAhead(0.5, 0.4, mapg.RMSProp(epsilon=0.1)),
    "LOLAShaping": lambda: mapg.LOLAShaping(0.5, 0.4, mapg.Adam(epsilon=0.1)),
    "LOLATaylor": lambda: mapg.LOLATaylor(0.5, 0.4, mapg.SGD(max_gradient_norm=0.1)),
    "LOLADiCE": lambda: mapg.LOLADiCE(0.5, 0.4, 2),
    "SOS": lambda: mapg.SOS(0.5, 0.4),
    "MetaPG": lambda: mapg.MetaPG(mapg.LearnedRates(0.5)),
    "MetaMAPG": lambda: mapg.MetaMAPG(mapg.LearnedRatesPerParameter(0.5), mapg.Adam(epsilon=0.1)),
}
SAMPLING_MAKERS = {
    "AdvantageActorCritic": lambda: mapg.AdvantageActorCritic(0.5, critic_units=2, entropy_bonus=0.1),
    "PPO": lambda: mapg.PPO(0.5, mapg.Adam(epsilon=0.1), n_epochs=2, critic_units=2),
}


# By default the mean over the values after each of two updates; Meta-PG leaves a term out.
META_VALUE_WEIGHTS = {"MetaMAPG": (0.0, 0.5, 0.5)}


def _test_class(name, make_agent, estimator=None):
    """The tests of one agent."""
    members = {"make_agent": lambda self: make_agent(), "meta_value_weights": META_VALUE_WEIGHTS.get(name)}
    if estimator is not None:
        members["make_estimator"] = lambda self, game, policies: estimator(game, policies, 3, 2)
    return type(f"{name}Test", (testing.AgentTests, tf.test.TestCase), members)


for _name, _make in MAKERS.items():
    globals()[f"{_name}Test"] = _test_class(_name, _make)
for _name, _make in SAMPLING_MAKERS.items():
    globals()[f"{_name}Test"] = _test_class(_name, _make, mapg.ScoreFunctionEstimator)


if __name__ == "__main__":
    tf.test.main()
