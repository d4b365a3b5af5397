"""Advantage Alignment and LOQA: gradients against their equations in NumPy, loop by loop and by differences."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests import oracle
from tests.agents import agents_test
from tests.tiny_game import TinyGame
from tf_metamapg import checks
from tf_metamapg import links
from tf_metamapg.agents.advantage_alignment import AdvantageAlignment
from tf_metamapg.agents.loqa import LOQA
from tf_metamapg.critics.baselines import NoBaseline
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.games.linear_quadratic import LinearQuadraticGame
from tf_metamapg.numerics import random
from tf_metamapg.policies.mlp import mlp_policy

DISCOUNT, WEIGHT, DECAY = agents_test.DISCOUNT, 0.7, 0.6
KINDS = {"alignment": AdvantageAlignment, "loqa": LOQA}
CASES = (
    {"n_agents": 2, "horizon": 4, "ending": "endless"}, {"n_agents": 2, "horizon": 3, "ending": "together"},
    {"n_agents": 3, "horizon": 3, "ending": "endless"},
)


class Setting:
    """Random trajectories of a tiny game, and an agent whose critics have learned something."""

    def __init__(self, kind, n_agents, horizon, ending, own=1, **options):
        self.tiny = tiny = TinyGame(n_agents, horizon, DISCOUNT, ending)
        self.own, self.agent = own, KINDS[kind](1.0, WEIGHT, critic_units=3, **{"gae_lambda": DECAY, **options})
        self.members = np.random.default_rng(0).integers(len(tiny.oracle.actions), size=[5])
        # Two of them end as early as any do.
        self.members[:2] = np.argsort(tiny.oracle.present[..., own].sum(axis=1), kind="stable")[:2]
        estimator = ScoreFunctionEstimator(tiny.game, tiny.policies, len(self.members), horizon, NoBaseline)
        states = list(agents_test.states(agents_test.joint_params(tiny.logits[None, None])))
        first = self.agent.init(states[own].params, estimator, own)
        generator = np.random.default_rng(1)
        states[own] = first._replace(
            extra=tf.nest.map_structure(lambda leaf: leaf + generator.normal(size=leaf.shape), first.extra)
        )
        sample = tiny.sample(estimator, self.members[None, None])
        self.link = links.Link(tuple(states), sample, random.root_keys([0]))
        self.objectives = links.Objectives(estimator, tiny.tasks(1, 1), self.link)

    def gradients(self):
        """Of the package: [o]."""
        return self.agent.gradients(self.objectives, self.own)[0].numpy()[0, 0, :, 0]

    def network(self, which, agent):
        """What a network says of an agent's trajectories, layer by layer: [K, T, outputs]."""
        _, critics, _ = self.link.agent_states[self.own].extra
        hidden, bias, outputs, last_bias = (leaf.numpy()[0, 0] for leaf in critics[which][agent])
        seen = self.tiny.oracle.observations[self.members][..., agent]
        horizon = seen.shape[1]
        n_observations = self.tiny.game.spec.observations[agent].n
        time = np.broadcast_to((np.arange(horizon) / horizon)[:, None], [*seen.shape, 1])
        features = np.concatenate([np.eye(n_observations)[seen], time], axis=-1)
        return np.sum(DISCOUNT ** np.arange(horizon)) * (np.tanh(features @ hidden + bias) @ outputs + last_bias)

    def advantages(self):
        """Generalised ones of all agents, by loops: [n, K, T]."""
        known = self.tiny.oracle
        found = np.zeros([known.n_agents, *known.rewards[self.members].shape[:2]])
        for agent, row, start in np.ndindex(*found.shape):
            rewards = known.rewards[self.members[row], :, agent]
            is_there = known.present[self.members[row], :, agent]
            values = np.append(self.network(0, agent)[row, :, 0] * is_there, 0.0)
            for t in range(start, len(rewards)):
                error = rewards[t] + DISCOUNT * values[t + 1] - values[t]
                found[agent, row, start] += (DISCOUNT * DECAY) ** (t - start) * error
        return found


