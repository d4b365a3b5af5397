"""Linear equations with one matrix and many right-hand sides, those of all derivatives among them."""

import tensorflow as tf

from tf_metamapg.numerics import products

# Up to so many unknowns, TensorFlow's own solver is as fast.
_FEW = 64


def solve(matrix: tf.Tensor, rhs: tf.Tensor) -> tf.Tensor:
    """The solution of A x = b.

    A large matrix is factorised once, for the solution and for all its derivatives, which TensorFlow's own solver would
    do anew for each of them. XLA cannot factorise, so that such equations are solved in graphs or eagerly.

    Args:
        matrix: A, tensor [..., M, M].
        rhs: b, tensor [..., M, n], of the same leading axes.

    Returns:
        tensor [..., M, n], differentiable any number of times in both.
    """
    if matrix.shape[-1] <= _FEW:
        return tf.linalg.solve(matrix, rhs)
    factors, rows = tf.linalg.lu(tf.stop_gradient(matrix))
    n_axes = len(rows.shape) - 1
    lower = tf.linalg.set_diag(factors, tf.ones(tf.shape(factors)[:-1], factors.dtype))

    def ordered(values, order):
        return tf.gather(values, order, batch_dims=n_axes, axis=n_axes)

    def substituted(values):
        values = tf.linalg.triangular_solve(lower, ordered(values, rows), lower=True)
        return tf.linalg.triangular_solve(factors, values, lower=False)

    def adjoint_substituted(values):
        values = tf.linalg.triangular_solve(factors, values, lower=False, adjoint=True)
        values = tf.linalg.triangular_solve(lower, values, lower=True, adjoint=True)
        return ordered(values, tf.argsort(rows, axis=-1))

    @tf.custom_gradient
    def solution(matrix, rhs):
        def gradient(upstream):
            adjoint = adjoint_solution(matrix, upstream)
            return -_outer(adjoint, solution(matrix, rhs)), adjoint

        return substituted(rhs), gradient

    @tf.custom_gradient
    def adjoint_solution(matrix, rhs):
        def gradient(upstream):
            following = solution(matrix, upstream)
            return -_outer(adjoint_solution(matrix, rhs), following), following

        return adjoint_substituted(rhs), gradient

    return solution(matrix, rhs)


def _outer(first, second):
    """[..., M, n], [..., M, n] → [..., M, M]."""
    return products.matmul(first, tf.linalg.matrix_transpose(second))
