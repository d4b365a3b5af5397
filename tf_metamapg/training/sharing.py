"""Self-play with shared parameters: all meta-agents learn one initial policy, each by its own meta-gradient."""

from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.contracts import MetaParams
from tf_metamapg.numerics import structures
from tf_metamapg.training.settings import Problem


class Shared:
    """The meta-agents that share what they learn: it is the same in each of them, and is changed alike.

    Attributes:
        agents: indices of these agents, of which the first one's policy says how all begin.
    """

    def __init__(self, problem: Problem) -> None:
        """
        Args:
            problem: `settings.Problem`.

        Raises:
            InvalidInputError: if there are no two meta-agents.
        """
        self.agents = [index for index, agent in enumerate(problem.agents) if agent.is_meta_agent]
        allowed = "False, as there are no two meta-agents"
        checks.check(len(self.agents) > 1, "share_initial_policy", True, allowed)

    def initial(self, by_agent: Sequence[MetaParams]) -> list[MetaParams]:
        """What all agents begin with, the sharers being as the first of them.

        Args:
            by_agent: what each would begin with by itself.

        Raises:
            InvalidInputError: if sharers have policies, or learn inner updates, of different shapes.
        """
        first = self.agents[0]
        for index in self.agents[1:]:
            own, others = by_agent[first], by_agent[index]
            checks.check(
                structures.specs(own) == structures.specs(others), "share_initial_policy", True,
                f"False, as agents {first} and {index} do not learn the same: {descriptions.describe(own)} and "
                f"{descriptions.describe(others)}",
            )
        return [by_agent[first] if index in self.agents else own for index, own in enumerate(by_agent)]

    def averaged(self, gradients: Sequence[MetaParams]) -> list[MetaParams]:
        """The meta-gradients of all agents, those of the sharers being the mean of theirs."""
        sharers = [gradients[index] for index in self.agents]
        mean = tf.nest.map_structure(lambda *leaves: tf.add_n(leaves) / len(leaves), *sharers)
        return [mean if index in self.agents else own for index, own in enumerate(gradients)]
