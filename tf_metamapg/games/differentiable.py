"""Differentiable games: every agent's parameters are a vector of numbers, and values are functions of them.

Nothing is sampled and there is no time: these are the games in which the dynamics of agents can be
written down. They are played with `policies.vector.vector_policy`.
"""

from collections.abc import Callable
from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Structure

_WITHOUT_PARAMS = ", one value for each seed and task, without the axis of parameters"


class DifferentiableGame(descriptions.Described):
    """A game that is given by its value functions.

    Every agent plays the vector of its parameters, once, and sees nothing.

    Attributes:
        spec: `contracts.GameSpec`; actions are the vectors.
        default_tasks: (); its tasks do not differ.
    """

    def __init__(
        self, values: Callable[..., Sequence[tf.Tensor]], n_params: Sequence[int], dtype: str = "float64",
        name: str = "differentiable game",
    ) -> None:
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
        self.spec = contracts.GameSpec(
            name=name, discount=0.0, dtype=dtype, observations=(contracts.Discrete(1),) * len(n_params),
            actions=tuple(contracts.Box((size,)) for size in n_params),
        )
        self.default_tasks = ()

    def exact_values(self, tasks: Structure, strategies: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """The values of all agents.

        Args:
            tasks: not used.
            strategies: tuple over agents of tensors [S, N, P_i].

        Returns:
            tuple over agents of tensors [S, N], as often differentiable as the value functions.

        Raises:
            InvalidInputError: if there is not one such vector for each agent, or the value functions return something
                else than values.
        """
        del tasks
        n_agents = self.spec.n_agents
        checks.check_length("strategies", strategies, n_agents)
        sizes = ["S", "N"]
        for agent, (vector, action) in enumerate(zip(strategies, self.spec.actions)):
            one = action.tensor_spec(self.spec.dtype)
            arguments.tensor(f"strategies[{agent}]", vector, self.spec.dtype, [*sizes, *one.shape])
            sizes = arguments.seeds_and_tasks(vector)
        values, axes = self._values(*strategies), list(strategies[0].shape[:2])
        checks.check_length("DifferentiableGame.values(...)", values, n_agents)
        return tuple(
            arguments.tensor(f"DifferentiableGame.values(...)[{agent}]", value, self.spec.dtype, axes, _WITHOUT_PARAMS)
            for agent, value in enumerate(values)
        )

    def exact_lengths(self, tasks: Structure, strategies: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """One step for every agent, tuple of tensors [S, N]."""
        del tasks
        return tuple(tf.ones_like(vector[..., 0]) for vector in strategies)


def bilinear_game(dtype: str = "float64") -> DifferentiableGame:
    """V⁰ = xy, V¹ = −xy: the zero-sum game of Figure 1 of Kim et al. 2020."""

    def values(x, y):
        product = x[..., 0] * y[..., 0]
        return product, -product

    return DifferentiableGame(values, n_params=[1, 1], dtype=dtype, name="bilinear zero-sum game")


def tandem_game(dtype: str = "float64") -> DifferentiableGame:
    """The tandem game of Letcher et al. 2019: V⁰ = −(x + y)² + 2x, V¹ = −(x + y)² + 2y.

    Both want x + y to be small, and each would have the other pay for it. Every point of the line x + y = 1
    is a fixed point of naive learning; LOLA does not stay there, since both try to shape the other.
    """

    def values(x, y):
        x, y = x[..., 0], y[..., 0]
        shared = -tf.square(x + y)
        return shared + 2.0 * x, shared + 2.0 * y

    return DifferentiableGame(values, n_params=[1, 1], dtype=dtype, name="tandem game")
