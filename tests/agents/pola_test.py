"""POLA: whole updates against the penalised objective in NumPy, exactly and from samples."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tests.agents import agents_test
from tests.tiny_game import TinyGame
from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import links
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.pola import POLA
from tf_metamapg.contracts import AgentState
from tf_metamapg.estimators.dice import DiceEstimator
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.games.differentiable import tandem_game
from tf_metamapg.numerics import random
from tf_metamapg.policies.vector import vector_policy
from tf_metamapg.reproductions import protocols

RATE, ASSUMED, PENALTY = 0.8, 0.6, 1.7


def probability(logits):
    return 1 / (1 + np.exp(-logits))


def divergence(old, new):
    """KL of policies with logits [.., o] of action 0, the mean over observations."""
    p, q = probability(old), probability(new)
    return np.mean(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)), axis=-1)


def step(values, n_steps, own, theta, x):
    """The gradient of V after the others' steps, less β KL, in the own row of logits [.., n, o]: [.., o]."""

    def penalised(moved):
        value = agents_test.objective(f"lola_dice_{n_steps}", values, ASSUMED, own, moved, None)
        return value - PENALTY * divergence(theta[..., own, :], moved[..., own, :])

    return agents_test.own_derivatives(penalised, x, own)


def updated(agent, setting, agent_index):
    """What a package's agent makes of its logits [S, N, o]."""
    link = setting.link()
    objectives = links.Objectives(setting.estimator, setting.tasks, link)
    state = agent.init(link.joint_params[agent_index], setting.estimator, agent_index)
    return agent.update(state, objectives, agent_index, ()).params[0].numpy()[..., 0]


class ExactTest(agents_test.Close, parameterized.TestCase):

    @parameterized.parameters((2, 1, 2), (2, 2, 3), (3, 1, 3))
    def test_against_the_penalised_objective(self, n_agents, n_steps, n_epochs):
        setting = agents_test.Setting(n_agents, n_seeds=1)
        for own in range(n_agents):
            theta, x = setting.logits, setting.logits.copy()
            for _ in range(n_epochs):
                x[..., own, :] += RATE * step(setting.values, n_steps, own, theta, x)
            agent = POLA(RATE, ASSUMED, n_steps, n_epochs, PENALTY)
            change = updated(agent, setting, own) - theta[..., own, :]
            self.assert_close(change, (x - theta)[..., own, :], 1e-8)

    def test_with_one_epoch_it_is_lola_dice(self):
        setting = agents_test.Setting()
        expected = updated(LOLADiCE(RATE, ASSUMED, 2), setting, 0)
        self.assert_close(updated(POLA(RATE, ASSUMED, 2, 1, PENALTY), setting, 0), expected, 1e-12)

    def test_the_larger_the_penalty_the_closer_it_stays(self):
        setting = agents_test.Setting()
        free, held = (
            np.mean(divergence(setting.logits[..., 0, :], updated(POLA(0.1, 1.0, 1, 8, penalty), setting, 0)))
            for penalty in (0.0, 20.0)
        )
        self.assertGreater(free, 1.5 * held)

    def test_vectors_are_refused(self):
        game = tandem_game()
        estimator = ExactEstimator(game, [vector_policy(game, index) for index in range(2)])
        states = tuple(AgentState((tf.zeros([1, 1, 1], tf.float64),)) for _ in range(2))
        objectives = links.Objectives(estimator, (), links.sample_link(estimator, states, (), random.root_keys([0])))
        with self.assertRaisesRegex(checks.InvalidInputError, "of a game of finitely many actions for POLA"):
            POLA().update(states[0], objectives, 0, ())


