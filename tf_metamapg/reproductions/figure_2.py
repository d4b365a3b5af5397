"""What depends on what: the graphs of Meta-PG and Meta-MAPG, found by the program's own gradients.

The nodes are the agents' parameters before and after the inner update, θⁱ, θ^-i, φⁱ and φ^-i, and the
trajectories at either, τ_θ and τ_φ, of which the log-probabilities are what a gradient flows through. Every
arrow can be closed: it then passes values and no derivatives. An arrow exists if its end has a derivative with
respect to its beginning while all others are closed, but those into its beginning. It carries a meta-gradient
if that changes when the arrow is closed.
"""

import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import links
from tf_metamapg import theorem
from tf_metamapg.agents.meta_agent import MetaAgent
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.meta_pg import MetaPG
from tf_metamapg.estimators import scoring
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.games.tasks import DefaultTasks
from tf_metamapg.numerics import random
from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files

OWN, OTHER = 0, 1
BEFORE, AFTER = ("θⁱ", "θ⁻ⁱ"), ("φⁱ", "φ⁻ⁱ")
FIRST, LAST = "τ_θ", "τ_φ"
CANDIDATES = (
    *((before, FIRST) for before in BEFORE),
    *((source, after) for after in AFTER for source in (*BEFORE, FIRST)),
    *((source, LAST) for source in (*BEFORE, FIRST, *AFTER)),
)
INNER_LEARNING_RATE = 1.0


class _Closable(MetaAgent):
    """A meta-agent some of whose arrows are closed."""

    def __init__(self, closed):
        super().__init__(INNER_LEARNING_RATE, value_weights=theorem.last_link)
        self._closed = closed

    def gradients(self, objectives, agent_index):
        link = objectives.link
        through_samples = link.with_joint_params(_pass(link.joint_params, BEFORE, FIRST, self._closed))
        gradients = super().gradients(
            links.Objectives(objectives.estimator.plain, objectives.tasks, through_samples), agent_index
        )
        if (FIRST, AFTER[agent_index]) in self._closed:
            gradients = tuple(map(tf.stop_gradient, gradients))
        return gradients

    def update(self, state, objectives, agent_index, step_params):
        if (BEFORE[agent_index], AFTER[agent_index]) in self._closed:
            state = tf.nest.map_structure(tf.stop_gradient, state)
        return super().update(state, objectives, agent_index, step_params)


class _MetaPG(_Closable, MetaPG):
    pass


class _MetaMAPG(_Closable, MetaMAPG):
    pass


AGENTS = {"Meta-PG": _MetaPG, "Meta-MAPG": _MetaMAPG}


class _Estimator(LoadedDiceEstimator):
    """An estimator that looks at the trajectories after the update through arrows of which some are closed."""

    def __init__(self, game, policies, n_trajectories, horizon, closed):
        super().__init__(game, policies, n_trajectories, horizon)
        self.plain = LoadedDiceEstimator(game, policies, n_trajectories, horizon)
        self._closed = closed

    def objectives(self, joint_params, tasks, sample):
        return super().objectives(_pass(joint_params, AFTER, LAST, self._closed), tasks, sample)


def _pass(joint_params, sources, target, closed):
    """The same values; no derivatives where the arrow from an agent's parameters to the target is closed."""
    return tuple(
        tuple(map(tf.stop_gradient, params)) if (source, target) in closed else params
        for source, params in zip(sources, joint_params)
    )


