"""What is trained, and how: the parts of a problem, and the numbers that meta-training takes."""

import dataclasses

import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.training.blocks import Blocks


@descriptions.described
@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Problem:
    """The parts of a problem of learning to learn, all made.

    Args:
        game: what is played.
        policies: one for each agent of the game.
        agents: how each of them learns.
        estimator: of this game and these policies.
        task_distribution: where tasks come from.
        populations: for each agent where its initial policies are drawn from, other ones for each task; None for an
            agent that starts all tasks of a seed from the same policy. () if that is all of them. A meta-agent of a
            population learns what its updates are made with, and not where it starts.

    Raises:
        InvalidInputError: if one of them is something else, or does not fit the others.
    """

    game: contracts.AnyGame
    policies: tuple[contracts.Policy, ...]
    agents: tuple[contracts.Agent, ...]
    estimator: contracts.Estimator
    task_distribution: contracts.TaskDistribution
    populations: tuple[contracts.AnyPopulation | None, ...] = ()

    def __post_init__(self) -> None:
        contracts.check_kind("game", self.game, contracts.AnyGame, "a game, such as IteratedMatrixGame(...)")
        n_agents = self.game.spec.n_agents
        arguments.check_policies("policies", self.policies, contracts.Policy, "a policy", self.game.spec)
        adaptation.check_agents("agents", self.agents, n_agents)
        contracts.check_kind(
            "estimator", self.estimator, contracts.Estimator, "an estimator, such as ExactEstimator(...)"
        )
        is_fit = self.estimator.spec == self.game.spec and tuple(self.estimator.policies) == tuple(self.policies)
        checks.check(is_fit, "estimator", self.estimator, "made for this game and these policies")
        contracts.check_kind(
            "task_distribution", self.task_distribution, contracts.TaskDistribution,
            "a task distribution, such as PayoffNoise(game)",
        )
        populations = self.populations or (None,) * n_agents
        checks.check_length("populations", populations, n_agents)
        for index, (population, agent) in enumerate(zip(populations, self.agents)):
            if population is not None:
                name = f"populations[{index}]"
                allowed = "None or a population, such as Personas(...)"
                contracts.check_kind(name, population, contracts.AnyPopulation, allowed)
                # A meta-agent that learns its updates has something to learn all the same.
                is_fit = not agent.is_meta_agent or tf.nest.flatten(agent.init_update(self.estimator, index, 1, 1))
                allowed = f"None, as {type(agent).__name__} learns its initial policy"
                checks.check(bool(is_fit), name, population, allowed)
        for name, value in (("policies", self.policies), ("agents", self.agents), ("populations", populations)):
            object.__setattr__(self, name, tuple(value))

    def check_sizes(self, phase: int, parameter: str, n_tasks: int) -> None:
        """Raises `InvalidInputError` unless populations have as many different policies for a phase of a run."""
        for population in self.populations:
            if isinstance(population, contracts.Population):
                population.check_size(phase, parameter, n_tasks)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """The numbers that meta-training takes.

    Args:
        chain_length: L, inner updates per meta-update.
        n_tasks: N, tasks per seed and meta-update.
        meta_learning_rate: Adam's step size, of initial policies.
        update_meta_learning_rate: Adam's step size of what inner updates are made with, where that is learned; by
            default the same.
        max_gradient_norm: a longer meta-gradient of a seed and an agent is shortened to this. Along a chain noise is
            multiplied at each link, so that single gradients can be longer than all others together.
        share_initial_policy: whether all meta-agents learn one initial policy, and one set of inner steps, in
            self-play: each is changed by the mean of their meta-gradients, in which every agent has its own interest
            and holds the others for others. Their policies must be alike, and games show each the same of itself.
        n_blocks: B, into how many equal blocks the seeds of a batch are cut, and where these are too few the tasks of
            each; blocks are computed one after another, or by several workers. The last digits may depend on B, and
            where tasks are cut what is drawn for them does; never on who computes what.
        jit_compile: whether XLA compiles the work of a link. The last digits of a seed may depend on how many seeds are
            beside it.

    Raises:
        InvalidInputError: if one of them cannot be used.
    """

    chain_length: int = 1
    n_tasks: int = 8
    meta_learning_rate: float = 0.1
    update_meta_learning_rate: float | None = None
    max_gradient_norm: float | None = None
    share_initial_policy: bool = False
    n_blocks: int = 1
    jit_compile: bool = True

    def __post_init__(self) -> None:
        # Every link of a chain has a place in the graph.
        checks.check_integer("chain_length", self.chain_length, minimum=0, maximum=10_000)
        checks.check_integer("n_tasks", self.n_tasks, minimum=1)
        checks.check_number("meta_learning_rate", self.meta_learning_rate, minimum=0.0)
        if self.update_meta_learning_rate is not None:
            checks.check_number("update_meta_learning_rate", self.update_meta_learning_rate, minimum=0.0)
        if self.max_gradient_norm is not None:
            checks.check_positive("max_gradient_norm", self.max_gradient_norm)
        checks.check_boolean("share_initial_policy", self.share_initial_policy)
        checks.check_integer("n_blocks", self.n_blocks, minimum=1)
        checks.check_boolean("jit_compile", self.jit_compile)

    def blocks(self, problem: Problem, n_seeds: int) -> Blocks:
        """How batches of so many seeds are cut.

        Raises:
            InvalidInputError: if they cannot be, or what is learned on one task of a seed depends on the others.
        """
        blocks = Blocks(n_seeds, self.n_tasks, self.n_blocks)
        meta_learns = any(agent.is_meta_agent for agent in problem.agents)
        if blocks.cuts_tasks and meta_learns:
            allowed = (
                f"a divisor of n_seeds, {n_seeds}, as the current-policy term of sampled inner updates compares the "
                "tasks of a seed"
            )
            checks.check(problem.estimator.inner_update != "sampled", "n_blocks", self.n_blocks, allowed)
        allowed = f"a divisor of n_seeds, {n_seeds}, as nobody meta-learns"
        checks.check(meta_learns or not blocks.cuts_tasks, "n_blocks", self.n_blocks, allowed)
        return blocks
