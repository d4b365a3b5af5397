"""Policies whose distribution of actions is what a network makes of the observations, with or without a memory."""

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg.policies import functional
from tf_metamapg.policies import signatures
from tf_metamapg.policies.heads import CategoricalHead
from tf_metamapg.policies.heads import GaussianHead


class NetworkPolicy(functional.KerasPolicy):
    """A Keras model and the meaning of its outputs.

    Attributes:
        n_uniforms: how many uniform numbers an action takes.
    """

    def __init__(self, build_model, spec, head, observation_spec):
        """
        Args:
            build_model: function of an integer seed that returns a built Keras model with the methods of
                `mlp.MLP` or `lstm.LSTM`.
            spec: `features.AgentSpec` of the agent that it is made for.
            head: one of `heads.py`.
            observation_spec: TensorSpec of one observation.
        """
        super().__init__(build_model, spec)
        self._head = head
        self._observation_spec = observation_spec
        # None where observations are vectors.
        self._n_observations = spec.observations if isinstance(spec.observations, int) else None
        self.n_uniforms = head.n_uniforms

    def signatures(self, model):
        """What an exported policy can be asked; see `export.py`."""
        memory = [
            tf.TensorSpec([None, *leaf.shape[1:]], leaf.dtype, name=name)
            for name, leaf in zip(model.state_names, model.initial_state([1]))
        ]
        named = signatures.of_steps(model.step, self._head, self._observation_spec, self._n_observations, memory)
        if memory:
            named["initial_state"] = (
                lambda batch_size: dict(zip(model.state_names, model.initial_state([batch_size]))),
                [tf.TensorSpec([], tf.int32, name="batch_size")],
            )
        return named

    def initial_state(self, shape):
        """What is remembered before the first step, tuple of tensors [*shape, ...]; empty without a memory."""
        return self._model.initial_state(shape)

    def distribution(self, params, observations):
        """The distribution of actions, at every step of trajectories.

        Args:
            params: Params with leaves [S, N, ...].
            observations: tensor [S, N, K, T, ...], from the first step on.

        Returns:
            TensorFlow Probability distribution with batch shape [S, N, K, T].
        """
        return self._head.distribution(self._outputs(params, observations))

    def sampler(self, params):
        """A function (observations [S, N, K, ...], memory, list of uniforms [S, N, K]) → (actions, memory)."""

        def sample(observations, memory, uniforms):
            with functional.bound(self._model, params):
                outputs, memory = self._model.step(observations, memory)
            return self._head.quantile(outputs, uniforms), memory

        return sample

    def log_probs(self, params, observations, actions):
        """log π(a_t|o_0..o_t) of given trajectories, of a density where actions are vectors.

        Args:
            params: Params with leaves [S, N, ...].
            observations: tensor [S, N, K, T, ...], from the first step on.
            actions: tensor [S, N, K, T, ...].

        Returns:
            tensor [S, N, K, T], differentiable any number of times in `params`.
        """
        return self._head.log_probs(self._outputs(params, observations), actions)

    def log_likelihood(self, observations, actions):
        """A function of params [S, N, ...] to the mean of log π over given trajectories, [S, N]."""
        return lambda params: tf.reduce_mean(self.log_probs(params, observations, actions), axis=[2, 3])

    def _outputs(self, params, observations):
        with functional.bound(self._model, params):
            return self._model.unroll(observations)


def check_agent(kind, game, agent_index):
    """Raises `InvalidInputError` unless there is such an agent in a game that is played step by step."""
    checks.check(
        hasattr(game, "observation_specs"), f"{kind}.game", type(game).__name__, "a game that is played step by step"
    )
    checks.check_agent_index(f"{kind}.agent_index", agent_index, game.n_agents)


def categorical_head(kind, game, agent_index):
    """The `CategoricalHead` of an agent with finitely many actions.

    Raises:
        InvalidInputError: if it has not.
    """
    checks.check(
        hasattr(game, "n_actions"), f"{kind}.game", type(game).__name__, "a game with finitely many actions"
    )
    return CategoricalHead(game.n_actions[agent_index])


def gaussian_head(kind, game, agent_index):
    """The `GaussianHead` of an agent whose actions are vectors.

    Raises:
        InvalidInputError: if they are not.
    """
    spec = game.action_specs[agent_index]
    checks.check(spec.dtype.is_floating, f"{kind}.game", type(game).__name__, "a game whose actions are vectors")
    return GaussianHead(spec.shape[0])
