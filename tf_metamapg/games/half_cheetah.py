"""Two agents move one cheetah, each the joints of a leg; MuJoCo steps the cheetahs of all trajectories in one call.

The game of Kim et al. 2021, with the body and the rewards of Gymnasium's HalfCheetah-v5.
"""

from collections.abc import Sequence
import pathlib

import numpy as np

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.games import environments

# MuJoCo's own steps of 0.01 s, in each of which the same torques act.
_N_SUBSTEPS = 5
_N_AGENTS, _ACTION_COST, _RESET_NOISE = 2, 0.1, 0.1
# In MuJoCo's states the time comes first.
_PLACE = 1


class HalfCheetahGame(descriptions.Described):
    """A cheetah of two legs in a plane; agent 0 has the three joints of the back leg, agent 1 those of the front leg.

    For `HostSimulator`. Both see the same 17 numbers, angles and height of the body and all velocities, and both get
    direction · Δx/Δt − 0.1 ‖a‖² for each step of 0.05 s, x being how far the cheetah has come and a the torques of
    both; a number of an action counts as at most 1 either way. An episode does not end.

    Attributes:
        spec: `contracts.GameSpec`.
        default_tasks: (), as tasks do not differ.
    """

    default_tasks = ()

    def __init__(
        self, direction: float = 1.0, discount: float = 0.95, dtype: str = "float32",
        name: str = "two-agent HalfCheetah",
    ) -> None:
        """
        Args:
            direction: 1 where it pays to run forwards, −1 where it pays to run backwards.
            discount: γ, in [0, 1).
            dtype: 'float32' or 'float64', of what agents see, do and get; the physics are in float64.
            name: what the game is called in figures and summaries.

        Raises:
            InvalidInputError: if one of these does not hold, or MuJoCo or Gymnasium is not installed.
        """
        kind = type(self).__name__
        checks.check_number(f"{kind}.direction", direction)
        checks.check(direction in (-1, 1), f"{kind}.direction", direction, "1 or -1")
        contracts.check_game_numbers(kind, discount, dtype, name)
        self._direction = float(direction)
        model = Cheetahs(self._direction, 1).model
        size, n_joints = model.nq - 1 + model.nv, model.nu // _N_AGENTS
        self.spec = contracts.GameSpec(
            name=name, discount=float(discount), dtype=dtype, observations=(contracts.Box((size,)),) * _N_AGENTS,
            actions=(contracts.Box((n_joints,)),) * _N_AGENTS,
        )

    def make_environments(self, n_workers: int) -> contracts.Environments:
        """See `contracts.HostGame.make_environments`: workers are threads of MuJoCo."""
        return Cheetahs(self._direction, n_workers)


class Cheetahs:
    """B cheetahs; see `contracts.Environments`.

    What a state leads to is a function of the state: MuJoCo looks for the forces of each step anew, and not from those
    that acted before, as in a single environment of Gymnasium. Both find the same but for the last digits.

    Attributes:
        model: MuJoCo's model of one of them.
    """

    def __init__(self, direction: float, n_threads: int) -> None:
        """
        Args:
            direction: 1 or −1.
            n_threads: how many threads share the work.
        """
        mujoco, rollout = checks.imported("mujoco"), checks.imported("mujoco.rollout")
        assets = pathlib.Path(checks.imported("gymnasium").__file__).parent / "envs" / "mujoco" / "assets"
        # MuJoCo says each time that the file could be written otherwise.
        with environments.quiet():
            self.model = mujoco.MjModel.from_xml_path(str(assets / "half_cheetah.xml"))
        self._state_size = mujoco.mj_stateSize(self.model, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        self._data = [mujoco.MjData(self.model) for _ in range(n_threads)]
        self._rollout = rollout.Rollout(nthread=n_threads)
        self._direction = direction

    def reset(self, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        """See `contracts.Environments.reset`; a seed means what it means to Gymnasium."""
        self._states = np.zeros([len(seeds), self._state_size])
        self._all_steps = np.zeros([len(seeds), _N_SUBSTEPS, self._state_size])
        for state, seed in zip(self._states, seeds.tolist()):
            generator = np.random.default_rng(seed)
            position, velocity = np.split(state[_PLACE:], [self.model.nq])
            position[:] = self.model.qpos0 + generator.uniform(-_RESET_NOISE, _RESET_NOISE, size=self.model.nq)
            velocity[:] = _RESET_NOISE * generator.standard_normal(self.model.nv)
        return self._seen()

    def step(self, joint_action: Sequence[np.ndarray]) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        """See `contracts.Environments.step`."""
        torques = np.concatenate(joint_action, axis=-1, dtype=np.float64)
        torques = np.clip(np.nan_to_num(torques), -1.0, 1.0)
        self._rollout.rollout(
            [self.model] * len(torques), self._data, self._states,
            np.repeat(torques[:, np.newaxis], _N_SUBSTEPS, axis=1), nstep=_N_SUBSTEPS, state=self._all_steps,
            skip_checks=True,
        )
        before, self._states = self._states, self._all_steps[:, -1].copy()
        seconds = _N_SUBSTEPS * self.model.opt.timestep
        speed = (self._states[:, _PLACE] - before[:, _PLACE]) / seconds
        rewards = self._direction * speed - _ACTION_COST * np.sum(torques**2, axis=-1)
        return self._seen(), np.stack([rewards] * _N_AGENTS), np.ones([_N_AGENTS, len(torques)], bool)

    def _seen(self):
        return (self._states[:, _PLACE + 1 :],) * _N_AGENTS
