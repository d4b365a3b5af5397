"""Differentiable games: every agent's parameters are a vector of numbers, and values are functions of them.

Nothing is sampled and there is no time: these are the games in which the dynamics of agents can be
written down. They are played with `policies.raw.vector_policy`.
"""

import numpy as np
import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import descriptions


class DifferentiableGame(descriptions.Described):
    """A game that is given by its value functions.

    Attributes:
        n_agents: n.
        n_params: tuple over agents, the sizes of their vectors.
        dtype: the name of the floating type of parameters and values.
        name: what the game is called in figures and summaries.
        discount: 0, as it is played once.
        payoffs: empty; its tasks do not differ.
    """

    discount = 0.0

    def __init__(self, values, n_params, dtype="float64", name="differentiable game"):
        """
        Args:
            values: function of n tensors [..., P_i], the vectors of all agents, that returns n
                tensors [...], their values; made of TensorFlow operations.
            n_params: (P_0, .., P_{n-1}), each ≥ 1.
            dtype: 'float32' or 'float64'.
            name: what the game is called in figures and summaries.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        kind = type(self).__name__
        checks.check(callable(values), f"{kind}.values", values, "a function of the vectors of all agents")
        is_sequence = isinstance(n_params, (list, tuple)) and len(n_params) > 0
        checks.check(is_sequence, f"{kind}.n_params", n_params, "a list of sizes, one for each agent")
        for size in n_params:
            checks.check_integer(f"{kind}.n_params", size, minimum=1)
        checks.check_dtype(f"{kind}.dtype", dtype)
        checks.check_name(f"{kind}.name", name)
        self._values = values
        self.n_params = tuple(n_params)
        self.n_agents = len(self.n_params)
        self.dtype = dtype
        self.name = name
        self.payoffs = np.zeros([0])

    def exact_values(self, tasks, vectors):
        """The values of all agents.

        Args:
            tasks: not used.
            vectors: tuple over agents of tensors [S, N, P_i].

        Returns:
            tuple over agents of tensors [S, N], as often differentiable as the value functions.

        Raises:
            InvalidInputError: if there is not one such vector for each agent, or the value functions return something
                else than values.
        """
        del tasks
        checks.check_length("vectors", vectors, self.n_agents)
        sizes = ["S", "N"]
        for agent, (vector, size) in enumerate(zip(vectors, self.n_params)):
            arguments.tensor(f"vectors[{agent}]", vector, self.dtype, [*sizes, size])
            sizes = arguments.seeds_and_tasks(vector)
        values = tuple(self._values(*vectors))
        shapes = [tuple(value.shape) for value in values]
        checks.check(
            shapes == [tuple(vectors[0].shape[:2])] * self.n_agents, "DifferentiableGame.values",
            f"{len(shapes)} tensors of shapes {shapes}",
            f"such that it returns one value [S, N] for each of {self.n_agents} agents, without the axis of parameters",
        )
        return values


def bilinear_game(dtype="float64"):
    """V⁰ = xy, V¹ = −xy: the zero-sum game of Figure 1 of Kim et al. 2020."""

    def values(x, y):
        product = x[..., 0] * y[..., 0]
        return product, -product

    return DifferentiableGame(values, n_params=[1, 1], dtype=dtype, name="bilinear zero-sum game")


def tandem_game(dtype="float64"):
    """The tandem game of Letcher et al. 2019: V⁰ = −(x + y)² + 2x, V¹ = −(x + y)² + 2y.

    Both want x + y to be small, and each would have the other pay for it. Every point of the line x + y = 1
    is a fixed point of naive learning; LOLA does not stay there, since both try to shape the other.
    """

    def values(x, y):
        x, y = x[..., 0], y[..., 0]
        shared = -tf.square(x + y)
        return shared + 2.0 * x, shared + 2.0 * y

    return DifferentiableGame(values, n_params=[1, 1], dtype=dtype, name="tandem game")
