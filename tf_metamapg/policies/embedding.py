"""Policies that are given an embedding of the others (Grover et al. 2018), which `OpponentEmbedding` learns."""

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Trajectory
from tf_metamapg.numerics import masks
from tf_metamapg.policies import encoders
from tf_metamapg.policies import functional
from tf_metamapg.policies import heads
from tf_metamapg.policies.extra_inputs import ExtraInputsPolicy
from tf_metamapg.policies.extra_inputs import MakePolicy
from tf_metamapg.policies.mlp import MLP
from tf_metamapg.policies.mlp import mlp_policy


class Embedder:
    """For each of some agents an encoder of its episodes and an imitator, both perceptrons.

    Attributes:
        first_params: Params [...] of all of them, always the same.
    """

    def __init__(self, spec: contracts.GameSpec, agents: list[int], size: int, units: int) -> None:
        """Takes the spec of the game, which agents it is of, and the sizes of embeddings and hidden layers."""
        self._spec = spec
        self._agents = agents
        self._heads = [heads.for_actions(spec.actions[agent]) for agent in agents]
        self._models: list[MLP] = []
        for agent, head in zip(agents, self._heads):
            seen, done = encoders.size(spec.observations[agent]), encoders.size(spec.actions[agent])
            for n_features, n_outputs in ((seen + done, size), (seen + size, head.n_outputs)):
                number = len(self._models)
                model = MLP(tf.identity, n_features, n_outputs, (units,), "tanh", number, dtype=spec.dtype)
                model.build(None)
                self._models.append(model)
        self._sizes = [len(model.trainable_variables) for model in self._models]
        self.first_params = tuple(
            tf.constant(variable.numpy()) for model in self._models for variable in model.trainable_variables
        )

    def likelihood(self, params: Params, trajectory: Trajectory) -> tf.Tensor:
        """Of what each did in an episode, given the embedding of the episode before it: mean log-probability, [S, N].

        Args:
            params: Params with leaves [S, N, ...].
            trajectory: Trajectory with fields [S, N, K, T].
        """
        by_agent = []
        for agent, head, (_, imitator), (own, embeddings) in zip(
            self._agents, self._heads, self._pairs(self._models), self._embeddings(params, trajectory)
        ):
            seen = encoders.encode(self._spec.observations[agent], self._spec.dtype, trajectory.observations[agent])
            given = tf.roll(embeddings, 1, axis=2)[:, :, :, tf.newaxis] + tf.zeros_like(seen[..., :1])
            with functional.bound(imitator, own):
                outputs = imitator.unroll(tf.concat([seen, given], axis=-1))
            log_probs = head.log_probs(outputs, trajectory.actions[agent])
            by_agent.append(masks.mean(log_probs, trajectory.agent_mask(agent), axis=[2, 3]))
        return tf.add_n(by_agent)

    def embedding(self, params: Params, trajectory: Trajectory) -> tf.Tensor:
        """What the episodes say of all, one behind another: tensor [S, N, agents · size]; see `likelihood`."""
        means = [tf.reduce_mean(embeddings, axis=2) for _, embeddings in self._embeddings(params, trajectory)]
        return tf.concat(means, axis=-1)

    def _embeddings(self, params, trajectory):
        """For each agent (its imitator's parameters, the embeddings of its episodes [S, N, K, size])."""
        found, start, leaves = [], 0, []
        for size in self._sizes:
            leaves.append(params[start : start + size])
            start += size
        for agent, (encoder, _), (own, imitator_params) in zip(
            self._agents, self._pairs(self._models), self._pairs(leaves)
        ):
            spec = self._spec.agent(agent)
            steps = [
                encoders.encode(spec.observation, spec.dtype, trajectory.observations[agent]),
                encoders.encode(spec.action, spec.dtype, trajectory.actions[agent]),
            ]
            with functional.bound(encoder, own):
                by_step = encoder.unroll(tf.concat(steps, axis=-1))
            found.append((imitator_params, masks.mean(by_step, trajectory.agent_mask(agent), axis=3)))
        return found

    @staticmethod
    def _pairs(entries):
        return list(zip(entries[::2], entries[1::2]))


class EmbeddingPolicy(ExtraInputsPolicy):
    """A network that sees, beside its observations, an embedding of the others that its agent writes: zeros at first.

    Attributes:
        embedder: what the agent learns.
    """

    def __init__(
        self, game: contracts.AnyGame, agent_index: int, make_policy: MakePolicy, size: int, units: int
    ) -> None:
        """Takes what `embedding_policy` does.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        kind = "embedding_policy"
        functional.agent_spec(kind, game, agent_index)
        others = [agent for agent in range(game.spec.n_agents) if agent != agent_index]
        checks.check(bool(others), f"{kind}.game", game, "a game of several agents")
        checks.check_integer(f"{kind}.size", size, minimum=1)
        checks.check_integer(f"{kind}.units", units, minimum=1)
        self.embedder = Embedder(game.spec, others, size, units)
        super().__init__(kind, game, agent_index, make_policy, size * len(others))

    def inputs(self, params: Params, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """See `carry`: [S, N, F], what it has been given."""
        del trajectory, agent_index
        return params[-1][:, :, 0]

    def carry(self, updated: Params, params: Params, trajectory: Trajectory, agent_index: int) -> Params:
        """What the agent's update has written, leaves [S, N, ...]; see `contracts.CarryingPolicy.carry`."""
        del params, trajectory, agent_index
        return updated


@descriptions.maker
def embedding_policy(
    game: contracts.AnyGame, agent_index: int, make_policy: MakePolicy = mlp_policy, size: int = 4, units: int = 16
) -> EmbeddingPolicy:
    """The policy of one agent as a network that is given an embedding of the others, for `OpponentEmbedding`.

    Args:
        game: any game of several agents that is played step by step.
        agent_index: which agent of the game.
        make_policy: see `opponent_features_policy`.
        size: how many numbers there are for each of the others.
        units: of the hidden layers of encoders and imitators.

    Returns:
        `EmbeddingPolicy`, for estimators of sampled inner updates.

    Raises:
        InvalidInputError: if one of these does not hold.
    """
    return EmbeddingPolicy(game, agent_index, make_policy, size, units)
