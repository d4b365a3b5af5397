"""Games of OpenSpiel (Lanctot et al. 2019) with simultaneous moves, small enough to be enumerated.

Each is played through once, with every joint action and every outcome of chance, when it is made; after that nothing
is asked of OpenSpiel. It is installed by the extra `openspiel`.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np

from tf_metamapg import checks
from tf_metamapg.games import environments
from tf_metamapg.games.branches import Branches
from tf_metamapg.games.branches import BranchingGame

_MOST_ENTRIES = 2_000_000  # of a table of states and joint actions


class _Node(NamedTuple):
    """A history after which all agents act; joint actions are tuples of places among the agents' legal actions."""

    legal_actions: tuple[tuple[int, ...], ...]  # by agent
    seen: tuple[str, ...]  # by agent
    rewards: np.ndarray  # [n_agents, *n_legal_actions], the mean over what chance does next
    ends: np.ndarray  # [*n_legal_actions] of probabilities
    branches: dict[tuple[int, ...], list[tuple[int, float]]]  # by joint action: (number of the next node, probability)


class OpenSpielGame(BranchingGame):
    """A game of OpenSpiel as a finite game, with exact values.

    The states are the histories after which agents act; what an agent sees is its information state, or, in games that
    have none, OpenSpiel's observation. Outcomes of chance are part of the transitions. The reward of a step is the
    change of OpenSpiel's returns, where it depends on chance its mean, so that values with γ = 1 are expected returns.

    Every agent has as many actions A as OpenSpiel's game has legal ones anywhere: action a is the legal action with the
    number a of those in the agent's information state, counted around where there are fewer than A.

    Attributes:
        information_states: for each agent a tuple, by observation, of OpenSpiel's texts.
        legal_actions: for each agent a tuple, by observation, of tuples of OpenSpiel's actions.
    """

    def __init__(
        self, game: str, discount: float = 1.0, dtype: str = "float64", *, max_states: int = 2000
    ) -> None:
        """
        Args:
            game: what `pyspiel.load_game` takes, such as 'goofspiel(num_cards=3,points_order=descending)'.
            discount: γ, in [0, 1].
            dtype: 'float32' or 'float64'.
            max_states: how many states there may be; exact values take memory that grows with the square of them.

        Raises:
            InvalidInputError: if one of these does not hold, or OpenSpiel is not installed.
        """
        parameter = f"{type(self).__name__}.game"
        checks.check_integer(f"{type(self).__name__}.max_states", max_states, minimum=1)
        start, nodes = _explored(parameter, game, max_states, f"of at most {max_states} states; see max_states")
        n_agents = len(nodes[0].seen)
        seen: list[dict[str, tuple[int, ...]]] = [{} for _ in range(n_agents)]  # the legal actions, by text
        for agent, node in itertools.product(range(n_agents), nodes):
            known = seen[agent].setdefault(node.seen[agent], node.legal_actions[agent])
            are_seen = known == node.legal_actions[agent]
            checks.check(are_seen, parameter, game, "a game in which agents see which actions are legal")
        self.information_states = tuple(map(tuple, seen))
        self.legal_actions = tuple(tuple(by_text.values()) for by_text in seen)
        numbers = [{text: number for number, text in enumerate(by_text)} for by_text in seen]
        views = [[numbers[agent][node.seen[agent]] for node in nodes] for agent in range(n_agents)]
        payoffs, ends, branches = _tables(nodes, [max(map(len, by_text.values())) for by_text in seen])
        super().__init__(
            branches, payoffs, views, discount, dtype, checks.one_line(game, 100),
            start=np.pad(start, [0, len(nodes) - len(start)]), ends=ends,
        )


def openspiel_payoffs(game: str) -> np.ndarray:
    """The payoffs of a game of OpenSpiel that is played once: all its matrix and tensor games, Blotto and others.

    Args:
        game: what `pyspiel.load_game` takes, such as 'matrix_pd'.

    Returns:
        float64 array [n_agents, A_0, .., A_{n-1}], for `MatrixGame` or `IteratedMatrixGame`; actions have OpenSpiel's
        order.

    Raises:
        InvalidInputError: if it is no such game, or OpenSpiel is not installed.
    """
    allowed = "a game of one step, such as 'matrix_pd'; see also OpenSpielGame"
    _, (node,) = _explored("openspiel_payoffs.game", game, 1, allowed)
    return node.rewards