def reproduce(directory: files.PathLike, n_trajectories: int = 256, horizon: int = 20) -> None:
    """Finds all arrows and writes the results.

    Args:
        directory: where to.
        n_trajectories: K.
        horizon: T.
    """
    game, policies = protocols.prisoners_dilemma(initial_stddev=1.0, dtype="float64")
    keys = random.root_keys([0])
    initial_params = adaptation.for_each_task(tuple(policy.initial_params([0]) for policy in policies), n_tasks=1)
    tasks = DefaultTasks(game).sample(keys, n_tasks=1)

    def chain(closed, make_agent=_MetaMAPG):
        agents = [make_agent(closed)] * 2
        estimator = _Estimator(game, policies, n_trajectories, horizon, closed)
        link_keys = [random.fold_in(keys, link) for link in range(2)]
        return adaptation.adapt(estimator, agents, initial_params, tasks, link_keys)

    derivatives = {arrow: _derivative(arrow, chain(_others(arrow))) for arrow in CANDIDATES}
    arrows = [arrow for arrow in CANDIDATES if derivatives[arrow] > 0.0]
    carried = {
        name: {
            arrow: np.linalg.norm(_meta_gradient(chain({arrow}, agent)) - _meta_gradient(chain(set(), agent)))
            for arrow in arrows
        }
        for name, agent in AGENTS.items()
    }
    header = ["from", "to", "derivative", *(f"change of the {name} gradient if closed" for name in AGENTS)]
    rows = [
        [*arrow, f"{derivatives[arrow]:.6g}", *(f"{carried[name].get(arrow, 0.0):.6g}" for name in AGENTS)]
        for arrow in CANDIDATES
    ]
    text = (
        results.paragraph(
            "Agent i and its opponent −i, before (θ) and after (φ) an inner update, and the trajectories τ. Norms,",
            "in the iterated prisoner's dilemma with Loaded DiCE inner updates. An arrow exists where its",
            "derivative is not zero while all others are closed, but those into its beginning; it carries a",
            "meta-gradient with respect to θⁱ where closing it changes that.",
        )
        + results.markdown_table(header, rows)
    )
    results.save(directory, _figure(arrows, carried), header, rows, text)


def _others(arrow):
    """All arrows but this one and those into its beginning."""
    return {other for other in CANDIDATES if other != arrow and other[1] != arrow[0]}


def _derivative(arrow, chain):
    """The norm of the derivative of a fixed projection of the arrow's end with respect to its beginning."""
    source, target = arrow
    first, last = chain.links
    before, after = first.joint_params, last.joint_params
    with tf.GradientTape() as tape:
        tape.watch((before, after))
        # One step of the program at a time: to the log-probabilities, or to the updated parameters.
        if target in AFTER:
            objectives = links.Objectives(chain.estimator, chain.tasks, first)
            updated = adaptation.inner_update(objectives, chain.agents, chain.update_params)
            end = updated[AFTER.index(target)].params[0]
        else:
            link, params = (first, before) if target == FIRST else (last, after)
            open_ends = _pass(params, BEFORE if target == FIRST else AFTER, target, _others(arrow))
            end = tf.stack(scoring.score(chain.estimator.policies, open_ends, link.sample.trajectory))
        weights = tf.random.stateless_normal(end.shape, seed=[0, 0], dtype=end.dtype)
        projection = tf.reduce_sum(weights * end)
    # What flows from τ_θ flows from the parameters through it.
    beginning = after[AFTER.index(source)] if source in AFTER else before
    if source in BEFORE:
        beginning = before[BEFORE.index(source)]
    gradients = tape.gradient(projection, beginning, unconnected_gradients="zero")
    return float(tf.linalg.global_norm(tf.nest.flatten(gradients)))


def _meta_gradient(chain):
    return chain.agents[OWN].meta_gradients(chain, OWN).total.initial[0].numpy().ravel()


def _figure(arrows, carried):
    places = {
        "θⁱ": (0.0, 1.0), "θ⁻ⁱ": (0.0, -1.0), FIRST: (1.0, 0.0), "φⁱ": (2.0, 1.0), "φ⁻ⁱ": (2.0, -1.0), LAST: (3.0, 0.0)
    }
    figure, panels = results.new_figure(9.0, 3.6, n_panels=len(carried))
    for panel, (name, changes) in zip(panels, carried.items()):
        for source, target in arrows:
            is_carried = changes[source, target] > 0.0
            panel.annotate(
                "", xy=places[target], xytext=places[source],
                arrowprops={
                    "arrowstyle": "-|>", "shrinkA": 16, "shrinkB": 16, "mutation_scale": 14,
                    "linewidth": 1.8 if is_carried else 1.0, "linestyle": "-" if is_carried else ":",
                    "color": results.COLOURS[name] if is_carried else "0.55",
                },
            )
        for node, place in places.items():
            panel.text(
                *place, {FIRST: r"$\tau_\theta$", LAST: r"$\tau_\phi$"}.get(node, node), ha="center", va="center",
                fontsize=13, bbox={"boxstyle": "circle,pad=0.35", "facecolor": "white", "edgecolor": "0.3"},
            )
        panel.set_title(name)
        panel.set_xlim(-0.5, 3.5)
        panel.set_ylim(-1.5, 1.5)
        panel.axis("off")
        panel.plot([], [], color=results.COLOURS[name], linewidth=1.8, label="carries the meta-gradient of agent i")
        panel.plot([], [], color="0.55", linestyle=":", linewidth=1, label="exists, is not followed")
        panel.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False)
    return figure
