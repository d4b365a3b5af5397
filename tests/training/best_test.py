"""Every seed goes back to where it did best, and to nowhere else."""

import keras
import numpy as np
import tensorflow as tf

from tf_metamapg.training.best import Best


class BestTest(tf.test.TestCase):

    def test_each_seed_has_a_best_of_its_own(self):
        variables = [keras.Variable(np.zeros([3, 2])), keras.Variable(np.zeros([3]))]
        best = Best(variables)
        for value, scores in ((1.0, [1.0, 2.0, -3.0]), (2.0, [0.0, 3.0, -4.0]), (3.0, [1.0, 1.0, -2.0])):
            variables[0].assign(np.full([3, 2], value))
            variables[1].assign(np.full([3], 10.0 * value))
            best.keep(scores)
        variables[0].assign(np.full([3, 2], 4.0))
        best.restore()
        self.assertAllEqual(variables[0].numpy(), [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
        self.assertAllEqual(variables[1].numpy(), [10.0, 20.0, 30.0])

    def test_without_scores_everything_stays(self):
        variables = [keras.Variable(np.zeros([2]))]
        best = Best(variables)
        variables[0].assign([1.0, 2.0])
        best.restore()
        self.assertAllEqual(variables[0].numpy(), [1.0, 2.0])

    def test_a_score_that_is_not_a_number_is_never_best(self):
        variables = [keras.Variable(np.zeros([1]))]
        best = Best(variables)
        for value, score in ((1.0, -1.0), (2.0, np.nan)):
            variables[0].assign([value])
            best.keep([score])
        best.restore()
        self.assertAllEqual(variables[0].numpy(), [1.0])

    def test_state_is_all_that_it_knows(self):
        variables = [keras.Variable(np.zeros([2]))]
        best, other = Best(variables), Best(variables)
        variables[0].assign([1.0, 2.0])
        best.keep([0.0, 0.0])
        for to, of in zip(other.state, best.state, strict=True):
            to.assign(of.numpy())
        variables[0].assign([3.0, 4.0])
        other.restore()
        self.assertAllEqual(variables[0].numpy(), [1.0, 2.0])


if __name__ == "__main__":
    tf.test.main()
