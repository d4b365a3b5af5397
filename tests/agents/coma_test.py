"""The bias of policy gradients with Q in place of returns: that of a Q that is given, and none for the true one."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import links
from tf_metamapg.agents.coma import COMA
from tf_metamapg.contracts import AgentState
from tf_metamapg.critics.baselines import NoBaseline
from tf_metamapg.critics.counterfactual import CounterfactualBaseline
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.testing.estimators import repeated
from tf_metamapg.testing.tiny_games import TinyGame

HORIZON = 2


class GivenQ(CounterfactualBaseline):
    """Qⁱ as tables [T, states, *joint actions], with the agent's own action last."""

    def __init__(self, spec, policies, tables):
        super().__init__(spec, policies)
        self._tables = tables

    def action_values(self, params, trajectory, agent_index):
        table = np.moveaxis(self._tables[agent_index], 2 + agent_index, -1)
        others = tuple(own.numpy() for agent, own in enumerate(trajectory.actions) if agent != agent_index)
        state = trajectory.observations[agent_index].numpy()
        return tf.constant(table[(np.broadcast_to(np.arange(HORIZON), state.shape), state, *others)])


class WithGivenQ(COMA):
    """COMA with tables."""

    def __init__(self, tables):
        super().__init__(1.0)
        self._tables = tables

    def make_critic(self, spec, policies):
        return GivenQ(spec, policies, self._tables)


def strategies(tiny):
    """For each agent array [states, 2]."""
    return [policy.strategy(params).numpy()[0, 0] for policy, params in zip(tiny.policies, tiny.joint_params)]


def true_q(tiny):
    """Qⁱ_t(s, a) within the horizon, backwards in time: for each agent array [T, states, *joint actions]."""
    n_agents, policies = len(tiny.policies), strategies(tiny)
    going_on = 1.0 - (np.zeros(tiny.transitions.shape[:-1]) if tiny.ends is None else tiny.ends)
    tables = []
    for agent in range(n_agents):
        q = [tiny.payoffs[agent]]
        for _ in range(HORIZON - 1):
            following = q[0]
            for own in reversed(policies):
                following = np.einsum("s...a,sa->s...", following, own)
            q.insert(0, tiny.payoffs[agent] + tiny.game.spec.discount * going_on * (tiny.transitions @ following))
        tables.append(np.stack(q))
    return tables


def expected_gradient(tiny, agent, advantages):
    """Σ_t γᵗ Σ_s P(s_t = s) Σ_a π(a|s) ∇log πⁱ(aⁱ|s) A_t(s, a), over states and joint actions: array [states].

    Args:
        advantages: array [T, states, *joint actions].
    """
    policies = strategies(tiny)
    going_on = 1.0 - (np.zeros(tiny.transitions.shape[:-1]) if tiny.ends is None else tiny.ends)
    reached, total = tiny.start, np.zeros(2)
    for time in range(HORIZON):
        following = np.zeros(2)
        for state, *actions in np.ndindex(tiny.transitions.shape[:-1]):
            prob = reached[state] * np.prod([own[state, action] for own, action in zip(policies, actions)])
            score = (actions[agent] == 0) - policies[agent][state, 0]  # of the logit of the first action
            index = (state, *actions)
            total[state] += tiny.game.spec.discount**time * prob * score * advantages[(time, *index)]
            following += prob * going_on[index] * tiny.transitions[index]
        reached = following
    return total


def agents_gradient(tiny, agent_class, agent_index, critic_params=None):
    """What an agent makes of every trajectory, weighted by how likely it is: array [states]."""
    estimator = ScoreFunctionEstimator(tiny.game, tiny.policies, 1, HORIZON, critic=NoBaseline)
    joint_params = repeated(tiny.joint_params, tiny.n_trajectories)
    states = list(map(AgentState, joint_params))
    agent_class.init_update(estimator, agent_index, 1, 1)
    states[agent_index] = state = agent_class.init(joint_params[agent_index], estimator, agent_index)
    if critic_params is not None:
        moments, _, critic_moments = state.extra
        states[agent_index] = AgentState(state.params, (moments, critic_params, critic_moments))
    sample = estimator.make_sample(tiny.trajectory, joint_params)
    link = links.Link(tuple(states), sample, tf.zeros([1, 2], tf.int64))
    (gradients,) = agent_class.gradients(links.Objectives(estimator, tiny.tasks, link), agent_index)
    return np.einsum("m,mo->o", tiny.probs(tiny.joint_params), gradients.numpy()[0, :, :, 0])


