"""Self-play against the past: opponents start from what an agent has been in the course of its own meta-training."""

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Params
from tf_metamapg.numerics import random
from tf_metamapg.policies.populations import SplitPopulation


class PastSelves(descriptions.Described):
    """The last P initial policies of a meta-agent, one for every few meta-updates, of its own for each seed.

    The agent of the population starts every task from one of them, drawn with replacement, and then learns as any
    other. Its policy must be like that of the meta-agent. The phases of a run share the pool, as the past is not to be
    generalised to, but to be met.

    Attributes:
        agent_index, n_policies, every: see `contracts.GrowingPopulation`.
    """

    def __init__(
        self, policy: contracts.Policy, agent_index: int = 0, n_policies: int = 10, every: int = 10
    ) -> None:
        """
        Args:
            policy: the agent's policy, like that of the meta-agent.
            agent_index: which agent of the game the meta-agent is.
            n_policies: P ≥ 1, how many there are.
            every: meta-updates between one and the next, ≥ 1.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        contracts.check_kind("PastSelves.policy", policy, contracts.Policy, "a policy")
        checks.check_integer("PastSelves.agent_index", agent_index, minimum=0)
        checks.check_integer("PastSelves.n_policies", n_policies, minimum=1)
        checks.check_integer("PastSelves.every", every, minimum=1)
        self.agent_index = agent_index
        self.n_policies = n_policies
        self.every = every

    def sample_pool(self, pool: Params, keys: tf.Tensor, n_tasks: int) -> Params:
        """Draws policies of each seed's pool.

        Args:
            pool: leaves [S, P, ...].
            keys: int64 tensor [S, 2].
            n_tasks: N.

        Returns:
            Params with leaves [S, N, ...].

        Raises:
            InvalidInputError: if one of these is something else.
        """
        arguments.check_leading("pool", pool, ["S", self.n_policies])
        checks.check_integer("n_tasks", n_tasks, minimum=1)
        uniforms = random.uniforms(arguments.keys("keys", keys), [n_tasks], "float64")
        chosen = tf.cast(uniforms * self.n_policies, tf.int32)
        return tuple(tf.gather(leaf, chosen, axis=1, batch_dims=1) for leaf in pool)

    def frozen(self, pool: Params) -> SplitPopulation:
        """What all seeds' pools [S, P, ...] hold, the same for all phases."""
        members = tuple(tf.reshape(leaf, [-1, *leaf.shape[2:]]) for leaf in pool)
        return SplitPopulation([members] * 3)
