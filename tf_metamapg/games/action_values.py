"""Values of joint actions in finite games: what the joint-action form of the policy gradient is made of."""

from collections.abc import Callable
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.games import occupancies
from tf_metamapg.numerics import linear


def joint_action_values(
    strategies: Iterable[tf.Tensor], views: np.ndarray, rewards: tf.Tensor,
    state_transitions: Callable[[tf.Tensor], tf.Tensor], discount: float, start: np.ndarray,
    ends: np.ndarray | None = None,
) -> contracts.JointActionValues:
    """Qⁱ(s, a) = rⁱ(s, a) + γ Σ_s' P(s'|s, a) Vⁱ(s') of all agents, where (I − γP) V = r is solved for all at once.

    Args:
        strategies, views, state_transitions, discount, start, ends: see `occupancies.expected_visits`.
        rewards: float64 tensor [S, N, n_agents, M or 1, J], by joint action in row-major order.

    Returns:
        contracts.JointActionValues, differentiable any number of times in `strategies` and `rewards`.
    """
    strategies = tuple(strategies)
    joint_probs, nan_or_one = occupancies.solvable(occupancies.joint_action_probs(strategies, views))
    goes_on = tf.ones_like(joint_probs) if ends is None else tf.ones_like(joint_probs) * tf.constant(1.0 - ends)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(joint_probs)
        transitions = state_transitions(joint_probs * goes_on)
    expected_rewards = tf.reduce_sum(joint_probs[:, :, tf.newaxis] * rewards, axis=-1)
    values = linear.solve(
        tf.eye(len(start), dtype=tf.float64) - discount * transitions, tf.linalg.matrix_transpose(expected_rewards)
    )
    by_state = occupancies.by_state(strategies, views)
    n_actions = [probs.shape[-1] for probs in by_state]
    action_values = []
    for agent, own_rewards in enumerate(tf.unstack(rewards, axis=2)):
        # Transitions are linear in the probabilities of joint actions: what follows an action is their derivative.
        following = tape.gradient(
            transitions, joint_probs, unconnected_gradients="zero",
            output_gradients=tf.ones_like(transitions) * values[:, :, tf.newaxis, :, agent],
        )
        own_values = (own_rewards + discount * following) * nan_or_one
        action_values.append(tf.reshape(own_values, [*tf.unstack(tf.shape(own_values)[:3]), *n_actions]))
    visits = occupancies.expected_visits(strategies, views, state_transitions, discount, start, ends)
    return contracts.JointActionValues(by_state, tf.reduce_sum(visits, axis=-1), tuple(action_values))
