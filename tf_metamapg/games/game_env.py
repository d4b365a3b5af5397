"""A game of this package as a `pettingzoo.ParallelEnv`. Imports PettingZoo; `petting_zoo.to_parallel_env` imports this.

Uniform numbers come from `numpy.random.default_rng(seed)`, in the dtype of the game: first those of the reset, then
those of each step.
"""

from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.contracts import Structure
from tf_metamapg.games.tasks import DefaultTasks
from tf_metamapg.numerics import random

_AXES = (1, 1, 1)  # one seed, task and trajectory


class GameEnv(pettingzoo.ParallelEnv):
    """One instance of a game, whose agents are "agent_0", "agent_1", ….

    An agent is terminated when the game says that it leaves, and sees zeros then; all are truncated at the horizon. The
    game's metrics are in `infos`. The functions of the game are compiled when they are first used; a `copy.copy` of
    an environment shares what is compiled with it, and the spaces.

    Attributes:
        possible_agents: names of all agents.
        agents: names of those that are there.
        render_mode: "ansi", "human" or None.
        metadata: what PettingZoo wants to know of an environment.
    """

    def __init__(self, game: contracts.Game, task: Structure, horizon: int, render_mode: str | None) -> None:
        """
        Args:
            game, task, horizon, render_mode: see `petting_zoo.to_parallel_env`.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        kind = "to_parallel_env"
        contracts.check_kind(f"{kind}.game", game, contracts.Game, "a game that is played step by step")
        checks.check_integer(f"{kind}.horizon", horizon, minimum=1)
        allowed = "'ansi', 'human' or None"
        checks.check(render_mode in ("ansi", "human", None), f"{kind}.render_mode", render_mode, allowed)
        self._game, self._spec = game, game.spec
        self._measured: Any = game if game.spec.metrics else None
        if task is None:
            self._tasks = DefaultTasks(game).sample(random.root_keys([0]), 1)
        else:
            with_axes = tf.nest.map_structure(self._as_task, task)
            self._tasks = arguments.tasks(f"{kind}.task", with_axes, game, [1, 1])
        self._horizon = horizon
        self.metadata = {"name": game.spec.name, "render_modes": ["ansi", "human"], "is_parallelizable": True}
        self.render_mode = render_mode
        self.possible_agents = [f"agent_{agent}" for agent in range(game.spec.n_agents)]
        self.agents: list[str] = []
        self.observation_spaces = dict(zip(self.possible_agents, map(self._space, game.spec.observations)))
        self.action_spaces = dict(zip(self.possible_agents, map(self._space, game.spec.actions)))
        self._generator = np.random.default_rng()
        self._start = tf.function(self._started, autograph=False)
        self._advance = tf.function(self._advanced, autograph=False)

    def observation_space(self, agent: str) -> gymnasium.Space:
        """What an agent sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gymnasium.Space:
        """What an agent does."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Begins an episode: (what each agent sees, nothing else); without a seed random numbers go on as they were."""
        del options
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        self.agents = list(self.possible_agents)
        self._n_steps = 0
        self._last: dict[str, dict[str, Any]] = {agent: {} for agent in self.agents}
        self._state, seen = self._start(self._uniforms(self._game.n_reset_uniforms))
        self._seen = dict(zip(self.possible_agents, map(_own, seen)))
        return dict(self._seen), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[
        dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """One step, for all agents that are there: (what each sees, gets, whether it is terminated, truncated, infos).

        Args:
            actions: by name, what each of these agents does.
        """
        here = {agent: self.possible_agents.index(agent) for agent in self.agents}
        joint_action = tuple(
            _with_axes(actions[agent] if agent in here else 0, space.tensor_spec(self._spec.dtype))
            for agent, space in zip(self.possible_agents, self._spec.actions)
        )
        self._state, seen, rewards, continues, metrics = self._advance(
            self._state, joint_action, self._uniforms(self._game.n_step_uniforms)
        )
        self._n_steps += 1
        out_of_time = self._n_steps >= self._horizon
        terminations = {agent: bool(continues) and not _own(continues[index]) for agent, index in here.items()}
        truncations = {agent: out_of_time and not terminations[agent] for agent in here}
        observations = {agent: _own(seen[index]) for agent, index in here.items()}
        for agent in filter(terminations.get, here):
            observations[agent] = np.zeros_like(observations[agent])[()]
        gained = {agent: float(_own(rewards[index])) for agent, index in here.items()}
        infos = {
            agent: {name: float(_own(by_agent[index])) for name, by_agent in metrics.items()}
            for agent, index in here.items()
        }
        self._last = {agent: {"saw": self._seen[agent], "did": actions[agent], "got": gained[agent]} for agent in here}
        self._seen = observations
        self.agents = [agent for agent in here if not (terminations[agent] or truncations[agent])]
        return dict(observations), gained, terminations, truncations, infos

    def render(self) -> str | None:
        """Who saw, did and got what in the last step, and sees what now: a text, printed where the mode is "human"."""
        lines = [f"{self._spec.name}: step {self._n_steps} of {self._horizon}"]
        for agent, last in self._last.items():
            told = [f"{verb} {_text(value)}" for verb, value in last.items()]
            told.append(f"sees {_text(self._seen[agent])}" if agent in self.agents else "has left")
            lines.append(f"{agent}: {', '.join(told)}")
        text = "\n".join(lines)
        if self.render_mode == "human":
            print(text)
            return None
        return text

    def close(self) -> None:
        """Nothing is open."""

    def _space(self, space):
        if isinstance(space, contracts.Discrete):
            return gymnasium.spaces.Discrete(space.n)
        return gymnasium.spaces.Box(-np.inf, np.inf, space.shape, np.dtype(self._spec.dtype).type)

    def _as_task(self, leaf):
        leaf = np.asarray(leaf)[np.newaxis, np.newaxis]
        return leaf.astype(self._spec.dtype) if np.issubdtype(leaf.dtype, np.floating) else leaf

    def _uniforms(self, n_uniforms):
        return tf.constant(self._generator.random([n_uniforms, *_AXES], np.dtype(self._spec.dtype)))

    def _observed(self, state):
        return tuple(self._game.observe(self._tasks, state, agent) for agent in range(self._spec.n_agents))

    def _started(self, uniforms):
        state = self._game.reset(self._tasks, uniforms)
        return state, self._observed(state)

    def _advanced(self, state, joint_action, uniforms):
        following, rewards, continues = self._game.step(self._tasks, state, joint_action, uniforms)
        metrics = {} if self._measured is None else self._measured.metrics(self._tasks, state, joint_action)
        return following, self._observed(following), rewards, continues, metrics


def _with_axes(action, spec):
    """An action, or zero in place of one, as a tensor [1, 1, 1, *action]."""
    action = np.asarray(action, spec.dtype.as_numpy_dtype)
    return tf.constant(np.broadcast_to(action, [*_AXES, *spec.shape]))


def _own(value):
    """What a tensor [1, 1, 1, ...] holds."""
    return value.numpy()[0, 0, 0]


def _text(value):
    if np.ndim(value) == 0:
        return str(value)
    return " ".join(np.array2string(value, precision=3, threshold=20).split())
