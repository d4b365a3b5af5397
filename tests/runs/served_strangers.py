"""Two exported agents play the noisy prisoner's dilemma in NumPy, and learn once, without knowing this package.

    served_strangers.py DIRECTORY

DIRECTORY/game.json has the sizes and the noise of the game, DIRECTORY/agent_0 and agent_1 are the agents. The mean
rewards per step, [task, before and after the update, agent], go to DIRECTORY/mean_rewards.npy.

DIRECTORY/NAME.given.npz has what another agent, DIRECTORY/NAME, learns from; its state after that goes to
DIRECTORY/NAME.learned.npz.
"""

import json
import pathlib
import sys

sys.modules["tf_metamapg"] = sys.modules["tensorflow_probability"] = None  # which a stranger would not have

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

COOPERATE_ALONE, BOTH, NEITHER = -3.0, -1.0, -2.0
PAYOFFS = np.array([[[BOTH, COOPERATE_ALONE], [0.0, NEITHER]], [[BOTH, 0.0], [COOPERATE_ALONE, NEITHER]]])


def play(agents, states, payoffs, horizon, seed):
    """K games with the payoffs of each, [K, agent, action, action]: what agents saw, did and got, [K, T] each."""
    games = np.arange(len(payoffs))
    observations = [np.zeros(len(payoffs), np.int32)] * 2
    steps = []
    for t in range(horizon):
        actions = [
            agent["act"](observations=seen, seed=[seed + index, t], **state)["actions"].numpy()
            for index, (agent, seen, state) in enumerate(zip(agents, observations, states))
        ]
        rewards = [payoffs[games, index, actions[0], actions[1]].astype(np.float32) for index in range(2)]
        steps.append((observations, actions, rewards))
        # The start is 0; CC, CD, DC, DD follow, an agent's own action first.
        observations = [1 + 2 * actions[index] + actions[1 - index] for index in range(2)]
    return {
        f"{name}_{index}": np.stack([step[field][index] for step in steps], axis=1)
        for field, name in enumerate(("observations", "actions", "rewards")) for index in range(2)
    }


def main(directory):
    directory = pathlib.Path(directory)
    game = json.loads((directory / "game.json").read_text("utf-8"))
    agents = [tf.saved_model.load(str(directory / f"agent_{index}")).signatures for index in range(2)]
    rng = np.random.default_rng(game["seed"])
    mean_rewards = []
    for task in range(game["n_tasks"]):
        payoffs = PAYOFFS + rng.uniform(-game["width"], game["width"], PAYOFFS.shape)
        payoffs = np.repeat(payoffs[np.newaxis], game["n_trajectories"], axis=0)
        states = [agent["initial_state"]() for agent in agents]
        before = play(agents, states, payoffs, game["horizon"], seed=4 * task)
        states = [agent["learn"](**before, seed=[task, 0], **state) for agent, state in zip(agents, states)]
        assert [int(state["n_updates"]) for state in states] == [1, 1]
        after = play(agents, states, payoffs, game["horizon"], seed=4 * task + 2)
        mean_rewards.append([[played[f"rewards_{index}"].mean() for index in range(2)] for played in (before, after)])
    np.save(directory / "mean_rewards.npy", mean_rewards)
    for path in directory.glob("*.given.npz"):
        name = str(path).removesuffix(".given.npz")
        learned = tf.saved_model.load(name).signatures["learn"](**np.load(path))
        np.savez(f"{name}.learned.npz", **{key: leaf.numpy() for key, leaf in learned.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