class AdvantageAlignmentTest(agents_test.Close, parameterized.TestCase):

    @parameterized.parameters(*CASES)
    def test_against_the_equation(self, **case):
        setting = Setting("alignment", **case)
        advantages, own = setting.advantages(), setting.own
        n_agents, n_trajectories, horizon = advantages.shape
        scores = setting.tiny.oracle.scores(setting.tiny.logits)[setting.members][:, :, own]
        expected = naive = 0.0
        for k, t in np.ndindex(n_trajectories, horizon):
            past = sum(DISCOUNT ** (t - earlier) * advantages[own, k, earlier] for earlier in range(t))
            others = sum(advantages[other, k, t] for other in range(n_agents) if other != own)
            aligned = advantages[own, k, t] + WEIGHT * DISCOUNT * past * others
            expected = expected + DISCOUNT**t * scores[k, t] * aligned / n_trajectories
            naive = naive + DISCOUNT**t * scores[k, t] * advantages[own, k, t] / n_trajectories
        self.assert_close(setting.gradients(), expected, 1e-10)
        self.assertGreater(np.max(np.abs(expected - naive)), 1e-2)


class LOQATest(agents_test.Close, parameterized.TestCase):

    @parameterized.parameters(*CASES)
    def test_against_differences_of_the_objective(self, **case):
        """Σ_t γᵗ A_t [log π(a_t) + w Σ log π̂(b_t)] at fixed samples, as a function of the own logits."""
        setting = Setting("loqa", **case)
        advantages, own, known = setting.advantages(), setting.own, setting.tiny.oracle
        n_agents, n_trajectories, horizon = advantages.shape
        actions, present = known.actions[setting.members], known.present[setting.members]

        def log_probs(logits):
            """[o] → [K, T]."""
            chosen = logits[known.observations[setting.members][..., own]]
            signed = np.where(actions[..., own] == 0, chosen, -chosen)
            return np.where(present[..., own], -np.log(1 + np.exp(-signed)), 0.0)

        at_start = log_probs(setting.tiny.logits[own])

        def objective(logits):
            moved, total = log_probs(logits), 0.0
            for k, t in np.ndindex(n_trajectories, horizon):
                by_agent = moved[k, t]
                for other in set(range(n_agents)) - {own}:
                    values = setting.network(1, other)[k, t].astype(complex)
                    values[actions[k, t, other]] += sum(
                        DISCOUNT ** (later - t) * advantages[other, k, later] * (moved - at_start)[k, later]
                        for later in range(t, horizon)
                    )
                    by_agent = by_agent + WEIGHT * (
                        values[actions[k, t, other]] - np.log(np.sum(np.exp(values)))
                    )
                total = total + DISCOUNT**t * advantages[own, k, t] * by_agent / n_trajectories
            return total

        def slopes(function):
            unit = np.eye(len(setting.tiny.logits[own])) * 1e-30j
            return np.array([function(setting.tiny.logits[own] + row).imag / 1e-30 for row in unit])

        expected = slopes(objective)
        naive = slopes(lambda logits: np.sum(
            DISCOUNT ** np.arange(horizon) * advantages[own] * log_probs(logits)
        ) / n_trajectories)
        self.assert_close(setting.gradients(), expected, 1e-10)
        self.assertGreater(np.max(np.abs(expected - naive)), 1e-2)

    def test_what_it_adds_is_what_own_actions_do_to_the_return_of_the_other(self):
        """Over all trajectories, where only the first of its own advantages is not zero, and π̂ is uniform."""
        tiny, own = TinyGame(2, 2, DISCOUNT), 1
        n_trajectories = len(tiny.oracle.actions)
        estimator = ScoreFunctionEstimator(tiny.game, tiny.policies, n_trajectories, 2, NoBaseline)
        states = list(agents_test.states(agents_test.joint_params(tiny.logits[None, None])))
        agent = LOQA(1.0, WEIGHT, gae_lambda=1.0)
        first = agent.init(states[own].params, estimator, own)
        states[own] = first._replace(extra=tf.nest.map_structure(tf.zeros_like, first.extra))
        members = np.arange(n_trajectories)
        sample = tiny.sample(estimator, members[None, None])
        objectives = links.Objectives(
            estimator, tiny.tasks(1, 1), links.Link(tuple(states), sample, random.root_keys([0]))
        )
        to_go = tiny.oracle.rewards[members] @ np.eye(2)
        to_go[:, 0] += DISCOUNT * to_go[:, 1]
        only_first = np.broadcast_to([1.0, 0.0], [n_trajectories, 2])
        advantages = tuple(tf.constant(values[None, None]) for values in (to_go[..., 0] + 3.0, only_first))
        added = agent.advantages(advantages, objectives, own).numpy()[0, 0] - only_first
        scores = tiny.oracle.scores(tiny.logits)[:, :, own]
        probs = tiny.oracle.probs(tiny.logits)
        mean = np.einsum("m,t,mt,mto->o", probs, tiny.oracle.discounts, added, scores)
        expected = 0.5 * WEIGHT * oracle.complex_step(tiny.oracle.values, tiny.logits)[0, own]
        self.assert_close(mean, expected, 1e-10)


