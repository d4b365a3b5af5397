"""A game of this package as a `pettingzoo.ParallelEnv`. Imports PettingZoo; `petting_zoo.to_parallel_env` imports this.

Uniform numbers come from `numpy.random.default_rng(seed)`, in the dtype of the game: first those of the reset, then
those of each step.
"""

from collections.abc import Mapping
import math
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
    game's metrics are in `infos`, where they are defined. The functions of the game are compiled when they are first
    used; copies of an environment, also deep ones, share what is compiled, and it can be pickled.

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
        self._compiled, self._spec = _Compiled(game), game.spec
        if task is None:
            self._tasks = DefaultTasks(game).sample(random.root_keys([0]), 1)
        else:
            default = game.default_tasks
            is_table = isinstance(default, np.ndarray) and default.dtype.kind == "f"
            if is_table and isinstance(task, (list, tuple, np.ndarray)):
                task = arguments.table(f"{kind}.task", task)
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
        self._has_begun = False

    def observation_space(self, agent: str) -> gymnasium.Space:
        """What an agent sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gymnasium.Space:
        """What an agent does."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Begins an episode: (what each agent sees, nothing else); without a seed random numbers go on as they were.

        Raises:
            InvalidInputError: if the seed is not None or an integer ≥ 0.
        """
        del options
        if seed is not None:
            checks.check_integer("GameEnv.reset(seed)", seed, minimum=0, maximum=2**63 - 1)
            self._generator = np.random.default_rng(seed)
        self.agents = list(self.possible_agents)
        self._has_begun, self._n_steps = True, 0
        self._last: dict[str, dict[str, Any]] = {agent: {} for agent in self.agents}
        self._state, seen = self._compiled.start(
            self._tasks, self._uniforms(self._compiled.game.n_reset_uniforms)
        )
        self._seen = dict(zip(self.possible_agents, map(_own, seen)))
        return dict(self._seen), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[
        dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """One step, for all agents that are there: (what each sees, gets, whether it is terminated, truncated, infos).

        Args:
            actions: by name, what each of these agents does.

        Raises:
            InvalidInputError: if an action is missing or not in its space, or nothing has begun yet.
        """
        self._check_has_begun("step")
        here = {agent: self.possible_agents.index(agent) for agent in self.agents}
        are_there = isinstance(actions, Mapping) and all(agent in actions for agent in here)
        checks.check(are_there, "GameEnv.step(actions)", actions, f"a dict of what {', '.join(here)} do")
        joint_action = tuple(
            self._as_action(agent, actions[agent], space) if agent in here else _with_axes(0, self._tensor_spec(space))
            for agent, space in zip(self.possible_agents, self._spec.actions)
        )
        self._state, seen, rewards, continues, metrics = self._compiled.advance(
            self._tasks, self._state, joint_action, self._uniforms(self._compiled.game.n_step_uniforms)
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
            agent: {
                name: value for name, by_agent in metrics.items()
                if not math.isnan(value := float(_own(by_agent[index])))
            }
            for agent, index in here.items()
        }
        self._last = {agent: {"saw": self._seen[agent], "did": actions[agent], "got": gained[agent]} for agent in here}
        self._seen = observations
        self.agents = [agent for agent in here if not (terminations[agent] or truncations[agent])]
        return dict(observations), gained, terminations, truncations, infos

    def render(self) -> str | None:
        """Who saw, did and got what in the last step, and sees what now: a text, printed where the mode is "human".

        Raises:
            InvalidInputError: if nothing has begun yet.
        """
        self._check_has_begun("render")
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

    def _check_has_begun(self, method):
        checks.check(self._has_begun, f"GameEnv.{method}", self, "called after reset")

    def _tensor_spec(self, space):
        return space.tensor_spec(self._spec.dtype)

    def _as_action(self, agent, action, space):
        """What an agent does, as a tensor, after a look at it."""
        parameter, spec = f"GameEnv.step(actions)[{agent!r}]", self._tensor_spec(space)
        try:
            array = np.asarray(action)
        except ValueError:  # Lists of different lengths.
            array = np.asarray(None)
        if isinstance(space, contracts.Discrete):
            is_inside = array.dtype.kind in "iu" and array.shape == () and 0 <= array < space.n
            allowed = f"an integer in 0..{space.n - 1}"
        else:
            is_inside = array.dtype.kind in "iuf" and array.shape == space.shape and np.isfinite(array).all()
            allowed = f"finite numbers of shape {space.shape}"
        checks.check(is_inside, parameter, action, allowed)
        return _with_axes(array, spec)


class _Compiled:
    """What a game does, compiled when it is first used; copies share it, and what is pickled is the game."""

    def __init__(self, game):
        self.game = game
        self._measured: Any = game if game.spec.metrics else None
        self.start = tf.function(self._started, autograph=False)
        self.advance = tf.function(self._advanced, autograph=False)

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return _Compiled, (self.game,)

    def _observed(self, tasks, state):
        return tuple(self.game.observe(tasks, state, agent) for agent in range(self.game.spec.n_agents))

    def _started(self, tasks, uniforms):
        state = self.game.reset(tasks, uniforms)
        return state, self._observed(tasks, state)

    def _advanced(self, tasks, state, joint_action, uniforms):
        following, rewards, continues = self.game.step(tasks, state, joint_action, uniforms)
        metrics = {} if self._measured is None else self._measured.metrics(tasks, state, joint_action)
        return following, self._observed(tasks, following), rewards, continues, metrics


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
