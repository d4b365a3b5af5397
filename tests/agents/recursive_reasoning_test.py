"""The bias of a policy gradient with what the others are expected to answer: of given Q and ρ, and of true ones."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests.agents.coma_test import agents_gradient
from tests.agents.coma_test import expected_gradient
from tests.agents.coma_test import HORIZON
from tests.agents.coma_test import strategies
from tests.agents.coma_test import true_q
from tests.critics.fitting import fitted
from tests.critics.joint_plays import critic_params
from tests.critics.joint_plays import estimates
from tests.critics.joint_plays import JointPlay
from tf_metamapg import adaptation
from tf_metamapg.agents.recursive_reasoning import RecursiveReasoning
from tf_metamapg.critics.recursive_reasoning import RecursiveReasoningBaseline
from tf_metamapg.testing.tiny_games import TinyGame


class GivenQAndRho(RecursiveReasoningBaseline):
    """Tables [T, states, own actions, others' joint actions] of Q and ρ, for each agent a pair."""

    def __init__(self, spec, policies, tables):
        super().__init__(spec, policies)
        self._tables = tables

    def q_and_log_rho(self, params, trajectory, agent_index):
        q, rho = self._tables[agent_index]
        state = trajectory.observations[agent_index].numpy()
        at = (np.broadcast_to(np.arange(HORIZON), state.shape), state)
        return tf.constant(q[at]) / self.scale(trajectory), tf.math.log(tf.constant(rho[at]))


class WithGiven(RecursiveReasoning):
    """The agent with tables."""

    def __init__(self, tables):
        super().__init__(1.0)
        self._tables = tables

    def make_critic(self, spec, policies):
        return GivenQAndRho(spec, policies, self._tables)


def own_first(table, agent):
    """[T, states, *joint actions] → [T, states, own actions, others' joint actions]."""
    return np.moveaxis(table, 2 + agent, 2).reshape([*table.shape[:3], -1])


def others_probs(tiny, agent):
    """π⁻ⁱ(a⁻ⁱ|s) as a table [T, states, own actions, others' joint actions], whatever the own action is."""
    probs = np.ones([2, 1])
    for other, own in enumerate(strategies(tiny)):
        if other != agent:
            probs = (probs[:, :, None] * own[:, None, :]).reshape([2, -1])
    return np.broadcast_to(probs[None, :, None], [HORIZON, 2, 2, probs.shape[1]])


def advantages(tiny, agent, q, rho):
    """Q̄(s, aⁱ) for every joint action, [T, states, *joint actions]; less any function of the state."""
    worth = np.sum(q * rho, axis=-1).reshape([HORIZON, 2, 2, *[1] * (len(tiny.policies) - 1)])
    return np.broadcast_to(np.moveaxis(worth, 2, 2 + agent), [HORIZON, 2, *[2] * len(tiny.policies)])


class RecursiveReasoningTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(n_agents=[2, 3], ends=[False, True])
    def test_with_the_true_q_and_rho_there_is_no_bias(self, n_agents, ends):
        tiny = TinyGame(n_agents, ends, HORIZON)
        first, _ = tiny.derivatives(tiny.values)
        tables = [(own_first(q, agent), others_probs(tiny, agent)) for agent, q in enumerate(true_q(tiny))]
        for agent in range(n_agents):
            gradient = agents_gradient(tiny, WithGiven(tables), agent)
            self.assertAllClose(gradient, first[agent, 2 * agent : 2 * agent + 2], rtol=0.0, atol=1e-12)

    @parameterized.product(n_agents=[2, 3], ends=[False, True])
    def test_the_bias_is_that_of_given_ones(self, n_agents, ends):
        """Of the true Q with answers that are expected where there are none, and of another Q."""
        tiny = TinyGame(n_agents, ends, HORIZON)
        first, _ = tiny.derivatives(tiny.values)
        rng = np.random.default_rng(0)
        for noise in (0.0, 1.0):
            tables = []
            for agent, true in enumerate(true_q(tiny)):
                q = own_first(true, agent)
                rho = rng.dirichlet(np.ones(q.shape[-1]), size=q.shape[:-1])
                tables.append((q + noise * rng.normal(size=q.shape), rho))
            for agent in range(n_agents):
                expected = expected_gradient(tiny, agent, advantages(tiny, agent, *tables[agent]))
                gradient = agents_gradient(tiny, WithGiven(tables), agent)
                self.assertAllClose(gradient, expected, rtol=0.0, atol=1e-12)
                bias = gradient - first[agent, 2 * agent : 2 * agent + 2]
                self.assertGreater(np.max(np.abs(bias)), 1e-3)


class RecursiveReasoningBaselineTest(tf.test.TestCase):

    def test_it_is_what_plain_loops_say(self):
        """Q and ρ of a network with three agents of different numbers of actions that leave, and their loss."""
        play = JointPlay()
        critic = RecursiveReasoningBaseline(play.spec, play.policies, units=3)
        self.assertFalse(critic.sees_other_actions)
        params, scale = critic_params(critic), np.sum(0.8 ** np.arange(5))
        for agent, n_own in enumerate((2, 3, 2)):
            outputs = estimates(params[agent], np.concatenate(play.seen, axis=-1)) / scale
            q, logits = (part.reshape([*part.shape[:-1], n_own, -1]) for part in np.split(outputs, 2, axis=-1))
            rho = np.exp(logits) / np.sum(np.exp(logits), axis=-1, keepdims=True)
            distribution = play.policies[agent].distribution(
                play.joint_params[agent], play.trajectory.observations[agent]
            )
            probs = np.stack([distribution.prob(action) for action in range(n_own)], axis=-1)
            mask = play.trajectory.mask[agent].numpy()
            values = critic.values(params[agent], play.joint_params, play.trajectory, agent).numpy()
            expected = scale * np.sum(probs[..., None] * rho * q, axis=(-2, -1))
            self.assertAllClose(values[mask], expected[mask], rtol=1e-12, atol=1e-12)
            to_go = critic.returns_to_go(play.trajectory, agent).numpy()
            first, second = [other for other in range(3) if other != agent]
            n_last, terms = play.spec.actions[second].n, np.zeros_like(to_go)
            for at in np.ndindex(to_go.shape):
                own, *others = (play.trajectory.actions[one].numpy()[at] for one in (agent, first, second))
                index = (*at, own, others[0] * n_last + others[1])
                terms[at] = (q[index] - to_go[at] / scale) ** 2 - np.log(rho[index])
            loss = critic.loss(params[agent], play.joint_params, play.trajectory, agent)
            expected = np.sum(terms * mask, axis=(2, 3)) / np.sum(mask, axis=(2, 3))
            self.assertAllClose(loss, expected, rtol=1e-12, atol=0.0)

    def test_it_learns_how_the_others_answer(self):
        """One who does as the first agent does is expected to."""
        play = JointPlay()
        own = tf.where(play.trajectory.mask[0], play.trajectory.actions[0], 0)
        trajectory = play.trajectory._replace(actions=(own, tf.zeros_like(own), own))
        critic = RecursiveReasoningBaseline(play.spec, play.policies, units=8, learning_rate=0.05)
        params = adaptation.for_each_task(fitted(critic, range(2), trajectory, n_updates=150), 3)
        _, log_rho = critic.q_and_log_rho(params[0], trajectory, 0)
        mask = trajectory.mask[0].numpy()
        for action, answer in ((0, 0), (1, 1)):  # of the second agent always 0
            self.assertGreater(np.mean(np.exp(log_rho.numpy()[mask][:, action, answer])), 0.9)


if __name__ == "__main__":
    tf.test.main()
