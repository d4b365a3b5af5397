"""What a problem is made of, before it is: functions that make policies, an estimator, tasks and populations."""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
from typing import Any
from typing import cast

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.training.settings import Problem


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A game, and what else a problem needs, as functions of what is made before it.

    Args:
        game: the game.
        policies: one function (game, agent_index) → policy for each agent.
        agents: one of `agents/` for each agent.
        estimator: function (game, policies) → estimator.
        task_distribution: function (game) → task distribution.
        populations: for each agent a function (policy) → population, or None; None for no population at all.

    Raises:
        InvalidInputError: if there is not one of each for each agent of the game.
    """

    game: contracts.AnyGame
    policies: Sequence[Callable[..., contracts.Policy]]
    agents: Sequence[contracts.Agent]
    estimator: Callable[..., contracts.Estimator]
    task_distribution: Callable[..., contracts.TaskDistribution]
    populations: Sequence[Callable[..., contracts.AnyPopulation] | None] | None = None

    def __post_init__(self) -> None:
        contracts.check_kind(
            "game", self.game, contracts.AnyGame, "a game, such as @IteratedMatrixGame() with parentheses"
        )
        checks.check_length("policies", self.policies, self.game.spec.n_agents)
        if self.populations is not None:
            checks.check_length("populations", self.populations, self.game.spec.n_agents)

    def policy(self, game: contracts.AnyGame, index: int) -> contracts.Policy:
        """The policy of an agent, for a game that need not be its own."""
        return arguments.made(
            f"policies[{index}]", self.policies[index], (game, index), contracts.Policy,
            "a policy, such as @tabular_policy",
        )

    def population(self, policy: contracts.Policy, index: int) -> contracts.AnyPopulation | None:
        """Where an agent's initial policies are drawn from, if they are."""
        make = None if self.populations is None else self.populations[index]
        return make and arguments.made(
            f"populations[{index}]", make, (policy,), cast(Any, contracts.AnyPopulation),
            "a population, such as @Personas",
        )

    def problem(
        self, policies: Sequence[contracts.Policy], agents: Any,
        populations: Sequence[contracts.AnyPopulation | None],
    ) -> Problem:
        """The problem of some policies, agents and populations in the game; it refuses what is no list of agents."""
        return Problem(
            game=self.game, policies=tuple(policies), agents=agents,
            estimator=arguments.made(
                "estimator", self.estimator, (self.game, policies), contracts.Estimator,
                "an estimator, such as @DiceEstimator",
            ),
            task_distribution=arguments.made(
                "task_distribution", self.task_distribution, (self.game,), contracts.TaskDistribution,
                "a task distribution, such as @PayoffNoise",
            ),
            populations=tuple(populations),
        )

    def own_problem(self) -> Problem:
        """The problem of its own policies, agents and populations."""
        indices = range(self.game.spec.n_agents)
        policies = [self.policy(self.game, index) for index in indices]
        populations = [self.population(policy, index) for index, policy in enumerate(policies)]
        return self.problem(policies, self.agents, populations)
