"""What each action of an agent is worth to it: a network with a value for each action, which learns like a critic."""

from collections.abc import Callable
from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Trajectory
from tf_metamapg.critics.baselines import relative_time
from tf_metamapg.numerics import axes
from tf_metamapg.numerics import masks
from tf_metamapg.numerics import random
from tf_metamapg.numerics import returns
from tf_metamapg.policies import encoders
from tf_metamapg.policies import functional
from tf_metamapg.policies import heads
from tf_metamapg.policies.layers import LSTMCell
from tf_metamapg.policies.mlp import MLP
from tf_metamapg.policies.recurrent import new_cell
from tf_metamapg.policies.recurrent import Recurrent


class ActionValueNetwork:
    """Qʲ(o_t, ·) for each agent j, from what it sees and the time, recurrent where its policy is."""

    def __init__(self, spec: contracts.GameSpec, policies: Sequence[contracts.StepPolicy], units: int) -> None:
        """
        Args:
            spec: `contracts.GameSpec` of the game that is played, in which actions are finitely many.
            policies: one policy for each agent.
            units: of the hidden layer, or of the recurrent state.
        """
        self.spec = spec
        self._builders = [self._model_builder(policy, agent, units) for agent, policy in enumerate(policies)]
        self._models = [build_model(seed=0) for build_model in self._builders]

    def initial_params(self, seeds: Sequence[int]) -> JointParams:
        """New networks for all agents: JointParams with leaves [S, ...]."""
        return tuple(functional.initial_params(build_model, seeds) for build_model in self._builders)

    def values(self, params: Params, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """Q of all actions at every step, [S, N, K, T, A], from an agent's network's params [S, N, ...]."""
        space, observations = self.spec.observations[agent_index], trajectory.observations[agent_index]
        features = encoders.encode(space, self.spec.dtype, observations)
        time = tf.broadcast_to(relative_time(features), [*axes.sizes(features)[:-1], 1])
        model = self._models[agent_index]
        with functional.bound(model, params):
            return self._scale(trajectory) * model.unroll(tf.concat([features, time], axis=-1))

    def loss(self, params: Params, joint_params: JointParams, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """The mean squared error of Q of what was done, per time step squared: [S, N], differentiable in `params`."""
        del joint_params
        values = taken(self.values(params, trajectory, agent_index), trajectory.actions[agent_index])
        errors = values - returns.returns_to_go(trajectory.rewards[agent_index], self.spec.discount)
        squares = tf.square(errors / self._scale(trajectory))
        return masks.mean(squares, trajectory.agent_mask(agent_index), axis=[2, 3])

    def _scale(self, trajectory: Trajectory) -> tf.Tensor:
        """Σ_t γ^t: networks estimate what is got per time step, which is of the order of one."""
        horizon = axes.sizes(trajectory.rewards[0])[-1]
        return tf.cast(tf.reduce_sum(returns.discounts(self.spec.discount, horizon, tf.float64)), self.spec.dtype)

    def _model_builder(
        self, policy: contracts.StepPolicy, agent_index: int, units: int
    ) -> Callable[..., MLP | Recurrent]:
        dtype = self.spec.dtype
        sizes = (
            encoders.size(self.spec.observations[agent_index]) + 1,
            heads.for_actions(self.spec.actions[agent_index]).n_outputs,
        )
        is_recurrent = bool(policy.initial_state([1]))

        def build_model(seed: int) -> MLP | Recurrent:
            # Another stream than those of the agent's policy and of its values.
            seed = random.integer_seed(seed, 2 * self.spec.n_agents + agent_index)
            model: MLP | Recurrent
            if is_recurrent:
                model = Recurrent(new_cell(LSTMCell, units, seed, dtype), tf.identity, *sizes, seed, dtype=dtype)
            else:
                model = MLP(tf.identity, *sizes, (units,), "tanh", seed, dtype=dtype)
            model.build(None)
            return model

        return build_model


def taken(values: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
    """The values [..., A] of given actions [...]: [...]."""
    return tf.reduce_sum(values * tf.one_hot(actions, values.shape[-1], dtype=values.dtype), axis=-1)
