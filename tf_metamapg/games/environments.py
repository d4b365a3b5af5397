"""Many PettingZoo environments as one: joint actions in, what all agents see and get out, as arrays.

Worker processes load this file without the package, which would import TensorFlow.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import os
from typing import Any

import numpy as np

from tf_metamapg.games import answers


class Environments:
    """B environments, each of which plays one episode after another."""

    def __init__(self, make_env: Callable[[], Any]) -> None:
        """
        Args:
            make_env: function that makes a `pettingzoo.ParallelEnv`.
        """
        self._make_env = make_env
        self._envs: list[Any] = []
        self._here: list[list[tuple[int, str]]] = []  # of each environment (number, name) of who is there
        self._spaces: Any = None

    def reset(self, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        """Begins B episodes.

        Args:
            seeds: integers [B], one for each environment; as many are made as there are not yet.

        Returns:
            for each agent what it sees, [B, ...].

        Raises:
            Unusable: if not all agents are there at the start, or something is not as the spaces say.
        """
        self._make(len(seeds))
        n_agents = len(self._names)
        self._here = [list(enumerate(self._names)) for _ in seeds]
        self._present = np.ones([n_agents, len(seeds)], bool)
        self._seen = [np.zeros([len(seeds), *one.raw_shape], one.raw_dtype) for one in self._observations]
        for row, (env, seed) in enumerate(zip(self._envs, seeds.tolist())):
            with answers.trial("one that begins an episode by reset(seed=...), and then has agents"):
                told, agents = env.reset(seed=seed), env.agents
            observations, _ = answers.several("reset(seed=...)", told, "observations, infos")
            if len(agents) != n_agents or {*agents} != {*self._names}:
                raise answers.Unusable(
                    f"one that all of possible_agents are in from the start; here {answers.one_line(agents)}"
                )
            for seen, name in zip(self._seen, self._names):
                answers.put(seen, row, observations, name, "observations")
        return self._all_seen()

    def step(self, joint_action: Sequence[np.ndarray]) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        """One step of all episodes that go on.

        Args:
            joint_action: for each agent what it does, [B, ...]; where it is not there, whatever that is.

        Returns:
            (for each agent what it sees, [B, ...]; float64 rewards [n_agents, B]; bools [n_agents, B], whether each
            goes on). Where an agent has left it sees zeros, and gets zeros from the step on after its last.

        Raises:
            Unusable: if an agent has come that was not there before, or something is not as the spaces say.
        """
        encoded = [one.encode(action) for one, action in zip(self._actions, joint_action)]
        rewards = np.zeros(self._present.shape)
        for row, here in enumerate(self._here):
            if not here:
                continue
            env = self._envs[row]
            told = env.step({name: encoded[agent][row] for agent, name in here})
            observations, gained, terminated, truncated, _ = answers.several(
                "step(actions)", told, "observations, rewards, terminations, truncations, infos"
            )
            agents, staying = env.agents, []
            for agent, name in here:
                answers.put(rewards[agent], row, gained, name, "rewards")
                is_terminated = answers.one_of(terminated, name, "terminations")
                if is_terminated or answers.one_of(truncated, name, "truncations") or name not in agents:
                    self._present[agent, row] = False
                else:
                    answers.put(self._seen[agent], row, observations, name, "observations")
                    staying.append((agent, name))
            if len(agents) > len(staying) and (come := {*agents} - {name for _, name in here}):
                raise answers.Unusable(
                    f"one that no agent joins or comes back to; here {answers.one_line(sorted(come, key=str))}"
                )
            self._here[row] = staying
        return self._all_seen(), answers.finite("rewards", rewards), self._present.copy()

    def _all_seen(self):
        decoded = tuple(one.decode(seen) for one, seen in zip(self._observations, self._seen))
        return tuple(
            seen if present.all() else np.where(present.reshape([-1, *[1] * (seen.ndim - 1)]), seen, 0)
            for seen, present in zip(decoded, self._present)
        )

    def _make(self, count):
        """Makes environments until there are so many; what others write on stderr meanwhile, the first has written."""
        if not self._envs:
            self._add()
        if len(self._envs) < count:
            with quiet():
                while len(self._envs) < count:
                    self._add()

    def _add(self):
        env = self._make_env()
        if any(env is other for other in self._envs[:1]):
            raise answers.Unusable("a new environment each time; here it makes the same one again")
        if not self._envs:
            self._names, self._observations, self._actions = answers.spaces_of(env)
        spaces = [(name, env.observation_space(name), env.action_space(name)) for name in self._names]
        self._spaces = self._spaces or spaces
        if spaces != self._spaces:
            raise answers.Unusable("one with the same spaces each time that it is made")
        self._envs.append(env)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """A context in which nothing is written on stderr, also not by libraries in C."""
    stderr, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nothing)
