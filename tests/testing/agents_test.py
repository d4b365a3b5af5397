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
    "Extragradient": lambda: mapg.Extragradient(0.5, 0.4),
    "ConsensusOptimization": lambda: mapg.ConsensusOptimization(0.5, 0.4),
    "SymplecticGradientAdjustment": lambda: mapg.SymplecticGradientAdjustment(0.5, 0.4),
    "CompetitiveGradientDescent": lambda: mapg.CompetitiveGradientDescent(0.5, 0.4),
    "HOLA": lambda: mapg.HOLA(0.5, 0.4, 2),
    "JointActionPolicyGradient": lambda: mapg.JointActionPolicyGradient(0.5),
    "POLA": lambda: mapg.POLA(0.5, 0.4, n_epochs=2, penalty=0.3),
    "MFOS": lambda: mapg.MFOS(units=3, n_perturbations=2),
    "MeVa": lambda: mapg.MeVa(0.5, units=3),
    "Shaper": lambda: mapg.Shaper(n_perturbations=2),
    "MetaPG": lambda: mapg.MetaPG(mapg.LearnedRates(0.5)),
    "MetaMAPG": lambda: mapg.MetaMAPG(mapg.LearnedRatesPerParameter(0.5), mapg.Adam(epsilon=0.1)),
    "FirstOrderMetaPG": lambda: mapg.FirstOrderMetaPG(mapg.LearnedRates(0.5), entropy_bonus=0.1),
    "FirstOrderMetaMAPG": lambda: mapg.FirstOrderMetaMAPG(0.5, mapg.Momentum()),
}
SAMPLING_MAKERS = {
    "COALAPG": mapg.COALAPG,
    "AdvantageActorCritic": lambda: mapg.AdvantageActorCritic(0.5, critic_units=2, entropy_bonus=0.1),
    "COMA": lambda: mapg.COMA(0.5, critic_units=2, entropy_bonus=0.1),
    "AdvantageAlignment": lambda: mapg.AdvantageAlignment(
        0.5, 2.0, mapg.Momentum(), entropy_bonus=0.1, critic_units=2, n_critic_steps=2
    ),
    "LOQA": lambda: mapg.LOQA(0.5, 2.0, critic_units=2),
    "RecursiveReasoning": lambda: mapg.RecursiveReasoning(0.5, critic_units=2),
    "PPO": lambda: mapg.PPO(0.5, mapg.Adam(epsilon=0.1), n_epochs=2, critic_units=2),
    "JointActionActorCritic": lambda: mapg.JointActionActorCritic(0.5, critic_units=2, n_critic_steps=2),
    "MultiagentSoftQLearning": lambda: mapg.MultiagentSoftQLearning(0.5, critic_units=2, cooling=0.5),
}


# By default the mean over the values after each of two updates; the others leave something out.
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
