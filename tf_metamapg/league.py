"""A league: everybody meets everybody, in both places, before and after inner updates, whoever of them adapts."""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import itertools
import pathlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import configs
from tf_metamapg import contracts
from tf_metamapg import loading
from tf_metamapg.agents.fixed import Fixed
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.optimizers import Adam
from tf_metamapg.contracts import MetaParams
from tf_metamapg.contracts import Params
from tf_metamapg.games import dilemma_strategies
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import TabularPolicy
from tf_metamapg.runs import arrays
from tf_metamapg.runs import matches
from tf_metamapg.runs.matches import Matches
from tf_metamapg.runs.players import meet
from tf_metamapg.runs.players import Player
from tf_metamapg.training import learning
from tf_metamapg.training.trainer import MetaTrainer

# How a best response is learned: naive steps of Adam, from policies as they are drawn.
BEST_RESPONSE, BEST_RESPONSE_UPDATES = PolicyGradient(0.3, optimizer=Adam()), 100
BEST_RESPONSE_NAME = "best response"


class Entrant(NamedTuple):
    """Somebody who takes part, in either place of a game for two."""

    name: str
    players: tuple[Player, Player]  # as agent 0 and as agent 1

    @property
    def adapts(self) -> bool:
        """Whether it learns at all."""
        return not isinstance(self.players[0].agent, Fixed)


class Match(NamedTuple):
    """What comes of one entrant meeting another."""

    row: str
    column: str
    who_adapts: str  # "both" or "row"
    mean_reward: np.ndarray  # [S, 2 places of the row, updates + 1, 2]: of the row, and of the column


