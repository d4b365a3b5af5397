"""Environments of PettingZoo for tests; worker processes import this file, so it imports no TensorFlow."""

import os

from gymnasium import spaces
import numpy as np
import pettingzoo


class Leaving(pettingzoo.ParallelEnv):
    """Three agents with spaces of all kinds, of which one may be terminated and one truncated before the others.

    What all are to do with it is decided by the seed; an agent sees numbers that depend on the time, the seed and on
    all that was done so far. With `trap` it goes on to speak of agents that have left, in NaN and numbers that are
    nothing, and its state is NaN once all have left.
    """

    metadata = {"name": "leaving"}
    possible_agents = ["first", "second", "third"]
    observation_spaces = {
        "first": spaces.Box(-np.inf, np.inf, (2, 1), np.float64),
        "second": spaces.MultiDiscrete([2, 3]),
        "third": spaces.Discrete(4, start=-1),
    }
    action_spaces = {
        "first": spaces.Discrete(3, start=1),
        "second": spaces.Box(-0.5, np.array([0.5, 0.25], np.float32), dtype=np.float32),
        "third": spaces.MultiDiscrete([2, 3], start=[0, 5]),
    }

    def __init__(self, trap=False):
        self._trap = trap

    def observation_space(self, agent):
        return self.observation_spaces[agent]

    def action_space(self, agent):
        return self.action_spaces[agent]

    def reset(self, seed=None, options=None):
        self._generator = np.random.default_rng(seed)
        self.agents = [*self.possible_agents]
        self.time, self._sum, self.was_told = 0, 0.0, []
        # When each has its last step; the second is truncated, the others are terminated.
        self._last = dict(zip(self.agents, self._generator.integers(1, 7, size=3)))
        return self._seen(self.agents), {agent: {} for agent in self.agents}

    def step(self, actions):
        assert {*actions} == {*self.agents}
        for agent, action in actions.items():
            assert self.action_spaces[agent].contains(action), (agent, action)
        self.was_told.append(actions)
        self.time += 1
        self._sum += sum(float(np.sum(action)) for action in actions.values())
        here = self.agents
        ended = {agent: self.time >= self._last[agent] for agent in here}
        self.agents = [agent for agent in here if not ended[agent]]
        spoken_of = self.possible_agents if self._trap else here
        seen, rewards = self._seen(here), {agent: self._sum + index for index, agent in enumerate(here)}
        if self._trap:
            garbage = {"first": np.full([2, 1], np.nan), "second": np.array([7, -7]), "third": np.int64(99)}
            seen = {agent: seen[agent] if agent in self.agents else garbage[agent] for agent in spoken_of}
            rewards = {agent: rewards.get(agent, np.nan) for agent in spoken_of}
            if not self.agents:
                self._sum = np.nan
        return (
            seen, rewards, {agent: ended.get(agent, True) and agent != "second" for agent in spoken_of},
            {agent: ended.get(agent, True) and agent == "second" for agent in spoken_of},
            {agent: {} for agent in spoken_of},
        )

    def _seen(self, agents):
        numbers = self._generator.random(2)
        seen = {
            "first": np.stack([numbers[:1], [self._sum]]),
            "second": np.array([self.time % 2, int(3 * numbers[1])]),
            "third": np.int64(int(4 * numbers[0]) - 1),
        }
        return {agent: seen[agent] for agent in agents}


class Plain(pettingzoo.ParallelEnv):
    """One agent for ever, whose spaces and habits are as one wants; it may raise an error, and end its process."""

    metadata = {"name": "plain"}

    def __init__(self, seen=None, done=None, at_start=("only",), later=("only",), error=None, dies=False):
        self.possible_agents = ["only"]
        self._at_start, self._later, self._error, self._dies = at_start, later, error, dies
        self._spaces = seen or spaces.Discrete(2), done or spaces.Discrete(2)

    def observation_space(self, agent):
        return self._spaces[0]

    def action_space(self, agent):
        return self._spaces[1]

    def reset(self, seed=None, options=None):
        self.agents = [*self._at_start]
        return dict.fromkeys(self.agents, 0), {}

    def step(self, actions):
        if self._dies:
            os._exit(3)
        if self._error:
            raise ArithmeticError(self._error)
        self.agents = [*self._later]
        nothing = dict.fromkeys(["only", *self.agents], False)
        return dict.fromkeys(nothing, 1), dict.fromkeys(nothing, 0.5), nothing, nothing, {}


class Tables(pettingzoo.ParallelEnv):
    """A stochastic game of two agents that is given by tables, as `testing.tiny_games.TinyGame` has them."""

    metadata = {"name": "tables"}
    possible_agents = ["first", "second"]
    _space = spaces.Discrete(2)

    def __init__(self, payoffs, transitions, start, ends):
        self._payoffs, self._transitions, self._start, self._ends = payoffs, transitions, start, ends

    def observation_space(self, agent):
        return self._space

    def action_space(self, agent):
        return self._space

    def reset(self, seed=None, options=None):
        self._random = np.random.default_rng(seed).random
        self.agents = [*self.possible_agents]
        self._state = int(self._random() >= self._start[0])
        return dict.fromkeys(self.agents, self._state), {}

    def step(self, actions):
        at = (self._state, *actions.values())
        ends = self._random() < self._ends[at]
        self._state = int(self._random() >= self._transitions[at][0])
        here, self.agents = self.agents, [] if ends else self.agents
        return (
            dict.fromkeys(here, self._state), dict(zip(here, self._payoffs[(slice(None), *at)])),
            dict.fromkeys(here, ends), dict.fromkeys(here, False), {},
        )
