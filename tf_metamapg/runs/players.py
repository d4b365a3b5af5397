"""Those who meet: what an agent has become in one run or another, or by a rule, let loose on others."""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
from typing import NamedTuple

import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg import learned_names
from tf_metamapg.contracts import MetaParams
from tf_metamapg.runs import arrays
from tf_metamapg.runs import learned
from tf_metamapg.runs.recipe import Recipe
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer


class Player(NamedTuple):
    """Somebody who can take the place of one agent of a game."""

    name: str
    agent: contracts.Agent  # how it learns while it plays
    make_policy: Callable[[contracts.AnyGame], contracts.Policy]
    meta_params: MetaParams  # what it starts from, leaves [S, ...]
    population: contracts.Population | None = None  # where it starts from instead, if it does
    source: str = ""  # the text of the config that its agent, policy and population are made by


def meet(
    recipe: Recipe, players: Sequence[Player], rows: Sequence[Sequence[int]], seeds: Sequence[int],
    settings: TrainerSettings,
) -> MetaTrainer:
    """A trainer in which players meet, ready to be evaluated; see `learning.evaluate`.

    The critic of the estimator, if it has one that learns, begins anew.

    Args:
        recipe: game, estimator and tasks.
        players: one for each agent of the game.
        rows: for each player which of its own seeds take part, S indices.
        seeds: S seeds, what tasks and actions are drawn from.
        settings: whether XLA compiles; nothing else of them matters.

    Raises:
        InvalidInputError: if what a player starts from does not fit its policy, or something cannot be used.
    """
    policies = [player.make_policy(recipe.game) for player in players]
    problem = recipe.problem(
        policies, [player.agent for player in players], [player.population for player in players]
    )
    # As long as the longest chain that somebody has learned updates for.
    lengths = [leaf.shape[1] for player in players for leaf in tf.nest.flatten(player.meta_params.update)]
    own_settings = dataclasses.replace(
        settings, chain_length=max(lengths, default=1), n_tasks=1, n_blocks=1, share_initial_policy=False
    )
    trainer = MetaTrainer(problem, own_settings, seeds)
    values = {
        f"{learned_names.agent(index)}/{name}": leaf.numpy()[list(own_rows)]
        for index, (player, own_rows) in enumerate(zip(players, rows))
        for name, leaf in arrays.named(player.meta_params._asdict())
    }
    source = f"players {', '.join(player.name for player in players)}"
    others = (learned_names.CRITIC, learned_names.POOLS)
    agents = {name: part for name, part in trainer.learned.items() if name not in others}
    learned.assign(source, agents, values)
    return trainer