class League:
    """The game that is played, and who can take part in it."""

    def __init__(self, config: configs.Config, kept: Matches) -> None:
        """
        Args:
            config: what describes the game, the estimator and the tasks; its seeds are those of the league.
            kept: matches that were played before, and need not be again.

        Raises:
            InvalidInputError: if the game is not for two, or there is one seed only.
        """
        self._config, self._kept = config, kept
        experiment = config.experiment
        game = experiment.problem.game
        checks.check(game.spec.n_agents == 2, "train.game", game, f"a game for two, not {game.spec.n_agents}")
        self._seeds = experiment.run.seeds
        checks.check(len(self._seeds) > 1, "train.n_seeds", len(self._seeds), "2 at least, as each meets another")

    @property
    def game(self) -> contracts.AnyGame:
        """What is played."""
        return self._config.experiment.problem.game

    def learner(self, config: configs.Config, name: str) -> Entrant:
        """The agents of a config without meta-agents, which start from policies as they are drawn."""
        problem = config.experiment.problem
        with config.known():
            settings = dataclasses.replace(config.experiment.trainer, n_blocks=1, share_initial_policy=False)
            trainer = MetaTrainer(problem, settings, self._seeds)
        values = trainer.meta_param_values()
        return Entrant(name, _both(lambda index: Player(
            name=name, agent=problem.agents[index], make_policy=config.policy_maker(index), meta_params=values[index],
            population=trainer.pools.frozen(index), source=config.text,
        )))

    def run(self, run: loading.Run, name: str) -> Entrant:
        """What the agents of a run have become, see `Run.player`.

        Raises:
            InvalidInputError: if it is not of a game for two, its agents are of different kinds, it has fewer seeds,
                or it has not ended.
        """
        path, kinds, n_seeds = str(run.directory.path), [type(agent) for agent in run.agents], len(run.seeds)
        checks.check(run.summary is not None, "run", path, "a run that has ended; go on with --resume")
        allowed = "of a game for two agents of one kind, as an entrant takes both places"
        checks.check(len(kinds) == 2 and kinds[0] is kinds[1], "run", path, allowed)
        checks.check(n_seeds >= len(self._seeds), "run", path, f"of {len(self._seeds)} seeds at least, not {n_seeds}")
        return Entrant(name, _both(lambda index: run.player(index)._replace(name=name)))

    def strategy(self, name: str) -> Entrant:
        """A strategy of `dilemma_strategies.py`, in the prisoner's dilemma.

        Raises:
            InvalidInputError: if there is no such strategy, or the game or its policies are others.
        """
        game = self._config.experiment.problem.game
        probs = dilemma_strategies.memory_one_strategy(name, game.default_tasks)
        return self._fixed(name, lambda policy: _tabular(policy).params_of(np.stack([probs, 1.0 - probs], axis=-1)))

    def exported(self, path: str, name: str) -> Entrant:
        """An exported policy of the kind that the league's config has: a SavedModel's directory, or the .npz beside it.

        Raises:
            InvalidInputError: if there is none, or it is of another policy.
        """
        file = pathlib.Path(path if path.endswith(".npz") else f"{path.rstrip('/')}.npz").expanduser()
        checks.check(file.is_file(), "policy", path, "an exported policy, with its .npz file beside it")
        values = arrays.read(file)
        def params(policy: contracts.Policy) -> Params:
            found = [(leaf.shape, leaf.dtype.name) for leaf in values.values()]
            expected = [(tuple(leaf.shape), leaf.dtype.name) for leaf in policy.reference_params]
            checks.check(found == expected, "policy", path, f"of a policy like {policy}")
            return tuple(values.values())

        return self._fixed(name, params)

    def _fixed(self, name: str, params_of: Callable[[contracts.Policy], Params]) -> Entrant:
        """Somebody who does not learn, the same in all seeds."""
        def player(index: int) -> Player:
            make_policy = self._config.policy_maker(index)
            params = params_of(make_policy(self._config.experiment.problem.game))
            tensors = [tf.convert_to_tensor(leaf)[tf.newaxis] for leaf in params]
            repeated = tuple(tf.repeat(leaf, len(self._seeds), axis=0) for leaf in tensors)
            return Player(name, Fixed(), make_policy, MetaParams(repeated), source=self._config.text)

        return Entrant(name, _both(player))

    def matches(
        self, entrants: Sequence[Entrant], report: Callable[[str], None] = lambda text: None
    ) -> list[Match]:
        """All pairs where both adapt, and all in which the row alone does; who does not learn has no row.

        Entrants meet each other's seeds crosswise: seed i of the row the next one of the column, themselves included.

        Args:
            entrants: who takes part.
            report: called with what is done next.
        """
        experiment = self._config.experiment
        n_updates, found = experiment.evaluation.n_inner_updates, []
        adapting = [entrant for entrant in entrants if entrant.adapts]
        rewards = {}  # of who is agent 0 and who is agent 1
        for first, second in itertools.product(adapting, adapting):
            report(f"{first.name} and {second.name}, both adapt")
            (rewards[first.name, second.name],) = self._play(first.players[0], [second.players[1]], 0, n_updates)
        for row, column in itertools.product(adapting, adapting):
            # Where the row is agent 1, it is the seed before that meets its own.
            as_second = np.roll(rewards[column.name, row.name][..., ::-1], 1, axis=0)
            places = np.stack([rewards[row.name, column.name], as_second], axis=1)
            found.append(Match(row.name, column.name, "both", places))
        for row in adapting:
            report(f"{row.name} adapts to those who do not")
            found += self._against_fixed(row.name, row.players, entrants, n_updates)
        return found

    def best_responses(self, entrants: Sequence[Entrant]) -> list[Match]:
        """What a best response that is learned gets from each of the policies that entrants start from, the column."""
        def player(index: int) -> Player:
            make_policy = self._config.policy_maker(index)
            params = make_policy(self._config.experiment.problem.game).initial_params(list(self._seeds))
            source = f"{self._config.text}\nbest_response = {BEST_RESPONSE!r}\n"
            return Player("best response", BEST_RESPONSE, make_policy, MetaParams(params), source=source)

        return self._against_fixed(BEST_RESPONSE_NAME, _both(player), entrants, BEST_RESPONSE_UPDATES)

    def _against_fixed(self, name, players, entrants, n_updates):
        """Matches of a row that adapts with entrants that are kept from it; like policies play side by side."""
        by_column: dict[str, list[np.ndarray]] = {entrant.name: [] for entrant in entrants}
        for place in (0, 1):
            groups: dict[str, list[tuple[str, Player]]] = {}
            for entrant in entrants:
                opponent = entrant.players[1 - place]
                opponent = opponent._replace(agent=Fixed(), meta_params=MetaParams(opponent.meta_params.initial))
                policy = opponent.make_policy(self._config.experiment.problem.game)
                # Who starts each task from another policy plays alone.
                kind = str(policy) if opponent.population is None else entrant.name
                groups.setdefault(kind, []).append((entrant.name, opponent))
            for group in groups.values():
                rewards = self._play(players[place], [opponent for _, opponent in group], place, n_updates)
                for (column, _), one in zip(group, rewards):
                    by_column[column].append(one)
        return [Match(name, column, "row", np.stack(places, axis=1)) for column, places in by_column.items()]

    def _play(self, player, opponents, place, n_updates):
        """What a player gets with opponents of like policies: for each array [S, updates + 1, 2], own and other's.

        They meet side by side, but for those whose match is known.
        """
        experiment = self._config.experiment
        settings, n_tasks = (place, n_updates, experiment.trainer.jit_compile), experiment.evaluation.n_evaluation_tasks
        with self._config.known():
            keys = [
                matches.digest(self._config.text, settings, (player, opponent), self._seeds, n_tasks)
                for opponent in opponents
            ]
        found = {key: self._kept.find(key) for key in keys}
        if new := {key: opponent for key, opponent in zip(keys, opponents) if found[key] is None}:
            for key, rewards in zip(new, self._meet(player, [*new.values()], place, n_updates)):
                self._kept.keep(key, rewards)
                found[key] = rewards
        return [found[key] for key in keys]

    def _meet(self, player, opponents, place, n_updates):
        experiment, n_seeds, n_opponents = self._config.experiment, len(self._seeds), len(opponents)
        # As many seeds of each as the league has; of a run with more, the first.
        other = tf.nest.map_structure(
            lambda *leaves: tf.concat([leaf[:n_seeds] for leaf in leaves], axis=0),
            *(opponent.meta_params for opponent in opponents),
        )
        both = [player, opponents[0]._replace(meta_params=other)]
        rows = [
            [seed for _ in opponents for seed in range(n_seeds)],
            [index * n_seeds + (seed + 1) % n_seeds for index in range(n_opponents) for seed in range(n_seeds)],
        ]
        if place == 1:
            both, rows = both[::-1], rows[::-1]
        with self._config.known():
            trainer = meet(self._config.recipe, both, rows, list(self._seeds) * n_opponents, experiment.trainer)
            n_tasks = experiment.evaluation.n_evaluation_tasks
            rewards = learning.evaluate(trainer, random.META_TEST, n_updates, n_tasks).mean_reward
        return np.split(rewards[..., [place, 1 - place]], n_opponents)


def _both(player: Callable[[int], Player]) -> tuple[Player, Player]:
    return player(0), player(1)


def _tabular(policy: contracts.Policy) -> TabularPolicy:
    if isinstance(policy, TabularPolicy):
        return policy
    raise checks.InvalidInputError(f"train.policies = {policy}: must be @tabular_policy, where strategies take part")
