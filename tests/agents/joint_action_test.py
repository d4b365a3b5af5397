"""Agents that weigh joint actions: each against its formula in NumPy, and in expectation, by enumeration."""

import functools
import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import oracle
from tests.tiny_game import TinyGame
from tests.trajectory_sets import TrajectorySets
import tf_metamapg as mapg
from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import links
from tf_metamapg.agents import joint_actions
from tf_metamapg.numerics import random
from tf_metamapg.testing import random_values

# Alone whoever leaves the second or third action loses 12; together the first is worth 8.
OVERGENERALISED = np.array([[8.0, -12.0, -12.0], [-12.0, 0.0, 0.0], [-12.0, 0.0, 0.0]])


def sigmoid(logits):
    return 1.0 / (1.0 + np.exp(-logits))


class Tables:
    """A tiny game and its policies in NumPy, by state."""

    def __init__(self, setting):
        self.setting = setting
        self.n_agents = len(setting.logits)
        views = setting.oracle_views
        cooperate = sigmoid(setting.logits)
        own = [np.stack([cooperate[i, views[i]], 1.0 - cooperate[i, views[i]]], axis=-1) for i in range(self.n_agents)]
        self.probs = own  # of each agent, [states, 2]
        ends = setting.departures[0][1] if setting.departures else np.zeros(setting.payoffs.shape[1:])
        self.following = setting.transitions * (1.0 - ends)[..., None]

    def backed_up(self, values, agent):
        """Q(s, a) = r + γ Σ P V: [states] → [states, 2, .., 2]."""
        return self.setting.payoffs[agent] + self.setting.game.spec.discount * self.following @ values

    def expected(self, action_values):
        """Σ_a π(a|s) Q(s, a): [states, 2, .., 2] → [states]."""
        total = np.zeros(len(action_values))
        for state in range(len(action_values)):
            for joint in itertools.product(range(2), repeat=self.n_agents):
                chance = np.prod([self.probs[i][state, action] for i, action in enumerate(joint)])
                total[state] += chance * action_values[(state, *joint)]
        return total

    def action_values(self, agent, n_steps):
        """Q of the first of so many steps, by going back from the last."""
        values = np.zeros(len(self.following))
        for _ in range(n_steps - 1):
            values = self.expected(self.backed_up(values, agent))
        return self.backed_up(values, agent)


def tiny(n_agents, ending="endless", horizon=2):
    setting = TinyGame(n_agents, horizon, 0.8, ending)
    setting.oracle_views = np.array([[0, 1, 2], [0, 1, 1], [1, 0, 1]])[:n_agents]
    return setting


def states(params):
    return tuple(mapg.contracts.AgentState(own) for own in params)


def exact_objectives(setting, logits):
    """At logits [S, n, n_observations]."""
    estimator = mapg.ExactEstimator(setting.game, setting.policies)
    params = tuple((tf.constant(logits[:, None, i, :, None]),) for i in range(logits.shape[1]))
    link = links.Link(states(params), (), random.root_keys(range(len(logits))))
    return links.Objectives(estimator, setting.tasks(len(logits), 1), link)


class ExactTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(n_agents=[2, 3], ending=["endless", "together"])
    def test_values_of_joint_actions(self, n_agents, ending):
        """Against going back from the last of many steps, in NumPy."""
        setting = tiny(n_agents, ending)
        tables = Tables(setting)
        objectives = exact_objectives(setting, setting.logits[None])
        found = objectives.estimator.joint_action_values(objectives.link.joint_params, objectives.tasks)
        for agent in range(n_agents):
            expected = tables.action_values(agent, n_steps=130)
            np.testing.assert_allclose(found.values[agent][0, 0], expected, rtol=0.0, atol=1e-11)
            np.testing.assert_allclose(found.strategies[agent][0, 0], tables.probs[agent], rtol=1e-12)
            # Visits times expected rewards are the value.
            rewards = tables.expected(setting.payoffs[agent])
            value = found.visits[0, 0].numpy() @ rewards
            np.testing.assert_allclose(value, objectives.by_agent[agent][0, 0], rtol=1e-10)

    @parameterized.product(n_agents=[2, 3], ending=["endless", "together"])
    def test_it_is_the_policy_gradient_and_so_are_its_derivatives(self, n_agents, ending):
        setting = tiny(n_agents, ending)
        logits = setting.logits + np.random.default_rng(0).normal(size=[2, *setting.logits.shape])
        for agent in range(n_agents):
            found = []
            for kind in (mapg.PolicyGradient(), mapg.JointActionPolicyGradient()):
                objectives = exact_objectives(setting, logits)
                params = objectives.link.joint_params
                with tf.GradientTape() as tape:
                    tape.watch(params)
                    (gradient,) = kind.gradients(objectives.recompute(), agent)
                    factors = np.arange(1.0, gradient.shape[2] + 1.0)[:, None]
                    total = tf.reduce_sum(gradient * factors)
                found.append([gradient, *tape.gradient(total, params, unconnected_gradients="zero")])
            naive, joint = (tf.nest.flatten(one) for one in found)
            for expected, leaf in zip(naive, joint):
                self.assertGreater(np.max(np.abs(expected)), 1e-4)
                np.testing.assert_allclose(leaf, expected, rtol=0.0, atol=1e-9)

    def test_a_large_game_is_factorised(self):
        """More states than TensorFlow's own solver takes."""
        rng = np.random.default_rng(0)
        game = mapg.StochasticGame(
            rng.normal(size=[2, 70, 2, 2]), rng.dirichlet(np.ones(70), size=[70, 2, 2]), discount=0.8, dtype="float64"
        )
        policies = [mapg.tabular_policy(game, agent) for agent in range(2)]
        params = adaptation.for_each_task(tuple(policy.initial_params([0]) for policy in policies), 1)
        estimator = mapg.ExactEstimator(game, policies)
        tasks = mapg.DefaultTasks(game).sample(random.root_keys([0]), 1)
        link = links.sample_link(estimator, states(params), tasks, random.root_keys([0]))
        gradients = []
        for kind in (mapg.PolicyGradient(), mapg.JointActionPolicyGradient()):
            with tf.GradientTape() as tape:
                tape.watch(params)
                (gradient,) = kind.gradients(links.Objectives(estimator, tasks, link.with_joint_params(params)), 0)
                square = tf.reduce_sum(gradient**2)
            gradients.append([gradient, *tf.nest.flatten(tape.gradient(square, params))])
        for expected, found in zip(*gradients):
            np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-9)

    def test_what_does_not_know_values_of_joint_actions_is_refused(self):
        setting = tiny(2)
        estimator = mapg.ScoreFunctionEstimator(setting.game, setting.policies, 2, 2)
        params = setting.joint_params(list(map(tf.constant, setting.logits)), [1, 1])
        link = links.sample_link(estimator, states(params), setting.tasks(1, 1), random.root_keys([0]))
        objectives = links.Objectives(estimator, setting.tasks(1, 1), link)
        with self.assertRaisesRegex(checks.InvalidInputError, r"^estimator = .*one of exact values[^\n]*$"):
            mapg.JointActionPolicyGradient().gradients(objectives, 0)
        game = mapg.bilinear_game()
        vectors = mapg.ExactEstimator(game, [mapg.vector_policy(game, agent) for agent in range(2)])
        with self.assertRaisesRegex(checks.InvalidInputError, r"knows the values of joint actions[^\n]*$"):
            vectors.joint_action_values((((tf.zeros([1, 1, 1], tf.float64)),),) * 2, ())


class TrueValues:
    """In place of a network: Q of what is left of an episode of T steps, in the state that agent 0 sees."""

    def __init__(self, setting, agent, horizon):
        tables = Tables(setting)
        self._table = np.stack([tables.action_values(agent, horizon - time) for time in range(horizon)])

    def of_each(self, critic, trajectory, actions):
        del critic
        n_steps, n_states = self._table.shape[:2]
        by_joint = self._table.reshape([n_steps, n_states, -1])
        state = trajectory.observations[0].numpy()
        number = np.ravel_multi_index([own.numpy()[0] for own in actions], self._table.shape[2:])
        return tf.constant(by_joint[np.arange(n_steps), state[:, :, :, None], number[:, None]])