class BothTest(agents_test.Close, parameterized.TestCase):

    @parameterized.parameters(*KINDS)
    def test_of_weight_zero_it_is_an_unbiased_policy_gradient(self, kind):
        tiny = TinyGame(2, 2, DISCOUNT)
        n_sets, own = len(tiny.oracle.actions), 0
        estimator = ScoreFunctionEstimator(tiny.game, tiny.policies, 1, 2, NoBaseline)
        logits = np.broadcast_to(tiny.logits, [1, n_sets, *tiny.logits.shape])
        states = list(agents_test.states(agents_test.joint_params(logits)))
        agent = KINDS[kind](1.0, 0.0, gae_lambda=1.0)
        states[own] = agent.init(states[own].params, estimator, own)
        sample = tiny.sample(estimator, np.arange(n_sets)[None, :, None])
        link = links.Link(tuple(states), sample, random.root_keys([0]))
        gradients = agent.gradients(links.Objectives(estimator, tiny.tasks(1, n_sets), link), own)[0].numpy()
        mean = tiny.oracle.probs(tiny.logits) @ gradients[0, :, :, 0]
        expected = oracle.complex_step(tiny.oracle.values, tiny.logits)[own, own]
        self.assert_close(mean, expected, 1e-10)

    @parameterized.parameters(*KINDS)
    def test_critics_of_all_agents_learn(self, kind):
        """Squared errors of values, and of the values of what was done, fall by a tenth at least."""
        setting = Setting(kind, 2, 3, "endless", critic_learning_rate=0.03, n_critic_steps=50)
        known, own = setting.tiny.oracle, setting.own

        def errors():
            found = []
            for which, agent in np.ndindex(len(setting.link.agent_states[own].extra[1]), 2):
                values = setting.network(which, agent)
                done = known.actions[setting.members][..., agent, None] if which else np.zeros([5, 3, 1], int)
                to_go = known.rewards[setting.members][..., agent].copy()
                for t in (1, 0):
                    to_go[:, t] += DISCOUNT * to_go[:, t + 1]
                found.append(np.mean((np.take_along_axis(values, done, axis=-1)[..., 0] - to_go) ** 2))
            return np.array(found)

        before = errors()
        state = setting.link.agent_states[own]
        state = state._replace(extra=(*state.extra[:2], tf.nest.map_structure(tf.zeros_like, state.extra[2])))
        states = [setting.link.agent_states[0], setting.agent.update(state, setting.objectives, own, ())]
        setting.link = setting.link._replace(agent_states=tuple(states))
        self.assertAllLess(errors() / before, 0.9)

    @parameterized.parameters(*KINDS)
    def test_estimators_of_expected_inner_updates_are_refused(self, kind):
        setting = agents_test.Setting()
        with self.assertRaisesRegex(checks.InvalidInputError, "one that samples, for"):
            KINDS[kind]().init(setting.link().joint_params[0], setting.estimator, 0)

    def test_loqa_refuses_actions_that_are_numbers(self):
        game = LinearQuadraticGame(0.5 * np.eye(2), [np.ones([2, 1])] * 2, np.stack([np.eye(2)] * 2), np.ones(2))
        policies = [mlp_policy(game, agent, (2,)) for agent in range(2)]
        estimator = ScoreFunctionEstimator(game, policies, 2, 2)
        with self.assertRaisesRegex(checks.InvalidInputError, "of a game of finitely many actions for LOQA"):
            LOQA().init_update(estimator, 0, 1, 1)
        self.assertEqual(AdvantageAlignment().init_update(estimator, 0, 1, 1), ())


if __name__ == "__main__":
    tf.test.main()
