"""What the agents have in common whose direction depends on the policies of all: they read or estimate the others'."""

from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents.base import GradientAgent
from tf_metamapg.agents.opponent_models import check_opponent_model
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import InnerLearningRate
from tf_metamapg.contracts import InnerOptimizer
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure


class Informed(GradientAgent):
    """An agent that knows the policies of all agents: it reads them, or has a model of the others."""

    def __init__(
        self, inner_learning_rate: float | InnerLearningRate = 1.0, optimizer: InnerOptimizer | None = None,
        entropy_bonus: float = 0.0, opponent_model: contracts.OpponentModel | None = None,
    ) -> None:
        """
        Args:
            inner_learning_rate, optimizer, entropy_bonus: see `GradientAgent`.
            opponent_model: how the others' policies are estimated, see `opponent_models.py`; by default they are read.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(inner_learning_rate, optimizer, entropy_bonus)
        check_opponent_model(f"{type(self).__name__}.opponent_model", opponent_model)
        self._opponent_model = opponent_model
        self.reads_others = opponent_model is None

    def init(self, params: Params, estimator: contracts.Estimator, agent_index: int) -> AgentState:
        """See `contracts.Agent.init`: with an opponent model also what that knows."""
        state = super().init(params, estimator, agent_index)
        if self._opponent_model is None:
            return state
        known = self._opponent_model.init(estimator, agent_index, params[0].shape[:2])
        return state._replace(extra=(state.extra, known))

    def update(
        self, state: AgentState, objectives: links.Objectives, agent_index: int, step_params: Structure
    ) -> AgentState:
        """See `contracts.Agent.update`: `update_at` the others' policies as the agent knows them."""
        if self._opponent_model is None:
            return self.update_at(state, objectives, agent_index, step_params)
        moments, known = state.extra
        link, known = self._opponent_model.estimate(objectives.estimator, objectives.link, agent_index, known)
        seen = links.Objectives(objectives.estimator, objectives.tasks, link).with_extra(agent_index, moments)
        following = self.update_at(state._replace(extra=moments), seen, agent_index, step_params)
        return following._replace(extra=(following.extra, known))

    def update_at(
        self, state: AgentState, objectives: links.Objectives, agent_index: int, step_params: Structure
    ) -> AgentState:
        """Its state after one update at given policies of all agents: one step along its gradient.

        Args:
            state: its state at the link, without what its opponent model knows.
            objectives, agent_index, step_params: see `contracts.Agent.update`.
        """
        return super().update(state, objectives, agent_index, step_params)
