"""What each critic leaves of the variance of policy gradients, after it has been fitted to other trajectories."""

from collections.abc import Callable
import functools

import keras
import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import contracts
from tf_metamapg.critics.base import BaselineCritic
from tf_metamapg.critics.baselines import LeaveOneOutBaseline
from tf_metamapg.critics.baselines import LinearFeatureBaseline
from tf_metamapg.critics.baselines import NoBaseline
from tf_metamapg.critics.counterfactual import CounterfactualBaseline
from tf_metamapg.critics.mean_field import MeanFieldBaseline
from tf_metamapg.critics.network_critic import NetworkCritic
from tf_metamapg.critics.value_network import CentralValueNetwork
from tf_metamapg.critics.value_network import ValueNetwork
from tf_metamapg.estimators.counterfactual_dice import CounterfactualDiceEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.games import payoffs
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files
from tf_metamapg.runs import progress
from tf_metamapg.runs import statistics

GAMES = {
    "prisoner's dilemma, n = 2": payoffs.prisoners_dilemma(), "public goods, n = 3": payoffs.public_goods(3),
}
CRITICS: dict[str, type[BaselineCritic]] = {
    "none": NoBaseline,
    "leave-one-out": LeaveOneOutBaseline,
    "linear": LinearFeatureBaseline,
    "value network": ValueNetwork,
    "central value": CentralValueNetwork,
    "mean field": MeanFieldBaseline,
    "counterfactual": CounterfactualBaseline,
}
# Of agent 0's value: in its own parameters; in those of agent 1, which expected inner updates have, too; in both.
QUANTITIES = ("∇₀V⁰", "∇₁V⁰", "∇₀∇₁V⁰")
DISCOUNT, N_TRAJECTORIES = 0.96, 16
REFERENCE = "leave-one-out"
UNITS, LEARNING_RATE = 32, 0.02


def reproduce(
    directory: files.PathLike, n_policies: int = 5, n_batches: int = 200, n_fits: int = 300, horizon: int = 50
) -> None:
    """Fits all critics, measures all variances and writes the results.

    Args:
        directory: where to.
        n_policies: random joint policies.
        n_batches: batches of K trajectories, over which variances are.
        n_fits: steps of Adam of the critics that learn, on as many trajectories as there are in 16 batches.
        horizon: T.
    """
    bar = progress.Bar(len(GAMES) * len(CRITICS) - 1, what="critic")
    variances = {}  # [policy, quantity]
    for game_name, table in GAMES.items():
        for name, critic in CRITICS.items():
            if critic is MeanFieldBaseline and len(table) < 3:
                continue
            gradients = _gradients(table, critic, n_policies, n_batches, n_fits, horizon)
            variances[game_name, name] = np.stack([part.var(axis=1).sum(axis=-1) for part in gradients], axis=1)
            bar.step(f"{game_name}: {name}")
    bar.close()
    relative = {
        (game_name, name): values / variances[game_name, REFERENCE] for (game_name, name), values in variances.items()
    }
    rows = [
        [*key, QUANTITIES[quantity], policy, f"{value:.9g}", f"{relative[key][policy, quantity]:.9g}"]
        for key, values in variances.items() for (policy, quantity), value in np.ndenumerate(values)
    ]
    results.save(
        directory, _figure(relative), ["game", "critic", "quantity", "policy", "variance", "relative_variance"], rows,
        _text(relative, n_policies, n_batches, n_fits, horizon),
    )


