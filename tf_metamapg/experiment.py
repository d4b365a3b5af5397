"""One experiment from start to end: meta-train, adapt on held-out tasks, and leave a run directory."""

import math
import time

import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import export
from tf_metamapg import figures
from tf_metamapg import files
from tf_metamapg import progress
from tf_metamapg import random
from tf_metamapg import report
from tf_metamapg.checkpoints import Checkpointer
from tf_metamapg.metrics import MetricsLog
from tf_metamapg.run_directory import RunDirectory
from tf_metamapg.trainer import MetaTrainer
from tf_metamapg.trainer import NonFiniteGradientError


class MetaTrainingStopped(RuntimeError):
    """A run cannot go on; the message says where it stopped and where it can be taken up."""


def train(
    run_directory, resume, describe_config, started,
    game, policies, agents, estimator, task_distribution,
    n_seeds=20, first_seed=0, n_meta_updates=200, chain_length=1, n_tasks=8, meta_learning_rate=0.1,
    evaluation_chain_length=5, n_evaluation_tasks=32, checkpoint_every=50, export_all_seeds=False,
    jit_compile=None, populations=None, validate_every=None, max_gradient_norm=None,
    inner_rates_meta_learning_rate=None,
):
    """Meta-trains, evaluates on held-out tasks and writes everything to the run directory.

    Args:
        run_directory: path of the run directory.
        resume: whether to go on with the run that is there.
        describe_config: function that returns the config as text once everything has been made.
        started: when the run began, in seconds since the epoch.
        game: the game.
        policies: one function (game, agent_index) → policy for each agent.
        agents: one of `agents/` for each agent.
        estimator: function (game, policies) → estimator.
        task_distribution: function (game) → task distribution.
        n_seeds: S; the seeds are first_seed, first_seed + 1, …
        first_seed: the first seed.
        n_meta_updates: how many meta-updates.
        chain_length: L, inner updates in meta-training.
        n_tasks: N, tasks per seed and meta-update.
        meta_learning_rate: Adam's step size.
        evaluation_chain_length: inner updates in meta-validation and meta-testing.
        n_evaluation_tasks: tasks per seed in meta-validation, and again in meta-testing.
        checkpoint_every: meta-updates between checkpoints.
        export_all_seeds: whether to export every seed's policies beside those of the best seed.
        jit_compile: whether XLA compiles what is done at a link; by default where that is likely to save more
            time than it takes. The last digits of a seed may depend on how many seeds are beside it.
        populations: for each agent, a function (policy) → population, see `policies/populations.py`, or None for an
            agent that starts all tasks of a seed from the same policy; by default that is all of them.
        validate_every: meta-updates between meta-validations. At the end every seed goes back to where it did best in
            one: where the mean of the meta-agents' average reward after the inner updates they are trained for was
            largest. By default every seed keeps what it has learned at the end.
        max_gradient_norm: a longer meta-gradient of a seed and a meta-agent is shortened to it. Along a chain noise is
            multiplied at each link, so that single gradients can be longer than all others together.
        inner_rates_meta_learning_rate: Adam's step size for logarithms of inner learning rates that are learned;
            by default meta_learning_rate.

    Returns:
        the summary, as it stands in `summary.json`.

    Raises:
        InvalidInputError: if an argument cannot be used; nothing has been written then.
        MetaTrainingStopped: if a meta-gradient is NaN or infinite.
    """
    _check_parts(game, policies, agents, estimator, task_distribution)
    for name, value, minimum in (
        ("n_seeds", n_seeds, 1), ("first_seed", first_seed, 0), ("n_meta_updates", n_meta_updates, 0),
        ("chain_length", chain_length, 0), ("n_tasks", n_tasks, 1), ("checkpoint_every", checkpoint_every, 1),
        ("evaluation_chain_length", evaluation_chain_length, 0), ("n_evaluation_tasks", n_evaluation_tasks, 1),
    ):
        checks.check_integer(f"train.{name}", value, minimum)
    checks.check(first_seed + n_seeds <= 2**31, "train.first_seed", first_seed, "such that all seeds are below 2³¹")
    checks.check_number("train.meta_learning_rate", meta_learning_rate, minimum=0.0)
    checks.check_boolean("train.export_all_seeds", export_all_seeds)
    if jit_compile is not None:
        checks.check_boolean("train.jit_compile", jit_compile)
    if validate_every is not None:
        checks.check_integer("train.validate_every", validate_every, minimum=1)
    if max_gradient_norm is not None:
        checks.check_positive("train.max_gradient_norm", max_gradient_norm)
    if inner_rates_meta_learning_rate is not None:
        checks.check_number(
            "train.inner_rates_meta_learning_rate", inner_rates_meta_learning_rate, minimum=0.0
        )

    seeds = range(first_seed, first_seed + n_seeds)
    policies = [make(game, agent_index) for agent_index, make in enumerate(policies)]
    for index, policy in enumerate(policies):
        checks.check(hasattr(policy, "initial_params"), f"train.policies[{index}]", policy, "what makes a policy")
    estimator = estimator(game, policies)
    checks.check(hasattr(estimator, "objectives"), "train.estimator", estimator, "what makes an estimator")
    task_distribution = task_distribution(game)
    checks.check(
        hasattr(task_distribution, "sample"), "train.task_distribution", task_distribution,
        "what makes a task distribution",
    )
    populations = _make_populations(populations, policies, agents, n_tasks, n_evaluation_tasks)
    if jit_compile is None:
        n_evaluations = 2 + (0 if validate_every is None else -(-n_meta_updates // validate_every))
        jit_compile = _compiling_pays(
            (n_meta_updates * (chain_length + 1), n_seeds * n_tasks * estimator.n_steps),
            (n_evaluations * (evaluation_chain_length + 1), n_seeds * n_evaluation_tasks * estimator.n_steps),
        )
    trainer = MetaTrainer(
        game, policies, agents, estimator, task_distribution,
        seeds, chain_length, n_tasks, meta_learning_rate, jit_compile, populations,
        math.inf if max_gradient_norm is None else max_gradient_norm, inner_rates_meta_learning_rate,
    )
    trainer.trace()  # What cannot be computed fails here, before anything is written.
    directory = RunDirectory(run_directory)
    directory.open(describe_config(), seeds, resume)
    checkpointed_seconds = tf.Variable(0.0, dtype=tf.float64)
    checkpointer = Checkpointer(
        directory.checkpoints, {**trainer.trackables, "wall_seconds": checkpointed_seconds}
    )
    checkpointer.restore()
    started -= checkpointed_seconds.numpy()

    def save_checkpoint():
        checkpointed_seconds.assign(time.time() - started)
        checkpointer.save(int(trainer.n_meta_updates_done))

    log = MetricsLog(
        directory.metrics, directory.events, seeds, chain_length, game.n_agents, int(trainer.n_meta_updates_done)
    )
    n_trained_updates = min(chain_length, evaluation_chain_length)
    trained_links = range(min(1, n_trained_updates), n_trained_updates + 1)

    def validate():
        validation = _evaluate(
            trainer, random.META_VALIDATION, "meta-validation", evaluation_chain_length, n_evaluation_tasks
        )
        return validation, _of_meta_agents(validation, agents)[:, trained_links].mean(axis=1)

    def keep_best(done):
        if validate_every is not None and (done % validate_every == 0 or done == n_meta_updates):
            _, scores = validate()
            trainer.best.keep(scores)

    _meta_train(trainer, n_meta_updates, checkpoint_every, log, checkpointer, save_checkpoint, keep_best)
    log.close()
    trainer.best.restore()

    validation, scores = validate()
    meta_test = _evaluate(trainer, random.META_TEST, "meta-test", evaluation_chain_length, n_evaluation_tasks)
    if not (np.all(np.isfinite(validation)) and np.all(np.isfinite(meta_test))):
        raise MetaTrainingStopped(
            f"an average reward in evaluation is NaN or infinite; the last checkpoint is {checkpointer.latest}"
        )
    best = int(np.argmax(scores))
    # Agents of a population start from another policy in every task.
    exported = [policy if population is None else None for policy, population in zip(policies, populations)]
    export.export_policies(directory.initial_policies, exported, trainer.initial_params, best)
    if export_all_seeds:
        for index, seed in enumerate(seeds):
            export.export_policies(
                directory.initial_policies / f"seed_{seed}", exported, trainer.initial_params, index
            )
    agent_names = [type(agent).__name__ for agent in agents]
    figures.save_adaptation_figure(
        directory.adaptation_figure, meta_test, f"{game.name}, held-out tasks", agent_names
    )
    summary = {
        "agent": agent_names,
        "game": game.name,
        "estimator": type(trainer.estimator).__name__,
        "n_seeds": n_seeds,
        "seeds": list(seeds),
        "meta_updates": n_meta_updates,
        "chain_length": chain_length,
        "jit_compile": jit_compile,
        "wall_seconds": time.time() - started,
        "exported_seed": None if set(exported) == {None} else seeds[best],
        "inner_learning_rates": [rates.numpy().tolist() for rates in trainer.inner_learning_rates()],
        "axes": "[seed][inner update][agent], inner update 0 is before adaptation",
        "meta_validation": {"average_reward": validation.tolist()},
        "meta_test": {"average_reward": meta_test.tolist()},
    }
    files.write_json(directory.summary, summary)
    print(report.text(directory, summary, _meta_agents(agents)))
    return summary


def _compiling_pays(*phases):
    """Whether compiling with XLA saves time, from what was measured on two cores.

    Args:
        phases: (number of links, environment steps per link) of each phase of the run.
    """
    if not any(n_steps for _, n_steps in phases):
        return False  # Exact values are small solves, in which XLA finds nothing to save.
    saved = sum(n_links * (10e-3 + 100e-9 * n_steps) for n_links, n_steps in phases)
    return saved > 5.0  # The seconds that compiling takes longer than tracing.


def _check_parts(game, policies, agents, estimator, task_distribution):
    """Checks that everything is of the kind that it should be: made already, or a function that makes it."""
    is_game = hasattr(game, "n_agents") and not callable(game)
    checks.check(is_game, "train.game", game, "a game, such as @IteratedMatrixGame() with parentheses")
    checks.check_length("train.agents", agents, game.n_agents)
    for index, agent in enumerate(agents):
        is_agent = hasattr(agent, "meta_gradients") and not callable(agent)
        checks.check(is_agent, f"train.agents[{index}]", agent, "an agent, such as @MetaMAPG() with parentheses")
    checks.check_length("train.policies", policies, game.n_agents)
    makers = [(f"train.policies[{index}]", maker, "@tabular_policy") for index, maker in enumerate(policies)]
    makers.append(("train.estimator", estimator, "@DiceEstimator"))
    makers.append(("train.task_distribution", task_distribution, "@PayoffNoise"))
    for name, maker, example in makers:
        checks.check(callable(maker), name, maker, f"a function of the game, such as {example} without parentheses")


def _make_populations(populations, policies, agents, n_tasks, n_evaluation_tasks):
    """One population, or None, for each agent."""
    populations = [None] * len(policies) if populations is None else populations
    checks.check_length("train.populations", populations, len(policies))
    for index, (make, agent) in enumerate(zip(populations, agents)):
        name = f"train.populations[{index}]"
        checks.check(make is None or callable(make), name, make, "None, or such as @Personas without parentheses")
        checks.check(
            make is None or not agent.learns_initial_policy, name, make,
            f"None, as {type(agent).__name__} learns its initial policy",
        )
    populations = [make and make(policy) for make, policy in zip(populations, policies)]
    for index, population in enumerate(populations):
        if population is not None:
            checks.check(
                hasattr(population, "check_size"), f"train.populations[{index}]", population, "what makes a population"
            )
            population.check_size(random.META_TRAIN, "train.n_tasks", n_tasks)
            for phase in (random.META_VALIDATION, random.META_TEST):
                population.check_size(phase, "train.n_evaluation_tasks", n_evaluation_tasks)
    return populations


def _meta_train(trainer, n_meta_updates, checkpoint_every, log, checkpointer, save_checkpoint, keep_best):
    bar = progress.Progress(n_meta_updates, int(trainer.n_meta_updates_done))
    while (done := int(trainer.n_meta_updates_done)) < n_meta_updates:
        try:
            metrics = trainer.step()
        except NonFiniteGradientError as error:
            log.close()
            bar.close()
            raise MetaTrainingStopped(
                f"{error}; the last good checkpoint is {checkpointer.latest or 'none: it is the first'}"
            ) from error
        done += 1
        log.write(done, metrics)
        by_link = _of_meta_agents(metrics.average_reward, trainer.agents).mean(axis=0)
        bar.step(f"average reward {by_link[0]:+.3f} before and {by_link[-1]:+.3f} after adaptation")
        keep_best(done)
        if done % checkpoint_every == 0 or done == n_meta_updates:
            log.flush()
            save_checkpoint()
    bar.close()


def _evaluate(trainer, phase, name, chain_length, n_tasks):
    bar = progress.Progress(chain_length + 1, what=f"{name}, link")

    def show(_, of_link):
        bar.step(f"average reward {_of_meta_agents(of_link, trainer.agents).mean():+.3f}")

    average_reward = trainer.evaluate(phase, chain_length, n_tasks, show)
    bar.close()
    return average_reward


def _meta_agents(agents):
    """The numbers of those who learn their initial policy, or of all agents where nobody does."""
    return [index for index, agent in enumerate(agents) if agent.learns_initial_policy] or [*range(len(agents))]


def _of_meta_agents(average_reward, agents):
    """The mean over meta-agents: array [..., n_agents] → [...]."""
    return average_reward[..., _meta_agents(agents)].mean(axis=-1)
