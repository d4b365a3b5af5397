"""Critics: what is expected of the return to go, to be subtracted from it.

A critic is called with what an agent saw in K trajectories, tensor [S, N, K, T, F] of features, with its returns to
go, [S, N, K, T], and with its number; it says what to expect at each step, [S, N, K, T]. What it says of a trajectory
must not depend on the trajectory's own actions and rewards, but for what had been observed by then. Then it changes
the variance of an objective's derivatives at given parameters and leaves their expectations as they are, of first
derivatives in every estimator, of all in DiCE and Loaded DiCE.

A meta-gradient goes through updated parameters φ, which are no expectation. Where the inner update is an expectation
that is estimated (DiCE, Loaded DiCE), another critic has another bias of order 1/K; where it is a function of what was
sampled (`ScoreFunctionEstimator`), φ contains the critic, and another critic is another objective.
"""

import keras
import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.numerics import products
from tf_metamapg.numerics import random
from tf_metamapg.numerics import returns as returns_lib
from tf_metamapg.policies import features as features_lib
from tf_metamapg.policies import functional
from tf_metamapg.policies.lstm import LSTM
from tf_metamapg.policies.mlp import MLP


def no_baseline(features, returns, agent_index):
    """Zeros."""
    del features, agent_index
    return tf.zeros_like(returns)


def leave_one_out_baseline(features, returns, agent_index):
    """The mean return to go of the other K − 1 trajectories at the same time step."""
    del features, agent_index
    return returns_lib.leave_one_out_mean(returns, axis=-2)


def linear_feature_baseline(features, returns, agent_index, ridge=1e-3):
    """A linear function of features, their squares and powers of the time, fitted to the other half of trajectories.

    The features are those of Duan et al. 2016, "Benchmarking deep reinforcement learning for continuous control". Every
    second trajectory is one half, and what is fitted to a half is for the other one: least squares of a batch to
    itself would leave a bias.

    Args:
        features, returns, agent_index: see above; K = 1 has zeros for its result.
        ridge: what is added to the diagonal of the mean squares, in units of its mean, ≥ 10⁻⁵: features depend on
            each other.

    Raises:
        InvalidInputError: if `ridge` is not such a number.
    """
    del agent_index
    checks.check_number("linear_feature_baseline.ridge", ridge, minimum=1e-5)
    n_trajectories = returns.shape[-2]
    if n_trajectories == 1:
        return tf.zeros_like(returns)
    time = _time(features)
    powers = tf.broadcast_to(tf.concat([time**power for power in range(4)], -1), [*returns.shape, 4])
    inputs = tf.concat([features, tf.square(features), powers], axis=-1)
    fitted = []
    for half, other in ((0, 1), (1, 0)):
        weights = _least_squares(inputs[:, :, other::2], returns[:, :, other::2], ridge)
        own_inputs = inputs[:, :, half::2]
        expected = products.matmul(_rows(own_inputs), weights)
        fitted.append(tf.reshape(expected, own_inputs.shape[:-1]))
    # From one half after the other to the order that they came in.
    order = np.argsort(np.concatenate([np.arange(n_trajectories)[half::2] for half in range(2)]))
    return tf.gather(tf.concat(fitted, axis=2), order, axis=2)


def _least_squares(inputs, targets, ridge):
    """Inputs [S, N, K, T, F] and targets [S, N, K, T] → weights [S, N, F, 1]."""
    inputs, targets = _rows(inputs), _rows(targets[..., tf.newaxis])
    size, transposed = inputs.shape[-1], tf.linalg.matrix_transpose(inputs)
    squares = products.matmul(transposed, inputs)
    # One, which is among the inputs, keeps it above zero.
    scale = tf.reduce_mean(tf.linalg.diag_part(squares), axis=-1)[..., tf.newaxis, tf.newaxis]
    identity = tf.eye(size, dtype=inputs.dtype)
    squares += ridge * scale * identity
    # The solver raises an error for NaN. So that whoever calls can say which seed went wrong, it is kept from it.
    is_finite = tf.reduce_all(tf.math.is_finite(squares), axis=[-2, -1], keepdims=True)
    weights = tf.linalg.solve(tf.where(is_finite, squares, identity), products.matmul(transposed, targets))
    return tf.where(is_finite, weights, float("nan"))


def _rows(values):
    """The steps of all trajectories as the rows of a matrix: [S, N, K, T, F] → [S, N, K · T, F]."""
    *leading, n_trajectories, horizon, size = values.shape
    return tf.reshape(values, [*leading, n_trajectories * horizon, size])


