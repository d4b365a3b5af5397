"""The package's games pass the tests for games."""

import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import testing


class MatrixGameTest(testing.GameTests, tf.test.TestCase):

    def make_game(self):
        return mapg.MatrixGame(mapg.rock_paper_scissors())


class IteratedMatrixGameTest(testing.GameTests, tf.test.TestCase):

    def make_game(self):
        return mapg.IteratedMatrixGame(
            mapg.public_goods(3), discount=0.9, dtype="float64", metrics=("cooperation", "cooperation_by_state")
        )


class IteratedMatrixGameOfFiveTest(testing.GameTests, tf.test.TestCase):

    def make_game(self):
        return mapg.IteratedMatrixGame(mapg.public_goods(5, multiplier=3.0), discount=0.8)


class PublicGoodsGameTest(testing.GameTests, tf.test.TestCase):

    def make_game(self):
        return mapg.PublicGoodsGame(3, end_probability=0.3)


class OpenSpielGameTest(testing.GameTests, tf.test.TestCase):

    def make_game(self):
        return mapg.OpenSpielGame("goofspiel(num_cards=3,imp_info=True,points_order=random)")


class StochasticGameTest(testing.GameTests, tf.test.TestCase):

    def make_game(self):
        rng = np.random.default_rng(0)
        return mapg.StochasticGame(
            rng.normal(size=[2, 3, 2, 3]), rng.dirichlet([1.0] * 3, size=[3, 2, 3]), discount=1.0,
            start=[0.5, 0.2, 0.3], ends=rng.uniform(0.1, 0.6, size=[3, 2, 3]),
        )


class CoinGameTest(testing.GameTests, tf.test.TestCase):

    def make_game(self):
        return mapg.CoinGame(mapg.lola_rules())


class ExactCoinGameTest(testing.GameTests, tf.test.TestCase):

    def make_game(self):
        return mapg.ExactCoinGame(mapg.pola_rules(), "board", discount=0.9)


class ExchangeGameTest(testing.GameTests, tf.test.TestCase):

    def make_game(self):
        return mapg.ExchangeGame()


class NavigationGameTest(testing.GameTests, tf.test.TestCase):

    def make_game(self):
        return mapg.NavigationGame(goal=(0.15, 0.0))


class MaxOfTwoQuadraticsTest(testing.GameTests, tf.test.TestCase):

    def make_game(self):
        return mapg.MaxOfTwoQuadratics()


class LinearQuadraticGameTest(testing.GameTests, tf.test.TestCase):

    def make_game(self):
        controls = [[[1.0], [0.0]], [[0.0], [1.0]]]
        return mapg.LinearQuadraticGame(0.5 * np.eye(2), controls, np.stack([np.eye(2)] * 2), [1.0, 2.0], noise=0.1)


if __name__ == "__main__":
    tf.test.main()
