"""What Meta-PG and Meta-MAPG have in common: an initial policy that is learned."""

from collections.abc import Callable
from collections.abc import Sequence
import functools

from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import theorem
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.opponent_models import check_opponent_model
from tf_metamapg.contracts import InnerLearningRate
from tf_metamapg.contracts import InnerOptimizer
from tf_metamapg.contracts import MetaGradients


class MetaAgent(PolicyGradient):
    """An agent that learns where to start; it adapts by policy gradient like every other agent."""

    is_meta_agent = True

    def __init__(
        self, inner_learning_rate: float | InnerLearningRate = 1.0, optimizer: InnerOptimizer | None = None,
        value_weights: Callable[[int], Sequence[float]] = theorem.mean_over_chain,
        opponent_model: contracts.OpponentModel | None = None, entropy_bonus: float = 0.0,
    ) -> None:
        """
        Args:
            inner_learning_rate: α ≥ 0, see `GradientAgent`; with `LearnedRates` or `LearnedRatesPerParameter` the
                meta-gradient learns how long the updates of the chain are.
            optimizer, entropy_bonus: of its inner updates, see `GradientAgent`.
            value_weights: function of the chain length L that returns the weights w_0..w_L of the
                meta-value: `theorem.mean_over_chain` or `theorem.last_link`.
            opponent_model: how the opponents' policies are estimated, see `opponent_models.py`; by default
                they are read. What else an opponent's state holds, such as moments, is read in any case.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(inner_learning_rate, optimizer, entropy_bonus)
        kind = type(self).__name__
        is_function = callable(value_weights) and not isinstance(value_weights, type)
        checks.check(is_function, f"{kind}.value_weights", value_weights, "a function of the chain length")
        check_opponent_model(f"{kind}.opponent_model", opponent_model)
        self._value_weights = value_weights
        self._opponent_model = opponent_model

    def theorem_1(self, chain: adaptation.Chain, agent_index: int) -> MetaGradients:
        """All three terms of Theorem 1 for this agent's meta-value; see `theorem.meta_gradients`."""
        adaptation.check_chain(chain, agent_index)
        if self._opponent_model is not None:
            estimate = chain.compile_fn(
                functools.partial(self._opponent_model.estimate, chain.estimator, agent_index=agent_index)
            )
            batch_shape = chain.links[0].agent_states[agent_index].params[0].shape[:2]
            known = self._opponent_model.init(chain.estimator, agent_index, batch_shape)
            seen = []
            for link in chain.links:
                link, known = estimate(link, known=known)
                seen.append(link)
            chain = chain._replace(links=tuple(seen))
        parameter = f"{type(self).__name__}.value_weights"
        weights = theorem.chain_weights(parameter, self._value_weights, len(chain.links) - 1)
        return theorem.meta_gradients(chain, agent_index, weights)