class ValueNetwork(descriptions.Described):
    """A network for each agent, recurrent where its policy is, that learns from the returns of earlier meta-updates.

    It sees what the agent sees, and the time. Of the present trajectories it has learned nothing yet when it is asked
    about them, so they cannot bias it. It is the trainer that builds it and lets it learn.

    Attributes:
        state: dict of lists of variables, what a checkpoint must hold to go on exactly.
    """

    def __init__(self, units=64, learning_rate=0.01):
        """
        Args:
            units: of the hidden layer, or of the memory, ≥ 1.
            learning_rate: Adam's step size, > 0; there is one step after each meta-update.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        checks.check_integer("ValueNetwork.units", units, minimum=1)
        checks.check_positive("ValueNetwork.learning_rate", learning_rate)
        self._units = units
        self._learning_rate = learning_rate
        self._params = []

    def build(self, game, policies, seeds):
        """Makes new networks.

        Args:
            game: the game that is played.
            policies: one policy for each agent.
            seeds: S integers.
        """
        self._discount = game.discount
        builders = [self._model_builder(game, policy, agent) for agent, policy in enumerate(policies)]
        self._models = [build_model(seed=0) for build_model in builders]
        self._params = [
            [keras.Variable(leaf) for leaf in functional.initial_params(build_model, seeds)] for build_model in builders
        ]
        self._optimizer = keras.optimizers.Adam(float(self._learning_rate))
        self._optimizer.build(self._variables())
        self.state = {"params": self._params, "optimizer": self._optimizer.variables}

    def __call__(self, features, returns, agent_index):
        """See above; constants, whatever is differentiated."""
        del returns
        checks.check(bool(self._params), "baseline", type(self).__name__, "built, as a MetaTrainer does")
        per_step = self._per_step(self._values(agent_index), features, agent_index)
        return tf.stop_gradient(self._scale(features) * per_step)

    def gradients(self, agent_index, features, returns):
        """Of the mean squared error, per time step squared, in the parameters of one network: leaves [S, ...]."""
        values = self._values(agent_index)
        with tf.GradientTape() as tape:
            tape.watch(values)
            errors = self._per_step(values, features, agent_index) - returns / self._scale(features)
            loss = tf.reduce_sum(tf.reduce_mean(tf.square(errors), axis=[1, 2, 3]))
        return tape.gradient(loss, values)

    def apply(self, gradients):
        """One step of Adam along the gradients of all networks."""
        self._optimizer.apply(tf.nest.flatten(gradients))

    def _scale(self, features):
        """Σ_t γ^t: networks say what is expected per time step, which is of the order of one."""
        return float(np.sum(self._discount ** np.arange(features.shape[-2])))

    def _model_builder(self, game, policy, agent_index):
        sizes = (features_lib.size(game, agent_index) + 1, 1)
        is_recurrent = bool(policy.initial_state([1]))
        n_params = LSTM.n_params(*sizes, self._units) if is_recurrent else MLP.n_params(*sizes, (self._units,))
        functional.check_size("ValueNetwork.units", self._units, n_params, game.dtype)

        def build_model(seed):
            # Another stream than that of the agent's policy.
            seed = random.integer_seed(seed, game.n_agents + agent_index)
            if is_recurrent:
                model = LSTM(tf.identity, *sizes, self._units, seed, dtype=game.dtype)
            else:
                model = MLP(tf.identity, *sizes, (self._units,), "tanh", seed, dtype=game.dtype)
            model.build(None)
            return model

        return build_model

    def _values(self, agent_index):
        checks.check_agent_index("agent_index", agent_index, len(self._params))
        return [tf.convert_to_tensor(variable.value) for variable in self._params[agent_index]]

    def _variables(self):
        return tf.nest.flatten(self._params)

    def _per_step(self, values, features, agent_index):
        inputs = tf.concat([features, tf.broadcast_to(_time(features), [*features.shape[:-1], 1])], axis=-1)
        n_seeds, n_tasks, n_trajectories, horizon, size = inputs.shape
        # All tasks of a seed share its network.
        inputs = tf.reshape(inputs, [n_seeds, n_tasks * n_trajectories, horizon, size])
        with functional.bound(self._models[agent_index], values):
            return tf.reshape(self._models[agent_index].unroll(inputs), features.shape[:-1])


def _time(features):
    """t / T of each step: [..., T, F] → [T, 1]."""
    horizon = features.shape[-2]
    return tf.range(horizon, dtype=features.dtype)[:, tf.newaxis] / horizon
