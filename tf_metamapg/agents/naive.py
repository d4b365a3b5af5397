"""The naive learner: policy gradient that takes the other agents as they are (Eq. 1)."""

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.contracts import MetaGradients
from tf_metamapg.contracts import MetaParams


class PolicyGradient(descriptions.Described):
    """θⁱ ← θⁱ + α ∇_θⁱ Vⁱ(θ): Eq. 3. Its initial policy stays as its initializer drew it.

    Attributes:
        inner_learning_rate: α.
        is_meta_agent: whether it is a meta-agent.
        learns_inner_learning_rates: whether it learns a step of its own for each link, starting from α.
    """

    is_meta_agent = False
    learns_inner_learning_rates = False

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

    def gradients(self, objectives, agent_index):
        """The direction of its inner updates, ∇_θⁱ Vⁱ(θ).

        Args:
            objectives: `adaptation.Objectives` at θ.
            agent_index: i.

        Returns:
            Params with leaves [S, N, ...], differentiable with respect to the parameters of every agent
            so far as the estimator's objectives are.
        """
        return objectives.gradients(agent_index, with_respect_to=agent_index)

    def meta_gradients(self, estimator, chain, agent_index):
        """Zeros: an ordinary learner does not choose where it starts.

        Returns:
            MetaGradients.

        Raises:
            InvalidInputError: see `check_chain`.
        """
        self.check_chain(estimator, chain, agent_index)
        own_params = chain.links[0].joint_params[agent_index]
        zeros = MetaParams(
            tuple(tf.zeros_like(leaf[:, 0]) for leaf in own_params),
            tf.zeros_like(chain.inner_learning_rates[agent_index]),
        )
        return MetaGradients(zeros, zeros, zeros)

    def check_chain(self, estimator, chain, agent_index):
        """Raises `InvalidInputError` unless an estimator made a chain in which agent i may be this one.

        A meta-agent must have learned there in its own way; whoever is not, cannot be a meta-agent there.
        """
        arguments.check_chain(estimator, chain, agent_index)
        learner = chain.agents[agent_index]
        learned_alike = type(learner).gradients is type(self).gradients
        checks.check(
            learned_alike if self.is_meta_agent else not learner.is_meta_agent,
            f"chain.agents[{agent_index}]", learner, f"an agent whose meta-gradients are those of {self}",
        )
