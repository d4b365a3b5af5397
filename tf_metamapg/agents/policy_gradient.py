"""The naive learner: policy gradient that takes the other agents as they are (Eq. 1)."""

import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg.types import MetaGradients


class PolicyGradient:
    """θⁱ ← θⁱ + α ∇_θⁱ Vⁱ(θ): Eq. 3. Its initial policy stays as its initializer drew it.

    Attributes:
        inner_learning_rate: α.
        learns_initial_policy: whether it is a meta-agent.
    """

    learns_initial_policy = False

    def __init__(self, inner_learning_rate=1.0):
        """
        Args:
            inner_learning_rate: α ≥ 0, the step on the discounted, unnormalised value.

        Raises:
            InvalidInputError: if it is not such a number.
        """
        checks.check_number(
            f"{type(self).__name__}.inner_learning_rate", inner_learning_rate, minimum=0.0
        )
        self.inner_learning_rate = inner_learning_rate

    def gradients(self, estimator, joint_params, tasks, trajectory, agent_index):
        """∇_θⁱ Vⁱ(θ); see `adaptation.policy_gradient`."""
        return adaptation.policy_gradient(estimator, joint_params, tasks, trajectory, agent_index)

    def meta_gradients(self, estimator, chain, agent_index):
        """Zeros: an ordinary learner does not choose where it starts.

        Returns:
            MetaGradients with leaves [S, ...].
        """
        del estimator
        own_params = chain.links[0].joint_params[agent_index]
        zeros = tuple(tf.zeros_like(leaf[:, 0]) for leaf in own_params)
        return MetaGradients(zeros, zeros, zeros)
