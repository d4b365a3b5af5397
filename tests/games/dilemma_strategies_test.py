"""Proves that strategies of the prisoner's dilemma are what they are called, by what they lead to."""

from absl.testing import parameterized
import numpy as np
import pytest
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg.games import dilemma_strategies

PAYOFFS = mapg.payoffs.prisoners_dilemma()


def values(name, other, payoffs=PAYOFFS, discount=0.9999999):
    """(1 − γ) V of a strategy and of another, by a linear system of NumPy: states are CC, CD, DC, DD."""
    own = dilemma_strategies.memory_one_strategy(name, payoffs)
    probs = np.stack([own, np.asarray(other)[[0, 1, 3, 2, 4]]])
    joint = np.stack([probs[0] * probs[1], probs[0] * (1 - probs[1]), (1 - probs[0]) * probs[1],
                      (1 - probs[0]) * (1 - probs[1])], axis=-1)
    start, transitions = joint[0], joint[1:]
    visits = np.linalg.solve(np.eye(4) - discount * transitions.T, start)
    return (1 - discount) * np.array([visits @ np.reshape(payoffs[agent], [-1]) for agent in range(2)])


class DilemmaStrategiesTest(tf.test.TestCase, parameterized.TestCase):

    def others(self, n=8):
        return np.random.default_rng(0).uniform(0.05, 0.95, size=[n, 5])

    @parameterized.parameters(("extortion_2", 2.0), ("extortion_3", 3.0))
    def test_extortion(self, name, factor):
        """The surplus over P is `factor` times the other's, whoever that is (Press & Dyson 2012, Eq. 12)."""
        for payoffs in (PAYOFFS, mapg.payoffs.prisoners_dilemma(3.0, 0.0, 5.0, 1.0)):
            punishment = payoffs[0, 1, 1]
            for other in self.others():
                own, others = values(name, other, payoffs)
                self.assertAllClose(own - punishment, factor * (others - punishment), atol=1e-5)

    def test_the_largest_parameter_leaves_probabilities(self):
        for payoffs in (PAYOFFS, mapg.payoffs.prisoners_dilemma(3.0, 0.0, 5.0, 1.0)):
            for name in dilemma_strategies.STRATEGIES:
                self.assertAllInRange(dilemma_strategies.memory_one_strategy(name, payoffs), 0.0, 1.0)

    def test_tit_for_tat_gets_what_the_other_gets(self):
        for other in self.others():
            self.assertAllClose(*values("tit_for_tat", other), atol=1e-5)

    def test_generous(self):
        """To defect against it pays as much as to cooperate; a little more generosity, and it pays more."""
        own = dilemma_strategies.memory_one_strategy("generous_tit_for_tat", PAYOFFS)
        self.assertAllClose(own, [1.0, 1.0, 0.5, 1.0, 0.5])
        axelrods = mapg.payoffs.prisoners_dilemma(3.0, 0.0, 5.0, 1.0)
        self.assertAllClose(
            dilemma_strategies.memory_one_strategy("generous_tit_for_tat", axelrods), [1.0, 1.0, 1 / 3, 1.0, 1 / 3]
        )
        defector = values("generous_tit_for_tat", np.zeros(5))[1]
        self.assertAllClose(defector, PAYOFFS[0, 0, 0], atol=1e-5)

    @parameterized.parameters(
        ("always_cooperate", -1.0), ("always_defect", -2.0), ("tit_for_tat", -1.0), ("win_stay_lose_shift", -1.0),
        ("generous_tit_for_tat", -1.0), ("random", -1.5),
    )
    def test_with_itself(self, name, expected):
        own = dilemma_strategies.memory_one_strategy(name, PAYOFFS)
        self.assertAllClose(values(name, own), [expected, expected], atol=1e-5)

    def test_win_stay_lose_shift_makes_up(self):
        """After one mistake both defect once and cooperate again; tit for tat alternates for ever."""
        own = dilemma_strategies.memory_one_strategy("win_stay_lose_shift", PAYOFFS)
        self.assertAllEqual(own, [1, 1, 0, 0, 1])

    @parameterized.parameters(
        ("grim", r"^strategy = 'grim': must be one of always_cooperate, .*"),
    )
    def test_refused(self, name, message):
        with self.assertRaisesRegex(mapg.InvalidInputError, message):
            dilemma_strategies.memory_one_strategy(name, PAYOFFS)

    @parameterized.parameters("stag_hunt", "rock_paper_scissors", "matching_pennies")
    def test_other_games_are_refused(self, name):
        with self.assertRaisesRegex(mapg.InvalidInputError, "^payoffs = .*: must be those of a prisoner's dilemma"):
            dilemma_strategies.memory_one_strategy("tit_for_tat", getattr(mapg.payoffs, name)())


@pytest.mark.slow
class AxelrodTest(tf.test.TestCase, parameterized.TestCase):
    """Of a package that takes seconds to be imported."""

    @parameterized.parameters(
        ("tit_for_tat", "TitForTat"), ("win_stay_lose_shift", "WinStayLoseShift"), ("always_defect", "Defector"),
        ("always_cooperate", "Cooperator"),
    )
    def test_as_axelrod_plays_it(self, name, own_name):
        """Against every opponent of four moves that comes with a first one."""
        import axelrod

        own = dilemma_strategies.memory_one_strategy(name, PAYOFFS)
        cooperate, defect = axelrod.Action.C, axelrod.Action.D
        for moves in np.ndindex(2, 2, 2, 2):
            other = axelrod.MockPlayer([(cooperate, defect)[move] for move in moves])
            match = axelrod.Match((getattr(axelrod, own_name)(), other), turns=4).play()
            state = 0
            for action, seen in match:
                self.assertEqual(float(action == cooperate), own[state])
                state = 1 + 2 * int(action == defect) + int(seen == defect)

    def test_of_axelrod(self):
        self.assertAllClose(
            dilemma_strategies.memory_one_strategy("axelrod:GTFT", PAYOFFS), [1.0, 1.0, 1 / 3, 1.0, 1 / 3]
        )
        self.assertAllClose(
            dilemma_strategies.memory_one_strategy("axelrod:Win-Shift Lose-Stay", PAYOFFS), [0.0, 0.0, 1.0, 1.0, 0.0]
        )

    def test_refused(self):
        message = r"^strategy = 'axelrod:Grudger': must be axelrod: and one of .*ZD-GTFT-2"
        with self.assertRaisesRegex(mapg.InvalidInputError, message):
            dilemma_strategies.memory_one_strategy("axelrod:Grudger", PAYOFFS)


if __name__ == "__main__":
    tf.test.main()
