"""A critic that learns: a network of what an agent sees, and of the time."""

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
from tf_metamapg.policies import encoders
from tf_metamapg.policies import functional
from tf_metamapg.policies.layers import LSTMCell
from tf_metamapg.policies.mlp import MLP
from tf_metamapg.policies.recurrent import new_cell
from tf_metamapg.policies.recurrent import Recurrent


class ValueNetwork(BaselineCritic):
    """A network for each agent, recurrent where its policy is.

    With an estimator it learns from the returns of earlier meta-updates: of the present trajectories it has learned
    nothing yet when it is asked about them, so they cannot bias it.

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
        checks.check_integer("ValueNetwork.units", units, minimum=1)
        checks.check_positive("ValueNetwork.learning_rate", learning_rate)
        self._units = units
        self.learning_rate = learning_rate
        self._builders = [self._model_builder(policy, agent) for agent, policy in enumerate(policies)]
        self._models = [build_model(seed=0) for build_model in self._builders]

    def initial_params(self, seeds: Sequence[int]) -> JointParams:
        """New networks for all agents: JointParams with leaves [S, ...]."""
        return tuple(functional.initial_params(build_model, seeds) for build_model in self._builders)

    def values(self, params: Params, joint_params: JointParams, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """Differentiable in `params`; see `BaselineCritic.values`."""
        del joint_params
        per_step = self._values_per_step(params, trajectory, agent_index)
        return self._scale(trajectory) * per_step

    def loss(self, params: Params, joint_params: JointParams, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """The mean squared error, per time step squared: [S, N], differentiable in `params`."""
        del joint_params
        per_step = self._values_per_step(params, trajectory, agent_index)
        errors = per_step - self.returns_to_go(trajectory, agent_index) / self._scale(trajectory)
        return masks.mean(tf.square(errors), trajectory.agent_mask(agent_index), axis=[2, 3])

    def _scale(self, trajectory):
        """Σ_t γ^t: networks estimate what is got per time step, which is of the order of one."""
        horizon = axes.sizes(trajectory.rewards[0])[-1]
        return tf.cast(tf.reduce_sum(returns.discounts(self.spec.discount, horizon, tf.float64)), self.spec.dtype)

    def _model_builder(self, policy, agent_index):
        dtype = self.spec.dtype
        sizes = (encoders.size(self.spec.observations[agent_index]) + 1, 1)
        is_recurrent = bool(policy.initial_state([1]))
        n_params = MLP.n_params(*sizes, (self._units,))
        if is_recurrent:
            n_params = Recurrent.n_params(LSTMCell, *sizes, self._units)
        functional.check_size("ValueNetwork.units", self._units, n_params, dtype)

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

    def _values_per_step(self, params, trajectory, agent_index):
        checks.check_agent_index("agent_index", agent_index, self.spec.n_agents)
        space, observations = self.spec.observations[agent_index], trajectory.observations[agent_index]
        features = encoders.encode(space, self.spec.dtype, observations)
        time = tf.broadcast_to(relative_time(features), [*axes.sizes(features)[:-1], 1])
        model = self._models[agent_index]
        params = arguments.params(
            f"critic_params[{agent_index}]", params, model.trainable_variables, list(features.shape[:2]),
            "; see for_each_task",
        )
        with functional.bound(model, params):
            return model.unroll(tf.concat([features, time], axis=-1))[..., 0]
