"""How long the inner updates of an agent are: a constant, or what a meta-agent learns along with its initial policy."""

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Policy
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import axes


class ConstantRate(descriptions.Described):
    """α for every update and parameter.

    Attributes:
        is_learned: whether there is something for a meta-agent to learn.
        learning_rate: α.
    """

    is_learned = False

    def __init__(self, learning_rate: float = 1.0) -> None:
        """
        Args:
            learning_rate: α ≥ 0, the step on the discounted, unnormalised value.

        Raises:
            InvalidInputError: if it is not such a number.
        """
        checks.check_number(f"{type(self).__name__}.learning_rate", learning_rate, minimum=0.0)
        self.learning_rate = learning_rate

    def init_update(self, policy: Policy, n_seeds: int, chain_length: int) -> Structure:
        """Nothing is learned: ()."""
        del policy, n_seeds, chain_length
        return ()

    def scaled(self, direction: Params, step_params: Structure) -> Params:
        """The step along a direction.

        Args:
            direction: Params with leaves [S, N, ...].
            step_params: slice [S, ...] of what `init_update` returned or of what has become of it.

        Returns:
            Params, differentiable in both arguments.

        Raises:
            InvalidInputError: if `step_params` is something else.
        """
        allowed = "(), as nothing of this agent's updates is learned"
        checks.check(not tf.nest.flatten(step_params), "step_params", step_params, allowed)
        return tuple(tf.constant(self.learning_rate, leaf.dtype) * leaf for leaf in direction)


class LearnedRates(ConstantRate):
    """A rate for each update of the chain.

    Its logarithm is learned: a rate stays positive, and changes by a factor.
    """

    is_learned = True

    def __init__(self, learning_rate: float = 1.0) -> None:
        """
        Args:
            learning_rate: α > 0, what all rates start from.

        Raises:
            InvalidInputError: if it is not such a number.
        """
        super().__init__(learning_rate)
        checks.check_positive(f"{type(self).__name__}.learning_rate", learning_rate)

    def init_update(self, policy: Policy, n_seeds: int, chain_length: int) -> Structure:
        """log α for each update: tensor [S, max(L, 1)]."""
        rate = tf.constant(self.learning_rate, policy.spec.dtype)
        return tf.fill([n_seeds, max(chain_length, 1)], tf.math.log(rate))

    def scaled(self, direction: Params, step_params: Structure) -> Params:
        """See `ConstantRate.scaled`; `step_params` is log α of this update, [S]."""
        dtype, shape = direction[0].dtype.name, list(direction[0].shape[:1])
        rate = tf.exp(arguments.tensor("step_params", step_params, dtype, shape))
        return tuple(axes.with_axes_behind(rate, leaf) * leaf for leaf in direction)


class LearnedRatesPerParameter(ConstantRate):
    """A rate for each update and parameter (Meta-SGD, Li et al. 2017). Rates may change their sign."""

    is_learned = True

    def init_update(self, policy: Policy, n_seeds: int, chain_length: int) -> Structure:
        """α for each update and parameter: Params with leaves [S, max(L, 1), ...]."""
        return tuple(
            tf.fill([n_seeds, max(chain_length, 1), *leaf.shape], tf.constant(self.learning_rate, leaf.dtype))
            for leaf in policy.reference_params
        )

    def scaled(self, direction: Params, step_params: Structure) -> Params:
        """See `ConstantRate.scaled`; `step_params` is α of this update, Params with leaves [S, ...]."""
        reference = [tf.TensorSpec(leaf.shape[2:], leaf.dtype) for leaf in direction]
        rates = arguments.params("step_params", step_params, reference, list(direction[0].shape[:1]))
        return tuple(rate[:, tf.newaxis] * leaf for rate, leaf in zip(rates, direction))
