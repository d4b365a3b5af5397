"""Runs taken up again: what they have learned can be evaluated, played and drawn.

    run = tf_metamapg.load_run("runs/ipd-1")
    run.figure(run.evaluate(n_inner_updates=20)).savefig("adaptation.png")
"""

from collections.abc import Callable
from collections.abc import Sequence
import contextlib
import os
import pathlib

import numpy as np

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import configs
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg import learned_names
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import MetaParams
from tf_metamapg.contracts import Trajectory
from tf_metamapg.numerics import random
from tf_metamapg.runs import course
from tf_metamapg.runs import figures
from tf_metamapg.runs import learned
from tf_metamapg.runs import publication
from tf_metamapg.runs import run_directory
from tf_metamapg.runs.checkpoints import Checkpointer
from tf_metamapg.runs.players import meet
from tf_metamapg.runs.players import Player
from tf_metamapg.runs.run_directory import RunDirectory
from tf_metamapg.simulators.host import HostSimulator
from tf_metamapg.simulators.in_graph import InGraphSimulator
from tf_metamapg.training import learning
from tf_metamapg.training.learning import Evaluation
from tf_metamapg.training.trainer import MetaTrainer


class Run(descriptions.Described):
    """A run and what it has learned, see `load_run`.

    Attributes:
        directory: `RunDirectory`, where its files are.
        experiment: `Experiment`: its problem and its settings, `trainer`, `evaluation` and `run`.
        trainer: `MetaTrainer` with what was learned.
        summary: what stands in `summary.json`; None if the run has not ended.
    """

    def __init__(self, directory: str, bindings: Sequence[str] = ()) -> None:
        self.directory = RunDirectory(pathlib.Path(directory).expanduser())
        self.directory.check_exists()
        info = self.directory.read_info()
        self._config = configs.Config(
            [self.directory.config], bindings, info["jit_compile"], info["module_directories"]
        )
        self.experiment, self.summary = self._config.experiment, self.directory.read_summary()
        with self._config.known():
            self._course = course.build(self.experiment)
            self._go_on() if self.summary is None else self._load()
        self.trainer = self._course.trainer

    @property
    def game(self) -> contracts.AnyGame:
        """What is played."""
        return self.experiment.problem.game

    @property
    def policies(self) -> tuple[contracts.Policy, ...]:
        """One for each."""
        return self.experiment.problem.policies

    @property
    def agents(self) -> tuple[contracts.Agent, ...]:
        """One for each."""
        return self.experiment.problem.agents

    @property
    def estimator(self) -> contracts.Estimator:
        """Of these policies."""
        return self.experiment.problem.estimator

    @property
    def seeds(self) -> range:
        """The S seeds."""
        return self.experiment.run.seeds

    @property
    def meta_params(self) -> tuple[MetaParams, ...]:
        """What all seeds have learned, for each agent MetaParams with leaves [S, ...]."""
        return self.trainer.meta_param_values()

    @property
    def adapted_params(self) -> JointParams:
        """Where nobody meta-learns, policies after the last inner update, [S, N, ...]; () elsewhere."""
        return self._course.adapted_params

    def evaluate(
        self, n_inner_updates: int | None = None, n_tasks: int | None = None, task_draw: int = 0, *,
        phase: int = random.META_TEST, opponents: "Run | None" = None, agent_index: int = 0,
        report: Callable[[int, np.ndarray], None] = lambda n_updates, mean_reward: None,
    ) -> Evaluation:
        """Lets all agents adapt to held-out tasks, from what they have learned; where nobody meta-learns, anew.

        Args:
            n_inner_updates: how often all learn; by default as in the run.
            n_tasks: tasks for each seed; by default as in the run.
            task_draw: which tasks, ≥ 0; 0 are those that the run was evaluated with, so that its numbers come out
                again, bit for bit on one machine.
            phase: whose tasks, `random.META_TEST` or `META_VALIDATION`.
            opponents: a run of a game with the same observations and actions, whose agents take the places of all but
                one, see `player`; each seed meets the same seed of theirs, or, if they have not got that, one of those
                that they have.
            agent_index: who stays, where there are opponents.
            report: called after each link with its index and mean rewards, array [S, n_agents].

        Returns:
            Evaluation, with arrays [S, n_inner_updates + 1, n_agents].

        Raises:
            InvalidInputError: if one of these cannot be used.
        """
        own = self.experiment.evaluation
        n_inner_updates = own.n_inner_updates if n_inner_updates is None else n_inner_updates
        n_tasks = own.n_evaluation_tasks if n_tasks is None else n_tasks
        checks.check_integer("n_inner_updates", n_inner_updates, minimum=0)
        checks.check_integer("n_tasks", n_tasks, minimum=1)
        checks.check_integer("task_draw", task_draw, minimum=0)
        checks.check_agent_index("agent_index", agent_index, len(self.agents))
        trainer = self.trainer
        if opponents is not None:
            runs = [self if index == agent_index else opponents for index in range(len(self.agents))]
            players = [run.player(index) for index, run in enumerate(runs)]
            trainer = self.meet(players, [
                [run.seeds.index(seed) if seed in run.seeds else seed % len(run.seeds) for seed in self.seeds]
                for run in runs
            ])
        allowed = "random.META_TEST or random.META_VALIDATION"
        checks.check(phase in (random.META_TEST, random.META_VALIDATION), "phase", phase, allowed)
        trainer.problem.check_sizes(phase, "n_tasks", n_tasks)
        with self._config.known():
            return learning.evaluate(trainer, phase, n_inner_updates, n_tasks, report, draw=task_draw)

    def meet(self, players: Sequence[Player], rows: Sequence[Sequence[int]]) -> MetaTrainer:
        """Lets others play this run's game; see `players.meet`, which says what is returned and raised."""
        with self._config.known():
            return meet(self._config.recipe, players, rows, self.seeds[: len(rows[0])], self.experiment.trainer)

    def known(self) -> contextlib.AbstractContextManager[None]:
        """Where gin knows the run's config."""
        return self._config.known()

    def play(
        self, joint_params: JointParams | None = None, n_trajectories: int = 16, horizon: int = 50, task_draw: int = 0
    ) -> Trajectory:
        """Lets policies play tasks of meta-testing, without learning.

        Args:
            joint_params: of all agents, leaves [S, N, ...], such as `Evaluation.joint_params`; by default those that
                were learned, for one task of each seed.
            n_trajectories, horizon: K, and T, time steps at most.
            task_draw: which tasks, see `evaluate`.

        Returns:
            Trajectory, [S, N, K, T, ...].

        Raises:
            InvalidInputError: if the game cannot be played step by step, or one of these cannot be used.
        """
        checks.check_integer("task_draw", task_draw, minimum=0)
        with self._config.known():
            if joint_params is None:
                joint_params = tuple(state.params for state in self.trainer.initial_states(random.META_TEST, 1))
            joint_params = arguments.joint_params("joint_params", joint_params, self.policies)
            n_seeds, n_tasks = arguments.seeds_and_tasks(joint_params)
            checks.check(n_seeds == len(self.seeds), "joint_params", joint_params, f"of {len(self.seeds)} seeds")
            make: type = InGraphSimulator if isinstance(self.game, contracts.Game) else HostSimulator
            simulator = make(self.game, self.policies, n_trajectories, horizon)
            keys = random.fold_in(random.root_keys(self.seeds), task_draw)
            return simulator.sample(joint_params, self.trainer.tasks(random.META_TEST, n_tasks, task_draw), keys)

    def figure(self, evaluation: Evaluation | None = None) -> figures.Figure:
        """Mean rewards against inner updates, as the run draws them, or those of another evaluation.

        Raises:
            InvalidInputError: if there are none, as the run has not ended.
        """
        if evaluation is not None:
            mean_reward = evaluation.mean_reward
        elif self.summary is not None:
            mean_reward = np.array(self.summary["meta_test"]["average_reward"])
        else:
            raise checks.InvalidInputError("evaluation = None: must be given, as the run has not ended")
        return figures.adaptation_figure(mean_reward, *publication.labels(self.experiment.problem))

    def player(self, agent_index: int) -> Player:
        """What one agent has become, as others can meet it.

        It starts from the initial policy that it has learned; where nobody meta-learns, from what it has come to in
        task 0, or, if it has a population, from that.

        Raises:
            InvalidInputError: if the game of the run has no such agent.
        """
        checks.check_agent_index("agent_index", agent_index, len(self.agents))
        meta_params = self.meta_params[agent_index]
        if self.adapted_params:
            meta_params = meta_params._replace(initial=tuple(leaf[:, 0] for leaf in self.adapted_params[agent_index]))
        return Player(
            name=type(self.agents[agent_index]).__name__, agent=self.agents[agent_index],
            make_policy=self._config.policy_maker(agent_index), meta_params=meta_params,
            population=self.trainer.pools.frozen(agent_index), source=self._config.text,
        )

    def _load(self):
        """Takes what a run that has ended has learned."""
        path, seeds = self.directory.path, self.experiment.run.seeds
        values = learned.read(str(path), "directory")
        found = values[learned_names.SEEDS].tolist()
        checks.check(found == list(seeds), "seeds", list(seeds), f"{found}, as the run in {path} has")
        self._course.load(values, f"directory = {path}")

    def _go_on(self):
        """Takes up the last checkpoint."""
        text, run = self.directory.config.read_text("utf-8"), self.experiment.run
        digest = run_directory.digest(text, self._course.may_change, run.seeds, self.experiment.trainer.jit_compile)
        checkpoint, _ = Checkpointer(self.directory.checkpoints, digest).find()
        if checkpoint is None:
            raise checks.InvalidInputError(f"{self.directory.path}: holds neither results nor a checkpoint")
        self._course.go_on(checkpoint)


def load_run(directory: str, bindings: Sequence[str] = ()) -> Run:
    """Loads a run from its directory; nothing in there is changed.

    Args:
        directory: what `bin/train` has left. A run that has not ended is taken as its last checkpoint has it.
        bindings: gin bindings that come after its config, to evaluate it among other tasks or others who learn, such as
            ["PayoffNoise.width = 0.5"].

    Returns:
        Run, with its game, policies, agents, estimator, settings, and what all seeds have learned.

    Raises:
        InvalidInputError: if there is no such run, or what it has learned does not fit what bindings make of it.
    """
    checks.check(isinstance(directory, (str, os.PathLike)), "directory", directory, "the directory of a run")
    checks.check(isinstance(bindings, (list, tuple)), "bindings", bindings, "a list of texts")
    return Run(os.fspath(directory), bindings)
