"""What agents have in common that step along a gradient of their objective."""

import abc
import numbers

import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg import links
from tf_metamapg.agents.learning_rates import ConstantRate
from tf_metamapg.agents.optimizers import SGD
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import InnerLearningRate
from tf_metamapg.contracts import InnerOptimizer
from tf_metamapg.contracts import MetaGradients
from tf_metamapg.contracts import MetaParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure


class GradientAgent(descriptions.Described, abc.ABC):
    """θⁱ ← θⁱ + α · what an optimiser makes of a gradient. Its initial policy stays as its initializer drew it.

    Attributes:
        is_meta_agent: whether it learns its initial policy.
        plays_ahead: whether its update lets the policies play.
        reads_others: whether its update depends on the others' parameters, beside what was sampled.
    """

    is_meta_agent = plays_ahead = reads_others = False

    def __init__(
        self, inner_learning_rate: float | InnerLearningRate = 1.0, optimizer: InnerOptimizer | None = None,
        entropy_bonus: float = 0.0,
    ) -> None:
        """
        Args:
            inner_learning_rate: α ≥ 0, the step on the discounted, unnormalised value, or on what the optimiser makes
                of its gradient; or one of `learning_rates.py`.
            optimizer: one of `optimizers.py`; by default `SGD()`, the gradient itself.
            entropy_bonus: ≥ 0, in units of reward per nat: what its own actions' entropy adds to each reward in its
                gradient. With sampled inner updates that is the entropy at the observations that were made.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        kind = type(self).__name__
        parameter = f"{kind}.inner_learning_rate"
        if isinstance(inner_learning_rate, numbers.Real):
            checks.check_number(parameter, inner_learning_rate, minimum=0.0)
            inner_learning_rate = ConstantRate(float(inner_learning_rate))
        rate = contracts.checked_kind(
            parameter, inner_learning_rate, contracts.InnerLearningRate,
            "a finite number ≥ 0.0 or a learning rate, such as LearnedRates()",
        )
        is_fit = self.is_meta_agent or not rate.is_learned
        checks.check(is_fit, parameter, rate, "a constant, as this agent meta-learns nothing")
        optimizer = SGD() if optimizer is None else optimizer
        contracts.check_kind(
            f"{kind}.optimizer", optimizer, contracts.InnerOptimizer, "an optimiser, such as Adam()"
        )
        checks.check_number(f"{kind}.entropy_bonus", entropy_bonus, minimum=0.0)
        self._learning_rate = rate
        self._optimizer = optimizer
        self._entropy_bonus = entropy_bonus

    @abc.abstractmethod
    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """The gradient that it follows, before the entropy bonus is added to it.

        Args:
            objectives: `links.Objectives` at θ.
            agent_index: i, which agent of the game it is.

        Returns:
            Params with leaves [S, N, ...], differentiable with respect to the parameters of every agent
            so far as the estimator's objectives are.
        """

    def init_update(
        self, estimator: contracts.Estimator, agent_index: int, n_seeds: int, chain_length: int
    ) -> Structure:
        """See `contracts.Agent.init_update`."""
        return self._learning_rate.init_update(estimator.policies[agent_index], n_seeds, chain_length)

    def init(self, params: Params, estimator: contracts.Estimator, agent_index: int) -> AgentState:
        """See `contracts.Agent.init`: beside the parameters [S, N, ...] the moments of its optimiser."""
        del estimator, agent_index
        return AgentState(params, self._optimizer.init(params))

    def update(
        self, state: AgentState, objectives: links.Objectives, agent_index: int, step_params: Structure
    ) -> AgentState:
        """See `contracts.Agent.update`: one step along its gradient (Eq. 3)."""
        return self.stepped_along(self.climbed(objectives, agent_index), state, step_params)

    def climbed(self, objectives: links.Objectives, agent_index: int) -> Params:
        """Its gradient with that of the entropy bonus: Params with leaves [S, N, ...]; see `gradients`."""
        gradients = self.gradients(objectives, agent_index)
        if not self._entropy_bonus:
            return gradients
        bonuses = objectives.entropy_gradients(agent_index)
        return tuple(leaf + self._entropy_bonus * bonus for leaf, bonus in zip(gradients, bonuses))

    def stepped_along(self, gradients: Params, state: AgentState, step_params: Structure) -> AgentState:
        """Its state after one step along what its optimiser makes of gradients [S, N, ...]; see `update`."""
        direction, moments = self._optimizer.direction(gradients, state.extra)
        return AgentState(self.stepped(state.params, direction, step_params), moments)

    def stepped(self, params: Params, direction: Params, step_params: Structure) -> Params:
        """Parameters [S, N, ...] after a step along a direction, as long as the agent's learning rate says.

        Args:
            params: Params with leaves [S, N, ...].
            direction: the same.
            step_params: leaves [S, ...], the slice of `update` meta-parameters of this step.

        Returns:
            Params, differentiable in all arguments.
        """
        steps = self._learning_rate.scaled(direction, step_params)
        return tuple(leaf + step for leaf, step in zip(params, steps))

    def meta_gradients(self, chain: adaptation.Chain, agent_index: int) -> MetaGradients:
        """Zeros: an ordinary agent does not choose where it starts. See `contracts.Agent.meta_gradients`."""
        adaptation.check_chain(chain, agent_index)
        params = chain.links[0].agent_states[agent_index].params
        zeros = MetaParams(
            tuple(tf.zeros_like(leaf[:, 0]) for leaf in params),
            tf.nest.map_structure(tf.zeros_like, chain.update_params[agent_index]),
        )
        return MetaGradients(zeros, zeros, zeros)
