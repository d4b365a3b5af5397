"""A game and a policy that are written by hand: agents leave one after another, and what is gone is NaN.

Neither has a base class; they are what `contracts.MeasuredGame` and `contracts.StepPolicy` say.
"""

import numpy as np
import tensorflow as tf

from tf_metamapg.contracts import Box
from tf_metamapg.contracts import Discrete
from tf_metamapg.contracts import GameSpec
from tf_metamapg.numerics import masks
from tf_metamapg.numerics import random
from tf_metamapg.policies.distributions import Categorical


class LeavingGame:
    """A stochastic game of three states and two actions, given by tables, in which agents leave at different times.

    What an agent sees is a vector, one-hot; after it has left it sees and gets NaN, and when all have left the state is
    NaN, too. For each agent the rate of its first action is measured, with NaN where it has left.
    """

    n_reset_uniforms = 1

    def __init__(self, payoffs, transitions, views, discount, start, departures):
        """
        Args:
            payoffs: array [n, 3, 2, .., 2].
            transitions: array [3, 2, .., 2, 3] of probabilities.
            views: int array [n, 3], what each agent observes.
            discount: γ.
            start: array [3] of probabilities.
            departures: pairs (agents that leave together, array [3, 2, .., 2] of probabilities).
        """
        n_agents = len(payoffs)
        self.spec = GameSpec(
            name="leaving game", discount=discount, dtype="float64", observations=(Box((3,)),) * n_agents,
            actions=(Discrete(2),) * n_agents, ends=True, metrics=("first_action",),
        )
        self.default_tasks = payoffs
        self.n_step_uniforms = 1 + len(departures)
        self._transitions = np.cumsum(transitions.reshape([-1, 3]), axis=-1)[:, :-1]
        self._views, self._start, self._departures = views, np.cumsum(start)[:-1], departures

    def reset(self, tasks, uniforms):
        """The number of a state, as floats, and for each agent 1: [S, N, K] and [S, N, K, n]."""
        del tasks
        state = tf.reduce_sum(tf.cast(uniforms[0][..., tf.newaxis] >= self._start, tf.float64), axis=-1)
        return {"state": state, "present": tf.ones([*state.shape, self.spec.n_agents], tf.float64)}

    def observe(self, tasks, state, agent_index):
        """[S, N, K, 3], NaN where the agent has left."""
        del tasks
        seen = tf.one_hot(tf.gather(self._views[agent_index], _index(state["state"])), 3, dtype=tf.float64)
        return _nan_unless(state["present"][..., agent_index, tf.newaxis] == 1.0, seen)

    def step(self, tasks, state, joint_action, uniforms):
        """Rewards that are NaN where agents have left, and a state that is NaN where all have."""
        row = _index(state["state"])
        for action in joint_action:
            row = 2 * row + action
        present = state["present"] == 1.0
        continues = tf.unstack(present, axis=-1)
        for (agents, table), own_uniforms in zip(self._departures, tf.unstack(uniforms)[1:]):
            stays = own_uniforms >= tf.gather(tf.constant(table.ravel()), row)
            for agent in agents:
                continues[agent] &= stays
        exceeded = uniforms[0][..., tf.newaxis] >= tf.gather(tf.constant(self._transitions), row)
        following = tf.reduce_sum(tf.cast(exceeded, tf.float64), axis=-1)
        goes_on = tf.reduce_any(tf.stack(continues), axis=0)
        next_state = {
            "state": _nan_unless(goes_on, following),
            "present": _nan_unless(goes_on[..., tf.newaxis], tf.cast(tf.stack(continues, axis=-1), tf.float64)),
        }
        tables = tf.reshape(tasks, [*tasks.shape[:2], self.spec.n_agents, -1])
        rewards = tuple(
            _nan_unless(present[..., agent], tf.gather(tables[:, :, agent], row, batch_dims=2))
            for agent in range(self.spec.n_agents)
        )
        return next_state, rewards, tuple(continues)

    def metrics(self, tasks, state, joint_action):
        """Whether each agent does its first action."""
        del tasks
        return {"first_action": tuple(
            _nan_unless(state["present"][..., agent] == 1.0, tf.cast(action == 0, tf.float64))
            for agent, action in enumerate(joint_action)
        )}


class LinearPolicy:
    """The logit of the first of two actions is linear in the vector that an agent sees: parameters [3, 1].

    Nothing, a vector of zeros, is to it what the first unit vector is, so that it would show if it counted.
    """

    n_uniforms = 1

    def __init__(self, game, agent_index):
        self.spec = game.spec.agent(agent_index)
        self.reference_params = (tf.zeros([3, 1], tf.float64),)

    def initial_params(self, seeds):
        return (random.normals(random.root_keys(seeds), [3, 1], tf.float64),)

    def initial_state(self, shape):
        del shape
        return ()

    def distribution(self, params, observations):
        logits = self._logits(params, observations)
        return Categorical(logits=tf.stack([logits, tf.zeros_like(logits)], axis=-1))

    def sampler(self, params):
        def sample(observations, recurrent_state, uniforms):
            is_first = uniforms[0] < tf.sigmoid(self._logits(params, observations))
            return tf.where(is_first, 0, 1), recurrent_state

        return sample

    def log_probs(self, params, observations, actions):
        signs = tf.cast(1 - 2 * actions, tf.float64)
        return tf.math.log_sigmoid(signs * self._logits(params, observations))

    def log_likelihood(self, observations, actions, mask):
        return lambda params: masks.mean(self.log_probs(params, observations, actions), mask, axis=[2, 3])

    def _logits(self, params, observations):
        nothing = 1.0 - tf.reduce_sum(observations, axis=-1, keepdims=True)
        seen = observations + nothing * tf.eye(1, 3, dtype=tf.float64)[0]
        return tf.einsum("sn...o,sno->sn...", seen, params[0][..., 0])


def _index(state):
    """A state as the number of a row; 0 where there is none."""
    return tf.cast(tf.where(tf.math.is_nan(state), tf.zeros_like(state), state), tf.int32)


def _nan_unless(condition, values):
    return tf.where(condition, values, tf.constant(np.nan, tf.float64))
