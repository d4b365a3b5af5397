"""What critics that learn have in common: a network for each agent that says what is expected per time step.

With an estimator they learn from the returns of earlier meta-updates: of the present trajectories they have learned
nothing yet when they are asked about them, so these cannot bias them.
"""

import abc
from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Trajectory
from tf_metamapg.critics.base import BaselineCritic
from tf_metamapg.critics.baselines import relative_time
from tf_metamapg.numerics import axes
from tf_metamapg.numerics import masks
from tf_metamapg.numerics import random
from tf_metamapg.numerics import returns
from tf_metamapg.policies import functional
from tf_metamapg.policies.layers import LSTMCell
from tf_metamapg.policies.mlp import MLP
from tf_metamapg.policies.recurrent import new_cell
from tf_metamapg.policies.recurrent import Recurrent


class NetworkCritic(BaselineCritic):
    """A network for each agent, recurrent where its policy is, of features that subclasses choose, and of the time.

    Attributes:
        learning_rate: Adam's step size, for whoever lets it learn.
    """

    def __init__(
        self, spec: contracts.GameSpec, policies: Sequence[contracts.StepPolicy], units: int = 64,
        learning_rate: float = 0.01,
    ) -> None:
        """
        Args:
            spec: `contracts.GameSpec` of the game that is played.
            policies: one policy for each agent.
            units: of the hidden layer, or of the recurrent state, ≥ 1.
            learning_rate: Adam's step size, > 0; there is one step after each meta-update.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        super().__init__(spec, policies)
        kind = type(self).__name__
        checks.check_integer(f"{kind}.units", units, minimum=1)
        checks.check_positive(f"{kind}.learning_rate", learning_rate)
        self._units = units
        self.learning_rate = learning_rate
        self._builders = [self._model_builder(policy, agent) for agent, policy in enumerate(policies)]
        self._models = [build_model(seed=0) for build_model in self._builders]

    def initial_params(self, seeds: Sequence[int]) -> JointParams:
        """New networks for all agents: JointParams with leaves [S, ...]."""
        return tuple(functional.initial_params(build_model, seeds) for build_model in self._builders)

    @abc.abstractmethod
    def n_features(self, agent_index: int) -> int:
        """How many features an agent's network is given, beside the time."""

    def n_outputs(self, agent_index: int) -> int:
        """How many estimates there are for each step."""
        del agent_index
        return 1

    @abc.abstractmethod
    def features(self, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """What an agent's network is given of a Trajectory with fields [S, N, K, T]: tensor [S, N, K, T, F]."""

    def estimates(self, params: Params, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """What an agent's network says of the returns to go, differentiable in `params`.

        Args:
            params: its Params, leaves [S, N, ...].
            trajectory: Trajectory with fields [S, N, K, T].
            agent_index: which agent.

        Returns:
            tensor [S, N, K, T, n_outputs].
        """
        return self.scale(trajectory) * self.per_step(params, trajectory, agent_index)

    def scale(self, trajectory: Trajectory) -> tf.Tensor:
        """Σ_t γ^t, a scalar: networks estimate what is got per time step, which is of the order of one."""
        horizon = axes.sizes(trajectory.rewards[0])[-1]
        return tf.cast(tf.reduce_sum(returns.discounts(self.spec.discount, horizon, tf.float64)), self.spec.dtype)

    def per_step(self, params: Params, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """What the network itself says, see `estimates`: tensor [S, N, K, T, n_outputs]."""
        checks.check_agent_index("agent_index", agent_index, self.spec.n_agents)
        features = self.features(trajectory, agent_index)
        time = tf.broadcast_to(relative_time(features), [*axes.sizes(features)[:-1], 1])
        model = self._models[agent_index]
        params = arguments.params(
            f"critic_params[{agent_index}]", params, model.trainable_variables, list(features.shape[:2]),
            "; see for_each_task",
        )
        with functional.bound(model, params):
            return model.unroll(tf.concat([features, time], axis=-1))

    def loss(self, params: Params, joint_params: JointParams, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """The mean squared error, per time step squared: [S, N], differentiable in `params`."""
        del joint_params
        per_step = self.taken(self.per_step(params, trajectory, agent_index), trajectory, agent_index)
        errors = per_step - self.returns_to_go(trajectory, agent_index) / self.scale(trajectory)
        return masks.mean(tf.square(errors), trajectory.agent_mask(agent_index), axis=[2, 3])

    def taken(self, estimates: tf.Tensor, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """The one among estimates [S, N, K, T, n_outputs] that is for what the agent did: [S, N, K, T]."""
        del trajectory, agent_index
        return estimates[..., 0]

    def _model_builder(self, policy, agent_index):
        dtype = self.spec.dtype
        sizes = (self.n_features(agent_index) + 1, self.n_outputs(agent_index))
        is_recurrent = bool(policy.initial_state([1]))
        n_params = MLP.n_params(*sizes, (self._units,))
        if is_recurrent:
            n_params = Recurrent.n_params(LSTMCell, *sizes, self._units)
        functional.check_size(f"{type(self).__name__}.units", self._units, n_params, dtype)

        def build_model(seed):
            # Another stream than that of the agent's policy.
            seed = random.integer_seed(seed, self.spec.n_agents + agent_index)
            if is_recurrent:
                cell = new_cell(LSTMCell, self._units, seed, dtype)
                model = Recurrent(cell, tf.identity, *sizes, seed, dtype=dtype)
            else:
                model = MLP(tf.identity, *sizes, (self._units,), "tanh", seed, dtype=dtype)
            model.build(None)
            return model

        return build_model