def _gradients(table, critic, n_policies, n_batches, n_fits, horizon, n_at_once=50):
    """By quantity arrays [policy, batch, entries], of a critic that has been fitted for each policy."""
    game = IteratedMatrixGame(table, DISCOUNT, dtype="float32")
    policies = [tabular_policy(game, agent) for agent in range(len(table))]
    initial = tuple(policy.initial_params(range(n_policies)) for policy in policies)
    make_critic: Callable[..., contracts.Critic] = critic
    if issubclass(critic, NetworkCritic):
        make_critic = functools.partial(critic, units=UNITS, learning_rate=LEARNING_RATE)
    kind = CounterfactualDiceEstimator if critic.sees_other_actions else LoadedDiceEstimator
    estimator = kind(game, policies, N_TRAJECTORIES, horizon, make_critic)
    keys = random.root_keys(range(n_policies))
    learned = _fitted(estimator, initial, random.fold_in(keys, -1), n_fits)

    def derivatives(keys):
        joint_params = adaptation.for_each_task(initial, n_at_once)
        tasks = protocols.default_tasks(game, n_policies, n_at_once)
        sample = estimator.sample(joint_params, tasks, keys, adaptation.for_each_task(learned, n_at_once))
        with tf.GradientTape(persistent=True) as outer_tape:
            outer_tape.watch(joint_params)
            with tf.GradientTape() as inner_tape:
                inner_tape.watch(joint_params)
                objective = estimator.objectives(joint_params, tasks, sample)[0]
            own, other = inner_tape.gradient(objective, [joint_params[0][0], joint_params[1][0]])
            entries = tf.unstack(own[..., 0], axis=-1)
        cross = [outer_tape.gradient(entry, joint_params[1][0])[..., 0] for entry in entries]
        return own[..., 0], other[..., 0], tf.concat(cross, axis=-1)

    compiled = tf.function(derivatives, autograph=False)
    calls = [compiled(random.fold_in(keys, call)) for call in range(-(-n_batches // n_at_once))]
    return [np.concatenate(part, axis=1)[:, :n_batches] for part in zip(*calls)]


def _fitted(estimator, initial, keys, n_fits, n_tasks=16):
    """The critic's parameters after steps of Adam on the loss of trajectories of their own."""
    n_policies = initial[0][0].shape[0]
    params = estimator.critic.initial_params(range(n_policies))
    variables = tf.nest.map_structure(keras.Variable, params)
    if not tf.nest.flatten(variables):
        return params
    joint_params = adaptation.for_each_task(initial, n_tasks)
    trajectory = estimator.simulator.sample(joint_params, protocols.default_tasks(estimator, n_policies, n_tasks), keys)
    optimizer = keras.optimizers.Adam(estimator.critic.learning_rate)
    optimizer.build(tf.nest.flatten(variables))

    def gradients(params):
        with tf.GradientTape() as tape:
            tape.watch(params)
            repeated = adaptation.for_each_task(params, n_tasks)
            # Agent 0's is all that is looked at.
            loss = tf.reduce_sum(estimator.critic.loss(repeated[0], joint_params, trajectory, 0)) / n_tasks
        return tape.gradient(loss, tf.nest.flatten(params), unconnected_gradients="zero")

    compiled = tf.function(gradients, autograph=False)

    def values():
        return tf.nest.map_structure(lambda variable: tf.convert_to_tensor(variable.value), variables)

    for _ in range(n_fits):
        optimizer.apply(compiled(values()))
    return values()


def _text(relative, n_policies, n_batches, n_fits, horizon):
    table = [
        [game_name, name, *(results.with_interval(values[:, quantity]) for quantity in range(len(QUANTITIES)))]
        for (game_name, name), values in relative.items()
    ]
    return (
        results.paragraph(
            f"θ ~ N(0, 1), γ = {DISCOUNT}, T = {horizon}, batches of K = {N_TRAJECTORIES} trajectories. Variance over",
            f"{n_batches} batches of estimates of derivatives of agent 0's value, summed over entries, in units of",
            f"that with the leave-one-out baseline; mean and 95% interval over {n_policies} joint policies. By Loaded",
            "DiCE, and by Counterfactual DiCE for the mean field and the counterfactual baseline. ∇₀V⁰ is what the",
            f"score function makes of the same critics, too. Networks of {UNITS} units have been fitted to other",
            f"trajectories, by {n_fits} steps of Adam.",
        )
        + results.markdown_table(["game", "critic", *QUANTITIES], table)
    )


def _figure(relative):
    figure, panels = results.new_figure(10.0, 3.8, n_panels=len(GAMES), sharey=True)
    for panel, game_name in zip(panels, GAMES):
        names = [name for name in CRITICS if (game_name, name) in relative and name not in ("none", REFERENCE)]
        for quantity, label in enumerate(QUANTITIES):
            values = np.stack([relative[game_name, name][:, quantity] for name in names], axis=1)
            places = np.arange(len(names)) + 0.2 * (quantity - 1)
            mean, half_width = statistics.mean_and_interval(values)
            panel.errorbar(
                places, mean, half_width, color=f"C{quantity}", label=label, fmt="o", markersize=4, capsize=3
            )
        panel.set_title(game_name, fontsize=10)
        panel.set_xticks(np.arange(len(names)), names, rotation=20, ha="right", fontsize=8)
        panel.axhline(1.0, color="0.3", linestyle=":", linewidth=1)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("variance, leave-one-out = 1")
    panels[0].legend(fontsize=8, title="mean, 95% interval", title_fontsize=8)
    return figure