class Knowing(mapg.JointActionActorCritic):
    """Its Q is the true one."""

    def __init__(self, values):
        super().__init__(1.0)
        self._values = values

    def network(self, estimator, agent_index):
        del estimator, agent_index
        return self._values


class SampledTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(
        (2, 2, 1, "endless"), (2, 3, 1, "endless"), (2, 1, 2, "endless"), (3, 1, 1, "endless"), (2, 2, 1, "together"),
    )
    def test_with_the_true_values_it_is_unbiased(self, n_agents, horizon, size, ending):
        """E over all sets of trajectories of what it steps along is ∇ᵢVⁱ."""
        setting = TrajectorySets(n_agents, horizon, size, ending)
        setting.oracle_views = np.array([[0, 1, 2], [0, 1, 1], [1, 0, 1]])[:n_agents]
        estimator = setting.estimator(mapg.ScoreFunctionEstimator)
        n_sets = len(setting.members)
        params = setting.joint_params(list(map(tf.constant, setting.logits)), [n_sets, 1])
        sample = setting.sample(estimator, setting.members[:, None])
        expected = oracle.complex_step(setting.oracle.values, setting.logits)
        for agent in range(n_agents):
            own = tuple(
                mapg.contracts.AgentState(leaves, ((), (tf.zeros([n_sets, 1], tf.float64),), ())) for leaves in params
            )
            link = links.Link(own, sample, tf.zeros([n_sets, 2], tf.int64))
            objectives = links.Objectives(estimator, setting.tasks(n_sets, 1), link)
            (gradient,) = Knowing(TrueValues(setting, agent, horizon)).gradients(objectives, agent)
            mean = np.einsum("s,so->o", setting.probs, gradient.numpy()[:, 0, :, 0])
            self.assertGreater(np.max(np.abs(expected[agent, agent])), 1e-3)
            np.testing.assert_allclose(mean, expected[agent, agent], rtol=0.0, atol=1e-12)

    def _played(self, agent, game, policies, n_trajectories=3, horizon=2, n_seeds=2):
        """(objectives at a link that two agents of a kind have played, their states)."""
        estimator = mapg.ScoreFunctionEstimator(game, policies, n_trajectories, horizon)
        params = adaptation.for_each_task(tuple(policy.initial_params(range(n_seeds)) for policy in policies), 1)
        keys = random.root_keys(range(n_seeds))
        tasks = mapg.DefaultTasks(game).sample(keys, 1)
        states = adaptation.initial_states([agent, agent], params, estimator)
        return links.Objectives(estimator, tasks, links.sample_link(estimator, states, tasks, keys))

    def test_the_network_says_the_same_of_what_was_done_and_of_each(self):
        agent = mapg.JointActionActorCritic(critic_units=3, n_joint_actions=5)
        dilemma = mapg.IteratedMatrixGame(mapg.prisoners_dilemma(), dtype="float64")
        for game in (dilemma, mapg.MaxOfTwoQuadratics("float64")):
            objectives = self._played(agent, game, [mapg.mlp_policy(game, index, (2,)) for index in range(2)])
            trajectory, network = objectives.link.sample.trajectory, agent.network(objectives.estimator, 0)
            critic = objectives.link.agent_states[0].extra[1]
            actions = agent.weighed(objectives, 0)
            values = network.of_each(critic, trajectory, actions).numpy()
            n_actions = actions[0].shape[1]
            for number in range(n_actions):
                done = tuple(
                    tf.broadcast_to(own[:, None, None, None, number], like.shape)
                    for own, like in zip(actions, trajectory.actions)
                )
                expected = network.taken(critic, trajectory._replace(actions=done))
                np.testing.assert_allclose(values[:, :, :, number], expected, rtol=1e-12)
            self.assertGreater(np.ptp(values[0, 0, 0, :, 0]), 1e-3)

    @parameterized.parameters(
        mapg.tabular_policy, functools.partial(mapg.gru_policy, units=3),
        functools.partial(mapg.carried_state_policy, n_trajectories=3, make_policy=mapg.gru_policy),
        functools.partial(mapg.opponent_features_policy, make_policy=mapg.mlp_policy),
    )
    def test_log_probs_are_those_of_one_joint_action_after_another(self, make_policy):
        """Of every seed, task and trajectory, with what is carried for it."""
        policy = make_policy(mapg.IteratedMatrixGame(mapg.prisoners_dilemma(), dtype="float64"), 0)
        params, rng = random_values.params(policy, [2, 2]), np.random.default_rng(1)
        observations = tf.constant(rng.integers(5, size=[2, 2, 3, 4]), tf.int32)
        actions = tf.constant(rng.integers(2, size=[2, 5]), tf.int32)
        found = joint_actions.log_probs(policy, params, observations, actions)
        self.assertEqual(found.shape, [2, 2, 3, 5, 4])
        for index in range(5):
            own = tf.broadcast_to(actions[:, index, tf.newaxis, tf.newaxis, tf.newaxis], observations.shape)
            expected = policy.log_probs(params, observations, own)
            np.testing.assert_allclose(found[:, :, :, index], expected, rtol=1e-12, atol=1e-12)

    def test_joint_actions(self):
        keys = random.root_keys([3, 4])
        spec = mapg.StochasticGame(np.zeros([2, 2, 3]), np.ones([1, 2, 3, 1])).spec
        first, second = joint_actions.weighed(spec, keys, 7, 2.0)
        np.testing.assert_array_equal(first, [[0, 0, 0, 1, 1, 1]] * 2)
        np.testing.assert_array_equal(second, [[0, 1, 2, 0, 1, 2]] * 2)
        spec = mapg.GameSpec(
            name="mixed", discount=0.5, dtype="float64", observations=(mapg.Discrete(1),) * 2,
            actions=(mapg.Discrete(3), mapg.Box((2,))),
        )
        first, second = joint_actions.weighed(spec, keys, 4000, 2.0)
        self.assertEqual((first.shape, second.shape), ([2, 4000], [2, 4000, 2]))
        np.testing.assert_allclose([np.mean(first[0] == action) for action in range(3)], 1 / 3, atol=0.03)
        self.assertAllInRange(second, -2.0, 2.0)
        np.testing.assert_allclose(np.var(second, axis=1), 4.0 / 3.0, atol=0.1)
        self.assertNotAllClose(second[0], second[1])
        alone = joint_actions.weighed(spec, keys[1:], 4000, 2.0)
        np.testing.assert_array_equal(alone[1][0], second[1])

    @parameterized.parameters("dilemma", "quadratics")
    def test_actor_critic_against_numpy(self, name):
        """Σ_a ∇πⁱ π⁻ⁱ Q over the joint actions that are weighed, by differences of Σ_a π Q / Σ_a π."""
        game = mapg.MaxOfTwoQuadratics("float64")
        if name == "dilemma":
            game = mapg.IteratedMatrixGame(mapg.prisoners_dilemma(), discount=0.7, dtype="float64")
        policies = [mapg.mlp_policy(game, index, ()) for index in range(2)]
        agent = mapg.JointActionActorCritic(critic_units=3, n_joint_actions=6, action_bound=1.5)
        objectives = self._played(agent, game, policies, horizon=2 if name == "dilemma" else 1)
        link = objectives.link
        trajectory, actions = link.sample.trajectory, agent.weighed(objectives, 1)
        critic = link.agent_states[1].extra[1]
        values = agent.network(objectives.estimator, 1).of_each(critic, trajectory, actions).numpy()

        def objective(kernel):
            """Of agent 1's first leaf, [S]."""
            own = (tf.constant(kernel), *link.joint_params[1][1:])
            log_probs = 0.0
            for index, params in enumerate((link.joint_params[0], own)):
                table = []
                for number in range(actions[0].shape[1]):
                    done = tf.broadcast_to(actions[index][:, None, None, None, number], trajectory.actions[index].shape)
                    table.append(policies[index].log_probs(params, trajectory.observations[index], done).numpy())
                log_probs = log_probs + np.stack(table, axis=3)
            probs = np.exp(log_probs)
            expected = np.sum(probs * values, axis=3) / np.sum(probs, axis=3)
            return np.mean(expected @ game.spec.discount ** np.arange(expected.shape[-1]), axis=2)[:, 0]

        gradient = agent.gradients(objectives, 1)[0].numpy()
        kernel = link.joint_params[1][0].numpy()
        for index in np.ndindex(*kernel.shape):
            shift = np.zeros_like(kernel)
            shift[index] = 1e-6
            difference = (objective(kernel + shift) - objective(kernel - shift))[index[0]] / 2e-6
            np.testing.assert_allclose(gradient[index], difference, rtol=1e-5, atol=1e-8)

    def test_soft_targets_and_weights_against_numpy(self):
        game = mapg.IteratedMatrixGame(mapg.prisoners_dilemma(), discount=0.7, dtype="float64")
        agent = mapg.MultiagentSoftQLearning(critic_units=3, temperature=0.3)
        policies = [mapg.tabular_policy(game, index) for index in range(2)]
        objectives = self._played(agent, game, policies, horizon=3)
        trajectory, actions = objectives.link.sample.trajectory, agent.weighed(objectives, 0)
        critic = objectives.link.agent_states[0].extra[1]
        values = agent.network(objectives.estimator, 0).of_each(critic, trajectory, actions).numpy()
        targets = agent.targets(objectives, 0, critic).numpy()
        weights = agent.weights(objectives, 0, critic, actions).numpy()
        rewards = trajectory.rewards[0].numpy()
        for seed, trial, time in np.ndindex(2, 3, 3):
            expected = rewards[seed, 0, trial, time]
            if time < 2:
                expected += 0.7 * 0.3 * np.log(np.mean(np.exp(values[seed, 0, trial, :, time + 1] / 0.3)))
            np.testing.assert_allclose(targets[seed, 0, trial, time], expected, rtol=1e-10)
            heated = np.exp(values[seed, 0, trial, :, time] / 0.3)
            np.testing.assert_allclose(weights[seed, 0, trial, :, time], heated / heated.sum(), rtol=1e-10)

    def test_the_temperature_falls(self):
        game = mapg.MatrixGame(mapg.chicken(), dtype="float64")
        agent = mapg.MultiagentSoftQLearning(critic_units=2, temperature=1.0, cooling=0.5, final_temperature=0.2)
        policies = [mapg.tabular_policy(game, index) for index in range(2)]
        objectives = self._played(agent, game, policies, horizon=1)
        chain_states = objectives.link.agent_states
        links_of_chain = adaptation.extend(
            objectives.estimator, [agent] * 2, ((), ()), objectives.tasks, chain_states, [objectives.link.keys] * 5
        )
        temperatures = [link.agent_states[0].extra[-1].numpy()[0, 0] for link in links_of_chain]
        np.testing.assert_allclose(temperatures, [1.0, 0.5, 0.25, 0.2, 0.2], rtol=1e-12)

    def test_the_joint_optimum_where_the_naive_gradient_generalises_too_much(self):
        """From uniform policies; Q is learned on the way."""
        game = mapg.MatrixGame(np.stack([OVERGENERALISED] * 2), dtype="float64")
        policies = [mapg.tabular_policy(game, index, initial_stddev=0.0) for index in range(2)]
        estimator = mapg.ScoreFunctionEstimator(game, policies, 32, 1)
        params = adaptation.for_each_task(tuple(policy.initial_params([0, 1]) for policy in policies), 1)
        tasks = mapg.DefaultTasks(game).sample(random.root_keys([0, 1]), 1)
        keys = [random.link_keys(random.root_keys([0, 1]), link) for link in range(61)]
        rewards = {}
        for name, agent in (
            ("naive", mapg.PolicyGradient(0.05)),
            ("soft", mapg.MultiagentSoftQLearning(2.0, None, 16, 0.03, 5, temperature=10.0, cooling=0.95)),
        ):
            chain = adaptation.adapt(
                estimator, [agent] * 2, params, tasks, keys, compile_fn=lambda f: tf.function(f, autograph=False)
            )
            probs = [policy.strategy(own) for policy, own in zip(policies, chain.links[-1].joint_params)]
            rewards[name] = np.einsum("sa,sb,ab->s", probs[0][:, 0, 0], probs[1][:, 0, 0], OVERGENERALISED)
        np.testing.assert_array_less(rewards["naive"], 0.1)
        np.testing.assert_array_less(7.0, rewards["soft"])


if __name__ == "__main__":
    tf.test.main()
