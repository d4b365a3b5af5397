"""Embeddings of the others, learned from their trajectories by imitation (Grover et al. 2018).

For every other agent j an encoder f and an imitator g learn, after every link of a chain, to climb

    mean over k, t of log g(a^j_kt | o^j_kt, e^j_{k-1}),    e^j_k = mean over t of f(o^j_kt, a^j_kt),

with e^j_{-1} = e^j_{K-1}, so that what an episode says of an agent must help to tell what it does in another one. (With
K = 1 the imitator is given the embedding of the very episode that it has to predict.) What the agent's policy is given
is the mean of e^j_k over the K episodes, see `embedding_policy`. Grover et al. also have embeddings tell agents apart
(identification); here an agent meets one of a kind in every task, and there is nobody to tell it apart from.
"""

from typing import cast

import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg import links
from tf_metamapg.agents.optimizers import Adam
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import MetaGradients
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.policies.embedding import EmbeddingPolicy


class OpponentEmbedding(descriptions.Described):
    """Any agent, whose policy is given an embedding of the others that is learned within the chain.

    Attributes:
        is_meta_agent, plays_ahead, reads_others: of the agent.
    """

    def __init__(self, agent: contracts.Agent, n_steps: int = 4, learning_rate: float = 0.01) -> None:
        """
        Args:
            agent: how the policy learns, such as `MetaPG()`.
            n_steps: steps of Adam of encoders and imitators after each link, ≥ 1.
            learning_rate: Adam's step size of these, > 0.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        kind = type(self).__name__
        contracts.check_kind(f"{kind}.agent", agent, contracts.Agent, "an agent, such as MetaPG()")
        # All steps are part of one graph.
        checks.check_integer(f"{kind}.n_steps", n_steps, minimum=1, maximum=100)
        checks.check_positive(f"{kind}.learning_rate", learning_rate)
        self.is_meta_agent = agent.is_meta_agent
        self.plays_ahead = agent.plays_ahead
        self.reads_others = agent.reads_others
        self._agent = agent
        self._n_steps = n_steps
        self._learning_rate = learning_rate
        self._optimizer = Adam()

    def init_update(
        self, estimator: contracts.Estimator, agent_index: int, n_seeds: int, chain_length: int
    ) -> Structure:
        """See `contracts.Agent.init_update`: that of the agent, leaves [S, max(L, 1), ...]."""
        self._policy(estimator, agent_index)
        return self._agent.init_update(estimator, agent_index, n_seeds, chain_length)

    def init(self, params: Params, estimator: contracts.Estimator, agent_index: int) -> AgentState:
        """See `contracts.Agent.init`: beside what the agent has, encoders and imitators, and their moments."""
        params, extra = self._agent.init(params, estimator, agent_index)
        # All seeds and tasks begin with the same ones; what they learn is their own.
        shape = params[0].shape[:2]
        networks = tuple(
            tf.broadcast_to(leaf, [*shape, *leaf.shape])
            for leaf in self._policy(estimator, agent_index).embedder.first_params
        )
        return AgentState(params, (extra, networks, self._optimizer.init(networks)))

    def update(
        self, state: AgentState, objectives: links.Objectives, agent_index: int, step_params: Structure
    ) -> AgentState:
        """See `contracts.Agent.update`: the agent's own, and what the others' trajectories say of them."""
        params, (extra, networks, moments) = state
        own = objectives.with_extra(agent_index, extra)
        updated = self._agent.update(AgentState(params, extra), own, agent_index, step_params)
        embedder = self._policy(objectives.estimator, agent_index).embedder
        trajectory = objectives.link.sample.trajectory
        for _ in range(self._n_steps):
            with tf.GradientTape() as tape:
                tape.watch(networks)
                likelihood = embedder.likelihood(networks, trajectory)
            gradients = tape.gradient(likelihood, networks)
            direction, moments = self._optimizer.direction(gradients, moments)
            networks = tuple(leaf + self._learning_rate * step for leaf, step in zip(networks, direction))
        embedding = embedder.embedding(networks, trajectory)[:, :, tf.newaxis]
        return AgentState((*updated.params[:-1], embedding), (updated.extra, networks, moments))

    def meta_gradients(self, chain: adaptation.Chain, agent_index: int) -> MetaGradients:
        """Those of the agent, leaves [S, ...]."""
        return self._agent.meta_gradients(chain, agent_index)

    def _policy(self, estimator: contracts.Estimator, agent_index: int) -> EmbeddingPolicy:
        policy, allowed = estimator.policies[agent_index], "one by embedding_policy, for OpponentEmbedding"
        checks.check(isinstance(policy, EmbeddingPolicy), f"policies[{agent_index}]", policy, allowed)
        return cast(EmbeddingPolicy, policy)
