"""The exchange game: two agents divide three items again and again, each of which one of them values more.

The negotiation game of Duque et al. 2024, Advantage Alignment Algorithms. In each round every item is worth much to one
agent and little to the other, and both say at the same time how much of each item they ask for, from 0 to 5. An item is
divided in proportion to what is asked. Alone it is best to ask for all of everything, which gives both 4.5 a round; if
both ask only for what they value more, each gets 7.5, the most that there is for both.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import tables

AGENTS = (0, 1)
N_ITEMS = 3
MOST = 5  # what one can ask for of an item

# Action a stands for the proposal PROPOSALS[a], in row-major order: 36 · first + 6 · second + third item.
PROPOSALS = np.stack([numbers.ravel() for numbers in np.indices([MOST + 1] * N_ITEMS)], axis=-1)


class ExchangeState(NamedTuple):
    """A round before both have asked."""

    is_valued: tuple[tf.Tensor, ...]  # by item, whether agent 0 values it more than agent 1, bool [S, N, K]
    proposals: tuple[tuple[tf.Tensor, ...], ...]  # by agent and item, what was asked in the last round, [S, N, K]


class ExchangeGame(descriptions.Described):
    """The exchange game, played step by step; each step is a round, and a horizon of 50 is usual.

    An action is one of 216, the proposal for all three items at once: 36 a + 6 b + c asks for a, b and c. An agent sees
    nine numbers, all of them divided by 5: what the items are worth to it (the other's worth is known by that), what it
    has asked for in the last round, and what the other has; zeros before the first.

    Attributes:
        spec: `contracts.GameSpec`; its metric is `efficiency`, what both get together as a share of the most that they
            could.
        default_tasks: [1, 5], what an item is worth to who values it less and to who values it more.
        n_reset_uniforms: how many uniform numbers a reset takes.
        n_step_uniforms: how many uniform numbers a step takes.
    """

    default_tasks = np.array([1.0, 5.0])
    n_reset_uniforms = n_step_uniforms = N_ITEMS

    def __init__(self, discount: float = 0.96, dtype: str = "float32", name: str = "exchange game") -> None:
        """
        Args:
            discount: γ, in [0, 1).
            dtype: 'float32' or 'float64'.
            name: what the game is called in figures and summaries.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        contracts.check_game_numbers("ExchangeGame", discount, dtype, name)
        self.spec = contracts.GameSpec(
            name=name, discount=float(discount), dtype=dtype, observations=(contracts.Box((3 * N_ITEMS,)),) * 2,
            actions=(contracts.Discrete(len(PROPOSALS)),) * 2, metrics=("efficiency",),
        )

    def reset(self, tasks: Structure, uniforms: tf.Tensor) -> ExchangeState:
        """See `contracts.Game.reset`."""
        del tasks
        nothing = (tf.zeros(uniforms.shape[1:], self.spec.dtype),) * N_ITEMS
        return ExchangeState(_valued(uniforms), (nothing,) * 2)

    def step(
        self, tasks: Structure, state: ExchangeState, joint_action: tuple[tf.Tensor, ...], uniforms: tf.Tensor
    ) -> tuple[ExchangeState, tuple[tf.Tensor, ...], tuple[tf.Tensor, ...]]:
        """See `contracts.Game.step`."""
        proposals = tuple(
            tuple(tables.select(amounts.astype(self.spec.dtype), action) for amounts in PROPOSALS.T)
            for action in joint_action
        )
        rewards = tuple(
            tf.add_n([
                worth * tf.math.divide_no_nan(own, own + other)
                for worth, own, other in zip(self._worth(tasks, state, agent), proposals[agent], proposals[1 - agent])
            ])
            for agent in AGENTS
        )
        return ExchangeState(_valued(uniforms), proposals), rewards, ()

    def observe(self, tasks: Structure, state: ExchangeState, agent_index: int) -> tf.Tensor:
        """See `contracts.Game.observe`."""
        checks.check_agent_index("agent_index", agent_index, len(AGENTS))
        seen = (
            *self._worth(tasks, state, agent_index), *state.proposals[agent_index], *state.proposals[1 - agent_index]
        )
        return tf.stack(seen, axis=-1) / MOST

    def metrics(
        self, tasks: Structure, state: ExchangeState, joint_action: tuple[tf.Tensor, ...]
    ) -> dict[str, tuple[tf.Tensor, ...]]:
        """See `contracts.MeasuredGame.metrics`."""
        _, rewards, _ = self.step(tasks, state, joint_action, tf.zeros([N_ITEMS, *joint_action[0].shape]))
        most = N_ITEMS * tf.reduce_max(tasks, axis=-1)[..., tf.newaxis]
        return {"efficiency": (tf.add_n(rewards) / most,) * 2}

    def _worth(self, tasks, state, agent_index):
        """What each item is worth to an agent, [S, N, K]."""
        little, much = (tasks[..., index, tf.newaxis] for index in range(2))
        return tuple(tf.where(one == (agent_index == 0), much, little) for one in state.is_valued)


def _valued(uniforms):
    return tuple(one < 0.5 for one in tf.unstack(uniforms))
