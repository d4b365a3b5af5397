"""Learning paths in the bilinear zero-sum game V⁰ = xy, V¹ = −xy."""

import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg.agents.lola_shaping import LOLAShaping
from tf_metamapg.agents.lola_taylor import LOLATaylor
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.games.differentiable import bilinear_game
from tf_metamapg.games.tasks import DefaultTasks
from tf_metamapg.numerics import random
from tf_metamapg.policies.vector import vector_policy
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files

STEP = 0.2  # α, an agent's own step; for Meta-MAPG the step of its meta-update
ASSUMED_STEP = 0.8  # η, the step that an agent assumes of the other; for Meta-MAPG all agents' inner step
START = (1.0, 1.0)

# Agent, and the squared spectral radius of one joint step in closed form.
AGENTS = {
    "naive": (PolicyGradient(STEP), 1 + STEP**2),
    "LOLA (a)": (LOLAShaping(STEP, ASSUMED_STEP), (1 - STEP * ASSUMED_STEP) ** 2 + STEP**2),
    "LOLA (b)": (LOLATaylor(STEP, ASSUMED_STEP), (1 - 2 * STEP * ASSUMED_STEP) ** 2 + STEP**2),
    "Meta-MAPG": (
        MetaMAPG(ASSUMED_STEP), (1 - 2 * STEP * ASSUMED_STEP) ** 2 + (STEP * (1 - ASSUMED_STEP**2)) ** 2
    ),
}


def reproduce(directory: files.PathLike, n_updates: int = 40) -> None:
    """Follows all agents from one point and writes the results.

    Args:
        directory: where to.
        n_updates: how many steps of each.
    """
    paths = {name: _path(agent, np.array(START), n_updates) for name, (agent, _) in AGENTS.items()}
    rows = [
        [name, update, f"{x:.17g}", f"{y:.17g}"] for name, path in paths.items() for update, (x, y) in enumerate(path)
    ]
    # The columns of the joint step's matrix are what it does to the unit vectors.
    matrices = {
        name: np.stack([_path(agent, unit, 1)[1] for unit in np.eye(2)], axis=1)
        for name, (agent, _) in AGENTS.items()
    }
    table = [
        [
            name, f"{np.max(np.abs(np.linalg.eigvals(matrix))) ** 2:.12f}", f"{AGENTS[name][1]:.12f}",
            f"{np.linalg.norm(paths[name][-1]):.3g}",
        ]
        for name, matrix in matrices.items()
    ]
    text = (
        results.paragraph(
            f"From (x, y) = {START}, {n_updates} steps; α = {STEP}, η = {ASSUMED_STEP}. A factor above 1 diverges.",
            "Meta-MAPG takes meta-gradient steps α along a chain of one inner update η of both agents.",
            "LOLA (a) is `LOLAShaping`, LOLA (b) `LOLATaylor`.",
        )
        + results.markdown_table(
            ["agent", "squared spectral radius of a step", "closed form", "distance from (0, 0) at the end"], table
        )
    )
    results.save(directory, _figure(paths), ["agent", "update", "x", "y"], rows, text)


def _path(agent, start, n_updates):
    """Where two agents of one kind go: array [n_updates + 1, 2]."""
    game = bilinear_game()
    estimator = ExactEstimator(game, [vector_policy(game, agent_index) for agent_index in range(2)])
    keys = random.root_keys([0])
    tasks = DefaultTasks(game).sample(keys, n_tasks=1)
    agents = [agent, agent]
    points = [start]
    for _ in range(n_updates):
        params = tuple((tf.constant(entry.reshape([1, 1, 1])),) for entry in points[-1])
        # What learns its initial parameters moves along its meta-gradient, what does not along its own.
        chain_length = 1
        chain = adaptation.adapt(estimator, agents, params, tasks, [keys] * (chain_length + 1))
        if agent.is_meta_agent:
            terms = [agent.meta_gradients(chain, agent_index).total for agent_index in range(2)]
            step = [STEP * term.initial[0].numpy().item() for term in terms]
            points.append(points[-1] + np.array(step))
        else:
            points.append(np.array([own[0].numpy().item() for own in chain.links[1].joint_params]))
    return np.array(points)


def _figure(paths):
    figure, (panel,) = results.new_figure(6.4, 4.6)
    for name, path in paths.items():
        panel.plot(*path.T, color=results.COLOURS[name], marker="o", markersize=2.5, linewidth=1, label=name)
    panel.plot(*START, color="k", marker="s", markersize=6, linestyle="", label="start")
    panel.plot(0, 0, color="k", marker="*", markersize=11, linestyle="", label="equilibrium")
    panel.set_xlabel("x, agent 0's parameter")
    panel.set_ylabel("y, agent 1's parameter")
    panel.set_aspect("equal")
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
