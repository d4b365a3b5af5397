"""What a run is made of: that its parts are of the right kinds and sizes, and whether compiling them pays."""

import numpy as np

from tf_metamapg import checks
from tf_metamapg.numerics import random


def check_parts(game, policies, agents, estimator, task_distribution):
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


def make_populations(populations, policies, agents, n_tasks, n_evaluation_tasks):
    """One population, or None, for each agent."""
    populations = [None] * len(policies) if populations is None else populations
    checks.check_length("train.populations", populations, len(policies))
    for index, (make, agent) in enumerate(zip(populations, agents)):
        name = f"train.populations[{index}]"
        checks.check(make is None or callable(make), name, make, "None, or such as @Personas without parentheses")
        checks.check(
            make is None or not agent.is_meta_agent, name, make,
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


def check_memory(name, n_tasks, n_seeds, game, policies, estimator):
    """Raises `InvalidInputError` if not even what every link of all seeds and tasks must hold fits into memory."""
    n_numbers = np.size(game.payoffs) + sum(leaf.shape.num_elements() for p in policies for leaf in p.reference_params)
    # Of every step each agent's observation, action and reward.
    n_bytes = 4 * n_seeds * n_tasks * (n_numbers + 3 * game.n_agents * estimator.n_steps)
    checks.check_memory(f"{name} (times {n_seeds} seeds and {estimator.n_steps} steps)", n_tasks, n_bytes)


def compiling_pays(*phases):
    """Whether compiling with XLA saves time, from what was measured on two cores.

    Args:
        phases: (number of links, environment steps per link) of each phase of the run.
    """
    if not any(n_steps for _, n_steps in phases):
        return False  # Exact values are small solves, in which XLA finds nothing to save.
    saved = sum(n_links * (10e-3 + 100e-9 * n_steps) for n_links, n_steps in phases)
    return saved > 5.0  # The seconds that compiling takes longer than tracing.