class COMATest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(n_agents=[2, 3], ends=[False, True])
    def test_with_the_true_q_there_is_no_bias(self, n_agents, ends):
        tiny = TinyGame(n_agents, ends, HORIZON)
        first, _ = tiny.derivatives(tiny.values)
        agent_with_q = WithGivenQ(true_q(tiny))
        for agent in range(n_agents):
            expected = first[agent, 2 * agent : 2 * agent + 2]
            self.assertAllClose(agents_gradient(tiny, agent_with_q, agent), expected, rtol=0.0, atol=1e-12)
            self.assertGreater(np.max(np.abs(expected)), 1e-3)

    @parameterized.product(n_agents=[2, 3], ends=[False, True])
    def test_the_bias_is_that_of_a_given_q(self, n_agents, ends):
        """Q less the true one, whatever both are, averaged over all that can happen."""
        tiny = TinyGame(n_agents, ends, HORIZON)
        first, _ = tiny.derivatives(tiny.values)
        true = true_q(tiny)
        tables = [table + np.random.default_rng(0).normal(size=table.shape) for table in true]
        for agent in range(n_agents):
            gradient = agents_gradient(tiny, WithGivenQ(tables), agent)
            bias = gradient - first[agent, 2 * agent : 2 * agent + 2]
            self.assertAllClose(bias, expected_gradient(tiny, agent, tables[agent] - true[agent]), rtol=0.0, atol=1e-12)
            self.assertGreater(np.max(np.abs(bias)), 1e-2)

    @parameterized.parameters(2, 3)
    def test_the_gradient_of_its_network(self, n_agents):
        """The table that its own network is, at given parameters, of all states, times and joint actions."""
        tiny = TinyGame(n_agents, False, HORIZON)
        coma = COMA(1.0, critic_units=3)
        critic = CounterfactualBaseline(tiny.game.spec, tiny.policies, units=3)
        initial = critic.initial_params([0])
        first, _ = tiny.derivatives(tiny.values)
        scale = 1.0 + tiny.game.spec.discount
        for agent in range(n_agents):
            kernel, bias, last_kernel, last_bias = (leaf[0].numpy() for leaf in initial[agent])
            table = np.zeros([HORIZON, 2, *[2] * n_agents])
            for time, state, *actions in np.ndindex(table.shape):
                others = [np.eye(2)[action] for index, action in enumerate(actions) if index != agent]
                inputs = np.concatenate([*[np.eye(2)[state]] * n_agents, *others, [time / HORIZON]])
                outputs = scale * (np.tanh(inputs @ kernel + bias[0]) @ last_kernel + last_bias[0])
                table[(time, state, *actions)] = outputs[actions[agent]]
            gradient = agents_gradient(tiny, coma, agent)
            self.assertAllClose(gradient, expected_gradient(tiny, agent, table), rtol=0.0, atol=1e-12)
            self.assertGreater(np.max(np.abs(gradient - first[agent, 2 * agent : 2 * agent + 2])), 1e-2)

    @parameterized.parameters(2, 3)
    def test_its_advantages_are_counterfactual(self, n_agents):
        """Q of what was done less its mean over own actions, at every step that counts: its sign shows in no mean."""
        tiny = TinyGame(n_agents, True, HORIZON)
        tables, policies = true_q(tiny), strategies(tiny)
        estimator = ScoreFunctionEstimator(tiny.game, tiny.policies, 1, HORIZON, critic=NoBaseline)
        joint_params = repeated(tiny.joint_params, tiny.n_trajectories)
        sample = estimator.make_sample(tiny.trajectory, joint_params)
        link = links.Link(tuple(map(AgentState, joint_params)), sample, tf.zeros([1, 2], tf.int64))
        objectives = links.Objectives(estimator, tiny.tasks, link)
        critic = GivenQ(tiny.game.spec, tiny.policies, tables)
        for agent in range(n_agents):
            advantages = WithGivenQ(tables).advantages(critic, (), objectives, agent).numpy()
            for at in np.argwhere(tiny.trajectory.mask[agent].numpy()):
                at = tuple(at)
                state = tiny.trajectory.observations[agent].numpy()[at]
                actions = [own.numpy()[at] for own in tiny.trajectory.actions]
                of_own = tables[agent][(at[-1], state, *actions[:agent], slice(None), *actions[agent + 1 :])]
                expected = of_own[actions[agent]] - policies[agent][state] @ of_own
                self.assertAllClose(advantages[at], expected, rtol=0.0, atol=1e-13)

    def test_its_critic_learns_within_the_chain(self):
        """Each epoch one step of Adam down the loss, from the batch of the link."""
        tiny = TinyGame(2, True, HORIZON)
        estimator = ScoreFunctionEstimator(tiny.game, tiny.policies, tiny.n_trajectories, HORIZON, critic=NoBaseline)
        coma = COMA(0.0, n_epochs=30, critic_units=4, critic_learning_rate=0.02)
        trajectory = tf.nest.map_structure(lambda leaf: tf.transpose(leaf, [0, 2, 1, 3]), tiny.trajectory)
        coma.init_update(estimator, 1, 1, 1)
        states = (AgentState(tiny.joint_params[0]), coma.init(tiny.joint_params[1], estimator, 1))
        link = links.Link(states, estimator.make_sample(trajectory, tiny.joint_params), tf.zeros([1, 2], tf.int64))
        objectives = links.Objectives(estimator, tiny.tasks, link)
        after = coma.update(states[1], objectives, 1, ())
        critic = CounterfactualBaseline(tiny.game.spec, tiny.policies, units=4)
        losses = [critic.loss(state.extra[1], tiny.joint_params, trajectory, 1).numpy() for state in (states[1], after)]
        self.assertLess(losses[1], 0.5 * losses[0])

    @parameterized.parameters(ExactEstimator, LoadedDiceEstimator)
    def test_it_needs_sampled_inner_updates(self, estimator_class):
        tiny = TinyGame(2, False, HORIZON)
        with self.assertRaisesRegex(checks.InvalidInputError, "^estimator = .*: must be one .*, for COMA"):
            adaptation.init_update_params([COMA(), COMA()], estimator_class(tiny.game, tiny.policies), 1, 1)


if __name__ == "__main__":
    tf.test.main()