def _explored(parameter, text, max_states, allowed):
    """(the probabilities of the first states, a _Node for every state); `allowed` says how many there may be."""
    game = _loaded(parameter, text)
    agents = range(game.num_players())
    start, states = map(list, zip(*_after_chance(game.new_initial_state())))
    see = _sight(parameter, text, states[0])
    nodes: list[_Node] = []
    n_joint_actions = 1
    while len(nodes) < len(states):
        state = states[len(nodes)]
        checks.check(state.is_simultaneous_node(), parameter, text, "a game in which all agents act at each step")
        legal_actions = tuple(tuple(state.legal_actions(agent)) for agent in agents)
        shape = tuple(map(len, legal_actions))
        n_joint_actions = max(n_joint_actions, math.prod(shape))
        rewards, ends = np.zeros([len(agents), *shape]), np.zeros(shape)
        branches: dict[tuple[int, ...], list[tuple[int, float]]] = {}
        for places in np.ndindex(shape):
            n_entries = len(states) * n_joint_actions
            checks.check(n_entries <= _MOST_ENTRIES, parameter, text, f"smaller, as it takes {n_entries} table entries")
            checks.check(len(states) <= max_states, parameter, text, allowed)
            child = state.clone()
            child.apply_actions([legal[place] for legal, place in zip(legal_actions, places)])
            branches[places] = []
            for prob, following in _after_chance(child):
                rewards[(slice(None), *places)] += prob * (np.array(following.returns()) - state.returns())
                if following.is_terminal():
                    ends[places] += prob
                else:
                    branches[places].append((len(states), prob))
                    states.append(following)
        nodes.append(_Node(legal_actions, tuple(see(state, agent) for agent in agents), rewards, ends, branches))
    return start, nodes


def _loaded(parameter, text):
    """The pyspiel.Game of a text."""
    pyspiel = checks.imported("pyspiel")
    checks.imported("open_spiel.python.games")  # Registers those that are written in Python.
    checks.check(isinstance(text, str), parameter, text, "the name of a game of OpenSpiel, such as 'matrix_pd'")
    is_known = text.partition("(")[0] in pyspiel.registered_names()
    checks.check(is_known, parameter, text, "a game that OpenSpiel has; see pyspiel.registered_names()")
    try:
        game = pyspiel.load_game(text)
        game.new_initial_state()  # What cannot be played may load.
    except Exception as error:  # Of many kinds.
        checks.check(False, parameter, text, f"a game that OpenSpiel can load: {checks.reason(error)}")
    kind = game.get_type()
    checks.check(
        kind.dynamics == pyspiel.GameType.Dynamics.SIMULTANEOUS, parameter, text,
        "a game of simultaneous moves, as all agents act at each step. OpenSpiel's convert_to_turn_based goes the "
        "other way; a game with turns can be a StochasticGame in which the actions of those who wait change nothing",
    )
    is_known_chance = kind.chance_mode != pyspiel.GameType.ChanceMode.SAMPLED_STOCHASTIC
    checks.check(is_known_chance, parameter, text, "a game whose outcomes of chance OpenSpiel lists")
    return game


def _after_chance(state):
    """Yields (probability, state) of all that can follow until agents act, or the game has ended."""
    if not state.is_chance_node():
        yield 1.0, state
        return
    for outcome, prob in state.chance_outcomes():
        if prob > 0.0:
            for later_prob, later in _after_chance(state.child(outcome)):
                yield prob * later_prob, later


def _sight(parameter, text, state):
    """A function (state, agent) → what the agent sees, as OpenSpiel writes it."""
    # What the types of games say of it is not always so.
    for see in (type(state).information_state_string, type(state).observation_string):
        try:
            with environments.quiet():  # OpenSpiel says on stderr what it raises.
                see(state, 0)
        except RuntimeError:
            continue
        return see
    checks.check(False, parameter, text, "a game that says what agents see")


def _tables(nodes, n_actions):
    """(payoffs [n, M, *n_actions], ends [M, J], Branches), with actions counted around where fewer are legal."""
    payoffs, ends, edges = [], [], []
    for state, node in enumerate(nodes):
        places = [np.arange(size) % len(legal) for size, legal in zip(n_actions, node.legal_actions)]
        payoffs.append(node.rewards[np.ix_(np.arange(len(n_actions)), *places)])
        ends.append(node.ends[np.ix_(*places)].ravel())
        for joint_action, joint_places in enumerate(itertools.product(*places)):
            row, branches = state * math.prod(n_actions) + joint_action, node.branches[tuple(map(int, joint_places))]
            goes_on = math.fsum(prob for _, prob in branches)
            # After a sure end anything may stand.
            edges += [(row, following, prob / goes_on) for following, prob in branches] or [(row, state, 1.0)]
    rows, next_states, probs = map(np.array, zip(*edges))
    return np.stack(payoffs, axis=1), np.stack(ends), Branches(len(nodes), rows, next_states, probs)