class SampledTest(agents_test.Close, parameterized.TestCase):

    @parameterized.parameters("endless", "together")
    def test_each_epoch_is_a_step_at_rollouts_of_its_own(self, ending):
        tiny = TinyGame(2, 3, agents_test.DISCOUNT, ending)
        estimator = LoadedDiceEstimator(tiny.game, tiny.policies, n_trajectories=6, horizon=4)
        logits = np.random.default_rng(0).normal(size=[2, 3, *tiny.logits.shape])
        keys, tasks, own = random.root_keys([1, 2]), tiny.tasks(2, 3), 1
        link = links.sample_link(estimator, agents_test.states(agents_test.joint_params(logits)), tasks, keys)
        agent = POLA(RATE, ASSUMED, 1, 3, PENALTY)
        objectives = links.Objectives(estimator, tasks, link)
        actual = agent.update(link.agent_states[own], objectives, own, ()).params[0].numpy()[..., 0]

        trajectory = link.sample.trajectory
        counts = np.ones(trajectory.rewards[own].shape) if not trajectory.mask else trajectory.mask[own].numpy()
        is_seen = trajectory.observations[own].numpy()[..., None] == np.arange(3)
        frequencies = (is_seen * counts[..., None]).sum(axis=(2, 3)) / counts.sum(axis=(2, 3))[..., None]
        x, here = logits.copy(), link
        for epoch in range(3):
            if epoch > 0:
                joint_params = agents_test.joint_params(x)
                here = links.sample_link(
                    estimator, agents_test.states(joint_params), tasks, random.epoch_keys(keys, own, epoch)
                )
            ahead = LOLADiCE(1.0, ASSUMED).gradients(links.Objectives(estimator, tasks, here), own)[0].numpy()
            pull = frequencies * (probability(x[..., own, :]) - probability(logits[..., own, :]))
            x[..., own, :] += RATE * (ahead[..., 0] - PENALTY * pull)
        self.assert_close(actual - logits[..., own, :], (x - logits)[..., own, :], 1e-12)

    def test_nothing_is_drawn_twice(self):
        keys = []

        class Recording(DiceEstimator):
            def sample(self, joint_params, tasks, keys_of_sample, critic_params=()):
                keys.append(tuple(keys_of_sample.numpy().ravel()))
                return super().sample(joint_params, tasks, keys_of_sample, critic_params)

        tiny = TinyGame(2, 1, agents_test.DISCOUNT)
        estimator = Recording(tiny.game, tiny.policies, n_trajectories=2, horizon=2)
        states = agents_test.states(agents_test.joint_params(tiny.logits[None, None]))
        link = links.sample_link(estimator, states, tiny.tasks(1, 1), random.root_keys([1]))
        objectives = links.Objectives(estimator, tiny.tasks(1, 1), link)
        adaptation.inner_update(objectives, [POLA(n_lookahead_steps=2, n_epochs=3)] * 2, ((), ()))
        # Of each agent: two steps ahead in each of three epochs, and in two of them its own rollout.
        self.assertLen(keys, 1 + 2 * (3 * 2 + 2))
        self.assertLen({*keys}, len(keys))

    def test_others_are_estimated_once_for_all_epochs(self):
        seen = []

        class Model:
            def init(self, estimator, agent_index, batch_shape):
                return ()

            def estimate(self, estimator, link, agent_index, known):
                seen.append(link)
                params = list(link.joint_params)
                params[1 - agent_index] = tuple(leaf + 0.5 for leaf in params[1 - agent_index])
                return link.with_joint_params(tuple(params)), known

        setting = agents_test.Setting()
        actual = updated(POLA(RATE, ASSUMED, opponent_model=Model()), setting, 0)
        self.assertLen(seen, 1)
        setting.logits = setting.logits + np.array([[0.0], [0.5]])
        self.assert_close(actual, updated(POLA(RATE, ASSUMED), setting, 0), 1e-12)


class InDilemmaTest(tf.test.TestCase):

    def test_it_finds_tit_for_tat(self):
        """Exactly, with two epochs and β = 0.1, where naive agents end at mutual defection."""
        rewards = {
            agent: protocols.learning_curves(
                agent, ExactEstimator, initial_stddev=0.3, n_seeds=8, n_updates=30, dtype="float64", description="",
                jit_compile=False,
            )[:, -1] for agent in (POLA(), PolicyGradient())
        }
        pola, naive = rewards.values()
        self.assertAllGreater(pola, -1.1)
        self.assertAllLess(naive, -1.9)


if __name__ == "__main__":
    tf.test.main()
